"""The compiled loops of `components`: voxels that are linked to neighbours become regions.

Arrays are flat, in the order of the voxels, x fastest. While regions grow, a voxel holds 1 more
than the place of an earlier one of its region, or of itself, and 0 outside of every region.
Importing this module compiles or loads the loops.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_dacapo_tasks.numerics.compiled import compiled

Flags = NDArray[np.uint8]
Labels = NDArray[np.uint32]

INSIDE = 1
"""Flag of a voxel that belongs to some region."""

LINKED_Z, LINKED_Y, LINKED_X = 2, 4, 8
"""Flags of a voxel that belongs to the region of the one before it along an axis."""


@compiled()
def _root(parents: NDArray[np.int32], voxel: int) -> int:
    """Follow the links to the first voxel of a region, and shorten the way for the next time."""
    while parents[voxel] != voxel + 1:
        parents[voxel] = parents[parents[voxel] - 1]
        voxel = parents[voxel] - 1
    return voxel


@compiled()
def _unite(regions: NDArray[np.int32], one: int, other: int) -> int:
    """Make one region of two, given by their first voxels; gives that of the new one."""
    first = min(one, other)
    regions[max(one, other)] = first + 1
    return first


@compiled("i8(i4[::1])")
def number_regions(regions: NDArray[np.int32]) -> int:
    """Turn what voxels hold while regions grow into the numbers of the regions; gives how many."""
    # A first voxel gets the next number, negative, so that it is told from what is not yet done.
    number = 0
    for voxel in range(len(regions)):
        if regions[voxel] == voxel + 1:
            number += 1
            regions[voxel] = -number
        elif regions[voxel] > 0:
            regions[voxel] = regions[regions[voxel] - 1]
    for voxel in range(len(regions)):
        regions[voxel] = -regions[voxel]
    return number


@compiled("i8(u1[::1],i4[::1],i8,i8)")
def link(flags: Flags, regions: NDArray[np.int32], row: int, plane: int) -> int:
    """Number the regions of linked voxels from 1 in the order of their first voxels.

    Parameters
    ----------
    flags
        `INSIDE` and the like per voxel; no voxel is linked to one outside of the array.
    regions
        Comes as anything; 0 outside of every region on return.
    row, plane
        Voxels of a row and of a plane.

    Returns
    -------
    The number of regions.
    """
    for voxel in range(len(flags)):
        flag = flags[voxel]
        if not flag & INSIDE:
            regions[voxel] = 0
            continue
        first = voxel
        regions[voxel] = voxel + 1
        if flag & LINKED_X:
            first = _root(regions, voxel - 1)
            regions[voxel] = first + 1
        for before, linked in ((row, LINKED_Y), (plane, LINKED_Z)):
            if flag & linked:
                first = _unite(regions, first, _root(regions, voxel - before))
    return number_regions(regions)


@compiled("void(u4[::1],i8[::1])")
def count(labels: Labels, sizes: NDArray[np.int64]) -> None:
    """Add the number of voxels of each label to ``sizes``."""
    for voxel in range(len(labels)):
        sizes[labels[voxel]] += 1


@compiled("void(u4[::1],u4[::1])")
def rename(labels: Labels, names: Labels) -> None:
    """Replace each label by ``names[label]``."""
    for voxel in range(len(labels)):
        labels[voxel] = names[labels[voxel]]


@compiled("void(u4[::1],i8[::1])")
def find_first(labels: Labels, voxels: NDArray[np.int64]) -> None:
    """Write the number of the first voxel of each label into ``voxels``, which comes as -1."""
    for voxel in range(len(labels)):
        if voxels[labels[voxel]] < 0:
            voxels[labels[voxel]] = voxel


@compiled("void(b1[::1],i4[::1],i8[::1],i8[::1])")
def attract(attracts: Any, regions: NDArray[np.int32], shape: Any, offset: Any) -> None:
    """Unite the regions of voxels and their partners at an offset, where one attracts the other.

    ``shape`` and ``offset`` are z, y, x; a partner outside of the array is none.
    """
    depth, height, width = shape[0], shape[1], shape[2]
    step = (offset[0] * height + offset[1]) * width + offset[2]
    for z in range(max(0, -offset[0]), min(depth, depth - offset[0])):
        for y in range(max(0, -offset[1]), min(height, height - offset[1])):
            row = (z * height + y) * width
            for x in range(max(0, -offset[2]), min(width, width - offset[2])):
                if attracts[row + x]:
                    one = _root(regions, row + x)
                    other = _root(regions, row + x + step)
                    if one != other:
                        _unite(regions, one, other)


@compiled("void(b1[::1],u4[::1],i8[::1],i8[::1],b1[::1])")
def dispute(attracts: Any, labels: Labels, shape: Any, offset: Any, disputed: Any) -> None:
    """Mark the labels of voxels that repel a partner of the same label; else as `attract`."""
    depth, height, width = shape[0], shape[1], shape[2]
    step = (offset[0] * height + offset[1]) * width + offset[2]
    for z in range(max(0, -offset[0]), min(depth, depth - offset[0])):
        for y in range(max(0, -offset[1]), min(height, height - offset[1])):
            row = (z * height + y) * width
            for x in range(max(0, -offset[2]), min(width, width - offset[2])):
                if not attracts[row + x] and labels[row + x] == labels[row + x + step]:
                    disputed[labels[row + x]] = True
