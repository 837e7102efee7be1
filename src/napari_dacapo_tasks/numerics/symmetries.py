"""Mirrorings and exchanges of axes: what changes a crop without resampling it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import permutations
from typing import Any, Self, TypeVar

import numpy as np
from numpy.typing import NDArray

Value = TypeVar("Value", bound=np.generic)
Length = TypeVar("Length")


@dataclass(frozen=True)
class Symmetry:
    """A way to turn an array: first its axes are exchanged, then some are mirrored.

    Attributes
    ----------
    order
        For each axis of the result, the axis that it was before, as in `numpy.transpose`.
    mirrored
        For each axis of the result, whether it runs backwards.
    """

    order: tuple[int, ...]
    mirrored: tuple[bool, ...]

    @classmethod
    def identity(cls, dims: int) -> Self:
        """Give the one that changes nothing."""
        return cls(tuple(range(dims)), (False,) * dims)

    @classmethod
    def random(
        cls,
        random: np.random.Generator,
        alike: Sequence[Sequence[float]],
        *,
        mirror: bool = True,
        transpose: bool = True,
    ) -> Self:
        """Draw one.

        Parameters
        ----------
        alike
            For each axis what must not change, such as voxel size and extents: only axes that
            agree in all of it are exchanged.
        mirror, transpose
            What may happen; the same number of random numbers is drawn in any case.
        """
        dims = len(alike)
        orders = [
            order
            for order in permutations(range(dims))
            if all(tuple(alike[a]) == tuple(alike[b]) for a, b in enumerate(order))
        ]
        order = orders[int(random.integers(len(orders)))]
        mirrored = random.integers(2, size=dims).astype(bool)
        return cls(
            order if transpose else tuple(range(dims)),
            tuple(bool(one) and mirror for one in mirrored),
        )

    @property
    def changes_nothing(self) -> bool:
        """Whether it is the identity."""
        return self == self.identity(len(self.order))

    def apply(self, values: NDArray[Value]) -> NDArray[Value]:
        """Turn the last axes of an array, as a view; axes before them stay."""
        before = values.ndim - len(self.order)
        turned = values.transpose(*range(before), *(before + axis for axis in self.order))
        index: tuple[Any, ...] = tuple(slice(None, None, -1 if b else 1) for b in self.mirrored)
        found: NDArray[Value] = turned[(..., *index)]
        return found

    def lengths(self, of: Sequence[Length]) -> tuple[Length, ...]:
        """Give what belongs to each axis, such as its length, in the order of the result."""
        return tuple(of[axis] for axis in self.order)

    def vector(self, steps: Sequence[Any]) -> tuple[Any, ...]:
        """Give where a vector of the array points in the result.

        Where ``result[p]`` was ``array[q]``, ``result[p + vector(v)]`` was ``array[q + v]``.
        """
        return tuple(
            -steps[axis] if back else steps[axis]
            for axis, back in zip(self.order, self.mirrored, strict=True)
        )

    @property
    def inverse(self) -> Symmetry:
        """Give the one that turns everything back."""
        order = tuple(self.order.index(axis) for axis in range(len(self.order)))
        return Symmetry(order, tuple(self.mirrored[place] for place in order))
