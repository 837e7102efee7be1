"""How many voxels of a segmentation are false, and how far off they are."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_dacapo_tasks.numerics.threads import map_in_threads, slices

Flags = NDArray[np.bool_]

# Voxels that a thread looks at at a time: they stay in its cache.
_BLOCK_VOXELS = 1 << 17
# Squared float32 distances of the same length differ by this in parts, where they are summed from
# other steps; so a distance that is the tolerance itself is tolerated.
_ROUNDING = 1e-6


@dataclass(frozen=True)
class FalseVoxels:
    """Voxels that are in one set and not in another, and their distances to that.

    Where the other set is empty all distances are infinite, and ``clip_distance`` when clipped.

    Attributes
    ----------
    count
        Number of voxels.
    beyond
        Number of those farther away than is tolerated.
    farthest
        The longest distance, 0 where there is none.
    distances, clipped_distances
        Sums of the distances.
    """

    count: int = 0
    beyond: int = 0
    farthest: float = 0.0
    distances: float = 0.0
    clipped_distances: float = 0.0


@dataclass(frozen=True)
class Comparison:
    """Voxels of a segmentation and of the truth.

    Attributes
    ----------
    true_positives, true_negatives
        Numbers of voxels.
    false_positives, false_negatives
        Those of the segmentation outside of the truth, and those of the truth that it misses.
    """

    true_positives: int
    true_negatives: int
    false_positives: FalseVoxels
    false_negatives: FalseVoxels


def compare(
    segmentation: NDArray[Any],
    truth: NDArray[Any],
    known: NDArray[Any] | None,
    voxel_size: Sequence[float],
    clip_distance: float,
    tolerance: float,
) -> Comparison:
    """Find the false voxels of a segmentation, and measure how far off they are.

    Distances are those between centres of voxels, from a false positive to the nearest voxel of
    the truth and from a false negative to the nearest voxel of the segmentation.

    Parameters
    ----------
    segmentation, truth
        ``(z, y, x)`` or ``(y, x)``, any value but 0 is foreground.
    known
        Of the same shape. Both are cut to where it is not 0: voxels there count nowhere, and
        nothing is measured to them.
    voxel_size, clip_distance, tolerance
        In one unit.
    """
    found, true = _foreground(segmentation, known), _foreground(truth, known)
    true_positives = found & true
    both, number_found, number_true = (_count(flags) for flags in (true_positives, found, true))
    number_known = truth.size if known is None else _count(known)
    false_positives = np.bitwise_xor(found, true_positives)
    false_negatives = np.bitwise_xor(true, true_positives, out=true_positives)
    limits = clip_distance, tolerance
    return Comparison(
        both,
        number_known - number_found - number_true + both,
        _measure(false_positives, number_found - both, true, number_true, voxel_size, *limits),
        _measure(false_negatives, number_true - both, found, number_found, voxel_size, *limits),
    )


def _measure(
    voxels: Flags,
    count: int,
    others: Flags,
    number_of_others: int,
    voxel_size: Sequence[float],
    clip_distance: float,
    tolerance: float,
) -> FalseVoxels:
    """Measure from so many voxels to the nearest of the others."""
    if count == 0:
        return FalseVoxels()
    if number_of_others == 0:
        return FalseVoxels(count, count, math.inf, math.inf, count * clip_distance)
    # Imported here: it compiles on a machine's first import, and numba itself takes 0.2 s.
    from napari_dacapo_tasks.numerics.transforms import Grid, square_to_members

    grid = Grid.of(voxels.shape, voxel_size)
    squares = square_to_members(others.reshape(grid.shape), grid, voxels.reshape(grid.shape))

    def gather(planes: slice) -> tuple[int, float, float, float]:
        part = squares[planes]
        beyond = int(np.count_nonzero(part > tolerance**2 * (1 + _ROUNDING)))
        farthest = math.sqrt(part.max())
        np.sqrt(part, out=part)
        distances = float(part.sum(dtype=np.float64))
        np.minimum(part, np.float32(clip_distance), out=part)
        return beyond, farthest, distances, float(part.sum(dtype=np.float64))

    beyond, farthest, distances, clipped = zip(*map_in_threads(gather, grid.planes()), strict=True)
    most = count * clip_distance  # which float32 may exceed by its rounding
    return FalseVoxels(count, sum(beyond), max(farthest), sum(distances), min(sum(clipped), most))


def _foreground(labels: NDArray[Any], known: NDArray[Any] | None) -> Flags:
    flags = np.empty(labels.shape, np.bool_)

    def fill(rows: slice) -> None:
        np.not_equal(labels[rows], 0, out=flags[rows])
        if known is not None:
            np.logical_and(flags[rows], known[rows], out=flags[rows])

    map_in_threads(fill, slices(len(flags), flags.size, _BLOCK_VOXELS))
    return flags


def _count(flags: NDArray[Any]) -> int:
    blocks = slices(len(flags), flags.size, _BLOCK_VOXELS)
    return sum(map_in_threads(lambda rows: int(np.count_nonzero(flags[rows])), blocks))
