"""Connected components of what is inside of objects, over all cores, read part by part.

Two passes: slabs of planes are labelled side by side, each by itself, and then get the numbers of
the regions that their labels turned out to be. Beyond the labels that it makes it takes a few
bytes for each *label* of the first pass, and a byte for each voxel that is being worked on.
"""

from collections.abc import Callable, Generator, Iterator, Sequence
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from napari_dacapo_tasks.errors import DataError
from napari_dacapo_tasks.numerics.components import Labels, as_volume
from napari_dacapo_tasks.numerics.threads import available_cores, map_in_threads, slices

Sizes = NDArray[np.int64]
Item = TypeVar("Item")

# Voxels that a thread labels at a time; a boundary between two slabs costs little.
_SLAB_VOXELS = 1 << 21
# Slabs for each core between two steps: some hundredths of a second.
_SLABS_OF_STEP = 2
_MOST_LABELS = 2**32 - 2
# Shares of the time that the two passes take.
_LABELLED, _JOINED = 0.7, 0.75


def regions_of(
    shape: Sequence[int],
    inside: Callable[[slice], NDArray[np.bool_]],
    min_size: int = 1,
) -> Generator[float, None, tuple[Labels, Sizes]]:
    """Number the regions of voxels that are neighbours across faces; to cancel, leave it.

    Parameters
    ----------
    shape
        ``(z, y, x)`` or ``(y, x)``.
    inside
        Says which voxels of some of the first axis belong to a region: ``(planes, y, x)`` or
        ``(rows, x)``. Several threads call it.
    min_size
        Regions of fewer voxels are left out.

    Yields
    ------
    Share that is done.

    Returns
    -------
    Labels of that shape in the order of the regions' first voxels, and the voxels of each region
    (those of 0 not counted, 0).

    Raises
    ------
    DataError
        Where there are more regions than numbers of 32 bits.
    """
    from napari_dacapo_tasks.numerics.slab_loops import join_planes, number_regions, rename

    labels: Labels = np.empty(tuple(shape), np.uint32)
    volume = as_volume(labels)
    planes = slices(len(volume), volume.size, _SLAB_VOXELS)

    def label(part: slice) -> tuple[Labels, Sizes]:
        return _label(as_volume(np.ascontiguousarray(inside(part), np.bool_)), volume[part])

    def place(slab: int) -> None:
        parents, first = tables[slab][0], np.uint32(firsts[slab])
        np.add(parents[1:], first, out=names[firsts[slab] + 1 : firsts[slab + 1] + 1])

    def write(slab: int) -> None:
        own = names[firsts[slab] : firsts[slab + 1] + 1].copy()
        own[0] = 0
        rename(volume[planes[slab]].reshape(-1), own)

    tables: list[tuple[Labels, Sizes]] = []
    for some in _steps(planes):
        yield _LABELLED * len(tables) / len(planes)
        tables += map_in_threads(label, some)
    # The labels of a slab follow those of the slab before, without the 0 of each.
    lengths = [len(of_slab) - 1 for of_slab, _ in tables]
    firsts = np.concatenate([[0], np.cumsum(lengths, dtype=np.int64)])
    require_labels(int(firsts[-1]))
    names = np.zeros(firsts[-1] + 1, np.uint32)
    map_in_threads(place, range(len(planes)))
    for slab in range(1, len(planes)):
        plane = planes[slab].start
        begins = np.uint32(firsts[slab - 1]), np.uint32(firsts[slab])
        join_planes(names, volume[plane - 1], volume[plane], *begins)
    sizes = np.zeros(len(names), np.int64)
    number = 0
    for slab, (_, voxels) in enumerate(tables):
        number = number_regions(names, voxels, sizes, firsts[slab], number)
    tables.clear()
    sizes = sizes[: number + 1]
    if min_size > 1:
        kept = sizes >= min_size
        rename(names, np.where(kept, np.cumsum(kept, dtype=np.uint32), np.uint32(0)))
        sizes = np.concatenate([sizes[:1], sizes[kept]])
    done = 0
    for slabs in _steps(range(len(planes))):
        yield _JOINED + (1 - _JOINED) * done / len(planes)
        map_in_threads(write, slabs)
        done += len(slabs)
    return labels, sizes


def _label(inside: NDArray[np.bool_], labels: Labels) -> tuple[Labels, Sizes]:
    """Label a slab by itself; gives the parents of its labels, and their voxels."""
    from napari_dacapo_tasks.numerics.slab_loops import count_runs, label_slab

    room = count_runs(inside) + 1
    parents, sizes = np.empty(room, np.uint32), np.empty(room, np.int64)
    used = label_slab(inside, labels, parents, sizes)
    return parents[: used + 1], sizes[: used + 1]


def require_labels(number: int) -> None:
    """Refuse more regions than labels of 32 bits can tell apart."""
    if number > _MOST_LABELS:
        raise DataError(
            f"There are {number} regions, too many to tell apart: raise the threshold, or choose a "
            "smaller region."
        )


def _steps(items: Sequence[Item]) -> Iterator[Sequence[Item]]:
    """Cut a list into what is done between two steps."""
    number = _SLABS_OF_STEP * available_cores()
    for begin in range(0, len(items), number):
        yield items[begin : begin + number]
