"""Objects from affinities, by the mutex watershed of `mwatershed`.

Pairs of voxels are gone through from the surest to the least sure: an attractive one joins the
objects of its two voxels unless they are to stay apart, a repulsive one keeps them apart from then
on (Wolf et al., "The mutex watershed", 2018).

`mwatershed` holds the interpreter lock all the while and cannot be stopped, so this module is made
for `apart.call_apart`: it imports little.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_dacapo_tasks.errors import UserError

BYTES_PER_PAIR = 80
"""Memory at the peak, measured with mwatershed 0.5.4: 76 to 80 with 3 to 12 offsets, perfect
affinities and random ones alike."""

BYTES_PER_VOXEL = 24
"""The same, whatever the number of offsets; what the result is made of included."""

SECONDS_PER_PAIR = 3e-7
"""Measured with perfect affinities; 1e-7 where nearly all is background, 1.6e-6 in pure noise."""


def memory_needed(voxels: int, offsets: int) -> int:
    """Estimate the bytes that `mutex_watershed` takes at its peak."""
    return voxels * (offsets * BYTES_PER_PAIR + BYTES_PER_VOXEL)


def mutex_watershed(
    affinities: NDArray[Any],
    offsets: Sequence[Sequence[int]],
    biases: Sequence[float],
) -> NDArray[np.uint32]:
    """Find the objects.

    Parameters
    ----------
    affinities
        ``(c, z, y, x)`` or ``(c, y, x)``, from 0 (apart) to 1 (together). NaN counts as 0, and
        what a voxel says of a partner outside of the array does not count.
    offsets
        Per channel from a voxel to its partner.
    biases
        Per channel the affinity that says nothing: below it a pair is kept apart.

    Returns
    -------
    Labels 1, 2, ... without a channel axis; 0 where nothing attracts a voxel.

    Raises
    ------
    UserError
        Where mwatershed is not installed.
    """
    try:
        import mwatershed
    except ImportError as error:
        raise UserError(
            f"Affinities need the package mwatershed, which cannot be imported here ({error}): "
            "install it with pip install mwatershed."
        ) from None
    shape = affinities.shape[1:]
    # mwatershed takes an offset that leads out of the array everywhere for another one.
    inner = [
        channel
        for channel, offset in enumerate(offsets)
        if all(abs(step) < length for step, length in zip(offset, shape, strict=True))
    ]
    if not inner:
        return np.zeros(shape, np.uint32)
    attraction = np.empty((len(inner), *shape), np.float64)
    for made, channel in zip(attraction, inner, strict=True):
        made[...] = affinities[channel]
        np.nan_to_num(made, copy=False, nan=0.0)
        made -= biases[channel]
    found = mwatershed.agglom(attraction, [list(offsets[channel]) for channel in inner])
    del attraction
    occurs = np.bincount(found.ravel().view(np.int64)) > 0
    occurs[0] = False
    names = np.where(occurs, np.cumsum(occurs), 0).astype(np.uint32)
    labels: NDArray[np.uint32] = names[found]
    return labels
