import numpy as np
import pytest
from pydantic import ValidationError

from napari_dacapo_tasks.arrays import GroundTruth, LabelsConfig, NumpyArray
from napari_dacapo_tasks.tasks.distances import DistancesTaskConfig
from napari_dacapo_tasks.tasks.files import task_to_dict
from napari_dacapo_tasks.tasks.inner_distance import InnerDistanceTask, InnerDistanceTaskConfig
from napari_dacapo_tasks.tasks.predictors.inner_distance import InnerDistancePredictor
from napari_dacapo_tasks.tasks.preview import preview
from napari_dacapo_tasks.tasks.task import Measured

DACAPO = {
    "__type__": "InnerDistanceTaskConfig",
    "name": "inner",
    "channels": ["mito", "er"],
    "clip_distance": 200.0,
    "tol_distance": 40.0,
    "scale_factor": 50.0,
}


def config(**changes):
    return InnerDistanceTaskConfig(
        **{k: v for k, v in {**DACAPO, **changes}.items() if k[0] != "_"}
    )


def test_fields_and_defaults_are_dacapos():
    assert task_to_dict(config()) == DACAPO
    values = {k: v for k, v in DACAPO.items() if k not in ("__type__", "scale_factor")}
    assert InnerDistanceTaskConfig(**values).scale_factor == 1


def test_a_task_is_built_of_its_config():
    task = config().task_type(config())
    assert isinstance(task, InnerDistanceTask)
    assert isinstance(task.predictor, InnerDistancePredictor)
    assert task.predictor.scale_factor == 50
    assert task.channels == config().ground_truth_channels == ["mito", "er"]
    assert config().verify()[0]
    assert type(task.loss).__name__ == "MSELoss"


def test_the_ways_to_segmentations():
    threshold, watershed, components = InnerDistanceTask(config()).methods
    assert [threshold.title, watershed.title] == ["Threshold", "Instances by watershed"]
    assert components.title == "Threshold and connected components"
    labels = np.zeros((2, 8, 12), np.uint8)
    labels[0, 2:6, 2:6], labels[0, 2:6, 6:10] = 1, 2
    truth = NumpyArray(labels, axes="cyx", voxel_size=(25, 25))
    target = InnerDistanceTask(config()).predictor.create_target(truth)
    foreground = threshold.post_processor.process(target, threshold.post_processor.default)
    np.testing.assert_array_equal(foreground.data > 0, labels > 0)
    assert threshold.evaluator.evaluate(foreground, truth)["mito"]["dice"] == 1
    instances = watershed.post_processor.process(target, watershed.post_processor.default)
    assert len(np.unique(instances.data[0])) == 3, "touching objects come apart"
    tried = [parameters.threshold for parameters in InnerDistanceTask(config()).parameters]
    assert min(tried) == 0, "below 0 everything is foreground"


def test_proposed_parameters_fit_the_data():
    proposed = InnerDistanceTaskConfig.propose(["mito"], Measured((8, 8, 8), 80.0))
    assert (proposed.name, proposed.scale_factor) == ("mito_inner_distance", 40)


def test_the_form_reads_well():
    assert InnerDistanceTaskConfig.title == "Inner distance"
    assert InnerDistanceTaskConfig.sections == DistancesTaskConfig.sections
    for field in InnerDistanceTaskConfig.model_fields.values():
        assert field.title
        assert field.description


@pytest.mark.parametrize(
    ("changes", "match"),
    [
        ({"channels": ["a", "b", "a"]}, "two channels are named a: give each its own name"),
        ({"channels": ["a", " "]}, "one of the channels has no name"),
        ({"channels": []}, "at least 1 item"),
        ({"scale_factor": 0}, "greater than 0"),
        ({"mask_distances": True}, "Extra inputs"),
    ],
)
def test_refused(changes, match):
    with pytest.raises(ValidationError, match=match):
        config(**changes)


def test_it_can_be_previewed():
    labels = np.zeros((12, 12, 12), np.uint8)
    labels[3:9, 3:9, 3:9] = 4
    ground_truth = GroundTruth(NumpyArray(labels, axes="zyx", voxel_size=(8,) * 3), LabelsConfig())
    *_, result = preview(config(channels=["objects"]), ground_truth)
    np.testing.assert_array_equal(result.target.data[0] > 0, labels > 0)
    (channel,) = result.statistics
    assert channel.foreground == (labels > 0).mean()
    assert result.bin_edges[0] == 0
    assert result.masks == {}
