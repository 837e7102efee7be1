"""From tubes to cells: a power diagram of the tubes' balls.

A voxel belongs to the ball with the smallest power ``|p - c|^2 - r^2``. A ball lies inside its
power cell, so a mitochondrion inside a tube lies inside the tube's cell.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import product

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from napari_dacapo_tasks.samples.fields import Floats
from napari_dacapo_tasks.samples.tubes import Tube

#: Half the thickness of a membrane in nanometres.
MEMBRANE = 10.0
#: What is smaller is no cell: voxels, by the number of dimensions.
SHRED = {2: 80, 3: 400}
#: Edges of the blocks, each inside one of the edge before. Most balls are far from a block and are
#: left out in all blocks inside it, so that time grows with the volume and not with its square.
EDGES = {2: (1024, 256, 64), 3: (256, 64, 16)}


@dataclass(frozen=True)
class _Balls:
    """Centres (n, dims) and radii in nanometres, and the number of the cell of each."""

    centres: NDArray[np.float64]
    radii: NDArray[np.float64]
    owner: NDArray[np.int_]

    @classmethod
    def of(cls, cells: list[list[Tube]]) -> _Balls:
        tubes = [(tube, index) for index, cell in enumerate(cells) for tube in cell]
        return cls(
            np.concatenate([t.points for t, _ in tubes]).astype(np.float64),
            np.concatenate([np.full(len(t.points), t.radius) for t, _ in tubes]),
            np.concatenate([np.full(len(t.points), i) for t, i in tubes]),
        )

    def near(self, low: Floats, high: Floats) -> _Balls:
        """Return those that can be the nearest, or the nearest of another cell, within a box."""
        middle = (low + high) / 2
        reach = np.linalg.norm(high - middle)
        away = np.linalg.norm(self.centres - middle, axis=1)
        most = (away + reach) ** 2 - self.radii**2
        nearest = most.argmin()
        second = most[self.owner != self.owner[nearest]].min(initial=np.inf)
        near = np.clip(away - reach, 0, None) ** 2 - self.radii**2 <= second
        return _Balls(self.centres[near], self.radii[near], self.owner[near])


def part_cells(
    bent: Floats, cells: list[list[Tube]], size: Sequence[float]
) -> tuple[NDArray[np.uint16], Floats]:
    """Return the instances, and the distance to the nearest membrane's middle in nanometres."""
    dims = len(bent)
    to_membrane = np.empty(bent.shape[1:], np.float32)
    _fill_membrane_distance(bent, _Balls.of(cells), EDGES[dims], to_membrane)
    # What a membrane encloses is a cell. Thicker than a voxel, it lets no neighbours join.
    inside = to_membrane > max(MEMBRANE, 0.75 * max(size))
    parts, count = ndimage.label(inside)
    kept = np.bincount(parts.ravel(), minlength=count + 1) >= SHRED[dims]
    kept[0] = False
    new_id = np.where(kept, np.cumsum(kept), 0).astype(np.uint16)
    instances = new_id[parts]
    to_membrane[inside & (instances == 0)] = 0  # shreds are painted as membrane
    return instances, to_membrane


def _fill_membrane_distance(bent: Floats, balls: _Balls, edges: Sequence[int], out: Floats) -> None:
    """Write to `out` the distance of the points `bent` (dims, ...) to the nearest membrane."""
    edge, *finer = edges
    axes = tuple(range(1, bent.ndim))
    for block in _blocks(out.shape, edge):
        points = bent[(slice(None), *block)]
        near = balls.near(points.min(axes), points.max(axes))
        if finer:
            _fill_membrane_distance(points, near, finer, out[block])
        else:
            out[block] = _membrane_distance(points, near)


def _blocks(shape: Sequence[int], edge: int) -> Iterator[tuple[slice, ...]]:
    for corner in product(*(range(0, n, edge) for n in shape)):
        yield tuple(slice(c, c + edge) for c in corner)


def _membrane_distance(points: Floats, balls: _Balls) -> Floats:
    """Return the distance of points (dims, ...) to the nearest plane between two cells.

    Between two balls the difference of powers is ``2 |c1 - c2|`` times the distance to the plane
    that parts them.
    """
    axes = tuple(range(1, points.ndim))
    middle = (points.min(axes) + points.max(axes)) / 2
    # Relative to the block's middle: float32 keeps its digits.
    centres = (balls.centres - middle).astype(np.float32)
    constant = ((centres**2).sum(1) - balls.radii**2).astype(np.float32)
    # One product a row of voxels, so small that BLAS starts no threads (see `fields.PIECE`).
    power = (np.moveaxis(points, 0, -1) - middle) @ (-2 * centres.T)
    power = power.reshape(-1, len(centres)) + constant
    rows = np.arange(len(power))
    first = power.argmin(1)
    smallest = power[rows, first]
    np.copyto(power, np.inf, where=balls.owner[first][:, None] == balls.owner)
    other = power.argmin(1)
    between = np.linalg.norm(centres[first] - centres[other], axis=1)
    distance: Floats = (power[rows, other] - smallest) / (2 * np.maximum(between, 1))
    return distance.reshape(points.shape[1:])
