"""Exact squared Euclidean distances, one axis at a time, as compiled loops.

The squared distance to a set of points separates: a scan finds it along one axis, and every
further axis lowers it to ``min over k of values[i + k] + (k * spacing)^2``, the lower envelope of
one parabola for each place on the line (Felzenszwalb and Huttenlocher, "Distance transforms of
sampled functions", 2012). Two ways lead there, and both are exact:

- a window that widens until its cost exceeds all that is still to be lowered. Eight lines side by
  side fill a vector register, so near interfaces, where training data lives, this is fastest;
- the envelope itself, in linear time, where the window would have to be wider than
  ``_WIDEST_WINDOW``.

The functions work on blocks (planes, rows, columns) that fit a processor's cache, *across* the
rows or *along* them. All distances are float32, squared, in world units, and infinite where
there is nothing to measure to. ``squares[k]`` is ``(k * spacing)^2``. Blocks of distances come
from `Scratch` and have surplus columns at the right, so that rows are whole registers: infinite
where values are read, zero where they are lowered, and so without any effect.
"""

import threading
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_dacapo_tasks.numerics.compiled import compiled

Floats = NDArray[np.float32]
Flags = NDArray[np.uint8]

_INFINITY = np.float32(np.inf)
_ZERO = np.float32(0)
_HALF = np.float32(0.5)
_ONE = np.float32(1)
# Lines handled side by side: one 256-bit register of float32. On dense cells 16 and 32 lanes
# took 1.3 and 1.5 times as long, since all lanes wait for the one farthest from an interface.
_LANES = 8
# A step of the window costs about 0.3 ns a voxel and the envelope about 25 ns.
_WIDEST_WINDOW = 64


