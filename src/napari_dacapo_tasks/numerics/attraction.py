"""Regions of voxels that attract each other, and whether any voxels within one repel each other.

What no chain of attractive pairs connects, the mutex watershed never joins. And where nothing
repels anything within a region, it joins all of the region, in whatever order it goes. So only
the regions in dispute are left to it. Affinities of a ground truth have none.
"""

from collections.abc import Generator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_dacapo_tasks.numerics.components import Labels, remove_small, require_countable
from napari_dacapo_tasks.numerics.threads import map_in_threads, slices

# Voxels that a thread compares at a time.
_BLOCK_VOXELS = 1 << 17


@dataclass(frozen=True)
class Regions:
    """Regions of voxels that attract each other.

    Attributes
    ----------
    labels
        1, 2, ..., ``number``; 0 where nothing attracts a voxel.
    disputed
        Per label, from 0, whether some voxels of the region repel each other.
    """

    labels: Labels
    number: int
    disputed: NDArray[np.bool_]


def attracted_regions(
    affinities: Sequence[NDArray[Any]] | NDArray[Any],
    offsets: Sequence[Sequence[int]],
    biases: Sequence[float],
    *,
    look_for_disputes: bool = True,
) -> Generator[float, None, Regions]:
    """Find the regions, channel by channel; to cancel, leave the generator.

    Parameters
    ----------
    affinities, offsets, biases
        As of `mutex_watershed.mutex_watershed`: a pair with an affinity above its bias attracts,
        any other pair repels, NaN too.
    look_for_disputes
        Without it nothing counts as disputed, which takes half the time.

    Yields
    ------
    Share that is done.
    """
    from napari_dacapo_tasks.numerics.linking import attract, dispute, number_regions

    shape = affinities[0].shape
    require_countable(shape)
    volume = np.array(shape if len(shape) == 3 else (shape[0], 1, shape[1]))
    steps = [
        np.array(offset if len(offset) == 3 else (offset[0], 0, offset[1])) for offset in offsets
    ]
    attracts = np.empty(shape, np.bool_)
    regions = np.arange(1, attracts.size + 1, dtype=np.int32)
    for channel, offset in enumerate(steps):
        yield channel / (2 * len(steps))
        _compare(affinities[channel], biases[channel], attracts)
        attract(attracts.ravel(), regions, volume, offset)
    number = int(number_regions(regions))
    labels = regions.view(np.uint32)
    number = remove_small(labels, number, 2)
    disputed = np.zeros(number + 1, np.bool_)
    if not look_for_disputes:
        return Regions(labels.reshape(shape), number, disputed)
    for channel, offset in enumerate(steps):
        yield (channel / len(steps) + 1) / 2
        _compare(affinities[channel], biases[channel], attracts)
        dispute(attracts.ravel(), labels, volume, offset, disputed)
    disputed[0] = False
    return Regions(labels.reshape(shape), number, disputed)


def _compare(affinity: NDArray[Any], bias: float, out: NDArray[np.bool_]) -> None:
    """Say where an affinity is above its bias, as 64-bit numbers."""

    def compare(rows: slice) -> None:
        np.greater(affinity[rows], np.float64(bias), out=out[rows])

    map_in_threads(compare, slices(len(affinity), affinity.size, _BLOCK_VOXELS))
