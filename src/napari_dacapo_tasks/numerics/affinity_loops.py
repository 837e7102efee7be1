"""The compiled loops of `affinities`: over all pairs of a voxel and its partner one offset away.

They take volumes ``(z, y, x)`` and work on blocks of whole planes, a row at a time, so that every
inner loop is a comparison of two stretches of memory in vector registers. Importing this module
compiles or loads them.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_dacapo_tasks.numerics.compiled import compiled

Flags = NDArray[np.uint8]

_NOTHING = np.float32(0)


def _compare(
    labels: NDArray[Any],
    first: int,
    offset_z: int,
    offset_y: int,
    offset_x: int,
    background_too: bool,
    out: Flags,
) -> None:
    """Say for the planes from ``first`` on whether a voxel and its partner have one label.

    0 where the partner lies outside of ``labels``, and for pairs of 0 unless ``background_too``.
    """
    depth, height, width = labels.shape
    left = min(max(0, -offset_x), width)
    right = max(min(width, width - offset_x), left)
    for plane in range(out.shape[0]):
        z = first + plane
        partner_z = z + offset_z
        for y in range(height):
            partner_y = y + offset_y
            row = out[plane, y]
            if partner_z < 0 or partner_z >= depth or partner_y < 0 or partner_y >= height:
                row[:] = 0
                continue
            row[:left] = 0
            row[right:] = 0
            between = row[left:right]
            own = labels[z, y, left:right]
            other = labels[partner_z, partner_y, left + offset_x : right + offset_x]
            if background_too:
                for x in range(len(between)):
                    between[x] = own[x] == other[x]
            else:
                for x in range(len(between)):
                    between[x] = (own[x] == other[x]) & (own[x] != 0)


# Labels and masks may be read-only, as those of files often are.
_FLAGS = "Array(u1, 3, 'C', readonly=True)"

compare = {
    np.dtype(kind): compiled(
        f"void(Array({kind}, 3, 'C', readonly=True),i8,i8,i8,i8,b1,u1[:,:,::1])"
    )(_compare)
    for kind in ("u1", "u2", "u4", "u8")
}
"""`_compare` by the type of the labels."""


@compiled(f"UniTuple(i8,2)({_FLAGS},{_FLAGS},i8,i8,i8,i8,i8,i8)")
def count(
    joined: Flags,
    known: Flags,
    z: int,
    y: int,
    x: int,
    offset_z: int,
    offset_y: int,
    offset_x: int,
) -> tuple[int, int]:
    """Count the known pairs, and those of them that are joined.

    The first voxel of ``joined`` is ``known[z, y, x]``. A pair is known where both ends are not 0.
    """
    depth, height, width = known.shape
    planes, rows, columns = joined.shape
    left = min(max(0, -offset_x - x), columns)
    right = max(min(columns, width - offset_x - x), left)
    number_known, number_joined = 0, 0
    for plane in range(planes):
        partner_z = z + plane + offset_z
        if partner_z < 0 or partner_z >= depth:
            continue
        for row in range(rows):
            partner_y = y + row + offset_y
            if partner_y < 0 or partner_y >= height:
                continue
            own = known[z + plane, y + row, x + left : x + right]
            other = known[partner_z, partner_y, x + left + offset_x : x + right + offset_x]
            flags = joined[plane, row, left:right]
            # Sums of 32 bits, for a row, fill a vector register with twice as many as of 64.
            known_in_row = np.uint32(0)
            joined_in_row = np.uint32(0)
            for place in range(len(flags)):
                both = (own[place] != 0) & (other[place] != 0)
                known_in_row += np.uint32(both)
                joined_in_row += np.uint32(both & (flags[place] != 0))
            number_known += int(known_in_row)
            number_joined += int(joined_in_row)
    return number_known, number_joined


@compiled(f"void({_FLAGS},{_FLAGS},i8,i8,i8,i8,i8,i8,f4,f4,f4[:,:,::1])")
def weigh(
    joined: Flags,
    known: Flags,
    z: int,
    y: int,
    x: int,
    offset_z: int,
    offset_y: int,
    offset_x: int,
    weight_apart: np.float32,
    weight_joined: np.float32,
    out: NDArray[np.float32],
) -> None:
    """Write the weight of every pair, 0 where it is not known; arguments as of `count`."""
    depth, height, width = known.shape
    planes, rows, columns = joined.shape
    left = min(max(0, -offset_x - x), columns)
    right = max(min(columns, width - offset_x - x), left)
    for plane in range(planes):
        partner_z = z + plane + offset_z
        for row in range(rows):
            partner_y = y + row + offset_y
            weights = out[plane, row]
            if partner_z < 0 or partner_z >= depth or partner_y < 0 or partner_y >= height:
                weights[:] = 0
                continue
            weights[:left] = 0
            weights[right:] = 0
            between = weights[left:right]
            own = known[z + plane, y + row, x + left : x + right]
            other = known[partner_z, partner_y, x + left + offset_x : x + right + offset_x]
            flags = joined[plane, row, left:right]
            for place in range(len(flags)):
                weight = weight_joined if flags[place] != 0 else weight_apart
                both = (own[place] != 0) & (other[place] != 0)
                between[place] = weight if both else _NOTHING
