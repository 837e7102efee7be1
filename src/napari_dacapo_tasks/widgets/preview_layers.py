"""A preview as layers over the ground truth, and copies of it to compare with."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import napari
import numpy as np
from napari.layers import Image, Layer
from napari.utils import Colormap
from numpy.typing import NDArray
from qtpy.QtCore import QObject, Signal

from napari_dacapo_tasks.arrays import NumpyArray
from napari_dacapo_tasks.tasks.preview import Preview
from napari_dacapo_tasks.widgets.colormaps import WEIGHT, target_colormap
from napari_dacapo_tasks.widgets.lifetime import connect_while_alive
from napari_dacapo_tasks.widgets.result_layers import (
    MOST_SEPARATE_CHANNELS,
    RESULT,
    Anchor,
    ResultLayers,
)

PREVIEW = "napari_dacapo_tasks.preview"
"""Key in a layer's metadata: which part of the preview it shows; pinned copies have none."""

ALL = "all"
"""In place of a channel's number in the key of a layer that has a slider for them."""

TARGET_OPACITY = 0.75
LEFT_OUT = Colormap(
    colors=[[0.95, 0.75, 0.1, 0.55], [0.95, 0.75, 0.1, 0.0]], name="left out", controls=[0.0, 1.0]
)
"""Amber where a mask is 0, nothing where it is 1."""


