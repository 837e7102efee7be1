"""Tissue: cells and their organelles, as shapes without a grey value."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from napari_dacapo_tasks.samples.cells import part_cells
from napari_dacapo_tasks.samples.fields import Floats, bent_coordinates
from napari_dacapo_tasks.samples.organelles import (
    ORGANELLES,
    SHEET,
    mitochondria_distance,
    reticulum_distance,
    vesicle_distance,
)
from napari_dacapo_tasks.samples.tubes import place_tubes


@dataclass(frozen=True)
class Tissue:
    """Where everything is; all arrays share one shape, distances are in nanometres.

    Attributes
    ----------
    voxel_size
        In nanometres, one per axis.
    bent
        (dims, ...): every voxel's coordinates before the tissue was bent.
    cells
        Instances; 0 is membrane.
    to_membrane
        To the middle of the nearest membrane.
    to_mito
        To the nearest mitochondrion's surface, negative inside.
    to_sheet
        To the middle of the nearest sheet of reticulum.
    to_vesicle
        To the nearest vesicle's surface, negative inside.
    """

    voxel_size: tuple[float, ...]
    bent: Floats
    cells: NDArray[np.uint16]
    to_membrane: Floats
    to_mito: Floats
    to_sheet: Floats
    to_vesicle: Floats

    def organelles(self) -> NDArray[np.uint8]:
        """Return the ids of `ORGANELLES`, 0 elsewhere; no two kinds overlap."""
        ids = np.zeros(self.cells.shape, np.uint8)
        ids[self.to_mito < 0] = ORGANELLES["mitochondrion"]
        ids[self.to_sheet < SHEET] = ORGANELLES["endoplasmic reticulum"]
        ids[self.to_vesicle < 0] = ORGANELLES["vesicle"]
        return ids


def grow_tissue(
    rng: np.random.Generator, shape: tuple[int, ...], voxel_size: tuple[float, ...]
) -> Tissue:
    """Return tissue of `shape` in voxels of `voxel_size` nanometres."""
    mitos, tubes = place_tubes(rng, shape, voxel_size)
    bent = bent_coordinates(rng, shape, voxel_size)
    cells, to_membrane = part_cells(bent, tubes, voxel_size)
    to_mito = mitochondria_distance(bent, mitos, to_membrane)
    inside = np.minimum(to_membrane, to_mito)
    inside[cells == 0] = -1
    to_sheet = reticulum_distance(rng, inside, voxel_size)
    inside[to_sheet < 2 * SHEET] = -1
    to_vesicle = vesicle_distance(rng, inside, voxel_size)
    return Tissue(voxel_size, bent, cells, to_membrane, to_mito, to_sheet, to_vesicle)
