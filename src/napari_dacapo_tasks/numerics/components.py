"""Regions of voxels that belong together, as labels 1, 2, ... of type uint32.

All of it goes in linear time, without the interpreter lock, and with a few bytes a voxel, whatever
the number of regions.
"""

from collections.abc import Callable, Sequence
from math import prod
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_dacapo_tasks.errors import DataError
from napari_dacapo_tasks.numerics.threads import map_in_threads, slices

Labels = NDArray[np.uint32]
Index = tuple[slice, ...]

# Voxels that a thread compares at a time: its temporary arrays stay in the cache.
_BLOCK_VOXELS = 1 << 17
# Voxels are numbered with 32 bits and a sign.
_MOST_VOXELS = 2**31 - 2


def as_volume(values: NDArray[Any]) -> NDArray[Any]:
    """Give ``(z, y, x)`` for it or for an image ``(y, x)``, which becomes ``(y, 1, x)``.

    So an image is cut into lines, not into one plane that no cache can hold.
    """
    assert values.ndim in (2, 3), f"{values.shape} is no image and no volume"
    return values if values.ndim == 3 else values[:, np.newaxis]


def connected_components(ids: NDArray[Any]) -> tuple[Labels, int]:
    """Number the regions of equal ids.

    Parameters
    ----------
    ids
        ``(z, y, x)`` or ``(y, x)``, integer or bool; 0 belongs to no region.

    Returns
    -------
    Labels of the shape of ``ids`` in the order of the regions' first voxels, and their number.
    Voxels are neighbours across a face.

    Raises
    ------
    DataError
        Where there are 2^31 voxels or more.
    """
    volume = as_volume(ids)
    labels, number = link_neighbours(
        volume.shape,
        lambda here: volume[here] != 0,
        lambda _, before, here: (volume[before] == volume[here]) & (volume[here] != 0),
    )
    return labels.reshape(ids.shape), number


def link_neighbours(
    shape: Sequence[int],
    inside: Callable[[Index], NDArray[np.bool_]],
    linked: Callable[[int, Index, Index], NDArray[np.bool_]],
) -> tuple[Labels, int]:
    """Number the regions of voxels ``(z, y, x)`` that are linked across faces.

    Parameters
    ----------
    inside
        Says which voxels of a part belong to a region, if only to one of their own.
    linked
        ``linked(axis, before, here)`` says which voxels of the part ``here`` are in one region
        with their neighbours ``before`` along an axis; both must be inside.

    Returns
    -------
    As of `connected_components`.
    """
    require_countable(shape)
    from napari_dacapo_tasks.numerics.linking import INSIDE, LINKED_X, LINKED_Y, LINKED_Z, link

    flags = np.empty(tuple(shape), np.uint8)

    def mark(planes: slice) -> None:
        np.multiply(inside((planes,)), np.uint8(INSIDE), out=flags[planes])
        for axis, flag in enumerate((LINKED_Z, LINKED_Y, LINKED_X)):
            first = max(planes.start, 1) if axis == 0 else planes.start
            here = [slice(first, planes.stop), slice(None), slice(None)]
            before = list(here)
            if axis == 0:
                before[0] = slice(first - 1, planes.stop - 1)
            else:
                here[axis], before[axis] = slice(1, None), slice(None, -1)
            flags[tuple(here)] |= linked(axis, tuple(before), tuple(here)) * np.uint8(flag)

    map_in_threads(mark, slices(len(flags), flags.size, _BLOCK_VOXELS))
    regions = np.empty(flags.shape, np.int32)
    _, height, width = flags.shape
    number = link(flags.ravel(), regions.ravel(), width, height * width)
    return regions.view(np.uint32), int(number)


def require_countable(shape: Sequence[int]) -> None:
    """Refuse a shape of 2^31 voxels or more."""
    if prod(shape) > _MOST_VOXELS:
        raise DataError(
            f"The region has {' x '.join(map(str, shape))} voxels, too many to find objects in: "
            "choose a smaller one."
        )


def append_components(labels: Labels, number: int, where: NDArray[np.bool_]) -> int:
    """Give the regions of ``where`` the labels that follow, in place.

    Returns
    -------
    How many labels there are then.
    """
    regions, more = connected_components(where)
    rename(regions, np.concatenate([[0], np.arange(more) + number + 1]))
    np.copyto(labels, regions, where=where)
    return number + more


def sizes_of(labels: Labels, number: int) -> NDArray[np.int64]:
    """Count the voxels of the labels 0, 1, ..., ``number``."""
    from napari_dacapo_tasks.numerics.linking import count

    sizes = np.zeros(number + 1, np.int64)
    count(labels.ravel(), sizes)
    return sizes


def rename(labels: Labels, names: NDArray[Any]) -> None:
    """Replace each label by ``names[label]``, in place; ``labels`` is contiguous."""
    from napari_dacapo_tasks.numerics import linking

    assert labels.flags.c_contiguous, "a copy would be renamed"
    linking.rename(labels.ravel(), np.ascontiguousarray(names, np.uint32))


def remove_small(labels: Labels, number: int, min_size: int) -> int:
    """Make labels of fewer voxels 0 and number the others anew, in place.

    Returns
    -------
    How many are left.
    """
    kept = sizes_of(labels, number) >= max(min_size, 1)
    kept[0] = False
    left = int(np.count_nonzero(kept))
    if left < number:
        rename(labels, np.where(kept, np.cumsum(kept), 0))
    return left


def one_of_each(labels: Labels, number: int, values: NDArray[Any]) -> NDArray[Any]:
    """Give the value at the first voxel of each of the labels 1, 2, ..., ``number``.

    Every one of them occurs, and ``values`` is of the shape of ``labels``.
    """
    from napari_dacapo_tasks.numerics.linking import find_first

    voxels = np.full(number + 1, -1, np.int64)
    find_first(labels.ravel(), voxels)
    firsts: NDArray[Any] = values[np.unravel_index(voxels[1:], labels.shape)]
    return firsts
