"""The size of the objects in a labels volume."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from napari_dacapo_tasks.numerics.distances import signed_distance

LARGEST_SIDE = 128
"""Voxels per axis that are looked at, in the middle of the volume: enough to be typical."""


def central_box(shape: Sequence[int], largest_side: int = LARGEST_SIDE) -> tuple[slice, ...]:
    """Give the middle of a volume, at most ``largest_side`` voxels along each axis."""
    widths = [min(length, largest_side) for length in shape]
    begins = [(length - width) // 2 for length, width in zip(shape, widths, strict=True)]
    return tuple(slice(b, b + w) for b, w in zip(begins, widths, strict=True))


def typical_radius(labels: NDArray[Any], voxel_size: Sequence[float]) -> float | None:
    """Measure the typical inner radius of the objects in the middle of a volume.

    That of a ball is its radius, of a tube that of its section, of a sheet half its thickness.
    It is the median of the distance to the boundary along the objects' middle lines (where that
    distance has a local maximum), weighted by the section that each place of a middle line stands
    for (``radius ** (dims - 1)``), so that specks and rough surfaces count for little.

    Parameters
    ----------
    labels
        ``(z, y, x)`` or ``(y, x)``, integer or bool; 0 is background, touching ids are apart. Of
        a large volume, `central_box` is looked at.
    voxel_size
        World units of a voxel along each axis.

    Returns
    -------
    float or None
        World units; None where there is no boundary to measure from, or no object.
    """
    box = np.ascontiguousarray(labels[central_box(labels.shape)])
    if box.size == 0 or not box.any() or (box == box.flat[0]).all():
        return None
    distance = signed_distance(box, voxel_size)
    middle = distance >= ndimage.maximum_filter(distance, 3, mode="nearest")
    radii = np.sort(distance[middle & (box != 0)])
    if radii.size == 0:
        return None
    share = np.cumsum(radii.astype(np.float64) ** (box.ndim - 1))
    return float(radii[np.searchsorted(share, share[-1] / 2)])
