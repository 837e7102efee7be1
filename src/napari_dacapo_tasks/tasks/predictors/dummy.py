"""Nothing to learn, for tests."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np
from funlib.geometry import Coordinate

from napari_dacapo_tasks.arrays import Array, EmbeddingArray, NumpyArray
from napari_dacapo_tasks.tasks.predictors.predictor import Predictor, Weighting, like, target_of

if TYPE_CHECKING:
    from napari_dacapo_tasks.architectures import Architecture, Model


class DummyPredictor(Predictor[None]):
    """Predicts zeros.

    Parameters
    ----------
    embedding_dims
        Number of channels.
    """

    def __init__(self, embedding_dims: int) -> None:
        self._embedding_dims = embedding_dims

    @property
    def target_channels(self) -> list[str]:
        """Numbers."""
        return [f"channel {number}" for number in range(self._embedding_dims)]

    def create_model(self, architecture: Architecture) -> Model:
        """Put a 1x1 convolution on an architecture."""
        from napari_dacapo_tasks.architectures.model import Model, pointwise_head

        return Model(architecture, pointwise_head(architecture, self.embedding_dims))

    def create_target(self, gt: Array) -> NumpyArray:
        """Make zeros."""
        return target_of(gt, np.zeros((self.embedding_dims, *gt.shape), np.float32))

    def weigh(
        self,
        gt: Array,
        target: NumpyArray,
        mask: Array,
        moving_class_counts: None = None,
        masks: Mapping[str, NumpyArray] | None = None,
    ) -> Weighting[None]:
        """Make ones; nothing is counted."""
        return Weighting(like(target, np.ones(target.data.shape, np.float32)), None)

    def padding(self, gt_voxel_size: Coordinate) -> Coordinate:
        """Give no context."""
        return gt_voxel_size * 0

    @property
    def output_array_type(self) -> EmbeddingArray:
        """Numbers without a meaning."""
        return EmbeddingArray(self.embedding_dims)

    @property
    def target_ranges(self) -> list[tuple[float, float]]:
        """As wide as the loss is absolute."""
        return [(0.0, 1.0)] * self.embedding_dims