class PreviewLayers(QObject):
    """Target, weight and masks of the latest preview.

    They are updated in place and keep what the person has set on them. Layers that were removed
    come back with the next preview; those that an earlier dock has left are taken over.

    Signals
    -------
    channelShown(int)
        Which channel the slider shows, where many channels are one layer.
    """

    channelShown = Signal(int)

    def __init__(self, viewer: napari.Viewer, parent: QObject) -> None:
        super().__init__(parent)
        self._viewer = viewer
        self._layers = ResultLayers(viewer)
        self._keys: list[str] = []
        self._names: dict[str, str] = {}
        self._weight_limits: dict[str, tuple[float, float]] = {}
        self._channels: list[str] = []
        self._shown = 0
        for layer in viewer.layers:
            if PREVIEW in layer.metadata:
                self._layers.adopt(layer.metadata[PREVIEW], layer)
                self._names[layer.metadata[PREVIEW]] = layer.name
        connect_while_alive(self, viewer.dims.events.point, self._on_slider)

    def show(self, preview: Preview, anchor: Anchor) -> None:
        """Put a preview into the layers.

        Parameters
        ----------
        preview
            What to show.
        anchor
            The ground truth's layer as it lay when the preview was asked for.
        """
        self._channels = preview.channels
        self._shown = min(self._shown, len(self._channels) - 1)
        keys = []
        for kind, array, look in _parts(preview):
            for key, name, values in self._split(kind, array):
                with_slider = key.endswith(ALL)
                place = anchor.place(array).layer_options(channels=with_slider)
                # Targets upon each other cannot be told apart: one channel is seen at first.
                seen = look["visible"] and (with_slider or key == f"{kind} {self._shown}")
                self._layers.show(key, name, values, place, {**look, "visible": seen})
                self._mark(key, name)
                keys.append(key)
        self._layers.keep_only(keys)
        self._keys = keys
        self._follow_weight(preview)
        self._on_slider()

    def show_channel(self, index: int) -> None:
        """Let one channel be seen in place of the others: by the slider, or its layers alone."""
        self._shown = index
        seen = {_kind(key) for key, layer in self._present() if layer.visible}
        for key, layer in self._present():
            if key.endswith(ALL):
                axis = self._viewer.dims.ndim - layer.ndim
                place = layer.data_to_world((index, *(0,) * (layer.ndim - 1)))[0]
                self._viewer.dims.set_point(axis, place)
            else:
                layer.visible = _kind(key) in seen and key == f"{_kind(key)} {index}"

    def pin(self, said: str) -> list[Layer]:
        """Keep copies of the layers as they are, hidden beneath them; ``said`` ends their names."""
        stack = self._viewer.layers
        selected, active = set(stack.selection), stack.selection.active
        pinned = []
        for _, layer in self._present():
            data, options, kind = layer.as_layer_data_tuple()
            options |= {"name": f"{layer.name} [{said}]", "metadata": {RESULT: True}}
            options["visible"] = False  # what is seen is still the live preview
            copy = Layer.create(data, options, kind)
            lowest = min(index for index, other in enumerate(stack) if PREVIEW in other.metadata)
            stack.insert(lowest, copy)
            pinned.append(copy)
        stack.selection = selected
        stack.selection.active = active
        return pinned

    def _present(self) -> Iterator[tuple[str, Layer]]:
        """Give the layers of the preview that are in the viewer now, with their keys."""
        for key in self._keys:
            layer = self._layers.layer(key)
            if layer is not None:
                yield key, layer

    def _split(self, kind: str, array: NumpyArray) -> Iterator[tuple[str, str, NDArray[Any]]]:
        """Give key, name and values of each layer."""
        if len(array.data) > MOST_SEPARATE_CHANNELS:
            yield f"{kind} {ALL}", f"{kind}: {self._channels[self._shown]}", array.data
            return
        for index, values in enumerate(array.data):
            yield f"{kind} {index}", f"{kind}: {self._channels[index]}", values

    def _mark(self, key: str, name: str) -> None:
        layer = self._layers.layer(key)
        assert layer is not None
        if layer.metadata.get(PREVIEW) != key:
            layer.metadata = {**layer.metadata, PREVIEW: key}
            self._names[key] = layer.name
        self._rename(layer, key, name)

    def _rename(self, layer: Layer, key: str, name: str) -> None:
        """Rename a layer, unless the person has done so."""
        # napari adds a number to a name that is taken.
        if layer.name == self._names[key] and layer.name.split(" [")[0] != name:
            layer.name = name
            self._names[key] = layer.name

    def _follow_weight(self, preview: Preview) -> None:
        """Fit the limits of weights, unless the person has set them."""
        highest = [s.weight_range[1] for s in preview.statistics if s.weight_range is not None]
        limits = (0.0, max(highest, default=1.0))
        for key, layer in self._present():
            if isinstance(layer, Image) and _kind(key) == "weight":
                before = self._weight_limits.get(key)
                if before is None or np.allclose(layer.contrast_limits, before):
                    layer.contrast_limits = limits
                    self._weight_limits[key] = limits

    def _on_slider(self, _event: Any = None) -> None:
        """Name the channel that the slider shows in the layers' names, and tell it."""
        for key, layer in self._present():
            if key.endswith(ALL):
                point = self._viewer.dims.point[-layer.ndim :]
                index = round(float(layer.world_to_data(point)[0]))
                self._shown = min(max(index, 0), len(self._channels) - 1)
                self._rename(layer, key, f"{_kind(key)}: {self._channels[self._shown]}")
                self.channelShown.emit(self._shown)


def _kind(key: str) -> str:
    """Give the part of a preview that a key is of, such as ``"distance mask"``."""
    return key.rsplit(" ", 1)[0]


def _parts(preview: Preview) -> Iterator[tuple[str, NumpyArray, dict[str, Any]]]:
    """Give name, values and look of each part, the lowest first."""
    yield (
        "weight",
        preview.weight,
        {"colormap": WEIGHT, "contrast_limits": (0.0, 1.0), "visible": False},
    )
    yield (
        "target",
        preview.target,
        {
            "colormap": target_colormap(preview.target_ranges[0]),
            "contrast_limits": preview.target_ranges[0],
            "opacity": TARGET_OPACITY,
            "visible": True,
        },
    )
    for name, mask in preview.masks.items():
        yield name, mask, {"colormap": LEFT_OUT, "contrast_limits": (0, 1), "visible": True}
