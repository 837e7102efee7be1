import numpy as np
import pytest
from funlib.geometry import Coordinate
from pydantic import ValidationError

from napari_dacapo_tasks.arrays import NumpyArray
from napari_dacapo_tasks.errors import DataError
from napari_dacapo_tasks.tasks import DistanceTask, DistanceTaskConfig, Measured
from napari_dacapo_tasks.units import WorldUnit


def config(**changes):
    values = {"name": "d", "channels": ["a"], "clip_distance": 200, "tol_distance": 40}
    return DistanceTaskConfig(**{**values, "scale_factor": 50, **changes})


def test_a_task_is_built_of_its_config():
    task = config(channels=["a", "b"], mask_distances=False, clipmin=0.1).task_type(
        config(channels=["a", "b"], mask_distances=False, clipmin=0.1)
    )
    assert isinstance(task, DistanceTask)
    assert task.channels == ["a", "b"]
    predictor = task.predictor
    assert (predictor.scale_factor, predictor.mask_distances) == (50, False)
    assert (predictor.clipmin, predictor.clipmax) == (0.1, 0.95)
    assert predictor.output_array_type.classes == ["a", "b"]
    assert predictor.output_array_type.interpolatable
    assert config().verify()[0]


def test_the_ways_to_segmentations():
    threshold, watershed, components = DistanceTask(config()).methods
    assert [threshold.title, watershed.title] == ["Threshold", "Instances by watershed"]
    assert components.title == "Threshold and connected components"
    labels = np.zeros((6, 8), np.uint8)
    labels[1:5, 1:4], labels[1:5, 4:7] = 1, 2
    target = DistanceTask(config()).predictor.create_target(
        NumpyArray(labels, axes="yx", voxel_size=(40, 40))
    )
    foreground = threshold.post_processor.process(target, threshold.post_processor.default)
    np.testing.assert_array_equal(foreground.data[0] > 0, labels > 0)
    instances = watershed.post_processor.process(target, watershed.post_processor.default)
    np.testing.assert_array_equal(instances.data[0] > 0, labels > 0)
    assert len(np.unique(instances.data)) == 3, "touching objects come apart"
    scored = threshold.evaluator.evaluate(
        foreground, NumpyArray(labels[None], axes="cyx", voxel_size=(40, 40))
    )
    assert scored["a"]["dice"] == 1


@pytest.mark.parametrize(
    ("channels", "match"),
    [
        (["a", "b", "a"], "two channels are named a: give each its own name"),
        (["a", ""], "one of the channels has no name: give each its own name"),
        ([], "at least 1 item"),
    ],
)
def test_channels_have_names_of_their_own(channels, match):
    with pytest.raises(ValidationError, match=match):
        config(channels=channels)


def test_lengths_and_nothing_else_go_onto_the_grid():
    fine = config().on_grid(WorldUnit("nm", 10))
    assert (fine.scale_factor, fine.clip_distance, fine.tol_distance) == (500, 2000, 400)
    assert (fine.clipmin, fine.clipmax) == (0.05, 0.95)
    assert config().on_grid(WorldUnit("nm", 1)) == config()


def test_configs_are_frozen_and_closed():
    with pytest.raises(ValidationError, match="frozen"):
        config().scale_factor = 3
    with pytest.raises(ValidationError, match="Extra inputs"):
        config(colour="red")


@pytest.mark.parametrize(
    ("voxel_size", "radius", "scale"),
    [
        ((8, 8, 8), 80.0, 40.0),  # half the radius
        ((8, 8, 8), 4.0, 16.0),  # never under two voxels
        ((8, 8, 8), 5000.0, 64.0),  # nor over eight
        ((40, 4, 4), 200.0, 100.0),  # of the coarsest axis
        ((8, 8, 8), None, 32.0),  # no object to measure
    ],
)
def test_proposed_parameters_fit_the_data(voxel_size, radius, scale):
    proposed = DistanceTaskConfig.propose(["mito"], Measured(voxel_size, radius))
    assert proposed.scale_factor == scale
    assert proposed.channels == ["mito"]
    assert proposed.name == "mito_distance"
    assert proposed.clip_distance > proposed.tol_distance >= max(voxel_size)


@pytest.mark.parametrize(("mask_distances", "nanometres"), [(True, 55), (False, 91.5)])
def test_context_is_rounded_up_to_whole_voxels(mask_distances, nanometres):
    predictor = DistanceTask(config(mask_distances=mask_distances)).predictor
    context = predictor.padding(Coordinate(40, 8, 8))
    for size, voxel in zip(context, (40, 8, 8), strict=True):
        assert size % voxel == 0
        assert nanometres <= size < nanometres + voxel


def test_the_context_of_a_specification():
    class Spec:
        voxel_size = Coordinate(8, 8, 8)

        def __init__(self, roi):
            self.roi = roi

    from funlib.geometry import Roi

    spec = Spec(Roi((0, 0, 0), (80, 80, 80)))
    grown = DistanceTask(config()).predictor.gt_region_for_roi(spec)
    assert grown.roi == Roi((-56, -56, -56), (192, 192, 192))
    assert spec.roi == Roi((0, 0, 0), (80, 80, 80))


def test_a_scale_under_a_voxel_is_refused_with_the_voxel_size():
    labels = NumpyArray(np.ones((4, 4, 4), np.uint8), axes="zyx", voxel_size=(40, 8, 8))
    predictor = DistanceTask(config(scale_factor=1)).predictor
    with pytest.raises(DataError, match="scale factor of 1 nm is less than a voxel of 40 x 8 x 8"):
        predictor.create_target(labels)


def test_channels_of_ground_truth_and_task_must_agree():
    labels = NumpyArray(np.ones((2, 4, 4), np.uint8), axes="cyx", voxel_size=(8, 8))
    with pytest.raises(DataError, match=r"has 2 channels, but the task has 1 \(a\)"):
        DistanceTask(config()).predictor.create_target(labels)
