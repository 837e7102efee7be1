"""Every task takes labels as they come: any integer type, byte order, memory layout, read-only."""

import numpy as np
import pytest
from funlib.geometry import Coordinate, Roi

from napari_dacapo_tasks.arrays import Channel, GroundTruth, LabelsConfig, NumpyArray
from napari_dacapo_tasks.tasks import (
    AffinitiesTaskConfig,
    DistanceTaskConfig,
    HotDistanceTaskConfig,
    InnerDistanceTaskConfig,
    OneHotTaskConfig,
)
from napari_dacapo_tasks.tasks.preview import Preview, preview
from napari_dacapo_tasks.tasks.segment_target import TargetSegmentation, segment_target

DISTANCES = {
    "name": "a",
    "channels": ["x"],
    "scale_factor": 20,
    "clip_distance": 100,
    "tol_distance": 20,
}
OFFSETS = [(1, 0, 0), (0, 1, 0), (0, 0, -1), (3, 0, 0)]
CONFIGS = [
    DistanceTaskConfig(**DISTANCES),
    InnerDistanceTaskConfig(**DISTANCES),
    HotDistanceTaskConfig(**DISTANCES, mask_distances=True),
    OneHotTaskConfig(name="a", classes=["bg", "a", "b", "c"]),
    AffinitiesTaskConfig(name="a", neighborhood=OFFSETS, lsds=True, num_lsd_voxels=3),
]
VOXEL = Coordinate(8, 8, 8)


@pytest.fixture(scope="module")
def ids():
    random = np.random.default_rng(0).integers(0, 4, (3, 4, 5))
    return np.kron(random, np.ones((5, 5, 5), np.int64))


def previewed(config, labels, mask=None):
    def placed(values):
        roi = Roi((0, 0, 0), VOXEL * Coordinate(values.shape))
        return NumpyArray.from_np_array(values, roi, VOXEL, ["z", "y", "x"])

    channels = tuple(Channel(name=name) for name in config.ground_truth_channels)
    known = None if mask is None else placed(mask)
    *_, last = preview(config, GroundTruth(placed(labels), LabelsConfig(channels=channels), known))
    assert isinstance(last, Preview)
    return last


def in_layout(labels, layout):
    if layout == "columns":
        return np.asfortranarray(labels)
    if layout == "strided":
        return np.repeat(labels, 2, axis=2)[:, :, ::2]
    if layout == "read-only":
        labels = labels.copy()
        labels.setflags(write=False)
    return labels


@pytest.mark.parametrize("layout", ["rows", "columns", "strided", "read-only"])
@pytest.mark.parametrize("kind", ["u1", "i1", "u2", ">u2", "i4", "u4", "i8", ">u8"])
@pytest.mark.parametrize("config", CONFIGS, ids=lambda config: type(config).__name__)
def test_labels_come_in_any_form(config, kind, layout, ids):
    expected = previewed(config, ids)
    made = previewed(config, in_layout(ids.astype(kind), layout))
    np.testing.assert_array_equal(made.target.data, expected.target.data)
    np.testing.assert_array_equal(made.weight.data, expected.weight.data)


@pytest.mark.parametrize("config", CONFIGS, ids=lambda config: type(config).__name__)
def test_a_mask_may_be_read_only_too(config, ids):
    mask = np.ones(ids.shape, np.uint8)
    mask[:4] = 0
    expected = previewed(config, ids, mask)
    mask.setflags(write=False)
    made = previewed(config, ids, mask)
    assert not made.weight.data[:, :4].any()
    np.testing.assert_array_equal(made.weight.data, expected.weight.data)


@pytest.mark.parametrize("config", CONFIGS, ids=lambda config: type(config).__name__)
def test_every_way_to_a_segmentation_gives_the_objects_back(config, ids):
    labels = np.zeros((12, 20, 30), np.uint64)
    labels[2:10, 2:10, 2:14] = 2**64 - 1 if not isinstance(config, OneHotTaskConfig) else 1
    labels[2:10, 12:18, 2:28] = 2
    made = previewed(config, labels)
    for number, method in enumerate(config.task_type(config).methods):
        default = method.post_processor.default
        *_, result = segment_target(config, made, number, default)
        assert isinstance(result, TargetSegmentation)
        best = method.evaluator.criteria[0]
        for scores in result.scores.values():
            if best.name in scores:
                assert scores[best.name] == best.perfect
        np.testing.assert_array_equal(result.segmentation.data[0] != 0, labels != 0)
