"""A loss for tests."""

from __future__ import annotations

import torch

from napari_dacapo_tasks.tasks.losses.loss import Loss


class DummyLoss(Loss):
    """Weighted mean absolute error."""

    def terms(self, prediction: torch.Tensor, target: torch.Tensor) -> tuple[torch.Tensor, ...]:
        """Give the absolute differences."""
        return ((prediction - target).abs(),)
