"""Where the overlaps of two labelings lie, and pictures that are painted of them.

As in `contingency`, only pairs of ids that meet are kept: an id of 2^40 costs nothing. Nothing is
kept of a voxel, so all of it takes the memory of some blocks.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_dacapo_tasks.numerics.components import Labels, as_volume
from napari_dacapo_tasks.numerics.contingency import Counts, Ids, Overlaps
from napari_dacapo_tasks.numerics.threads import map_in_threads, slices

# Voxels that a thread looks at at a time: their ids, as 64 bits, stay in its cache.
_BLOCK_VOXELS = 1 << 16


@dataclass(frozen=True)
class Places:
    """Where voxels lie, as indices along the axes of the labelings; a row for each set of them.

    Attributes
    ----------
    centres
        Centres of mass.
    begins, ends
        Smallest boxes; ends are behind the last voxel.
    """

    centres: NDArray[np.float64]
    begins: Counts
    ends: Counts


class Locations:
    """Overlaps of two labelings with their places.

    Parameters
    ----------
    first, second
        ``(z, y, x)`` or ``(y, x)``, integer or bool, of one shape. Negative ids come out as they
        are cast to 64 bits.
    known
        Of the same shape; voxels where it is 0 do not count.

    Attributes
    ----------
    overlaps
        An entry for each pair of ids.
    """

    def __init__(
        self, first: NDArray[Any], second: NDArray[Any], known: NDArray[Any] | None = None
    ) -> None:
        self._shape = first.shape
        self._first, self._second = as_volume(first), as_volume(second)
        self._known = None if known is None else as_volume(known)
        self._blocks = slices(len(self._first), self._first.size, _BLOCK_VOXELS)
        parts = map_in_threads(self._locate, self._blocks)
        columns = [np.concatenate(column) for column in zip(*parts, strict=True)]
        ones, others, voxels, sums, lowest, highest = columns
        from napari_dacapo_tasks.numerics.tally import tally

        first_ids, second_ids, together, numbers = tally(ones, others, voxels)
        self.overlaps = Overlaps(first_ids, second_ids, together)
        ends = np.cumsum([len(part[0]) for part in parts])
        # For each pair of each block, the entry that it belongs to.
        self._entries = np.split(numbers, ends[:-1])
        number = len(self.overlaps.voxels)
        self._sums = np.zeros((number, 3), np.int64)
        np.add.at(self._sums, numbers, sums)
        self._lowest, self._highest = _bounds(numbers, number, lowest, highest)

    def places_of(self, sets: NDArray[np.intp], number: int) -> Places:
        """Locate sets of entries.

        Parameters
        ----------
        sets
            For each entry the set that it belongs to, -1 for none.
        number
            How many sets there are; each has an entry.
        """
        chosen = np.flatnonzero(sets >= 0)
        owners = sets[chosen]
        sums = np.zeros((number, 3), np.int64)
        np.add.at(sums, owners, self._sums[chosen])
        voxels = np.zeros(number, np.int64)
        np.add.at(voxels, owners, self.overlaps.voxels[chosen])
        lowest, highest = _bounds(owners, number, self._lowest[chosen], self._highest[chosen])
        centres = sums / voxels[:, np.newaxis]
        return Places(*(self._axes(one) for one in (centres, lowest, highest + 1)))

    def nearest_voxels(
        self, sets: NDArray[np.intp], points: NDArray[np.float64], voxel_size: Sequence[float]
    ) -> Counts:
        """Find for each set of entries its voxel that is nearest to a point.

        Parameters
        ----------
        sets
            As of `places_of`.
        points
            Of each set, as indices along the axes, such as `Places.centres`.
        voxel_size
            In any unit.

        Returns
        -------
        Indices, a row for each set.
        """
        from napari_dacapo_tasks.numerics.location_loops import find_nearest

        points = self._of_volume(points, 0.0)
        size = self._of_volume(np.array([voxel_size], float), 1.0)[0]
        _, height, width = self._first.shape

        def search(block: int) -> tuple[NDArray[np.intp], NDArray[np.float64], Counts]:
            rows = self._blocks[block]
            numbers = self._numbers(rows)[3]
            owners = sets[self._entries[block]]
            where = points[owners] if len(points) else np.zeros((len(owners), 3))
            squares = np.where(owners >= 0, np.inf, -1.0)
            voxels = np.full(len(owners), -1, np.int64)
            find_nearest(numbers, rows.start, height, width, size, where, squares, voxels)
            found = voxels >= 0
            return owners[found], squares[found], voxels[found]

        parts = map_in_threads(search, range(len(self._blocks)))
        owners, squares, voxels = (np.concatenate(column) for column in zip(*parts, strict=True))
        order = np.lexsort((voxels, squares, owners))
        owners = owners[order]
        firsts = np.flatnonzero(np.diff(owners, prepend=-1))
        index = np.unravel_index(voxels[order[firsts]], self._first.shape)
        return self._axes(np.stack(index, axis=1).astype(np.int64))

    def painted(self, codes: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """Give each voxel the code of its entry, 0 where it does not count."""
        from napari_dacapo_tasks.numerics.location_loops import paint

        picture = np.empty(self._first.shape, np.uint8)

        def fill(block: int) -> None:
            rows = self._blocks[block]
            paint(self._numbers(rows)[3], codes[self._entries[block]], picture[rows].ravel())

        map_in_threads(fill, range(len(self._blocks)))
        return picture.reshape(self._shape)

    def _numbers(self, rows: slice) -> tuple[Ids, Ids, Counts, Counts]:
        """Count the pairs of a block, and number them for each voxel."""
        from napari_dacapo_tasks.numerics.tally import tally

        one = self._first[rows].astype(np.uint64).ravel()
        other = self._second[rows].astype(np.uint64).ravel()
        amounts = np.ones(one.size, np.int64)
        if self._known is not None:
            amounts[...] = self._known[rows].ravel() != 0
        return tally(one, other, amounts)

    def _locate(self, rows: slice) -> tuple[NDArray[Any], ...]:
        from napari_dacapo_tasks.numerics.location_loops import locate

        ones, others, voxels, numbers = self._numbers(rows)
        _, height, width = self._first.shape
        sums = np.zeros((len(voxels), 3), np.int64)
        lowest = np.full(sums.shape, np.iinfo(np.int64).max)
        highest = np.full(sums.shape, -1)
        locate(numbers, rows.start, height, width, sums, lowest, highest)
        return ones, others, voxels, sums, lowest, highest

    def _axes(self, columns: NDArray[Any]) -> NDArray[Any]:
        """Leave out the axis that an image got; see `as_volume`."""
        return columns if len(self._shape) == 3 else columns[:, [0, 2]]

    def _of_volume(self, columns: NDArray[np.float64], filling: float) -> NDArray[np.float64]:
        """Put that axis in."""
        if len(self._shape) == 2:
            columns = np.insert(columns, 1, filling, axis=1)
        return np.ascontiguousarray(columns, np.float64)


def renumbered(ids: NDArray[Any]) -> tuple[Labels, Ids]:
    """Give labels 1, 2, ... in place of ids, in the order of the ids; 0 stays 0.

    Parameters
    ----------
    ids
        Integer or bool, none negative.

    Returns
    -------
    Labels of the same shape, and for each label its id, beginning with 0 for 0.
    """
    from napari_dacapo_tasks.numerics.tally import tally

    labels = np.empty(ids.shape, np.uint32)
    blocks = slices(len(ids), ids.size, _BLOCK_VOXELS)

    def number(rows: slice) -> Ids:
        one = ids[rows].astype(np.uint64).ravel()
        found, _, _, numbers = tally(one, np.zeros_like(one), np.ones(one.size, np.int64))
        labels[rows] = numbers.reshape(labels[rows].shape)
        return found

    found = map_in_threads(number, blocks)
    different = np.unique(np.concatenate([np.zeros(1, np.uint64), *found]))
    names = [np.searchsorted(different, one).astype(np.uint32) for one in found]

    def rename(block: int) -> None:
        labels[blocks[block]] = names[block][labels[blocks[block]]]

    map_in_threads(rename, range(len(blocks)))
    return labels, different


def _bounds(
    sets: NDArray[np.intp], number: int, lowest: Counts, highest: Counts
) -> tuple[Counts, Counts]:
    low = np.full((number, 3), np.iinfo(np.int64).max)
    high = np.full((number, 3), -1)
    np.minimum.at(low, sets, lowest)
    np.maximum.at(high, sets, highest)
    return low, high
