"""How well foreground is found, voxel by voxel: DaCapo's 21 scores by their usual definitions.

With ``S`` the segmentation, ``T`` the truth, ``TP``, ``FP``, ``FN`` and ``TN`` numbers of voxels,
``d(v, A)`` the distance from a voxel's centre to the nearest one of a set, and with tolerance
``FP' = #{v in S: d(v, T) > tolerance}``, ``FN' = #{v in T: d(v, S) > tolerance}`` and ``TP'`` all
other voxels of both sets together:

====================================  =========================================  ======  ======
score                                 definition                                 S = {}  T = {}
====================================  =========================================  ======  ======
dice, f1_score                        2 TP / (2 TP + FP + FN)                    0       0
jaccard                               TP / (TP + FP + FN)                        0       0
precision                             TP / (TP + FP)                             NaN     0
recall                                TP / (TP + FN)                             0       NaN
false_discovery_rate                  FP / (TP + FP)                             NaN     1
false_negative_rate                   FN / (TP + FN)                             1       NaN
false_positive_rate                   FP / (FP + TN)                             0       FP/N
voi                                   H(S|T) + H(T|S) in bits                    H(T)    H(S)
hausdorff                             longest d of S to T and of T to S          inf     inf
mean_false_positive_distance          mean of d(v, T) over all v in S            NaN     inf
mean_false_negative_distance          mean of d(v, S) over all v in T            inf     NaN
mean_false_distance                   mean of the two, or the one that there is  inf     inf
``_clipped``                          the same of min(d, clip distance)          clip    clip
false_positive_rate_with_tolerance    FP' / (FP + TN)                            0       FP/N
false_negative_rate_with_tolerance    FN' / (TP + FN)                            1       NaN
precision_with_tolerance              TP' / (TP' + FP')                          NaN     0
recall_with_tolerance                 TP' / (TP' + FN')                          0       NaN
f1_score_with_tolerance               2 TP' / (2 TP' + FP' + FN')                0       0
====================================  =========================================  ======  ======

The last columns say what comes out where only the segmentation, or only the truth, is empty. A
share of nothing is NaN: it has no limit, and never is the best of a sweep. Where both sets are
equal, empty or not, every score is perfect.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import inf, isnan, nan

import numpy as np

from napari_dacapo_tasks.arrays import Array
from napari_dacapo_tasks.numerics.contingency import Overlaps, conditional_entropies
from napari_dacapo_tasks.numerics.false_voxels import Comparison, compare
from napari_dacapo_tasks.tasks.evaluators.evaluator import (
    Criterion,
    Evaluator,
    Scores,
    read_pairs,
    require_no_negative,
)

MOST_VOI_BITS = 2.0
"""Two sets that each are half of all voxels and know nothing of each other: one bit each."""


class BinaryEvaluator(Evaluator):
    """Compares foreground, any id but 0, channel by channel.

    Parameters
    ----------
    channels
        Their names, which are the keys of the scores.
    clip_distance
        In grid steps: false voxels farther away than this count as this far.
    tol_distance
        In grid steps: false voxels no farther away than this are tolerated.
    """

    def __init__(self, channels: Sequence[str], clip_distance: float, tol_distance: float) -> None:
        self.channels = list(channels)
        self.clip_distance = clip_distance
        self.tol_distance = tol_distance

    @property
    def criteria(self) -> Sequence[Criterion]:
        """DaCapo's 21 scores."""
        return [*_OVERLAPS, *_RATES, *_lengths(self.clip_distance), *_TOLERANT]

    def evaluate(self, segmentation: Array, truth: Array, mask: Array | None = None) -> Scores:
        """Score every channel; see `Evaluator.evaluate`."""
        scores: Scores = {}
        pairs = read_pairs(segmentation, truth, mask, len(self.channels))
        for channel, pair in zip(self.channels, pairs, strict=True):
            require_no_negative(pair.segmentation, "segmentation")
            require_no_negative(pair.truth, "ground truth")
            if pair.nothing_known:
                scores[channel] = dict.fromkeys((one.name for one in self.criteria), nan)
                continue
            comparison = compare(
                pair.segmentation,
                pair.truth,
                pair.known,
                truth.voxel_size,
                self.clip_distance,
                self.tol_distance,
            )
            scores[channel] = self._scores(comparison)
        return scores

    def _scores(self, comparison: Comparison) -> dict[str, float]:
        positives, negatives = comparison.false_positives, comparison.false_negatives
        if positives.count + negatives.count == 0:
            return {one.name: one.perfect for one in self.criteria}
        both, fp, fn = comparison.true_positives, positives.count, negatives.count
        found, true, background = both + fp, both + fn, fp + comparison.true_negatives
        far_fp, far_fn = positives.beyond, negatives.beyond
        tolerated = both + fp + fn - far_fp - far_fn
        off = _share(positives.distances, found), _share(negatives.distances, true)
        off_clipped = (
            _share(positives.clipped_distances, found),
            _share(negatives.clipped_distances, true),
        )
        dice = _share(2 * both, found + true)
        return {
            "dice": dice,
            "jaccard": _share(both, both + fp + fn),
            "precision": _share(both, found),
            "recall": _share(both, true),
            "f1_score": dice,
            "voi": _voi(both, fp, fn, comparison.true_negatives),
            "false_positive_rate": _share(fp, background),
            "false_negative_rate": _share(fn, true),
            "false_discovery_rate": _share(fp, found),
            "hausdorff": max(positives.farthest, negatives.farthest),
            "mean_false_distance": _mean(*off),
            "mean_false_positive_distance": off[0],
            "mean_false_negative_distance": off[1],
            "mean_false_distance_clipped": _mean(*off_clipped),
            "mean_false_positive_distance_clipped": off_clipped[0],
            "mean_false_negative_distance_clipped": off_clipped[1],
            "precision_with_tolerance": _share(tolerated, tolerated + far_fp),
            "recall_with_tolerance": _share(tolerated, tolerated + far_fn),
            "f1_score_with_tolerance": _share(2 * tolerated, 2 * tolerated + far_fp + far_fn),
            "false_positive_rate_with_tolerance": _share(far_fp, background),
            "false_negative_rate_with_tolerance": _share(far_fn, true),
        }


