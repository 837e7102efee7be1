"""Which parameters of a post-processor make the best segmentation."""

from __future__ import annotations

from collections.abc import Generator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from time import perf_counter
from typing import Any

from funlib.geometry import Coordinate, Roi

from napari_dacapo_tasks.arrays import Array, GroundTruth, NumpyArray
from napari_dacapo_tasks.errors import ConfigError, UserError
from napari_dacapo_tasks.evaluation.evaluate import built_for, method_for, score
from napari_dacapo_tasks.evaluation.ranges import SweepRanges, Value
from napari_dacapo_tasks.evaluation.truth import KnownTruth
from napari_dacapo_tasks.numerics.components import remove_small
from napari_dacapo_tasks.prediction.prediction import Prediction
from napari_dacapo_tasks.runs.scores import mean_of
from napari_dacapo_tasks.segmentation.segment import parameters_of
from napari_dacapo_tasks.tasks import Task
from napari_dacapo_tasks.tasks.evaluators.evaluator import Criterion, Scores
from napari_dacapo_tasks.tasks.post_processors.post_processor import (
    PostProcessor,
    PostProcessorParameters,
    share_of,
)
from napari_dacapo_tasks.tasks.task import Method
from napari_dacapo_tasks.tasks.values import nearest

SEGMENTED = 0.8
"""Share of the work on a combination after which it is segmented, and is scored next."""

WHAT = "prediction"
"""What the ground truth is compared with, for people."""

MIN_SIZE = "min_size"
"""The parameter that leaves small objects out, as all post-processors have it that do that."""


@dataclass(frozen=True)
class SweepRow:
    """One combination that was tried.

    Attributes
    ----------
    values
        The values that were swept, by name.
    parameters
        All parameters; None where these values are refused.
    scores
        By channel and criterion, lengths in nanometres (voxels without a unit); empty where it
        failed.
    error
        Why it failed, in a sentence; empty where it did not.
    seconds
        Time that it took.
    """

    values: Mapping[str, Value]
    parameters: PostProcessorParameters | None
    scores: Scores
    error: str = ""
    seconds: float = 0.0

    def score(self, criterion: str, channel: str | None = None) -> float:
        """Give a score of a channel, or its mean over all where it is defined; NaN for none."""
        chosen = self.scores if channel is None else {channel: self.scores.get(channel, {})}
        return mean_of({"": chosen}, criterion)


@dataclass(frozen=True)
class SweepStep:
    """A step of a sweep.

    Attributes
    ----------
    share
        So much is done.
    row
        The combination that has just been done; None in the middle of one.
    number
        How many combinations there are.
    """

    share: float
    row: SweepRow | None
    number: int


@dataclass(frozen=True)
class SweepResult:
    """What a sweep found.

    Attributes
    ----------
    method
        Title of the method whose parameters were swept.
    names
        Of the parameters that were swept.
    rows
        Every combination, in the order in which they were tried.
    criteria
        What the scores say.
    unit
        Of lengths: ``"nm"`` or ``"voxels"``.
    task
        Name of the task.
    prediction
        Name of the prediction.
    notices
        What a person should know of it, a sentence each.
    """

    method: str
    names: tuple[str, ...]
    rows: tuple[SweepRow, ...]
    criteria: Sequence[Criterion]
    unit: str
    task: str
    prediction: str = ""
    notices: tuple[str, ...] = ()

    @property
    def channels(self) -> tuple[str, ...]:
        """Names of the channels that have scores, in order."""
        return tuple(dict.fromkeys(channel for row in self.rows for channel in row.scores))

    def criterion(self, name: str) -> Criterion:
        """Give a criterion by its name; raises ConfigError with the nearest name for others."""
        for one in self.criteria:
            if one.name == name:
                return one
        guess = nearest(name, [one.name for one in self.criteria])
        ending = "" if guess.endswith("?") else "."
        raise ConfigError(f"There is no score {name}{guess}{ending}")

    def best(self, criterion: str, channel: str | None = None) -> SweepRow | None:
        """Give the best row by a score, the first of equal ones; None where none has it.

        Parameters
        ----------
        criterion
            Its name; it knows the direction.
        channel
            Which; left out, the mean over channels counts.
        """
        values = [row.score(criterion, channel) for row in self.rows]
        best = self.criterion(criterion).best(values)
        return None if best is None else self.rows[best]


