"""What the Segment tab lets be done in the background."""

from __future__ import annotations

from collections.abc import Generator, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter
from typing import Any

import numpy as np
from funlib.geometry import Roi
from numpy.typing import NDArray

from napari_dacapo_tasks.arrays import Array, NumpyArray
from napari_dacapo_tasks.arrays.array import CHANNEL, Sliceable
from napari_dacapo_tasks.arrays.growing_image import Exists, GrowingImage
from napari_dacapo_tasks.arrays.ome_zarr import write_ome_zarr
from napari_dacapo_tasks.arrays.open import open_array
from napari_dacapo_tasks.errors import DataError
from napari_dacapo_tasks.prediction.prediction import Prediction
from napari_dacapo_tasks.segmentation.segment import (
    Segmentation,
    built_task,
    method_of,
    segment,
)
from napari_dacapo_tasks.tasks.post_processors.post_processor import (
    Labelling,
    PostProcessorParameters,
)
from napari_dacapo_tasks.widgets.lazy_image import Bounds, bounds_of
from napari_dacapo_tasks.widgets.predict_session import ShownPrediction
from napari_dacapo_tasks.widgets.predict_work import levels_of

NAME = "segmentation"

LOOK_SECONDS = 0.5
"""From one look at which blocks are written to the next."""


@dataclass(frozen=True)
class SegmentRequest:
    """All that a segmentation needs; nothing of it is read from a widget later.

    Attributes
    ----------
    shown
        What to segment.
    method, parameters
        Which of the task's, and those of its post-processor.
    roi
        The part to segment; None for all.
    out
        Folder for a segmentation block by block; None keeps it in memory.
    exists
        What to do where the folder holds something.
    """

    shown: ShownPrediction
    method: int
    parameters: PostProcessorParameters
    roi: Roi | None = None
    out: Path | None = None
    exists: Exists = "refuse"

    def same_labels(self, other: SegmentRequest | None) -> bool:
        """Whether another one asks for the same labels, wherever they go."""
        return other is not None and (self.shown, self.method, self.parameters) == (
            other.shown,
            other.method,
            other.parameters,
        )


@dataclass(frozen=True)
class Segmented:
    """What came of a request.

    Attributes
    ----------
    request
        What was asked for.
    segmentation
        The labels.
    objects
        How many there are in each channel; None where they were not counted.
    seconds
        Time that it took.
    levels
        Of labels on disk, the finest first.
    """

    request: SegmentRequest
    segmentation: Segmentation
    objects: tuple[int, ...] | None
    seconds: float
    levels: tuple[Sliceable, ...] = ()


@dataclass(frozen=True)
class Begun:
    """Labels on disk of which some are written; the others are 0 until they are.

    Where ids go across blocks, none is written before all are found.
    """

    segmentation: Segmentation


@dataclass(frozen=True)
class Written:
    """Parts of labels on disk, in voxels, that are written now."""

    parts: tuple[Bounds, ...]


Work = Generator[float | Begun | Written, None, Segmentation]


def segmented(request: SegmentRequest) -> Generator[float | Begun | Written, None, Segmented]:
    """Segment, and count the objects of what is in memory."""
    begun = perf_counter()
    prediction = request.shown.prediction
    try:
        with closing(_steps(request, prediction)) as steps:
            segmentation = yield from steps
    except MemoryError:
        raise DataError(
            f"The segmentation of {prediction.array.describe()} does not fit into memory: let it "
            "go into a folder."
        ) from None
    labels, objects = segmentation.array.data, None
    labelling = segmentation.method.post_processor.labelling
    if labelling is Labelling.INSTANCES and isinstance(labels, np.ndarray):
        yield 1.0
        objects = tuple(_count(channel) for channel in labels)
    seconds = perf_counter() - begun
    return Segmented(request, segmentation, objects, seconds, levels_of(segmentation.array))


def _steps(request: SegmentRequest, prediction: Prediction) -> Work:
    if request.out is None:
        return segment(prediction, request.method, request.parameters, request.roi)
    return _into_folder(request, prediction, request.out)


def _into_folder(request: SegmentRequest, prediction: Prediction, out: Path) -> Work:
    """Segment block by block, and tell now and then which blocks are written."""
    from napari_dacapo_tasks.segmentation.blocks import segment_blockwise

    told: set[tuple[int, ...]] = set()
    looked = 0.0
    steps = segment_blockwise(
        prediction, out, request.method, request.parameters, exists=request.exists
    )
    with closing(steps):
        while True:
            try:
                yield next(steps)
            except StopIteration as stop:
                segmentation: Segmentation = stop.value
                break
            if perf_counter() - looked > LOOK_SECONDS:
                yield from _fresh(request, out, told)
                looked = perf_counter()
    yield from _fresh(request, out, told)
    return segmentation


def _fresh(
    request: SegmentRequest, out: Path, told: set[tuple[int, ...]]
) -> Generator[Begun | Written, None, None]:
    """Tell which blocks are written that have not been told of yet."""
    image, task = GrowingImage.open(out), request.shown.prediction.task
    fresh = sorted(image.done - told)
    if fresh and not told:
        method = method_of(built_task(request.shown.prediction), request.method)
        yield Begun(Segmentation(image.array, method, request.parameters, task))
    if fresh:
        yield Written(tuple(bounds_of(image.array, image.block(index)) for index in fresh))
    told.update(fresh)


@dataclass(frozen=True)
class TaskWanted:
    """Nothing at a path says of which task it is a prediction: its run is to be given, too."""

    path: Path


def opened(path: Path, run: Path | None) -> Generator[None, None, Prediction | TaskWanted]:
    """Open a prediction on disk; imports torch."""
    yield None
    from napari_dacapo_tasks.prediction.stored import is_prediction, open_prediction

    yield None
    open_array(path)  # where that is none, its run would not help
    if run is None and not is_prediction(path):
        return TaskWanted(path)
    return open_prediction(path, run)


def saved(
    path: Path, array: Array, channels: Sequence[NDArray[Any]]
) -> Generator[float, None, Path]:
    """Save labels as they are now.

    Parameters
    ----------
    path
        Folder of an OME-Zarr image.
    array
        Says where they lie.
    channels
        Labels of each channel; an only one is saved without a channel axis.
    """
    space = tuple(name for name in array.axes if name != CHANNEL)
    axes = space if len(channels) == 1 else (CHANNEL, *space)
    values = channels[0] if len(channels) == 1 else np.stack(channels)
    placed = NumpyArray.from_np_array(values, array.roi, array.voxel_size, axes, array.unit)
    yield from write_ome_zarr(path, placed, NAME, is_labels=True)
    return path


def _count(labels: NDArray[Any]) -> int:
    """Count ids that are not far above the number of voxels."""
    present = np.zeros(int(labels.max(initial=0)) + 1, np.bool_)
    for part in labels:
        present[part] = True
    return int(np.count_nonzero(present[1:]))
