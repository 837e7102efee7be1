"""How tiles of a network cover an output, one axis at a time and without torch."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from math import ceil

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class AxisTile:
    """A tile along one axis.

    Attributes
    ----------
    begin
        Of its input, in voxels of the raw data.
    output
        The part of the whole output that it answers for.
    within
        Where that lies in its own output.
    share
        How much it counts in each of these voxels; None where it alone counts.
    """

    begin: int
    output: slice
    within: slice
    share: NDArray[np.float32] | None = None

    def within_part(self, begin: int, end: int) -> AxisTile | None:
        """Give what of it lies in a part of the output, which then is the whole; None if nothing.

        The begin of the input stays as it is.
        """
        start, stop = max(begin, self.output.start), min(end, self.output.stop)
        if start >= stop:
            return None
        skipped, length = start - self.output.start, stop - start
        inside = self.within.start + skipped
        return AxisTile(
            self.begin,
            slice(start - begin, stop - begin),
            slice(inside, inside + length),
            None if self.share is None else self.share[skipped : skipped + length],
        )


@dataclass(frozen=True)
class TileAxis:
    """What a network does along an axis; lengths of outputs are in voxels of the output.

    Attributes
    ----------
    factor
        Voxels of the output for one of the raw data.
    context
        By how much an output is shorter than its input. It begins half of that, rounded down,
        into the input.
    step
        The begins of outputs differ by multiples of this.
    longest
        Of all inputs of tiles, in voxels of the raw data.
    margin
        At each end of an output, the voxels that rest on made-up surroundings.
    blends
        Whether these count, too, beside what the next tile says; otherwise they are left out.
    at_least
        Gives the shortest input that the network takes, of those of at least a length.
    """

    factor: int
    context: int
    step: int
    longest: int
    margin: int
    blends: bool
    at_least: Callable[[int], int]

    def answer(self, size: int) -> int:
        """Length of the output for an input of ``size``."""
        return size * self.factor - self.context

    def input_for(self, length: int) -> int:
        """Length of the shortest input with an output of at least ``length``."""
        return self.at_least(ceil((length + self.context) / self.factor))

    def whole(self, size: int) -> int:
        """Longest input of at most ``size`` that the network takes; 0 where there is none."""
        fitting = self.at_least(size)
        if fitting > size:
            fitting -= self.step // self.factor
        return fitting if self.at_least(fitting) <= size else 0

    def answered(self, size: int) -> int:
        """Length of the output that rests on an input of ``size`` alone, in whole steps.

        A network that loses nothing at the border pads anyway, and answers for all of it.
        """
        return self.answer(self.whole(size)) if self.context else self.answer(size)

    def cover(
        self, begin: int, end: int, low: int, high: int, beyond: bool
    ) -> tuple[int, list[AxisTile]]:
        """Cover a part of an output; give the length of every input, and the tiles.

        Lengths count from where the answer to an input begins that begins with the raw data. A
        voxel's answer does not depend on the part that it is asked for in, but for rounding:
        tiles begin at whole steps, and where they blend they are laid over all of the output.

        Parameters
        ----------
        begin, end
            Of the part.
        low, high
            Of all the output that there can be.
        beyond
            Whether inputs may reach beyond the raw data.
        """
        first, until = (low, high) if self.blends else (begin, end)
        first, until = (first - self.margin) // self.step * self.step, until + self.margin
        if not beyond:
            first, until = max(first, low), min(until, high)
        size, tiles = self.lay(until - first)
        moved = (tile.within_part(begin - first, end - first) for tile in tiles)
        return size, [
            replace(tile, begin=tile.begin + first // self.factor)
            for tile in moved
            if tile is not None
        ]

    def lay(self, length: int) -> tuple[int, list[AxisTile]]:
        """Cover an output of ``length``; give the length of every input, and the tiles.

        The last tile may reach beyond the end.
        """
        size = self.input_for(length)
        if size <= self.longest:
            return size, [AxisTile(0, slice(0, length), slice(0, length))]
        most = self.answer(self.longest)
        stride = max((most - 2 * self.margin) // self.step * self.step, self.step)
        overlap = min(2 * self.margin, most - stride)
        count = ceil((length - overlap) / stride)
        # As many as it takes, but no longer than that.
        stride = ceil((length - overlap) / count / self.step) * self.step
        size = min(self.input_for(stride + overlap), self.longest)
        answer = self.answer(size)
        last = max(0, ceil((length - answer) / self.step) * self.step)
        begins = sorted({min(number * stride, last) for number in range(count)})
        parts = _blended if self.blends and overlap else _side_by_side
        return size, [
            AxisTile(
                begin // self.factor,
                part,
                slice(part.start - begin, part.stop - begin),
                share,
            )
            for begin, (part, share) in zip(begins, parts(begins, answer, length), strict=True)
        ]


Part = tuple[slice, NDArray[np.float32] | None]


def _side_by_side(begins: Sequence[int], answer: int, length: int) -> Iterator[Part]:
    """Give each voxel to one tile, halfway through the overlaps."""
    borders = [
        0,
        *((before + answer + begin + 1) // 2 for before, begin in pairwise(begins)),
        length,
    ]
    for begin, end in pairwise(borders):
        yield slice(begin, end), None


def _blended(begins: Sequence[int], answer: int, length: int) -> Iterator[Part]:
    """Give each voxel to all tiles that answer for it, the more the farther it is from an end."""
    ramps = []
    for number, begin in enumerate(begins):
        at = np.arange(begin, min(begin + answer, length)) + 0.5
        rise = np.ones(len(at), np.float32)
        if number > 0:
            before = begins[number - 1] + answer
            rise = np.minimum(rise, (at - begin) / (before - begin))
        if number < len(begins) - 1:
            after = begins[number + 1]
            rise = np.minimum(rise, (begin + answer - at) / (begin + answer - after))
        ramps.append(rise.astype(np.float32))
    total = np.zeros(length, np.float32)
    for begin, ramp in zip(begins, ramps, strict=True):
        total[begin : begin + len(ramp)] += ramp
    for begin, ramp in zip(begins, ramps, strict=True):
        part = slice(begin, begin + len(ramp))
        yield part, ramp / total[part]
