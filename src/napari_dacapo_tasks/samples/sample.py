"""A sample and the functions that draw one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from napari_dacapo_tasks.errors import DataError
from napari_dacapo_tasks.samples.micrograph import paint
from napari_dacapo_tasks.samples.tissue import grow_tissue

#: Anything smaller holds no mitochondrion's width and no context for a network.
MIN_VOXELS = 32
MIN_EXTENT = 250.0
#: Membranes are 20 nm: finer voxels hold too little tissue, coarser ones cannot show it.
VOXEL_SIZE_LIMITS = (2.0, 16.0)


@dataclass(frozen=True)
class Sample:
    """A made-up micrograph and its ground truth; all arrays share one shape.

    Attributes
    ----------
    name
        A name for the layers.
    raw
        uint8, dark membranes on grey cytoplasm, as in FIB-SEM.
    organelles
        uint8, semantic: the ids of `ORGANELLES`, 0 elsewhere. Mitochondria do not touch.
    cells
        uint16, instances ``1..n``, each face-connected; 0 is membrane. Organelles are part of
        their cell, and every organelle lies in one cell.
    voxel_size
        One number per axis, in `unit`.
    unit
        "nanometer".
    """

    name: str
    raw: NDArray[np.uint8]
    organelles: NDArray[np.uint8]
    cells: NDArray[np.uint16]
    voxel_size: tuple[float, ...]
    unit: str


def cells_3d(
    shape: Sequence[int] = (128, 128, 128),
    voxel_size: Sequence[float] = (8, 8, 8),
    seed: int = 0,
) -> Sample:
    """Draw a block of tissue; `shape` is (z, y, x) in voxels, `voxel_size` in nanometres.

    Raises
    ------
    DataError
        Under 32 voxels or 250 nm along an axis, or a voxel size outside 2 to 16 nm.
    """
    return _draw("cells 3D", shape, voxel_size, seed, 3)


def cells_2d(
    shape: Sequence[int] = (512, 512),
    voxel_size: Sequence[float] = (8, 8),
    seed: int = 0,
) -> Sample:
    """Draw a section of tissue; `shape` is (y, x) in pixels, `voxel_size` in nanometres.

    Raises
    ------
    DataError
        Under 32 pixels or 250 nm along an axis, or a pixel size outside 2 to 16 nm.
    """
    return _draw("cells 2D", shape, voxel_size, seed, 2)


def _draw(
    name: str, shape: Sequence[int], voxel_size: Sequence[float], seed: int, dims: int
) -> Sample:
    _check(shape, voxel_size, dims)
    whole = tuple(int(n) for n in shape)
    size = tuple(float(v) for v in voxel_size)
    rng = np.random.default_rng(seed)
    tissue = grow_tissue(rng, whole, size)
    raw = paint(rng, tissue)
    return Sample(name, raw, tissue.organelles(), tissue.cells, size, "nanometer")


def _check(shape: Sequence[int], voxel_size: Sequence[float], dims: int) -> None:
    low, high = VOXEL_SIZE_LIMITS
    if len(shape) != dims or min(shape) < MIN_VOXELS:
        raise DataError(
            f"The sample cannot be drawn with the shape {tuple(shape)}: give {dims} numbers, "
            f"each {MIN_VOXELS} voxels or more."
        )
    if len(voxel_size) != dims or not all(low <= size <= high for size in voxel_size):
        raise DataError(
            f"The sample cannot be drawn with the voxel size {tuple(voxel_size)}: give {dims} "
            f"numbers between {low:g} and {high:g} nm."
        )
    extent = min(n * v for n, v in zip(shape, voxel_size, strict=True))
    if extent < MIN_EXTENT:
        raise DataError(
            f"The sample cannot be drawn {extent:g} nm thin: give more or larger voxels, so that "
            f"every axis spans {MIN_EXTENT:g} nm or more."
        )
