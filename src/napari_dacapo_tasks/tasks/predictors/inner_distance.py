"""Distances to the nearest boundary inside of objects, squashed with tanh."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from napari_dacapo_tasks.numerics.threads import map_in_threads, slices
from napari_dacapo_tasks.tasks.predictors.distance import DistancePredictor

BLOCK_VOXELS = 1 << 17
"""Voxels that a thread clears at a time."""


class InnerDistancePredictor(DistancePredictor):
    """Predicts ``tanh(d / scale_factor)`` inside of objects and 0 outside, per channel.

    Parameters
    ----------
    channels
        Names of the channels.
    scale_factor
        In grid steps.
    """

    def __init__(self, channels: Sequence[str], scale_factor: float) -> None:
        super().__init__(channels, scale_factor, mask_distances=False)

    @property
    def target_ranges(self) -> list[tuple[float, float]]:
        """From outside to the highest value of tanh."""
        return [(0.0, 1.0)] * len(self.channels)

    def process(
        self,
        labels: NDArray[Any],
        voxel_size: Sequence[float],
        normalize: Literal["tanh"] | None = None,
        normalize_args: float | None = None,
        *,
        out: NDArray[np.float32] | None = None,
    ) -> NDArray[np.float32]:
        """Make inner distances of ids; parameters and result as of signed ones."""
        distances = super().process(labels, voxel_size, normalize, normalize_args, out=out)
        for channel in distances:
            blocks = slices(len(channel), channel.size, BLOCK_VOXELS)
            map_in_threads(partial(_clear_outside, channel), blocks)
        return distances


def _clear_outside(signed: NDArray[np.float32], rows: slice) -> None:
    """Put 0 where signed distances are negative: outside, and nowhere else."""
    np.maximum(signed[rows], 0, out=signed[rows])
