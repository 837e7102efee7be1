"""What the Score tab lets be done in the background."""

from __future__ import annotations

from collections.abc import Generator, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter
from typing import Any

import numpy as np
from funlib.geometry import Roi
from napari.layers import Layer
from numpy.typing import NDArray

from napari_dacapo_tasks.arrays import Array, GroundTruth, NumpyArray
from napari_dacapo_tasks.arrays.array import CHANNEL
from napari_dacapo_tasks.evaluation.evaluate import Evaluation, evaluate
from napari_dacapo_tasks.evaluation.mistakes import MISTAKES
from napari_dacapo_tasks.evaluation.records import save_evaluation
from napari_dacapo_tasks.tasks import TaskConfig
from napari_dacapo_tasks.widgets.objects_table import ObjectColumns
from napari_dacapo_tasks.widgets.result_layers import Anchor


@dataclass(frozen=True)
class ScoreRequest:
    """All that scoring needs; nothing of it is read from a widget later.

    Attributes
    ----------
    task
        Says what the labels mean.
    segmentation
        Labels, with or without channels.
    channels
        In place of its values, labels of each channel as they are in the layers now; None where
        those of `segmentation` count.
    truth
        What it is compared with.
    method
        Index of the task's method that it is scored as; None: as it looks.
    anchor
        Gives the place of the mistakes.
    layers, truth_layer
        Where objects are shown: those of the segmentation, and that of the truth.
    of_session
        Whether the segmentation is that of the Segment tab.
    """

    task: TaskConfig
    segmentation: Array
    channels: Sequence[NDArray[Any]] | None
    truth: GroundTruth
    method: int | None
    anchor: Anchor
    layers: tuple[Layer, ...]
    truth_layer: Layer | None
    of_session: bool = True

    @property
    def all_layers(self) -> tuple[Layer, ...]:
        """All layers whose values count."""
        return self.layers if self.truth_layer is None else (*self.layers, self.truth_layer)

    def labels(self) -> Array:
        """Give all labels as they are now."""
        if self.channels is None:
            return self.segmentation
        return _with_values(self.segmentation, self.channels)

    def read(self, channel: int, roi: Roi) -> NDArray[Any]:
        """Give the labels of a channel in a region, as they are now."""
        if self.channels is not None:
            return _with_values(self.segmentation, [self.channels[channel]])[roi][0]
        values = self.segmentation[roi]
        return values if self.segmentation.num_channels is None else values[channel]


@dataclass(frozen=True)
class Scored:
    """What came of a request.

    Attributes
    ----------
    request
        What was asked for.
    evaluation
        Scores, objects and mistakes.
    columns
        The objects as a table.
    mistaken
        How many voxels there are of each of `MISTAKES`.
    seconds
        Time that it took.
    """

    request: ScoreRequest
    evaluation: Evaluation
    columns: ObjectColumns
    mistaken: tuple[int, ...]
    seconds: float


def scored(request: ScoreRequest) -> Generator[float, None, Scored]:
    """Score, and bring what was found into the form in which it is shown."""
    begun = perf_counter()
    yield 0.0
    steps = evaluate(request.task, request.labels(), request.truth, method=request.method)
    with closing(steps):
        evaluation = yield from steps
    yield 1.0
    columns = ObjectColumns.of(evaluation.objects)
    yield 1.0
    counts = np.bincount(evaluation.mistakes.data.ravel(), minlength=len(MISTAKES) + 1)
    mistaken = tuple(int(counts[label]) for label in MISTAKES)
    return Scored(request, evaluation, columns, mistaken, perf_counter() - begun)


def written(path: Path, evaluation: Evaluation) -> Generator[None, None, tuple[Path, Path]]:
    """Save an evaluation as JSON and CSV."""
    yield None
    return save_evaluation(path, evaluation)


def _with_values(array: Array, channels: Sequence[NDArray[Any]]) -> NumpyArray:
    """Put labels into the place of an array with channels."""
    values = [np.asarray(one) for one in channels]
    stacked = values[0][np.newaxis] if len(values) == 1 else np.stack(values)
    space = (name for name in array.axes if name != CHANNEL)
    return NumpyArray.from_np_array(
        stacked, array.roi, array.voxel_size, (CHANNEL, *space), array.unit
    )
