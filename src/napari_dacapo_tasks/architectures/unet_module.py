"""DaCapo's U-Net, with DaCapo's names for its levels, so that its checkpoints load.

Tensors are ``(batch, channels, z, y, x)`` or ``(batch, channels, y, x)``. The attributes
``l_conv``, ``r_up``, ``r_conv`` and ``attention`` are keys of the state dict: they stay.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import TYPE_CHECKING, cast

from torch import Tensor, nn

from napari_dacapo_tasks.architectures.unet_layers import (
    POOLING,
    Attention,
    ConvPass,
    Upsample,
    initialise,
)
from napari_dacapo_tasks.architectures.unet_shapes import output_shape

if TYPE_CHECKING:
    from napari_dacapo_tasks.architectures.cnnectome_unet import CNNectomeUNet


class CNNectomeUNetModule(nn.Module):
    """The network that a `CNNectomeUNet` describes, with fresh Kaiming weights."""

    def __init__(self, architecture: CNNectomeUNet) -> None:
        super().__init__()
        self.axes = architecture.axes
        unet = UNet(architecture)
        last_kernels = architecture.kernels_up[-1]
        finer: list[nn.Module] = []
        for factor in architecture.upsample_factors:
            fmaps = architecture.fmaps_out
            finer.append(Upsample(fmaps, fmaps, factor, constant=True))
            finer.append(
                ConvPass(
                    fmaps,
                    fmaps,
                    last_kernels,
                    nn.ReLU,
                    padded=architecture.padding == "same",
                    batch_norm=architecture.batch_norm,
                )
            )
        self.unet = nn.Sequential(unet, *finer) if finer else unet
        initialise(self)

    @property
    def encoder(self) -> nn.Module:
        """The way down, the deepest level included."""
        unet = self.unet[0] if isinstance(self.unet, nn.Sequential) else self.unet
        return cast(UNet, unet).l_conv

    def forward(self, x: Tensor) -> Tensor:
        """Map ``(batch, fmaps_in, *shape)`` to ``(batch, fmaps_out, *shape - context)``.

        Raises
        ------
        ConfigError
            If the input's shape does not fit; the sentence names the nearest that do.
        """
        output_shape(self.axes, x.shape[2:])
        result: Tensor = self.unet(x)
        return result


class UNet(nn.Module):
    """Encoder and decoder at the resolution of the input."""

    def __init__(self, architecture: CNNectomeUNet) -> None:
        super().__init__()
        factors = architecture.downsample_factors
        padded = architecture.padding == "same"
        batch_norm = architecture.batch_norm
        fmaps = [
            architecture.num_fmaps * architecture.fmap_inc_factor**level
            for level in range(len(factors) + 1)
        ]
        # What a level gives upwards, and what it gets from below: the uppermost takes all the
        # feature maps of the level under it, the others contract them to their own number.
        fmaps_given = [architecture.fmaps_out, *fmaps[1:]]
        fmaps_from_below = [fmaps[1], *fmaps[1:-1]]

        self.l_conv = nn.ModuleList(
            ConvPass(n_in, n_out, kernels, nn.ReLU, padded, batch_norm)
            for n_in, n_out, kernels in zip(
                [architecture.fmaps_in, *fmaps], fmaps, architecture.kernels_down, strict=False
            )
        )
        self.l_down = nn.ModuleList(
            POOLING[architecture.dims](factor, stride=factor)
            if math.prod(factor) > 1
            else nn.Identity()
            for factor in factors
        )
        strides = list(zip(*(axis.strides() for axis in architecture.axes), strict=True))
        levels = range(len(factors))
        self.r_up = _decoder(
            Upsample(
                fmaps[level + 1],
                fmaps_from_below[level],
                factors[level],
                constant=architecture.constant_upsample,
                strides=strides[level],
                next_kernels=[] if padded else architecture.kernels_up[level],
            )
            for level in levels
        )
        self.attention = (
            _decoder(
                Attention(
                    fmaps[level + 1], fmaps[level], fmaps_given[level], factors[level], batch_norm
                )
                for level in levels
            )
            if architecture.use_attention
            else None
        )
        self.r_conv = _decoder(
            ConvPass(
                fmaps[level] + fmaps_from_below[level],
                fmaps_given[level],
                architecture.kernels_up[level],
                nn.ReLU,
                padded,
                batch_norm,
            )
            for level in levels
        )

    def forward(self, x: Tensor) -> Tensor:
        """Give ``fmaps_out`` feature maps."""
        skipped: list[Tensor] = []
        for convolve, pool in zip(self.l_conv, self.l_down, strict=False):
            x = convolve(x)
            skipped.append(x)
            x = pool(x)
        x = self.l_conv[-1](x)
        join, convolve_up = _levels(self.r_up), _levels(self.r_conv)
        for level in reversed(range(len(skipped))):
            skip = skipped.pop()
            if self.attention is not None:
                skip = _levels(self.attention)[level](x, skip)
            x = convolve_up[level](join[level](x, skip))
        return x


def _decoder(levels: Iterable[nn.Module]) -> nn.ModuleList:
    """Wrap the levels as DaCapo does, which allows several decoders and uses one."""
    return nn.ModuleList([nn.ModuleList(levels)])


def _levels(decoders: nn.ModuleList) -> nn.ModuleList:
    return cast(nn.ModuleList, decoders[0])
