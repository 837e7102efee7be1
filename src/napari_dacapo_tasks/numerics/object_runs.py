"""The objects of a volume as runs along x: the compiled loops that find, number and sort them.

A run is a stretch of voxels of one row with one id. Runs say where an object is without a look at
the rest of its bounding box, so that what is done with them costs the same for one object as for
ten thousand, and for compact ones as for branched ones. Importing this module compiles or loads
the loops.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from napari_dacapo_tasks.numerics.compiled import compiled
from napari_dacapo_tasks.numerics.threads import map_in_threads, slices

Integers = NDArray[np.int64]
Places = NDArray[np.int32]

# Voxels in which a thread looks for runs at a time.
_BLOCK_VOXELS = 1 << 18
# Slots of the table of ids at first; a power of two.
_FIRST_SLOTS = 1 << 10
# 2^64 divided by the golden ratio: multiplying by it spreads ids evenly (Knuth, TAOCP 3, 6.4).
_SPREAD = np.uint64(0x9E3779B97F4A7C15)


class Runs(NamedTuple):
    """The runs of all objects: those of an object side by side, sorted by row and place.

    ``rows`` are ``y * depth + z``, so that rows of one y follow each other; a run is ``starts`` to
    ``stops - 1``. Those of object ``i`` are ``begins[i]`` to ``begins[i + 1] - 1``, and
    ``bounds[i]`` the first and last z, y and x in which it is: 0 and -1 where it is not.
    """

    begins: Integers
    rows: Integers
    starts: Places
    stops: Places
    bounds: Integers

    @property
    def number_of_objects(self) -> int:
        """Objects, with those that have no run."""
        return len(self.begins) - 1


def runs_of(volume: NDArray[Any], background_too: bool = False) -> Runs:
    """List the runs of all ids of a volume, objects in the order in which they are met.

    Parameters
    ----------
    volume
        ``(z, y, x)``, C-contiguous, of an unsigned type.
    background_too
        Whether 0 is an object as well.
    """
    rows, starts, stops, ids = _listed(volume, background_too)
    numbers = np.empty(len(ids), np.int32)
    number_of_objects = _number(ids, numbers)
    return _grouped(numbers, number_of_objects, rows, starts, stops, len(volume))


def coarse_runs(
    runs: Runs, shape: tuple[int, ...], steps: tuple[int, ...]
) -> tuple[Runs, Runs, NDArray[np.uint32]]:
    """Take the voxels of a volume that lie on a coarser grid, every so many along z, y and x.

    Returns
    -------
    The objects' runs of coarse voxels, their runs of coarse voxels whose block they are in
    (which may repeat), and the volume with the numbers of the objects, from 1 on.
    """
    numbers = np.zeros(shape, np.uint32)
    _paint(*runs[:4], numbers)
    sampled = np.ascontiguousarray(numbers[tuple(slice(None, None, step) for step in steps)])
    rows, starts, stops, ids = _listed(sampled, False)
    at_samples = _grouped(
        ids.astype(np.int32) - 1, runs.number_of_objects, rows, starts, stops, len(sampled)
    )
    y, z = np.divmod(runs.rows, shape[0])
    rows = y // steps[1] * len(sampled) + z // steps[0]
    starts, stops = runs.starts // steps[2], (runs.stops - 1) // steps[2] + 1
    in_blocks = Runs(runs.begins, rows, starts, stops, np.empty_like(runs.bounds))
    _find_bounds(*in_blocks[:4], len(sampled), in_blocks.bounds)
    return at_samples, in_blocks, numbers


def _listed(
    volume: NDArray[Any], background_too: bool
) -> tuple[Integers, Places, Places, NDArray[np.uint64]]:
    count, fill = _count[volume.dtype], _list[volume.dtype]
    blocks = slices(volume.shape[1], volume.size, _BLOCK_VOXELS)
    numbers = map_in_threads(lambda y: count(volume, y.start, y.stop, background_too), blocks)
    ends = np.cumsum(numbers, dtype=np.int64)
    total = int(ends[-1]) if blocks else 0
    rows, ids = np.empty(total, np.int64), np.empty(total, np.uint64)
    starts, stops = np.empty(total, np.int32), np.empty(total, np.int32)

    def fill_block(number: int) -> None:
        part = slice(int(ends[number]) - numbers[number], int(ends[number]))
        y = blocks[number]
        fill(
            volume,
            y.start,
            y.stop,
            background_too,
            rows[part],
            starts[part],
            stops[part],
            ids[part],
        )

    map_in_threads(fill_block, range(len(blocks)))
    return rows, starts, stops, ids


def _grouped(
    numbers: Places,
    number_of_objects: int,
    rows: Integers,
    starts: Places,
    stops: Places,
    depth: int,
) -> Runs:
    begins = np.zeros(number_of_objects + 1, np.int64)
    bounds = np.empty((number_of_objects, 6), np.int64)
    made = Runs(begins, np.empty_like(rows), np.empty_like(starts), np.empty_like(stops), bounds)
    _sort(numbers, rows, starts, stops, *made[:4])
    _find_bounds(*made[:4], depth, bounds)
    return made


def _count_runs(volume: NDArray[Any], first: int, end: int, background_too: bool) -> int:
    """Count the runs with ``first <= y < end``."""
    depth, _, width = volume.shape
    found = 0
    for y in range(first, end):
        for z in range(depth):
            row = volume[z, y]
            changes = np.uint32(background_too or row[0] != 0)
            for x in range(1, width):
                changes += np.uint32((row[x] != row[x - 1]) & (background_too | (row[x] != 0)))
            found += int(changes)
    return found


def _list_runs(
    volume: NDArray[Any],
    first: int,
    end: int,
    background_too: bool,
    rows: Integers,
    starts: Places,
    stops: Places,
    ids: NDArray[np.uint64],
) -> None:
    """Write down the runs that `_count_runs` counts."""
    depth, _, width = volume.shape
    found = 0
    for y in range(first, end):
        for z in range(depth):
            row = volume[z, y]
            start = 0
            while start < width:
                label = row[start]
                stop = start + 1
                while stop < width and row[stop] == label:
                    stop += 1
                if background_too or label != 0:
                    rows[found] = y * depth + z
                    starts[found] = start
                    stops[found] = stop
                    ids[found] = label
                    found += 1
                start = stop


# Of labels that may be read-only, as those of an opened file are.
_VOLUMES = {np.dtype(kind): f"Array({kind}, 3, 'C', True)" for kind in ("u1", "u2", "u4", "u8")}
_count = {
    dtype: compiled(f"i8({volume},i8,i8,b1)")(_count_runs) for dtype, volume in _VOLUMES.items()
}
_list = {
    dtype: compiled(f"void({volume},i8,i8,b1,i8[::1],i4[::1],i4[::1],u8[::1])")(_list_runs)
    for dtype, volume in _VOLUMES.items()
}


@compiled()
def _slot(table: Places, known: NDArray[np.uint64], label: np.uint64) -> int:
    """Find where in the table an id stands, or the empty slot where it would."""
    slot = int((label * _SPREAD) >> np.uint64(32)) & (len(table) - 1)
    while table[slot] >= 0 and known[table[slot]] != label:
        slot = (slot + 1) & (len(table) - 1)
    return slot


@compiled("i8(u8[::1],i4[::1])")
def _number(ids: NDArray[np.uint64], numbers: Places) -> int:
    """Number ids from 0 on in the order in which they are met; return how many there are."""
    table = np.full(_FIRST_SLOTS, -1, np.int32)
    known = np.empty(_FIRST_SLOTS, np.uint64)
    found = 0
    for place in range(len(ids)):
        label = ids[place]
        if place > 0 and label == ids[place - 1]:
            numbers[place] = numbers[place - 1]
            continue
        slot = _slot(table, known, label)
        if table[slot] < 0:
            known[found] = label
            table[slot] = found
            found += 1
            if 2 * found > len(table):
                larger = np.empty(2 * len(table), np.uint64)
                larger[:found] = known[:found]
                known = larger
                table = np.full(2 * len(table), -1, np.int32)
                for earlier in range(found):
                    table[_slot(table, known, known[earlier])] = earlier
            numbers[place] = found - 1
        else:
            numbers[place] = table[slot]
    return found


@compiled("void(i4[::1],i8[::1],i4[::1],i4[::1],i8[::1],i8[::1],i4[::1],i4[::1])")
def _sort(
    numbers: Places,
    rows: Integers,
    starts: Places,
    stops: Places,
    begins: Integers,
    sorted_rows: Integers,
    sorted_starts: Places,
    sorted_stops: Places,
) -> None:
    """Bring runs in the order of their objects, and keep their order within each."""
    for number in numbers:
        begins[number + 1] += 1
    for number in range(1, len(begins)):
        begins[number] += begins[number - 1]
    free = begins[:-1].copy()
    for run in range(len(numbers)):
        place = free[numbers[run]]
        free[numbers[run]] += 1
        sorted_rows[place] = rows[run]
        sorted_starts[place] = starts[run]
        sorted_stops[place] = stops[run]


@compiled("void(i8[::1],i8[::1],i4[::1],i4[::1],u4[:,:,::1])")
def _paint(
    begins: Integers, rows: Integers, starts: Places, stops: Places, volume: NDArray[np.uint32]
) -> None:
    depth = volume.shape[0]
    for number in range(len(begins) - 1):
        for run in range(begins[number], begins[number + 1]):
            row = volume[rows[run] % depth, rows[run] // depth]
            row[starts[run] : stops[run]] = number + 1


@compiled("void(i8[::1],i8[::1],i4[::1],i4[::1],i8,i8[:,::1])")
def _find_bounds(
    begins: Integers, rows: Integers, starts: Places, stops: Places, depth: int, bounds: Integers
) -> None:
    for number in range(len(begins) - 1):
        first, end = begins[number], begins[number + 1]
        if first == end:
            bounds[number] = (0, -1, 0, -1, 0, -1)
            continue
        y = rows[first] // depth
        y_first = y
        z_first, z_last = depth, -1
        x_first, x_last = np.int64(starts[first]), np.int64(-1)
        for run in range(first, end):
            # With y ascending no division is needed.
            while rows[run] >= (y + 1) * depth:
                y += 1
            z = rows[run] - y * depth
            z_first = min(z_first, z)
            z_last = max(z_last, z)
            x_first = min(x_first, np.int64(starts[run]))
            x_last = max(x_last, np.int64(stops[run]) - 1)
        bounds[number] = (z_first, z_last, y_first, y, x_first, x_last)
