"""From ground truth to what a network is to answer, and how much each voxel counts."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from copy import copy
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Generic, TypeVar

import numpy as np
from funlib.geometry import Coordinate, Roi
from numpy.typing import NDArray

from napari_dacapo_tasks.arrays import Array, NumpyArray
from napari_dacapo_tasks.arrays.array import CHANNEL
from napari_dacapo_tasks.arrays.array_types import ArrayType

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

    @abstractmethod
    def weigh(
        self, gt: Array, target: NumpyArray, mask: Array, moving_class_counts: Counts | None = None
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
        """

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
