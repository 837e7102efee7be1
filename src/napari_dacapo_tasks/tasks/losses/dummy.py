"""A loss for tests."""

from __future__ import annotations

import torch

from napari_dacapo_tasks.tasks.losses.loss import Loss, weighted_mean


class DummyLoss(Loss):
    """Weighted mean absolute error."""

    def compute(
        self, prediction: torch.Tensor, target: torch.Tensor, weight: torch.Tensor
    ) -> torch.Tensor:
        """Compare a prediction with its target; see `Loss.compute`."""
        return weighted_mean((prediction - target).abs(), weight)
