"""Signed distances to the nearest boundary, squashed with tanh."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import ceil
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from funlib.geometry import Coordinate, Roi
from numpy.typing import NDArray

from napari_dacapo_tasks.arrays import Array, NumpyArray
from napari_dacapo_tasks.arrays.array_types import DistanceArray
from napari_dacapo_tasks.errors import DataError
from napari_dacapo_tasks.numerics import distances as numerics
from napari_dacapo_tasks.numerics.balance import ClassCounts, balance_weights
from napari_dacapo_tasks.numerics.symmetries import Symmetry
from napari_dacapo_tasks.tasks.predictors.predictor import (
    Predictor,
    Weighting,
    like,
    target_of,
    with_channels,
)

if TYPE_CHECKING:
    from napari_dacapo_tasks.architectures import Architecture, Model


DISTANCE_MASK = "distance mask"
"""Name of the map that says where a distance can be known."""

CONTEXT_WITH_MASK = 1.1
"""In scale factors. The distance mask cuts off at a target of 0.8, and tanh(1.1) = 0.8."""

CONTEXT_WITHOUT_MASK = 1.83
"""In scale factors. tanh(1.83) = 0.95: an unseen boundary changes a target by 0.05 at most."""


class DistancePredictor(Predictor[ClassCounts]):
    """Predicts ``tanh(d / scale_factor)`` per channel, positive inside of objects.

    Two different ids that touch have a boundary between them.

    Parameters
    ----------
    channels
        Names of the channels.
    scale_factor
        In grid steps.
    mask_distances
        Whether to leave out voxels nearer to the border of what is known than to a boundary.
    clipmin, clipmax
        Bounds of a class's share in the class balance.
    """

    def __init__(
        self,
        channels: Sequence[str],
        scale_factor: float,
        mask_distances: bool,
        clipmin: float = 0.05,
        clipmax: float = 0.95,
    ) -> None:
        self.channels = list(channels)
        self.scale_factor = scale_factor
        self.mask_distances = mask_distances
        self.clipmin = clipmin
        self.clipmax = clipmax

    @property
    def target_channels(self) -> list[str]:
        """The names of the channels."""
        return list(self.channels)

    def create_model(self, architecture: Architecture) -> Model:
        """Put a 1x1 convolution to one number per channel on an architecture."""
        from napari_dacapo_tasks.architectures.model import Model, pointwise_head

        return Model(architecture, pointwise_head(architecture, self.embedding_dims))

    def create_target(self, gt: Array) -> NumpyArray:
        """Make the distances of ids.

        Parameters
        ----------
        gt
            Ids, of shape ``(c, z, y, x)`` with as many channels as the predictor has, or without
            a channel axis where it has one.

        Raises
        ------
        DataError
            Where the scale factor is less than a voxel, or channels do not agree.
        """
        values = self.process(self.read(gt), gt.voxel_size, "tanh", self.scale_factor)
        return target_of(gt, values)

    @property
    def lasting_channels(self) -> int:
        """All."""
        return len(self.channels)

    def lasting_target(self, gt: Array) -> NumpyArray:
        """Make the distances: they stay as they are when ground truth is turned."""
        return self.create_target(gt)

    def turned_target(
        self, gt: NumpyArray, roi: Roi, lasting: NumpyArray | None, symmetry: Symmetry
    ) -> NumpyArray:
        """Take the distances that were made before."""
        assert lasting is not None, "distances last"
        return like(lasting, np.ascontiguousarray(lasting.data))

    def padding_beside_lasting(self, gt_voxel_size: Coordinate) -> Coordinate:
        """Give what the distance mask needs; without it nothing."""
        return self.padding(gt_voxel_size) if self.mask_distances else gt_voxel_size * 0

    def weigh(
        self,
        gt: Array,
        target: NumpyArray,
        mask: Array,
        moving_class_counts: ClassCounts | None = None,
        masks: Mapping[str, NumpyArray] | None = None,
    ) -> Weighting[ClassCounts]:
        """Balance foreground and background over what is known and not too near the border."""
        labels = with_channels(gt[target.roi], gt.dims) != 0
        factors = [known_where(mask, target.roi, labels.shape)]
        shown = {}
        if self.mask_distances:
            trusted = masks[DISTANCE_MASK] if masks else self.trusted(target, mask)
            factors.append(trusted.data)
            shown[DISTANCE_MASK] = trusted
        weight, counts = balance_weights(
            labels, 2, factors, moving_class_counts, self.clipmin, self.clipmax
        )
        return Weighting(like(target, weight), counts, shown)

    def padding(self, gt_voxel_size: Coordinate) -> Coordinate:
        """Give the context on each side, in grid steps, rounded up to whole voxels."""
        return self._context(
            CONTEXT_WITH_MASK if self.mask_distances else CONTEXT_WITHOUT_MASK, gt_voxel_size
        )

    @property
    def output_array_type(self) -> DistanceArray:
        """Distances, a channel per class."""
        return DistanceArray(self.channels)

    @property
    def target_ranges(self) -> list[tuple[float, float]]:
        """Lowest and highest value of tanh."""
        return [(-1.0, 1.0)] * len(self.channels)

    def process(
        self,
        labels: NDArray[Any],
        voxel_size: Sequence[float],
        normalize: Literal["tanh"] | None = None,
        normalize_args: float | None = None,
        *,
        out: NDArray[np.float32] | None = None,
    ) -> NDArray[np.float32]:
        """Make signed distances of ids.

        Parameters
        ----------
        labels
            Ids, with or without a channel axis.
        voxel_size
            Per spatial axis; the distances are in its unit.
        normalize, normalize_args
            ``"tanh"`` and the scale, or None for the bare distances.
        out
            Where to put the result.

        Returns
        -------
        numpy.ndarray
            float32, of shape ``(c, z, y, x)``.
        """
        channels = with_channels(labels, len(voxel_size))
        result = np.empty(channels.shape, np.float32) if out is None else out
        for channel, made in zip(channels, result, strict=True):
            if normalize is None:
                numerics.signed_distance(channel, voxel_size, out=made)
            else:
                assert normalize_args is not None, "tanh needs a scale"
                numerics.normalized_distance(channel, voxel_size, normalize_args, out=made)
        return result

    def create_distance_mask(
        self,
        distances: NDArray[np.float32],
        mask: NDArray[Any],
        voxel_size: Sequence[float],
        normalize: Literal["tanh"] | None = None,
        normalize_args: float | None = None,
    ) -> NDArray[np.uint8]:
        """Say where a distance can be known: where no unseen boundary can be nearer.

        Parameters
        ----------
        distances
            Of shape ``(c, z, y, x)``, normalised as the other arguments say.
        mask
            Nonzero where the ground truth is known; with or without a channel axis.
        voxel_size, normalize, normalize_args
            As in `process`.

        Returns
        -------
        numpy.ndarray
            Of the shape of ``distances``; 0 outside of ``mask`` and where a voxel is dropped.
        """
        assert normalize == "tanh", "the mask is defined on tanh"
        assert normalize_args is not None, "tanh needs a scale"
        return numerics.distance_mask(distances, mask, voxel_size, normalize_args)

    def read(self, gt: Array) -> NDArray[Any]:
        """Read the ids of all channels, ``(c, z, y, x)``; refuse as `create_target` says."""
        finest = min(gt.voxel_size)
        if self.scale_factor < finest:
            say = gt.unit.describe
            raise DataError(
                f"The scale factor of {say(self.scale_factor)} is less than a voxel of "
                f"{say(gt.voxel_size)}, so every target would be -1 or 1: choose at least "
                f"{say(finest)}, better a few voxels."
            )
        labels = with_channels(gt[gt.roi], gt.dims)
        if len(labels) != len(self.channels):
            raise DataError(
                f"The ground truth has {len(labels)} channels, but the task has "
                f"{len(self.channels)} ({', '.join(self.channels)})."
            )
        return labels

    def trusted(self, target: NumpyArray, mask: Array) -> NumpyArray:
        """Make the distance mask of a target from a mask that may reach farther.

        Parameters
        ----------
        target
            Distances, as `create_target` makes them.
        mask
            As in `weigh`.
        """
        # What is unknown farther away than this drops nothing.
        size, reach = target.voxel_size, self._context(CONTEXT_WITH_MASK, target.voxel_size)
        seen = mask.roi.intersect(target.roi.grow(reach, reach))
        before = (target.roi.begin - seen.begin) // size
        after = (seen.end - target.roi.end) // size
        around = target.roi.grow(before * size, after * size)
        values = target.data
        if around != target.roi:
            values = np.pad(values, [(0, 0), *zip(before, after, strict=True)])
        known = mask[around]
        made = self.create_distance_mask(
            values,
            known[0] if mask.num_channels == 1 else known,
            target.voxel_size,
            "tanh",
            self.scale_factor,
        )
        return like(target, made, around).crop(target.roi)

    def _context(self, factors: float, voxel_size: Coordinate) -> Coordinate:
        """Give so many scale factors, rounded up to whole voxels."""
        return Coordinate(ceil(factors * self.scale_factor / size) * size for size in voxel_size)


def known_where(mask: Array, roi: Roi, shape: Sequence[int]) -> NDArray[np.bool_]:
    """Say for each voxel of labels ``(c, z, y, x)`` of a shape whether it is known.

    Any value of the mask but 0 is known, and weighs the same.
    """
    if mask.num_channels not in (None, 1, shape[0]):
        raise DataError(
            f"The mask has {mask.num_channels} channels, but the ground truth {shape[0]}: give "
            "one mask for all channels, or one for each."
        )
    return np.broadcast_to(mask[roi] != 0, tuple(shape))
