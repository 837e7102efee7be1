"""Where crops can lie: the network's input inside raw, its output inside the ground truth."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import product
from math import ceil
from typing import Self

from funlib.geometry import Coordinate, Roi

from napari_dacapo_tasks.arrays import Array, GroundTruth

BLOCK = 32
"""Voxels along each axis of the blocks in which known labels are looked for."""


@dataclass(frozen=True)
class CropGrid:
    """All positions of a network on its data, by an index along each axis.

    Attributes
    ----------
    first
        Where the input of index 0 begins, in steps of the raw data's grid, as all lengths here.
    step
        From one index to the next: a voxel of the raw data.
    counts
        Positions along each axis; none where the data is too small.
    input_size, output_size
        Extents.
    output_offset
        From the begin of an input to that of its output.
    largest_input
        The largest input size for which there would be a position.
    """

    first: Coordinate
    step: Coordinate
    counts: Coordinate
    input_size: Coordinate
    output_size: Coordinate
    output_offset: Coordinate
    largest_input: Coordinate

    @classmethod
    def of(
        cls,
        raw: Array,
        known: Roi,
        input_shape: Sequence[int],
        output_shape: Sequence[int],
        output_voxel_size: Coordinate,
    ) -> Self:
        """Lay a network over its data.

        Parameters
        ----------
        raw
            Every input lies inside of it.
        known
            Every output lies inside of it.
        input_shape, output_shape
            In voxels of the raw data, and of the output.
        output_voxel_size
            In grid steps.
        """
        step = raw.voxel_size
        input_size = Coordinate(input_shape) * step
        output_size = Coordinate(output_shape) * output_voxel_size
        context = input_size - output_size
        # The output lies in the middle, and of an odd rest the larger half comes after it.
        offset = context // output_voxel_size // 2 * output_voxel_size
        begin = _higher(raw.roi.begin, known.begin - offset)
        end = _lower(raw.roi.end, known.end - offset + context)
        first = raw.roi.begin - (raw.roi.begin - begin) // step * step  # rounded up
        counts = (end - input_size - first) // step + 1
        return cls(
            first=first,
            step=step,
            counts=_higher(counts, counts * 0),
            input_size=input_size,
            output_size=output_size,
            output_offset=offset,
            largest_input=_higher(end - first, counts * 0) // step,
        )

    @property
    def empty(self) -> bool:
        """Whether there is no position at all."""
        return any(count < 1 for count in self.counts)

    @property
    def reachable(self) -> Roi:
        """What all outputs cover together."""
        last = self.step * (self.counts - 1)
        return Roi(self.first + self.output_offset, last + self.output_size)

    def input_roi(self, index: Sequence[int]) -> Roi:
        """Give what the network sees at a position."""
        return Roi(self.first + Coordinate(index) * self.step, self.input_size)

    def output_roi(self, index: Sequence[int]) -> Roi:
        """Give what the network answers for at a position."""
        begin = self.first + Coordinate(index) * self.step + self.output_offset
        return Roi(begin, self.output_size)

    def covering(self, point: Coordinate) -> tuple[Coordinate, Coordinate]:
        """Give the first and the last index of outputs that hold a point of `reachable`."""
        before = point - self.first - self.output_offset
        last = _lower(before // self.step, self.counts - 1)
        first = _higher((before - self.output_size) // self.step + 1, before * 0)
        return _lower(first, last), last


@dataclass(frozen=True)
class Block:
    """A part of the ground truth: whether some of it is known, and objects are in that."""

    roi: Roi
    known: bool
    objects: bool


def scan(ground_truth: GroundTruth, region: Roi) -> Iterator[Block]:
    """Look at a region of the ground truth block by block; raises DataError for bad labels."""
    region = region.intersect(ground_truth.roi)
    edge = ground_truth.labels.voxel_size * BLOCK
    counts = [ceil(n / e) for n, e in zip(region.shape, edge, strict=True)]
    for index in product(*map(range, counts)):
        roi = Roi(region.begin + Coordinate(index) * edge, edge).intersect(region)
        gt, mask = ground_truth.read(roi)
        known = mask.data != 0
        yield Block(roi, bool(known.any()), bool((gt.data.astype(bool) & known).any()))


def everything_known(ground_truth: GroundTruth) -> bool:
    """Whether nothing can stand for unknown, so that there is no need to `scan`."""
    config = ground_truth.config
    return (
        ground_truth.mask is None and not config.zero_is_unlabelled and config.ignore_label is None
    )


def _lower(a: Coordinate, b: Coordinate) -> Coordinate:
    return Coordinate(map(min, a, b))


def _higher(a: Coordinate, b: Coordinate) -> Coordinate:
    return Coordinate(map(max, a, b))
