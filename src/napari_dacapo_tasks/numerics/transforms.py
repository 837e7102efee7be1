"""Squared Euclidean distances on a voxel grid: to interfaces, to what is unknown, to a set.

The faces across one axis lie half a voxel off the grid along that axis and on it along the
others, so a scan along that axis and a parabola pass along each other axis give the exact squared
distance to them, and the least over the three axes is the squared distance to the nearest
interface. Passes commute with taking the least of two, which saves one of six::

    planes    along y of (scan x), along x of (scan y)    -> lateral
    columns   along z of lateral;  scan z                 -> lateral, axial
    planes    along x of (along y of axial);  lateral     -> the squared distance

Every stage goes block by block over all threads, in blocks that fit a core's cache, so that the
one large array besides the result is ``axial``. Importing this module compiles or loads the loops.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import product
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_dacapo_tasks.numerics.labels import require_no_negative
from napari_dacapo_tasks.numerics.parabolas import (
    Scratch,
    lower_across,
    lower_along,
    scan_across,
    scan_along,
)
from napari_dacapo_tasks.numerics.threads import map_in_threads, slices

Floats = NDArray[np.float32]

# Voxels of a block: its three float32 arrays of 512 KB stay in the cache, and what Python does
# about a block is then nothing beside the loops. Smaller ones were slower, larger ones no faster.
_BLOCK_VOXELS = 1 << 17
# The least width of a block of columns: one cache line of float32.
_CACHE_LINE = 16
# The voxel size of the axis that an image lacks: farther than anything, finite when squared.
_NOWHERE = 1e15


@dataclass(frozen=True)
class Grid:
    """A grid of voxels ``(z, y, x)`` and their sizes; an image ``(y, x)`` is taken as (y, 1, x).

    So an image is cut into lines, not into one plane that no cache can hold.
    """

    shape: tuple[int, int, int]
    spacing: tuple[float, float, float]

    @classmethod
    def of(cls, shape: Sequence[int], voxel_size: Sequence[float]) -> "Grid":
        """Return the grid of an array of 2 or 3 dimensions."""
        if len(shape) == 2:
            (rows, columns), (height, width) = shape, voxel_size
            return cls((rows, 1, columns), (float(height), _NOWHERE, float(width)))
        (planes, rows, columns), (depth, height, width) = shape, voxel_size
        return cls((planes, rows, columns), (float(depth), float(height), float(width)))

    def squares(self, axis: int, start: float = 0) -> Floats:
        """Return the squared lengths of ``start``, ``start + 1``, ... voxels along an axis."""
        steps = np.arange(self.shape[axis] + 2) + start
        return ((steps * self.spacing[axis]) ** 2).astype(np.float32)

    def squares_to_border(self, axis: int) -> Floats:
        """Return the squared distance from each voxel to the first one outside, along an axis."""
        steps = np.arange(1, self.shape[axis] + 1)
        return ((np.minimum(steps, steps[::-1]) * self.spacing[axis]) ** 2).astype(np.float32)

    def planes(self) -> list[slice]:
        """Return slices of z that make blocks."""
        return slices(self.shape[0], math.prod(self.shape), _BLOCK_VOXELS)

    def columns(self) -> list[tuple[slice, slice]]:
        """Return slices of y and x that make blocks of whole columns along z."""
        depth, height, width = self.shape
        columns = max(_BLOCK_VOXELS // depth // _CACHE_LINE, 1) * _CACHE_LINE
        across = slices(width, width, columns)
        return list(product(slices(height, height * width, columns), across))


def square_to_interfaces(
    labels: NDArray[Any], grid: Grid, max_distance: float, out: Floats
) -> bool:
    """Write the squared distance to the nearest interface between unlike labels into ``out``.

    Above ``max_distance`` squared the result may be anything that is not less. Returns whether
    there is an interface; without one ``out`` is undefined.
    """
    limit = np.float32(max_distance) ** 2
    depth, _, width = grid.shape
    squares_z, squares_y, squares_x = (grid.squares(axis) for axis in range(3))
    half_squares_x = grid.squares(2, 0.5)
    spacing_z, spacing_y, _ = map(np.float32, grid.spacing)
    lateral = out
    scratch = Scratch()

    def within_planes(planes: slice) -> int:
        part = labels[planes]
        require_no_negative(part)
        along = scratch.block("along", part.shape, np.inf)
        across = scratch.block("across", part.shape, np.inf)
        faces = scan_along(_unlike(part[:, :, 1:], part[:, :, :-1]), half_squares_x, along)
        faces += scan_across(_unlike(part[:, 1:], part[:, :-1]), spacing_y, across)
        best = scratch.block("best", part.shape, 0)
        np.minimum(along[:, :, :width], across[:, :, :width], out=best[:, :, :width])
        limits = np.full(part.shape[:2], limit, np.float32)
        lower_across(best, along, squares_y, limits, width)
        lower_along(best, across, squares_x, limit, width)
        lateral[planes] = best[:, :, :width]
        return int(faces)

    found = sum(map_in_threads(within_planes, grid.planes()))
    if depth == 1:
        return found > 0
    axial = np.empty(grid.shape, np.float32)

    def along_columns(columns: tuple[slice, slice]) -> int:
        part = labels[:, columns[0], columns[1]].swapaxes(0, 1)
        own = scratch.block("own", part.shape, np.inf)
        faces = scan_across(_unlike(part[:, 1:], part[:, :-1]), spacing_z, own)
        lowered = _lower_columns(lateral, columns, own, squares_z, limit, scratch)
        lateral[:, columns[0], columns[1]] = lowered.swapaxes(0, 1)
        axial[:, columns[0], columns[1]] = own[:, :, : part.shape[2]].swapaxes(0, 1)
        return int(faces)

    found_across_z = sum(map_in_threads(along_columns, grid.columns()))
    if found_across_z == 0:
        return found > 0

    def spread_axial(planes: slice) -> None:
        part = axial[planes]
        best = scratch.block("best", part.shape, 0)
        best[:, :, :width] = lateral[planes]
        values = scratch.block("values", part.shape, np.inf)
        values[:, :, :width] = part
        lowered = scratch.block("lowered", part.shape, 0)
        lowered[:, :, :width] = part
        # What exceeds all that is left in its row can lower nothing of it.
        limits = np.minimum(best.max(axis=2), limit)
        lower_across(lowered, values, squares_y, limits, width)
        np.minimum(best, lowered, out=best)
        lower_along(best, lowered, squares_x, limit, width)
        lateral[planes] = best[:, :, :width]

    map_in_threads(spread_axial, grid.planes())
    return True


def square_to_unknown(known: NDArray[Any], grid: Grid, max_distance: float) -> Floats:
    """Return the squared distance to the nearest voxel that is zero or outside of the grid.

    Above ``max_distance`` squared the result may be anything that is not less.
    """
    border_z, border_y, border_x = (grid.squares_to_border(axis) for axis in range(3))

    def to_border(rows: slice, across: slice) -> Floats:
        # The outside is as near from every plane, so it needs no spreading along z.
        border = np.minimum(border_y[rows, np.newaxis, np.newaxis], border_x[across])
        return np.minimum(border, border_z[:, np.newaxis])

    return _square_to_zero(known, grid, np.float32(max_distance) ** 2, to_border)


def square_to_members(members: NDArray[np.bool_], grid: Grid, asked: NDArray[np.bool_]) -> Floats:
    """Return the squared distance to the nearest member of a set of voxels, 0 where not ``asked``.

    All are ``(z, y, x)``. Where few voxels ask, this takes less time. Infinite without a member.
    """

    def nothing_unasked(rows: slice, across: slice) -> Floats:
        part = asked[:, rows, across].swapaxes(0, 1)
        return np.where(part, np.float32(np.inf), np.float32(0))

    return _square_to_zero(~members, grid, np.float32(np.inf), nothing_unasked)


def _square_to_zero(
    values: NDArray[Any],
    grid: Grid,
    limit: np.float32,
    at_most: Callable[[slice, slice], Floats],
) -> Floats:
    """Return the squared distance to the nearest zero, but ``at_most`` so much.

    ``at_most`` gives that for whole columns along z, (y, z, x), of a slice of y and one of x.
    Above ``limit`` the result may be anything that is not less.
    """
    width = grid.shape[2]
    squares_z, squares_y, squares_x = (grid.squares(axis) for axis in range(3))
    nearest = np.empty(grid.shape, np.float32)
    scratch = Scratch()

    def within_planes(planes: slice) -> None:
        part = values[planes] != 0
        along = scratch.block("along", part.shape, np.inf)
        scan_along(_unlike(part[:, :, 1:], part[:, :, :-1]), squares_x[1:], along)
        np.copyto(along[:, :, :width], 0, where=~part)
        lowered = scratch.block("lowered", part.shape, 0)
        lowered[:, :, :width] = along[:, :, :width]
        limits = np.full(part.shape[:2], limit, np.float32)
        lower_across(lowered, along, squares_y, limits, width)
        nearest[planes] = lowered[:, :, :width]

    def along_columns(columns: tuple[slice, slice]) -> None:
        least = at_most(*columns)
        lowered = _lower_columns(nearest, columns, least, squares_z, limit, scratch)
        nearest[:, columns[0], columns[1]] = lowered.swapaxes(0, 1)

    map_in_threads(within_planes, grid.planes())
    map_in_threads(along_columns, grid.columns())
    return nearest


def _lower_columns(
    volume: Floats,
    columns: tuple[slice, slice],
    least: Floats,
    squares: Floats,
    limit: np.float32,
    scratch: Scratch,
) -> Floats:
    """Return a block of columns (y, z, x) of ``volume``, lowered along z and to ``least``."""
    part = volume[:, columns[0], columns[1]].swapaxes(0, 1)
    width = part.shape[2]
    values = scratch.block("values", part.shape, np.inf)
    values[:, :, :width] = part
    best = scratch.block("best", part.shape, 0)
    np.minimum(part, least[:, :, :width], out=best[:, :, :width])
    lower_across(best, values, squares, np.full(part.shape[:2], limit, np.float32), width)
    return best[:, :, :width]


def _unlike(one: NDArray[Any], other: NDArray[Any]) -> NDArray[np.uint8]:
    unlike: NDArray[np.uint8] = np.not_equal(one, other, order="C").view(np.uint8)
    return unlike
