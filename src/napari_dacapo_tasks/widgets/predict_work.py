"""What the Predict tab has done in the background: plain generators that never see a widget."""

from __future__ import annotations

from collections.abc import Generator, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from time import sleep
from typing import TYPE_CHECKING, Any

import numpy as np
import zarr
from funlib.geometry import Roi

from napari_dacapo_tasks.arrays import Array
from napari_dacapo_tasks.arrays.array import Sliceable
from napari_dacapo_tasks.arrays.growing_image import Exists
from napari_dacapo_tasks.arrays.open import open_array
from napari_dacapo_tasks.errors import DataError
from napari_dacapo_tasks.prediction.config import PredictionConfig
from napari_dacapo_tasks.prediction.events import Filled, Notice, Opened, PredictionEvent
from napari_dacapo_tasks.prediction.prediction import Prediction
from napari_dacapo_tasks.tasks.predictors.predictor import Composite
from napari_dacapo_tasks.widgets.colormaps import Range
from napari_dacapo_tasks.widgets.pictures import Picture, draw

if TYPE_CHECKING:
    from napari_dacapo_tasks.prediction.fit import PredictionPlan
    from napari_dacapo_tasks.prediction.trained import Checkpoint, TrainedModel


@dataclass(frozen=True)
class Asked:
    """What to predict.

    Attributes
    ----------
    model, checkpoint
        As of `open_trained`.
    raw
        The image.
    roi
        Of it, None for all.
    config
        How.
    resample
        Whether raw data of another voxel size is brought to that of the network.
    """

    model: Path
    checkpoint: Checkpoint
    raw: Array
    roi: Roi | None
    config: PredictionConfig
    resample: bool = False


@dataclass(frozen=True)
class Place:
    """Where a prediction goes.

    Attributes
    ----------
    path
        Folder of an image, None for memory.
    exists
        What to do where there is one.
    workers
        Processes that predict; 0 for this one.
    command
        How a worker is started elsewhere, empty for this machine.
    raw_path
        Where other processes find the image.
    """

    path: Path | None = None
    exists: Exists = "refuse"
    workers: int = 0
    command: str = ""
    raw_path: str | None = None


@dataclass(frozen=True)
class Planned:
    """What will come out, before anything is predicted; as far as a person wants to know it.

    Attributes
    ----------
    shape
        Voxels of the output.
    channels
        Number of them.
    bytes
        Of all of it.
    roi
        Which it covers, in grid steps.
    notices
        What a person should know, a sentence each.
    """

    shape: tuple[int, ...]
    channels: int
    bytes: int
    roi: Roi
    notices: tuple[str, ...] = ()


@dataclass(frozen=True)
class SeenPrediction:
    """A prediction that begins, and how it is to be seen.

    Attributes
    ----------
    array
        What is predicted so far.
    device
        Where it is predicted.
    channels, ranges, composites
        Names, lowest and highest values, and what is seen together, as of the task's predictor.
    pictures
        Drawn, of one in memory; they fill with it.
    prediction
        What others can use, once it is done.
    """

    array: Array
    device: str
    channels: list[str]
    ranges: list[Range]
    composites: list[Composite]
    pictures: list[Picture]
    prediction: Prediction


@dataclass(frozen=True)
class Predicted:
    """How predicting ended.

    Attributes
    ----------
    prediction
        All of it.
    levels
        Of one on disk, the finest first.
    """

    prediction: Prediction
    levels: tuple[Sliceable, ...] = ()


WorkEvent = SeenPrediction | Filled | Notice | Planned
Work = Generator[WorkEvent | None, object, Predicted]
"""It goes on after the `SeenPrediction` once it is sent that there are layers."""

WAIT_SECONDS = 0.01


class Opener:
    """Opens trained networks, and keeps the latest: a plan is made with each change of a form."""

    def __init__(self) -> None:
        self._of: tuple[object, ...] = ()
        self._trained: TrainedModel | None = None

    def open(self, asked: Asked) -> TrainedModel:
        """Open what is asked for; a run that was trained further is opened anew."""
        from napari_dacapo_tasks.prediction.trained import open_trained

        of = (asked.model, asked.checkpoint, _written(asked.model))
        if self._trained is None or of != self._of:
            self._trained = None
            self._trained, self._of = open_trained(asked.model, asked.checkpoint), of
        return self._trained


def plan_work(asked: Asked, opener: Opener) -> Generator[None, None, Planned]:
    """Say what will come out; raises UserError where nothing can."""
    yield
    return _planned(_plan(asked, opener))


