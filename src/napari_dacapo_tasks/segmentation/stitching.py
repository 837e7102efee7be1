"""Which ids that were found in blocks are one object, and what it is called in the end."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from napari_dacapo_tasks.numerics.holes import OPEN

Ids = NDArray[np.uint32]
Pairs = NDArray[np.uint64]
Counts = NDArray[np.int64]

SAME = 0.5
"""Share of what two blocks see of an object in the same place that must be in common, of either,
for it to be one: so no id is joined to two across one face."""

NOWHERE = np.iinfo(np.int64).max
"""First voxel of what is only seen beyond its block."""


@dataclass(frozen=True)
class Found:
    """What is known of ids 0, 1, ...; those of all blocks are different.

    Attributes
    ----------
    sizes
        Voxels, each counted in the block that it is in.
    firsts
        Number of the first voxel in the whole volume, `NOWHERE` without any.
    """

    sizes: Counts
    firsts: Counts


@dataclass(frozen=True)
class Groups:
    """Which ids are one object.

    Attributes
    ----------
    of
        The group of each id, from 0 on; that of id 0 is none.
    sizes, firsts
        Of each group.
    """

    of: NDArray[np.intp]
    sizes: Counts
    firsts: Counts


def touching(first: Ids, second: Ids) -> Pairs:
    """Give the pairs of ids that two blocks have in the same voxel, one in the upper 32 bits."""
    both = (first != 0) & (second != 0)
    pairs: Pairs = np.unique(_paired(first[both], second[both]))
    return pairs


def overlapping(first: Ids, second: Ids) -> Pairs:
    """Give those of the pairs that are more than `SAME` of either id, in these voxels."""
    pairs, voxels = np.unique(_paired(first.ravel(), second.ravel()), return_counts=True)
    one, other = ids_of(pairs)
    mostly = np.ones(len(pairs), np.bool_)
    for ids in (one, other):
        different, numbers = np.unique(ids, return_inverse=True)
        sizes = np.bincount(numbers, voxels, minlength=len(different))
        mostly &= (ids != 0) & (voxels > SAME * sizes[numbers])
    kept: Pairs = pairs[mostly]
    return kept


def ids_of(pairs: Pairs) -> tuple[Ids, Ids]:
    """Take pairs apart."""
    return (pairs >> np.uint64(32)).astype(np.uint32), pairs.astype(np.uint32)


def grouped(found: Found, pairs: Sequence[Pairs]) -> Groups:
    """Make one group of all ids that are connected by pairs."""
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    number = len(found.sizes)
    all_pairs = np.concatenate([np.empty(0, np.uint64), *pairs])
    ends = [ids.astype(np.int64) for ids in ids_of(all_pairs)]
    links = coo_array((np.ones(len(all_pairs), np.bool_), tuple(ends)), shape=(number, number))
    groups, of = connected_components(links, directed=False)
    sizes = np.bincount(of, found.sizes, minlength=groups).astype(np.int64)
    firsts = np.full(groups, NOWHERE, np.int64)
    np.minimum.at(firsts, of, found.firsts)
    sizes[of[0]] = 0
    return Groups(of, sizes, firsts)


def names_of(groups: Groups, min_size: int) -> Ids:
    """Number groups of enough voxels from 1 on, in the order of their first voxels.

    Returns
    -------
    A name for each id, 0 for those of small groups.
    """
    kept = np.flatnonzero(groups.sizes >= max(min_size, 1))
    names = np.zeros(len(groups.sizes), np.uint32)
    names[kept[np.argsort(groups.firsts[kept])]] = np.arange(1, len(kept) + 1)
    named: Ids = names[groups.of]
    return named


def owners_of_groups(groups: Groups, owners: Ids, max_size: int) -> Ids:
    """Find the object around each region of background, from what its parts in blocks touch.

    Parameters
    ----------
    groups
        Of the ids of regions of background.
    owners
        For each id the label around it, 0 for none, `holes.OPEN` for several or no hole.
    max_size
        Of a hole, in voxels.

    Returns
    -------
    For each id the label that it gets, `holes.OPEN` where it is no hole.
    """
    lowest = np.full(len(groups.sizes), OPEN, np.uint32)
    highest = np.zeros(len(groups.sizes), np.uint32)
    met = owners != 0
    np.minimum.at(lowest, groups.of[met], owners[met])
    np.maximum.at(highest, groups.of[met], owners[met])
    is_hole = (lowest == highest) & (groups.sizes <= max_size)
    of_groups = np.where(is_hole, lowest, OPEN)
    owned: Ids = of_groups[groups.of]
    owned[0] = OPEN
    return owned


def _paired(first: Ids, second: Ids) -> Pairs:
    pairs: Pairs = (first.astype(np.uint64) << np.uint64(32)) | second.astype(np.uint64)
    return pairs
