"""The loss of affinities and local shape descriptors together."""

from __future__ import annotations

import torch
from torch.nn import functional

from napari_dacapo_tasks.tasks.losses.loss import Loss, weighted_mean


class AffinitiesLoss(Loss):
    """Weighted binary cross-entropy of the affinities, squared error of the descriptors.

    All channels of the prediction are logits, of affinities first.

    Parameters
    ----------
    num_affinities
        Number of the first channels that are affinities; the others are descriptors.
    lsds_to_affs_weight_ratio
        Factor of the descriptors' part.
    """

    def __init__(self, num_affinities: int, lsds_to_affs_weight_ratio: float) -> None:
        self.num_affinities = num_affinities
        self.lsds_to_affs_weight_ratio = lsds_to_affs_weight_ratio

    def compute(
        self, prediction: torch.Tensor, target: torch.Tensor, weight: torch.Tensor
    ) -> torch.Tensor:
        """Compare a prediction with its target; see `Loss.compute`."""
        at = self.num_affinities
        entropy = functional.binary_cross_entropy_with_logits(
            prediction[:, :at], target[:, :at], reduction="none"
        )
        loss = weighted_mean(entropy, weight[:, :at])
        if prediction.shape[1] > at:
            squares = (prediction[:, at:].sigmoid() - target[:, at:]) ** 2
            loss = loss + self.lsds_to_affs_weight_ratio * weighted_mean(squares, weight[:, at:])
        return loss
