"""In which numbers training calculates."""

from __future__ import annotations

from contextlib import AbstractContextManager

import torch

from napari_dacapo_tasks.architectures.precision import Autocast
from napari_dacapo_tasks.runs.trainer_config import ExecutionConfig


class Precision:
    """Autocast and the scaler that goes with it, as far as a device has them.

    Weights, their gradients and the loss stay in float32. Gradients of float16 are scaled, since
    they would often be too small for it.

    Parameters
    ----------
    config
        Says which precision is wanted.
    device
        As torch calls it.

    Attributes
    ----------
    dtype
        None for float32 all through.
    notice
        Why it is another one than wanted, else None.
    scaler
        Does nothing unless it is float16.
    """

    def __init__(self, config: ExecutionConfig, device: str) -> None:
        self._autocast = Autocast(config.precision, device, gradients=True)
        self.dtype = self._autocast.dtype
        self.notice: str | None = None
        if self._autocast.refused:
            self.notice = (
                f"This device ({device}) cannot train in {config.precision}: training uses float32."
            )
        elif self.dtype is not None and self._autocast.kind == "cpu":
            self.notice = (
                f"On the processor {config.precision} takes less memory, but seldom less time "
                "than float32."
            )
        needs_scaler = self.dtype is torch.float16
        self.scaler = torch.amp.GradScaler(self._autocast.kind, enabled=needs_scaler)

    def autocast(self) -> AbstractContextManager[object]:
        """Give the context for a forward pass."""
        return self._autocast()
