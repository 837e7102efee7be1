"""Objects from distances to their boundaries: seeds where objects are deep, grown to their rims.

Between two voxels of unlike objects along an axis there is a boundary, half a voxel from either.
So where one of two neighbours is deeper than half a voxel *of that axis*, both are of one object.
That is the definition of a seed here, with some depth to spare for distances that are predicted.
A level of its own for each axis is what keeps objects apart in sections that are much thicker
than their voxels are wide, and still joins what is thin within a section.
"""

from collections.abc import Generator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_dacapo_tasks.numerics.components import (
    Index,
    Labels,
    append_components,
    as_volume,
    link_neighbours,
    remove_small,
    sizes_of,
)

# Queues between the threshold and the highest value.
_LEVELS = 1 << 16
# Voxels between two steps: some hundredths of a second.
_STEP_VOXELS = 1 << 20
# Shares of the time that the parts take.
_SEEDS_DONE, _FLOOD_DONE = 0.5, 0.9


def watershed(
    depth: NDArray[Any], threshold: float, seed_depths: Sequence[float], min_size: int = 1
) -> Generator[float, None, tuple[Labels, int]]:
    """Find the objects, step by step; to cancel, leave the generator.

    Parameters
    ----------
    depth
        ``(z, y, x)`` or ``(y, x)``: how far inside of an object a voxel lies, by any measure that
        grows with it. NaN belongs to no object.
    threshold
        Voxels above it belong to objects.
    seed_depths
        Per axis: two neighbours along it, both in objects, are of one seed where one of them is
        deeper than this. What holds no seed, such as a thin object by itself, is one.
    min_size
        Objects of fewer voxels are left out.

    Yields
    ------
    Share that is done.

    Returns
    -------
    Labels 1, 2, ... of the shape of ``depth``, and their number.
    """
    values = np.ascontiguousarray(as_volume(depth), np.float32)
    levels = np.array(seed_depths, np.float32)
    if depth.ndim == 2:
        levels = np.array([levels[0], np.inf, levels[1]], np.float32)
    inside = values > threshold

    def linked(axis: int, before: Index, here: Index) -> NDArray[np.bool_]:
        deeper = np.maximum(values[before], values[here]) > levels[axis]
        is_linked: NDArray[np.bool_] = deeper & inside[before] & inside[here]
        return is_linked

    labels, number = link_neighbours(values.shape, lambda here: inside[here], linked)
    number = _keep_seeds(labels, number, values, float(levels.min()))
    yield _SEEDS_DONE
    for done in _flood(labels, values, inside, threshold):
        yield _SEEDS_DONE + (_FLOOD_DONE - _SEEDS_DONE) * done
    number = _add_seedless(labels, number)
    number = remove_small(labels, number, min_size)
    return labels.reshape(depth.shape), number


def _keep_seeds(labels: Labels, number: int, values: NDArray[np.float32], seed_depth: float) -> int:
    from napari_dacapo_tasks.numerics.flooding import keep_seeds

    names = np.zeros(number + 1, np.uint32)
    sizes = sizes_of(labels, number)
    keep_seeds(labels.ravel(), sizes, values.ravel(), seed_depth, names)
    return int(names[0])


def _flood(
    labels: Labels, values: NDArray[np.float32], inside: NDArray[np.bool_], threshold: float
) -> Generator[float, None, None]:
    """Grow labels over what is unclaimed; yields the share of levels that are done."""
    from napari_dacapo_tasks.numerics.flooding import UNCLAIMED, begin, flood

    unclaimed = np.count_nonzero(labels == UNCLAIMED)
    if not unclaimed or unclaimed == np.count_nonzero(inside):
        return
    highest = values.max(where=inside & np.isfinite(values), initial=threshold)
    span = max(float(highest) - threshold, float(np.finfo(np.float32).tiny))
    scale = np.array([threshold, min((_LEVELS - 1) / span, 1e30)], np.float32)
    ends = np.full((_LEVELS, 2), -1, np.int32)
    following = np.empty(labels.size, np.int32)
    state = (labels.ravel(), values.ravel(), np.array(labels.shape), scale, ends, following)
    begin(*state)
    level = _LEVELS - 1
    while level >= 0:
        level = flood(*state, level, _STEP_VOXELS)
        yield 1 - level / _LEVELS


def _add_seedless(labels: Labels, number: int) -> int:
    """Make every region that no seed has reached an object."""
    from napari_dacapo_tasks.numerics.flooding import UNCLAIMED

    unclaimed = labels == UNCLAIMED
    if not unclaimed.any():
        return number
    return append_components(labels, number, unclaimed)
