"""Rotations in the world, whatever the shape of voxels."""

from __future__ import annotations

from collections.abc import Sequence
from math import radians

import numpy as np
from numpy.typing import NDArray

from napari_dacapo_tasks.runs.augmentation import THICK


def apart(voxel_size: Sequence[float]) -> int | None:
    """Find the axis of three along which voxels are much larger than along the others (`THICK`)."""
    if len(voxel_size) != 3:
        return None
    *_, second, largest = sorted(voxel_size)
    return list(voxel_size).index(largest) if largest >= THICK * second else None


def random_rotation(
    random: np.random.Generator, angle: float, dims: int, about: int | None
) -> NDArray[np.float64]:
    """Give the matrix of a rotation by an angle in degrees, in the plane for two axes.

    Parameters
    ----------
    random
        Gives the axis that is turned about where it is free: all directions alike.
    about
        That axis, None for any.
    """
    direction = random.normal(size=3)
    if dims == 2:
        return _about(np.array([1.0, 0, 0]), angle)[1:, 1:]
    if about is not None:
        direction = np.eye(3)[about]
    return _about(direction / np.linalg.norm(direction), angle)


def _about(direction: NDArray[np.float64], angle: float) -> NDArray[np.float64]:
    """Rodrigues' formula."""
    a, b, c = direction
    cross = np.array([[0, -c, b], [c, 0, -a], [-b, a, 0]])
    turn = radians(angle)
    return np.asarray(np.eye(3) + np.sin(turn) * cross + (1 - np.cos(turn)) * cross @ cross)


def as_matrix(values: NDArray[np.float64]) -> tuple[tuple[float, ...], ...]:
    """Make plain numbers of a matrix."""
    return tuple(tuple(row) for row in values.tolist())
