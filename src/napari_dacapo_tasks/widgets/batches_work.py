"""Samples as training would see them, laid out to be looked at: plain generators, no widget."""

from __future__ import annotations

from collections.abc import Generator, Sequence
from dataclasses import dataclass
from math import lcm
from typing import Any

import numpy as np
from funlib.geometry import Coordinate, Roi
from numpy.typing import NDArray

from napari_dacapo_tasks.architectures import CNNectomeUNet
from napari_dacapo_tasks.arrays import LabelsConfig, NumpyArray
from napari_dacapo_tasks.runs.data_config import SamplingConfig
from napari_dacapo_tasks.runs.rows import Row
from napari_dacapo_tasks.runs.trainer_config import TrainerConfig
from napari_dacapo_tasks.tasks import TaskConfig
from napari_dacapo_tasks.widgets.pictures import Picture, draw

GAP_SHARE = 12
"""Between two samples there is one in so many parts of their width."""

OPAQUE = 255


@dataclass(frozen=True)
class BatchesRequest:
    """All that samples are made of; see `volumes_of` and `show_batches`.

    Attributes
    ----------
    count
        Number of samples.
    """

    rows: list[Row]
    labels: LabelsConfig
    task: TaskConfig
    architecture: CNNectomeUNet
    trainer: TrainerConfig
    sampling: SamplingConfig
    count: int = 4


@dataclass(frozen=True)
class SeenBatches:
    """Samples side by side, above each other raw data, target and weight of each.

    Attributes
    ----------
    raw, target, weight
        Each in one array, beside the raw data of the first row; NaN, of the weight 0, in between.
    channels
        A name for each channel of target and weight.
    ranges
        Lowest and highest value of each channel of the target.
    highest_weight
        Of all channels, 1 where none weighs anything.
    pictures
        Of several channels of the target.
    done
        For each sample, in words, where it is from and what was done to it.
    """

    raw: NumpyArray
    target: NumpyArray
    weight: NumpyArray
    channels: list[str]
    ranges: list[tuple[float, float]]
    highest_weight: float
    pictures: list[Picture]
    done: list[str]


def make_batches(request: BatchesRequest, first: int) -> Generator[float, None, SeenBatches]:
    """Make samples; what comes is the share that is done.

    Parameters
    ----------
    request
        What they are made of.
    first
        Iteration that they are of: with others come other samples.

    Raises
    ------
    DataError, ConfigError
        Where data, task and network do not fit together.
    """
    yield 0.0
    # torch, which takes seconds to import
    from napari_dacapo_tasks.runs.data import volumes_of
    from napari_dacapo_tasks.training.batches import show_batches

    data = volumes_of(
        request.rows,
        task=request.task,
        architecture=request.architecture,
        labels=request.labels,
    )
    crops = []
    for crop in show_batches(
        data.train,
        request.task,
        request.architecture,
        request.trainer,
        request.sampling,
        request.count,
        intensity_range=data.intensity_range,
        first=first,
    ):
        crops.append(crop)
        yield len(crops) / request.count
    predictor = request.task.task_type(request.task).predictor
    rows = [[crop.raw for crop in crops], [c.target for c in crops], [c.weight for c in crops]]
    raw_row = request.rows[0].raw.on_grid(crops[0].raw.unit)
    beside = Coordinate((*raw_row.roi.begin[:-1], raw_row.roi.end[-1]))
    raws, targets, weights = places(rows[0], rows, beside)
    several = len(data.train) > 1
    yield 1.0
    return SeenBatches(
        raw=mosaic(rows[0], raws, np.nan),
        target=mosaic(rows[1], targets, np.nan),
        weight=mosaic(rows[2], weights, 0.0),
        channels=list(predictor.target_channels),
        ranges=list(predictor.target_ranges),
        highest_weight=max(float(one.data.max(initial=0.0)) for one in rows[2]) or 1.0,
        pictures=pictured(rows[1], targets, predictor.composites, predictor.target_ranges),
        done=[
            f"{crop.volume}: {crop.done}" if several and crop.volume else crop.done
            for crop in crops
        ],
    )


