"""How good a segmentation is."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from math import isnan, nan

from napari_dacapo_tasks.arrays import Array

Scores = dict[str, dict[str, float]]
"""By channel, then by the name of the criterion; NaN where a score is not defined."""


@dataclass(frozen=True)
class Criterion:
    """What a score says.

    Attributes
    ----------
    name
        Its key, as DaCapo calls it where DaCapo has it.
    title
        Name for people.
    description
        What it is, in a sentence.
    bounds
        Lowest and highest possible value; infinite where there is none.
    higher_is_better
        The direction.
    unit
        ``""`` for shares, ``"bits"``, or ``"world"`` for lengths.
    """

    name: str
    title: str
    description: str
    bounds: tuple[float, float]
    higher_is_better: bool
    unit: str = ""

    def is_better(self, value: float, than: float) -> bool:
        """Compare two values; NaN is never better, and anything is better than NaN."""
        if isnan(value) or isnan(than):
            return isnan(than) and not isnan(value)
        return value > than if self.higher_is_better else value < than

    def best(self, values: Sequence[float]) -> int | None:
        """Give the index of the best value, the first of equal ones; None if all are NaN."""
        best, found = nan, None
        for index, value in enumerate(values):
            if self.is_better(value, best):
                best, found = value, index
        return found


class Evaluator(ABC):
    """Compares segmentations with the ground truth."""

    @property
    @abstractmethod
    def criteria(self) -> Sequence[Criterion]:
        """What is scored, the most telling first."""

    @abstractmethod
    def evaluate(self, segmentation: Array, truth: Array, mask: Array | None = None) -> Scores:
        """Score a segmentation.

        Parameters
        ----------
        segmentation, truth
            Labels of the shape ``(c, z, y, x)`` or ``(c, y, x)``, on one grid; 0 is background.
        mask
            Spatial; voxels where it is 0 are unknown, and count nowhere.

        Raises
        ------
        DataError
            Where shapes or channels do not agree, or nothing is known.
        """

    def criterion(self, name: str) -> Criterion:
        """Give a criterion by its name."""
        return next(one for one in self.criteria if one.name == name)
