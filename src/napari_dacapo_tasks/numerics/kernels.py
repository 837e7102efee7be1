"""A truncated Gaussian along one axis, times powers of the offset, as tables for `moments`."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

TRUNCATION = 3.0
"""Sigmas at which the Gaussian ends."""


def reach_of(sigma: float) -> int:
    """Give the voxels that a Gaussian of so many voxels reaches to either side (SciPy's rule)."""
    return int(TRUNCATION * sigma + 0.5)


def gaussian(sigma: float, reach: int) -> NDArray[np.float64]:
    """Tabulate a Gaussian that is 1 in its middle at the offsets from ``-reach`` to ``reach``."""
    offsets = np.arange(-reach, reach + 1)
    weights: NDArray[np.float64] = np.exp(-0.5 * (offsets / sigma) ** 2)
    return weights


def weighted_offsets(weights: NDArray[np.float64]) -> NDArray[np.float32]:
    """Give the weights times 1, the offset and its square, of one offset after the other."""
    return np.ascontiguousarray(_times_powers(weights).T, np.float32).ravel()


def cumulated_offsets(weights: NDArray[np.float64], lanes: int) -> NDArray[np.float64]:
    """Sum the weights times 1, the offset and its square up to an offset, for sums over runs.

    The three tables follow each other. Place ``i`` of one holds the sum over all offsets below
    ``reach + lanes + 1 - i``: at both ends they go on for ``lanes`` places more than change
    anything, so that a stretch of so many places may begin at the first or end at the last.
    """
    sums = np.pad(np.cumsum(_times_powers(weights), axis=1), ((0, 0), (1, 0)))
    return np.pad(sums, ((0, 0), (lanes, lanes)), mode="edge")[:, ::-1].ravel()


def _times_powers(weights: NDArray[np.float64]) -> NDArray[np.float64]:
    reach = len(weights) // 2
    offsets = np.arange(-reach, reach + 1)
    return np.stack([weights, offsets * weights, offsets**2 * weights])
