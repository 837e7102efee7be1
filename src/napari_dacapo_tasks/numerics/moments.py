"""Gaussian-weighted moments of an object, and the shape descriptors made of them.

For a voxel these are sums over the object's voxels around it: of the weight times 1, the offset,
and the products of two offsets. Weights and offsets separate by axis, so ten sums take three
filters along x, six along z on those, and ten along y on those. Along x an object is a few runs,
and the sum over a run the difference of two cumulated weights. Offsets are counted from the voxel
itself, so that float32 suffices wherever the object lies.

The functions work on 8 voxels side by side (`lanes`) and are compiled into those of `lsd_loops`.
What numba keeps on disk of those is made anew when their own file changes, not this one: so change
that, too.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_dacapo_tasks.numerics.compiled import compiled
from napari_dacapo_tasks.numerics.lanes import (
    LANES,
    load,
    nothing,
    nothing_doubled,
    plus_difference,
    plus_product,
    store,
)

Floats = NDArray[np.float32]
Places = NDArray[np.int32]

SUMS_ALONG_X = 3 * LANES
"""Numbers that `sum_along_x` makes of a row: of 1, x, xx."""
SUMS_ALONG_Z = 6 * LANES
"""Numbers that `sum_along_z` makes: of 1, z, zz, x, xz, xx."""

_ZERO = np.float32(0)
_HALF = np.float32(0.5)
_ONE = np.float32(1)
# Less than any sum of weights that is not nothing.
_TINY = np.float32(1e-30)
# A variance that is so much less than the square of the mean has no digit that can be trusted.
_NO_EXTENT = np.float32(1e-5)


@compiled()
def sum_along_x(
    near_runs: Any,
    y: int,
    z_first: int,
    z_last: int,
    left: int,
    table: NDArray[np.float64],
    rows: Floats,
    planes: Places,
) -> int:
    """Sum along x, as seen from lanes from ``left`` on, over runs of the ``y``th row of planes.

    Parameters
    ----------
    near_runs
        What `object_tiles.near` found; ``y`` counts from its first.
    z_first, z_last
        The planes that matter.
    table
        `kernels.cumulated_offsets`.
    rows, planes
        Where to put the sums of the rows that have anything, one after the other, and their z.

    Returns
    -------
    The number of those rows.
    """
    run_zs, starts, stops, y_begins = near_runs
    length = len(table) // 3
    reach = (length - 2 * LANES - 2) // 2
    middle = reach + LANES + 1
    found = 0
    run, end = y_begins[y], y_begins[y + 1]
    while run < end:
        plane = run_zs[run]
        if plane < z_first:
            run += 1
            continue
        if plane > z_last:
            break
        anything = False
        total = nothing_doubled()
        total_x = nothing_doubled()
        total_xx = nothing_doubled()
        while run < end and run_zs[run] == plane:
            start = starts[run] - left
            stop = stops[run] - left
            if stop > -reach and start < LANES + reach:
                upper = max(middle - stop, 0)
                lower = min(middle - start, length - LANES)
                total = plus_difference(total, table, upper, lower)
                total_x = plus_difference(total_x, table, length + upper, length + lower)
                total_xx = plus_difference(total_xx, table, 2 * length + upper, 2 * length + lower)
                anything = True
            run += 1
        if anything:
            place = found * SUMS_ALONG_X
            store(rows, place, total)
            store(rows, place + LANES, total_x)
            store(rows, place + 2 * LANES, total_xx)
            planes[found] = plane
            found += 1
    return found


@compiled()
def sum_along_z(
    rows: Floats,
    planes: Places,
    first: int,
    end: int,
    z: int,
    weights: Floats,
    sums: Floats,
    place: int,
) -> None:
    """Sum rows ``first`` to ``end - 1`` of `sum_along_x`, as seen from a z, into a place.

    ``weights`` are `kernels.weighted_offsets`.
    """
    middle = len(weights) // 2 - 1
    total = nothing()
    total_z = nothing()
    total_zz = nothing()
    total_x = nothing()
    total_xz = nothing()
    total_xx = nothing()
    for row in range(first, end):
        offset = middle + 3 * (planes[row] - z)
        weight, weight_z, weight_zz = weights[offset], weights[offset + 1], weights[offset + 2]
        given = load(rows, row * SUMS_ALONG_X)
        total = plus_product(total, weight, given)
        total_z = plus_product(total_z, weight_z, given)
        total_zz = plus_product(total_zz, weight_zz, given)
        given = load(rows, row * SUMS_ALONG_X + LANES)
        total_x = plus_product(total_x, weight, given)
        total_xz = plus_product(total_xz, weight_z, given)
        given = load(rows, row * SUMS_ALONG_X + 2 * LANES)
        total_xx = plus_product(total_xx, weight, given)
    store(sums, place, total)
    store(sums, place + LANES, total_z)
    store(sums, place + 2 * LANES, total_zz)
    store(sums, place + 3 * LANES, total_x)
    store(sums, place + 4 * LANES, total_xz)
    store(sums, place + 5 * LANES, total_xx)


@compiled()
def sum_along_y(
    sums: Floats, ys: Places, first: int, end: int, y: int, weights: Floats, moments: Floats
) -> None:
    """Sum what `sum_along_z` made for one z and ``ys[first:end]``, as seen from a y.

    The moments are in the order that `describe_moments` takes.
    """
    middle = len(weights) // 2 - 1
    total = nothing()
    total_y = nothing()
    total_yy = nothing()
    total_z = nothing()
    total_zy = nothing()
    total_zz = nothing()
    total_x = nothing()
    total_yx = nothing()
    total_zx = nothing()
    total_xx = nothing()
    for row in range(first, end):
        offset = middle + 3 * (ys[row] - y)
        weight, weight_y, weight_yy = weights[offset], weights[offset + 1], weights[offset + 2]
        given = load(sums, row * SUMS_ALONG_Z)
        total = plus_product(total, weight, given)
        total_y = plus_product(total_y, weight_y, given)
        total_yy = plus_product(total_yy, weight_yy, given)
        given = load(sums, row * SUMS_ALONG_Z + LANES)
        total_z = plus_product(total_z, weight, given)
        total_zy = plus_product(total_zy, weight_y, given)
        given = load(sums, row * SUMS_ALONG_Z + 2 * LANES)
        total_zz = plus_product(total_zz, weight, given)
        given = load(sums, row * SUMS_ALONG_Z + 3 * LANES)
        total_x = plus_product(total_x, weight, given)
        total_yx = plus_product(total_yx, weight_y, given)
        given = load(sums, row * SUMS_ALONG_Z + 4 * LANES)
        total_zx = plus_product(total_zx, weight, given)
        given = load(sums, row * SUMS_ALONG_Z + 5 * LANES)
        total_xx = plus_product(total_xx, weight, given)
    store(moments, 0, total)
    store(moments, LANES, total_z)
    store(moments, 2 * LANES, total_y)
    store(moments, 3 * LANES, total_x)
    store(moments, 4 * LANES, total_zz)
    store(moments, 5 * LANES, total_yy)
    store(moments, 6 * LANES, total_xx)
    store(moments, 7 * LANES, total_zy)
    store(moments, 8 * LANES, total_zx)
    store(moments, 9 * LANES, total_yx)


@compiled()
def describe_moments(work: Floats, scales: Floats) -> None:
    """Turn ten moments into ten descriptors, which follow them in ``work``.

    Moments are in the order 1, z, y, x, zz, yy, xx, zy, zx, yx; descriptors the same with mass
    last. ``scales`` are, each for z, y and x, half a voxel in sigmas, the least variance in
    voxels, a voxel in sigmas squared, and at the end one over the sum of the whole kernel.
    """
    # Out of the array beforehand: else LLVM fears that what is written overwrites them.
    half_z, half_y, half_x = scales[0], scales[1], scales[2]
    least_zz, least_yy, least_xx = scales[3], scales[4], scales[5]
    square_z, square_y, square_x = scales[6], scales[7], scales[8]
    one_over_whole = scales[9]
    for lane in range(LANES):
        total = work[lane]
        one_over = _ONE / max(total, _TINY)
        z = work[LANES + lane] * one_over
        y = work[2 * LANES + lane] * one_over
        x = work[3 * LANES + lane] * one_over
        zz = work[4 * LANES + lane] * one_over - z * z
        yy = work[5 * LANES + lane] * one_over - y * y
        xx = work[6 * LANES + lane] * one_over - x * x
        zy = work[7 * LANES + lane] * one_over - z * y
        zx = work[8 * LANES + lane] * one_over - z * x
        yx = work[9 * LANES + lane] * one_over - y * x
        # Where an object has no extent along an axis, its correlations are rounding errors: none.
        extent_z = _ZERO if zz < _NO_EXTENT * z * z else _ONE
        extent_y = _ZERO if yy < _NO_EXTENT * y * y else _ONE
        extent_x = _ZERO if xx < _NO_EXTENT * x * x else _ONE
        zz = max(zz, least_zz)
        yy = max(yy, least_yy)
        xx = max(xx, least_xx)
        per_z = extent_z / np.sqrt(zz)
        per_y = extent_y / np.sqrt(yy)
        per_x = extent_x / np.sqrt(xx)
        work[10 * LANES + lane] = _clipped(z * half_z + _HALF)
        work[11 * LANES + lane] = _clipped(y * half_y + _HALF)
        work[12 * LANES + lane] = _clipped(x * half_x + _HALF)
        work[13 * LANES + lane] = _clipped(zz * square_z)
        work[14 * LANES + lane] = _clipped(yy * square_y)
        work[15 * LANES + lane] = _clipped(xx * square_x)
        work[16 * LANES + lane] = _clipped(zy * per_z * per_y * _HALF + _HALF)
        work[17 * LANES + lane] = _clipped(zx * per_z * per_x * _HALF + _HALF)
        work[18 * LANES + lane] = _clipped(yx * per_y * per_x * _HALF + _HALF)
        work[19 * LANES + lane] = _clipped(total * one_over_whole)


@compiled()
def _clipped(value: np.float32) -> np.float32:
    return min(max(value, _ZERO), _ONE)
