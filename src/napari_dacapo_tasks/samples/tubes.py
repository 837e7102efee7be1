"""Tubes, and where they find room: the skeleton of mitochondria and cells."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil, pi

import numpy as np

from napari_dacapo_tasks.samples.fields import Bools, Floats, grid

#: Of the volume, so that a small crop holds enough of them to learn from.
MITO_FRACTION = 0.1
# In nanometres, the ranges that random numbers are drawn from.
MITO_RADIUS = (104.0, 142.0)
MITO_LENGTH = (150.0, 480.0)
#: Cytoplasm between a mitochondrion and its cell's membrane.
MITO_MARGIN = (40.0, 120.0)
LEAST_MARGIN = 35.0
NEURITE_RADIUS = (70.0, 190.0)
NEURITE_LENGTH = (100.0, 700.0)
#: A neurite beside a cell joins it this often: cells become branched instead of convex.
JOIN_PROBABILITY = 0.45


@dataclass(frozen=True)
class Tube:
    """Balls of one radius along a bent line (n, dims), all in nanometres."""

    points: Floats
    radius: float

    def distance(self, points: Floats) -> Floats:
        """Distance of points (dims, ...) to the surface, negative inside."""
        flat = points.reshape(len(points), -1)
        # |p - c|^2 without |p|^2, which is the same for all c.
        square = np.full(flat.shape[1], np.inf, np.float32)
        for centre in self.points:
            np.minimum(square, (-2 * centre) @ flat + centre @ centre, out=square)
        square += np.einsum("dn,dn->n", flat, flat)
        distance: Floats = np.sqrt(np.clip(square, 0, None)) - np.float32(self.radius)
        return distance.reshape(points.shape[1:])


class Room:
    """Free distance to the tubes placed so far, on a coarse grid with a rim around the volume."""

    STEP = 32.0
    RIM = 128.0
    #: Free distances beyond this are as good as infinite.
    FAR = 320.0

    def __init__(self, shape: Sequence[int], size: Sequence[float]) -> None:
        extent = [n * v for n, v in zip(shape, size, strict=True)]
        self.shape = tuple(ceil((e + 2 * self.RIM) / self.STEP) for e in extent)
        steps = [self.STEP] * len(extent)
        self.points = np.stack(
            np.broadcast_arrays(*grid(self.shape, steps, [-self.RIM] * len(extent)))
        )
        ends = np.reshape(extent, (-1, *[1] * len(extent)))
        self.within: Bools = np.all((self.points >= 0) & (self.points < ends), axis=0)
        self.free = np.full(self.shape, self.FAR, np.float32)
        self.owner = np.full(self.shape, -1)

    def at(self, point: Floats) -> tuple[int, ...] | None:
        """Return the grid index nearest to a point, None outside the rim."""
        index = tuple(round(float(p + self.RIM) / self.STEP) for p in point)
        inside = all(0 <= i < n for i, n in zip(index, self.shape, strict=True))
        return index if inside else None

    def put(self, tube: Tube, owner: int) -> None:
        """Take the tube's room, for the cell `owner`."""
        reach = tube.radius + self.FAR + self.RIM
        low = np.maximum((tube.points.min(0) + self.RIM - reach) // self.STEP, 0).astype(int)
        high = ((tube.points.max(0) + reach) // self.STEP + 1).astype(int)
        box = tuple(slice(a, max(a, b)) for a, b in zip(low, high, strict=True))
        distance = tube.distance(self.points[(slice(None), *box)])
        nearer = distance < self.free[box]
        self.owner[box][nearer] = owner
        self.free[box][nearer] = distance[nearer]

    def grow(self, rng: np.random.Generator, start: Floats, radius: float, length: float) -> Floats:
        """Return points of a bent line through `start` that keeps `radius` away from the tubes."""
        heading = random_direction(rng, len(start))
        step = 0.5 * radius
        line = [start]
        for sign in (1, -1):
            point, way = start, sign * heading
            for _ in range(round(length / 2 / step)):
                way = way + 0.25 * random_direction(rng, len(start))
                way /= np.linalg.norm(way)
                point = (point + step * way).astype(np.float32)
                index = self.at(point)
                if index is None or self.free[index] < radius:
                    break
                line.insert(len(line) if sign == 1 else 0, point)
        return np.array(line, np.float32)


def random_direction(rng: np.random.Generator, dims: int) -> Floats:
    """Return a vector of length 1."""
    vector = rng.standard_normal(dims)
    return (vector / np.linalg.norm(vector)).astype(np.float32)


def place_tubes(
    rng: np.random.Generator, shape: Sequence[int], size: Sequence[float]
) -> tuple[list[Tube], list[list[Tube]]]:
    """Return the mitochondria, and for every cell its tubes.

    The first cells hold one mitochondrion each, within their first tube.
    """
    room = Room(shape, size)
    mitos, bodies = _place_mitochondria(rng, room)
    cells = [[body] for body in bodies]
    _fill_with_neurites(rng, room, cells)
    return mitos, cells


def _place_mitochondria(rng: np.random.Generator, room: Room) -> tuple[list[Tube], list[Tube]]:
    """Return mitochondria that fill their share of the volume, and a wider tube around each."""
    dims = len(room.shape)
    mitos: list[Tube] = []
    bodies: list[Tube] = []
    to_mito = np.full(room.shape, np.inf, np.float32)
    while (missing := MITO_FRACTION - (to_mito[room.within] < 0).mean()) > 0:
        radius = rng.uniform(*MITO_RADIUS)
        outer = radius + rng.uniform(*MITO_MARGIN)
        starts = np.flatnonzero(room.within & (room.free > outer))
        if not len(starts):
            break
        # The farthest of some: spread over the volume, yet not on a lattice.
        some = rng.choice(starts, 12)
        start = room.points.reshape(dims, -1)[:, some[np.argmax(to_mito.flat[some])]]
        # As long as what is missing; the round ends count for about a radius.
        section = pi * radius**2 if dims == 3 else 2 * radius
        wanted = missing * room.within.sum() * room.STEP**dims / section - radius
        length = float(np.clip(wanted, MITO_LENGTH[0], rng.uniform(*MITO_LENGTH)))
        line = room.grow(rng, start, outer, length)
        aside = rng.uniform(0, outer - radius - LEAST_MARGIN) * random_direction(rng, dims)
        mitos.append(Tube((line + aside).astype(np.float32), radius))
        bodies.append(Tube(line, outer))
        to_mito = np.minimum(to_mito, mitos[-1].distance(room.points))
        room.put(bodies[-1], len(bodies) - 1)
    return mitos, bodies


def _fill_with_neurites(rng: np.random.Generator, room: Room, cells: list[list[Tube]]) -> None:
    """Add tubes to `cells`, as new ones or as branches, until there is no room for another."""
    dims = len(room.shape)
    while len(starts := np.flatnonzero(room.free > NEURITE_RADIUS[0])):
        index = rng.choice(starts)
        start = room.points.reshape(dims, -1)[:, index]
        free, owner = float(room.free.flat[index]), int(room.owner.flat[index])
        radius = min(free, rng.uniform(*NEURITE_RADIUS))
        line = room.grow(rng, start, radius, rng.uniform(*NEURITE_LENGTH))
        joins = owner >= 0 and free - radius < room.STEP and rng.random() < JOIN_PROBABILITY
        if not joins:
            owner = len(cells)
            cells.append([])
        cells[owner].append(Tube(line, radius))
        room.put(cells[owner][-1], owner)
