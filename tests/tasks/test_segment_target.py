import json
from pathlib import Path

import numpy as np
import pytest
from funlib.geometry import Roi

from napari_dacapo_tasks.arrays import Channel, GroundTruth, LabelsConfig, NumpyArray
from napari_dacapo_tasks.errors import ConfigError, DataError
from napari_dacapo_tasks.tasks.affinities import AffinitiesTaskConfig
from napari_dacapo_tasks.tasks.distance import DistanceTask, DistanceTaskConfig
from napari_dacapo_tasks.tasks.dummy import DummyTaskConfig
from napari_dacapo_tasks.tasks.hot_distance import HotDistanceTaskConfig
from napari_dacapo_tasks.tasks.inner_distance import InnerDistanceTaskConfig
from napari_dacapo_tasks.tasks.one_hot import OneHotTaskConfig
from napari_dacapo_tasks.tasks.preview import PreviewProgress, preview
from napari_dacapo_tasks.tasks.segment_target import (
    TargetSegmentation,
    segment_target,
    usual_method,
)
from napari_dacapo_tasks.units import WorldUnit

GOLDEN = Path(__file__).parents[1] / "golden"
NEAREST = [(1, 0, 0), (0, 1, 0), (0, 0, 1)]
THRESHOLD, INSTANCES = 0, 1


def distance(*channels, kind=DistanceTaskConfig, **changes):
    values = {"scale_factor": 20, "clip_distance": 80, "tol_distance": 16, **changes}
    return kind(name="d", channels=list(channels) or ["a"], **values)


def affs(neighborhood=NEAREST, **changes):
    return AffinitiesTaskConfig(name="affs", neighborhood=neighborhood, **changes)


def preview_of(config, ids, labels=None, mask=None, roi=None, voxel_size=None, **place):
    axes = "zyx"[-ids.ndim :]
    place = {"axes": axes, "voxel_size": voxel_size or (8,) * ids.ndim, **place}
    labels = labels or LabelsConfig(channels=(Channel(name="a"),))
    mask = None if mask is None else NumpyArray(mask, **place)
    *_, made = preview(config, GroundTruth(NumpyArray(ids, **place), labels, mask), roi)
    return made


def segment(config, made, method, **changes):
    task = config.task_type(config.on_grid(made.gt.unit))
    parameters = task.methods[method].post_processor.default.model_copy(update=changes)
    *progress, result = segment_target(config, made, method, parameters)
    assert all(isinstance(event, PreviewProgress) for event in progress)
    shares = [event.done for event in progress]
    assert shares == sorted(shares)
    assert isinstance(result, TargetSegmentation)
    return result


@pytest.fixture(scope="module")
def two():
    """Give two blocks that touch, with background around them."""
    ids = np.zeros((12, 14, 24), np.uint16)
    ids[2:10, 2:12, 2:12] = 300
    ids[2:10, 2:12, 12:22] = 7
    return ids


@pytest.fixture(scope="module")
def golden():
    index = json.loads((GOLDEN / "index.json").read_text())

    def read(name):
        with np.load(GOLDEN / f"{name}.npz") as arrays:
            return arrays["gt"], tuple(index[name]["voxel_size"]), index[name]

    return read


@pytest.mark.parametrize(
    "kind", [DistanceTaskConfig, InnerDistanceTaskConfig, HotDistanceTaskConfig]
)
def test_instances_of_distances(two, kind):
    config = distance(kind=kind)
    made = preview_of(config, two)
    result = segment(config, made, INSTANCES)
    assert result.verdict == "All 2 objects come apart."
    assert (result.truth_objects, result.found_objects) == ((2,), (2,))
    assert result.scores["a"]["voi"] == 0
    assert result.scores["a"]["f1_score"] == 1
    assert {one.name for one in result.criteria} == set(result.scores["a"])
    assert result.segmentation.roi == made.roi
    assert result.segmentation.data.shape == (1, 12, 14, 24)
    assert result.seconds > 0


