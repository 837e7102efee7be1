"""Affinities between voxels and those an offset away, and local shape descriptors beside them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import ceil
from typing import TYPE_CHECKING, Any

import numpy as np
from funlib.geometry import Coordinate, Roi
from numpy.typing import NDArray

from napari_dacapo_tasks.arrays import Array, NumpyArray
from napari_dacapo_tasks.arrays.array_types import EmbeddingArray
from napari_dacapo_tasks.arrays.numpy_array import SPACE
from napari_dacapo_tasks.errors import ConfigError, DataError
from napari_dacapo_tasks.numerics.affinities import affinities, affinity_weights, count_affinities
from napari_dacapo_tasks.numerics.balance import ClassCounts, balance_weights
from napari_dacapo_tasks.numerics.lsds import (
    descriptor_names,
    local_shape_descriptors,
    turned_descriptors,
)
from napari_dacapo_tasks.numerics.symmetries import Symmetry
from napari_dacapo_tasks.tasks.neighborhoods import flaw, nearest_by_axis, offset_name
from napari_dacapo_tasks.tasks.predictors.predictor import (
    Composite,
    Predictor,
    Weighting,
    known_around,
    like,
    target_of,
)

if TYPE_CHECKING:
    from napari_dacapo_tasks.architectures import Architecture, Model

AffinityCounts = tuple[ClassCounts, ClassCounts | None]
"""Class counts of the affinities, and of the descriptors where there are any."""

LSD_REACH = 3
"""In sigmas: as far as the Gaussian of a local shape descriptor is looked at."""

MOST_COLOURS = 3


class AffinitiesPredictor(Predictor[AffinityCounts]):
    """Predicts, per offset, whether the voxel there belongs to the same object.

    With ``lsds`` the local shape descriptors follow: where in its object a voxel is, and how the
    object extends around it; 10 channels in 3D, 6 in 2D.

    Parameters
    ----------
    neighborhood
        Offsets in voxels, all ``(z, y, x)`` or all ``(y, x)``.
    lsds
        Whether to predict the descriptors, too.
    num_voxels
        Sigma of the descriptors, in voxels of the coarsest axis.
    downsample_lsds
        Factor by which the descriptors are made coarser, which takes less time.
    grow_boundary_iterations
        0. DaCapo takes other numbers, and they change nothing there.
    affs_weight_clipmin, affs_weight_clipmax, lsd_weight_clipmin, lsd_weight_clipmax
        Bounds of a class's share in the class balance.
    background_as_object
        Whether background is an object like any other.

    Raises
    ------
    ConfigError
        For a neighbourhood that is none, and boundaries that are to grow.
    """

    def __init__(
        self,
        neighborhood: Sequence[Sequence[int]],
        lsds: bool = True,
        num_voxels: int = 20,
        downsample_lsds: int = 1,
        grow_boundary_iterations: int = 0,
        affs_weight_clipmin: float = 0.05,
        affs_weight_clipmax: float = 0.95,
        lsd_weight_clipmin: float = 0.05,
        lsd_weight_clipmax: float = 0.95,
        background_as_object: bool = False,
    ) -> None:
        refused = flaw(neighborhood)
        if refused is not None:
            raise ConfigError(f"This neighbourhood cannot be used: {refused}.")
        if grow_boundary_iterations != 0:
            raise ConfigError(
                f"Boundaries cannot grow by {grow_boundary_iterations} voxels: set "
                "grow_boundary_iterations to 0, which gives what DaCapo gives with any number."
            )
        self.neighborhood = [tuple(int(step) for step in offset) for offset in neighborhood]
        self.dims = len(self.neighborhood[0])
        self.lsds = lsds
        self.num_voxels = num_voxels
        self.downsample_lsds = downsample_lsds
        self.grow_boundary_iterations = grow_boundary_iterations
        self.affs_weight_clipmin = affs_weight_clipmin
        self.affs_weight_clipmax = affs_weight_clipmax
        self.lsd_weight_clipmin = lsd_weight_clipmin
        self.lsd_weight_clipmax = lsd_weight_clipmax
        self.background_as_object = background_as_object
        self._descriptors = descriptor_names(SPACE[-self.dims :]) if lsds else {}

    @property
    def target_channels(self) -> list[str]:
        """The offsets, and what the descriptors describe."""
        descriptors = [name for kind in self._descriptors.values() for name in kind]
        return [*map(offset_name, self.neighborhood), *descriptors]

    @property
    def target_ranges(self) -> list[tuple[float, float]]:
        """All are between 0 and 1."""
        return [(0.0, 1.0)] * self.embedding_dims

    @property
    def composites(self) -> list[Composite]:
        """The nearest affinity along each axis, and the descriptors of one kind."""
        nearest = nearest_by_axis(self.neighborhood)
        found = [Composite("nearest affinities", nearest)] if len(nearest) > 1 else []
        first = len(self.neighborhood)
        for kind, names in self._descriptors.items():
            if 1 < len(names) <= MOST_COLOURS:
                found.append(Composite(kind, tuple(range(first, first + len(names)))))
            first += len(names)
        return found

    def sigma(self, voxel_size: Sequence[float]) -> float:
        """Give the descriptors' sigma, in the unit of the voxel size."""
        return self.num_voxels * max(voxel_size)

    def create_model(self, architecture: Architecture) -> Model:
        """Put a 1x1 convolution to a number per channel on an architecture, sigmoid in eval mode.

        Raises
        ------
        ConfigError
            Where the architecture has other axes than the offsets.
        """
        from torch import nn

        from napari_dacapo_tasks.architectures.model import Model, pointwise_head

        if architecture.dims != self.dims:
            raise ConfigError(
                f"The neighbourhood has offsets of {self.dims} axes, but the network works on "
                f"{architecture.dims}: choose a {self.dims}D network or a "
                f"{architecture.dims}D neighbourhood."
            )
        return Model(architecture, pointwise_head(architecture, self.embedding_dims), nn.Sigmoid())

    def create_target(self, gt: Array) -> NumpyArray:
        """Make the affinities of ids, and the descriptors.

        Parameters
        ----------
        gt
            Ids, of the shape ``(1, z, y, x)``, or without channels.

        Returns
        -------
        NumpyArray
            uint8, or float32 with descriptors.

        Raises
        ------
        DataError
            Where the ground truth has several channels or other axes than the offsets, or is
            smaller than an offset.
        """
        labels = self._labels(gt)
        as_object = self.background_as_object
        if not self.lsds:
            return target_of(
                gt, affinities(labels, self.neighborhood, background_as_object=as_object)
            )
        values = np.empty((self.embedding_dims, *labels.shape), np.float32)
        in_front, behind = np.split(values, [len(self.neighborhood)])
        affinities(labels, self.neighborhood, background_as_object=as_object, out=in_front)
        self._describe(labels, gt.voxel_size, behind)
        return target_of(gt, values)

    @property
    def lasting_channels(self) -> int:
        """The descriptors, unless they depend on where their coarser grid begins."""
        if self.downsample_lsds > 1:
            return 0
        return self.embedding_dims - len(self.neighborhood)

    def lasting_target(self, gt: Array) -> NumpyArray:
        """Make the descriptors; affinities are made anew in no time."""
        assert self.lasting_channels, "descriptors on a coarser grid do not last"
        labels = self._labels(gt)
        values = np.empty((self.lasting_channels, *labels.shape), np.float32)
        self._describe(labels, gt.voxel_size, values)
        return target_of(gt, values)

    def turned_target(
        self, gt: NumpyArray, roi: Roi, lasting: NumpyArray | None, symmetry: Symmetry
    ) -> NumpyArray:
        """Make the affinities, and let the descriptors point where they point now."""
        if lasting is None:
            return self.create_target(gt).crop(roi)
        joined = affinities(
            self._labels(gt), self.neighborhood, background_as_object=self.background_as_object
        )
        values = np.empty((self.embedding_dims, *lasting.shape), np.float32)
        in_front, behind = np.split(values, [len(self.neighborhood)])
        in_front[...] = target_of(gt, joined)[roi]
        inside = None if self.background_as_object else self._labels(gt, roi) > 0
        turned_descriptors(lasting.data, symmetry, inside, out=behind)
        return like(lasting, values)

    def padding_beside_lasting(self, gt_voxel_size: Coordinate) -> Coordinate:
        """Give the longest offset; more only for descriptors that do not last."""
        if self.lsds and not self.lasting_channels:
            return self.padding(gt_voxel_size)
        return self.reach(len(gt_voxel_size)) * gt_voxel_size

    def weigh(
        self,
        gt: Array,
        target: NumpyArray,
        mask: Array,
        moving_class_counts: AffinityCounts | None = None,
        masks: Mapping[str, NumpyArray] | None = None,
    ) -> Weighting[AffinityCounts]:
        """Balance joined and separate pairs of known voxels, offset by offset.

        A voxel whose partner is not known weighs nothing in that channel. The descriptors are
        balanced together, by foreground and background.
        """
        affinity_counts, descriptor_counts = moving_class_counts or (None, None)
        count = len(self.neighborhood)
        weight = np.empty(target.data.shape, np.float32)
        known, begin = self._known(gt, target, mask)
        _, affinity_counts = affinity_weights(
            target.data[:count],
            known,
            self.neighborhood,
            begin,
            affinity_counts,
            self.affs_weight_clipmin,
            self.affs_weight_clipmax,
            out=weight[:count],
        )
        if not self.lsds:
            return Weighting(like(target, weight), (affinity_counts, None))
        weight[count:], descriptor_counts = self._balanced(
            gt, target, known, begin, descriptor_counts
        )
        return Weighting(like(target, weight), (affinity_counts, descriptor_counts))

    def count(
        self, gt: Array, target: NumpyArray, mask: Array
    ) -> tuple[AffinityCounts, Mapping[str, NumpyArray]]:
        """Count the pairs, and foreground and background; there are no masks."""
        known, begin = self._known(gt, target, mask)
        pairs = target.data[: len(self.neighborhood)]
        joined = count_affinities(pairs, known, self.neighborhood, begin)
        if not self.lsds:
            return (joined, None), {}
        _, descriptors = self._balanced(gt, target, known, begin, None)
        return (joined, descriptors), {}

    def padding(self, gt_voxel_size: Coordinate) -> Coordinate:
        """Give the context on each side, in grid steps, in whole voxels.

        As far as the longest offset, in both directions, and as the descriptors look.
        """
        self._require_dims(len(gt_voxel_size))
        context = self._longest_steps() * gt_voxel_size
        if not self.lsds:
            return context
        seen = LSD_REACH * self.sigma(gt_voxel_size)
        return Coordinate(
            max(own, ceil(seen / size) * size)
            for own, size in zip(context, gt_voxel_size, strict=True)
        )

    def reach(self, dims: int) -> Coordinate:
        """Give the longest step of all offsets along each axis."""
        self._require_dims(dims)
        return self._longest_steps()

    @property
    def output_array_type(self) -> EmbeddingArray:
        """As many numbers as there are channels."""
        return EmbeddingArray(self.embedding_dims)

    def _describe(
        self, labels: NDArray[Any], voxel_size: Sequence[float], out: NDArray[np.float32]
    ) -> None:
        """Make the descriptors."""
        local_shape_descriptors(
            labels,
            voxel_size,
            self.sigma(voxel_size),
            self.downsample_lsds,
            background_as_object=self.background_as_object,
            out=out,
        )

    def _longest_steps(self) -> Coordinate:
        """Give the longest step along each axis, in voxels, whatever its direction."""
        return Coordinate(max(map(abs, steps)) for steps in zip(*self.neighborhood, strict=True))

    def _labels(self, gt: Array, roi: Roi | None = None) -> NDArray[Any]:
        """Read ids without channels."""
        if gt.num_channels not in (None, 1):
            raise DataError(
                f"The ground truth has {gt.num_channels} channels, but affinities are made of one: "
                "put all objects into one channel, each with an id of its own."
            )
        self._require_dims(gt.dims)
        labels = gt[gt.roi if roi is None else roi]
        return labels if gt.num_channels is None else labels[0]

    def _known(
        self, gt: Array, target: NumpyArray, mask: Array
    ) -> tuple[NDArray[Any], tuple[int, ...]]:
        """Read the mask as far as partners of the target are, and say where in it the target is."""
        if mask.num_channels not in (None, 1):
            raise DataError(
                f"The mask has {mask.num_channels} channels: give one that serves all offsets."
            )
        return known_around(target, mask, gt.roi, self._longest_steps() * target.voxel_size)

    def _balanced(
        self,
        gt: Array,
        target: NumpyArray,
        known: NDArray[Any],
        begin: Sequence[int],
        counts: ClassCounts | None,
    ) -> tuple[NDArray[np.float32], ClassCounts]:
        """Balance the descriptors, by foreground and background where they are known."""
        inside = tuple(
            slice(start, start + length) for start, length in zip(begin, target.shape, strict=True)
        )
        return balance_weights(
            (self._labels(gt, target.roi) > 0)[np.newaxis],
            2,
            [known[inside] != 0],
            counts,
            self.lsd_weight_clipmin,
            self.lsd_weight_clipmax,
        )

    def _require_dims(self, dims: int) -> None:
        if dims != self.dims:
            raise DataError(
                f"The neighbourhood has offsets of {self.dims} axes, such as "
                f"{list(self.neighborhood[0])}, but the ground truth has {dims}: give each offset "
                f"{dims} steps."
            )
