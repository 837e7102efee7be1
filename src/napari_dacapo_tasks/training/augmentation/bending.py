"""Smooth random displacements that never fold."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from math import ceil, sqrt
from typing import Self

import numpy as np
import torch
from numpy.typing import NDArray

SPREAD = sqrt(1 / 2)
"""Standard deviation of a cubic B-spline at its points where that of its coefficients is 1, for
each axis: the root of (1 + 16 + 1) / 36."""


PER_SPACING = 8
"""Places in each spacing at which displacements are looked at to find the largest."""


@dataclass(frozen=True)
class Bending:
    """Random displacements, interpolated by cubic B-splines.

    Coefficients are drawn from an even distribution, whose bounds keep the grid from folding
    (see `MOST_BENDING`). Beyond the points the outermost ones go on.

    Attributes
    ----------
    points
        Number of coefficients along each axis, the middle one at the middle of the crop.
    spacing
        From one to the next, in grid steps.
    spread
        Standard deviation of displacements along each axis, at the points, in grid steps.
    seed
        Decides the coefficients.
    """

    points: tuple[int, ...]
    spacing: float
    spread: tuple[float, ...]
    seed: int

    @classmethod
    def over(cls, size: Sequence[int], spacing: float, spread: Sequence[float], seed: int) -> Self:
        """Lay points over a crop of a size, in grid steps, and one beyond on each side."""
        points = tuple(2 * (ceil(length / 2 / spacing) + 1) + 1 for length in size)
        return cls(points, float(spacing), tuple(float(one) for one in spread), seed)

    @cached_property
    def coefficients(self) -> NDArray[np.float64]:
        """Displacements to be interpolated, ``(axes, z, y, x)``."""
        dims = len(self.points)
        even = np.random.default_rng(self.seed).uniform(-1, 1, (dims, *self.points))
        bounds = np.array(self.spread) * sqrt(3) / SPREAD**dims
        return even * bounds.reshape(-1, *[1] * dims)

    def coarse(self, first: float, last: float) -> NDArray[np.float64]:
        """Give places along an axis, near enough to each other for `between`."""
        count = max(ceil((last - first) / self.spacing * PER_SPACING), 1) + 1
        return np.linspace(first, last, count)

    def between(self) -> NDArray[np.float64]:
        """Give how far displacements can lie beyond those at the nearest places of `coarse`.

        A function is at most ``h^2 / 8`` times its second derivative off its straight line over
        ``h``, along each axis; that of a B-spline is at most 4 of its largest coefficients.
        """
        dims = len(self.points)
        largest: NDArray[np.float64] = np.abs(self.coefficients.reshape(dims, -1)).max(1)
        return largest * 4 / 8 / PER_SPACING**2 * dims

    def spread_out(
        self,
        places: Sequence[NDArray[np.float64]],
        matrix: NDArray[np.float64],
        device: torch.device,
    ) -> torch.Tensor:
        """Give the displacements at all places of a grid, ``(axes, z, y, x)`` in float32.

        Parameters
        ----------
        places
            Along each axis, from the middle of the crop, in grid steps.
        matrix
            What they are multiplied by.
        device
            Where to compute.
        """
        mixed = np.einsum("ab,b...->a...", matrix, self.coefficients)
        found = torch.as_tensor(mixed, dtype=torch.float32, device=device)
        # The last axis first: so the arrays are small until the last product.
        for axis in reversed(range(len(places))):
            weights = self._weights(places[axis], self.points[axis])
            weigh = torch.as_tensor(weights, dtype=torch.float32, device=device)
            shape = list(found.shape)
            before, after = shape[: axis + 1], shape[axis + 2 :]
            flat = found.reshape(*before, shape[axis + 1], -1)
            found = torch.matmul(weigh, flat).view(*before, len(weights), *after)
        return found

    def _weights(self, places: NDArray[np.float64], points: int) -> NDArray[np.float64]:
        """Give the share of each coefficient along an axis at each place."""
        steps = places / self.spacing + points // 2
        first = np.floor(steps)
        t = steps - first
        shares = [(1 - t) ** 3, 3 * t**3 - 6 * t**2 + 4, 3 * (t + t**2 - t**3) + 1, t**3]
        weights = np.zeros((len(places), points))
        rows = np.arange(len(places))
        for offset, share in enumerate(shares, start=-1):
            column = np.clip(first + offset, 0, points - 1).astype(int)
            np.add.at(weights, (rows, column), share / 6)
        return weights
