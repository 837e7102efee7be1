"""The snapshots of a training run as layers."""

from __future__ import annotations

from typing import Any

import napari
import numpy as np

from napari_dacapo_tasks.arrays import NumpyArray
from napari_dacapo_tasks.training.events import Snapshot
from napari_dacapo_tasks.widgets.colormaps import WEIGHT, target_colormap
from napari_dacapo_tasks.widgets.result_layers import Anchor, ResultLayers

SUFFIX = "(snapshot)"

RAW_RANGE = (-1.0, 1.0)
"""What the range of raw intensities is brought to, for every crop the same."""


class SnapshotLayers:
    """Raw, weight, target and prediction of the latest snapshot, the prediction uppermost."""

    def __init__(self, viewer: napari.Viewer) -> None:
        self._viewer = viewer
        self._layers = ResultLayers(viewer, "snapshot")

    def show(
        self, snapshot: Snapshot, anchor: Anchor | None, target_range: tuple[float, float]
    ) -> None:
        """Put a snapshot into the layers.

        Parameters
        ----------
        snapshot
            From training.
        anchor
            The raw layer as it lay at the start; None places the snapshot by its own world.
        target_range
            Lowest and highest value that a target can have.
        """
        anchor = anchor or Anchor.at_array(snapshot.raw)
        shades: dict[str, Any] = {
            "colormap": target_colormap(target_range),
            "contrast_limits": target_range,
        }
        weight_range = (0.0, _range(snapshot.weight)[1])
        weight = {"colormap": WEIGHT, "contrast_limits": _apart(weight_range), "visible": False}
        raw = {"colormap": "gray", "contrast_limits": RAW_RANGE}
        channels = snapshot.channels
        raw_channels = [""]
        if len(snapshot.raw.data) > 1:
            raw_channels = [str(index) for index in range(len(snapshot.raw.data))]
        for name, array, names, look in (
            ("raw", snapshot.raw, raw_channels, raw),
            ("weight", snapshot.weight, channels, weight),
            ("target", snapshot.target, channels, shades),
            ("prediction", snapshot.prediction, channels, shades),
        ):
            self._layers.show_channels(name, array, names, anchor.place(array), look, suffix=SUFFIX)

    def reveal(self) -> None:
        """Move the sliders to the middle of the prediction where they miss it."""
        layer = self._layers.layer("prediction 0") or self._layers.layer("prediction")
        if layer is None:
            return
        dims = self._viewer.dims
        before = dims.ndim - layer.ndim
        here = layer.world_to_data(dims.point[before:])
        middle = layer.data_to_world([size // 2 for size in layer.data.shape])
        for axis, size in enumerate(layer.data.shape):
            inside = -0.5 <= here[axis] <= size - 0.5
            if not inside and before + axis not in dims.displayed:
                dims.set_point(before + axis, middle[axis])


def _range(array: NumpyArray) -> tuple[float, float]:
    finite = array.data[np.isfinite(array.data)]
    return (float(finite.min()), float(finite.max())) if finite.size else (0.0, 1.0)


def _apart(limits: tuple[float, float]) -> tuple[float, float]:
    """Give limits that differ, as napari needs them."""
    low, high = limits
    return (low, high) if low < high else (low, low + 1)
