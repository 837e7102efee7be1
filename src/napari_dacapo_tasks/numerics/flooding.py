"""The compiled loops of `watershed`. Importing this module compiles or loads them.

Arrays are flat, in the order of the voxels ``(z, y, x)``, x fastest. Voxels wait in one queue for
each level of their values (Meyer's flooding): the highest level first, within one level in the
order in which they came, so that a plain is shared out evenly. That is linear in the voxels, and
those deep in a region never enter a queue.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_dacapo_tasks.numerics.compiled import compiled

Floats = NDArray[np.float32]
Labels = NDArray[np.uint32]
Numbers = NDArray[np.int32]

UNCLAIMED = np.uint32(2**32 - 1)
"""The label of a voxel that shall get one."""

_VALUES = "Array(f4, 1, 'C', readonly=True)"


@compiled()
def _level(value: float, scale: Any, levels: int) -> int:
    """Give the queue of a value; ``scale`` is the lowest value and the queues per value."""
    level = (value - scale[0]) * scale[1]
    return int(min(max(level, 0.0), levels - 1.0))


@compiled()
def _push(voxel: int, level: int, ends: Numbers, following: Numbers) -> None:
    """Let a voxel wait in a queue; ``ends`` are the first and the last voxel of each, or -1."""
    following[voxel] = -1
    if ends[level, 0] < 0:
        ends[level, 0] = voxel
    else:
        following[ends[level, 1]] = voxel
    ends[level, 1] = voxel


@compiled()
def _neighbours(voxel: int, shape: Any, found: Any) -> int:
    """Write the voxels across a face into ``found`` and give their number."""
    depth, height, width = shape[0], shape[1], shape[2]
    x = voxel % width
    y = voxel // width % height
    z = voxel // (width * height)
    number = 0
    for exists, neighbour in (
        (x > 0, voxel - 1),
        (x < width - 1, voxel + 1),
        (y > 0, voxel - width),
        (y < height - 1, voxel + width),
        (z > 0, voxel - width * height),
        (z < depth - 1, voxel + width * height),
    ):
        if exists:
            found[number] = neighbour
            number += 1
    return number


@compiled(f"void(u4[::1],i8[::1],{_VALUES},f4,u4[::1])")
def keep_seeds(
    labels: Labels, sizes: NDArray[np.int64], values: Floats, seed_value: float, names: Labels
) -> None:
    """Make the regions of one voxel that is not above ``seed_value`` unclaimed.

    The others get their numbers in the order of their first voxels; ``names`` (one per region,
    from 0) comes as 0 and holds them on return, and the number of them in its first place.
    """
    for voxel in range(len(labels)):
        label = labels[voxel]
        if label == 0:
            continue
        if sizes[label] == 1 and not values[voxel] > seed_value:
            labels[voxel] = UNCLAIMED
            continue
        if names[label] == 0:
            names[0] += 1
            names[label] = names[0]
        labels[voxel] = names[label]


@compiled(f"void(u4[::1],{_VALUES},i8[::1],f4[::1],i4[:,::1],i4[::1])")
def begin(
    labels: Labels,
    values: Floats,
    shape: Any,
    scale: Any,
    ends: Numbers,
    following: Numbers,
) -> None:
    """Let the labelled voxels beside unclaimed ones wait; ``ends`` comes as -1."""
    found = np.empty(6, np.int64)
    for voxel in range(len(labels)):
        if labels[voxel] == 0 or labels[voxel] == UNCLAIMED:
            continue
        for place in range(_neighbours(voxel, shape, found)):
            if labels[found[place]] == UNCLAIMED:
                _push(voxel, _level(values[voxel], scale, len(ends)), ends, following)
                break


@compiled(f"i8(u4[::1],{_VALUES},i8[::1],f4[::1],i4[:,::1],i4[::1],i8,i8)")
def flood(
    labels: Labels,
    values: Floats,
    shape: Any,
    scale: Any,
    ends: Numbers,
    following: Numbers,
    level: int,
    budget: int,
) -> int:
    """Give unclaimed voxels the label of the waiting voxel that reaches them first.

    Parameters
    ----------
    level
        The highest queue that is not empty, or a higher one.
    budget
        After so many voxels it stops, to be called again.

    Returns
    -------
    The level to go on with, -1 at the end.
    """
    found = np.empty(6, np.int64)
    while level >= 0:
        voxel = ends[level, 0]
        if voxel < 0:
            level -= 1
            continue
        if budget == 0:
            return level
        budget -= 1
        ends[level, 0] = following[voxel]
        for place in range(_neighbours(voxel, shape, found)):
            neighbour = found[place]
            if labels[neighbour] == UNCLAIMED:
                labels[neighbour] = labels[voxel]
                own = _level(values[neighbour], scale, len(ends))
                _push(neighbour, min(own, level), ends, following)
    return -1
