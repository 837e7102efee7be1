import numpy as np
import pytest
import torch
from funlib.geometry import Coordinate
from pydantic import ValidationError

from napari_dacapo_tasks.arrays import GroundTruth, LabelsConfig, NumpyArray
from napari_dacapo_tasks.runs.data import TrainingData, Volume
from napari_dacapo_tasks.runs.data_config import SamplingConfig
from napari_dacapo_tasks.runs.trainer_config import TrainerConfig
from napari_dacapo_tasks.tasks.files import task_to_dict
from napari_dacapo_tasks.tasks.one_hot import OneHotTask, OneHotTaskConfig
from napari_dacapo_tasks.tasks.preview import preview
from napari_dacapo_tasks.tasks.task import LABELS, Measured
from napari_dacapo_tasks.training.loader import Loader
from napari_dacapo_tasks.training.samples import Sampler, Shapes

DACAPO = {
    "__type__": "OneHotTaskConfig",
    "name": "organelles",
    "classes": ["background", "mito", "er"],
    "kernel_size": 3,
}


def config(**changes):
    return OneHotTaskConfig(**{k: v for k, v in {**DACAPO, **changes}.items() if k[0] != "_"})


def test_fields_and_defaults_are_dacapos():
    assert task_to_dict(config()) == DACAPO
    assert OneHotTaskConfig(name="o", classes=["a", "b"]).kernel_size is None


def test_a_task_is_built_of_its_config():
    task = config().task_type(config())
    assert isinstance(task, OneHotTask)
    assert task.channels == ["background", "mito", "er"]
    assert config().ground_truth_channels == [LABELS]
    assert not config().has_channels()
    assert task.predictor.kernel_size == 3
    assert config().verify()[0]
    assert type(task.loss).__name__ == "CrossEntropyLoss"


def test_no_kernel_size_is_1_and_the_config_stays_as_it_is():
    given = config(kernel_size=None)
    assert OneHotTask(given).predictor.kernel_size == 1
    assert given.kernel_size is None


def test_the_way_to_a_segmentation():
    (method,) = OneHotTask(config()).methods
    assert method.title == "Most probable class"
    labels = np.random.default_rng(0).integers(0, 3, (4, 5, 6))
    target = OneHotTask(config()).predictor.create_target(
        NumpyArray(labels, axes="zyx", voxel_size=(8, 8, 8))
    )
    segmentation = method.post_processor.process(target, method.post_processor.default)
    np.testing.assert_array_equal(segmentation.data[0], labels)
    assert type(method.evaluator).__name__ == "OneHotEvaluator"


def test_two_classes_are_proposed():
    proposed = OneHotTaskConfig.propose(["mito"], Measured((8, 8, 8), 80.0))
    assert proposed.classes == ["background", "objects"]
    assert proposed.kernel_size is None


def test_the_form_reads_well():
    assert OneHotTaskConfig.title == "One-hot classes"
    assert OneHotTaskConfig.sections == {"Prediction head": ("kernel_size",)}
    for field in OneHotTaskConfig.model_fields.values():
        assert field.title
        assert field.description


@pytest.mark.parametrize(
    ("changes", "match"),
    [
        ({"classes": ["a", "b", "a"]}, "two classes are named a: give each its own name"),
        ({"classes": ["a", ""]}, "one of the classes has no name: give each its own name"),
        ({"classes": ["a"]}, "at least 2 items"),
        ({"classes": []}, "at least 2 items"),
        ({"kernel_size": 0}, "greater than or equal to 1"),
        ({"channels": ["a"]}, "Extra inputs"),
    ],
)
def test_refused(changes, match):
    with pytest.raises(ValidationError, match=match):
        config(**changes)


def truth(labels, **place):
    return GroundTruth(NumpyArray(labels, axes="zyx", voxel_size=(8,) * 3), LabelsConfig(**place))


def test_a_preview_tells_of_labels_that_are_no_class():
    labels = np.random.default_rng(0).integers(0, 5, (6, 7, 8)).astype(np.uint8)
    *_, result = preview(config(), truth(labels, ignore_label=4))
    assert result.target.dtype == np.uint8
    assert len(result.statistics) == 3
    strange = np.count_nonzero(labels == 3)
    (notice,) = [notice for notice in result.notices if "classes" in notice]
    assert notice.startswith(f"{strange} voxels have labels of none of the 3 classes (3)")
    assert result.statistics[0].dropped == pytest.approx(strange / np.count_nonzero(labels != 4))
    assert result.statistics[1].foreground == (labels == 1).sum() / (labels != 4).sum()


def test_training_takes_its_crops(volume):
    truth = volume.ground_truth(volume.array(volume.labels % 4))
    data = TrainingData((Volume("balls", volume.array(volume.raw), truth),), (), (0, 255))
    task = OneHotTask(config(classes=["background", "a"]))
    shapes = Shapes(Coordinate(24, 24, 24), Coordinate(8, 8, 8), Coordinate(8, 8, 8))
    batch = Loader(
        Sampler(data, task, shapes, TrainerConfig(), SamplingConfig()), 2, 0, workers=0
    ).take(0)
    assert batch.weight.shape == batch.target.shape == (2, 2, 8, 8, 8)
    assert batch.target.dtype == batch.weight.dtype == torch.float32
    no_class = batch.target.sum(dim=1) == 0
    assert no_class.any(), "labels 2 and 3 are none of the classes"
    assert (batch.weight[:, 0][no_class] == 0).all()
    loss = task.loss.compute(torch.zeros_like(batch.target), batch.target, batch.weight)
    assert torch.isfinite(loss)
    assert loss > 0
