"""How good a segmentation is: scores, objects and mistakes."""

from __future__ import annotations

from collections.abc import Generator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from funlib.geometry import Roi
from numpy.typing import NDArray

from napari_dacapo_tasks.arrays import Array, GroundTruth, NumpyArray
from napari_dacapo_tasks.evaluation.mistakes import codes_of, wrong_classes, wrong_foreground
from napari_dacapo_tasks.evaluation.objects import Findings, ObjectRow, object_rows
from napari_dacapo_tasks.evaluation.truth import KnownTruth, comparable, stacked
from napari_dacapo_tasks.segmentation.segment import method_of
from napari_dacapo_tasks.tasks import Task, TaskConfig
from napari_dacapo_tasks.tasks.evaluators.evaluator import Criterion, Scores, require_no_negative
from napari_dacapo_tasks.tasks.evaluators.one_hot import ALL
from napari_dacapo_tasks.tasks.post_processors.post_processor import Labelling, share_of
from napari_dacapo_tasks.tasks.predictors.predictor import like
from napari_dacapo_tasks.tasks.task import Method

READ, SCORED = 0.2, 0.6
"""Shares of the work: read both, scored them; objects and mistakes come last."""

FAIR = 0.7
"""Share of scoring after which there is a truth to compare with."""

LOCATED = 0.4
"""Share of listing objects and mistakes after which the objects are found."""


@dataclass(frozen=True)
class Evaluation:
    """What is to be said of a segmentation.

    Attributes
    ----------
    scores
        By channel and criterion; lengths in nanometres (voxels without a unit). NaN where a score
        is not defined.
    criteria
        What the scores say.
    objects
        Findings about objects, sorted by channel, kind and size; none for classes. For foreground
        an object is a connected region, and its id only its number.
    mistakes
        uint8 of the shape ``(c, z, y, x)`` over the scored region; see `MISTAKES`.
    roi
        The scored region, in grid steps of `mistakes`.
    notices
        What a person should know of it, a sentence each.
    unit
        Of lengths: ``"nm"`` or ``"voxels"``.
    method
        Title of the way from prediction to segmentation whose evaluator scored.
    labelling
        What the labels say.
    channels
        Names of the channels of `mistakes`.
    """

    scores: Scores
    criteria: Sequence[Criterion]
    objects: tuple[ObjectRow, ...]
    mistakes: NumpyArray
    roi: Roi
    notices: tuple[str, ...]
    unit: str
    method: str
    labelling: Labelling
    channels: tuple[str, ...]


def evaluate(
    task: TaskConfig,
    segmentation: Array,
    truth: GroundTruth | Array,
    mask: Array | None = None,
    *,
    method: Method | int | str | None = None,
) -> Generator[float, None, Evaluation]:
    """Score a segmentation against a ground truth; to cancel, leave the generator.

    Where the ground truth covers only a part of the segmentation, or the other way round, what
    they share is scored, and a notice says so.

    Parameters
    ----------
    task
        Says what the labels mean; lengths in nanometres (voxels without a unit).
    segmentation
        Labels with a channel for each of the task, or without channels where that is one.
    truth
        A ground truth, or labels: with a channel for each of the task, or without channels.
    mask
        Nonzero where the truth is known, beside what it says of that itself.
    method
        Which of the task's, by its place or its title. Left out: the one that finds instances
        where the segmentation has more than one id in some channel, else the first.

    Yields
    ------
    float
        Share that is done.

    Raises
    ------
    ConfigError
        Where the task makes no segmentations, or has no such method.
    DataError
        Where the two do not overlap, nothing is known where they do, voxel sizes are no whole
        multiples of each other, or values are no labels.
    """
    yield 0.0
    built = built_for(task, segmentation, truth)
    known = KnownTruth.read(truth, mask, segmentation, task.ground_truth_channels, "segmentation")
    yield READ / 2
    labels = known.labels_of(known.array)
    way = usual_method(built, labels) if method is None else method_for(built, method)
    yield READ
    names: list[NDArray[Any]] = []
    if way.post_processor.labelling is Labelling.INSTANCES:
        labels, names = _renumbered(labels)
    fair, scores = yield from share_of(score(built, way, known, labels), READ, SCORED)
    rows: list[ObjectRow] = []
    pictures = []
    for number, channel in enumerate(_channels_of(way)):
        compared = _Compared(
            channel, known.gt.data[number], fair.data[number], labels.data[number], known
        )
        steps = _compare(way, compared, names[number] if names else None)
        begin, end = (SCORED + (1 - SCORED) * n / len(fair.data) for n in (number, number + 1))
        picture, found = yield from share_of(steps, begin, end)
        pictures.append(picture)
        rows.extend(found)
    return Evaluation(
        scores=scores,
        criteria=tuple(way.evaluator.criteria),
        objects=tuple(rows),
        mistakes=like(known.gt, stacked(pictures)),
        roi=known.roi,
        notices=known.notices,
        unit=known.gt.unit.name,
        method=way.title,
        labelling=way.post_processor.labelling,
        channels=tuple(_channels_of(way)),
    )


