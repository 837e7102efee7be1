"""Foreground and, beside it, signed distances to the nearest boundary."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from funlib.geometry import Coordinate, Roi
from numpy.typing import NDArray

from napari_dacapo_tasks.arrays import Array, DistanceArray, NumpyArray, ProbabilityArray
from napari_dacapo_tasks.arrays.array_types import StackedArray
from napari_dacapo_tasks.numerics.balance import ClassCounts, balance_weights
from napari_dacapo_tasks.numerics.symmetries import Symmetry
from napari_dacapo_tasks.tasks.predictors.distance import (
    DISTANCE_MASK,
    DistancePredictor,
    known_where,
)
from napari_dacapo_tasks.tasks.predictors.predictor import (
    Predictor,
    Weighting,
    like,
    target_of,
    with_channels,
)

if TYPE_CHECKING:
    from napari_dacapo_tasks.architectures import Architecture, Model

HotCounts = tuple[ClassCounts, ClassCounts]
"""Class counts of the one-hot half, and of the distances."""


class HotDistancePredictor(Predictor[HotCounts]):
    """Predicts, for C channels, C times foreground and then C times ``tanh(d / scale_factor)``.

    Parameters
    ----------
    channels
        Names of the channels.
    scale_factor
        In grid steps.
    mask_distances
        Whether to leave out distances of voxels nearer to the border of what is known than to a
        boundary.
    kernel_size
        Voxels along each axis that the head looks at.
    """

    def __init__(
        self, channels: Sequence[str], scale_factor: float, mask_distances: bool, kernel_size: int
    ) -> None:
        self.distances = DistancePredictor(channels, scale_factor, mask_distances)
        self.channels = list(channels)
        self.kernel_size = kernel_size

    @property
    def target_channels(self) -> list[str]:
        """The one-hot channels, then the distances."""
        return [f"{name} {what}" for what in ("one-hot", "distance") for name in self.channels]

    def create_model(self, architecture: Architecture) -> Model:
        """Put a convolution on an architecture, with a sigmoid on the one-hot half in eval mode."""
        from torch import nn

        from napari_dacapo_tasks.architectures.model import Model, OnFirstChannels, pointwise_head

        head = pointwise_head(architecture, self.embedding_dims, self.kernel_size)
        return Model(architecture, head, OnFirstChannels(len(self.channels), nn.Sigmoid()))

    def create_target(self, gt: Array) -> NumpyArray:
        """Make foreground and distances of ids; parameters and refusals as of distances alone."""
        labels = self.distances.read(gt)
        values = self.process(labels, gt.voxel_size, "tanh", self.distances.scale_factor)
        return target_of(gt, values)

    @property
    def lasting_channels(self) -> int:
        """The distances."""
        return self.distances.lasting_channels

    def lasting_target(self, gt: Array) -> NumpyArray:
        """Make the distances."""
        return self.distances.lasting_target(gt)

    def turned_target(
        self, gt: NumpyArray, roi: Roi, lasting: NumpyArray | None, symmetry: Symmetry
    ) -> NumpyArray:
        """Put the foreground before distances that were made before."""
        assert lasting is not None, "distances last"
        foreground = with_channels(gt[roi], gt.dims) != 0
        return like(lasting, np.concatenate([foreground.astype(np.float32), lasting.data]))

    def padding_beside_lasting(self, gt_voxel_size: Coordinate) -> Coordinate:
        """Give that of the distances."""
        return self.distances.padding_beside_lasting(gt_voxel_size)

    def weigh(
        self,
        gt: Array,
        target: NumpyArray,
        mask: Array,
        moving_class_counts: HotCounts | None = None,
        masks: Mapping[str, NumpyArray] | None = None,
    ) -> Weighting[HotCounts]:
        """Balance both halves over what is known, the distances also over what can be trusted.

        The distance mask has a channel for each distance.
        """
        foreground = with_channels(gt[target.roi], gt.dims) != 0
        known = known_where(mask, target.roi, foreground.shape)
        trusted = known
        shown = {}
        if self.distances.mask_distances:
            half = like(target, target.data[len(self.channels) :])
            made = masks[DISTANCE_MASK] if masks else self.distances.trusted(half, mask)
            shown[DISTANCE_MASK] = made
            trusted = made.data
        weight, counts = balance_weights(
            np.concatenate([foreground, foreground]),
            2,
            [np.concatenate([known, trusted])],
            None
            if moving_class_counts is None
            else [c for half in moving_class_counts for c in half],
        )
        both = counts[: len(self.channels)], counts[len(self.channels) :]
        return Weighting(like(target, weight), both, shown)

    def padding(self, gt_voxel_size: Coordinate) -> Coordinate:
        """Give the context of the distances."""
        return self.distances.padding(gt_voxel_size)

    @property
    def output_array_type(self) -> StackedArray:
        """Probabilities and then distances, a channel per class of both.

        (DaCapo calls all of them probabilities.)
        """
        return StackedArray((ProbabilityArray(self.channels), DistanceArray(self.channels)))

    @property
    def target_ranges(self) -> list[tuple[float, float]]:
        """Those of a probability, then of tanh."""
        return [(0.0, 1.0)] * len(self.channels) + self.distances.target_ranges

    def process(
        self,
        labels: NDArray[Any],
        voxel_size: Sequence[float],
        normalize: Literal["tanh"] | None = None,
        normalize_args: float | None = None,
    ) -> NDArray[np.float32]:
        """Make foreground and signed distances of ids.

        Parameters as of `DistancePredictor.process`.

        Returns
        -------
        numpy.ndarray
            float32, of shape ``(2 c, z, y, x)``.
        """
        labels = with_channels(labels, len(voxel_size))
        result = np.empty((2 * len(labels), *labels.shape[1:]), np.float32)
        foreground, distances = np.split(result, 2)
        self.distances.process(labels, voxel_size, normalize, normalize_args, out=distances)
        np.not_equal(labels, 0, out=foreground)
        return result
