"""A small learnable volume, and runs on it, for all who test runs, training or the command."""

from __future__ import annotations

import os

# Networks are tiny: several threads for one take longer than one, many times so on a busy machine.
os.environ["OMP_NUM_THREADS"] = "1"

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, settings

from napari_dacapo_tasks.architectures import CNNectomeUNet
from napari_dacapo_tasks.arrays import Array, Channel, GroundTruth, LabelsConfig
from napari_dacapo_tasks.runs.create import Row, create_run
from napari_dacapo_tasks.runs.run_folder import RunFolder
from napari_dacapo_tasks.runs.trainer_config import TrainerConfig
from napari_dacapo_tasks.tasks import DistanceTaskConfig

# No example fails for being slow: that says more of the machine than of the code.
settings.register_profile(
    "patient", settings(), deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile("patient")

EDGE = 40
VOXEL = (8, 8, 8)

TASK = DistanceTaskConfig(
    name="balls", channels=["balls"], scale_factor=24, clip_distance=80, tol_distance=16
)
NET = CNNectomeUNet(
    input_shape=(24, 24, 24),
    num_fmaps=4,
    fmaps_out=4,
    fmap_inc_factor=2,
    downsample_factors=[(2, 2, 2)],
)
"""Answers for 8 voxels a side."""

LABELS = LabelsConfig(channels=(Channel(name="balls"),))

OF_ROW = ("raw_path", "use", "share", "validation_block", "name")


class Volume:
    """Bright balls in noise: raw data and labels, and ways to spoil them."""

    def __init__(self) -> None:
        random = np.random.default_rng(0)
        axes = np.indices((EDGE,) * 3)
        self.labels = np.zeros((EDGE,) * 3, np.uint8)
        for ball, centre in enumerate(random.integers(4, EDGE - 4, (12, 3)), start=1):
            near = sum((axis - c) ** 2 for axis, c in zip(axes, centre, strict=True)) < 6**2
            self.labels[near] = ball
        bright = np.where(self.labels > 0, 180, 70) + random.normal(0, 20, self.labels.shape)
        self.raw = bright.clip(0, 255).astype(np.uint8)

    @staticmethod
    def array(
        values: Any, voxel_size: Any = VOXEL, offset: Any = None, axes: str = "zyx", **more: Any
    ) -> Array:
        """Put values somewhere."""
        return Array(values, axes=axes, voxel_size=voxel_size, offset=offset, **more)

    def ground_truth(
        self, labels: Any = None, mask: Any = None, channel: str = "balls", **config: Any
    ) -> GroundTruth:
        """Give labels, its own where none are given, as ground truth of one channel."""
        labels = self.array(self.labels) if labels is None else labels
        channels = config.pop("channels", (Channel(name=channel),))
        return GroundTruth(labels, LabelsConfig(channels=channels, **config), mask)


@pytest.fixture
def volume() -> Volume:
    return Volume()


@pytest.fixture
def make_run(tmp_path: Path, volume: Volume) -> Callable[..., RunFolder]:
    """Make runs of the small volume; arguments as of `create_run`, trainer's as a dictionary.

    In place of ``rows`` and ``labels`` there can be ``raw``, ``ground_truth`` and what else a
    single `Row` has.
    """

    def make(name: str = "run", **changes: Any) -> RunFolder:
        trainer = {"iterations": 8, "snapshot_interval": 1000, "device": "cpu"}
        trainer |= changes.pop("trainer", {})
        if "rows" not in changes:
            truth = changes.pop("ground_truth", None) or volume.ground_truth()
            raw = changes.pop("raw", None) or volume.array(volume.raw)
            of_row = {one: changes.pop(one) for one in OF_ROW if one in changes}
            changes["rows"] = [Row(raw, truth.labels, truth.mask, **of_row)]
            changes["labels"] = truth.config
        parts = {"task": TASK, "architecture": NET, "labels": LABELS, **changes}
        steps = create_run(tmp_path / name, trainer=TrainerConfig(**trainer), **parts)
        while True:
            try:
                next(steps)
            except StopIteration as stop:
                return stop.value

    return make


@pytest.fixture
def small_task() -> DistanceTaskConfig:
    return TASK


@pytest.fixture
def small_net() -> CNNectomeUNet:
    return NET
