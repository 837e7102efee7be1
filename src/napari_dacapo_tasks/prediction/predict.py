"""From an image to a prediction, in memory or on a disk, in this process."""

from __future__ import annotations

from collections import deque
from collections.abc import Generator, Iterator
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import closing
from itertools import product
from math import prod
from pathlib import Path
from time import perf_counter
from typing import Any

import numpy as np
from funlib.geometry import Coordinate, Roi
from numpy.typing import NDArray

from napari_dacapo_tasks.arrays import NumpyArray
from napari_dacapo_tasks.arrays.array import CHANNEL
from napari_dacapo_tasks.arrays.growing_image import Exists, GrowingImage
from napari_dacapo_tasks.arrays.growing_layout import CHUNKS_OF_BLOCK, SHARDED_FROM
from napari_dacapo_tasks.arrays.ome_zarr import CHUNK
from napari_dacapo_tasks.errors import DataError
from napari_dacapo_tasks.prediction.config import PredictionConfig
from napari_dacapo_tasks.prediction.events import Filled, Notice, Opened, PredictionEvent
from napari_dacapo_tasks.prediction.fit import IN_MEMORY_BYTES, PredictionPlan
from napari_dacapo_tasks.prediction.inference import Inference
from napari_dacapo_tasks.prediction.prediction import Prediction
from napari_dacapo_tasks.prediction.stored import plan_attrs

__all__ = ["IN_MEMORY_BYTES", "predict"]

REGION_BYTES = 2**28
"""Of a region that is predicted at once, and of what waits to be written meanwhile."""

POLL_SECONDS = 0.2
"""Between two signs of life while a disk is slower than the network."""


def predict(
    plan: PredictionPlan,
    config: PredictionConfig,
    out: str | Path | None = None,
    *,
    exists: Exists = "refuse",
) -> Generator[PredictionEvent, None, Prediction]:
    """Predict what a plan says; to stop, leave the generator.

    Stopped or failed, what was predicted until then stays in memory, or on the disk, where it can
    be read, and resumed.

    Parameters
    ----------
    plan
        Its notices are not told again.
    config
        The one of the plan.
    out
        Folder of an OME-Zarr image to write into, block by block; into memory if left out.
    exists
        What to do where the folder is taken: refuse, overwrite what is there, or go on with the
        same prediction where it was left.

    Yields
    ------
    PredictionEvent
        `Opened` first. A `Filled` whose region is empty only says that it still goes on.

    Returns
    -------
    Prediction
        The whole.

    Raises
    ------
    DataError
        Where raw data cannot be read, is NaN or infinite, or the folder cannot be written;
        `DataTakenError` where it is taken.
    DeviceError
        Where there is no such device, or its memory does not suffice for the smallest tile.
    """
    trained = plan.trained
    if out is None:
        values = _in_memory(plan)
        with Inference(trained, config) as inference:
            yield Opened(values, inference.label)
            yield from _fill_memory(plan, inference, values)
        return Prediction(values, trained.task, trained.name, trained.run)
    image = GrowingImage.create(
        out,
        roi=plan.roi,
        voxel_size=plan.voxel_size,
        unit=plan.unit,
        axes=plan.axes,
        num_channels=plan.num_channels,
        dtype=plan.dtype,
        name=trained.name,
        attrs=plan_attrs(plan, config),
        exists=exists,
        block_shape=_block_shape(plan),
    )
    with Inference(trained, config) as inference:
        yield Opened(image.array, inference.label)
        yield from _fill_image(plan, inference, image)
    progress = _Progress(plan)
    for _ in image.finish():
        yield progress.still_going(prod(plan.shape))
    return Prediction(image.array, trained.task, trained.name, trained.run)


class _Progress:
    """Makes events with speed, and shares that only rise."""

    def __init__(self, plan: PredictionPlan, done: int = 0) -> None:
        self._plan = plan
        self._begun = perf_counter()
        self._before = self.done = done
        self._all = prod(plan.shape)
        self._share = 0.0

    def filled(self, roi: Roi) -> Filled:
        """Count a region that is done."""
        self.done += prod(roi.shape / self._plan.voxel_size)
        return self._event(roi, self.done / self._all)

    def still_going(self, voxels: float) -> Filled:
        """Say that so many are computed, of which no more can be seen yet."""
        nothing = Roi(self._plan.roi.begin, self._plan.roi.shape * 0)
        return self._event(nothing, voxels / self._all)

    def _event(self, roi: Roi, share: float) -> Filled:
        self._share = max(self._share, share)
        voxels = self._share * self._all - self._before
        return Filled(roi, self._share, voxels / max(perf_counter() - self._begun, 1e-9))


def _in_memory(plan: PredictionPlan) -> NumpyArray:
    try:
        values = np.zeros((plan.num_channels, *plan.shape), plan.dtype)
    except MemoryError:
        raise DataError(
            f"The prediction takes {plan.bytes / 1e9:.1f} GB, for which memory does not suffice: "
            "write it to a folder, or predict a smaller region."
        ) from None
    axes = (CHANNEL, *plan.axes)
    return NumpyArray.from_np_array(values, plan.roi, plan.voxel_size, axes, plan.unit)


def _fill_memory(
    plan: PredictionPlan, inference: Inference, values: NumpyArray
) -> Iterator[PredictionEvent]:
    progress = _Progress(plan)
    steps = inference.fill(plan, plan.roi, values.data)
    with closing(steps):
        for step in steps:
            yield from map(Notice, inference.notices())
            if step.roi is None:
                yield progress.still_going(step.share * prod(plan.shape))
            else:
                yield progress.filled(step.roi)