@pytest.mark.parametrize(
    "kind", [DistanceTaskConfig, InnerDistanceTaskConfig, HotDistanceTaskConfig]
)
def test_a_threshold_of_distances(two, kind):
    config = distance(kind=kind)
    result = segment(config, preview_of(config, two), THRESHOLD)
    assert result.scores["a"]["dice"] == 1
    assert (result.truth_objects, result.found_objects) == ((2,), (1,))
    assert result.verdict == (
        "Every voxel comes out right. But 2 of 2 objects touch others and are one with them: only "
        "a method that finds instances tells them apart."
    )
    alone = segment(config, preview_of(config, (two == 7).astype(np.uint8)), THRESHOLD)
    assert alone.verdict == "Every voxel comes out right."
    higher = segment(config, preview_of(config, two), THRESHOLD, threshold=0.5)
    assert "% of the voxels come out wrong." in higher.verdict
    assert higher.scores["a"]["precision"] == 1
    assert higher.scores["a"]["recall"] < 1


def test_what_a_distance_cannot_keep_apart_is_said(two):
    ids = two.copy()
    ids[2:4, 2:12, 2:12] = 21  # a sheet of two voxels: all of it is half a voxel deep
    config = distance()
    result = segment(config, preview_of(config, ids), INSTANCES)
    assert result.verdict == (
        "2 of 3 objects do not come apart: 2 are merged with others; the largest of them has 600 "
        "voxels."
    )
    assert result.scores["a"]["voi"] > 0
    by_affinities = segment(affs(), preview_of(affs(), ids), 0)
    assert by_affinities.verdict == "All 3 objects come apart."


def test_parameters_are_used(two):
    config = distance()
    result = segment(config, preview_of(config, two), INSTANCES, seed_depth=0.4)
    assert result.verdict == (
        "2 of 2 objects do not come apart: 2 are merged with others; the largest of them has 800 "
        "voxels."
    )
    result = segment(config, preview_of(config, two), INSTANCES, min_size=10_000)
    assert result.verdict.endswith("2 are lost; the largest of them has 800 voxels.")


def test_instances_of_affinities(two):
    config = affs([*NEAREST, (-3, 0, 2)], lsds=True, num_lsd_voxels=2)
    made = preview_of(config, two)
    result = segment(config, made, 0)
    assert result.verdict == "All 2 objects come apart."
    assert result.scores["objects"]["voi"] == 0
    assert result.segmentation.roi == made.roi


def test_offsets_that_do_not_reach_are_said(two):
    config = affs([(0, 1, 0), (0, 0, 1)])
    result = segment(config, preview_of(config, two), 0)
    assert result.verdict.startswith("2 of 2 objects do not come apart: 2 are split;")


def test_background_may_be_an_object(two):
    config = affs(background_as_object=True)
    result = segment(config, preview_of(config, two), 0)
    assert result.verdict == "All 3 objects come apart."
    assert result.scores["objects"]["voi"] == 0
    assert result.scores["objects"]["precision"] == 1


def test_classes(two):
    ids = np.select([two == 300, two == 7], [1, 2]).astype(np.uint8)
    ids[0] = 9  # no class
    config = OneHotTaskConfig(name="o", classes=["outside", "one", "other"])
    made = preview_of(config, ids)
    result = segment(config, made, 0)
    assert result.verdict == "Every voxel comes out right."
    assert result.scores["all"]["accuracy"] == 1
    assert (result.truth_objects, result.found_objects) == ((3,), (3,))


@pytest.mark.parametrize("name", ["affinities_2d_bg0", "affinities_iso3d_bg0"])
def test_golden_labels_come_apart_by_distances(golden, name):
    ids, voxel_size, _ = golden(name)
    config = distance(scale_factor=3 * max(voxel_size))
    result = segment(config, preview_of(config, ids, voxel_size=voxel_size), INSTANCES)
    assert result.verdict == "All 9 objects come apart."
    assert result.truth_objects == (9,)


@pytest.mark.parametrize(
    "name",
    [
        "affinities_2d_bg0",
        "affinities_aniso2d_bg0",
        "affinities_aniso3d_bg0",
        "affinities_iso3d_bg0",
        "affinities_iso3d_bg1",
    ],
)
def test_golden_labels_come_apart_by_affinities(golden, name):
    ids, voxel_size, parameters = golden(name)
    as_object = parameters["background_as_object"]
    config = affs(parameters["neighborhood"], background_as_object=as_object)
    result = segment(config, preview_of(config, ids, voxel_size=voxel_size), 0)
    assert result.verdict == f"All {9 + as_object} objects come apart."
    assert result.scores["objects"]["voi"] == 0


