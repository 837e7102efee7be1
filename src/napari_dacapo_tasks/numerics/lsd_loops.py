"""The compiled loop that describes the objects of a volume, tile by tile.

Rows and planes in which an object does not come near a tile are not there at all, so that a
branched object costs about what its own voxels cost, however large its bounding box. Importing
this module compiles or loads it.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_dacapo_tasks.numerics.compiled import compiled
from napari_dacapo_tasks.numerics.lanes import LANES, load, store
from napari_dacapo_tasks.numerics.moments import (
    SUMS_ALONG_X,
    SUMS_ALONG_Z,
    describe_moments,
    sum_along_x,
    sum_along_y,
    sum_along_z,
)
from napari_dacapo_tasks.numerics.object_tiles import (
    TILE_COLUMNS,
    TILE_PLANES,
    mark,
    near,
    room_for_near,
    tiles_across,
    tiles_back,
)

Floats = NDArray[np.float32]
Integers = NDArray[np.int64]
Places = NDArray[np.int32]

# Rows along x that are gathered before they are written: as many as stay in the nearest cache.
_ROWS = 16
_ALL_LANES = np.uint32((1 << LANES) - 1)
_LANES = np.uint32(LANES)
_REGISTERS = TILE_COLUMNS // LANES


@compiled()
def _write(
    ys: Integers,
    masks: NDArray[np.uint32],
    made: Floats,
    number_of_rows: int,
    z: int,
    left: int,
    channels: Integers,
    out: Floats,
) -> None:
    """Write the gathered rows of a tile and a plane, a channel after the other."""
    for channel in range(len(channels)):
        for row in range(number_of_rows):
            line = out[channel, z, ys[row]]
            source = (channels[channel] * _ROWS + row) * TILE_COLUMNS
            mask = masks[row]
            column = 0
            while mask != 0:
                if mask & _ALL_LANES == _ALL_LANES:
                    store(line, left + column, load(made, source + column))
                else:
                    for lane in range(LANES):
                        if mask >> np.uint32(lane) & 1:
                            line[left + column + lane] = made[source + column + lane]
                mask >>= _LANES
                column += LANES


@compiled()
def _write_blocks(
    ys: Integers,
    masks: NDArray[np.uint32],
    made: Floats,
    number_of_rows: int,
    z: int,
    left: int,
    steps: Integers,
    channels: Integers,
    numbers: NDArray[np.uint32],
    number: int,
    out: Floats,
) -> None:
    """Write rows of a coarse grid in all voxels of the blocks that are of an object."""
    step_z, step_y, step_x = steps
    _, depth, height, width = out.shape
    for row in range(number_of_rows):
        y = ys[row]
        for fine_z in range(z * step_z, min((z + 1) * step_z, depth)):
            for fine_y in range(y * step_y, min((y + 1) * step_y, height)):
                for column in range(TILE_COLUMNS):
                    if not masks[row] >> np.uint32(column) & 1:
                        continue
                    begin = (left + column) * step_x
                    for fine_x in range(begin, min(begin + step_x, width)):
                        if numbers[fine_z, fine_y, fine_x] != number:
                            continue
                        for channel in range(len(channels)):
                            source = (channels[channel] * _ROWS + row) * TILE_COLUMNS
                            out[channel, fine_z, fine_y, fine_x] = made[source + column]


@compiled()
def _sum_to_rows(
    near_runs: Any,
    near_y: int,
    near_y_last: int,
    tile: tuple[int, int, int, int],
    wanted_box: tuple[int, int, int, int],
    masks: NDArray[np.uint32],
    kernels: Any,
    bench: Any,
) -> None:
    """Sum along x and z for the wanted planes of a tile, and all y that matter to them.

    ``bench`` holds room for the sums along x and their z, and for the results: sums along z, their
    y, and how many there are, by register and plane.
    """
    front, left, y_first, registers = tile
    low_z, high_z, low_y, high_y = wanted_box
    weights_z, weights_y, table_x = kernels
    sums_x, zs, next_y, sums_z, ys, heights = bench
    reach_z, reach_y = _reach(weights_z), _reach(weights_y)
    z_first = front + low_z - reach_z
    z_last = front + high_z + reach_z
    for register in range(registers):
        here = left + register * LANES
        lanes = _ALL_LANES << np.uint32(register * LANES)
        for z in range(low_z, high_z + 1):
            heights[register, z] = 0
            next_y[z] = low_y
        for y in range(max(low_y - reach_y, near_y), min(high_y + reach_y, near_y_last) + 1):
            found = -1
            low, high = 0, 0
            for z in range(low_z, high_z + 1):
                # Whether there is a wanted voxel at this z to which this y matters.
                while next_y[z] <= high_y and (
                    next_y[z] < y - reach_y or masks[z, next_y[z] - y_first] & lanes == 0
                ):
                    next_y[z] += 1
                if next_y[z] > min(y + reach_y, high_y):
                    continue
                if found < 0:
                    found = sum_along_x(
                        near_runs, y - near_y, z_first, z_last, here, table_x, sums_x, zs
                    )
                while low < found and zs[low] < front + z - reach_z:
                    low += 1
                while high < found and zs[high] <= front + z + reach_z:
                    high += 1
                if low < high:
                    number = heights[register, z]
                    place = number * SUMS_ALONG_Z
                    sums = sums_z[register, z]
                    sum_along_z(sums_x, zs, low, high, front + z, weights_z, sums, place)
                    ys[register, z, number] = y
                    heights[register, z] = number + 1


@compiled()
def _describe_rows(
    number: int,
    tile: tuple[int, int, int, int],
    wanted_box: tuple[int, int, int, int],
    masks: NDArray[np.uint32],
    weights_y: Floats,
    scales: Floats,
    bench: Any,
    rows: Any,
    target: Any,
) -> None:
    """Sum along y what `_sum_to_rows` left, describe it and write it; clear the masks."""
    front, left, y_first, registers = tile
    low_z, high_z, low_y, high_y = wanted_box
    _, _, _, sums_z, ys, heights = bench
    row_ys, row_masks, made, lows, highs, work = rows
    steps, channels, numbers, out = target
    on_grid = steps[0] == 1 and steps[1] == 1 and steps[2] == 1
    reach_y = _reach(weights_y)
    for z in range(low_z, high_z + 1):
        for register in range(registers):
            lows[register] = 0
            highs[register] = 0
        next_y = low_y
        while next_y <= high_y:
            found = 0
            while next_y <= high_y and found < _ROWS:
                if masks[z, next_y - y_first] != 0:
                    row_ys[found] = next_y
                    row_masks[found] = masks[z, next_y - y_first]
                    masks[z, next_y - y_first] = 0
                    found += 1
                next_y += 1
            for register in range(registers):
                lanes = _ALL_LANES << np.uint32(register * LANES)
                low, high, end = lows[register], highs[register], heights[register, z]
                for row in range(found):
                    if row_masks[row] & lanes == 0:
                        continue
                    y = row_ys[row]
                    while low < end and ys[register, z, low] < y - reach_y:
                        low += 1
                    while high < end and ys[register, z, high] <= y + reach_y:
                        high += 1
                    sum_along_y(sums_z[register, z], ys[register, z], low, high, y, weights_y, work)
                    describe_moments(work, scales)
                    for kind in range(10):
                        place = (kind * _ROWS + row) * TILE_COLUMNS + register * LANES
                        store(made, place, load(work, (10 + kind) * LANES))
                lows[register], highs[register] = low, high
            if on_grid:
                _write(row_ys, row_masks, made, found, front + z, left, channels, out)
            else:
                _write_blocks(
                    *(row_ys, row_masks, made, found, front + z, left),
                    *(steps, channels, numbers, number + 1, out),
                )


@compiled()
def _reach(weights: Floats) -> int:
    return (len(weights) // 3 - 1) // 2


@compiled(
    "void(i8[::1],"
    "i8[::1],i8[::1],i4[::1],i4[::1],i8[:,::1],"
    "i8[::1],i8[::1],i4[::1],i4[::1],i8[:,::1],i8,"
    "f4[::1],f4[::1],f8[::1],f4[::1],"
    "i8[::1],i8[::1],u4[:,:,::1],f4[:,:,:,::1])"
)
def describe(
    part: Integers,
    shown_begins: Integers,
    shown_rows: Integers,
    shown_starts: Places,
    shown_stops: Places,
    shown_bounds: Integers,
    begins: Integers,
    rows: Integers,
    starts: Places,
    stops: Places,
    bounds: Integers,
    depth: int,
    weights_z: Floats,
    weights_y: Floats,
    table_x: NDArray[np.float64],
    scales: Floats,
    channels: Integers,
    steps: Integers,
    numbers: NDArray[np.uint32],
    out: Floats,
) -> None:
    """Write the descriptors of one part of the work.

    Parameters
    ----------
    part
        One of `object_tiles.shares`.
    shown_begins, shown_rows, shown_starts, shown_stops, shown_bounds
        The `object_runs.Runs` where descriptors are asked for. Within an object they may repeat,
        and come with y ascending.
    begins, rows, starts, stops, bounds
        Those that make up the objects.
    depth
        Planes of the grid that the rows count.
    weights_z, weights_y, table_x
        `kernels.weighted_offsets` for z and y, `kernels.cumulated_offsets` for x.
    scales
        See `describe_moments`.
    channels
        Which of the ten descriptors the channels of ``out`` are.
    steps
        Voxels of ``out`` per voxel of the grid, along z, y and x.
    numbers
        The number of the object of every voxel of ``out``, from 1 on; not read where all steps
        are 1.
    out
        ``(c, z, y, x)``.
    """
    shown = shown_begins, shown_rows, shown_starts, shown_stops
    runs = begins, rows, starts, stops
    near_runs = room_for_near(begins, bounds, part)
    wanted_runs = room_for_near(shown_begins, shown_bounds, part)
    kernels = weights_z, weights_y, table_x
    reach = _reach(weights_z)
    height = len(near_runs[3])
    planes = min(TILE_PLANES, depth)
    near_planes = min(planes + 2 * reach, depth)
    bench = (
        np.empty(near_planes * SUMS_ALONG_X, np.float32),
        np.empty(near_planes, np.int32),
        np.empty(planes, np.int64),
        np.empty((_REGISTERS, planes, height * SUMS_ALONG_Z), np.float32),
        np.empty((_REGISTERS, planes, height), np.int32),
        np.empty((_REGISTERS, planes), np.int64),
    )
    masks = np.zeros((planes, len(wanted_runs[3])), np.uint32)
    gathered = (
        np.empty(_ROWS, np.int64),
        np.empty(_ROWS, np.uint32),
        np.empty(10 * _ROWS * TILE_COLUMNS, np.float32),
        np.empty(_REGISTERS, np.int64),
        np.empty(_REGISTERS, np.int64),
        np.empty(20 * LANES, np.float32),
    )
    target = steps, channels, numbers, out
    for number in range(part[0], part[1]):
        z_first, _, y_first, y_last, x_first, x_last = shown_bounds[number]
        _, _, near_y, near_y_last, _, _ = bounds[number]
        across = tiles_across(shown_bounds[number])
        number_of_tiles = tiles_back(shown_bounds[number]) * across
        front_before = -1
        for tile in range(part[2], min(part[3], number_of_tiles)):
            front = z_first + tile // across * TILE_PLANES
            left = x_first + tile % across * TILE_COLUMNS
            if front != front_before:
                front_before = front
                back = front + TILE_PLANES
                near(runs, number, depth, near_y, front - reach, back + reach, near_runs)
                near(shown, number, depth, y_first, front, back, wanted_runs)
            box = mark(wanted_runs, y_first, y_last, front, left, masks)
            if box[1] < 0:
                continue
            registers = min((x_last - left) // LANES + 1, _REGISTERS)
            place = front, left, y_first, registers
            _sum_to_rows(near_runs, near_y, near_y_last, place, box, masks, kernels, bench)
            _describe_rows(number, place, box, masks, weights_y, scales, bench, gathered, target)
