"""Which of several classes a voxel belongs to."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from funlib.geometry import Coordinate, Roi
from numpy.typing import NDArray

from napari_dacapo_tasks.arrays import Array, NumpyArray, ProbabilityArray
from napari_dacapo_tasks.errors import DataError
from napari_dacapo_tasks.numerics.balance import ClassCounts, balance_weights
from napari_dacapo_tasks.numerics.threads import map_in_threads, slices
from napari_dacapo_tasks.tasks.predictors.predictor import (
    Composite,
    Predictor,
    Weighting,
    like,
    target_of,
    with_channels,
)

if TYPE_CHECKING:
    from napari_dacapo_tasks.architectures import Architecture, Model

BLOCK_VOXELS = 1 << 17
"""Voxels that a thread looks at a time: they stay in its cache."""

NAMED_LABELS = 5
"""How many of the labels that are no class a notice names."""


class OneHotPredictor(Predictor[ClassCounts]):
    """Predicts, for each class, whether a voxel belongs to it.

    Parameters
    ----------
    classes
        Names of the classes; the label of a class is its position.
    kernel_size
        Voxels along each axis that the head looks at.
    """

    def __init__(self, classes: Sequence[str], kernel_size: int) -> None:
        self.classes = list(classes)
        self.kernel_size = kernel_size

    @property
    def target_channels(self) -> list[str]:
        """The names of the classes."""
        return list(self.classes)

    def create_model(self, architecture: Architecture) -> Model:
        """Put a convolution on an architecture, with a softmax over the classes in eval mode."""
        from torch import nn

        from napari_dacapo_tasks.architectures.model import Model, pointwise_head

        head = pointwise_head(architecture, self.embedding_dims, self.kernel_size)
        return Model(architecture, head, nn.Softmax(dim=1))

    def create_target(self, gt: Array) -> NumpyArray:
        """Make one channel per class, 1 where the voxel has its label and 0 elsewhere.

        Parameters
        ----------
        gt
            Labels of any integer type or bool, without a channel axis or with one channel.

        Raises
        ------
        DataError
            For more channels, or labels that are no whole numbers.
        """
        return target_of(gt, self.process(_read(gt, gt.roi)))

    def weigh(
        self,
        gt: Array,
        target: NumpyArray,
        mask: Array,
        moving_class_counts: ClassCounts | None = None,
        masks: Mapping[str, NumpyArray] | None = None,
    ) -> Weighting[ClassCounts]:
        """Balance the classes over what is known; a label that is no class weighs nothing.

        The weight is one volume that all channels share, so it cannot be written to.
        """
        labels = _read(gt, target.roi)
        known = with_channels(mask[target.roi], gt.dims) != 0
        if known.shape != labels.shape:
            raise DataError(
                f"The mask has {len(known)} channels, but all classes come from one volume of "
                "labels: give a mask without channels."
            )
        classes, notices = self._without_strangers(labels, known)
        weight, counts = balance_weights(classes, len(self.classes), [known], moving_class_counts)
        shared = np.broadcast_to(weight, target.data.shape)
        return Weighting(like(target, shared), counts, notices=notices)

    def padding(self, gt_voxel_size: Coordinate) -> Coordinate:
        """Give no context: a voxel's class is its own."""
        return gt_voxel_size * 0

    @property
    def output_array_type(self) -> ProbabilityArray:
        """Probabilities, a channel per class."""
        return ProbabilityArray(self.classes)

    @property
    def target_ranges(self) -> list[tuple[float, float]]:
        """Those of a probability."""
        return [(0.0, 1.0)] * len(self.classes)

    @property
    def composites(self) -> list[Composite]:
        """All classes together."""
        return [Composite("classes", tuple(range(len(self.classes))), exclusive=True)]

    def process(self, labels: NDArray[Any]) -> NDArray[np.uint8]:
        """Encode labels ``(1, z, y, x)`` as uint8 of the shape ``(classes, z, y, x)``."""
        (volume,) = labels
        one_hot = np.empty((len(self.classes), *volume.shape), np.uint8)
        flags = one_hot.view(np.bool_)

        def encode(rows: slice) -> None:
            for label, flag in enumerate(flags):
                np.equal(volume[rows], label, out=flag[rows])

        map_in_threads(encode, slices(len(volume), volume.size, BLOCK_VOXELS))
        return one_hot

    def _without_strangers(
        self, labels: NDArray[Any], known: NDArray[np.bool_]
    ) -> tuple[NDArray[Any], tuple[str, ...]]:
        """Give labels that all are classes, and take those that are none out of ``known``.

        Also returns what there is to say of those.
        """
        number = len(self.classes)
        classes = np.empty(labels.shape, np.min_scalar_type(number))
        (volume,), (made,), (kept,) = labels, classes, known

        def convert(rows: slice) -> tuple[int, list[int]]:
            part = volume[rows]
            strange = part >= number
            if part.dtype.kind == "i":
                strange |= part < 0
            made[rows] = np.where(strange, 0, part)
            strange &= kept[rows]
            kept[rows] ^= strange
            found = part[strange]
            return len(found), np.unique(found)[:NAMED_LABELS].tolist()

        counted = map_in_threads(convert, slices(len(volume), volume.size, BLOCK_VOXELS))
        total = sum(count for count, _ in counted)
        if total == 0:
            return classes, ()
        strangers = sorted({label for _, labels in counted for label in labels})
        named = ", ".join(map(str, strangers[:NAMED_LABELS]))
        more = ", ..." if len(strangers) > NAMED_LABELS else ""
        voxels = "1 voxel has a label" if total == 1 else f"{total} voxels have labels"
        return classes, (
            f"{voxels} of none of the {number} classes ({named}{more}), and so no weight.",
        )


def _read(gt: Array, roi: Roi) -> NDArray[Any]:
    """Read labels, of the shape ``(1, z, y, x)``."""
    labels = with_channels(gt[roi], gt.dims)
    if len(labels) != 1:
        raise DataError(
            f"The ground truth has {len(labels)} channels, but all classes come from one volume "
            "of labels: give one channel."
        )
    if labels.dtype.kind not in "biu":
        raise DataError(
            f"The labels are {labels.dtype}, but classes are whole numbers: convert them to an "
            "integer type."
        )
    return labels
