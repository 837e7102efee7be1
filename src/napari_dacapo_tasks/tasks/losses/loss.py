"""What every loss shares."""

from __future__ import annotations

from abc import ABC, abstractmethod

import torch

Counts = tuple[torch.Tensor, ...]
"""For each term of a loss, the number of voxels that count in it."""


class Loss(ABC):
    """A number that training makes small: a sum of terms, each a weighted mean over voxels.

    A term is the sum of ``weight * loss`` over the number of voxels with a weight, and 0 where
    none has one. It is linear in the weight, so that class balance has the effect that it is
    meant to have, and independent of how much of a crop is unknown.
    """

    @abstractmethod
    def terms(self, prediction: torch.Tensor, target: torch.Tensor) -> tuple[torch.Tensor, ...]:
        """Give the loss of every voxel, term by term."""

    def weights(self, target: torch.Tensor, weight: torch.Tensor) -> tuple[torch.Tensor, ...]:
        """Give the weights of the terms, each of the shape of its term."""
        return (weight,)

    def counts(self, target: torch.Tensor, weight: torch.Tensor) -> Counts:
        """Count the voxels that have a weight, term by term.

        The counts of the parts of a batch add up to those of the whole.
        """
        return tuple(torch.count_nonzero(one) for one in self.weights(target, weight))

    def compute(
        self,
        prediction: torch.Tensor,
        target: torch.Tensor,
        weight: torch.Tensor,
        counts: Counts | None = None,
    ) -> torch.Tensor:
        """Compare a prediction with its target.

        Parameters
        ----------
        prediction, target, weight
            Of one shape ``(batch, channels, z, y, x)``.
        counts
            What `counts` gives for a larger batch that this is a part of: the losses of all its
            parts then add up to the loss of the whole. Left out, this is the whole.

        Returns
        -------
        torch.Tensor
            A scalar.
        """
        counts = self.counts(target, weight) if counts is None else counts
        weights = self.weights(target, weight)
        loss = prediction.new_zeros(())
        for term, weighting, count in zip(
            self.terms(prediction, target), weights, counts, strict=True
        ):
            loss = loss + (weighting * term).sum() / count.clamp(min=1)
        return loss
