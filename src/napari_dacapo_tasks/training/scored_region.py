"""Which part of a volume is scored, what a network answers there, and what it should."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from math import floor, prod

import numpy as np
from funlib.geometry import Coordinate, Roi
from numpy.typing import NDArray

from napari_dacapo_tasks.architectures import Model
from napari_dacapo_tasks.architectures.tiles import Tiles
from napari_dacapo_tasks.arrays import Array, GroundTruth, NumpyArray
from napari_dacapo_tasks.arrays.array import CHANNEL
from napari_dacapo_tasks.runs.crops import everything_known, scan
from napari_dacapo_tasks.runs.data import Volume
from napari_dacapo_tasks.runs.fit import by
from napari_dacapo_tasks.runs.intensity import check_finite, normalised
from napari_dacapo_tasks.tasks import Task


@dataclass(frozen=True)
class ScoredRegion:
    """A part of a volume that a network answers for.

    Attributes
    ----------
    volume
        All of it.
    roi
        The part, in grid steps and whole voxels of the ground truth; empty where there is none.
    out_of_sight
        Whether more would be known, but raw data ends too soon for the network.
    cut
        Whether it was cut to size.
    """

    volume: Volume
    roi: Roi
    out_of_sight: bool = False
    cut: bool = False

    @property
    def shape(self) -> Coordinate:
        """In voxels of the ground truth."""
        return self.roi.shape / self.volume.ground_truth.labels.voxel_size

    @property
    def voxels(self) -> int:
        """How many there are."""
        return prod(self.shape)

    def placed(self, values: NDArray[np.float32]) -> NumpyArray:
        """Give values ``(channels, z, y, x)`` their place in the world."""
        labels = self.volume.ground_truth.labels
        return NumpyArray.from_np_array(
            values, self.roi, labels.voxel_size, (CHANNEL, *labels.axes), labels.unit
        )

    def notices(self) -> Iterator[str]:
        """Say what of the volume is not scored."""
        name, ground_truth = self.volume.name, self.volume.ground_truth
        known = by(ground_truth.roi.shape / ground_truth.labels.voxel_size)
        if self.voxels == 0:
            yield (
                f"The volume {name} is not scored: nothing is known in it where the network can "
                "answer."
            )
        elif self.out_of_sight:
            yield (
                f"Of the volume {name} {by(self.shape)} of {known} voxels are scored: the network "
                "sees farther than there is raw data around the others."
            )
        if self.cut:
            yield (
                f"Of the volume {name} only the middle is scored, {by(self.shape)} of {known} "
                "voxels: more would take too much time and memory again and again."
            )


@dataclass(frozen=True)
class Aim:
    """What the network should answer in a region, and how much that counts; with channels."""

    target: NDArray[np.float32]
    weight: NDArray[np.float32]

    @classmethod
    def of(cls, region: ScoredRegion, task: Task) -> Aim:
        """Make both of the ground truth, with classes balanced over this region alone."""
        ground_truth = region.volume.ground_truth
        labels = ground_truth.labels
        context = task.predictor.padding(labels.voxel_size)
        around = region.roi.grow(context, context).intersect(labels.roi)
        gt, mask = ground_truth.read(around)
        target = task.predictor.create_target(gt).crop(region.roi)
        weight = task.predictor.weigh(gt, target, mask).weight
        return cls(
            np.ascontiguousarray(target.data, np.float32),
            np.ascontiguousarray(weight.data, np.float32),
        )

    @property
    def size(self) -> int:
        """In bytes."""
        return self.target.nbytes + self.weight.nbytes


def scored_region(volume: Volume, tiles: Tiles, most_voxels: int) -> ScoredRegion:
    """Choose what of a volume is scored: all that is known and in sight, if it is not too much.

    Where it is, the middle of it is, as near to a cube as may be.

    Parameters
    ----------
    volume
        Raw data and ground truth.
    tiles
        How the network goes over raw data.
    most_voxels
        More are not scored.
    """
    ground_truth = volume.ground_truth
    sight = _sight(volume.raw, ground_truth.labels.voxel_size, tiles)
    wanted = ground_truth.roi if everything_known(ground_truth) else _known(ground_truth)
    seen = wanted.intersect(sight)
    if seen.empty:
        return ScoredRegion(volume, Roi(ground_truth.roi.begin, sight.shape * 0), out_of_sight=True)
    size = ground_truth.labels.voxel_size
    shape = seen.shape / size
    if prod(shape) > most_voxels:
        edge = _edge(shape, most_voxels)
        kept = Coordinate(min(n, edge) for n in shape)
        seen = Roi(seen.begin + (shape - kept) // 2 * size, kept * size)
    cut = prod(shape) > most_voxels
    return ScoredRegion(volume, seen, out_of_sight=wanted.intersect(sight) != wanted, cut=cut)


def predicted(
    region: ScoredRegion,
    model: Model,
    tiles: Tiles,
    intensity_range: tuple[float, float],
    autocast: Callable[[], AbstractContextManager[object]],
) -> Generator[float, None, NDArray[np.float32]]:
    """Predict a region as losses take it, ``(channels, z, y, x)``; yields the share that is done.

    Raw data around it is read as far as the network sees, and as there is any.
    """
    raw, size = region.volume.raw, region.volume.ground_truth.labels.voxel_size
    # From here on in voxels, of the raw data or of the output, from the begin of the raw data.
    before = tiles.context // 2
    begin = (region.roi.begin - raw.roi.begin) / size
    wanted_begin, wanted_end = begin - tiles.margin, begin + region.shape + tiles.margin
    first = Coordinate(
        max(0, floor((b - c) / f))
        for b, c, f in zip(wanted_begin, before, tiles.factor, strict=True)
    )
    answered_begin = first * tiles.factor + before
    length = tiles.input_shape(wanted_end - answered_begin)
    length = Coordinate(map(min, length, Coordinate(raw.shape) - first))
    read = Roi(raw.roi.begin + first * raw.voxel_size, length * raw.voxel_size)
    answers = yield from tiles.predict(
        model, _as_seen(raw, read, intensity_range), activate=False, autocast=autocast
    )
    inside = begin - answered_begin
    return answers[(slice(None), *map(slice, inside, inside + region.shape))]


def _as_seen(raw: Array, roi: Roi, intensity_range: tuple[float, float]) -> NDArray[np.float32]:
    values = raw[roi]
    check_finite(values)
    values = normalised(values, intensity_range)
    return values if raw.num_channels is not None else values[np.newaxis]


def _sight(raw: Array, voxel_size: Coordinate, tiles: Tiles) -> Roi:
    """All that a network can answer for."""
    shape = tiles.output_shape(raw.shape)
    begin = raw.roi.begin + tiles.context // 2 * voxel_size
    return Roi(begin, Coordinate(max(0, n) for n in shape) * voxel_size)


def _known(ground_truth: GroundTruth) -> Roi:
    """The smallest region with all that is known in it; empty where nothing is."""
    blocks = [block.roi for block in scan(ground_truth, ground_truth.roi) if block.known]
    if not blocks:
        return Roi(ground_truth.roi.begin, ground_truth.roi.shape * 0)
    begin = _each(min, (block.begin for block in blocks))
    return Roi(begin, _each(max, (block.end for block in blocks)) - begin)


def _each(choose: Callable[[Iterable[int]], int], points: Iterable[Coordinate]) -> Coordinate:
    return Coordinate(map(choose, zip(*points, strict=True)))


def _edge(shape: Coordinate, most_voxels: int) -> int:
    """The longest edge to which all axes can be cut so that no more voxels are left."""
    edges = range(1, max(shape) + 1)
    return max((e for e in edges if prod(min(n, e) for n in shape) <= most_voxels), default=1)
