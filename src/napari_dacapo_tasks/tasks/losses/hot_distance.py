"""The loss of one-hot channels and distances together."""

from __future__ import annotations

import torch
from torch.nn import functional

from napari_dacapo_tasks.tasks.losses.loss import Loss


class HotDistanceLoss(Loss):
    """Weighted binary cross-entropy of the first half of the channels, squared error of the other.

    The first half of the prediction are logits.
    """

    def terms(self, prediction: torch.Tensor, target: torch.Tensor) -> tuple[torch.Tensor, ...]:
        """Give the entropy of the one-hot channels, and the squares of the distances."""
        assert prediction.shape[1] % 2 == 0, "as many distances as one-hot channels"
        logits, distances = prediction.chunk(2, dim=1)
        hot_target, distance_target = target.chunk(2, dim=1)
        entropy = functional.binary_cross_entropy_with_logits(logits, hot_target, reduction="none")
        return entropy, (distances - distance_target) ** 2

    def weights(self, target: torch.Tensor, weight: torch.Tensor) -> tuple[torch.Tensor, ...]:
        """Give the halves."""
        hot, distance = weight.chunk(2, dim=1)
        return hot, distance
