"""Between the voxels of an array and what the viewer looks at."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import napari
import numpy as np
from funlib.geometry import Coordinate, Roi
from napari.layers import Layer
from numpy.typing import NDArray

from napari_dacapo_tasks.arrays import Array
from napari_dacapo_tasks.errors import DataError
from napari_dacapo_tasks.units import nanometres_per
from napari_dacapo_tasks.widgets.layers import LayerGeometry, spatial_axes


def look_at(viewer: napari.Viewer, place: LayerGeometry, voxel: Sequence[float]) -> None:
    """Bring a voxel into the middle of the canvas, and the sliders to it.

    Parameters
    ----------
    viewer
        In 2D or 3D; axes before those of the place stay where they are.
    place
        Of the array that the voxel is counted in.
    voxel
        Per spatial axis; parts of a voxel are fine.
    """
    if viewer.dims.ndim < len(voxel):
        return  # the layers are gone
    units = _viewer_units(viewer, place.units)
    scale, begin = np.asarray(place.scale) * units, np.asarray(place.translate) * units
    world = begin + scale * np.asarray(voxel, float)
    dims, camera = viewer.dims, viewer.scene.camera
    before = dims.ndim - len(world)
    dims.set_point(range(before, dims.ndim), world)  # at once: each time, all layers are sliced
    displayed = [axis for axis in dims.displayed if axis >= before]
    center = list(camera.center)
    for slot, axis in enumerate(dims.displayed, start=len(center) - len(dims.displayed)):
        if axis in displayed:
            center[slot] = float(world[axis - before])
    camera.center = tuple(center)


def looked_at(viewer: napari.Viewer, place: LayerGeometry) -> NDArray[np.float64]:
    """Give the voxel, and parts of it, that the viewer looks at: the reverse of `look_at`.

    It is NaN where the viewer has fewer axes, as it has without layers.
    """
    world = _middle(viewer, place.units)
    voxel: NDArray[np.float64] = world - np.asarray(place.translate)
    return voxel / np.asarray(place.scale)


def box_around_view(viewer: napari.Viewer, array: Array, layer: Layer, size: int) -> Roi:
    """Give a box of at most ``size`` voxels a side around what the viewer looks at in a layer.

    The centre is that of the canvas on the displayed axes, and the slider's place on the others.
    """
    world = _middle(viewer, [str(unit) for unit in layer.units])
    voxel = np.asarray(layer.world_to_data(world))[spatial_axes(layer)]
    return box_at(array, voxel, size)


def box_at(array: Array, voxel: Iterable[float], size: int) -> Roi:
    """Give the box of at most ``size`` voxels a side around a voxel, within the array."""
    begin, extent = [], []
    for at, length in zip(voxel, array.shape, strict=True):
        width = min(size, length)
        start = round(float(at) - width / 2) if np.isfinite(at) else (length - width) // 2
        begin.append(min(max(start, 0), length - width))
        extent.append(width)
    step = array.voxel_size
    return Roi(array.roi.begin + Coordinate(begin) * step, Coordinate(extent) * step)


def _middle(viewer: napari.Viewer, units: Sequence[str]) -> NDArray[np.float64]:
    """Give the point that the viewer looks at on its last axes, in such units."""
    if viewer.dims.ndim < len(units):
        return np.full(len(units), np.nan)
    point = np.asarray(viewer.dims.point, float)
    displayed = list(viewer.dims.displayed)
    point[displayed] = np.asarray(viewer.scene.camera.center)[-len(displayed) :]
    world: NDArray[np.float64] = point[-len(units) :] / _viewer_units(viewer, units)
    return world


def _viewer_units(viewer: napari.Viewer, units: Sequence[str]) -> NDArray[np.float64]:
    """Give how many units of the viewer's last axes there are in one of each of these.

    The viewer counts in the coarsest or finest unit of its layers, not in that of each.
    """
    of_viewer: Any = viewer.dims.units
    if of_viewer is None:  # without layers
        return np.ones(len(units))
    factors = []
    for own, shown in zip(units, of_viewer[-len(units) :], strict=True):
        one, other = _nanometres(own), _nanometres(str(shown))
        factors.append(one / other if one and other else 1.0)
    return np.asarray(factors)


def _nanometres(unit: str) -> float | None:
    try:
        return nanometres_per(unit)
    except DataError:  # of another layer, as seconds of a time axis
        return None
