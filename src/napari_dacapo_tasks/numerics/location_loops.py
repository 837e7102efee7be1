"""Compiled loops of `locations`: where the voxels of each pair of ids lie.

Voxels come block by block, flat, in whole planes, with the number of their pair, -1 for those that
do not count. Importing this module compiles or loads the loops.
"""

import numpy as np
from numpy.typing import NDArray

from napari_dacapo_tasks.numerics.compiled import compiled

Numbers = NDArray[np.int64]
Lengths = NDArray[np.float64]


@compiled("void(i8[::1],i8,i8,i8,i8[:,::1],i8[:,::1],i8[:,::1])")
def locate(
    numbers: Numbers,
    plane: int,
    height: int,
    width: int,
    sums: Numbers,
    lowest: Numbers,
    highest: Numbers,
) -> None:
    """Add up the indices of each pair's voxels along z, y and x, and find their bounds."""
    voxel = 0
    z = plane
    while voxel < len(numbers):
        for y in range(height):
            for x in range(width):
                pair = numbers[voxel]
                voxel += 1
                if pair < 0:
                    continue
                sums[pair, 0] += z
                sums[pair, 1] += y
                sums[pair, 2] += x
                lowest[pair, 0] = min(lowest[pair, 0], z)
                lowest[pair, 1] = min(lowest[pair, 1], y)
                lowest[pair, 2] = min(lowest[pair, 2], x)
                highest[pair, 0] = max(highest[pair, 0], z)
                highest[pair, 1] = max(highest[pair, 1], y)
                highest[pair, 2] = max(highest[pair, 2], x)
        z += 1


@compiled("void(i8[::1],i8,i8,i8,f8[::1],f8[:,::1],f8[::1],i8[::1])")
def find_nearest(
    numbers: Numbers,
    plane: int,
    height: int,
    width: int,
    voxel_size: Lengths,
    points: Lengths,
    squares: Lengths,
    voxels: Numbers,
) -> None:
    """Find for each pair its voxel that is nearest to a point, in voxels; the first of equal ones.

    ``squares`` are squared distances to beat, ``voxels`` counts from the first plane of the volume.
    """
    voxel = 0
    first = plane * height * width
    z = plane
    while voxel < len(numbers):
        for y in range(height):
            for x in range(width):
                pair = numbers[voxel]
                voxel += 1
                if pair < 0:
                    continue
                along_z = (z - points[pair, 0]) * voxel_size[0]
                along_y = (y - points[pair, 1]) * voxel_size[1]
                along_x = (x - points[pair, 2]) * voxel_size[2]
                square = along_z * along_z + along_y * along_y + along_x * along_x
                if square < squares[pair]:
                    squares[pair] = square
                    voxels[pair] = first + voxel - 1
        z += 1


@compiled("void(i8[::1],u1[::1],u1[::1])")
def paint(numbers: Numbers, codes: NDArray[np.uint8], painted: NDArray[np.uint8]) -> None:
    """Give each voxel the code of its pair, and 0 to those that do not count."""
    for voxel in range(len(numbers)):
        pair = numbers[voxel]
        painted[voxel] = codes[pair] if pair >= 0 else 0
