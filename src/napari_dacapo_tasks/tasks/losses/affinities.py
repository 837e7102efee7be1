"""The loss of affinities and local shape descriptors together."""

from __future__ import annotations

import torch
from torch.nn import functional

from napari_dacapo_tasks.tasks.losses.loss import Loss


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

    def terms(self, prediction: torch.Tensor, target: torch.Tensor) -> tuple[torch.Tensor, ...]:
        """Give the entropy of the affinities and, if there are any, squares of the descriptors."""
        at = self.num_affinities
        entropy = functional.binary_cross_entropy_with_logits(
            prediction[:, :at], target[:, :at], reduction="none"
        )
        if prediction.shape[1] == at:
            return (entropy,)
        squares = (prediction[:, at:].sigmoid() - target[:, at:]) ** 2
        return entropy, self.lsds_to_affs_weight_ratio * squares

    def weights(self, target: torch.Tensor, weight: torch.Tensor) -> tuple[torch.Tensor, ...]:
        """Give the weights of the affinities and, where there are any, of the descriptors."""
        at = self.num_affinities
        return (weight,) if weight.shape[1] == at else (weight[:, :at], weight[:, at:])