def _block_shape(plan: PredictionPlan) -> tuple[int, ...] | None:
    """Let small images be in blocks of a chunk along the first axis, which are soon written.

    The blocks of large ones are files with many chunks, as large as they may be.
    """
    edge = CHUNK[len(plan.shape)]
    wide = (CHUNKS_OF_BLOCK * edge,) * (len(plan.shape) - 1)
    return None if plan.bytes >= SHARDED_FROM else (edge, *wide)


def _fill_image(
    plan: PredictionPlan, inference: Inference, image: GrowingImage
) -> Iterator[PredictionEvent]:
    """Predict region by region, and write what is final while the network goes on."""
    voxel_bytes = plan.num_channels * plan.dtype.itemsize
    todo = list(regions_to_predict(image, voxel_bytes))
    missing = sum(prod(roi.shape / plan.voxel_size) for roi in todo)
    progress = _Progress(plan, prod(plan.shape) - missing)
    computed = progress.done
    with ThreadPoolExecutor(1, thread_name_prefix="to disk") as pool:
        writer = _Writer(image, pool, progress)
        for roi in todo:
            shape = roi.shape / plan.voxel_size
            values = np.zeros((plan.num_channels, *shape), plan.dtype)
            rows = deque(_rows(image, roi))
            steps = inference.fill(plan, roi, values)
            with closing(steps):
                for step in steps:
                    yield from map(Notice, inference.notices())
                    while rows and rows[0][1].stop <= step.final:
                        row, part = rows.popleft()
                        # A copy, since with too little memory the region is begun anew.
                        found = values[:, part].copy()
                        yield from writer.until_there_is_room(found.nbytes)
                        writer.write(row, found)
                    yield from writer.written()
                    yield progress.still_going(computed + step.share * prod(shape))
            computed += prod(shape)
        yield from writer.until_all_is_written()


class _Writer:
    """Writes parts of an image in a thread, and tells when they are there."""

    def __init__(self, image: GrowingImage, pool: ThreadPoolExecutor, progress: _Progress) -> None:
        self._image = image
        self._pool = pool
        self._progress = progress
        self._under_way: deque[tuple[Roi, int, Future[None]]] = deque()

    def write(self, roi: Roi, values: NDArray[Any]) -> None:
        future = self._pool.submit(self._image.write, roi, values)
        self._under_way.append((roi, values.nbytes, future))

    def written(self) -> Iterator[Filled]:
        """Tell what came to the disk meanwhile."""
        while self._under_way and self._under_way[0][2].done():
            roi, _, future = self._under_way.popleft()
            future.result()
            yield self._progress.filled(roi)

    def until_there_is_room(self, size: int) -> Iterator[Filled]:
        """Wait until what is in memory is no more than a region, with so many bytes in addition."""
        while self._under_way:
            if sum(held for _, held, _ in self._under_way) + size <= REGION_BYTES:
                return
            yield from self._next()

    def until_all_is_written(self) -> Iterator[Filled]:
        while self._under_way:
            yield from self._next()

    def _next(self) -> Iterator[Filled]:
        while not wait([self._under_way[0][2]], POLL_SECONDS).done:
            yield self._progress.still_going(self._progress.done)
        yield from self.written()


def _rows(image: GrowingImage, roi: Roi) -> Iterator[tuple[Roi, slice]]:
    """Give whole blocks along the first axis, and where they lie in a region."""
    size = image.voxel_size[0]
    step = image.block_shape[0] * size
    for begin in range(roi.begin[0], roi.end[0], step):
        end = min(begin + step, roi.end[0])
        row = Roi((begin, *roi.begin[1:]), (end - begin, *roi.shape[1:]))
        yield row, slice((begin - roi.begin[0]) // size, (end - roi.begin[0]) // size)


def regions_to_predict(image: GrowingImage, voxel_bytes: int) -> Iterator[Roi]:
    """Give boxes of blocks that are not written yet, as large as may be in memory at once.

    A network sees farther than it answers, so that few large regions take less time than many
    small ones.

    Parameters
    ----------
    image
        What is to be filled.
    voxel_bytes
        Of a voxel with all its channels.
    """
    blocks = Coordinate(image.grid)
    box = [1] * len(blocks)
    block_bytes = prod(image.block_shape) * voxel_bytes
    while True:
        room = [axis for axis, n in enumerate(blocks) if box[axis] < n]
        if not room:
            break
        shortest = min(room, key=lambda axis: (box[axis] * image.block_shape[axis], -axis))
        longer = [
            min(2 * n, m) if a == shortest else n
            for a, (n, m) in enumerate(zip(box, blocks, strict=True))
        ]
        if prod(longer) * block_bytes > REGION_BYTES:
            break
        box = longer
    missing = set(image.missing)
    for corner in product(*(range(0, n, size) for n, size in zip(blocks, box, strict=True))):
        end = [min(c + size, n) for c, size, n in zip(corner, box, blocks, strict=True)]
        inside = list(product(*(range(c, e) for c, e in zip(corner, end, strict=True))))
        if missing.issuperset(inside):
            first, last = image.block(inside[0]), image.block(inside[-1])
            yield Roi(first.begin, last.end - first.begin)
        else:
            yield from (image.block(index) for index in inside if index in missing)
