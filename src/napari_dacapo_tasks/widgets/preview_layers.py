"""A preview as layers over the ground truth, and copies of it to compare with."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import napari
from napari.layers import Layer
from qtpy.QtCore import QObject

from napari_dacapo_tasks.tasks.preview import Preview
from napari_dacapo_tasks.widgets.channel_layers import ChannelLayers
from napari_dacapo_tasks.widgets.colormaps import LEFT_OUT, Range, target_look, weight_look
from napari_dacapo_tasks.widgets.layer_parts import Part
from napari_dacapo_tasks.widgets.pictures import Picture
from napari_dacapo_tasks.widgets.result_layers import Anchor

TARGET_OPACITY = 0.75


class PreviewLayers(ChannelLayers):
    """Target, weight and masks of the latest preview."""

    def __init__(self, viewer: napari.Viewer, parent: QObject) -> None:
        super().__init__(viewer, "preview", parent=parent)

    def show(self, preview: Preview, pictures: Sequence[Picture], anchor: Anchor) -> None:
        """Put a preview into the layers.

        Parameters
        ----------
        preview
            What to show.
        pictures
            Its composites.
        anchor
            The ground truth's layer as it lay when the preview was asked for.
        """
        self.show_parts(list(_parts(preview, pictures)), preview.channels, anchor)

    def pin(self, said: str) -> list[Layer]:
        """Keep copies of the layers as they are, hidden beneath them; ``said`` ends their names."""
        pinned = []
        for entry, layer in self._present():
            # The name of the channel would no longer follow the slider.
            ours = entry.has_slider and self._layers.has_given_name(entry.key)
            name = entry.part.kind if ours else layer.name
            pinned.append(self._layers.pin(entry.key, f"{name} [{said}]"))
        return pinned


def _parts(preview: Preview, pictures: Sequence[Picture]) -> Iterator[Part]:
    channels, count = preview.channels, len(preview.channels)
    highest = [s.weight_range[1] for s in preview.statistics if s.weight_range is not None]
    weights = [(0.0, max(highest, default=1.0))] * count
    yield Part("weight", preview.weight, channels, weights, weight_look, visible=False)
    yield Part(
        "target",
        preview.target,
        channels,
        preview.target_ranges,
        target_look,
        pictures=pictures,
        opacity=TARGET_OPACITY,
    )
    for name, mask in preview.masks.items():
        covered = len(mask.data)
        # A mask of fewer channels is that of the last ones.
        first = count - covered
        names = channels[first:]
        yield Part(name, mask, names, [(0.0, 1.0)] * covered, _mask_look, first)


def _mask_look(low_high: Range) -> Mapping[str, Any]:
    return {"colormap": LEFT_OUT, "contrast_limits": low_high}
