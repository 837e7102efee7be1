"""Layers that this program makes and keeps up to date: one place, one layer per result."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from typing import Any, Self

import napari
import numpy as np
from funlib.geometry import Coordinate
from napari.layers import Labels, Layer
from napari.layers._multiscale_data import MultiScaleData
from napari.utils import Colormap
from numpy.typing import NDArray
from qtpy.QtOpenGLWidgets import QOpenGLWidget

from napari_dacapo_tasks.arrays import Array
from napari_dacapo_tasks.arrays.array import CHANNEL
from napari_dacapo_tasks.units import NANOMETRE, WorldUnit
from napari_dacapo_tasks.widgets.layers import LayerGeometry, array_of, geometry_of

RESULT = "napari_dacapo_tasks.result"
"""Key in a layer's metadata: the layer was made here, and is no input to choose."""

LOOK = "napari_dacapo_tasks.look"
"""Key in a layer's metadata: its colours and limits as they were set here."""

FOLLOWED = ("colormap", "contrast_limits")


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
    """Shows arrays as layers of a viewer, each in place of the one before.

    What the person has set on a layer (visible, colours, limits, order) stays. A layer that was
    removed comes back with its next array.

    Parameters
    ----------
    viewer
        Where they are shown.
    kind
        A name for the kind of results: layers of that kind that are there already, left by a dock
        that was closed, are taken over.
    """

    def __init__(self, viewer: napari.Viewer, kind: str) -> None:
        self._viewer = viewer
        self._kind = kind
        self._layers: dict[str, Layer] = {}
        self._given: dict[str, str] = {}
        for layer in viewer.layers:
            of, _, key = str(layer.metadata.get(RESULT, "")).partition("/")
            if of == kind:
                self._layers[key] = layer
                self._given[key] = layer.name

    def show(
        self,
        key: str,
        name: str,
        values: NDArray[Any],
        place: Mapping[str, Any],
        look: Mapping[str, Any],
        *,
        kind: str = "image",
        above: str | None = None,
    ) -> Layer:
        """Show values in a place (scale, translate, units and axis labels of all axes).

        Parameters
        ----------
        key
            What is shown, the same from one array to the next.
        name
            Of the layer, unless the person has named it.
        values, place
            What to show, and where.
        look
            Options of the layer. Colours and limits follow it as long as the person has not set
            them; the others are for a layer that does not exist yet.
        kind
            ``"image"`` or ``"labels"``.
        above
            Key of the layer on which a new one lies; without it, it lies beneath those that there
            are.
        """
        layer = self.layer(key)
        if layer is not None and not _fits(layer, values, kind, bool(look.get("rgb"))):
            self._remove(layer)
            layer = None
        if layer is None:
            metadata = {RESULT: f"{self._kind}/{key}", LOOK: _noted(look)}
            options = {**place, **look, "name": name, "metadata": metadata}
            layer = Layer.create(values, options, kind)
            self._insert(layer, above)
            self._layers[key] = layer
            self._given[key] = layer.name
            return layer
        self.rename(key, name)
        reshaped = layer.data.shape != values.shape
        layer.data = values
        for option, value in place.items():
            present = getattr(layer, option)
            if option in ("scale", "translate"):
                # napari takes no note of the new extent of a hidden layer until it is placed.
                same = np.array_equal(present, value) and not (reshaped and option == "scale")
            else:
                same = tuple(str(one) for one in present) == tuple(value)
            if not same:
                setattr(layer, option, value)
        _follow(layer, look)
        return layer

    def layer(self, key: str) -> Layer | None:
        """Give a layer that is in the viewer now."""
        layer = self._layers.get(key)
        return layer if layer is not None and layer in self._viewer.layers else None

    def present(self) -> dict[str, Layer]:
        """Give all layers that are in the viewer now, by key."""
        return {key: one for key, one in self._layers.items() if one in self._viewer.layers}

    @contextmanager
    def drawn_once(self, wanted: Mapping[str, tuple[NDArray[Any], str, bool]]) -> Iterator[None]:
        """Let the viewer draw only once where layers go; it then takes its time to tidy up.

        Parameters
        ----------
        wanted
            By key, all that will be shown: values, kind, and whether they are colours.
        """
        if all(
            key in wanted and _fits(layer, *wanted[key]) for key, layer in self.present().items()
        ):
            yield
            return
        with self._viewer.layers.batched_update():
            yield
            make_drawing_current(self._viewer)

    def pin(self, key: str, name: str) -> Layer:
        """Keep a copy of a layer as it is, hidden, beneath all that are shown here."""
        layer = self.layer(key)
        assert layer is not None
        data, options, kind = layer.as_layer_data_tuple()
        options |= {"name": name, "metadata": {RESULT: True}, "visible": False}
        copy = Layer.create(data, options, kind)
        self._insert(copy, None)
        return copy

    def rename(self, key: str, name: str) -> None:
        """Name a layer, unless the person has done so."""
        layer = self.layer(key)
        if layer is not None and self.has_given_name(key) and layer.name != name:
            layer.name = name  # napari adds a number where that is taken
            self._given[key] = layer.name

    def has_given_name(self, key: str) -> bool:
        """Say whether a layer has the name that it was given here."""
        layer = self.layer(key)
        return layer is not None and layer.name == self._given[key]

    def keep_only(self, keys: Collection[str]) -> None:
        """Remove the layers of all other keys."""
        for key in self._layers.keys() - set(keys):
            layer = self.layer(key)
            if layer is not None:
                self._remove(layer)
            del self._layers[key]

    def _remove(self, layer: Layer) -> None:
        make_drawing_current(self._viewer)
        self._viewer.layers.remove(layer)

    def _insert(self, layer: Layer, above: str | None) -> None:
        stack = self._viewer.layers
        below = self.layer(above) if above is not None else None
        if below is not None:
            index = stack.index(below) + 1
        else:
            index = min(map(stack.index, self.present().values()), default=len(stack))
        selection, visible = stack.selection, layer.visible
        selected, active = set(selection), selection.active
        # napari cannot add a flat picture in 3D while it is hidden.
        layer.visible = visible or layer.ndim < self._viewer.dims.ndisplay
        # A new layer becomes the selected one, which would take the brush out of a hand.
        with selection.events.blocker_all() if selected else nullcontext():
            stack.insert(index, layer)
            if selected:
                stack.selection = selected
                stack.selection.active = active
        layer.visible = visible


