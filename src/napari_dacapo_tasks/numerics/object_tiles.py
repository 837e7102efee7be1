"""The tiles in which the work on objects is done, and how it is shared out among threads.

A tile is a part of one object: `TILE_PLANES` of z, `TILE_COLUMNS` of x, and all of y. Those of an
object are counted from where it begins, along x first.

All functions but `shares` are compiled into those of `lsd_loops`. What numba keeps on disk of
those is made anew when their own file changes, not this one: so change that, too.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_dacapo_tasks.numerics.compiled import compiled
from napari_dacapo_tasks.numerics.lanes import LANES
from napari_dacapo_tasks.numerics.object_runs import Integers, Places, Runs

TILE_PLANES = 16
"""Voxels along z of a tile: more share the sums along x, fewer stay in the cache."""
TILE_COLUMNS = 4 * LANES
"""Voxels along x of a tile: what is written in one go should be more than a line of the cache."""

# Voxels below which a part of the work is not worth a thread's turn.
_LEAST_SHARE = 1 << 12
_ALL_TILES = 1 << 62


def shares(runs: Runs, number: int) -> list[Integers]:
    """Cut the work on all voxels of objects into about so many parts, the largest first.

    A part is many small objects or some tiles of a large one: first object, last object + 1,
    first tile, last tile + 1, voxels.
    """
    voxels = int((runs.stops - runs.starts).sum(dtype=np.int64))
    share = max(voxels // number, _LEAST_SHARE)
    parts = np.empty((4 * (voxels // share + 1), 5), np.int64)
    found = _share_out(runs.begins, runs.starts, runs.stops, runs.bounds, share, parts)
    return list(parts[np.argsort(-parts[:found, 4], kind="stable")])


@compiled()
def tiles_back(bounds: Integers) -> int:
    """Count the tiles of an object along z."""
    return int(bounds[1] - bounds[0] + TILE_PLANES) // TILE_PLANES


@compiled()
def tiles_across(bounds: Integers) -> int:
    """Count the tiles of an object along x."""
    return int(bounds[5] - bounds[4] + TILE_COLUMNS) // TILE_COLUMNS


@compiled()
def room_for_near(begins: Integers, bounds: Integers, part: Integers) -> Any:
    """Make room for what `near` finds for any object of a part."""
    most, height = 0, 0
    for number in range(part[0], part[1]):
        most = max(most, begins[number + 1] - begins[number])
        height = max(height, bounds[number, 3] - bounds[number, 2] + 1)
    zs = np.empty(most, np.int32)
    starts = np.empty(most, np.int32)
    stops = np.empty(most, np.int32)
    return zs, starts, stops, np.zeros(height + 1, np.int64)


@compiled()
def near(
    runs: Any, number: int, depth: int, y_first: int, z_first: int, z_end: int, found: Any
) -> None:
    """Copy the runs of an object with ``z_first <= z < z_end``.

    ``found`` are places for their z, start and stop, and for where among these the runs of each
    y begin, from ``y_first``, the first y of the object, on, and where the last ones end.
    """
    begins, rows, starts, stops = runs
    zs, near_starts, near_stops, y_begins = found
    if begins[number] == begins[number + 1]:
        return
    copied = 0
    y = y_first
    y_begins[0] = 0
    for run in range(begins[number], begins[number + 1]):
        while rows[run] >= (y + 1) * depth:
            y += 1
            y_begins[y - y_first] = copied
        z = rows[run] - y * depth
        if z_first <= z < z_end:
            zs[copied] = z
            near_starts[copied] = starts[run]
            near_stops[copied] = stops[run]
            copied += 1
    y_begins[y - y_first + 1] = copied


@compiled()
def mark(
    wanted: Any, y_first: int, y_last: int, front: int, left: int, masks: NDArray[np.uint32]
) -> tuple[int, int, int, int]:
    """Mark in ``masks`` (z, y) which voxels along x of a tile are wanted, a bit each.

    ``wanted`` is what `near` found for the tile's planes. Returns the first and last z and y that
    have any, z from ``front`` on.
    """
    zs, starts, stops, y_begins = wanted
    low_z, high_z, low_y, high_y = TILE_PLANES, -1, y_last + 1, -1
    for y in range(y_first, y_last + 1):
        for run in range(y_begins[y - y_first], y_begins[y - y_first + 1]):
            start = max(starts[run] - left, 0)
            stop = min(stops[run] - left, TILE_COLUMNS)
            if start < stop:
                z = zs[run] - front
                masks[z, y - y_first] |= np.uint32((1 << stop) - (1 << start))
                low_z = min(low_z, z)
                high_z = max(high_z, z)
                low_y = min(low_y, y)
                high_y = max(high_y, y)
    return low_z, high_z, low_y, high_y


@compiled("i8(i8[::1],i4[::1],i4[::1],i8[:,::1],i8,i8[:,::1])")
def _share_out(
    begins: Integers,
    starts: Places,
    stops: Places,
    bounds: Integers,
    share: int,
    parts: Integers,
) -> int:
    """Fill in the parts that `shares` returns; return how many there are."""
    found = 0
    first = 0
    gathered = 0
    for number in range(len(begins) - 1):
        cost = 0
        for run in range(begins[number], begins[number + 1]):
            cost += np.int64(stops[run]) - starts[run]
        large = cost >= share
        if gathered > 0 and (large or gathered + cost > share):
            parts[found] = (first, number, 0, _ALL_TILES, gathered)
            found += 1
            gathered = 0
            first = number
        if large:
            tiles = tiles_back(bounds[number]) * tiles_across(bounds[number])
            pieces = min(tiles, cost // share + 1)
            for piece in range(pieces):
                begin, end = piece * tiles // pieces, (piece + 1) * tiles // pieces
                parts[found] = (number, number + 1, begin, end, cost // pieces)
                found += 1
            first = number + 1
        else:
            gathered += cost
    if gathered > 0:
        parts[found] = (first, len(begins) - 1, 0, _ALL_TILES, gathered)
        found += 1
    return found