def test_an_object_that_the_region_cuts_to_pieces_is_one_object():
    # A horseshoe of which the region shows the two ends.
    ids = np.zeros((20, 30), np.uint8)
    ids[2:18, 2:8] = ids[2:18, 20:26] = ids[2:8, 2:26] = 3
    ids[10:18, 8:20] = 5
    config = distance()
    made = preview_of(config, ids, roi=Roi((96, 0), (64, 240)))
    result = segment(config, made, INSTANCES)
    assert result.verdict == "All 2 objects come apart."
    assert (result.truth_objects, result.found_objects) == ((2,), (3,))
    assert result.scores["a"]["voi"] == 0


def test_one_id_for_many_objects_is_one_object_a_region(two):
    ids = np.zeros_like(two)
    ids[2:10, 2:12, 2:9] = ids[2:10, 2:12, 14:22] = 1
    config = distance()
    result = segment(config, preview_of(config, ids), INSTANCES)
    assert result.verdict == "All 2 objects come apart."


def test_what_is_unknown_does_not_count(two):
    ids = two.copy()
    ids[2:4, 2:12, 2:12] = 21
    known = np.ones(ids.shape, np.uint8)
    known[:4] = 0
    config = distance()
    result = segment(config, preview_of(config, ids, mask=known), INSTANCES)
    assert result.verdict == "All 2 objects come apart."
    assert result.scores["a"]["f1_score"] == 1


def test_channels_have_a_sentence_each(two):
    channels = (Channel(name="one", labels=(300,)), Channel(name="none", labels=(5,)))
    config = distance("one", "none")
    made = preview_of(config, two, LabelsConfig(channels=channels))
    result = segment(config, made, INSTANCES)
    assert result.verdict == (
        "one: The only object comes out whole. none: There is no object in this region."
    )
    assert (result.truth_objects, result.found_objects) == ((1, 0), (1, 0))
    assert set(result.scores) == {"one", "none"}


def test_lengths_are_nanometres_on_every_grid(two):
    config = distance()
    fine = {"unit": WorldUnit("nm", 10), "offset": (50, 0, -30), "voxel_size": (80,) * 3}
    result = segment(config, preview_of(config, two, **fine), INSTANCES)
    assert result.verdict == "All 2 objects come apart."


def test_a_single_object_that_does_not_come_out_whole(two):
    config = affs([(1, 0, 0)])
    result = segment(config, preview_of(config, (two == 7).astype(np.uint8)), 0)
    assert result.verdict == "The only object does not come out whole: it is split."


def test_leaving_cancels(two):
    config = distance()
    made = preview_of(config, two)
    parameters = config.task_type(config).methods[INSTANCES].post_processor.default
    steps = segment_target(config, made, INSTANCES, parameters)
    assert next(steps).doing == "Segmenting the target"
    steps.close()
    assert list(steps) == []


def test_a_task_without_a_way_is_refused(two):
    config = DummyTaskConfig(name="nothing", embedding_dims=1, detection_threshold=0)
    made = preview_of(config, two)
    with pytest.raises(ConfigError, match="The task nothing has no way"):
        list(segment_target(config, made, 0, None))


def test_a_refusal_of_the_post_processor_comes_through(two):
    made = preview_of(distance(), two)
    other = distance("a", "b")
    parameters = other.task_type(other).methods[THRESHOLD].post_processor.default
    with pytest.raises(DataError, match="1 channels, but the task needs 2"):
        list(segment_target(other, made, THRESHOLD, parameters))


@pytest.mark.parametrize(
    ("ids", "method"),
    [([[0, 1, 1]], 0), ([[0, 1, 2]], 1), ([[3, 3, 3]], 0), ([[0, 0, 0]], 0), ([[9, 1, 9]], 1)],
)
def test_the_usual_method_is_instances_where_there_are_several_ids(ids, method):
    task = DistanceTask(distance())
    gt = NumpyArray(np.array([ids], np.uint8), axes="cyx", voxel_size=(1, 1))
    assert usual_method(task, gt) == method


def test_the_usual_method_where_there_is_but_one(two):
    gt = NumpyArray(two[None], axes="czyx", voxel_size=(1, 1, 1))
    one_hot = OneHotTaskConfig(name="o", classes=["a", "b"])
    dummy = DummyTaskConfig(name="nothing", embedding_dims=1, detection_threshold=0)
    for config in (affs(), one_hot, dummy):
        assert usual_method(config.task_type(config), gt) == 0
