"""Between napari's layers and arrays: the only place that reads a layer's geometry."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from funlib.geometry import Roi
from napari.layers import Image, Labels, Layer

from napari_dacapo_tasks.arrays import Array, NumpyArray
from napari_dacapo_tasks.arrays.array import CHANNEL, TIME
from napari_dacapo_tasks.errors import DataError
from napari_dacapo_tasks.units import place

AXIS_NAMES = {"channel": CHANNEL, "channels": CHANNEL, "time": TIME}

STRAIGHT_TOLERANCE = 1e-6
"""How much of an axis, in parts of a voxel, may point along another one: rounding only."""


@dataclass(frozen=True)
class LayerGeometry:
    """Where a layer lies, in its own units and numbers; one value per spatial axis."""

    axes: tuple[str, ...]
    scale: tuple[float, ...]
    translate: tuple[float, ...]
    units: tuple[str, ...]

    def from_voxel(self, voxel: Sequence[int]) -> LayerGeometry:
        """Give the geometry of a crop that begins at a voxel."""
        begin = zip(self.translate, self.scale, voxel, strict=True)
        return replace(self, translate=tuple(t + s * v for t, s, v in begin))

    def layer_options(self, *, channels: bool = False) -> dict[str, Any]:
        """Give the options that put a new layer there, with or without a leading channel axis."""
        lead = 1 if channels else 0
        return {
            "scale": (1.0,) * lead + self.scale,
            "translate": (0.0,) * lead + self.translate,
            "units": ("pixel",) * lead + self.units,
            "axis_labels": ("channel",) * lead + self.axes,
        }


def geometry_of(layer: Layer) -> LayerGeometry:
    """Read where a layer lies.

    Raises
    ------
    DataError
        For rotated, sheared or mirrored layers.
    """
    origin = np.asarray(layer.data_to_world((0,) * layer.ndim))
    steps = np.stack([np.asarray(layer.data_to_world(unit)) for unit in np.eye(layer.ndim)])
    matrix = (steps - origin).T
    scale = np.diag(matrix)
    if np.abs(matrix - np.diag(scale)).max(initial=0) > STRAIGHT_TOLERANCE * np.abs(scale).min():
        raise DataError(
            f"The layer '{layer.name}' is rotated or sheared: reset its rotation, shear and "
            "affine, or save it resampled to straight axes and open that."
        )
    if (scale <= 0).any():
        raise DataError(
            f"The layer '{layer.name}' has the scale {', '.join(f'{s:g}' for s in scale)}: "
            "every scale must be above zero."
        )
    if np.allclose(scale, layer.scale, rtol=STRAIGHT_TOLERANCE, atol=0):
        scale = np.asarray(layer.scale)  # without the rounding of the differences above
    space = spatial_axes(layer)
    names = _axis_names(layer)
    return LayerGeometry(
        axes=tuple(names[i] for i in space),
        scale=tuple(float(scale[i]) for i in space),
        translate=tuple(float(origin[i]) for i in space),
        units=tuple(str(layer.units[i]) for i in space),
    )


def array_of(layer: Layer) -> Array:
    """Give a layer as an array: of multiscale layers the finest level, nothing is copied.

    Raises
    ------
    DataError
        For layers that are no image or labels, for rotated, sheared, mirrored or time layers, and
        for voxel sizes that do not fit on a whole grid.
    """
    if not isinstance(layer, (Image, Labels)):
        raise DataError(
            f"The layer '{layer.name}' is of type {type(layer).__name__}: choose an image or "
            "labels layer."
        )
    geometry = geometry_of(layer)
    data = layer.data[0] if layer.multiscale else layer.data
    kind = NumpyArray if isinstance(data, np.ndarray) else Array
    axes = (*_axis_names(layer), CHANNEL) if _is_rgb(layer) else _axis_names(layer)
    try:
        grid = place(geometry.axes, geometry.scale, geometry.translate, geometry.units)
        return kind(
            data,
            axes=axes,
            voxel_size=grid.voxel_size,
            offset=grid.offset,
            unit=grid.unit,
            attrs={"layer": layer.name},
        )
    except DataError as error:
        raise DataError(f"Layer '{layer.name}': {error}") from None


def first_voxel(array: Array, roi: Roi) -> tuple[int, ...]:
    """Give the index in the array at which a region begins."""
    return tuple(
        round((b - a) / v)
        for a, b, v in zip(array.roi.begin, roi.begin, array.voxel_size, strict=True)
    )


def _is_rgb(layer: Layer) -> bool:
    return isinstance(layer, Image) and bool(layer.rgb)


def _axis_names(layer: Layer) -> tuple[str, ...]:
    """Name the axes of a layer; napari's own names (-3, -2, -1) mean that nobody named them."""
    given = [AXIS_NAMES.get(label.lower(), label.lower()) for label in layer.axis_labels]
    if any(not label.lstrip("-").isdigit() for label in given):
        return tuple(given)
    # An unnamed leading axis of an image holds its channels; labels have none.
    standard = ("z", "y", "x")[-layer.ndim :]
    lead = layer.ndim - len(standard)
    if lead > 1 or (lead and isinstance(layer, Labels)):
        raise DataError(
            f"The layer '{layer.name}' has {layer.ndim} axes without names: choose a layer of 2 "
            "or 3 spatial axes, or name the axes (t, c, z, y, x)."
        )
    return (CHANNEL,) * lead + standard


def spatial_axes(layer: Layer) -> list[int]:
    """Give which of a layer's axes are those of its array."""
    return [i for i, name in enumerate(_axis_names(layer)) if name not in (CHANNEL, TIME)]
