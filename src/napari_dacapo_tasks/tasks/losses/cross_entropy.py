"""Cross-entropy of classes."""

from __future__ import annotations

import torch
from torch.nn import functional

from napari_dacapo_tasks.tasks.losses.loss import Loss, weighted_mean


class CrossEntropyLoss(Loss):
    """Weighted cross-entropy; the prediction are logits, the target one-hot classes.

    A voxel has the weight of its own class's channel, so that one without a class counts nowhere.
    """

    def compute(
        self, prediction: torch.Tensor, target: torch.Tensor, weight: torch.Tensor
    ) -> torch.Tensor:
        """Compare a prediction with its target; see `Loss.compute`."""
        entropy = functional.cross_entropy(prediction, target, reduction="none")
        return weighted_mean(entropy, (weight * target).sum(dim=1))
