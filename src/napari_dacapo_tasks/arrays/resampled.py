"""An array at another voxel size, computed where it is read."""

from __future__ import annotations

from collections.abc import Sequence
from math import floor
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_dacapo_tasks.arrays.array import CHANNEL, TIME, Array, Sliceable
from napari_dacapo_tasks.errors import DataError
from napari_dacapo_tasks.units import NANOMETRE, WHOLE_TOLERANCE, place


class ResampledArray(Array):
    """Another array at another voxel size: the same place in the world, and float32 values.

    Along an axis that becomes finer, values lie linearly between those of the nearest two voxels'
    centres; along one that becomes coarser a value is the average over its voxel, each of the
    voxels beneath counted as far as it lies inside. Reading any part gives what reading all of it
    would.

    Parameters
    ----------
    array
        With or without channels.
    voxel_size
        Of the result, per spatial axis: in nanometres, or in voxels for an array without a
        physical unit.

    Raises
    ------
    DataError
        Where the array has no room for one such voxel, or the size fits on no grid.
    """

    def __init__(self, array: Array, voxel_size: Sequence[float]) -> None:
        steps = array.unit.steps
        space = [name for name in array.data_axes if name not in (CHANNEL, TIME)]
        physical = array.unit.name == NANOMETRE.name
        grid = place(
            space,
            voxel_size,
            [begin / steps for begin in array.roi.begin],
            ["nanometer" if physical else ""] * len(space),
        )
        factors = [
            size / grid.unit.steps * steps / old
            for size, old in zip(grid.voxel_size, array.voxel_size, strict=True)
        ]
        shape = [
            floor(n / factor * (1 + WHOLE_TOLERANCE))
            for n, factor in zip(array.shape, factors, strict=True)
        ]
        if min(shape) < 1:
            raise DataError(
                f"The image of {array.describe()} has no room for a voxel of "
                f"{grid.unit.describe(grid.voxel_size)}: choose a larger one."
            )
        super().__init__(
            _Resampled(array.data, array.data_axes, factors, shape),
            axes=array.data_axes,
            voxel_size=grid.voxel_size,
            offset=grid.offset,
            unit=grid.unit,
            attrs=array.attrs,
        )


class _Resampled:
    """Slices like the array behind it, with more or fewer voxels along its spatial axes.

    Parameters
    ----------
    factors
        Voxels of the array behind it in one of these, per spatial axis.
    shape
        Of the result, per spatial axis.
    """

    def __init__(
        self, data: Sliceable, axes: Sequence[str], factors: Sequence[float], shape: Sequence[int]
    ) -> None:
        self._data = data
        space = iter(zip(factors, shape, strict=True))
        self._along: list[tuple[float, int] | None] = [
            None if name in (CHANNEL, TIME) else next(space) for name in axes
        ]
        self.shape = tuple(
            n if along is None else along[1]
            for n, along in zip(data.shape, self._along, strict=True)
        )
        self.dtype = np.dtype(np.float32)

    def __getitem__(self, index: Sequence[slice | int]) -> NDArray[np.float32]:
        read: list[slice | int] = []
        taps: list[tuple[NDArray[np.intp], NDArray[np.float32]] | None] = []
        for one, along, length, there in zip(
            index, self._along, self.shape, self._data.shape, strict=True
        ):
            if along is None or not isinstance(one, slice):
                read.append(one)
                taps += [None] * isinstance(one, slice)
                continue
            start, stop, _ = one.indices(length)
            places, weights = taps_of(along[0], start, max(start, stop), there)
            low = int(places.min(initial=there))
            high = int(places.max(initial=low - 1)) + 1
            read.append(slice(low, high))
            taps.append((places - low, weights))
        values: NDArray[Any] = np.asarray(self._data[tuple(read)]).astype(np.float32)
        for axis, along_axis in enumerate(taps):
            if along_axis is not None:
                values = _resample(values, axis, *along_axis)
        return values


def taps_of(
    factor: float, start: int, stop: int, length: int
) -> tuple[NDArray[np.intp], NDArray[np.float32]]:
    """Give the voxels that each voxel of a resampled axis is made of, and how much each counts.

    Parameters
    ----------
    factor
        Voxels of the axis in one of the result.
    start, stop
        Voxels of the result.
    length
        Of the axis.

    Returns
    -------
    Two arrays of the shape ``(voxels of the result, taps)``; the second adds up to 1 in each row.
    """
    at = np.arange(start, stop, dtype=np.float64)
    if factor <= 1:
        centre = (at + 0.5) * factor - 0.5
        first = np.floor(centre)
        after = centre - first
        places = first[:, None] + np.arange(2)
        weights = np.stack([1 - after, after], axis=1)
    else:
        begin, end = at * factor, (at + 1) * factor
        places = np.floor(begin)[:, None] + np.arange(int(np.ceil(factor)) + 1)
        inside = np.minimum(places + 1, end[:, None]) - np.maximum(places, begin[:, None])
        # Past the last voxel, by rounding alone, there is nothing.
        weights = np.where(places < length, np.clip(inside, 0, None), 0)
        weights /= weights.sum(axis=1, keepdims=True)
    clipped = np.clip(places, 0, length - 1).astype(np.intp)
    return clipped, weights.astype(np.float32)


def _resample(
    values: NDArray[np.float32],
    axis: int,
    places: NDArray[np.intp],
    weights: NDArray[np.float32],
) -> NDArray[np.float32]:
    if places.shape[1] == 0 or len(places) == 0:
        return np.take(values, [], axis=axis)
    behind = (1,) * (values.ndim - 1 - axis)
    result: NDArray[np.float32] | None = None
    for voxels, weight in zip(places.T, weights.T, strict=True):
        part = np.take(values, voxels, axis=axis) * weight.reshape(-1, *behind)
        result = part if result is None else np.add(result, part, out=result)
    assert result is not None, "there is at least one tap"
    return result
