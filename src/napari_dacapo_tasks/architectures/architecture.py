"""What the rest of the program needs to know of a network before it is built."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import TYPE_CHECKING

from funlib.geometry import Coordinate

from napari_dacapo_tasks.errors import ConfigError

if TYPE_CHECKING:
    from torch import nn


class Architecture(ABC):
    """A network without its prediction head: its channels and shapes, and the module itself.

    Shapes are spatial, in voxels, without batch and channels. An architecture is a description:
    it holds no weights, and ``module`` builds them.
    """

    if TYPE_CHECKING:
        # Plain attributes at run time: a property here would hide a pydantic field of that name.
        @property
        def input_shape(self) -> Coordinate:
            """Shape of the input in training."""

        @property
        def eval_shape_increase(self) -> Coordinate:
            """By how much the input may be larger in prediction, where no gradients are kept."""

    @property
    @abstractmethod
    def num_in_channels(self) -> int:
        """Number of channels of the input."""

    @property
    @abstractmethod
    def num_out_channels(self) -> int:
        """Number of feature maps that the prediction head gets."""

    @abstractmethod
    def module(self) -> nn.Module:
        """Build the network: ``(batch, channels, *shape)`` in, the same axes out."""

    @property
    def dims(self) -> int:
        """Number of spatial dimensions."""
        return len(self.input_shape)

    def scale(self, voxel_size: Coordinate) -> Coordinate:
        """Voxel size of the output for an input of ``voxel_size``, in the same world units."""
        return voxel_size


def finer(voxel_size: Coordinate, factors: Sequence[int]) -> Coordinate:
    """Voxel size after upsampling by ``factors``.

    Raises
    ------
    ConfigError
        If that is no whole number of world units.
    """
    if any(size % factor for size, factor in zip(voxel_size, factors, strict=True)):
        raise ConfigError(
            f"A voxel size of {tuple(voxel_size)} cannot be upsampled by {tuple(factors)} into "
            "whole world units: choose other upsampling factors."
        )
    return Coordinate(size // factor for size, factor in zip(voxel_size, factors, strict=True))
