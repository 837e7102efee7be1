"""From an image to a prediction, in memory or on a disk, in this process."""

from __future__ import annotations

from collections.abc import Generator, Iterator
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import closing
from itertools import product
from math import prod
from pathlib import Path
from time import perf_counter

import numpy as np
from funlib.geometry import Coordinate, Roi

from napari_dacapo_tasks.arrays import NumpyArray
from napari_dacapo_tasks.arrays.array import CHANNEL
from napari_dacapo_tasks.arrays.growing_image import Exists, GrowingImage
from napari_dacapo_tasks.errors import DataError
from napari_dacapo_tasks.prediction.config import PredictionConfig
from napari_dacapo_tasks.prediction.events import Filled, Notice, Opened, PredictionEvent
from napari_dacapo_tasks.prediction.fit import IN_MEMORY_BYTES, PredictionPlan
from napari_dacapo_tasks.prediction.inference import Inference
from napari_dacapo_tasks.prediction.prediction import Prediction
from napari_dacapo_tasks.prediction.stored import plan_attrs

__all__ = ["IN_MEMORY_BYTES", "predict"]

REGION_BYTES = 2**28
"""Of a region that is predicted at once and written as a whole while the next one is predicted:
two of them are in memory."""

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
    )
    with Inference(trained, config) as inference:
        yield Opened(image.array, inference.label)
        yield from _fill_image(plan, inference, image)
    progress = _Progress(plan)
    for _ in image.finish():
        yield progress.still_going(1.0)
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

    def still_going(self, share: float) -> Filled:
        """Say that a share is done, nothing of which can be seen yet."""
        nothing = Roi(self._plan.roi.begin, self._plan.roi.shape * 0)
        return self._event(nothing, share)

    def share_with(self, voxels: float) -> float:
        """Give the share that is done if so many voxels more are."""
        return (self.done + voxels) / self._all

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
                yield progress.still_going(step.share)
            else:
                yield progress.filled(step.roi)


def _fill_image(
    plan: PredictionPlan, inference: Inference, image: GrowingImage
) -> Iterator[PredictionEvent]:
    """Predict region by region, and write each while the next one is predicted."""
    todo = list(regions_to_predict(image, plan.num_channels * plan.dtype.itemsize))
    missing = sum(prod(roi.shape / plan.voxel_size) for roi in todo)
    progress = _Progress(plan, prod(plan.shape) - missing)
    written: tuple[Roi, Future[None]] | None = None
    with ThreadPoolExecutor(1, thread_name_prefix="to disk") as writer:
        for roi in todo:
            shape = roi.shape / plan.voxel_size
            values = np.zeros((plan.num_channels, *shape), plan.dtype)
            steps = inference.fill(plan, roi, values)
            with closing(steps):
                for step in steps:
                    yield from map(Notice, inference.notices())
                    waiting = 0 if written is None else prod(written[0].shape / plan.voxel_size)
                    if written is not None and written[1].done():
                        yield _written(written, progress)
                        written, waiting = None, 0
                    share = progress.share_with(waiting + step.share * prod(shape))
                    yield progress.still_going(share)
            if written is not None:
                yield from _until_written(written, progress)
            written = roi, writer.submit(image.write, roi, values)
        if written is not None:
            yield from _until_written(written, progress)


def _until_written(written: tuple[Roi, Future[None]], progress: _Progress) -> Iterator[Filled]:
    while not wait([written[1]], POLL_SECONDS).done:
        yield progress.still_going(progress.share_with(0))
    yield _written(written, progress)


def _written(written: tuple[Roi, Future[None]], progress: _Progress) -> Filled:
    roi, future = written
    future.result()
    return progress.filled(roi)


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
