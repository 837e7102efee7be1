"""Segmentations as labels layers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import napari

from napari_dacapo_tasks.arrays import NumpyArray
from napari_dacapo_tasks.widgets.result_layers import Anchor, ResultLayers

NAME = "segmentation"
OPACITY = 0.7


class SegmentationLayers:
    """A labels layer per channel of a segmentation, of which one is seen at first."""

    def __init__(self, viewer: napari.Viewer) -> None:
        self._layers = ResultLayers(viewer, NAME)
        self._count = 1
        self._shown = 0

    def show(
        self,
        segmentation: NumpyArray,
        channels: Sequence[str],
        anchor: Anchor,
        looks: Sequence[Mapping[str, Any]],
    ) -> None:
        """Put a segmentation into the layers.

        Parameters
        ----------
        segmentation
            Labels of the shape ``(c, z, y, x)``.
        channels
            A name for each channel; that of an only one says nothing new, and is left out.
        anchor
            Gives the place.
        looks
            Options of the layers, one for each channel.
        """
        self._count = len(channels)
        place = anchor.place(segmentation).layer_options()
        keys = [str(index) for index in range(len(channels))]
        self._layers.keep_only(keys)
        below = None
        for index, (key, name) in enumerate(zip(keys, channels, strict=True)):
            full = f"{NAME}: {name}" if len(channels) > 1 else NAME
            look = {
                "opacity": OPACITY,
                **looks[index],
                "visible": index == self._shown % len(channels),
            }
            labels = segmentation.data[index]
            self._layers.show(key, full, labels, place, look, kind="labels", above=below)
            below = key

    def show_channel(self, index: int) -> None:
        """Let the segmentation of a channel of the target be seen in place of the others.

        Where a target has several channels for each of the segmentation, they come in turns.
        """
        self._shown = index
        present = self._layers.present()
        if any(layer.visible for layer in present.values()):
            for key, layer in present.items():
                layer.visible = key == str(index % self._count)

    def pin(self, said: str) -> None:
        """Keep copies of the layers as they are, hidden beneath them; ``said`` ends their names."""
        for key, layer in self._layers.present().items():
            self._layers.pin(key, f"{layer.name} [{said}]")

    def clear(self) -> None:
        """Remove the layers."""
        self._layers.keep_only([])