class Scratch(threading.local):
    """Blocks to work in, which each thread uses again: new memory costs a fault every 4 KB."""

    def __init__(self) -> None:
        self._kept: dict[str, Floats] = {}

    def block(self, name: str, shape: tuple[int, ...], fill: float) -> Floats:
        """Return the thread's block of that name with at least ``shape``, filled anew.

        It overwrites the one of the same name; surplus columns are at the right.
        """
        planes, rows, columns = shape
        # Two registers more than needed: rows 2^n bytes apart fight for the same cache lines.
        padded = -(-columns // _LANES) * _LANES + 2 * _LANES
        size = planes * rows * padded
        if name not in self._kept or self._kept[name].size < size:
            self._kept[name] = np.empty(size, np.float32)
        made = self._kept[name][:size].reshape(planes, rows, padded)
        made.fill(fill)
        return made


@compiled()
def _envelope(
    best: Floats, values: Floats, squares: Floats, apexes: NDArray[np.int64], starts: Any
) -> None:
    """Lower one line to the envelope of the parabolas that stand on ``values``."""
    spacing_squared = np.float64(squares[1])
    last = -1
    for place in range(len(values)):
        if not values[place] < _INFINITY:
            continue
        start = -np.inf
        while last >= 0:
            apex = apexes[last]
            rise = (np.float64(values[place]) - np.float64(values[apex])) / spacing_squared
            start = (rise + (place - apex) * (place + apex)) / (2.0 * (place - apex))
            if start > starts[last]:
                break
            last -= 1
        last += 1
        apexes[last] = place
        starts[last] = start if last > 0 else -np.inf
    if last < 0:
        return
    current = 0
    for place in range(len(values)):
        while current < last and starts[current + 1] < place:
            current += 1
        candidate = values[apexes[current]] + squares[abs(place - apexes[current])]
        best[place] = min(candidate, best[place])


@compiled("void(f4[:,:,::1],f4[:,:,::1],f4[::1],f4[:,::1],i8)")
def lower_across(
    best: Floats, values: Floats, squares: Floats, limits: Floats, columns: int
) -> None:
    """Lower ``best`` by all ``values`` of the same column and plane.

    ``best`` is at most ``values`` when it comes, both (planes, rows, padded columns), and is
    right on return where that is less than ``limits`` (planes, rows). ``squares`` reaches to
    the number of rows and one further.
    """
    planes, rows, _ = values.shape
    apexes = np.empty(rows, np.int64)
    starts = np.empty(rows, np.float64)
    line = np.empty(rows, np.float32)
    best_line = np.empty(rows, np.float32)
    for block_number in range(planes * ((columns + _LANES - 1) // _LANES)):
        plane = block_number % planes
        left = block_number // planes * _LANES
        first = rows  # rows outside first..last hold nothing to measure to in these lanes
        last = -1
        for row in range(rows):
            lowest = _INFINITY
            for lane in range(_LANES):
                value = values[plane, row, left + lane]
                lowest = value if value < lowest else lowest
            if lowest < _INFINITY:
                first = min(first, row)
                last = row
        if last < 0:
            continue
        too_wide = False
        for row in range(rows):
            limit = limits[plane, row]
            bound = _ZERO
            for lane in range(_LANES):
                value = best[plane, row, left + lane]
                bound = value if value > bound else bound
            bound = bound if bound < limit else limit
            step = max(1, first - row, row - last)
            widest = max(row - first, last - row)
            end = step + _WIDEST_WINDOW
            while step <= widest and squares[step] < bound:
                if step >= end:
                    too_wide = True
                    break
                # Where a side has run out the row itself stands in, which can lower nothing.
                above = row - step if row - step >= first else row
                below = row + step if row + step <= last else row
                above_next = row - step - 1 if row - step - 1 >= first else row
                below_next = row + step + 1 if row + step + 1 <= last else row
                cost = squares[step]
                cost_next = squares[step + 1]
                bound = _ZERO
                for lane in range(_LANES):
                    column = left + lane
                    lowest = best[plane, row, column]
                    one = values[plane, above, column]
                    other = values[plane, below, column]
                    one = (one if one < other else other) + cost
                    lowest = one if one < lowest else lowest
                    one = values[plane, above_next, column]
                    other = values[plane, below_next, column]
                    one = (one if one < other else other) + cost_next
                    lowest = one if one < lowest else lowest
                    best[plane, row, column] = lowest
                    bound = lowest if lowest > bound else bound
                bound = bound if bound < limit else limit
                step += 2
            if too_wide:
                break
        if too_wide:
            for column in range(left, min(left + _LANES, columns)):
                for row in range(rows):
                    line[row] = values[plane, row, column]
                    best_line[row] = best[plane, row, column]
                _envelope(best_line, line, squares, apexes, starts)
                for row in range(rows):
                    best[plane, row, column] = best_line[row]


@compiled("void(f4[:,:,::1],f4[:,:,::1],f4[::1],f4,i8)")
def lower_along(
    best: Floats, values: Floats, squares: Floats, limit: np.float32, columns: int
) -> None:
    """Lower ``best`` by all ``values`` of the same row.

    ``best`` is at most ``values`` when it comes, both (planes, rows, padded columns), and is
    right on return where that is less than ``limit``. ``squares`` reaches to the number of
    columns and one further.
    """
    planes, rows, _ = values.shape
    apexes = np.empty(columns, np.int64)
    starts = np.empty(columns, np.float64)
    margin = columns + _LANES  # infinity on both sides, as far as a window can reach
    line = np.full(columns + 2 * margin + _LANES, _INFINITY, np.float32)
    for row_number in range(planes * rows):
        plane = row_number // rows
        row = row_number % rows
        first = columns
        last = -1
        for column in range(columns):
            value = values[plane, row, column]
            line[margin + column] = value
            if value < _INFINITY:
                first = min(first, column)
                last = column
        if last < 0:
            continue
        too_wide = False
        for left in range(0, columns, _LANES):
            right = left + _LANES - 1
            bound = _ZERO
            for lane in range(_LANES):
                value = best[plane, row, left + lane]
                bound = value if value > bound else bound
            bound = bound if bound < limit else limit
            step = max(1, first - right, left - last)
            widest = min(max(right - first, last - left), columns - 1)
            end = step + _WIDEST_WINDOW
            while step <= widest and squares[step] < bound:
                if step >= end:
                    too_wide = True
                    break
                cost = squares[step]
                cost_next = squares[step + 1]
                bound = _ZERO
                for lane in range(_LANES):
                    column = left + lane
                    place = margin + column
                    lowest = best[plane, row, column]
                    one = line[place - step]
                    other = line[place + step]
                    one = (one if one < other else other) + cost
                    lowest = one if one < lowest else lowest
                    one = line[place - step - 1]
                    other = line[place + step + 1]
                    one = (one if one < other else other) + cost_next
                    lowest = one if one < lowest else lowest
                    best[plane, row, column] = lowest
                    bound = lowest if lowest > bound else bound
                bound = bound if bound < limit else limit
                step += 2
            if too_wide:
                break
        if too_wide:
            _envelope(
                best[plane, row, :columns], values[plane, row, :columns], squares, apexes, starts
            )


@compiled("i8(u1[:,:,::1],f4[::1],f4[:,:,::1])")
def scan_along(faces: Flags, squares: Floats, out: Floats) -> int:
    """Measure from every voxel to the nearest face of its row; return the number of faces.

    ``faces`` (planes, rows, columns - 1) lie between a column and the next; ``squares[k]`` is
    the squared distance from a face to the voxel ``k`` voxels past the one that it touches.
    """
    found = 0
    planes, rows, between = faces.shape
    for plane in range(planes):
        for row in range(rows):
            start = 0
            for column in range(between + 1):
                closed = column < between and faces[plane, row, column] != 0
                if column < between and not closed:
                    continue
                # start..column is a run without a face inside: the left half of it measures to
                # the face at its start, the right half to that at its end, if they are there.
                found += closed
                middle = column + 1
                if closed:
                    middle = (start + column + 1) // 2 if start > 0 else start
                if start > 0:
                    for place in range(start, middle):
                        out[plane, row, place] = squares[place - start]
                else:
                    for place in range(start, middle):
                        out[plane, row, place] = _INFINITY
                for place in range(middle, column + 1):
                    out[plane, row, place] = squares[column - place]
                start = column + 1
    return found


@compiled("i8(u1[:,:,::1],f4,f4[:,:,::1])")
def scan_across(faces: Flags, spacing: np.float32, out: Floats) -> int:
    """Measure from every voxel to the nearest face of its column; return the number of faces.

    ``faces`` (planes, rows - 1, columns) lie between a row and the next, half a ``spacing``
    from both.
    """
    found = 0
    planes, between, columns = faces.shape
    below = np.empty(columns, np.float32)
    for plane in range(planes):
        for column in range(columns):
            out[plane, 0, column] = _INFINITY
            below[column] = _INFINITY
        for row in range(between):
            for column in range(columns):
                face = faces[plane, row, column]
                found += face
                steps = out[plane, row, column] + _ONE
                out[plane, row + 1, column] = _HALF if face else steps
        for row in range(between, -1, -1):
            for column in range(columns):
                steps = out[plane, row, column]
                steps = (steps if steps < below[column] else below[column]) * spacing
                out[plane, row, column] = steps * steps
            if row > 0:
                for column in range(columns):
                    steps = below[column] + _ONE
                    below[column] = _HALF if faces[plane, row - 1, column] else steps
    return found
