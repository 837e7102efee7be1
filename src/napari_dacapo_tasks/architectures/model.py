"""A network with its prediction head: what is trained, saved and used."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Self

import torch
from funlib.geometry import Coordinate
from torch import Tensor, nn

from napari_dacapo_tasks.architectures.architecture import Architecture
from napari_dacapo_tasks.architectures.unet_layers import initialise


class Model(nn.Module):
    """An architecture, followed by the prediction head of a task.

    Parameters
    ----------
    architecture
        Its module is built, or taken where it is a wrapped one.
    prediction_head
        Maps the architecture's feature maps to the channels of the task.
    eval_activation
        Applied to the output in eval mode only: a loss on logits wants none in training.

    Attributes
    ----------
    chain
        ``Sequential(architecture.module(), prediction_head)``: its state dict is what
        checkpoints of DaCapo, and ours, hold under ``model``.
    num_in_channels, num_out_channels
        Channels of input and output.
    input_shape, eval_input_shape
        Spatial shape of the input in training and in prediction, in voxels.
    output_shape
        Spatial shape of the output in training, in voxels of the output.
    """

    def __init__(
        self,
        architecture: Architecture,
        prediction_head: nn.Module,
        eval_activation: nn.Module | None = None,
    ) -> None:
        super().__init__()
        self.architecture = architecture
        self.chain = nn.Sequential(architecture.module(), prediction_head)
        self.eval_activation = eval_activation
        self.num_in_channels = architecture.num_in_channels
        self.input_shape = architecture.input_shape
        self.eval_input_shape = self.input_shape + architecture.eval_shape_increase
        self.num_out_channels, self.output_shape = self.compute_output_shape(self.input_shape)

    @property
    def prediction_head(self) -> nn.Module:
        """The last part of the chain."""
        return self.chain[1]

    def forward(self, x: Tensor) -> Tensor:
        """Map ``(batch, num_in_channels, *shape)`` to ``(batch, num_out_channels, *shape)``."""
        result: Tensor = self.chain(x)
        if self.eval_activation is not None and not self.training:
            result = self.eval_activation(result)
        return result

    def compute_output_shape(self, input_shape: Sequence[int]) -> tuple[int, Coordinate]:
        """Find the number of channels and the spatial shape of the output for an input shape.

        Nothing is changed by it, running statistics included, and nothing is computed where the
        layers can tell their shapes without data.

        Raises
        ------
        ConfigError
            If the architecture is a `CNNectomeUNet` and the shape does not fit.
        """
        shape = (1, self.num_in_channels, *input_shape)
        with in_eval_mode(self.chain), torch.no_grad():
            try:
                out = _without_data(self.chain, shape)
            except (NotImplementedError, RuntimeError):
                # A wrapped module may look at values, or keep tensors that are no buffers.
                parameter = next(self.parameters(), torch.empty(0))
                out = self.chain(torch.zeros(shape, device=parameter.device)).shape
        return out[1], Coordinate(out[2:])

    def place(self, device: torch.device | str, channels_last: bool = False) -> Self:
        """Move to a device, with the weights laid out as its convolutions are fastest.

        On the CPU channels come last in memory: a step of training takes about a quarter less
        time, at the same numbers within rounding. The layout stays when weights are loaded.

        Parameters
        ----------
        device
            Where to.
        channels_last
            Let channels come last in memory on CUDA, too.
        """
        dims = len(self.input_shape)
        last = {2: torch.channels_last, 3: torch.channels_last_3d}
        kind = torch.device(device).type
        comes_last = dims in last and (kind == "cpu" or (kind == "cuda" and channels_last))
        layout = last[dims] if comes_last else torch.contiguous_format
        self.to(device)
        for parameter in self.parameters():
            if parameter.dim() == dims + 2:
                parameter.data = parameter.data.contiguous(memory_format=layout)
        return self

    def scale(self, voxel_size: Coordinate) -> Coordinate:
        """Voxel size of the output for an input of ``voxel_size``, in the same world units."""
        return self.architecture.scale(voxel_size)


class OnFirstChannels(nn.Module):
    """Applies an activation to the first channels and leaves the others as they are."""

    def __init__(self, channels: int, activation: nn.Module) -> None:
        super().__init__()
        self.channels = channels
        self.activation = activation

    def forward(self, x: Tensor) -> Tensor:
        """Map ``(batch, channels, *shape)`` to the same shape."""
        return torch.cat([self.activation(x[:, : self.channels]), x[:, self.channels :]], dim=1)


def pointwise_head(architecture: Architecture, channels: int, kernel_size: int = 1) -> nn.Module:
    """Make a head that maps the architecture's feature maps to ``channels``.

    It looks at one voxel, or at ``kernel_size`` of them along each axis, and answers for as many
    voxels as it gets: beyond the border there are zeros. A kernel of even size has one voxel more
    after its place than before.
    """
    convolution = {2: nn.Conv2d, 3: nn.Conv3d}[architecture.dims]
    head = convolution(architecture.num_out_channels, channels, kernel_size, padding="same")
    initialise(head)
    return head


def _without_data(module: nn.Module, shape: Sequence[int]) -> torch.Size:
    """Shape of the output, with meta tensors (a shape and no data) in place of all tensors."""
    tensors = {**dict(module.named_parameters()), **dict(module.named_buffers())}
    stand_ins = {name: torch.empty_like(tensor, device="meta") for name, tensor in tensors.items()}
    out: Tensor = torch.func.functional_call(
        module, stand_ins, (torch.empty(tuple(shape), device="meta"),)
    )
    return out.shape


@contextmanager
def in_eval_mode(module: nn.Module) -> Iterator[None]:
    """Switch to eval mode and back, each part to the mode that it had."""
    training = [part for part in module.modules() if part.training]
    module.eval()
    try:
        yield
    finally:
        for part in training:
            part.training = True
