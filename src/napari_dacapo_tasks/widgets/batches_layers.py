"""Samples of training as layers beside the raw data."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import napari
from qtpy.QtCore import QObject

from napari_dacapo_tasks.widgets.batches_work import SeenBatches
from napari_dacapo_tasks.widgets.channel_layers import ChannelLayers
from napari_dacapo_tasks.widgets.colormaps import Range, target_look, weight_look
from napari_dacapo_tasks.widgets.layer_parts import Part
from napari_dacapo_tasks.widgets.result_layers import Anchor

SUFFIX = "(batches)"

RAW_RANGE = (-1.0, 1.0)
"""What the range of raw intensities is brought to; augmentation may leave it."""


class BatchesLayers(ChannelLayers):
    """Raw, target and weight of several samples: a column each, beside the raw data."""

    def __init__(self, viewer: napari.Viewer, parent: QObject | None = None) -> None:
        super().__init__(viewer, "batches", SUFFIX, parent)
        self._before: dict[str, Any] | None = None

    @property
    def shown(self) -> bool:
        """Whether any of them is in the viewer."""
        return bool(self._layers.present())

    def show(self, seen: SeenBatches, anchor: Anchor | None) -> None:
        """Put samples into the layers, in place of those before.

        Parameters
        ----------
        seen
            What to show.
        anchor
            A layer of the same world; None places the samples by their own.
        """
        fresh = not self.shown
        channels, raw = seen.channels, seen.raw
        numbers = [str(index) for index in range(len(raw.data))] if len(raw.data) > 1 else [""]
        weights = [(0.0, seen.highest_weight)] * len(channels)
        parts = [
            Part("raw", raw, numbers, [RAW_RANGE] * len(raw.data), _raw_look, None),
            Part("weight", seen.weight, channels, weights, weight_look),
            Part("target", seen.target, channels, seen.ranges, target_look, pictures=seen.pictures),
        ]
        if fresh:
            self._note_view()
        self.show_parts(parts, channels, anchor or Anchor.at_array(raw))
        if fresh:
            self._look()

    def clear(self) -> None:
        """Take the layers away, and look again where a person looked before."""
        if self.shown and self._before is not None:
            self._look_back(self._before)
        self._before = None
        self._entries = {}
        self._layers.keep_only(())

    def _note_view(self) -> None:
        camera, dims = self._viewer.scene.camera, self._viewer.dims
        self._before = {"center": camera.center, "zoom": camera.zoom, "point": dims.point}

    def _look(self) -> None:
        """Bring all samples into sight, in their middle."""
        layers = list(self._layers.present().values())
        for layer in layers:
            middle = layer.data_to_world([size // 2 for size in layer.data.shape[: layer.ndim]])
            dims = self._viewer.dims
            before = dims.ndim - layer.ndim
            for axis in range(layer.ndim - 2):
                if before + axis not in dims.displayed and layer.axis_labels[axis] != "channel":
                    dims.set_point(before + axis, middle[axis])
        self._viewer.reset_view(layers=layers, reset_camera_angle=False)

    def _look_back(self, before: Mapping[str, Any]) -> None:
        camera, dims = self._viewer.scene.camera, self._viewer.dims
        camera.center, camera.zoom = before["center"], before["zoom"]
        point = before["point"]
        if len(point) == dims.ndim:
            dims.point = point


def _raw_look(low_high: Range) -> Mapping[str, Any]:
    return {"colormap": "gray", "contrast_limits": low_high}