def places(
    raws: Sequence[NumpyArray], rows: Sequence[Sequence[NumpyArray]], corner: Coordinate
) -> list[list[Coordinate]]:
    """Say where arrays begin: a column for each sample, row beneath row, with gaps in between.

    Parameters
    ----------
    raws
        The raw data of each sample, all of one size.
    rows
        Arrays of each sample, those of a row of one size; on all axes but that from row to row
        each stays where it lies in its raw data.
    corner
        What they lie beside.
    """
    dims = raws[0].dims
    # A whole number of voxels of all, so that none lies between two.
    voxels = [row[0].voxel_size for row in (raws, *rows)]
    step = Coordinate(lcm(*(voxel[axis] for voxel in voxels)) for axis in range(dims))
    size = raws[0].roi.shape
    gap = _rounded_up(Coordinate([max(size[-2:]) // GAP_SHARE] * dims), step)
    across = _rounded_up(size, step)[-1] + gap[-1]
    down = 0
    found = []
    for row in rows:
        begins = []
        for column, (raw, array) in enumerate(zip(raws, row, strict=True)):
            begin = list(corner + array.roi.begin - raw.roi.begin)
            begin[-2] = corner[-2] + down
            begin[-1] += gap[-1] + column * across
            begins.append(Coordinate(begin))
        found.append(begins)
        down += _rounded_up(row[0].roi.shape, step)[-2] + gap[-2]
    return found


def mosaic(arrays: Sequence[NumpyArray], begins: Sequence[Coordinate], fill: float) -> NumpyArray:
    """Lay arrays with channels into one of float32; between them it holds ``fill``."""
    roi = _union(arrays, begins)
    voxel = arrays[0].voxel_size
    values = np.full((len(arrays[0].data), *(roi.shape / voxel)), fill, np.float32)
    for array, begin in zip(arrays, begins, strict=True):
        values[(slice(None), *_slices(array, begin, roi))] = array.data
    return NumpyArray.from_np_array(values, roi, voxel, arrays[0].axes, arrays[0].unit)


def pictured(
    arrays: Sequence[NumpyArray],
    begins: Sequence[Coordinate],
    composites: Sequence[Any],
    ranges: Sequence[tuple[float, float]],
) -> list[Picture]:
    """Draw several channels of arrays, laid out as `mosaic` does; nothing is drawn in between."""
    roi = _union(arrays, begins)
    shape = tuple(roi.shape / arrays[0].voxel_size)
    drawn = [draw(array.data, composites, ranges) for array in arrays]
    made = []
    for index, composite in enumerate(composites):
        if composite.exclusive:  # the first class has no colour
            values: NDArray[Any] = np.zeros(shape, drawn[0][index].values.dtype)
        else:
            values = np.zeros((*shape, 4), np.uint8)
        for array, begin, pictures in zip(arrays, begins, drawn, strict=True):
            place = _slices(array, begin, roi)
            if composite.exclusive:
                values[place] = pictures[index].values
            else:
                values[place] = _with_alpha(pictures[index].values)
        made.append(Picture(composite, values))
    return made


def _with_alpha(colours: NDArray[Any]) -> NDArray[np.uint8]:
    if colours.dtype != np.uint8:
        colours = (colours * OPAQUE).clip(0, OPAQUE).astype(np.uint8)
    alpha = np.full((*colours.shape[:-1], 1), OPAQUE, np.uint8)
    return np.concatenate([colours, alpha], axis=-1)


def _union(arrays: Sequence[NumpyArray], begins: Sequence[Coordinate]) -> Roi:
    roi = Roi(begins[0], arrays[0].roi.shape)
    for array, begin in zip(arrays, begins, strict=True):
        roi = roi.union(Roi(begin, array.roi.shape))
    return roi


def _slices(array: NumpyArray, begin: Coordinate, whole: Roi) -> tuple[slice, ...]:
    first = (begin - whole.begin) / array.voxel_size
    size = array.roi.shape / array.voxel_size
    return tuple(slice(f, f + s) for f, s in zip(first, size, strict=True))


def _rounded_up(lengths: Coordinate, step: Coordinate) -> Coordinate:
    return Coordinate(-(-max(n, 1) // s) * s for n, s in zip(lengths, step, strict=True))
