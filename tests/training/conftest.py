"""Samplers of the small volume, and crops that validate, for all who test training."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
import torch
from funlib.geometry import Coordinate

from napari_dacapo_tasks.runs.augmentation import AugmentationConfig
from napari_dacapo_tasks.runs.data import TrainingData, Volume, together
from napari_dacapo_tasks.runs.data_config import SamplingConfig
from napari_dacapo_tasks.runs.rows import Row
from napari_dacapo_tasks.runs.trainer_config import TrainerConfig
from napari_dacapo_tasks.training.samples import Sampler, Shapes

INPUT, OUTPUT = (24, 24, 24), (8, 8, 8)

AS_IT_IS = AugmentationConfig(mirror=False, transpose=False, intensity=0.0)
"""Nothing is done to crops."""


@pytest.fixture
def two_threads() -> Iterator[int]:
    """Let PyTorch use two threads, to see that it still does when something has been done."""
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    yield 2
    torch.set_num_threads(before)


@pytest.fixture
def validated_rows(volume: Any) -> list[Row]:
    """Give the small volume to train on, and its middle to validate on: for the loop it is one."""
    raw = volume.array(volume.raw)
    middle = volume.array(volume.labels[12:28, 12:28, 12:28], offset=(96, 96, 96))
    return [Row(raw, volume.array(volume.labels)), Row(raw, middle, use="validate")]


@pytest.fixture
def sampler(volume: Any, small_task: Any) -> Callable[..., Sampler]:
    """Make samplers of the small volume, perhaps of other raw data, labels or task."""

    def make(
        raw: Any = None,
        ground_truth: Any = None,
        task: Any = None,
        seed: int = 0,
        output: Any = OUTPUT,
        augmentation: AugmentationConfig = AS_IT_IS,
        **sampling: float,
    ) -> Sampler:
        raw = volume.array(volume.raw) if raw is None else raw
        raw, truth = together(raw, ground_truth or volume.ground_truth())
        data = TrainingData((Volume("balls", raw, truth),), (), (0.0, 255.0))
        task = task or small_task
        built = task.task_type(task.on_grid(truth.labels.unit))
        shapes = Shapes(Coordinate(INPUT), Coordinate(output), truth.labels.voxel_size)
        config = TrainerConfig(seed=seed, augmentation=augmentation)
        return Sampler(data, built, shapes, config, SamplingConfig(**sampling))

    return make
