"""Options that change how training runs and not what comes of it, and when they have no effect."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import nn

from napari_dacapo_tasks.architectures import Model
from napari_dacapo_tasks.runs.trainer_config import ExecutionConfig

NOT_DETERMINISTIC = (nn.MaxUnpool2d, nn.MaxUnpool3d, nn.AvgPool3d, nn.AdaptiveAvgPool2d)
"""Layers whose gradients come in any order on CUDA, of which a wrapped module may have some.

Pooling of the U-Net is not among them: its windows do not overlap, so each gradient is one number.
"""


@contextmanager
def deterministic(wanted: bool) -> Iterator[None]:
    """Let torch use only algorithms that give the same bits every time, where it has such.

    The settings are those of the whole program, so they are back when the context is left.
    """
    if not wanted:
        yield
        return
    before = (
        torch.are_deterministic_algorithms_enabled(),
        torch.is_deterministic_algorithms_warn_only_enabled(),
    )
    cudnn = torch.backends.cudnn
    cudnn_before = cudnn.deterministic, cudnn.benchmark
    torch.use_deterministic_algorithms(True, warn_only=True)
    cudnn.deterministic, cudnn.benchmark = True, False
    try:
        yield
    finally:
        torch.use_deterministic_algorithms(before[0], warn_only=before[1])
        cudnn.deterministic, cudnn.benchmark = cudnn_before


def without_effect(config: ExecutionConfig, model: Model, device: str) -> Iterator[str]:
    """Say which options do nothing on a device, or less than they promise, and why."""
    kind = torch.device(device).type
    if config.channels_last and kind == "cpu":
        yield "Channels last changes nothing here: the processor always lays tensors out so."
    elif config.channels_last and kind != "cuda":
        yield f"Channels last is not available on {device}: tensors are laid out as usual."
    if config.deterministic and kind == "cpu":
        yield "Deterministic changes nothing here: the processor gives the same bits every time."
    elif config.deterministic and kind != "cuda":
        yield f"Deterministic is not available on {device}: results may differ in the last digits."
    elif config.deterministic and _has_random_order(model):
        yield (
            "Some layers of this network (attention gates, or pooling of its own) have no "
            "deterministic algorithm on CUDA: results may differ in the last digits."
        )


def _has_random_order(model: Model) -> bool:
    gates = getattr(model.architecture, "use_attention", False)
    return bool(gates) or any(isinstance(part, NOT_DETERMINISTIC) for part in model.modules())
