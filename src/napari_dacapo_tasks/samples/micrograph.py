"""The picture: tissue as an electron beam shows it."""

from __future__ import annotations

from collections.abc import Sequence
from math import pi

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from napari_dacapo_tasks.samples.fields import Floats, smooth_noise
from napari_dacapo_tasks.samples.tissue import Tissue
from napari_dacapo_tasks.samples.tubes import random_direction

# Grey values over a distance in nanometres, added to what is there.
SHEET_PROFILE = ((0, 9, 15, 19, 30), (14, 10, -50, -50, 0))
VESICLE_PROFILE = ((-60, -14, -7, 0, 8), (18, 14, -50, -50, 0))
#: Over the depth below a mitochondrion's surface: two membranes and a lighter gap.
MITO_PROFILE = ((-12, -4, 3, 9, 16, 24), (0, -30, -24, 14, -16, 0))
#: How much of a voxel a cell's membrane covers.
MEMBRANE_SHARE = ((0, 8, 21), (1, 0.9, 0))
#: From one fold of a mitochondrion's inner membrane to the next.
CRISTA_SPACING = 62.0


def paint(rng: np.random.Generator, tissue: Tissue) -> NDArray[np.uint8]:
    """Return the raw image of `tissue`."""
    image = _paint_cytoplasm(rng, tissue)
    _add_profile(image, tissue.to_sheet, *SHEET_PROFILE)
    _add_profile(image, tissue.to_vesicle, *VESICLE_PROFILE)
    _paint_mitochondria(rng, image, tissue)
    _paint_membranes(rng, image, tissue)
    return _expose(rng, image, tissue.voxel_size)


def _paint_cytoplasm(rng: np.random.Generator, tissue: Tissue) -> Floats:
    """Every cell has its own tone; ribosomes and filaments are dark grains in patches."""
    tones = rng.normal(160, 15, int(tissue.cells.max()) + 1)
    image: Floats = np.clip(tones, 125, 190).astype(np.float32)[tissue.cells]
    grain = smooth_noise(rng, image.shape, tissue.voxel_size, 17)
    grain += 0.7 * smooth_noise(rng, image.shape, tissue.voxel_size, 55)
    image -= 16 * np.clip(grain, -0.5, 2.4)
    return image


def _add_profile(
    image: Floats, distance: Floats, knots: Sequence[float], values: Sequence[float]
) -> None:
    where = distance < knots[-1]
    image[where] += np.interp(distance[where], knots, values).astype(np.float32)


def _paint_mitochondria(rng: np.random.Generator, image: Floats, tissue: Tissue) -> None:
    """Dark matrix, two membranes with a lighter gap, and folded sheets (cristae) within."""
    where = tissue.to_mito < 12
    depth = -tissue.to_mito[where]
    points = tissue.bent[:, where]
    fold = smooth_noise(rng, image.shape, tissue.voxel_size, 60)[where]
    patch = smooth_noise(rng, image.shape, tissue.voxel_size, 70)[where]
    way = random_direction(rng, len(points))
    phase = (way @ points + 26 * fold) * np.float32(2 * pi / CRISTA_SPACING)
    crista = np.clip(np.cos(phase) + 0.5 * patch - 0.2, 0, 1)
    matrix = 79 + 42 * crista * np.clip((depth - 14) / 10, 0, 1)
    rim = np.interp(depth, *MITO_PROFILE).astype(np.float32)
    opaque = np.clip((depth + 8) / 8, 0, 1).astype(np.float32)
    below = image[where]
    image[where] = below + opaque * (matrix - below + 0.2 * (below - 160)) + rim


def _paint_membranes(rng: np.random.Generator, image: Floats, tissue: Tissue) -> None:
    """Dark membranes; here and there one is thick and darker: synaptic densities."""
    density = np.clip(smooth_noise(rng, image.shape, tissue.voxel_size, 110) - 1.7, 0, 0.5)
    near = tissue.to_membrane < 45
    depth = tissue.to_membrane[near] / (1 + 2 * density[near])
    share = np.interp(depth, *MEMBRANE_SHARE).astype(np.float32)
    image[near] += share * (74 - 40 * density[near] - image[near])


def _expose(
    rng: np.random.Generator, image: Floats, voxel_size: Sequence[float]
) -> NDArray[np.uint8]:
    """Blur, noise and uneven brightness."""
    # Noise before the blur has a grain, as a beam's spot has a width; noise after it has none.
    image += 13 * rng.standard_normal(image.shape, np.float32)
    image = ndimage.gaussian_filter(image, 0.65, mode="nearest")
    image += 5 * smooth_noise(rng, image.shape, voxel_size, 500)
    image += rng.standard_normal(image.shape, np.float32) * np.sqrt(np.clip(image, 0, None)) * 0.4
    return np.clip(np.rint(image), 0, 255).astype(np.uint8)
