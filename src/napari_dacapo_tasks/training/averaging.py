"""A running average of the weights, which predicts better than the last ones do."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import torch
from torch import Tensor, nn

WARM_UP = 10
"""Iterations in which the average forgets the first, random weights: see `share_of_past`."""


def share_of_past(decay: float, iteration: int) -> float:
    """Give the share that the average keeps in an iteration: less at first, then ``decay``."""
    return min(decay, (1 + iteration) / (WARM_UP + iteration))


class Averaging:
    """The average of a module's weights and running statistics; whole numbers are the latest.

    Parameters
    ----------
    module
        Whose weights are averaged.
    decay
        Share of the past in each step.
    """

    def __init__(self, module: nn.Module, decay: float) -> None:
        self.module = module
        self.decay = decay
        self._average = {name: one.detach().clone() for name, one in _tensors(module).items()}

    @torch.no_grad()
    def update(self, iteration: int) -> None:
        """Take in the weights after an iteration."""
        share = share_of_past(self.decay, iteration)
        for name, tensor in _tensors(self.module).items():
            average = self._average[name]
            if average.is_floating_point():
                average.lerp_(tensor, 1 - share)
            else:
                average.copy_(tensor)

    def state(self) -> dict[str, Tensor]:
        """Give the average as a state dict of the module."""
        return dict(self._average)

    @torch.no_grad()
    def load(self, state: Mapping[str, Tensor] | None) -> None:
        """Go on from an average; from the weights as they are, where there is none yet."""
        source = _tensors(self.module) if state is None else state
        for name, average in self._average.items():
            average.copy_(source[name])

    @contextmanager
    def in_place(self) -> Iterator[None]:
        """Put the average in the place of the weights for a while."""
        self._exchange()
        try:
            yield
        finally:
            self._exchange()

    def _exchange(self) -> None:
        for name, tensor in _tensors(self.module).items():
            average = self._average[name]
            tensor.data, average.data = average.data, tensor.data


def _tensors(module: nn.Module) -> dict[str, Tensor]:
    """Give the tensors themselves, which a state dict only has detached."""
    return module.state_dict(keep_vars=True)
