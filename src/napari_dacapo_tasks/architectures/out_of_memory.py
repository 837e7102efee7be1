"""What to do where a device has too little memory."""

from __future__ import annotations

import gc
import traceback

import torch

OUT_OF_MEMORY = ("out of memory", "can't allocate", "not enough memory", "ALLOC_FAILED")
"""What errors say of which the type says nothing: those of the CPU, MPS, cuDNN and cuBLAS."""

MEMORY_ERRORS = (torch.cuda.OutOfMemoryError, MemoryError, RuntimeError)
"""Types of errors that may be out-of-memory; see `is_out_of_memory`."""


def is_out_of_memory(error: BaseException) -> bool:
    """Tell out-of-memory from other errors, since most come as a bare RuntimeError."""
    if isinstance(error, (torch.cuda.OutOfMemoryError, MemoryError)):
        return True
    return isinstance(error, RuntimeError) and any(said in str(error) for said in OUT_OF_MEMORY)


def free_memory(device: str, error: BaseException | None = None) -> None:
    """Give back what is not used any more.

    Parameters
    ----------
    device
        As torch calls it.
    error
        Where one is shown for long: the frames that it came through would keep their tensors.
    """
    if error is not None:
        traceback.clear_frames(error.__traceback__)
        gc.collect()
    if device.startswith("cuda"):
        torch.cuda.empty_cache()
    elif device == "mps":
        torch.mps.empty_cache()