def make_drawing_current(viewer: napari.Viewer) -> None:
    """Let the next OpenGL commands go to the viewer's canvas.

    napari deletes at once what it has drawn a removed layer with, also while another drawing
    context is current or none; then it crashes when it draws next.
    """
    window = getattr(viewer, "window", None)  # a viewer's model alone has none
    if window is not None:
        canvas = window._qt_window.findChild(QOpenGLWidget)
        if canvas is not None:
            canvas.makeCurrent()


def _fits(layer: Layer, values: NDArray[Any], kind: str, rgb: bool) -> bool:
    """Say whether a layer can show such values.

    With another type of numbers a layer would be drawn in another place among the others, as its
    new visual forgets the order.
    """
    if layer.ndim != values.ndim - rgb or layer.dtype != values.dtype:
        return False
    if layer.multiscale != isinstance(values, MultiScaleData):
        return False
    return isinstance(layer, Labels) if kind == "labels" else getattr(layer, "rgb", None) == rgb


def _noted(look: Mapping[str, Any]) -> dict[str, Any]:
    return {name: _comparable(look[name]) for name in FOLLOWED if name in look}


def _follow(layer: Layer, look: Mapping[str, Any]) -> None:
    """Set colours and limits that are others now, unless the person has set them."""
    before, now = layer.metadata.get(LOOK, {}), _noted(look)
    for name, value in now.items():
        untouched = _comparable(getattr(layer, name)) == before.get(name)
        if untouched and value != before.get(name):
            setattr(layer, name, look[name])
    if now != before:
        if "features" in look:
            layer.features = look["features"]
        layer.metadata = {**layer.metadata, LOOK: now}


def _comparable(value: Any) -> Any:
    """Give the name of colours, and numbers that forget rounding."""
    if isinstance(value, Colormap):
        return value.name
    if isinstance(value, str):
        return value
    return tuple(float(f"{number:.6g}") for number in value)
