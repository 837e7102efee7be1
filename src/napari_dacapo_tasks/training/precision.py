"""In which numbers the network calculates."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext

import torch
from torch.nn import functional

from napari_dacapo_tasks.runs.trainer_config import ExecutionConfig

HALF = {"bfloat16": torch.bfloat16, "float16": torch.float16}


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
        self._kind = torch.device(device).type
        self.dtype = HALF.get(config.precision)
        self.notice: str | None = None
        if self.dtype is not None and not _works(self.dtype, device):
            self.dtype = None
            self.notice = (
                f"This device ({device}) cannot train in {config.precision}: training uses float32."
            )
        elif self.dtype is not None and self._kind == "cpu":
            self.notice = (
                f"On the processor {config.precision} takes less memory, but seldom less time "
                "than float32."
            )
        needs_scaler = self.dtype is torch.float16
        self.scaler = torch.amp.GradScaler(self._kind, enabled=needs_scaler)

    def autocast(self) -> AbstractContextManager[object]:
        """Give the context for a forward pass."""
        if self.dtype is None:
            return nullcontext()
        return torch.autocast(self._kind, dtype=self.dtype)


def _works(dtype: torch.dtype, device: str) -> bool:
    """Try a convolution there and back."""
    kind = torch.device(device).type
    if kind == "cuda" and dtype is torch.bfloat16 and not torch.cuda.is_bf16_supported(False):
        return False  # it would be emulated, which is slower than float32
    if kind == "mps" and dtype is torch.float16:
        return False  # not every PyTorch can scale its gradients there
    try:
        image = torch.ones((1, 1, 4, 4), device=device, requires_grad=True)
        with torch.enable_grad(), torch.autocast(kind, dtype=dtype):
            convolved = functional.conv2d(image, torch.ones((1, 1, 3, 3), device=device))
        convolved.float().sum().backward()  # type: ignore[no-untyped-call]
    except (RuntimeError, TypeError):
        return False
    return convolved.dtype is dtype
