"""Whether a segmentation keeps the objects of a ground truth apart, and each of them whole."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_dacapo_tasks.numerics.components import (
    Labels,
    append_components,
    connected_components,
    one_of_each,
    rename,
)
from napari_dacapo_tasks.numerics.contingency import Overlaps

PART = 0.1
"""Share of an object that may be off: so much of it in another place, or of others in its own, are
rims and rough edges."""

FOUND = 0.5
"""Share of an object that must be in any found object, or it is lost."""


@dataclass(frozen=True)
class Separation:
    """How the objects of a ground truth come out; an object may be merged and split.

    Attributes
    ----------
    truth
        Labels that a segmentation is fairly compared with: an id is one object as far as it hangs
        together or is found to.
    objects, found
        Number of objects of the ground truth and of the segmentation, where known.
    merged
        Objects whose found object holds more of others than a tenth of their own size: two of like
        size that are one are both merged; of a large and a small one only the small one is.
    split
        Objects of which more than a tenth is in found objects other than the main one. What does
        not hang together has a main one each.
    lost
        Objects of which more than half is in no found object.
    wrong
        Objects that are any of these.
    largest_wrong
        Voxels of the largest of these, 0 without any.
    """

    truth: Labels
    objects: int
    found: int
    merged: int
    split: int
    lost: int
    wrong: int
    largest_wrong: int


def separation(
    ids: NDArray[Any],
    found: Labels,
    known: NDArray[Any],
    *,
    background_as_object: bool = False,
) -> Separation:
    """Compare a segmentation with a ground truth.

    An object is an id, and where there is but one id, each of its regions. What of an id does not
    hang together in these arrays (a region of a volume cuts objects to pieces) may come out as one
    or as several; what hangs together must come out whole.

    Parameters
    ----------
    ids
        ``(z, y, x)`` or ``(y, x)``, integer or bool, 0 is background.
    found
        Labels of the same shape, 0 in no object.
    known
        Of the same shape; voxels where it is 0 do not count.
    background_as_object
        Whether the background is an object like others.
    """
    parts, number = connected_components(ids)
    if background_as_object:
        number = append_components(parts, number, ids == 0)
    object_of = _objects_of(one_of_each(parts, number, ids))
    everywhere = Overlaps.of(parts, found, known)
    table = everywhere.where(everywhere.first > 0)
    part, label, voxels = table.first.astype(int) - 1, table.second.astype(int), table.voxels
    owner = object_of[part]
    sizes = np.bincount(owner, voxels, minlength=number)

    is_found = label > 0
    by_size = np.argsort(voxels * is_found, kind="stable")
    main = np.zeros(number, int)
    main[part[by_size]] = label[by_size]  # the largest found one comes last, and stays
    kept = np.bincount(owner[is_found], voxels[is_found], minlength=number)
    lost = np.flatnonzero(kept < FOUND * sizes)
    is_main = label == main[part]
    elsewhere = np.bincount(owner, voxels * (is_found & ~is_main), minlength=number)
    split = np.flatnonzero(elsewhere > PART * sizes)
    of_others = np.bincount(label, voxels)[label] - _sums_of_pairs(owner, label, voxels)
    is_shared = is_found & is_main & (of_others > PART * sizes[owner])
    together = np.bincount(owner, voxels * is_shared, minlength=number)
    merged = np.flatnonzero(together > PART * sizes)
    wrong = np.unique(np.concatenate([merged, split, lost]))

    rename(parts, _joined(object_of, main))
    return Separation(
        truth=parts,
        objects=int(np.count_nonzero(sizes)),
        found=len(np.unique(everywhere.second[everywhere.second > 0])),
        merged=len(merged),
        split=len(split),
        lost=len(lost),
        wrong=len(wrong),
        largest_wrong=int(sizes[wrong].max(initial=0)),
    )


def _objects_of(ids: NDArray[Any]) -> NDArray[np.intp]:
    """Number the objects that parts of these ids belong to, from 0."""
    different, objects = np.unique(ids, return_inverse=True)
    if np.count_nonzero(different) > 1:
        return objects
    # Each part is an object of its own, but for those of the background.
    return np.where(ids != 0, np.arange(len(ids)), ids.argmin() if len(ids) else 0)


def _joined(object_of: NDArray[np.intp], main: NDArray[np.intp]) -> NDArray[np.intp]:
    """Give labels to parts, after a 0: the same to those of one object in one found object."""
    lone = np.arange(len(main)) + main.max(initial=0) + 1
    _, labels = np.unique(_pairs(object_of, np.where(main > 0, main, lone)), return_inverse=True)
    return np.concatenate([[0], labels + 1])


def _sums_of_pairs(
    first: NDArray[np.intp], second: NDArray[np.intp], voxels: NDArray[np.int64]
) -> NDArray[np.int64]:
    """Give for each entry the voxels of all entries with the same pair."""
    _, numbers = np.unique(_pairs(first, second), return_inverse=True)
    sums = np.bincount(numbers, voxels).astype(np.int64)
    return sums[numbers]


def _pairs(first: NDArray[np.intp], second: NDArray[np.intp]) -> NDArray[np.int64]:
    """Make a number of each pair; there are far fewer than 2^31 of either."""
    pairs: NDArray[np.int64] = first * (second.max(initial=0) + 1) + second
    return pairs
