"""What is shown before training is what training will see."""

from __future__ import annotations

import numpy as np
import pytest

from napari_dacapo_tasks.architectures import CNNectomeUNet, Model
from napari_dacapo_tasks.errors import DataError
from napari_dacapo_tasks.runs.augmentation import AugmentationConfig
from napari_dacapo_tasks.runs.data import TrainingData, Volume, together
from napari_dacapo_tasks.runs.data_config import SamplingConfig
from napari_dacapo_tasks.runs.trainer_config import TrainerConfig
from napari_dacapo_tasks.training.batches import show_batches
from napari_dacapo_tasks.training.loader import Loader
from napari_dacapo_tasks.training.samples import Sampler, Shapes

TRAINER = TrainerConfig(batch_size=2, seed=3, augmentation=AugmentationConfig(intensity=0.5))


@pytest.fixture
def volumes(volume):
    raw, truth = together(volume.array(volume.raw), volume.ground_truth())
    return [Volume("first", raw, truth), Volume("second", raw, truth, 2.0)]


def test_crops_are_those_of_the_first_batches(volumes, small_task, small_net):
    shown = list(show_batches(volumes, small_task, small_net, TRAINER, SamplingConfig(), 5))
    assert len(shown) == 5
    task = small_task.task_type(small_task.on_grid(volumes[0].raw.unit))
    model = task.create_model(small_net)
    shapes = Shapes.of(model, volumes[0].raw.voxel_size)
    data = TrainingData(tuple(volumes), (), (0.0, 255.0))
    loader = Loader(Sampler(data, task, shapes, TRAINER, SamplingConfig()), 2, 1, workers=0)
    for crop, number in zip(shown, range(4), strict=False):
        if number % 2 == 0:
            batch = loader.take(1 + number // 2)
        np.testing.assert_array_equal(crop.raw.data, batch.raw[number % 2].numpy())
        np.testing.assert_array_equal(crop.target.data, batch.target[number % 2].numpy())
        np.testing.assert_array_equal(crop.weight.data, batch.weight[number % 2].numpy())
    assert {crop.volume for crop in shown} == {"first", "second"}
    assert all(volumes[0].raw.roi.contains(crop.raw.roi) for crop in shown)
    assert any("mirrored" in crop.done for crop in shown)


def test_other_iterations_show_other_crops(volumes, small_task, small_net):
    parts = (volumes, small_task, small_net, TRAINER, SamplingConfig())
    (third,) = show_batches(*parts, 1, first=2)
    *_, same = show_batches(*parts, 3)
    np.testing.assert_array_equal(third.raw.data, same.raw.data)


def test_the_intensity_range_is_measured_or_given(volumes, small_task, small_net):
    parts = (volumes, small_task, small_net, TrainerConfig(), SamplingConfig(), 1)
    (measured,) = show_batches(*parts)
    (given,) = show_batches(*parts, intensity_range=(-255.0, 255.0))
    assert measured.raw.data.min() < -0.4
    assert given.raw.data.min() > -0.4


def test_without_a_volume_there_is_nothing_to_show(small_task, small_net):
    with pytest.raises(DataError, match="No row of the data trains"):
        next(show_batches([], small_task, small_net, TRAINER, SamplingConfig(), 1))


def test_shapes_of_an_architecture_are_those_of_its_model(small_task, volumes):
    net = CNNectomeUNet(
        input_shape=(32, 32, 32),
        num_fmaps=2,
        fmaps_out=2,
        fmap_inc_factor=2,
        downsample_factors=[(2, 2, 2)],
        upsample_factors=[(2, 2, 2)],
    )
    size = volumes[0].raw.voxel_size
    model = small_task.task_type(small_task).create_model(net)
    assert isinstance(model, Model)
    assert Shapes.of_architecture(net, size) == Shapes.of(model, size)
