"""In which numbers a network calculates."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext

import torch
from torch.nn import functional

HALF = {"bfloat16": torch.bfloat16, "float16": torch.float16}


class Autocast:
    """Half precision for a forward pass, as far as a device has it; weights stay in float32.

    Parameters
    ----------
    precision
        ``"float32"``, ``"bfloat16"`` or ``"float16"``.
    device
        As torch calls it.
    gradients
        Whether it must be able to learn, too.

    Attributes
    ----------
    dtype
        None for float32 all through.
    refused
        Whether it is another one than wanted.
    """

    def __init__(self, precision: str, device: str, *, gradients: bool) -> None:
        self.kind = torch.device(device).type
        wanted = HALF.get(precision)
        self.refused = wanted is not None and not _works(wanted, device, gradients)
        self.dtype = None if self.refused else wanted

    def __call__(self) -> AbstractContextManager[object]:
        """Give the context for a forward pass."""
        if self.dtype is None:
            return nullcontext()
        return torch.autocast(self.kind, dtype=self.dtype)


def _works(dtype: torch.dtype, device: str, gradients: bool) -> bool:
    """Try a convolution there, and back."""
    kind = torch.device(device).type
    if kind == "cuda" and dtype is torch.bfloat16 and not torch.cuda.is_bf16_supported(False):
        return False  # it would be emulated, which is slower than float32
    if kind == "mps" and dtype is torch.float16 and gradients:
        return False  # not every PyTorch can scale its gradients there
    try:
        image = torch.ones((1, 1, 4, 4), device=device, requires_grad=gradients)
        with torch.set_grad_enabled(gradients), torch.autocast(kind, dtype=dtype):
            convolved = functional.conv2d(image, torch.ones((1, 1, 3, 3), device=device))
        if gradients:
            convolved.float().sum().backward()  # type: ignore[no-untyped-call]
    except (RuntimeError, TypeError):
        return False
    return convolved.dtype is dtype
