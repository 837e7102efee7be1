"""How the ids of two labelings overlap, and what that says of how alike they are.

Only pairs of ids that meet are kept, so neither the number of ids nor their size costs anything.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from math import nan
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_dacapo_tasks.numerics.threads import map_in_threads, slices

Ids = NDArray[np.uint64]
Counts = NDArray[np.int64]

# Voxels that a thread counts at a time: their ids, as 64 bits, stay in its cache.
_BLOCK_VOXELS = 1 << 16


@dataclass(frozen=True)
class Marginal:
    """The ids of one of two labelings.

    Attributes
    ----------
    ids
        Each once.
    sizes
        Voxels of an id, for each entry of `Overlaps`.
    """

    ids: Ids
    sizes: Counts

    @classmethod
    def of(cls, ids: Ids, voxels: Counts) -> Marginal:
        """Add up the voxels of each id."""
        from napari_dacapo_tasks.numerics.tally import tally

        different, _, sizes, numbers = tally(ids, np.zeros_like(ids), voxels)
        return cls(different, sizes[numbers])


@dataclass(frozen=True)
class Overlaps:
    """A sparse contingency table: an entry for each pair of ids that have voxels in common.

    Attributes
    ----------
    first, second
        The ids of each entry; each pair is there once.
    voxels
        Number of voxels that have both.
    """

    first: Ids
    second: Ids
    voxels: Counts

    @classmethod
    def of(
        cls, first: NDArray[Any], second: NDArray[Any], known: NDArray[Any] | None = None
    ) -> Overlaps:
        """Count the overlaps of two labelings.

        Parameters
        ----------
        first, second
            Integer or bool, of one shape. Negative ids come out as they are cast to 64 bits.
        known
            Of the same shape; voxels where it is 0 are not counted.
        """
        from napari_dacapo_tasks.numerics.tally import tally

        def count(rows: slice) -> tuple[Ids, Ids, Counts]:
            one = first[rows].astype(np.uint64).ravel()
            other = second[rows].astype(np.uint64).ravel()
            amounts = np.ones(one.size, np.int64)
            if known is not None:
                amounts[...] = known[rows].ravel() != 0
            return tally(one, other, amounts)[:3]

        if first.size == 0:
            return cls(np.empty(0, np.uint64), np.empty(0, np.uint64), np.empty(0, np.int64))
        parts = map_in_threads(count, slices(len(first), first.size, _BLOCK_VOXELS))
        return cls(*tally(*(np.concatenate(column) for column in zip(*parts, strict=True)))[:3])

    @property
    def total(self) -> int:
        """Number of voxels that were counted."""
        return int(self.voxels.sum())

    @cached_property
    def firsts(self) -> Marginal:
        """The first ids."""
        return Marginal.of(self.first, self.voxels)

    @cached_property
    def seconds(self) -> Marginal:
        """The second ids."""
        return Marginal.of(self.second, self.voxels)

    def where(self, chosen: NDArray[np.bool_]) -> Overlaps:
        """Keep some of the entries, as if there were no other voxels than theirs."""
        return Overlaps(self.first[chosen], self.second[chosen], self.voxels[chosen])


@dataclass(frozen=True)
class Matching:
    """Objects that are each other's, of two labelings.

    Attributes
    ----------
    first, second
        Number of objects of each.
    matched
        Number of pairs whose intersection over union is above one half. No object is in two such
        pairs, so there is nothing to choose.
    similarity
        Sum of their intersections over unions.
    """

    first: int
    second: int
    matched: int
    similarity: float


def conditional_entropies(overlaps: Overlaps) -> tuple[float, float]:
    """Give ``H(second | first)`` and ``H(first | second)`` in bits; their sum is the VOI.

    With ``n`` voxels of ``N`` in both of two ids and ``a`` in the first,
    ``H(second | first) = sum(n / N log2(a / n))``. NaN without any voxel. (Meila, "Comparing
    clusterings by the variation of information", 2003.)
    """
    total = overlaps.total
    if total == 0:
        return nan, nan
    shares = overlaps.voxels / total
    return (
        float(shares @ np.log2(overlaps.firsts.sizes / overlaps.voxels)),
        float(shares @ np.log2(overlaps.seconds.sizes / overlaps.voxels)),
    )


def adapted_rand_error(overlaps: Overlaps) -> float:
    """Give 1 - F1 of "these two voxels belong together", over all pairs of voxels.

    0 where neither labeling has two voxels of one id, NaN without any voxel. (Arganda-Carreras et
    al., "Crowdsourcing the creation of image segmentation algorithms for connectomics", 2015.)
    """
    total = overlaps.total
    if total == 0:
        return nan
    # Ordered pairs of different voxels, as whole numbers: equal labelings give exactly 0.
    in_both = int(overlaps.voxels @ overlaps.voxels) - total
    in_first = int(overlaps.voxels @ overlaps.firsts.sizes) - total
    in_second = int(overlaps.voxels @ overlaps.seconds.sizes) - total
    return 1 - 2 * in_both / (in_first + in_second) if in_first + in_second else 0.0


def match(overlaps: Overlaps, background_is_object: bool = False) -> Matching:
    """Match the objects of two labelings where they overlap by more than half of their union.

    Voxels of background, id 0, are counted in the unions even where it is no object itself.
    """
    common, first, second = overlaps.voxels, overlaps.firsts, overlaps.seconds
    union = first.sizes + second.sizes - common
    matched = 2 * common > union
    if not background_is_object:
        matched &= (overlaps.first != 0) & (overlaps.second != 0)
    first_objects, second_objects = (
        len(ids) if background_is_object else int(np.count_nonzero(ids))
        for ids in (first.ids, second.ids)
    )
    return Matching(
        first_objects,
        second_objects,
        int(np.count_nonzero(matched)),
        float((common[matched] / union[matched]).sum()),
    )
