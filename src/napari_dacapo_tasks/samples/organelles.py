"""What lies within cells: mitochondria, endoplasmic reticulum and vesicles.

Each function returns a distance in nanometres for every voxel: what is painted and what is labelled
both follow from it.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from napari_dacapo_tasks.samples.cells import MEMBRANE
from napari_dacapo_tasks.samples.fields import Floats, grid, smooth_noise
from napari_dacapo_tasks.samples.tubes import Tube

#: What the ids in ``Sample.organelles`` mean; 0 is everything else.
ORGANELLES = {"mitochondrion": 1, "vesicle": 2, "endoplasmic reticulum": 3}

#: Half the thickness of a sheet of reticulum, its two membranes included.
SHEET = 22.0
#: Smaller pieces of a sheet are left out: voxels, by the number of dimensions.
CRUMB = {2: 60, 3: 300}

#: Vesicles by the number of dimensions: single ones and clusters per cubic or square micrometre,
#: and how many are tried in a cluster.
SINGLES = {2: 4.0, 3: 24.0}
CLUSTERS = {2: 2.5, 3: 10.0}
CLUSTER_SIZE = {2: 14, 3: 40}
SINGLE_RADIUS = (24.0, 60.0)
CLUSTER_RADIUS = (19.0, 25.0)
CLUSTER_SPREAD = 80.0
VESICLE_FAR = 100.0


def mitochondria_distance(bent: Floats, mitos: list[Tube], to_membrane: Floats) -> Floats:
    """Return the distance to the nearest mitochondrion's surface, negative inside.

    It is exact up to 60 nm; far away it is 1000.
    """
    to_mito = np.full(to_membrane.shape, 1e3, np.float32)
    axes = range(to_membrane.ndim)
    others = [tuple(a for a in axes if a != axis) for axis in axes]
    least = [bent[axis].min(others[axis]) for axis in axes]
    most = [bent[axis].max(others[axis]) for axis in axes]
    for tube in mitos:
        low = tube.points.min(0) - (tube.radius + 60)
        high = tube.points.max(0) + (tube.radius + 60)
        box = tuple(_span((most[a] > low[a]) & (least[a] < high[a])) for a in axes)
        distance = tube.distance(bent[(slice(None), *box)])
        to_mito[box] = np.minimum(to_mito[box], distance)
    # Cytoplasm remains between it and the membrane.
    np.maximum(to_mito, 2.5 * MEMBRANE - to_membrane, out=to_mito)
    return to_mito


def _span(where: NDArray[np.bool_]) -> slice:
    index = np.flatnonzero(where)
    return slice(index[0], index[-1] + 1) if len(index) else slice(0, 0)


def reticulum_distance(rng: np.random.Generator, inside: Floats, size: Sequence[float]) -> Floats:
    """Return the distance to the middle of sheets: the zeros of smooth noise, here and there.

    `inside` is how far a voxel lies within free cytoplasm.
    """
    level = smooth_noise(rng, inside.shape, size, 130)
    slope = np.full(inside.shape, 1e-8, np.float32)
    for part, v in zip(np.gradient(level), size, strict=True):
        slope += (part / np.float32(v)) ** 2
    sheet: Floats = (np.abs(level) / np.sqrt(slope)).astype(np.float32, copy=False)
    patch = smooth_noise(rng, inside.shape, size, 160)
    np.maximum(sheet, (0.9 - patch) * 100, out=sheet)
    np.maximum(sheet, SHEET + 30 - inside, out=sheet)
    parts, count = ndimage.label(sheet < SHEET)
    crumb = np.bincount(parts.ravel(), minlength=count + 1) < CRUMB[sheet.ndim]
    sheet[crumb[parts] & (sheet < 3 * SHEET)] = 3 * SHEET
    return sheet


def vesicle_distance(rng: np.random.Generator, inside: Floats, size: Sequence[float]) -> Floats:
    """Return the distance to the nearest vesicle's surface, negative inside, up to 100 nm.

    `inside` is how far a voxel lies within free cytoplasm.
    """
    distance = np.full(inside.shape, VESICLE_FAR, np.float32)
    v = np.array(size)
    for centre, radius in _vesicles(rng, inside, v):
        index = np.rint(centre / v).astype(int)
        reach = np.ceil((radius + 20) / v).astype(int)
        low = np.maximum(index - reach, 0)
        high = np.minimum(index + reach + 1, inside.shape)
        box = tuple(slice(a, b) for a, b in zip(low, high, strict=True))
        square = sum(p**2 for p in grid(high - low, size, low * v - centre))
        distance[box] = np.minimum(distance[box], np.sqrt(square) - np.float32(radius))
    return np.maximum(distance, 6 - inside, out=distance)


def _vesicles(
    rng: np.random.Generator, inside: Floats, v: NDArray[np.float64]
) -> list[tuple[NDArray[np.float64], float]]:
    """Return centres and radii of vesicles that touch neither each other nor anything else."""
    kept: list[tuple[NDArray[np.float64], float]] = []
    centres, radii = _tried_vesicles(rng, inside, v)
    taken = np.zeros(len(radii), bool)
    for i, (centre, radius) in enumerate(zip(centres, radii, strict=True)):
        index = np.rint(centre / v).astype(int)
        if (index < 0).any() or (index >= inside.shape).any():
            continue
        gap = np.linalg.norm(centres[taken] - centre, axis=1) - radii[taken] - radius
        if inside[tuple(index)] < radius + 10 or gap.min(initial=np.inf) < 8:
            continue
        taken[i] = True
        kept.append((centre, radius))
    return kept


def _tried_vesicles(
    rng: np.random.Generator, inside: Floats, v: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return centres and radii, single ones first, then clusters, wherever there is cytoplasm."""
    dims = inside.ndim
    roomy = np.flatnonzero(inside > 45)
    if not len(roomy):
        return np.empty((0, dims)), np.empty(0)
    volume = np.prod(np.array(inside.shape) * v) / 1000.0**dims
    clusters = max(2, round(volume * CLUSTERS[dims]))
    singles = max(2, round(volume * SINGLES[dims]))
    chosen = np.array(np.unravel_index(rng.choice(roomy, clusters + singles), inside.shape)).T * v
    crowd = np.repeat(chosen[:clusters], CLUSTER_SIZE[dims], axis=0)
    crowd = crowd + rng.normal(0, CLUSTER_SPREAD, crowd.shape)
    single_radii = rng.uniform(*SINGLE_RADIUS, singles)
    crowd_radii = rng.uniform(*CLUSTER_RADIUS, len(crowd))
    centres = np.concatenate([chosen[clusters:], crowd])
    return centres, np.concatenate([single_radii, crowd_radii])