def _share(part: float, whole: int) -> float:
    return part / whole if whole else nan


def _mean(one: float, other: float) -> float:
    """Average what is defined."""
    defined = [value for value in (one, other) if not isnan(value)]
    return sum(defined) / len(defined)


def _voi(both: int, false_positives: int, false_negatives: int, neither: int) -> float:
    voxels = np.array([both, false_positives, false_negatives, neither])
    truth, segmentation = np.array([[1, 0, 1, 0], [1, 1, 0, 0]], np.uint64)
    return sum(conditional_entropies(Overlaps(truth, segmentation, voxels).where(voxels > 0)))


def _share_of(name: str, title: str, description: str, higher_is_better: bool) -> Criterion:
    return Criterion(name, title, description, (0.0, 1.0), higher_is_better)


_OVERLAPS = (
    _share_of(
        "dice",
        "Dice",
        "Twice what segmentation and truth share, of the sum of both.",
        True,
    ),
    _share_of(
        "jaccard",
        "Jaccard (IoU)",
        "What segmentation and truth share, of all that is in either.",
        True,
    ),
    _share_of("precision", "Precision", "Share of the segmentation that is true.", True),
    _share_of("recall", "Recall", "Share of the truth that is found.", True),
    _share_of("f1_score", "F1 score", "Harmonic mean of precision and recall.", True),
    Criterion(
        "voi",
        "Variation of information",
        "What segmentation and truth, as foreground and background, do not tell of each other.",
        (0.0, MOST_VOI_BITS),
        False,
        "bits",
    ),
)

_RATES = (
    _share_of(
        "false_positive_rate",
        "False positive rate",
        "Share of the true background that the segmentation takes for foreground.",
        False,
    ),
    _share_of(
        "false_negative_rate",
        "False negative rate",
        "Share of the truth that is missed.",
        False,
    ),
    _share_of(
        "false_discovery_rate",
        "False discovery rate",
        "Share of the segmentation that is false.",
        False,
    ),
)

_TOLERANT = (
    _share_of(
        "precision_with_tolerance",
        "Precision with tolerance",
        "Precision where voxels that are off by no more than the tolerance count as true.",
        True,
    ),
    _share_of(
        "recall_with_tolerance",
        "Recall with tolerance",
        "Recall where voxels that are off by no more than the tolerance count as found.",
        True,
    ),
    _share_of(
        "f1_score_with_tolerance",
        "F1 score with tolerance",
        "Harmonic mean of precision and recall with tolerance.",
        True,
    ),
    _share_of(
        "false_positive_rate_with_tolerance",
        "False positive rate with tolerance",
        "Share of the true background that is segmented farther from the truth than tolerated.",
        False,
    ),
    _share_of(
        "false_negative_rate_with_tolerance",
        "False negative rate with tolerance",
        "Share of the truth that is farther from the segmentation than tolerated.",
        False,
    ),
)

_MEANS = (
    (
        "mean_false_distance",
        "Mean false distance",
        "Mean of the false positive and the false negative distance",
    ),
    (
        "mean_false_positive_distance",
        "Mean false positive distance",
        "Mean distance from the segmentation's voxels to the truth, 0 for those in it",
    ),
    (
        "mean_false_negative_distance",
        "Mean false negative distance",
        "Mean distance from the truth's voxels to the segmentation, 0 for those in it",
    ),
)


def _lengths(clip_distance: float) -> list[Criterion]:
    def length(name: str, title: str, description: str, longest: float = inf) -> Criterion:
        return Criterion(name, title, description, (0.0, longest), False, "world")

    return [
        length(
            "hausdorff",
            "Hausdorff distance",
            "The farthest that a voxel of one of the two is from the other.",
        ),
        *(length(name, title, f"{what}.") for name, title, what in _MEANS),
        *(
            length(
                f"{name}_clipped",
                f"{title}, clipped",
                f"{what}, each no more than the clip distance.",
                clip_distance,
            )
            for name, title, what in _MEANS
        ),
    ]
