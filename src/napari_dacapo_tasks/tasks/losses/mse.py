"""Mean squared error."""

from __future__ import annotations

import torch

from napari_dacapo_tasks.tasks.losses.loss import Loss


class MSELoss(Loss):
    """Weighted mean squared error."""

    def terms(self, prediction: torch.Tensor, target: torch.Tensor) -> tuple[torch.Tensor, ...]:
        """Give the squares of the differences."""
        return ((prediction - target) ** 2,)
