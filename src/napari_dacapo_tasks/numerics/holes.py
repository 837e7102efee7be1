"""Holes in objects: background that one object encloses."""

from collections.abc import Generator, Sequence
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from napari_dacapo_tasks.numerics.components import Labels, as_volume
from napari_dacapo_tasks.numerics.regions import regions_of
from napari_dacapo_tasks.numerics.threads import map_in_threads, slices

Result = TypeVar("Result")

OPEN = np.uint32(2**32 - 1)
"""Owner of background that is no hole: it is too large, reaches the border, or lies between
objects."""

# Voxels that are looked at between two steps, and that a thread fills at a time.
_STEP_VOXELS = 1 << 23
_BLOCK_VOXELS = 1 << 20
# Shares of the time that the parts take.
_REGIONS_DONE, _OWNERS_DONE = 0.6, 0.9


def fill_holes(labels: NDArray[Any], max_size: int) -> Generator[float, None, None]:
    """Fill the holes in objects, in place, step by step.

    A hole is a region of background, its voxels neighbours across faces, that touches a single
    object and not the border of the array. What lies between two objects is none, nor is what
    holds another object. An axis of one voxel has no border.

    Parameters
    ----------
    labels
        ``(z, y, x)`` or ``(y, x)``, contiguous, uint8 or uint32.
    max_size
        Holes of more voxels stay; with 0 all do.

    Yields
    ------
    Share that is done.
    """
    assert labels.flags.c_contiguous, "a copy would be filled"
    if max_size <= 0 or labels.size == 0:
        return
    found = regions_of(labels.shape, lambda planes: labels[planes] == 0)
    regions, sizes = yield from _scaled(found, 0.0, _REGIONS_DONE)
    owners = np.where(sizes <= max_size, np.uint32(0), OPEN)
    sides = [length > 1 for length in labels.shape for _ in range(2)]
    looked = owners_of(labels, regions, sides, owners)
    yield from _scaled(looked, _REGIONS_DONE, _OWNERS_DONE)
    fill_owned(labels, regions, owners)


def owners_of(
    labels: NDArray[Any], regions: Labels, sides: Sequence[bool], owners: Labels
) -> Generator[float, None, None]:
    """Find the object around each region of background, step by step.

    Parameters
    ----------
    labels
        As of `fill_holes`.
    regions
        Of the background, of the same shape, 0 elsewhere.
    sides
        Before and after each axis, whether the array ends there because the volume does.
    owners
        Per region from 0 on, changed in place: `OPEN` comes and stays where it is no
        hole; others come as 0 and get the label of the only object that they touch.

    Yields
    ------
    Share that is done.
    """
    from napari_dacapo_tasks.numerics.hole_loops import find_owners

    volume, around = as_volume(labels), as_volume(regions)
    borders = np.array(sides if labels.ndim == 3 else [*sides[:2], False, False, *sides[2:]])
    look = find_owners[labels.dtype]
    for planes in slices(len(volume), volume.size, _STEP_VOXELS):
        yield planes.start / len(volume)
        look(volume, around, borders, planes.start, planes.stop, owners)


def fill_owned(labels: NDArray[Any], regions: Labels, owners: Labels) -> None:
    """Give regions of background the label of their owner, in place, where they have one."""
    from napari_dacapo_tasks.numerics.hole_loops import fill

    voxels, of_regions = labels.reshape(-1), regions.reshape(-1)
    work = fill[labels.dtype]
    map_in_threads(
        lambda part: work(voxels[part], of_regions[part], owners),
        slices(labels.size, labels.size, _BLOCK_VOXELS),
    )


def _scaled(
    steps: Generator[float, None, Result], begin: float, end: float
) -> Generator[float, None, Result]:
    """Go through steps that are part of a work, from one share of it to another."""
    while True:
        try:
            share = next(steps)
        except StopIteration as stop:
            result: Result = stop.value
            return result
        yield begin + (end - begin) * share
