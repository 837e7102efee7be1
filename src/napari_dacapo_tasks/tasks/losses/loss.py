"""What every loss shares."""

from __future__ import annotations

from abc import ABC, abstractmethod

import torch


class Loss(ABC):
    """A number that training makes small."""

    @abstractmethod
    def compute(
        self, prediction: torch.Tensor, target: torch.Tensor, weight: torch.Tensor
    ) -> torch.Tensor:
        """Compare a prediction with its target.

        Parameters
        ----------
        prediction, target, weight
            Of one shape ``(batch, channels, z, y, x)``.

        Returns
        -------
        torch.Tensor
            A scalar.
        """


def weighted_mean(loss: torch.Tensor, weight: torch.Tensor) -> torch.Tensor:
    """Sum ``weight * loss`` over the number of voxels that count; 0 where none does.

    Linear in the weight, so that class balance has the effect that it is meant to have, and
    independent of how much of a crop is unknown.
    """
    counted = torch.count_nonzero(weight).clamp(min=1)
    return (weight * loss).sum() / counted
