"""The way down of a network, left as it is."""

from __future__ import annotations

from torch import nn

from napari_dacapo_tasks.architectures import Model
from napari_dacapo_tasks.errors import ConfigError


def frozen_encoder(model: Model) -> nn.Module:
    """Take the weights of the way down out of training, and give that part of the network.

    Its running statistics change as long as it is in training mode: put it into eval mode.

    Raises
    ------
    ConfigError
        Where the network does not say what its way down is.
    """
    encoder = getattr(model.chain[0], "encoder", None)
    if not isinstance(encoder, nn.Module):
        raise ConfigError(
            f"freeze_encoder is on, but a {type(model.chain[0]).__name__} does not say which part "
            'of it is the way down: switch it off, or give that part the name "encoder".'
        )
    encoder.requires_grad_(False)
    return encoder
