"""How good a segmentation is."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from math import isnan, nan
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_dacapo_tasks.arrays import Array, on_common_grid
from napari_dacapo_tasks.errors import DataError
from napari_dacapo_tasks.tasks.predictors.predictor import with_channels

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
        ``""`` for shares, ``"bits"``, or ``"world"`` for lengths, in the truth's grid steps.
    """

    name: str
    title: str
    description: str
    bounds: tuple[float, float]
    higher_is_better: bool
    unit: str = ""

    @property
    def perfect(self) -> float:
        """The best possible value: that of a segmentation that equals the truth."""
        return self.bounds[1] if self.higher_is_better else self.bounds[0]

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
            With or without channels; voxels where it is 0 are unknown, and count nowhere.

        Returns
        -------
        dict
            Scores by channel. Where a segmentation equals the truth, all are perfect, even if
            both are empty. Lengths are in grid steps of the truth.

        Raises
        ------
        DataError
            Where shapes, channels or places do not agree, for values that are no labels, or where
            nothing is known.
        """

    def criterion(self, name: str) -> Criterion:
        """Give a criterion by its name."""
        return next(one for one in self.criteria if one.name == name)


@dataclass(frozen=True)
class LabelsPair:
    """One channel that is scored.

    Attributes
    ----------
    segmentation, truth
        Whole numbers or bool, ``(z, y, x)`` or ``(y, x)``.
    known
        Of the same shape, False where nothing is known; None where all is.
    """

    segmentation: NDArray[Any]
    truth: NDArray[Any]
    known: NDArray[np.bool_] | None

    @property
    def nothing_known(self) -> bool:
        """Whether there is nothing to score."""
        return self.known is not None and not self.known.any()


def read_pairs(
    segmentation: Array, truth: Array, mask: Array | None, number: int
) -> list[LabelsPair]:
    """Read what is to be compared, so many channels; refuse what `Evaluator.evaluate` refuses."""
    _require_one_grid(segmentation, truth)
    channels = []
    for array, name in (segmentation, "segmentation"), (truth, "ground truth"):
        labels = with_channels(array[array.roi], array.dims)
        if len(labels) != number:
            raise DataError(
                f"The {name} has {len(labels)} channels, but the task scores {number}: give one "
                "made for this task."
            )
        if labels.dtype.kind not in "biu":
            raise DataError(
                f"The {name} is {labels.dtype}, but labels are whole numbers: segment a "
                "prediction first, or convert the values to an integer type."
            )
        channels.append(labels)
    known = None if mask is None else _known_where(mask, truth, number)
    if channels[0].size == 0 or (known is not None and not known.any()):
        raise DataError(
            "Nothing is known where the segmentation is to be scored, so there is no score: give "
            "ground truth that is known in some of its voxels."
        )
    masks = [None] * number if known is None else np.broadcast_to(known, channels[0].shape)
    return [LabelsPair(*pair) for pair in zip(*channels, masks, strict=True)]


def require_no_negative(labels: NDArray[Any], name: str) -> None:
    """Refuse negative ids: elsewhere they often stand for unknown voxels, here nothing would."""
    if labels.dtype.kind == "i" and (lowest := labels.min()) < 0:
        raise DataError(
            f"The {name} holds the negative id {lowest}: use 0 for background, positive ids for "
            "objects, and a mask for what is unknown."
        )


def _known_where(mask: Array, truth: Array, number: int) -> NDArray[np.bool_]:
    """Read the mask, with one channel or so many."""
    mask, truth = on_common_grid(mask, truth)
    if mask.voxel_size != truth.voxel_size:
        raise DataError(
            f"The mask has {mask.describe()} and the ground truth {truth.describe()}: bring both "
            "to the same voxel size."
        )
    known: NDArray[np.bool_] = with_channels(mask[truth.roi], truth.dims) != 0
    if len(known) not in (1, number):
        raise DataError(
            f"The mask has {len(known)} channels, but the task scores {number}: give one mask for "
            "all channels, or one for each."
        )
    return known


def _require_one_grid(segmentation: Array, truth: Array) -> None:
    if segmentation.dims == truth.dims:
        one, other = on_common_grid(segmentation, truth)
        shifts = other.roi.begin - one.roi.begin
        # By less than half a voxel: each still lies on the voxel of the other that is nearest.
        near = all(2 * abs(d) < v for d, v in zip(shifts, one.voxel_size, strict=True))
        if near and one.shape == other.shape and one.voxel_size == other.voxel_size:
            if one.dims in (2, 3):
                return
            raise DataError(
                f"The segmentation has {one.dims} spatial axes, but only images and volumes are "
                "scored: give it two or three."
            )
    raise DataError(
        f"The segmentation ({_place(segmentation)}) and the ground truth ({_place(truth)}) are not "
        "on the same voxels: crop or resample one of them to the other."
    )


def _place(array: Array) -> str:
    return f"{array.describe()} from {array.unit.describe(array.roi.begin)}"
