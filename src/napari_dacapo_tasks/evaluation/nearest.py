"""Reading labels on the voxels of others: of each the nearest, so no label is ever mixed."""

from __future__ import annotations

import numpy as np
from funlib.geometry import Coordinate, Roi

from napari_dacapo_tasks.arrays import Array, NumpyArray
from napari_dacapo_tasks.arrays.array import CHANNEL


def are_multiples(one: Coordinate, other: Coordinate) -> bool:
    """Whether along each axis one voxel size is a whole multiple of the other."""
    return all(max(a, b) % min(a, b) == 0 for a, b in zip(one, other, strict=True))


def covered(roi: Roi, voxel_size: Coordinate, array: Array) -> Roi:
    """Give the voxels of a region whose middle lies in an array on the same grid.

    Of voxels of one size that are shifted by part of a voxel these are the ones that are nearest
    to a voxel of the array.

    Parameters
    ----------
    roi
        In whole voxels of ``voxel_size``.

    Returns
    -------
    A part of ``roi``, empty where there is none.
    """
    first, count = [], []
    for begin, length, step, low, high in zip(
        roi.begin, roi.shape, voxel_size, array.roi.begin, array.roi.end, strict=True
    ):
        # In halves, which are whole numbers: rounding would cut voxels off far from the origin.
        start = max(0, -((2 * (begin - low) + step) // (2 * step)))
        stop = min(length // step, -((2 * (begin - high) + step) // (2 * step)))
        first.append(start)
        count.append(max(0, stop - start))
    if not all(count):
        return Roi(roi.begin, roi.shape * 0)
    return Roi(roi.begin + Coordinate(first) * voxel_size, Coordinate(count) * voxel_size)


def nearest_voxels(array: Array, roi: Roi, voxel_size: Coordinate) -> NumpyArray:
    """Read of each voxel of a region the one of the array that its middle lies in.

    Parameters
    ----------
    array
        With or without channels, and voxels of any size.
    roi, voxel_size
        What `covered` gives; in grid steps of the array.
    """
    inside, places = [], []
    for begin, length, step, low, size, number in zip(
        roi.begin,
        roi.shape,
        voxel_size,
        array.roi.begin,
        array.voxel_size,
        array.shape,
        strict=True,
    ):
        middles = 2 * (begin - low) + step * (2 * np.arange(length // step, dtype=np.int64) + 1)
        indices = np.clip(middles // (2 * size), 0, number - 1)
        first = int(indices[0])
        inside.append((low + first * size, (int(indices[-1]) - first + 1) * size))
        places.append(indices - first)
    values = array[Roi(*(Coordinate(part) for part in zip(*inside, strict=True)))]
    for axis, indices in enumerate(places, start=values.ndim - len(places)):
        if len(indices) != values.shape[axis] or np.any(np.diff(indices) != 1):
            values = np.take(values, indices, axis=axis)
    space = [name for name in array.axes if name != CHANNEL]
    axes = [CHANNEL, *space] if array.num_channels is not None else space
    return NumpyArray.from_np_array(values, roi, voxel_size, axes, array.unit)
