"""What a U-Net does to the size of its input, one axis at a time and without torch.

Every operation of the network works on each axis alone, so that an input shape fits if each of
its sizes does. The sizes that fit one axis are ``offset + n * step``: the deepest level sees
``n`` more voxels, and every level above it as many more as its downsampling makes of them. What
the network loses between input and output is therefore the same for all of them.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

from funlib.geometry import Coordinate

from napari_dacapo_tasks.errors import ConfigError


def equivariant_size(size: int, lost: int, stride: int) -> int:
    """Size to crop an upsampled feature map to, so that the network stays translation equivariant.

    After the next convolutions, which take ``lost`` voxels, the map has to be a whole number of
    ``stride`` long, ``stride`` being the product of the downsampling factors of this level and
    all deeper ones: else two tiles that overlap would not agree where they do. (The rule of
    CNNectome and of funlib.learn.torch.)
    """
    return (size - lost) // stride * stride + lost


@dataclass(frozen=True)
class AxisSizes:
    """One axis of a U-Net: its sizes from the input to the output, in voxels.

    Parameters
    ----------
    factors
        Downsampling factor of each level but the deepest.
    lost_down
        Voxels that the convolutions of each level take on the way down, the deepest included.
    lost_up
        Voxels that the convolutions of each level take on the way up.
    upsample
        Factors by which the output is upsampled beyond the resolution of the input.
    lost_upsample
        Voxels that the convolutions after each of these take.
    """

    factors: tuple[int, ...]
    lost_down: tuple[int, ...]
    lost_up: tuple[int, ...]
    upsample: tuple[int, ...] = ()
    lost_upsample: int = 0

    @property
    def step(self) -> int:
        """Distance between two neighbouring sizes that fit."""
        return math.prod(self.factors)

    def strides(self) -> tuple[int, ...]:
        """Product of the factors of each level and all deeper ones."""
        return tuple(math.prod(self.factors[level:]) for level in range(len(self.factors)))

    def input_size(self, deepest: int) -> int:
        """Size of the input for which the deepest level gives ``deepest`` voxels."""
        size = deepest + self.lost_down[-1]
        for factor, lost in zip(reversed(self.factors), reversed(self.lost_down[:-1]), strict=True):
            size = size * factor + lost
        return size

    def deepest_size(self, size: int) -> int | None:
        """Size that the deepest level gives for an input of ``size``; None if that does not fit."""
        for factor, lost in zip(self.factors, self.lost_down, strict=False):
            size -= lost
            if size < 1 or size % factor:
                return None
            size //= factor
        size -= self.lost_down[-1]
        return size if size >= 1 else None

    def output_size(self, size: int) -> int | None:
        """Size of the output for an input of ``size``; None if that does not fit."""
        deepest = self.deepest_size(size)
        if deepest is None:
            return None
        out = deepest
        for factor, lost, stride in reversed(
            list(zip(self.factors, self.lost_up, self.strides(), strict=True))
        ):
            out = equivariant_size(out * factor, lost, stride) - lost
            if out < 1:
                return None
        for factor in self.upsample:
            out = out * factor - self.lost_upsample
            if out < 1:
                return None
        return out

    @cached_property
    def minimum(self) -> int:
        """Smallest input that fits."""
        deepest = 1
        while self.output_size(self.input_size(deepest)) is None:
            deepest += 1
        return self.input_size(deepest)

    @property
    def context(self) -> int:
        """Voxels by which the output is shorter than the input, in voxels of the output."""
        size = self.minimum
        out = self.output_size(size)
        assert out is not None
        return size * math.prod(self.upsample) - out

    def at_most(self, size: int) -> int | None:
        """Largest input of at most ``size`` that fits; None if there is none."""
        minimum = self.minimum
        return None if size < minimum else minimum + (size - minimum) // self.step * self.step

    def at_least(self, size: int) -> int:
        """Smallest input of at least ``size`` that fits."""
        minimum = self.minimum
        return minimum + max(0, -(-(size - minimum) // self.step)) * self.step


def nearest_shapes(
    axes: Sequence[AxisSizes], shape: Sequence[int]
) -> tuple[Coordinate, Coordinate]:
    """Nearest shapes that fit: the next smaller and the next larger size of every axis.

    A size that fits stays in both; one below the smallest that fits becomes that in both.
    """
    smaller = Coordinate(
        axis.at_most(size) or axis.minimum for axis, size in zip(axes, shape, strict=True)
    )
    larger = Coordinate(axis.at_least(size) for axis, size in zip(axes, shape, strict=True))
    return smaller, larger


def misfit(axes: Sequence[AxisSizes], shape: Sequence[int]) -> str | None:
    """Say why ``shape`` is no input of the network, in one sentence; None if it is one."""
    if len(shape) != len(axes):
        return (
            f"An input of shape {tuple(shape)} has {len(shape)} axes, but this U-Net works in "
            f"{len(axes)}D: give it one size for each axis."
        )
    if all(axis.output_size(size) is not None for axis, size in zip(axes, shape, strict=True)):
        return None
    smaller, larger = nearest_shapes(axes, shape)
    nearest = f"{tuple(smaller)}"
    if smaller != larger:
        nearest += f" and {tuple(larger)}"
    return (
        f"An input of shape {tuple(shape)} does not fit this U-Net; the nearest that "
        f"{'does is' if smaller == larger else 'do are'} {nearest}."
    )


def output_shape(axes: Sequence[AxisSizes], shape: Sequence[int]) -> Coordinate:
    """Shape of the network's output for an input of ``shape``, in voxels of the output.

    Raises
    ------
    ConfigError
        If the shape does not fit; the sentence names the nearest that do.
    """
    sentence = misfit(axes, shape)
    if sentence is not None:
        raise ConfigError(sentence)
    return Coordinate(axis.output_size(size) for axis, size in zip(axes, shape, strict=True))


def lost_to(kernels: Sequence[Sequence[int]], axis: int) -> int:
    """Voxels that unpadded convolutions with these kernels take of an axis."""
    return sum(kernel[axis] - 1 for kernel in kernels)


def axes_of(
    downsample_factors: Sequence[Sequence[int]],
    kernel_size_down: Sequence[Sequence[Sequence[int]]],
    kernel_size_up: Sequence[Sequence[Sequence[int]]],
    padded: bool,
    upsample_factors: Sequence[Sequence[int]] = (),
) -> tuple[AxisSizes, ...]:
    """Describe every axis of a U-Net with these factors and kernels; parameters as its config's.

    Padded convolutions take nothing. After each of ``upsample_factors`` come the convolutions of
    the deepest level on the way up.
    """

    def lost(kernels: Sequence[Sequence[int]], axis: int) -> int:
        return 0 if padded else lost_to(kernels, axis)

    return tuple(
        AxisSizes(
            factors=tuple(factor[axis] for factor in downsample_factors),
            lost_down=tuple(lost(kernels, axis) for kernels in kernel_size_down),
            lost_up=tuple(lost(kernels, axis) for kernels in kernel_size_up),
            upsample=tuple(factor[axis] for factor in upsample_factors),
            lost_upsample=lost(kernel_size_up[-1], axis),
        )
        for axis in range(len(downsample_factors[0]))
    )
