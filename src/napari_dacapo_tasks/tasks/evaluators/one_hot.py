"""How well classes are told apart."""

from __future__ import annotations

from collections.abc import Sequence
from math import nan
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_dacapo_tasks.arrays import Array
from napari_dacapo_tasks.errors import DataError
from napari_dacapo_tasks.numerics.contingency import Overlaps
from napari_dacapo_tasks.tasks.evaluators.evaluator import Criterion, Evaluator, Scores, read_pairs

ALL = "all"
"""Key of the scores of all classes together."""


class OneHotEvaluator(Evaluator):
    """Compares class labels, class by class and all together.

    Voxels whose true label is none of the classes are unknown. A class that occurs neither in the
    truth nor in the segmentation has no scores (NaN), and no part in the mean.

    Parameters
    ----------
    classes
        Their names; the label of a class is its position.
    """

    def __init__(self, classes: Sequence[str]) -> None:
        self.classes = list(classes)

    @property
    def criteria(self) -> Sequence[Criterion]:
        """Those of all classes together, which stand under `ALL`, then those of each class."""
        return [*_OF_ALL, *_OF_A_CLASS]

    def evaluate(self, segmentation: Array, truth: Array, mask: Array | None = None) -> Scores:
        """Score every class and all together; see `Evaluator.evaluate`.

        Both have one channel of labels. A segmentation with a label that is no class is refused.
        """
        (pair,) = read_pairs(segmentation, truth, mask, 1)
        counts = self._confusion(Overlaps.of(pair.truth, pair.segmentation, pair.known))
        right, true, found = np.diag(counts), counts.sum(axis=1), counts.sum(axis=0)
        scores = {
            name: _of_a_class(*numbers)
            for name, *numbers in zip(
                self.classes, right.tolist(), true.tolist(), found.tolist(), strict=True
            )
        }
        shares = [scores[name]["iou"] for name in self.classes]
        # A class may itself be called so; its scores have other names.
        scores.setdefault(ALL, {}).update(
            mean_iou=float(np.nanmean(shares)), accuracy=float(right.sum() / counts.sum())
        )
        return scores

    def _confusion(self, overlaps: Overlaps) -> NDArray[np.int64]:
        """Give the number of voxels by true class, then by class of the segmentation."""
        number = len(self.classes)
        overlaps = overlaps.where(overlaps.first < number)
        if overlaps.total == 0:
            raise DataError(
                f"No known voxel of the ground truth has a label of the {number} classes, 0 to "
                f"{number - 1}, so there is no score: check the labels and the list of classes."
            )
        strange = overlaps.second[overlaps.second >= number]
        if strange.size:
            raise DataError(
                f"The segmentation holds a label that is none of the {number} classes, 0 to "
                f"{number - 1}: give one made for this task."
            )
        counts = np.zeros((number, number), np.int64)
        places: Any = overlaps.first.astype(np.intp), overlaps.second.astype(np.intp)
        counts[places] = overlaps.voxels
        return counts


def _of_a_class(right: int, true: int, found: int) -> dict[str, float]:
    return {
        "iou": right / (true + found - right) if true + found else nan,
        "dice": 2 * right / (true + found) if true + found else nan,
        "precision": right / found if found else nan,
        "recall": right / true if true else nan,
    }


def _share_of(name: str, title: str, description: str) -> Criterion:
    return Criterion(name, title, description, (0.0, 1.0), True)


_OF_ALL = (
    _share_of("mean_iou", "Mean IoU", "Mean of the IoU of all classes that occur."),
    _share_of("accuracy", "Accuracy", "Share of the voxels whose class is right."),
)

_OF_A_CLASS = (
    _share_of("iou", "IoU", "What segmentation and truth share, of all that is in either."),
    _share_of("dice", "Dice", "Twice what segmentation and truth share, of the sum of both."),
    _share_of("precision", "Precision", "Share of the segmentation's voxels that are right."),
    _share_of("recall", "Recall", "Share of the class's voxels that are found."),
)
