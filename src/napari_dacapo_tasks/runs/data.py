"""The data of a run, ready to be read."""

from __future__ import annotations

from dataclasses import dataclass
from math import prod

from napari_dacapo_tasks.arrays import Array, GroundTruth, NumpyArray, on_common_grid
from napari_dacapo_tasks.arrays.open import open_array
from napari_dacapo_tasks.runs.intensity import check_finite
from napari_dacapo_tasks.runs.run_folder import RunFolder

IN_MEMORY = 2 * 2**30
"""Bytes up to which an array is loaded; larger ones are read crop by crop."""


@dataclass(frozen=True)
class TrainingData:
    """Raw data and ground truth on one grid.

    Attributes
    ----------
    raw
        With or without channels.
    ground_truth
        Its voxels line up with those of the raw data.
    intensity_range
        Raw values that a network sees as -1 and 1.
    """

    raw: Array
    ground_truth: GroundTruth
    intensity_range: tuple[float, float]


def open_data(run: RunFolder) -> TrainingData:
    """Open the data of a run, in memory where it is small enough.

    Raises
    ------
    DataError
        Where a file is gone or does not fit the others, or raw data in memory is not finite.
    """
    data = run.config.data
    (crop,) = data.crops
    paths = [run.resolve(path) for path in (crop.raw, crop.gt, crop.mask) if path is not None]
    raw, labels, *masks = lined_up(*map(open_array, paths))
    raw = _in_memory(raw)
    if isinstance(raw, NumpyArray):
        check_finite(raw.data)
    ground_truth = GroundTruth(_in_memory(labels), data.labels, *map(_in_memory, masks))
    return TrainingData(raw, ground_truth, data.intensity_range)


def together(raw: Array, ground_truth: GroundTruth) -> tuple[Array, GroundTruth]:
    """Line up raw data and ground truth; raises DataError where that cannot be."""
    masks = [] if ground_truth.mask is None else [ground_truth.mask]
    raw, labels, *masks = lined_up(raw, ground_truth.labels, *masks)
    return raw, GroundTruth(labels, ground_truth.config, *masks)


def lined_up(raw: Array, *others: Array) -> tuple[Array, ...]:
    """Bring arrays onto one grid, and their voxels onto those of the raw data.

    What is off by part of a voxel moves to the nearest place where it is not, so that a crop
    begins with the same voxel however it is read.
    """
    raw, *others_on_grid = on_common_grid(raw, *others)
    return (raw, *(_moved_onto(raw, array) for array in others_on_grid))


def _moved_onto(raw: Array, array: Array) -> Array:
    if array.dims != raw.dims:
        return array  # refused where both meet
    size, origin = array.voxel_size, raw.roi.begin
    place = origin + (array.roi.begin - origin + size // 2) // size * size
    return array.moved_to(place)


def _in_memory(array: Array) -> Array:
    values = prod(array.shape) * (array.num_channels or 1)
    if values * array.dtype.itemsize > IN_MEMORY:
        return array
    return NumpyArray.from_np_array(
        array[array.roi], array.roi, array.voxel_size, array.axes, array.unit
    )
