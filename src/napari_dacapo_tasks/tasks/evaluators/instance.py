"""How well objects are told apart."""

from __future__ import annotations

from collections.abc import Sequence
from math import inf, nan

from napari_dacapo_tasks.arrays import Array
from napari_dacapo_tasks.numerics.contingency import (
    Matching,
    Overlaps,
    adapted_rand_error,
    conditional_entropies,
    match,
)
from napari_dacapo_tasks.tasks.evaluators.evaluator import (
    Criterion,
    Evaluator,
    Scores,
    read_pairs,
    require_no_negative,
)


class InstanceEvaluator(Evaluator):
    """Compares objects, an id each, channel by channel.

    The variation of information and the Rand error look at the voxels of true objects; what the
    segmentation leaves out of them counts as one more segment. For the other scores an object and
    a segment match where their intersection is more than half of their union.

    Where there is no true object, but a segment, the first are NaN, and so are recall (no object
    to find) and, without a segment, precision. Where both are empty all scores are perfect.

    Parameters
    ----------
    channels
        Their names, which are the keys of the scores.
    include_background
        Whether background is scored as if it were one more object, as DaCapo does.
    """

    def __init__(self, channels: Sequence[str], include_background: bool = False) -> None:
        self.channels = list(channels)
        self.include_background = include_background

    @property
    def criteria(self) -> Sequence[Criterion]:
        """By voxels, then by matched objects."""
        return _CRITERIA

    def evaluate(self, segmentation: Array, truth: Array, mask: Array | None = None) -> Scores:
        """Score every channel; see `Evaluator.evaluate`."""
        scores: Scores = {}
        pairs = read_pairs(segmentation, truth, mask, len(self.channels))
        for channel, pair in zip(self.channels, pairs, strict=True):
            require_no_negative(pair.segmentation, "segmentation")
            require_no_negative(pair.truth, "ground truth")
            if pair.nothing_known:
                scores[channel] = dict.fromkeys((one.name for one in _CRITERIA), nan)
                continue
            overlaps = Overlaps.of(pair.truth, pair.segmentation, pair.known)
            scores[channel] = self._scores(overlaps)
        return scores

    def _scores(self, overlaps: Overlaps) -> dict[str, float]:
        matching = match(overlaps, self.include_background)
        if matching.first + matching.second == 0:
            return {one.name: one.perfect for one in _CRITERIA}
        in_objects = overlaps
        if not self.include_background:
            in_objects = overlaps.where(overlaps.first != 0)
        split, merge = conditional_entropies(in_objects)
        return {
            "voi": split + merge,
            "voi_split": split,
            "voi_merge": merge,
            "adapted_rand_error": adapted_rand_error(in_objects),
            **_by_matching(matching),
        }


def _by_matching(matching: Matching) -> dict[str, float]:
    both, true, found = matching.matched, matching.first, matching.second
    return {
        "panoptic_quality": 2 * matching.similarity / (true + found),
        "f1_score": 2 * both / (true + found),
        "precision": both / found if found else nan,
        "recall": both / true if true else nan,
    }


_CRITERIA = (
    Criterion(
        "voi",
        "Variation of information",
        "Wrongly split and wrongly merged together: the sum of the two below.",
        (0.0, inf),
        False,
        "bits",
    ),
    Criterion(
        "voi_split",
        "Wrongly split",
        "What is left to tell of a voxel's segment once its object is known, H(segments | truth).",
        (0.0, inf),
        False,
        "bits",
    ),
    Criterion(
        "voi_merge",
        "Wrongly merged",
        "What is left to tell of a voxel's object once its segment is known, H(truth | segments).",
        (0.0, inf),
        False,
        "bits",
    ),
    Criterion(
        "adapted_rand_error",
        "Adapted Rand error",
        "1 - F1 of whether two voxels belong together, over all pairs of voxels.",
        (0.0, 1.0),
        False,
    ),
    Criterion(
        "panoptic_quality",
        "Panoptic quality",
        "F1 of the objects, each match counted by its intersection over union.",
        (0.0, 1.0),
        True,
    ),
    Criterion(
        "f1_score",
        "F1 of objects",
        "Twice the matches, of all objects and segments.",
        (0.0, 1.0),
        True,
    ),
    Criterion(
        "precision",
        "Precision of objects",
        "Share of the segments that match an object.",
        (0.0, 1.0),
        True,
    ),
    Criterion(
        "recall",
        "Recall of objects",
        "Share of the objects that a segment matches.",
        (0.0, 1.0),
        True,
    ),
)
