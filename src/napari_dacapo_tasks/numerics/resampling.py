"""Values between voxels."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from napari_dacapo_tasks.numerics.compiled import compiled


@compiled()
def _neighbours(place: np.float32, length: int) -> tuple[int, int, np.float32]:
    """Give the voxels before and after a place, and how far it is from the one to the other."""
    first = min(max(int(place), 0), max(length - 2, 0))
    share = min(max(place - np.float32(first), np.float32(0)), np.float32(1))
    return first, min(first + 1, length - 1), share


@compiled()
def _between(a: np.float32, b: np.float32, share: np.float32) -> np.float32:
    return a + (b - a) * share


@compiled("void(float32[:, :, :, :], float32[:, :, :, ::1], float32[:, :, :, :])")
def _interpolate(
    values: NDArray[np.float32], places: NDArray[np.float32], result: NDArray[np.float32]
) -> None:
    channels, depth, height, width = values.shape
    for z in range(places.shape[1]):
        for y in range(places.shape[2]):
            for x in range(places.shape[3]):
                z0, z1, down = _neighbours(places[0, z, y, x], depth)
                y0, y1, along = _neighbours(places[1, z, y, x], height)
                x0, x1, across = _neighbours(places[2, z, y, x], width)
                for c in range(channels):
                    upper = _between(values[c, z0, y0, x0], values[c, z0, y0, x1], across)
                    lower = _between(values[c, z0, y1, x0], values[c, z0, y1, x1], across)
                    front = _between(upper, lower, along)
                    upper = _between(values[c, z1, y0, x0], values[c, z1, y0, x1], across)
                    lower = _between(values[c, z1, y1, x0], values[c, z1, y1, x1], across)
                    result[c, z, y, x] = _between(front, _between(upper, lower, along), down)


def interpolated(values: NDArray[np.float32], places: NDArray[np.float32]) -> NDArray[np.float32]:
    """Interpolate linearly between voxels, in one thread and without the interpreter's lock.

    It takes about 0.4 of the time of `torch.nn.functional.grid_sample` in one thread, which does
    the same on other devices.

    Parameters
    ----------
    values
        ``(c, z, y, x)`` or ``(c, y, x)``.
    places
        Where to read each voxel of the result, in voxels of ``values``, 0 the middle of the first
        one: ``(3, z, y, x)`` or ``(2, y, x)``. Places outside are moved to the border.

    Returns
    -------
    numpy.ndarray
        ``(c, z, y, x)`` or ``(c, y, x)``, of the shape of ``places`` in space.
    """
    result = np.empty((len(values), *places.shape[1:]), np.float32)
    values = np.require(values, requirements="W")  # the compiled loop takes no others
    if places.shape[0] == 2:  # a volume of one section
        flat = np.zeros((1, 1, *places.shape[1:]), np.float32)
        lifted = np.concatenate([flat, places[:, None]])
        _interpolate(values[:, None], lifted, result[:, None])
    else:
        _interpolate(values, np.ascontiguousarray(places), result)
    return result
