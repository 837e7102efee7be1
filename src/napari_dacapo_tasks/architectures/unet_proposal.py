"""Depth, factors, kernels and input shape of a U-Net that suits given data."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from napari_dacapo_tasks.architectures.unet_shapes import AxisSizes, axes_of

MOST_LEVELS = 3
"""Downsamplings at most: with three, a voxel at 8 nm already sees 0.7 um around it."""

SAME_SCALE = 2.0
"""Axes whose voxel sizes differ by less are treated alike (nnU-Net's rule as well)."""

SMALLEST_SHARE = 1 / 3
"""Least output size over input size: below, nearly all that is computed is thrown away."""

SMALLEST_POOLED = 8
"""A padded net halves no feature map shorter than this: 4 voxels should be left (as nnU-Net)."""

MOST_VOXELS = {2: 512**2, 3: 2_000_000}
"""Voxels of the input at most, by number of dimensions: fits a laptop's memory in training."""

SHRINKING = 0.99
"""Step in which the edge of the input is made shorter, until there are few enough voxels."""

ROUNDING = 1e-6
"""Of a voxel: an edge over a voxel size that came out this little below a whole number is one."""


@dataclass(frozen=True)
class Proposal:
    """The shape-related parameters of a U-Net, named as its fields."""

    input_shape: tuple[int, ...]
    downsample_factors: list[tuple[int, ...]]
    kernel_size_down: list[list[tuple[int, ...]]]
    kernel_size_up: list[list[tuple[int, ...]]]
    padding: Literal["valid", "same"]

    @property
    def all_kernels_are_3(self) -> bool:
        """Whether the kernels are those of a U-Net to which none are given."""
        return all(set(kernel) == {3} for level in self.kernel_size_down for kernel in level)

    @property
    def axes(self) -> tuple[AxisSizes, ...]:
        """Its shape arithmetic."""
        return axes_of(
            self.downsample_factors,
            self.kernel_size_down,
            self.kernel_size_up,
            padded=self.padding == "same",
        )


def propose(voxel_size: Sequence[float], shape: Sequence[int], max_voxels: int) -> Proposal:
    """Choose the deepest U-Net that suits the data; see `CNNectomeUNet.propose`."""
    for depth in range(MOST_LEVELS, 0, -1):
        factors, kernels = _levels(voxel_size, shape, depth)
        if depth > 1 and math.prod(factors[-1]) == 1:
            continue  # the last level would pool nothing
        axes = axes_of(factors, kernels, kernels[:-1], padded=False)
        found = _largest_input(axes, voxel_size, shape, max_voxels)
        if found is not None and _wastes_little(axes, found):
            return Proposal(found, factors, kernels, kernels[:-1], "valid")
    for depth in range(MOST_LEVELS, 0, -1):
        factors, kernels = _levels(voxel_size, shape, depth, smallest_pooled=SMALLEST_POOLED)
        if depth > 1 and math.prod(factors[-1]) == 1:
            continue
        axes = axes_of(factors, kernels, kernels[:-1], padded=True)
        found = _largest_input(axes, voxel_size, shape, max_voxels)
        if found is not None and (depth == 1 or math.prod(found) <= max_voxels):
            return Proposal(found, factors, kernels, kernels[:-1], "same")
    raise AssertionError("a padded U-Net that pools nothing fits every shape")


def _levels(
    voxel_size: Sequence[float], shape: Sequence[int], depth: int, smallest_pooled: int = 2
) -> tuple[list[tuple[int, ...]], list[list[tuple[int, ...]]]]:
    """Factors of ``depth`` levels, and the two kernels of each and of the deepest.

    An axis whose voxels are coarser than the finest is neither pooled nor convolved until the
    others have come to its scale; an axis of a single voxel never is. One that is too short to
    be pooled does not hold back the others.
    """
    voxels = list(voxel_size)
    sizes = list(shape)
    factors: list[tuple[int, ...]] = []
    kernels: list[list[tuple[int, ...]]] = []
    for level in range(depth + 1):
        poolable = [v for v, n in zip(voxels, sizes, strict=True) if n >= smallest_pooled]
        finest = min(poolable, default=math.inf)
        kernel = tuple(
            3 if n > 1 and v <= SAME_SCALE * finest else 1
            for v, n in zip(voxels, shape, strict=True)
        )
        kernels.append([kernel, kernel])
        if level == depth:
            break
        factor = tuple(
            2 if n >= smallest_pooled and v < SAME_SCALE * finest else 1
            for v, n in zip(voxels, sizes, strict=True)
        )
        factors.append(factor)
        voxels = [v * f for v, f in zip(voxels, factor, strict=True)]
        sizes = [n // f for n, f in zip(sizes, factor, strict=True)]
    return factors, kernels


def _largest_input(
    axes: Sequence[AxisSizes], voxel_size: Sequence[float], shape: Sequence[int], max_voxels: int
) -> tuple[int, ...] | None:
    """Largest input inside ``shape`` of at most ``max_voxels``, about as long on every axis.

    As long in the world, that is: a cube is cut down until it is small enough. None if not even
    the smallest input lies inside ``shape``; the smallest is taken where ``max_voxels`` is below.
    """
    if any(axis.minimum > size for axis, size in zip(axes, shape, strict=True)):
        return None
    edge = max(size * voxel for size, voxel in zip(shape, voxel_size, strict=True))
    while True:
        found = tuple(
            axis.at_most(min(size, int(edge / voxel + ROUNDING))) or axis.minimum
            for axis, size, voxel in zip(axes, shape, voxel_size, strict=True)
        )
        smallest = all(n == axis.minimum for n, axis in zip(found, axes, strict=True))
        if smallest or math.prod(found) <= max_voxels:
            return found
        edge *= SHRINKING


def _wastes_little(axes: Sequence[AxisSizes], shape: Sequence[int]) -> bool:
    return all(
        (axis.output_size(size) or 0) >= SMALLEST_SHARE * size
        for axis, size in zip(axes, shape, strict=True)
    )
