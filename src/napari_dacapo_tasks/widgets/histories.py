"""What curves are drawn from: the losses and scores of a run, growing at one end."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.signal import lfilter

from napari_dacapo_tasks.runs.scores import LOSS, Score
from napari_dacapo_tasks.tasks.evaluators.evaluator import Criterion

SMOOTHING = 0.95
"""Share of the past in the smoothed curve: it follows the last 20 steps or so."""

MOST_POINTS = 20_000
"""Of a curve: more than can be seen, also where one looks closely, and soon drawn."""

_ITERATION, _LOSS, _MEAN, _SHARE = range(4)


class LossHistory:
    """Losses by iteration, with a smoothed copy; adding is cheap."""

    def __init__(self, iterations: ArrayLike = (), losses: ArrayLike = ()) -> None:
        self.set(iterations, losses)

    def set(self, iterations: ArrayLike, losses: ArrayLike) -> None:
        """Hold these losses and no others; iterations must rise."""
        at, loss = np.asarray(iterations, float), np.asarray(losses, float)
        assert at.shape == loss.shape, (at.shape, loss.shape)
        finite = np.isfinite(loss)
        self._count = len(at)
        self._values = np.empty((4, max(1024, len(at))))
        self._values[:2, : len(at)] = at, np.where(finite, loss, np.nan)
        # The mean starts from nothing: dividing by what has been seen so far makes up for it. What
        # is not finite is passed over: the filter runs over the others, and each keeps the last.
        seen = np.cumsum(finite)
        filtered = lfilter([1 - SMOOTHING], [1, -SMOOTHING], loss[finite])
        self._values[_MEAN, : len(at)] = np.concatenate([[0.0], filtered])[seen]
        self._values[_SHARE, : len(at)] = 1 - SMOOTHING**seen

    def clear(self) -> None:
        """Forget all."""
        self.set((), ())

    def __len__(self) -> int:
        return self._count

    def add(self, iteration: int, loss: float) -> None:
        """Append the loss of an iteration; one that was done before is done anew from there."""
        if self._count and iteration <= self.iterations[-1]:
            self._count = int(np.searchsorted(self.iterations, iteration))
        if self._count == self._values.shape[1]:
            self._values = np.concatenate([self._values, np.empty_like(self._values)], axis=1)
        mean, share = self._values[_MEAN:, self._count - 1] if self._count else (0.0, 0.0)
        if np.isfinite(loss):
            mean = SMOOTHING * mean + (1 - SMOOTHING) * loss
            share = SMOOTHING * share + (1 - SMOOTHING)
        else:
            loss = np.nan
        self._values[:, self._count] = iteration, loss, mean, share
        self._count += 1

    @property
    def iterations(self) -> NDArray[np.float64]:
        """Iterations, ascending."""
        return self._values[_ITERATION, : self._count]

    @property
    def losses(self) -> NDArray[np.float64]:
        """Loss of each iteration, NaN where it was not finite."""
        return self._values[_LOSS, : self._count]

    @property
    def smoothed(self) -> NDArray[np.float64]:
        """Exponentially smoothed loss, NaN before the first finite one."""
        mean, share = self._values[_MEAN:, : self._count]
        return np.divide(mean, share, out=np.full(self._count, np.nan), where=share > 0)


def thinned(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Give the means of neighbours where there are too many values; the last ones stay single.

    A mean with a NaN in it is NaN.
    """
    together = len(values) // MOST_POINTS
    if together < 2:
        return values
    whole = len(values) // together * together
    return np.concatenate([values[:whole].reshape(-1, together).mean(axis=1), values[whole:]])


class ScoreHistory:
    """Scores by iteration."""

    def __init__(self, scores: Sequence[Score] = ()) -> None:
        self._scores: list[Score] = []
        for score in scores:
            self.add(score)

    def __len__(self) -> int:
        return len(self._scores)

    def add(self, score: Score) -> None:
        """Append what a validation found; one that was done before is done anew from there."""
        while self._scores and self._scores[-1].iteration >= score.iteration:
            self._scores.pop()
        self._scores.append(score)

    def cut(self, iteration: int) -> None:
        """Forget what came after an iteration."""
        self._scores = [one for one in self._scores if one.iteration <= iteration]

    @property
    def judge(self) -> str | None:
        """Name of the score by which the run judges, None before the first validation."""
        return self._scores[-1].criterion if self._scores else None

    def names(self) -> list[str]:
        """Give the names of all scores, the one by which the run judges first."""
        if not self._scores:
            return []
        last = self._scores[-1]
        channels = (channel for crop in last.scores.values() for channel in crop.values())
        found = [last.criterion, *(name for channel in channels for name in channel), LOSS.name]
        return list(dict.fromkeys(found))

    def values(self, name: str) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Give iterations and values of one score, averaged over crops and channels."""
        at = np.array([one.iteration for one in self._scores], float)
        return at, np.array([one.of(name) for one in self._scores], float)


@dataclass
class RunHistory:
    """All that is drawn of a run.

    Attributes
    ----------
    title
        Its name in the legend.
    losses, scores
        What is known so far.
    criteria
        What its scores say, by name.
    """

    title: str = ""
    losses: LossHistory = field(default_factory=LossHistory)
    scores: ScoreHistory = field(default_factory=ScoreHistory)
    criteria: Mapping[str, Criterion] = field(default_factory=dict)

    def criterion(self, name: str) -> Criterion | None:
        """Give what a score says, None where the task has none of that name."""
        return LOSS if name == LOSS.name else self.criteria.get(name)

    def best(self, name: str) -> tuple[float, float] | None:
        """Give iteration and value of the best validation, None where there is none."""
        criterion = self.criterion(name)
        if criterion is None:
            return None
        at, values = self.scores.values(name)
        best = criterion.best(values.tolist())
        return None if best is None else (float(at[best]), float(values[best]))
