"""Instances from affinities, by the mutex watershed."""

from __future__ import annotations

from collections.abc import Generator, Iterator, Sequence
from contextlib import closing
from itertools import product
from math import ceil, exp, prod
from time import perf_counter
from typing import Any

import numpy as np
import psutil
from funlib.geometry import Coordinate
from numpy.typing import NDArray
from pydantic import Field

from napari_dacapo_tasks.arrays import Array, NumpyArray
from napari_dacapo_tasks.errors import DataError
from napari_dacapo_tasks.tasks.post_processors.clean_up import FillHoles, MinSize
from napari_dacapo_tasks.tasks.post_processors.from_affinities import SHORT, FromAffinities
from napari_dacapo_tasks.tasks.post_processors.post_processor import (
    PostProcessorParameters,
    Stitching,
    share_of,
)

BIASES = (0.1, 0.25, 0.5, 0.75, 0.9)
"""What a sweep tries where there are only short offsets, or only long ones: DaCapo's."""

PAIRS_OF_BIASES = (0.25, 0.5, 0.75)
"""What it tries for each of the two where there are both."""

REGIONS_DONE = 0.1
"""Share of the work after which it is known what is in dispute."""

SETTLED = 0.99
"""Share of the work after which it is settled; holes are filled next."""

CONTEXT = 32
"""Voxels of the finest axis that are seen beyond a block. Measured on a network's affinities of
FIB-25, 120 voxels a side in blocks of 60: 56 objects instead of 61, and of the voxels of a block's
objects 98.8 % are in one object of the whole; with 16 they are 54 and 95.9 %."""

SECONDS_TO_START = 1.0
"""That a process takes."""


class MutexWatershedPostProcessorParameters(PostProcessorParameters):
    """Parameters of `MutexWatershedPostProcessor`."""

    bias: float = Field(
        default=0.5,
        gt=0,
        lt=1,
        title="Bias",
        description="Neighbours with an affinity above this are drawn together, others are kept "
        "apart; what is farther from it decides first. Raise it where objects merge, lower it "
        "where they split.",
    )
    long_bias: float = Field(
        default=0.5,
        gt=0,
        lt=1,
        title="Bias of long offsets",
        description="The same for partners that are more than one voxel away along some axis. "
        "Above the other bias, long offsets mostly keep apart.",
    )
    min_size: MinSize = 2
    fill_holes: FillHoles = 0


class MutexWatershedPostProcessor(FromAffinities[MutexWatershedPostProcessorParameters]):
    """Finds objects by what draws together and what keeps apart, the surest first.

    Offsets are those of `FromAffinities`.
    """

    stitching = Stitching.OVERLAPPING

    @property
    def default(self) -> MutexWatershedPostProcessorParameters:
        """What takes a perfect target apart."""
        return MutexWatershedPostProcessorParameters()

    def enumerate_parameters(self) -> Iterator[MutexWatershedPostProcessorParameters]:
        """Give biases for the kinds of offsets that there are."""
        short = [far <= SHORT for far in self.reach]
        if any(short) and not all(short):
            for bias, long_bias in product(PAIRS_OF_BIASES, repeat=2):
                yield MutexWatershedPostProcessorParameters(bias=bias, long_bias=long_bias)
        else:
            for bias in BIASES:
                yield MutexWatershedPostProcessorParameters(bias=bias, long_bias=bias)

    def segment(
        self, prediction: Array, parameters: MutexWatershedPostProcessorParameters
    ) -> Generator[float, None, NumpyArray]:
        """Segment step by step; see `PostProcessor.segment`. Labels are 1, 2, ... as uint32.

        Where all affinities agree, as those of a ground truth do, it takes seconds. Else the mutex
        watershed runs in a process of its own, which ends when the generator is left.

        Raises
        ------
        UserError
            Where there is not enough memory, or mwatershed is not installed.
        """
        from napari_dacapo_tasks.numerics.attraction import attracted_regions

        yield 0.0
        affinities = self.affinities(prediction)
        biases = [parameters.bias if far <= SHORT else parameters.long_bias for far in self.reach]
        regions = yield from share_of(
            attracted_regions(affinities, self.neighborhood, biases), 0.0, REGIONS_DONE
        )
        labels, found = regions.labels, regions.number
        if regions.disputed.any():
            # What is not in dispute repels everything, and so is passed over.
            is_disputed = regions.disputed[labels]
            box = _box_of(is_disputed)
            is_disputed = is_disputed[box]
            within = affinities[(slice(None), *box)]
            if not is_disputed.all():
                within = np.where(is_disputed, within, within.dtype.type(0))
            settled = yield from share_of(self._settle(within, biases), REGIONS_DONE, SETTLED)
            np.copyto(labels[box], 0, where=is_disputed)
            np.add(settled, np.uint32(found), out=labels[box], where=settled > 0)
            found += int(settled.max(initial=0))
        return (yield from self.cleaned_up(prediction, labels, found, parameters, SETTLED))

    def context(self, voxel_size: Sequence[int]) -> Coordinate:
        """Give as far along every axis, and twice the longest offset at least."""
        reach = [2 * max(map(abs, steps)) for steps in zip(*self.neighborhood, strict=True)]
        wanted = [ceil(CONTEXT * min(voxel_size) / size) for size in voxel_size]
        return Coordinate(map(max, reach, wanted))

    def bytes_per_voxel(self, prediction: Array) -> int:
        """Estimate the memory of `segment`, where all of it is in dispute."""
        from napari_dacapo_tasks.numerics.mutex_watershed import memory_needed

        return super().bytes_per_voxel(prediction) + memory_needed(1, len(self.neighborhood))

    def _settle(
        self, affinities: NDArray[Any], biases: Sequence[float]
    ) -> Generator[float, None, NDArray[Any]]:
        """Run the mutex watershed; the share that is done is a guess."""
        from napari_dacapo_tasks.numerics.apart import call_apart
        from napari_dacapo_tasks.numerics.mutex_watershed import (
            SECONDS_PER_PAIR,
            memory_needed,
            mutex_watershed,
        )

        _, *shape = affinities.shape
        needed = memory_needed(prod(shape), len(affinities))
        free = psutil.virtual_memory().available
        if needed > free:
            raise DataError(
                f"The mutex watershed of {' x '.join(map(str, shape))} voxels with "
                f"{len(affinities)} offsets needs about {needed / 1e9:.1f} GB of memory, but "
                f"{free / 1e9:.1f} GB are free: choose a smaller region, or fewer offsets."
            )
        expected = SECONDS_TO_START + SECONDS_PER_PAIR * affinities.size
        begun = perf_counter()
        steps = call_apart(mutex_watershed, affinities, offsets=self.neighborhood, biases=biases)
        with closing(steps):
            while True:
                try:
                    next(steps)
                except StopIteration as end:
                    labels: NDArray[Any] = end.value
                    return labels
                yield 1 - exp(-(perf_counter() - begun) / expected)


def _box_of(inside: NDArray[np.bool_]) -> tuple[slice, ...]:
    """Give the smallest part that holds everything inside; there is something."""
    box = []
    for axis in range(inside.ndim):
        others = tuple(other for other in range(inside.ndim) if other != axis)
        places = np.flatnonzero(inside.any(axis=others))
        box.append(slice(int(places[0]), int(places[-1]) + 1))
    return tuple(box)
