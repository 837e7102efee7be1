"""From ground truth to what a network is to answer, and how much each voxel counts."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from copy import copy
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Generic, TypeVar

import numpy as np
from funlib.geometry import Coordinate, Roi
from numpy.typing import NDArray

from napari_dacapo_tasks.arrays import Array, NumpyArray
from napari_dacapo_tasks.arrays.array import CHANNEL
from napari_dacapo_tasks.arrays.array_types import ArrayType
from napari_dacapo_tasks.errors import DataError
from napari_dacapo_tasks.numerics.symmetries import Symmetry

if TYPE_CHECKING:
    from napari_dacapo_tasks.architectures import Architecture, Model

Counts = TypeVar("Counts")


@dataclass(frozen=True)
class Weighting(Generic[Counts]):
    """A weight and what went into it.

    Attributes
    ----------
    weight
        float32, of the target's shape.
    counts
        Running class counts, to pass in with the next crop.
    masks
        Other maps worth seeing, by name, such as the distance mask.
    notices
        What the person should know of it, a sentence each.
    """

    weight: NumpyArray
    counts: Counts
    masks: dict[str, NumpyArray] = field(default_factory=dict)
    notices: tuple[str, ...] = ()


@dataclass(frozen=True)
class Composite:
    """Channels of a target that are seen together in one picture.

    Attributes
    ----------
    name
        What the picture shows.
    channels
        Indices of two or three channels, shown as red, green and blue; or of any number of
        channels that exclude each other, a colour each.
    exclusive
        Whether they exclude each other, as classes do.
    """

    name: str
    channels: tuple[int, ...]
    exclusive: bool = False


class Predictor(ABC, Generic[Counts]):
    """Makes target and weight of ground truth, and the model that learns them.

    Arrays are ``(c, z, y, x)`` or ``(c, y, x)`` and lie where the ground truth lies. Lengths are
    in the grid steps of the arrays' voxel size.
    """

    @abstractmethod
    def create_model(self, architecture: Architecture) -> Model:
        """Put the head for this target on an architecture; imports torch."""

    @abstractmethod
    def create_target(self, gt: Array) -> NumpyArray:
        """Make what the network shall answer; shape ``(embedding_dims, z, y, x)``."""

    @property
    def lasting_channels(self) -> int:
        """Number of channels of `lasting_target`, 0 where nothing lasts."""
        return 0

    def lasting_target(self, gt: Array) -> NumpyArray:
        """Make the part of a target that takes long to make, and turns as its ground truth does.

        Whoever keeps it needs to make it only once, however crops are mirrored and their axes
        exchanged; see `turned_target`.

        Returns
        -------
        NumpyArray
            float32, of so many channels as `lasting_channels` says.
        """
        return target_of(gt, np.empty((0, *gt.shape), np.float32))

    def turned_target(
        self, gt: NumpyArray, roi: Roi, lasting: NumpyArray | None, symmetry: Symmetry
    ) -> NumpyArray:
        """Make the target in a region of ground truth that was turned.

        It equals what ``create_target`` makes there of all the ground truth turned.

        Parameters
        ----------
        gt
            Ids, turned; ``padding_beside_lasting`` around the region, where there is so much.
        roi
            The region.
        lasting
            What ``lasting_target`` made, with its voxels turned and no value changed, in the
            region; None where nothing lasts.
        symmetry
            How both were turned.
        """
        return self.create_target(gt).crop(roi)

    def padding_beside_lasting(self, gt_voxel_size: Coordinate) -> Coordinate:
        """Give the context that target and weight need where the lasting part is there already."""
        return self.padding(gt_voxel_size)

    @abstractmethod
    def weigh(
        self,
        gt: Array,
        target: NumpyArray,
        mask: Array,
        moving_class_counts: Counts | None = None,
        masks: Mapping[str, NumpyArray] | None = None,
    ) -> Weighting[Counts]:
        """Make the weight together with the maps that it was made of.

        Parameters
        ----------
        gt
            Ids.
        target
            What ``create_target`` made of ``gt``, or a crop of it: the weight covers this region.
        mask
            Nonzero where ``gt`` is known; where it reaches beyond the target, that is used.
        moving_class_counts
            Counts of earlier crops; they are not changed.
        masks
            Those of an earlier call with the same first three, which need not be made again.
        """

    def count(
        self, gt: Array, target: NumpyArray, mask: Array
    ) -> tuple[Counts, Mapping[str, NumpyArray]]:
        """Give counts and masks of a crop alone, as `weigh` would."""
        weighting = self.weigh(gt, target, mask)
        return weighting.counts, weighting.masks

    def create_weight(
        self, gt: Array, target: NumpyArray, mask: Array, moving_class_counts: Counts | None = None
    ) -> tuple[NumpyArray, Counts]:
        """Make the weight; parameters as in `weigh`."""
        weighting = self.weigh(gt, target, mask, moving_class_counts)
        return weighting.weight, weighting.counts

    @abstractmethod
    def padding(self, gt_voxel_size: Coordinate) -> Coordinate:
        """Give the context that a target needs on each side, in grid steps, in whole voxels."""

    def gt_region_for_roi(self, target_spec: Any) -> Any:
        """Grow a specification (anything with ``roi`` and ``voxel_size``) by the context."""
        spec = copy(target_spec)
        context = self.padding(spec.voxel_size)
        spec.roi = spec.roi.grow(context, context)
        return spec

    def reach(self, dims: int) -> Coordinate:
        """Give how far away, in voxels along each of so many axes, a voxel is compared with others.

        Ground truth must be larger than that.
        """
        return Coordinate((0,) * dims)

    @property
    @abstractmethod
    def output_array_type(self) -> ArrayType:
        """What the numbers of the target mean."""

    @property
    @abstractmethod
    def target_channels(self) -> list[str]:
        """Names of the channels of target and prediction."""

    @property
    @abstractmethod
    def target_ranges(self) -> list[tuple[float, float]]:
        """Lowest and highest value that each channel of a target can have."""

    @property
    def composites(self) -> list[Composite]:
        """Channels that are worth seeing together."""
        return []

    @property
    def embedding_dims(self) -> int:
        """Number of channels of target and prediction."""
        return len(self.target_channels)


def with_channels(values: NDArray[Any], dims: int) -> NDArray[Any]:
    """Give values of so many spatial axes a channel axis, where they have none."""
    return values if values.ndim == dims + 1 else values[np.newaxis]


def like(target: NumpyArray, values: NDArray[Any], roi: Roi | None = None) -> NumpyArray:
    """Place values ``(c, z, y, x)`` as a target lies, or in another region of its grid."""
    return NumpyArray.from_np_array(
        values, roi or target.roi, target.voxel_size, target.axes, target.unit
    )


def target_of(gt: Array, values: NDArray[Any]) -> NumpyArray:
    """Place a target ``(c, z, y, x)`` where its ground truth lies."""
    axes: Sequence[str] = [CHANNEL, *(name for name in gt.axes if name != CHANNEL)]
    return NumpyArray.from_np_array(values, gt.roi, gt.voxel_size, axes, gt.unit)


def known_around(
    target: NumpyArray, mask: Array, within: Roi, reach: Coordinate
) -> tuple[NDArray[Any], tuple[int, ...]]:
    """Read a mask of no or one channel around a target, and say where in it the target begins.

    Parameters
    ----------
    within
        What else limits the region.
    reach
        How far around the target, as far as the mask goes.

    Raises
    ------
    DataError
        Where the mask does not cover the target.
    """
    region = target.roi.grow(reach, reach).intersect(within).intersect(mask.roi)
    if not region.contains(target.roi):
        raise DataError(
            f"The mask covers {mask.roi}, but the target {target.roi} ({mask.unit.name}): "
            "make it reach as far as the target."
        )
    known = mask[region]
    begin = (target.roi.begin - region.begin) / target.voxel_size
    return known if mask.num_channels is None else known[0], tuple(begin)
