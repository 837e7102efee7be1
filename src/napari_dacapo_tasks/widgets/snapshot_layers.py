"""The snapshots of a training run as layers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import napari
from qtpy.QtCore import QObject

from napari_dacapo_tasks.arrays import NumpyArray
from napari_dacapo_tasks.widgets.channel_layers import ChannelLayers
from napari_dacapo_tasks.widgets.colormaps import Range, target_look, weight_look
from napari_dacapo_tasks.widgets.layer_parts import Part
from napari_dacapo_tasks.widgets.result_layers import Anchor
from napari_dacapo_tasks.widgets.seen_snapshot import SeenSnapshot

SUFFIX = "(snapshot)"

RAW_RANGE = (-1.0, 1.0)
"""What the range of raw intensities is brought to, for every crop the same."""


class SnapshotLayers(ChannelLayers):
    """Raw, weight, target and prediction of the latest snapshot, the prediction uppermost."""

    def __init__(self, viewer: napari.Viewer, parent: QObject | None = None) -> None:
        super().__init__(viewer, "snapshot", SUFFIX, parent)

    def show(self, seen: SeenSnapshot, anchor: Anchor | None) -> None:
        """Put a snapshot into the layers.

        Parameters
        ----------
        seen
            What to show.
        anchor
            The raw layer as it lay at the start; None places the snapshot by its own world.
        """
        snapshot, ranges = seen.snapshot, seen.ranges
        channels, raw = snapshot.channels, snapshot.raw
        weights = [(0.0, seen.highest_weight)] * len(channels)
        parts = [
            Part("raw", raw, _numbers(raw), [RAW_RANGE] * len(raw.data), _raw_look, None),
            Part("weight", snapshot.weight, channels, weights, weight_look, visible=False),
            Part(
                "target",
                snapshot.target,
                channels,
                ranges,
                target_look,
                pictures=seen.target,
                # A prediction of classes does not cover what is beneath.
                visible=not any(one.composite.exclusive for one in seen.target),
            ),
            Part(
                "prediction",
                snapshot.prediction,
                channels,
                ranges,
                target_look,
                pictures=seen.prediction,
            ),
        ]
        self.show_parts(parts, channels, anchor or Anchor.at_array(raw))

    def reveal(self) -> None:
        """Move the sliders to the middle of the prediction where they miss it."""
        found = (layer for entry, layer in self._present() if entry.part.kind == "prediction")
        layer = next(found, None)
        if layer is None:
            return
        dims = self._viewer.dims
        before = dims.ndim - layer.ndim
        here = layer.world_to_data(dims.point[before:])
        shape = layer.data.shape[: layer.ndim]
        middle = layer.data_to_world([size // 2 for size in shape])
        for axis, size in enumerate(shape):
            inside = -0.5 <= here[axis] <= size - 0.5
            if not inside and before + axis not in dims.displayed:
                dims.set_point(before + axis, middle[axis])


def _numbers(raw: NumpyArray) -> Sequence[str]:
    return [str(index) for index in range(len(raw.data))] if len(raw.data) > 1 else [""]


def _raw_look(low_high: Range) -> Mapping[str, Any]:
    return {"colormap": "gray", "contrast_limits": low_high}
