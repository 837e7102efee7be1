"""Cutting a block that validates out of a crop that trains."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from math import ceil

from funlib.geometry import Coordinate, Roi

from napari_dacapo_tasks.architectures import CNNectomeUNet
from napari_dacapo_tasks.arrays import Array
from napari_dacapo_tasks.errors import DataError
from napari_dacapo_tasks.runs.data_config import parsed_block
from napari_dacapo_tasks.tasks import TaskConfig


@dataclass(frozen=True)
class Box:
    """What is left beside a block, on one side of it.

    Attributes
    ----------
    outputs
        Where a network may answer in training: outside of the guard band.
    axis, begin, end
        Where the block is not: it may look at everything up to there.
    """

    outputs: Roi
    axis: int
    begin: int | None = None
    end: int | None = None

    def of(self, array: Array) -> Array:
        """Give what may be looked at of an array."""
        region = _cut(array.roi, self.axis, self.begin, self.end)
        return array.window(region)


def block_region(text: str, labels: Array) -> Roi:
    """Give the region of a block.

    Parameters
    ----------
    text
        Ranges in voxels of ``labels``, such as ``120:160,:,:``, ends as in Python.
    labels
        What it is cut out of.

    Raises
    ------
    DataError
        Where it has another number of axes, is empty, or is all there is.
    """
    ranges = parsed_block(text)
    shape = labels.shape
    size = " x ".join(str(n) for n in shape)
    if len(ranges) != len(shape):
        example = ",".join(["0:20", *":" * (len(shape) - 1)])
        raise DataError(
            f"The validation block {text} is not of as many ranges as the ground truth has axes, "
            f"{len(shape)}: give a range for each, such as {example}."
        )
    places = [part.indices(n)[:2] for part, n in zip(ranges, shape, strict=True)]
    if any(begin >= end for begin, end in places):
        raise DataError(
            f"The validation block {text} is empty in a ground truth of {size} voxels: choose a "
            "range inside of it."
        )
    if all(end - begin == n for (begin, end), n in zip(places, shape, strict=True)):
        raise DataError(
            f"The validation block {text} is the whole ground truth of {size} voxels, so nothing "
            "is left to train on: choose a smaller one, or let this crop validate as a whole."
        )
    voxel = labels.voxel_size
    begin = Coordinate(begin for begin, _ in places)
    end = Coordinate(end for _, end in places)
    return Roi(labels.roi.begin + begin * voxel, (end - begin) * voxel)


def guard_band(
    task: TaskConfig, architecture: CNNectomeUNet, raw: Array, labels: Array
) -> Coordinate:
    """Give how far from a validation block training stays, in grid steps, in whole voxels.

    As far as the network looks beyond its output on either side, and as a target depends on
    labels. A network with padding ``same`` looks as far as the same one without padding.
    """
    context = architecture.model_copy(update={"padding": "valid"}).context
    seen = context * architecture.scale(raw.voxel_size)
    padding = task.task_type(task.on_grid(labels.unit)).predictor.padding(labels.voxel_size)
    voxel = labels.voxel_size
    return Coordinate(
        ceil(max(-(-s // 2), p) / v) * v for s, p, v in zip(seen, padding, voxel, strict=True)
    )


def boxes_beside(block: Roi, guard: Coordinate, whole: Roi) -> Iterator[Box]:
    """Give what is left of a region before and after a block along each axis, where there is any.

    Boxes of different axes share corners.
    """
    for axis in range(block.dims):
        for begin, end in ((None, block.begin[axis]), (block.end[axis], None)):
            outputs = _cut(
                whole,
                axis,
                None if begin is None else begin + guard[axis],
                None if end is None else end - guard[axis],
            )
            if not outputs.empty:
                yield Box(outputs, axis, begin, end)


def _cut(region: Roi, axis: int, begin: int | None, end: int | None) -> Roi:
    """Give the part of a region between two places on an axis; None is as far as it goes."""
    low, high = list(region.begin), list(region.end)
    if begin is not None:
        low[axis] = max(low[axis], begin)
    if end is not None:
        high[axis] = min(high[axis], end)
    high[axis] = max(low[axis], high[axis])
    return Roi(Coordinate(low), Coordinate(high) - Coordinate(low))
