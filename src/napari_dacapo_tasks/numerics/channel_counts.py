"""What a target and its weight are made of, counted in one pass over the voxels."""

from functools import partial
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from napari_dacapo_tasks.numerics.compiled import compiled
from napari_dacapo_tasks.numerics.threads import map_in_threads, slices

# Voxels that a thread counts at a time.
_BLOCK_VOXELS = 1 << 20
# Neighbours count into different histograms: a processor waits where the same number is raised
# twice in a row. A power of two.
_HISTOGRAMS = 8


class ChannelCounts(NamedTuple):
    """Counts of one channel; the weight range is None where no voxel has a weight."""

    foreground: int
    counted: int
    weight_range: tuple[float, float] | None
    histogram: NDArray[np.int64]


def count_channel(
    target: NDArray[Any],
    weight: NDArray[np.float32],
    known: NDArray[np.bool_],
    value_range: tuple[float, float],
    bins: int,
) -> ChannelCounts:
    """Count a channel.

    Parameters
    ----------
    target
        float32 or uint8, of one to three axes.
    weight, known
        Of the target's shape.
    value_range, bins
        Of the histogram. Values beyond the range go into the outermost bins.

    Returns
    -------
    ChannelCounts
        ``foreground``: how many known voxels have a target above 0. ``counted``: how many voxels
        have a weight above 0; of these are the lowest and highest weight, and the histogram.
    """
    lead = (1,) * (3 - target.ndim)
    parts: list[NDArray[Any]] = [
        array.reshape(lead + array.shape) for array in (target, weight, known)
    ]
    # The longest axis is cut, so that sections are counted in several threads, too.
    longest = int(np.argmax(parts[0].shape))
    values, weighs, is_known = (np.moveaxis(array, longest, 0) for array in parts)
    count = partial(_count_rows, values, weighs, is_known, value_range, bins)
    blocks = map_in_threads(count, slices(len(values), target.size, _BLOCK_VOXELS))
    numbers = sum((numbers for numbers, _, _ in blocks), np.zeros(2, np.int64))
    histogram = sum((histogram for _, histogram, _ in blocks), np.zeros(bins, np.int64))
    foreground, counted = (int(number) for number in numbers)
    extremes = np.array([limits for _, _, limits in blocks])
    found = (float(extremes[:, 0].min()), float(extremes[:, 1].max())) if counted else None
    return ChannelCounts(foreground, counted, found, histogram)


def _count_rows(
    target: NDArray[Any],
    weight: NDArray[np.float32],
    known: NDArray[np.bool_],
    value_range: tuple[float, float],
    bins: int,
    rows: slice,
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.float32]]:
    numbers, histogram = np.zeros(2, np.int64), np.zeros((_HISTOGRAMS, bins), np.int64)
    limits = np.array([np.inf, -np.inf], np.float32)
    low, high = value_range
    step = bins / (high - low)
    count = _count_uint8 if target.dtype == np.uint8 else _count_float32
    # Compiled loops take no array that cannot be written to: a weight may be one for all channels.
    count(
        np.require(target[rows], requirements="W"),
        np.require(weight[rows], requirements="W"),
        np.require(known[rows], requirements="W"),
        low,
        step,
        numbers,
        histogram,
        limits,
    )
    return numbers, histogram.sum(axis=0), limits


@compiled()
def _count(
    values: NDArray[Any],
    weight: NDArray[np.float32],
    known: NDArray[np.bool_],
    low: float,
    step: float,
    numbers: NDArray[np.int64],
    histogram: NDArray[np.int64],
    limits: NDArray[np.float32],
) -> None:
    """Add up one block; without branches, as a processor cannot guess what comes next."""
    foreground, counted = np.int64(0), np.int64(0)
    lowest, highest = limits
    infinite = np.float32(np.inf)
    last = histogram.shape[1] - 1
    for i in range(values.shape[0]):
        for j in range(values.shape[1]):
            for k in range(values.shape[2]):
                value, weighs = values[i, j, k], weight[i, j, k]
                weighed = np.int64(weighs > 0)
                foreground += np.int64(value > 0) & np.int64(known[i, j, k])
                counted += weighed
                lowest = min(lowest, weighs if weighs > 0 else infinite)
                highest = max(highest, weighs)
                place = min(max(np.int64((value - low) * step), 0), last)
                histogram[k & (_HISTOGRAMS - 1), place] += weighed
    numbers[0], numbers[1] = foreground, counted
    limits[0], limits[1] = lowest, highest


@compiled("void(f4[:,:,:],f4[:,:,:],b1[:,:,:],f4,f4,i8[:],i8[:,:],f4[:])")
def _count_float32(
    values: NDArray[np.float32],
    weight: NDArray[np.float32],
    known: NDArray[np.bool_],
    low: float,
    step: float,
    numbers: NDArray[np.int64],
    histogram: NDArray[np.int64],
    limits: NDArray[np.float32],
) -> None:
    _count(values, weight, known, low, step, numbers, histogram, limits)


@compiled("void(u1[:,:,:],f4[:,:,:],b1[:,:,:],f4,f4,i8[:],i8[:,:],f4[:])")
def _count_uint8(
    values: NDArray[np.uint8],
    weight: NDArray[np.float32],
    known: NDArray[np.bool_],
    low: float,
    step: float,
    numbers: NDArray[np.int64],
    histogram: NDArray[np.int64],
    limits: NDArray[np.float32],
) -> None:
    _count(values, weight, known, low, step, numbers, histogram, limits)
