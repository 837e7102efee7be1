"""Where a segmentation is wrong, voxel by voxel.

Each object has a main segment, the one with most of its voxels, and each segment a main object
(of equal ones the first in order of their ids). A voxel of an object and a segment is right where
each is the other's main one.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_dacapo_tasks.evaluation.objects import Findings
from napari_dacapo_tasks.numerics.threads import map_in_threads, slices

FALSE_POSITIVE, FALSE_NEGATIVE, SPLIT, MERGE, WRONG_CLASS = 1, 2, 3, 4, 5

MISTAKES: dict[int, str] = {
    FALSE_POSITIVE: "false positive",
    FALSE_NEGATIVE: "false negative",
    SPLIT: "split",
    MERGE: "merge",
    WRONG_CLASS: "wrong class",
}
"""Name of each label of `Evaluation.mistakes`; 0 is right, or unknown.

A false positive is in a segment, and in no object; a false negative is in an object, and in no
segment. Split: the segment belongs to the object, which has a larger one. Merge: the segment is
mainly another object's. Of classes there is only the last.
"""

_BLOCK_VOXELS = 1 << 17
"""That a thread compares at a time."""

Picture = NDArray[np.uint8]


def codes_of(findings: Findings) -> Picture:
    """Give the mistake of each entry of the overlaps that the findings are of."""
    one, other = findings.truth.entries, findings.segments.entries
    codes = np.zeros(len(one), np.uint8)
    codes[(one < 0) & (other >= 0)] = FALSE_POSITIVE
    codes[(one >= 0) & (other < 0)] = FALSE_NEGATIVE
    both = (one >= 0) & (other >= 0)
    is_main_object = findings.main_objects[other[both]] == one[both]
    is_main_segment = findings.main_segments[one[both]] == other[both]
    of_both = np.where(is_main_object, np.uint8(SPLIT), np.uint8(MERGE))
    codes[both] = np.where(is_main_object & is_main_segment, np.uint8(0), of_both)
    return codes


def wrong_foreground(
    truth: NDArray[Any], segmentation: NDArray[Any], known: NDArray[Any]
) -> Picture:
    """Paint false positives and negatives of foreground, any id but 0."""
    return _painted(
        lambda rows: np.select(
            [
                (truth[rows] == 0) & (segmentation[rows] != 0),
                (truth[rows] != 0) & (segmentation[rows] == 0),
            ],
            [np.uint8(FALSE_POSITIVE), np.uint8(FALSE_NEGATIVE)],
            np.uint8(0),
        ),
        known,
    )


def wrong_classes(truth: NDArray[Any], segmentation: NDArray[Any], known: NDArray[Any]) -> Picture:
    """Paint where the class is another one."""
    return _painted(lambda rows: (truth[rows] != segmentation[rows]) * np.uint8(WRONG_CLASS), known)


def _painted(paint: Callable[[slice], Picture], known: NDArray[Any]) -> Picture:
    picture = np.zeros(known.shape, np.uint8)

    def fill(rows: slice) -> None:
        np.copyto(picture[rows], paint(rows), where=known[rows] != 0)

    map_in_threads(fill, slices(len(picture), picture.size, _BLOCK_VOXELS))
    return picture
