"""Smooth noise and positions: what every shape of the tissue is bent and cut with."""

from __future__ import annotations

from collections.abc import Sequence
from math import ceil

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]
Bools = NDArray[np.bool_]

#: Products of matrices are taken in pieces of about so many multiplications. BLAS computes these
#: on one thread; where other programs keep the cores busy, its threads wait for each other many
#: times longer than they compute.
PIECE = 250_000


def grid(shape: Sequence[int], size: Sequence[float], start: Sequence[float]) -> list[Floats]:
    """Positions along every axis in nanometres, shaped to broadcast."""
    axes = [s + np.arange(n) * v for n, v, s in zip(shape, size, start, strict=True)]
    return [a.astype(np.float32) for a in np.meshgrid(*axes, indexing="ij", sparse=True)]


def bent_coordinates(
    rng: np.random.Generator, shape: Sequence[int], size: Sequence[float]
) -> Floats:
    """Return where every voxel lies before bending, (dims, ...) in nanometres."""
    bent = np.empty((len(shape), *shape), np.float32)
    for axis, position in enumerate(grid(shape, size, [0.0] * len(shape))):
        bent[axis] = position
        bent[axis] += 24 * smooth_noise(rng, shape, size, 160)
        bent[axis] += 5 * smooth_noise(rng, shape, size, 48)
    return bent


def smooth_noise(
    rng: np.random.Generator, shape: Sequence[int], size: Sequence[float], spacing: float
) -> Floats:
    """Noise of mean 0 and deviation 1, smooth over `spacing` nanometres.

    Cubic B-splines with random coefficients: one small matrix product an axis, where filtering
    noise of the full shape would take a second.
    """
    bases = [_spline_basis(rng, n, v / spacing) for n, v in zip(shape, size, strict=True)]
    noise: Floats = rng.standard_normal([b.shape[1] for b in bases], np.float32)
    for basis in reversed(bases):
        columns = noise.reshape(-1, noise.shape[-1]).T
        # The last axis moves to the front, so that after all axes they are in order again.
        noise = _product(basis, columns).reshape(-1, *noise.shape[:-1])
    return noise


def _spline_basis(rng: np.random.Generator, count: int, step: float) -> Floats:
    """Return the weights (count, coefficients) of cubic B-splines at positions `step` apart."""
    position = np.arange(count) * step + rng.random()
    distance = np.abs(position[:, None] - np.arange(-1, ceil(position[-1]) + 3))
    near = 2 / 3 - distance**2 + distance**3 / 2
    far = np.clip(2 - distance, 0, None) ** 3 / 6
    basis = np.where(distance < 1, near, far)
    scaled: Floats = (basis / np.sqrt((basis**2).sum(1).mean())).astype(np.float32)
    return scaled


def _product(left: Floats, right: Floats) -> Floats:
    product = np.empty((len(left), right.shape[1]), np.float32)
    width = max(1, PIECE // left.size)
    for start in range(0, right.shape[1], width):
        piece = slice(start, start + width)
        np.matmul(left, right[:, piece], out=product[:, piece])
    return product