def built_for(config: TaskConfig, array: Array, truth: GroundTruth | Array) -> Task:
    """Build a task with lengths in steps of the grid on which two arrays are compared."""
    labels = truth.labels if isinstance(truth, GroundTruth) else truth
    finest = max((array.unit, labels.unit), key=lambda unit: unit.steps)
    return config.task_type(config.on_grid(finest))


def method_for(task: Task, method: Method | int | str | None) -> Method:
    """Find one of the task's methods; a method itself, built for another grid, by its title."""
    return method_of(task, method.title if isinstance(method, Method) else method)


def usual_method(task: Task, labels: NumpyArray) -> Method:
    """Choose how labels are scored: as instances where a channel holds more than one id."""
    first = method_of(task, None)
    if first.post_processor.labelling is not Labelling.FOREGROUND:
        return first
    for method in task.methods:
        if method.post_processor.labelling is Labelling.INSTANCES:
            several = any(bool(((ids != 0) & (ids != ids.max())).any()) for ids in labels.data)
            return method if several else first
    return first


def score(
    task: Task, method: Method, known: KnownTruth, labels: NumpyArray
) -> Generator[float, None, tuple[NumpyArray, Scores]]:
    """Give the truth that labels are fairly compared with, and the scores; yields the share done.

    Lengths in the scores are in nanometres (voxels without a unit).
    """
    yield 0.0
    truth = comparable(known.gt, known.known, labels, method, task)
    yield FAIR
    scores = method.evaluator.evaluate(labels, truth, known.known)
    lengths = {one.name for one in method.evaluator.criteria if one.unit == "world"}
    steps = truth.unit.steps
    return truth, {
        channel: {
            name: value / steps if name in lengths else value for name, value in values.items()
        }
        for channel, values in scores.items()
    }


def _channels_of(method: Method) -> list[str]:
    """Give the names of the segmentation's channels, as scores and rows have them."""
    return list(getattr(method.evaluator, "channels", [ALL]))


def _renumbered(labels: NumpyArray) -> tuple[NumpyArray, list[NDArray[Any]]]:
    """Give small labels in place of ids of any size, and for each channel the ids of its labels."""
    from napari_dacapo_tasks.numerics.locations import renumbered

    channels, names = [], []
    for ids in labels.data:
        require_no_negative(ids, "segmentation")
        of_channel, found = renumbered(ids)
        channels.append(of_channel)
        names.append(found)
    return like(labels, stacked(channels)), names


@dataclass(frozen=True)
class _Compared:
    """One channel: the ids of its ground truth, what is compared with what, and where."""

    channel: str
    ids: NDArray[Any]
    truth: NDArray[Any]
    labels: NDArray[Any]
    known: KnownTruth


def _compare(
    method: Method, compared: _Compared, names: NDArray[Any] | None
) -> Generator[float, None, tuple[NDArray[np.uint8], list[ObjectRow]]]:
    """Paint the mistakes of a channel, and list its objects; labels of instances have names."""
    from napari_dacapo_tasks.numerics.components import connected_components, one_of_each
    from napari_dacapo_tasks.numerics.locations import Locations

    truth, labels, known = compared.truth, compared.labels, compared.known
    where = known.known.data
    labelling = method.post_processor.labelling
    yield 0.0
    if labelling is Labelling.CLASSES:
        number = len(getattr(method.evaluator, "classes", ()))
        return wrong_classes(truth, labels, (where != 0) & (truth < number)), []
    if labelling is Labelling.FOREGROUND:
        picture = wrong_foreground(truth, labels, where)
        truth, number = connected_components(truth)
        labels, found = connected_components(labels != 0)
        names_of_truth, names = np.arange(number + 1), np.arange(found + 1)
    else:
        firsts = one_of_each(truth, int(truth.max(initial=0)), compared.ids)
        names_of_truth = np.concatenate([np.zeros(1, firsts.dtype), firsts])
    assert names is not None, "instances have names"
    located = Locations(truth, labels, where)
    findings = Findings(located.overlaps)
    yield LOCATED
    if labelling is Labelling.INSTANCES:
        picture = located.painted(codes_of(findings))
    steps = known.gt.unit.steps
    rows = object_rows(
        compared.channel,
        located,
        findings,
        (names_of_truth, names),
        [begin / steps for begin in known.roi.begin],
        [size / steps for size in known.gt.voxel_size],
    )
    return picture, rows
