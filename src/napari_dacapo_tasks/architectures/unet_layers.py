"""The parts of DaCapo's U-Net, under DaCapo's names, so that its checkpoints load.

Tensors are ``(batch, channels, z, y, x)`` or ``(batch, channels, y, x)``. The attributes
``conv_pass``, ``up``, ``W_g``, ``W_x`` and ``psi`` and the places of the layers in them are keys
of the state dict: they stay.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional

from napari_dacapo_tasks.architectures.unet_shapes import equivariant_size, lost_to

Layers = dict[int, type[nn.Module]]
CONVOLUTION: Layers = {2: nn.Conv2d, 3: nn.Conv3d}
TRANSPOSED: Layers = {2: nn.ConvTranspose2d, 3: nn.ConvTranspose3d}
BATCH_NORM: Layers = {2: nn.BatchNorm2d, 3: nn.BatchNorm3d}
POOLING: Layers = {2: nn.MaxPool2d, 3: nn.MaxPool3d}
LINEAR_UPSAMPLING = {2: "bilinear", 3: "trilinear"}


class ConvPass(nn.Module):
    """Convolutions of one level, each with its normalisation and activation."""

    def __init__(
        self,
        fmaps_in: int,
        fmaps_out: int,
        kernels: Sequence[tuple[int, ...]],
        activation: type[nn.Module] | None,
        padded: bool,
        batch_norm: bool,
    ) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        for kernel in kernels:
            dims = len(kernel)
            layers.append(
                CONVOLUTION[dims](
                    fmaps_in,
                    fmaps_out,
                    kernel,
                    padding=tuple(size // 2 if padded else 0 for size in kernel),
                )
            )
            if batch_norm:
                layers.append(BATCH_NORM[dims](fmaps_out))
            if activation is not None:
                layers.append(_activation(activation))
            fmaps_in = fmaps_out
        self.conv_pass = nn.Sequential(*layers)

    def forward(self, x: Tensor) -> Tensor:
        """Convolve; ``(batch, fmaps_out, ...)``, smaller by the kernels unless padded."""
        result: Tensor = self.conv_pass(x)
        return result


def _activation(activation: type[nn.Module]) -> nn.Module:
    # A ReLU in place spares a copy of the feature map: the gradient needs only its output.
    return nn.ReLU(inplace=True) if activation is nn.ReLU else activation()


class Upsample(nn.Module):
    """Bring a level to the scale of the one above, cropped, and join it with that one's maps.

    Parameters
    ----------
    fmaps_in, fmaps_out
        Feature maps before and after.
    factor
        Upsampling of each axis.
    constant
        Repeat voxels and mix the feature maps, instead of a transposed convolution.
    strides
        See `equivariant_size`; the result is not cropped without them.
    next_kernels
        Kernels of the unpadded convolutions that follow.
    """

    def __init__(
        self,
        fmaps_in: int,
        fmaps_out: int,
        factor: tuple[int, ...],
        constant: bool,
        strides: Sequence[int] | None = None,
        next_kernels: Sequence[tuple[int, ...]] = (),
    ) -> None:
        super().__init__()
        dims = len(factor)
        self.constant = constant
        self.strides = strides
        self.lost = [lost_to(next_kernels, axis) for axis in range(dims)]
        activation = _activation(nn.ReLU)
        if constant:
            mix = CONVOLUTION[dims](fmaps_in, fmaps_out, (1,) * dims)
            self.up = nn.Sequential(nn.Upsample(scale_factor=factor), mix, activation)
        else:
            spread = TRANSPOSED[dims](fmaps_in, fmaps_out, factor, stride=factor)
            self.up = nn.Sequential(spread, activation)

    def forward(self, x: Tensor, skip: Tensor | None = None) -> Tensor:
        """Give the feature maps of ``skip``, if any, and those of ``x`` upsampled."""
        if self.constant:
            # Mixing voxel by voxel and repeating voxels commute: mixing first is 8 times less.
            repeat, mix, activation = self.up
            x = repeat(activation(mix(x)))
        else:
            x = self.up(x)
        if self.strides is not None:
            target = [
                equivariant_size(size, lost, stride)
                for size, lost, stride in zip(x.shape[2:], self.lost, self.strides, strict=True)
            ]
            x = _centre(x, target)
        if skip is None:
            return x
        return torch.cat([_centre(skip, x.shape[2:]), x], dim=1)


def _centre(x: Tensor, shape: Sequence[int]) -> Tensor:
    """View the centre of ``x``; of an odd rest, the larger half is cut behind."""
    for axis, size in enumerate(shape, start=2):
        if x.shape[axis] != size:
            x = x.narrow(axis, (x.shape[axis] - size) // 2, size)
    return x


class Attention(nn.Module):
    """Gate that weighs the feature maps of a level by what the one below it found (Oktay 2018)."""

    def __init__(
        self,
        fmaps_below: int,
        fmaps: int,
        fmaps_between: int,
        factor: tuple[int, ...],
        batch_norm: bool,
    ) -> None:
        super().__init__()
        dims = len(factor)
        kernels = [(1,) * dims] * 2

        def mix(n_in: int, n_out: int, activation: type[nn.Module] | None = None) -> ConvPass:
            return ConvPass(n_in, n_out, kernels, activation, padded=True, batch_norm=batch_norm)

        self.W_g = mix(fmaps_below, fmaps_between)
        self.W_x = nn.Sequential(mix(fmaps, fmaps_between), POOLING[dims](factor, stride=factor))
        self.psi = mix(fmaps_between, 1, nn.Sigmoid)
        self.up_mode = LINEAR_UPSAMPLING[dims]

    def forward(self, below: Tensor, x: Tensor) -> Tensor:
        """Weigh ``x`` between 0 and 1, voxel by voxel; its shape stays."""
        gate = self.W_g(below)
        wanted = self.W_x(x)
        padding: list[int] = []
        for size, now in zip(reversed(wanted.shape[2:]), reversed(gate.shape[2:]), strict=True):
            padding += [-(-(size - now) // 2), (size - now) // 2]
        weight = self.psi(functional.relu(functional.pad(gate, padding) + wanted))
        return x * functional.interpolate(
            weight, size=x.shape[2:], mode=self.up_mode, align_corners=True
        )


def initialise(module: nn.Module) -> None:
    """Draw fresh weights for all convolutions inside: Kaiming normal for ReLU, biases 0.

    A transposed convolution whose stride is its kernel makes every output of one voxel, so that
    only its feature maps count.
    """
    for layer in module.modules():
        if isinstance(layer, (nn.ConvTranspose2d, nn.ConvTranspose3d)):
            nn.init.normal_(layer.weight, std=math.sqrt(2 / layer.in_channels))
        elif isinstance(layer, (nn.Conv2d, nn.Conv3d)):
            nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")
        else:
            continue
        if layer.bias is not None:
            nn.init.zeros_(layer.bias)
