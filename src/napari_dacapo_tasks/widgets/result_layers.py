"""Layers that this program makes and keeps up to date: one place, one layer per result."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any, Self

import napari
import numpy as np
from funlib.geometry import Coordinate
from napari.layers import Layer
from numpy.typing import NDArray

from napari_dacapo_tasks.arrays import Array, NumpyArray
from napari_dacapo_tasks.arrays.array import CHANNEL
from napari_dacapo_tasks.units import NANOMETRE, WorldUnit
from napari_dacapo_tasks.widgets.layers import LayerGeometry, array_of, geometry_of

RESULT = "napari_dacapo_tasks.result"
"""Key in a layer's metadata: the layer was made here, and is no input to choose."""

MOST_SEPARATE_CHANNELS = 4
"""Up to so many channels are a layer each; more are one layer with a slider."""


def is_result(layer: Layer) -> bool:
    """Say whether a layer was made here."""
    return RESULT in layer.metadata


@dataclass(frozen=True)
class Anchor:
    """A layer as it lay when the work on it began, to place results in its units."""

    geometry: LayerGeometry
    voxel_size: Coordinate
    begin: Coordinate
    unit: WorldUnit

    @classmethod
    def at_layer(cls, layer: Layer) -> Self:
        """Note where a layer lies; raises DataError where it cannot be used."""
        array = array_of(layer)
        return cls(geometry_of(layer), array.voxel_size, array.roi.begin, array.unit)

    @classmethod
    def at_array(cls, array: Array) -> Self:
        """Take the place that an array has in the world."""
        steps, dims = array.unit.steps, array.dims
        geometry = LayerGeometry(
            axes=tuple(name for name in array.axes if name != CHANNEL),
            scale=tuple(size / steps for size in array.voxel_size),
            translate=tuple(begin / steps for begin in array.roi.begin),
            units=("nanometer" if array.unit.name == NANOMETRE.name else "pixel",) * dims,
        )
        return cls(geometry, array.voxel_size, array.roi.begin, array.unit)

    def place(self, array: Array) -> LayerGeometry:
        """Give the place of an array of the same world, in the units of the layer.

        Its voxels may be finer or coarser. An array of another world keeps its own place.
        """
        if array.unit.name != self.unit.name or array.dims != len(self.voxel_size):
            return Anchor.at_array(array).geometry
        finer = array.unit.steps / self.unit.steps
        scale, translate = [], []
        for axis in range(array.dims):
            voxel = self.voxel_size[axis]
            ratio = array.voxel_size[axis] / finer / voxel
            begin = (array.roi.begin[axis] / finer - self.begin[axis]) / voxel
            scale.append(self.geometry.scale[axis] * ratio)
            # A layer's translate is the middle of its first voxel, a region begins at its edge.
            middle = begin + (ratio - 1) / 2
            translate.append(self.geometry.translate[axis] + self.geometry.scale[axis] * middle)
        return LayerGeometry(
            self.geometry.axes, tuple(scale), tuple(translate), self.geometry.units
        )


class ResultLayers:
    """Shows arrays as image layers of a viewer, each in place of the one before.

    What the person has set on a layer (visible, colours, limits, order) stays. A layer that was
    removed comes back with its next array.

    Parameters
    ----------
    viewer
        Where they are shown.
    kind
        With a name for the kind of results, layers of that kind that are there already are taken
        over: those of a dock that was closed.
    """

    def __init__(self, viewer: napari.Viewer, kind: str = "") -> None:
        self._viewer = viewer
        self._kind = kind
        self._layers: dict[str, Layer] = {}
        for layer in viewer.layers:
            of, _, key = str(layer.metadata.get(RESULT, "")).partition("/")
            if kind and of == kind:
                self._layers[key] = layer

    def show_channels(
        self,
        name: str,
        array: NumpyArray,
        channels: list[str],
        geometry: LayerGeometry,
        look: Mapping[str, Any],
        *,
        suffix: str = "",
    ) -> None:
        """Show an array with channels: a layer each, or one with a slider where they are many.

        Parameters
        ----------
        name
            What is shown, the same from one array to the next.
        array
            Values of the shape ``(channels, z, y, x)`` or ``(channels, y, x)``.
        channels
            A name for each channel, empty where there is nothing to say of it.
        geometry
            The place of the spatial axes.
        look
            Options for layers that do not exist yet.
        suffix
            Ends the names of the layers, after the channel.
        """
        if len(array.data) > MOST_SEPARATE_CHANNELS:
            place = geometry.layer_options(channels=True)
            self.show(name, f"{name} {suffix}".strip(), array.data, place, look)
            return
        for index, (channel, values) in enumerate(zip(channels, array.data, strict=True)):
            full = f"{name}: {channel} {suffix}" if channel else f"{name} {suffix}"
            # Channels upon each other cannot be told apart: the first is seen until one chooses.
            seen = look if index == 0 else {**look, "visible": False}
            self.show(f"{name} {index}", full.strip(), values, geometry.layer_options(), seen)

    def show(
        self,
        key: str,
        name: str,
        values: NDArray[Any],
        place: Mapping[str, Any],
        look: Mapping[str, Any],
    ) -> None:
        """Show values in a place (scale, translate, units and axis labels of all axes).

        ``key`` stays the same from one array to the next; ``name`` and ``look`` are for a layer
        that does not exist yet.
        """
        layer = self._layers.get(key)
        if layer is not None and layer not in self._viewer.layers:
            layer = None
        if layer is not None and layer.ndim != values.ndim:
            self._viewer.layers.remove(layer)
            layer = None
        if layer is None:
            metadata = {RESULT: f"{self._kind}/{key}"}
            self._layers[key] = self._added(name, values, {**place, **look, "metadata": metadata})
            return
        layer.data = values
        for option, value in place.items():
            present = getattr(layer, option)
            if option in ("scale", "translate"):
                same = np.array_equal(present, value)
            else:
                same = tuple(str(one) for one in present) == tuple(value)
            if not same:
                setattr(layer, option, value)

    def layer(self, key: str) -> Layer | None:
        """Give a layer that is in the viewer now."""
        layer = self._layers.get(key)
        return layer if layer is not None and layer in self._viewer.layers else None

    def adopt(self, key: str, layer: Layer) -> None:
        """Take over a layer that is there already."""
        self._layers[key] = layer

    def keep_only(self, keys: Collection[str]) -> None:
        """Remove the layers of all other keys."""
        for key in self._layers.keys() - set(keys):
            layer = self.layer(key)
            if layer is not None:
                self._viewer.layers.remove(layer)
            del self._layers[key]

    def _added(self, name: str, values: NDArray[Any], options: Mapping[str, Any]) -> Layer:
        # A new layer becomes the selected one, which would take the brush out of a hand.
        layers = self._viewer.layers
        selected, active = set(layers.selection), layers.selection.active
        layer = self._viewer.add_image(values, name=name, **options)
        if selected:
            layers.selection = selected
            layers.selection.active = active
        return layer