def predict_work(asked: Asked, place: Place, opener: Opener) -> Work:
    """Predict, and say how it goes on."""
    yield None
    plan = _plan(asked, opener)
    for notice in plan.notices:
        yield Notice(notice)
    yield _planned(plan)
    begun: SeenPrediction | None = None
    with closing(_events(asked, place, plan)) as events:
        while True:
            try:
                event = next(events)
            except StopIteration as stop:
                prediction: Prediction = stop.value
                break
            if isinstance(event, Opened):
                begun = see(event, plan.trained)
                shown = yield begun
                while not shown:  # computing would take the processor from making the layers
                    sleep(WAIT_SECONDS)
                    shown = yield None
                continue
            if isinstance(event, Filled) and begun is not None and not event.roi.empty:
                redraw(begun, event.roi)
            yield event
    return Predicted(prediction, levels_of(prediction.array))


def _plan(asked: Asked, opener: Opener) -> PredictionPlan:
    from napari_dacapo_tasks.prediction.fit import plan_prediction

    trained = opener.open(asked)
    return plan_prediction(
        trained, asked.raw, asked.roi, config=asked.config, resample=asked.resample
    )


def _planned(plan: PredictionPlan) -> Planned:
    shape = tuple(round(s / v) for s, v in zip(plan.roi.shape, plan.voxel_size, strict=True))
    return Planned(shape, len(plan.channels), plan.bytes, plan.roi, tuple(plan.notices))


def _events(
    asked: Asked, place: Place, plan: PredictionPlan
) -> Generator[PredictionEvent, None, Prediction]:
    if place.workers and place.path is not None and place.raw_path is not None:
        from napari_dacapo_tasks.prediction.large.blockwise import BlockwiseJob, predict_blockwise

        same_image(place.raw_path, asked.raw)
        job = BlockwiseJob(
            trained=asked.model,
            checkpoint=asked.checkpoint,
            raw=place.raw_path,
            out=place.path,
            roi=asked.roi,
            config=asked.config,
            workers=place.workers,
            command=place.command or None,
            resample=asked.resample,
        )
        return (yield from predict_blockwise(job, exists=place.exists))
    from napari_dacapo_tasks.prediction.predict import predict

    return (yield from predict(plan, asked.config, place.path, exists=place.exists))


def see(event: Opened, trained: TrainedModel) -> SeenPrediction:
    """Say how a prediction is to be seen."""
    task = trained.task.task_type(trained.task)
    ranges, composites = list(task.predictor.target_ranges), list(task.predictor.composites)
    values = event.array.data
    pictures = draw(values, composites, ranges) if isinstance(values, np.ndarray) else []
    return SeenPrediction(
        event.array,
        event.device,
        list(task.channels),
        ranges,
        composites,
        pictures,
        Prediction(event.array, trained.task, trained.name, trained.run),
    )


def redraw(seen: SeenPrediction, roi: Roi) -> None:
    """Draw a part of the pictures anew: those that are no views of the prediction."""
    values = seen.array.data
    if not isinstance(values, np.ndarray):
        return
    array = seen.array
    begin = (roi.begin - array.roi.begin) / array.voxel_size
    end = (roi.end - array.roi.begin) / array.voxel_size
    part = tuple(slice(int(b), int(e)) for b, e in zip(begin, end, strict=True))
    for picture in seen.pictures:
        if not np.may_share_memory(picture.values, values):
            (drawn,) = draw(values[(slice(None), *part)], [picture.composite], seen.ranges)
            picture.values[part] = drawn.values


def levels_of(array: Array) -> tuple[Sliceable, ...]:
    """Give the levels of an image on disk, the finest first; none for one in memory."""
    path = array.attrs.get("path")
    if path is None or isinstance(array.data, np.ndarray):
        return ()
    group = zarr.open(str(path), mode="r")
    if not isinstance(group, zarr.Group):
        return (array.data,)
    attrs: Any = group.attrs.asdict()
    (multiscale, *_) = attrs.get("ome", attrs).get("multiscales", [{"datasets": []}])
    levels = [group[dataset["path"]] for dataset in multiscale["datasets"]]
    return tuple(level for level in levels if isinstance(level, zarr.Array)) or (array.data,)


def same_image(path: str, raw: Array) -> None:
    """Check that a file holds the image of a layer, for other processes to read; else DataError."""
    there = open_array(path)
    if (there.shape, there.roi, there.num_channels, there.dtype) != (
        raw.shape,
        raw.roi,
        raw.num_channels,
        raw.dtype,
    ):
        raise DataError(
            f"The layer shows {raw.describe()}, but {path}, from which it was opened, holds "
            f"{there.describe()}: choose the path of the image in place of the layer."
        )


def _written(model: Path) -> Sequence[tuple[str, int]]:
    """Say what is there and since when, of a run folder its checkpoints and scores."""
    found = []
    for one in (model, model / "checkpoints", model / "scores.jsonl"):
        try:
            found.append((str(one), one.stat().st_mtime_ns))
        except OSError:
            continue
    return found
