"""Cross-entropy of classes."""

from __future__ import annotations

import torch
from torch.nn import functional

from napari_dacapo_tasks.tasks.losses.loss import Loss


class CrossEntropyLoss(Loss):
    """Weighted cross-entropy; the prediction are logits, the target one-hot classes.

    A voxel has the weight of its own class's channel, so that one without a class counts nowhere.
    """

    def terms(self, prediction: torch.Tensor, target: torch.Tensor) -> tuple[torch.Tensor, ...]:
        """Give the entropy of each voxel, without channels."""
        return (functional.cross_entropy(prediction, target, reduction="none"),)

    def weights(self, target: torch.Tensor, weight: torch.Tensor) -> tuple[torch.Tensor, ...]:
        """Give each voxel the weight of its class."""
        return ((weight * target).sum(dim=1),)
