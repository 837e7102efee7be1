"""Neighbourhoods of affinities: names of offsets, what is wrong with a set, and usual sets.

An offset and its opposite say the same of every pair of voxels, so the sets here hold the one
whose first step that is not 0 is positive.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from math import inf

import numpy as np

from napari_dacapo_tasks.arrays.numpy_array import SPACE

Offset = tuple[int, ...]
Neighborhood = list[Offset]

IN_PLANE_LONG_RANGE: Sequence[tuple[int, int]] = (
    *((9, 0), (0, 9)),
    *((9, 9), (9, -9), (9, 4), (4, 9), (4, -9), (9, -4)),
    *((27, 0), (0, 27)),
)
"""Within a section: S. Wolf et al., "The Mutex Watershed", ECCV 2018, as their code has it."""

BETWEEN_SECTIONS: Sequence[tuple[int, int, int]] = ((1, 1, 1), (1, -1, -1), (1, 1, -1), (1, -1, 1))
"""To the next section, from the same set."""

REACHES = (3, 9, 27)
"""Of long-range offsets, in voxels of the finest axis: those of K. Lee et al., "Superhuman accuracy
on the SNEMI3D connectomics challenge", 2017, which `IN_PLANE_LONG_RANGE` shares."""


def offset_name(offset: Sequence[int]) -> str:
    """Name an offset by its steps along the axes, as ``"z-2 y+1 x+1"``."""
    axes = SPACE[-len(offset) :]
    steps = [f"{axis}{step:+d}" for axis, step in zip(axes, offset, strict=True) if step != 0]
    return " ".join(steps) or "0"


def nearest_by_axis(neighborhood: Sequence[Sequence[int]]) -> tuple[int, ...]:
    """Index of the shortest offset along each axis, of those that go most along that axis."""
    lengths = np.abs(neighborhood)
    along = lengths.argmax(axis=1)
    by_length = np.argsort((lengths**2).sum(axis=1), kind="stable")
    found = {int(along[index]): int(index) for index in reversed(by_length)}
    return tuple(found[axis] for axis in sorted(found))


def flaw(neighborhood: Sequence[Sequence[int]]) -> str | None:
    """Say what is wrong with a neighbourhood, and what to do; None where it is a good one."""
    if not neighborhood:
        return "there is no offset: give at least one, such as [0, 0, 1]"
    dims = len(neighborhood[0])
    for offset in neighborhood:
        named = list(offset)
        if len(named) != dims:
            return (
                f"the offsets {list(neighborhood[0])} and {named} have {dims} and {len(named)} "
                "axes: give all of them the same, z, y, x or y, x"
            )
        if dims not in (2, 3):
            return f"the offset {named} has {dims} axes: give a step along each of z, y, x or y, x"
        if not any(named):
            return f"the offset {named} leads from a voxel to itself: take it out"
        if sum(list(other) == named for other in neighborhood) > 1:
            return f"the offset {named} stands more than once: leave one"
    return None


def nearest(voxel_size: Sequence[float]) -> Neighborhood:
    """Give one step along each axis; an axis for each voxel size, as in all sets."""
    dims = len(voxel_size)
    return [tuple(int(axis == other) for other in range(dims)) for axis in range(dims)]


def mutex_watershed(voxel_size: Sequence[float]) -> Neighborhood:
    """Give the nearest and those long-range offsets that the mutex watershed was made with.

    They suit sections much thicker than their pixels: none goes farther than to the next section.
    """
    flat = len(voxel_size) == 2
    between = [] if flat else list(BETWEEN_SECTIONS)
    return [*nearest(voxel_size), *between, *_along_plane(IN_PLANE_LONG_RANGE, voxel_size)]


def in_plane(voxel_size: Sequence[float]) -> Neighborhood:
    """Give the nearest and long-range offsets within a section, so that each is for itself."""
    return _along_plane((*((1, 0), (0, 1)), *IN_PLANE_LONG_RANGE), voxel_size)


def equal_reach(voxel_size: Sequence[float], farthest: float = inf) -> Neighborhood:
    """Give the nearest and, along each axis, offsets that reach about as far in nanometres.

    Parameters
    ----------
    voxel_size
        Per axis.
    farthest
        No long-range offset is to reach farther, in the unit of the voxel size.
    """
    finest = min(voxel_size)
    found = nearest(voxel_size)
    for reach in (voxels * finest for voxels in REACHES):
        if reach > farthest:
            break
        for axis, size in enumerate(voxel_size):
            steps = round(reach / size)
            offset = tuple(steps * (axis == other) for other in range(len(voxel_size)))
            if steps > 1 and offset not in found:
                found.append(offset)
    return found


def _along_plane(offsets: Sequence[tuple[int, int]], voxel_size: Sequence[float]) -> Neighborhood:
    """Give offsets ``(y, x)`` the axes of the data."""
    return [(*(0,) * (len(voxel_size) - 2), *offset) for offset in offsets]


PRESETS: Mapping[str, Callable[[Sequence[float]], Neighborhood]] = {
    "Nearest": nearest,
    "Nearest and long-range, equal in nanometres": equal_reach,
    "Nearest and long-range, for thick sections (Wolf et al. 2018)": mutex_watershed,
    "Within sections only (2D)": in_plane,
}
"""Sets to choose from, by their titles for people, each made for a voxel size ``(z, y, x)`` or
``(y, x)``."""
