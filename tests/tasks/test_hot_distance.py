import numpy as np
import pytest
from pydantic import ValidationError

from napari_dacapo_tasks.arrays import GroundTruth, LabelsConfig, NumpyArray
from napari_dacapo_tasks.tasks.files import task_to_dict
from napari_dacapo_tasks.tasks.hot_distance import HotDistanceTask, HotDistanceTaskConfig
from napari_dacapo_tasks.tasks.preview import preview
from napari_dacapo_tasks.tasks.task import Measured

DACAPO = {
    "__type__": "HotDistanceTaskConfig",
    "name": "hot",
    "channels": ["mito", "er"],
    "clip_distance": 200.0,
    "tol_distance": 40.0,
    "scale_factor": 50.0,
    "mask_distances": True,
    "kernel_size": 3,
}


def config(**changes):
    return HotDistanceTaskConfig(**{k: v for k, v in {**DACAPO, **changes}.items() if k[0] != "_"})


def test_fields_and_defaults_are_dacapos():
    assert task_to_dict(config()) == DACAPO
    required = {key: DACAPO[key] for key in ("name", "channels", "clip_distance", "tol_distance")}
    plain = HotDistanceTaskConfig(**required)
    assert (plain.scale_factor, plain.mask_distances, plain.kernel_size) == (1, False, None)


def test_a_task_is_built_of_its_config():
    task = config().task_type(config())
    assert isinstance(task, HotDistanceTask)
    assert task.channels == ["mito one-hot", "er one-hot", "mito distance", "er distance"]
    assert config().ground_truth_channels == ["mito", "er"]
    assert task.predictor.distances.scale_factor == 50
    assert task.predictor.distances.mask_distances
    assert task.predictor.kernel_size == 3
    assert config().verify()[0]
    assert type(task.loss).__name__ == "HotDistanceLoss"


def test_no_kernel_size_is_1_and_the_config_stays_as_it_is():
    # DaCapo writes 3 into the config that it was given.
    given = config(kernel_size=None)
    assert HotDistanceTask(given).predictor.kernel_size == 1
    assert given.kernel_size is None


def test_the_ways_to_segmentations_take_the_distances():
    methods = HotDistanceTask(config()).methods
    assert [method.title for method in methods] == [
        "Threshold",
        "Instances by watershed",
        "Threshold and connected components",
    ]
    # One-hot halves that say the opposite: DaCapo's evaluation fails, ours never looks at them.
    distances = np.full((2, 6, 8), -0.5, np.float32)
    distances[0, 1:5, 2:6] = 0.5
    distances[1, 2:4, 1:3] = 0.5
    target = np.concatenate([(distances < 0).astype(np.float32), distances])
    prediction = NumpyArray(target, axes="cyx", voxel_size=(8, 8))
    for method in methods:
        processor = method.post_processor
        segmentation = processor.process(prediction, processor.default)
        np.testing.assert_array_equal(segmentation.data > 0, distances > 0)


def test_proposed_parameters_fit_the_data():
    proposed = HotDistanceTaskConfig.propose(["mito"], Measured((8, 8, 8), 80.0))
    assert (proposed.name, proposed.scale_factor) == ("mito_hot_distance", 40)


def test_the_form_reads_well():
    assert HotDistanceTaskConfig.title == "Hot distance"
    assert list(HotDistanceTaskConfig.sections) == ["Prediction head", "Scores"]
    for field in HotDistanceTaskConfig.model_fields.values():
        assert field.title
        assert field.description


@pytest.mark.parametrize(
    ("changes", "match"),
    [
        ({"channels": ["a", "a"]}, "two channels are named a"),
        ({"kernel_size": 0}, "greater than or equal to 1"),
        ({"kernel_size": 1.5}, "valid integer"),
        ({"clipmin": 0.1}, "Extra inputs"),
    ],
)
def test_refused(changes, match):
    with pytest.raises(ValidationError, match=match):
        config(**changes)


def test_it_can_be_previewed():
    labels = np.zeros((20, 20, 20), np.uint8)
    labels[3:9, 3:9, 3:9] = 4
    ground_truth = GroundTruth(NumpyArray(labels, axes="zyx", voxel_size=(8,) * 3), LabelsConfig())
    *_, result = preview(config(channels=["objects"], scale_factor=20), ground_truth)
    np.testing.assert_array_equal(result.target.data[0], labels > 0)
    one_hot, distance = result.statistics
    assert (one_hot.channel, distance.channel) == ("objects one-hot", "objects distance")
    assert one_hot.foreground == distance.foreground == (labels > 0).mean()
    assert one_hot.dropped == 0 < distance.dropped
    assert result.masks["distance mask"].num_channels == 1
