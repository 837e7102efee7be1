"""The compiled loops of `holes`. Importing this module compiles or loads them.

Volumes are ``(z, y, x)``. Each region of background has an owner: 0 as long as no object was met
around it, the label of the only object that was, or `OPEN`, as of `holes`.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_dacapo_tasks.numerics.compiled import compiled
from napari_dacapo_tasks.numerics.holes import OPEN

Labels = NDArray[np.uint32]


def _find_owners(
    labels: NDArray[Any], regions: Labels, sides: Any, first: int, end: int, owners: Labels
) -> None:
    """Look around the background of the planes from ``first`` to ``end``.

    ``sides`` says which of the sides before z, after z, before y, ... are borders of the volume.
    """
    depth, height, width = labels.shape
    for z in range(first, end):
        at_z = (sides[0] and z == 0) or (sides[1] and z == depth - 1)
        for y in range(height):
            at_zy = at_z or (sides[2] and y == 0) or (sides[3] and y == height - 1)
            for x in range(width):
                region = regions[z, y, x]
                if region == 0 or owners[region] == OPEN:
                    continue
                if at_zy or (sides[4] and x == 0) or (sides[5] and x == width - 1):
                    owners[region] = OPEN
                    continue
                for exists, dz, dy, dx in (
                    (x > 0, 0, 0, -1),
                    (x < width - 1, 0, 0, 1),
                    (y > 0, 0, -1, 0),
                    (y < height - 1, 0, 1, 0),
                    (z > 0, -1, 0, 0),
                    (z < depth - 1, 1, 0, 0),
                ):
                    if not exists:
                        continue
                    label = np.uint32(labels[z + dz, y + dy, x + dx])
                    if label == 0 or label == owners[region]:
                        continue
                    owners[region] = label if owners[region] == 0 else OPEN


def _fill(labels: NDArray[Any], regions: Labels, owners: Labels) -> None:
    """Give holes the label of their owner; the arrays are flat."""
    for voxel in range(len(labels)):
        region = regions[voxel]
        if region != 0:
            owner = owners[region]
            if owner != 0 and owner != OPEN:
                labels[voxel] = owner


_KINDS = {np.dtype(kind): kind for kind in ("u1", "u4")}
find_owners: dict[np.dtype[Any], Callable[..., None]] = {
    dtype: compiled(f"void({kind}[:,:,::1],u4[:,:,::1],b1[::1],i8,i8,u4[::1])")(_find_owners)
    for dtype, kind in _KINDS.items()
}
fill: dict[np.dtype[Any], Callable[..., None]] = {
    dtype: compiled(f"void({kind}[::1],u4[::1],u4[::1])")(_fill) for dtype, kind in _KINDS.items()
}
