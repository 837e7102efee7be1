"""Where crops lie: evenly over what is known, and more often where rare labels are."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product
from math import ceil
from threading import Lock
from typing import TYPE_CHECKING, Any, Self

import numpy as np
from funlib.geometry import Coordinate, Roi
from numpy.typing import NDArray

from napari_dacapo_tasks.arrays import GroundTruth
from napari_dacapo_tasks.errors import DataError
from napari_dacapo_tasks.runs.crops import BLOCK, CropGrid, everything_known

if TYPE_CHECKING:
    from napari_dacapo_tasks.architectures import CNNectomeUNet, Model
    from napari_dacapo_tasks.runs.data import Volume


@dataclass(frozen=True)
class Shapes:
    """How large a network's input and output are.

    Attributes
    ----------
    input_shape
        In voxels of the raw data.
    output_shape
        In voxels of the output.
    output_voxel_size
        In grid steps.
    """

    input_shape: Coordinate
    output_shape: Coordinate
    output_voxel_size: Coordinate

    @classmethod
    def of(cls, model: Model, raw_voxel_size: Coordinate) -> Self:
        """Give those of a model in training."""
        return cls(model.input_shape, model.output_shape, model.scale(raw_voxel_size))

    @classmethod
    def of_architecture(cls, architecture: CNNectomeUNet, raw_voxel_size: Coordinate) -> Self:
        """Give those of a network that is not built yet."""
        shape = Coordinate(architecture.input_shape)
        output_shape = architecture.compute_output_shape(shape)
        return cls(shape, output_shape, architecture.scale(raw_voxel_size))


@dataclass(frozen=True)
class Place:
    """Where a crop lies.

    Attributes
    ----------
    volume
        Number of the volume.
    index
        Of the volume's grid of positions.
    """

    volume: int
    index: Coordinate


class Places:
    """All places of a network in its volumes, and how often each is drawn.

    A volume is drawn by its share. In it each known voxel is drawn as often as any other, and
    then a position whose output holds it; where everything is known, each position as often as
    any other. A share of the crops is laid around a voxel of a label that was drawn before it.

    Parameters
    ----------
    volumes
        Each with its share.
    shapes
        Of the network.
    rare_labels
        Share of crops that are laid around a label.

    Raises
    ------
    DataError
        Where the network does not fit into a volume, or nothing of it is known in reach.
    """

    def __init__(self, volumes: Sequence[Volume], shapes: Shapes, rare_labels: float = 0.0) -> None:
        self.volumes = [VolumePlaces(volume, shapes, len(volumes) > 1) for volume in volumes]
        shares = np.array([volume.share for volume in volumes], np.float64)
        self._shares = shares / shares.sum()
        self._rare_labels = rare_labels

    def draw(self, random: np.random.Generator) -> Place:
        """Draw a place."""
        number = int(random.choice(len(self.volumes), p=self._shares))
        around_label = random.random() < self._rare_labels
        volume = self.volumes[number]
        return Place(number, volume.draw_label(random) if around_label else volume.draw(random))


class VolumePlaces:
    """The places of one volume; see `Places`.

    Parameters
    ----------
    volume
        Its raw data holds all inputs, what can be known of its ground truth all outputs.
    shapes
        Of the network.
    is_one_of_many
        Whether an error has to name the volume.

    Attributes
    ----------
    grid
        All positions.
    known_blocks
        Where labels are known in reach; None where they are everywhere.
    """

    def __init__(self, volume: Volume, shapes: Shapes, is_one_of_many: bool = False) -> None:
        self._ground_truth = volume.ground_truth
        of_name = f" of {volume.name}" if is_one_of_many else ""
        self.grid = CropGrid.of(
            volume.raw,
            volume.ground_truth.roi,
            shapes.input_shape,
            shapes.output_shape,
            shapes.output_voxel_size,
        )
        if self.grid.empty:
            raise DataError(
                f"The network's input of {tuple(shapes.input_shape)} voxels does not fit into "
                f"the raw data{of_name} of {volume.raw.shape} voxels with its output in the "
                "ground truth: choose a smaller input_shape."
            )
        self.known_blocks: list[Roi] | None = None
        self._ends = np.zeros(0, np.int64)
        if not everything_known(volume.ground_truth):
            self._count_known(of_name)
        self._lock = Lock()
        self._labels: _Labels | None = None

    def draw(self, random: np.random.Generator) -> Coordinate:
        """Draw the index of a position."""
        if self.known_blocks is None:
            return Coordinate(random.integers(self.grid.counts))
        # The number of a known voxel says its block, and which of those in the block it is.
        number = int(random.integers(self._ends[-1]))
        block = int(np.searchsorted(self._ends, number, side="right"))
        roi = self.known_blocks[block]
        before = int(self._ends[block - 1]) if block else 0
        _, mask = self._ground_truth.read(roi)
        return self._around(random, roi, mask.data != 0, number - before)

    def draw_label(self, random: np.random.Generator) -> Coordinate:
        """Draw a label and the index of a position that holds some of it.

        Where there is no object, any position that shows something known.
        """
        with self._lock:  # made when it is first wanted, by one thread
            if self._labels is None:
                self._labels = _Labels.of(self._ground_truth, self._blocks())
        labels = self._labels
        if not len(labels.ids):
            return self.draw(random)
        chosen = int(random.integers(len(labels.ids)))
        found = slice(labels.begins[chosen], labels.begins[chosen + 1])
        ends = np.cumsum(labels.counts[found])
        number = int(random.integers(ends[-1]))
        at = int(np.searchsorted(ends, number, side="right"))
        roi = labels.rois[labels.blocks[found][at]]
        voxels, of_objects = _objects(self._ground_truth, roi)
        before = int(ends[at - 1]) if at else 0
        wanted = of_objects & (voxels == labels.ids[chosen])
        return self._around(random, roi, wanted, number - before)

    def _around(
        self, random: np.random.Generator, roi: Roi, wanted: NDArray[np.bool_], number: int
    ) -> Coordinate:
        """Draw a position whose output holds a voxel: so many wanted ones come before it."""
        voxel = np.unravel_index(np.flatnonzero(wanted)[number], wanted.shape)
        point = roi.begin + Coordinate(voxel) * self._ground_truth.labels.voxel_size
        first, last = self.grid.covering(point)
        return Coordinate(random.integers(first, last, endpoint=True))

    def _count_known(self, of_name: str) -> None:
        blocks, counts = [], []
        for roi in self._blocks_of(self.grid.reachable):
            _, mask = self._ground_truth.read(roi)
            if count := np.count_nonzero(mask.data):
                blocks.append(roi)
                counts.append(count)
        if not blocks:
            raise DataError(
                f"Nothing is known in the ground truth{of_name} where the network could learn "
                "from it: the mask and the labels that stand for unknown leave no voxel."
            )
        self.known_blocks, self._ends = blocks, np.cumsum(counts)

    def _blocks(self) -> list[Roi]:
        if self.known_blocks is not None:
            return self.known_blocks
        return self._blocks_of(self.grid.reachable)

    def _blocks_of(self, region: Roi) -> list[Roi]:
        region = region.intersect(self._ground_truth.roi)
        edge = self._ground_truth.labels.voxel_size * BLOCK
        counts = [ceil(n / e) for n, e in zip(region.shape, edge, strict=True)]
        return [
            Roi(region.begin + Coordinate(index) * edge, edge).intersect(region)
            for index in product(*map(range, counts))
        ]


@dataclass(frozen=True)
class _Labels:
    """Where the objects of each label are.

    Attributes
    ----------
    ids
        Of the objects that are known.
    rois
        Blocks.
    blocks, counts
        Numbers of the blocks that hold the first id and how many of its voxels each holds, then
        of the second, and so on.
    begins
        Where in these each id begins, and the end.
    """

    ids: NDArray[Any]
    rois: list[Roi]
    blocks: NDArray[np.int64]
    counts: NDArray[np.int64]
    begins: NDArray[np.int64]

    @classmethod
    def of(cls, ground_truth: GroundTruth, rois: list[Roi]) -> Self:
        """Look through the blocks of a ground truth."""
        found = []
        for roi in rois:
            voxels, of_objects = _objects(ground_truth, roi)
            found.append(np.unique(voxels[of_objects], return_counts=True))
        numbers = np.repeat(np.arange(len(rois)), [len(ids) for ids, _ in found])
        each = np.concatenate([ids for ids, _ in found])
        counts = np.concatenate([count for _, count in found])
        order = np.argsort(each, kind="stable")
        ids, begins = np.unique(each[order], return_index=True)
        return cls(ids, rois, numbers[order], counts[order], np.append(begins, len(order)))


def _objects(ground_truth: GroundTruth, roi: Roi) -> tuple[NDArray[Any], NDArray[np.bool_]]:
    """Read labels, and where they are known objects of any channel."""
    gt, mask = ground_truth.read(roi)
    return ground_truth.labels[roi], gt.data.any(axis=0) & (mask.data != 0)
