"""Any PyTorch module as an architecture."""

from __future__ import annotations

from collections.abc import Sequence

from funlib.geometry import Coordinate
from torch import nn

from napari_dacapo_tasks.architectures.architecture import Architecture, finer


class WrappedArchitecture(Architecture):
    """A network of one's own, with its weights as they came.

    Parameters
    ----------
    module
        Takes ``(batch, num_in_channels, *input_shape)`` and gives ``(batch, num_out_channels,
        *any shape)``. Models made of this architecture share it: it is not copied.
    num_in_channels, num_out_channels
        Channels before and after.
    input_shape
        Spatial shape of the input in training, in voxels.
    eval_shape_increase
        By how much the input may be larger in prediction; not at all by default.
    upsample_factor
        By how much the output is finer than the input, per axis; 1 by default.
    """

    input_shape: Coordinate
    eval_shape_increase: Coordinate

    def __init__(
        self,
        module: nn.Module,
        num_in_channels: int,
        num_out_channels: int,
        input_shape: Sequence[int],
        eval_shape_increase: Sequence[int] | None = None,
        upsample_factor: Sequence[int] | None = None,
    ) -> None:
        self._module = module
        self._num_in_channels = num_in_channels
        self._num_out_channels = num_out_channels
        dims = len(input_shape)
        self.input_shape = Coordinate(input_shape)
        self.eval_shape_increase = Coordinate(eval_shape_increase or (0,) * dims)
        self._upsample_factor = Coordinate(upsample_factor or (1,) * dims)

    @property
    def num_in_channels(self) -> int:
        """Number of channels of the input."""
        return self._num_in_channels

    @property
    def num_out_channels(self) -> int:
        """Number of feature maps that the prediction head gets."""
        return self._num_out_channels

    def module(self) -> nn.Module:
        """Give the wrapped module itself."""
        return self._module

    def scale(self, voxel_size: Coordinate) -> Coordinate:
        """Voxel size of the output: the input's divided by ``upsample_factor``."""
        return finer(voxel_size, self._upsample_factor)