def sweep(
    prediction: Prediction,
    truth: GroundTruth | Array,
    mask: Array | None = None,
    ranges: SweepRanges | None = None,
    method: Method | int | str | None = None,
) -> Generator[SweepStep, None, SweepResult]:
    """Segment and score with every combination of parameters; to cancel, leave the generator.

    What the ground truth and the prediction share is segmented, with nothing around it. The two
    are read once, and no segmentation is kept, so the memory that it takes does not grow with the
    number of combinations.

    Parameters
    ----------
    prediction
        What to segment.
    truth, mask
        As of `evaluate`.
    ranges
        What to try; left out, what the method proposes.
    method
        Which of the task's, by its place or its title; left out, the first.

    Yields
    ------
    SweepStep
        Every row as it comes, also of combinations that fail, and steps between them.

    Raises
    ------
    ConfigError
        Where there is nothing to sweep, for a parameter that the method does not have, or a method
        that the task does not have.
    DataError
        As of `evaluate`, before the first row.
    """
    config = prediction.task
    built = built_for(config, prediction.array, truth)
    way = method_for(built, method)
    tried = SweepRanges.of(way.post_processor) if ranges is None else ranges
    tried.require_for(way.post_processor, way.title)
    if MIN_SIZE in tried.values:  # as the innermost it costs next to nothing
        others = {name: many for name, many in tried.values.items() if name != MIN_SIZE}
        tried = replace(tried, values={**others, MIN_SIZE: tried.values[MIN_SIZE]})
    number = tried.number
    yield SweepStep(0.0, None, number)
    known = KnownTruth.read(truth, mask, prediction.array, config.ground_truth_channels, WHAT)
    array = part_over(known)
    yield SweepStep(0.0, None, number)
    rows: list[SweepRow] = []
    segmenter = _Segmenter(way.post_processor, array)
    for combination in tried.combinations():
        steps = _try(combination, tried, segmenter, built, way, known)
        with closing(steps):
            while True:
                try:
                    share = next(steps)
                except StopIteration as end:
                    rows.append(end.value)
                    break
                yield SweepStep((len(rows) + share) / number, None, number)
        yield SweepStep(len(rows) / number, rows[-1], number)
    return SweepResult(
        method=way.title,
        names=tuple(tried.values),
        rows=tuple(rows),
        criteria=tuple(way.evaluator.criteria),
        unit=known.gt.unit.name,
        task=config.name,
        prediction=prediction.name,
        notices=known.notices,
    )


def part_over(known: KnownTruth) -> NumpyArray:
    """Read the voxels of what is compared that any known voxel of the truth lies in."""
    array = known.array
    begin, end = [], []
    for low, high, step, origin, size, number in zip(
        known.roi.begin,
        known.roi.end,
        known.gt.voxel_size,
        array.roi.begin,
        array.voxel_size,
        array.shape,
        strict=True,
    ):
        # The voxels that hold the middle of the first and of the last voxel of the truth.
        first = (2 * (low - origin) + step) // (2 * size)
        last = (2 * (high - origin) - step) // (2 * size)
        begin.append(origin + max(0, first) * size)
        end.append(origin + (min(last, number - 1) + 1) * size)
    roi = Roi(Coordinate(begin), Coordinate(end) - Coordinate(begin))
    return NumpyArray(
        array[roi],
        axes=array.axes,
        voxel_size=array.voxel_size,
        offset=roi.begin,
        unit=array.unit,
    )


class _Segmenter:
    """Segments one prediction again and again, and does not do twice what it need not.

    Parameters that differ in nothing but a larger ``min_size`` leave more of the same objects out.
    That is so while no hole is filled, which comes after.
    """

    def __init__(self, post_processor: PostProcessor[Any], prediction: NumpyArray) -> None:
        self._post_processor, self._prediction = post_processor, prediction
        self._last: tuple[PostProcessorParameters, NumpyArray] | None = None

    def segment(self, parameters: PostProcessorParameters) -> Generator[float, None, NumpyArray]:
        """Segment; yields the share that is done."""
        if self._last is not None and self._may_go_on(self._last[0], parameters):
            labels = self._last[1]
            yield 0.0
            for channel in labels.data:
                number = int(channel.max(initial=0))
                remove_small(channel, number, getattr(parameters, MIN_SIZE))
        else:
            self._last = None  # two segmentations at a time are one too many
            labels = yield from self._post_processor.segment(self._prediction, parameters)
        self._last = parameters, labels
        return labels

    def _may_go_on(self, last: PostProcessorParameters, wanted: PostProcessorParameters) -> bool:
        least: int | None = getattr(wanted, MIN_SIZE, None)
        if least is None or bool(getattr(wanted, "fill_holes", False)):
            return False
        same = last.model_copy(update={MIN_SIZE: least}) == wanted
        smaller: bool = getattr(last, MIN_SIZE) <= least
        return same and smaller


def _try(
    combination: Mapping[str, Value],
    ranges: SweepRanges,
    segmenter: _Segmenter,
    task: Task,
    method: Method,
    known: KnownTruth,
) -> Generator[float, None, SweepRow]:
    """Segment and score with one combination; what it refuses, or runs into, is in its row."""
    begun = perf_counter()
    parameters: PostProcessorParameters | None = None
    scores: Scores = {}
    error = ""
    try:
        parameters = parameters_of(method.post_processor, ranges.with_followers(combination))
        labels = yield from share_of(segmenter.segment(parameters), 0.0, SEGMENTED)
        here = known.labels_of(labels)
        steps = score(task, method, known, here)
        _, scores = yield from share_of(steps, SEGMENTED, 1.0)
    except UserError as refusal:
        error = str(refusal)
    except MemoryError:
        error = (
            "The memory of this machine does not suffice: sweep over ground truth of a smaller "
            "region."
        )
    return SweepRow(dict(combination), parameters, scores, error, perf_counter() - begun)
