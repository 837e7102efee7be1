"""The segmentation of a prediction as labels layers that a person may edit."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import napari
from napari.layers import Layer
from qtpy.QtCore import QObject

from napari_dacapo_tasks.segmentation.segment import Segmentation
from napari_dacapo_tasks.tasks import TaskConfig
from napari_dacapo_tasks.tasks.post_processors.post_processor import Labelling
from napari_dacapo_tasks.widgets.colormaps import (
    BACKGROUND,
    FOREGROUND,
    INSTANCES,
    channel_colours,
    class_look,
)
from napari_dacapo_tasks.widgets.labels_watch import EDITS
from napari_dacapo_tasks.widgets.lazy_image import LazyImage
from napari_dacapo_tasks.widgets.lazy_levels import LazyData
from napari_dacapo_tasks.widgets.lifetime import connect_while_alive
from napari_dacapo_tasks.widgets.live_layers import LiveLayers
from napari_dacapo_tasks.widgets.predict_session import ShownPrediction
from napari_dacapo_tasks.widgets.result_layers import ResultLayers

OPACITY = 0.7
EDITED = "edited"


class PredictedLabels(QObject):
    """A labels layer per channel of a segmentation, of which one is seen at first.

    Parameters
    ----------
    viewer
        Where they are shown.
    kind
        For which purpose, as of `ResultLayers`.
    parent
        Owner.
    on_edit
        Called after a person has edited a layer.
    """

    def __init__(
        self,
        viewer: napari.Viewer,
        kind: str,
        parent: QObject,
        on_edit: Callable[[], None] = lambda: None,
    ) -> None:
        super().__init__(parent)
        self._viewer = viewer
        self._layers = ResultLayers(viewer, kind)
        self._on_edit = on_edit
        self._watched: dict[str, Layer] = {}
        self._showing = False
        self._live = LiveLayers(viewer, self.layers, self)
        self._edited: set[str] = set()
        self._hidden: list[Layer] = []

    def show(
        self,
        shown: ShownPrediction,
        segmentation: Segmentation,
        of: str,
        image: LazyImage | None = None,
        *,
        grows: bool = False,
    ) -> None:
        """Put a segmentation into the layers; what was edited in them is gone.

        Parameters
        ----------
        shown
            What was segmented: it gives the place.
        segmentation
            Labels that are not in memory are read where they are looked at, and cannot be edited.
        of
            Goes into the names of the layers, beside the channel where there are several.
        image
            What labels on disk are shown through, channels first.
        grows
            Whether more of it will be written.
        """
        labels_array = segmentation.array
        config = segmentation.task
        channels = config.ground_truth_channels
        looks = looks_of(config, segmentation.method.post_processor.labelling)
        title = f"segmentation ({of})"
        place = shown.anchor.place(labels_array).layer_options()
        keys = [str(index) for index in range(len(channels))]
        seen = next((k for k, one in self._layers.present().items() if one.visible), keys[0])
        self._layers.keep_only(keys)
        self._hidden = []
        if image is None:
            self._live.forget()
        lazy, below = None if image is None else LazyData(image), None
        for index, (key, name) in enumerate(zip(keys, channels, strict=True)):
            full = f"{title}: {name}" if len(channels) > 1 else title
            look = {"opacity": OPACITY, **looks[index], "visible": key == seen}
            if lazy is not None:
                look["multiscale"] = True
            self._forget_edits(key)
            labels = labels_array.data[index] if lazy is None else lazy.channel(index)
            self._showing = True
            layer = self._layers.show(key, full, labels, place, look, kind="labels", above=below)
            self._showing = False
            self._watch(key, layer)
            below = key
        if image is not None:
            self._live.begin(image, grows=grows)
        self._edited.clear()
        if not any(layer.visible for layer in self.layers()):
            self.layers()[0].visible = True  # who asks for labels wants to see them

    @property
    def edited(self) -> bool:
        """Whether a person has edited a layer that is there."""
        return bool(self._edited & self._layers.present().keys())

    def layers(self) -> list[Layer]:
        """Give the layers that are in the viewer now, in the order of the channels."""
        present = self._layers.present()
        return [present[key] for key in sorted(present, key=int)]

    def keep_edited(self) -> list[Layer]:
        """Turn edited layers into layers of the person's own, hidden beneath the others."""
        kept = []
        for key in sorted(self._edited & self._layers.present().keys(), key=int):
            name = self._layers.present()[key].name
            copy = self._layers.pin(key, name)
            copy.metadata = {}  # no result any more: it can be chosen, and nothing replaces it
            copy.name = f"{name} ({EDITED})"  # after that, so that lists of layers take note
            kept.append(copy)
        self._edited.clear()
        return kept

    def hide(self) -> None:
        """Take the layers out of sight until `reveal`."""
        for layer in self.layers():
            if layer.visible:
                layer.visible = False
                self._hidden.append(layer)

    def reveal(self) -> None:
        """Show what `hide` took out of sight."""
        for layer in self._hidden:
            layer.visible = True
        self._hidden = []

    def end(self) -> None:
        """Read nothing any more of what is on disk, and wait until that is so."""
        self._live.end()

    def clear(self) -> None:
        """Remove the layers."""
        self._layers.keep_only([])
        self._edited.clear()
        self._hidden = []

    def _forget_edits(self, key: str) -> None:
        """Let undo not bring back what was painted in other labels."""
        layer = self._layers.layer(key)
        if layer is not None and key in self._edited:
            mode, selection = layer.mode, layer.editable
            layer.editable = False
            layer.editable = selection
            layer.mode = mode

    def _watch(self, key: str, layer: Layer) -> None:
        if self._watched.get(key) is not layer:
            self._watched[key] = layer
            for name in EDITS:
                if name in layer.events:
                    connect_while_alive(self, getattr(layer.events, name), self._note_edit)

    def _note_edit(self, event: Any) -> None:
        """Take note of an edit; undo follows one that has been noted."""
        key = next((k for k, one in self._watched.items() if one is event.source), None)
        if key is not None and not self._showing:
            self._edited.add(key)
            self._on_edit()


def looks_of(config: TaskConfig, labelling: Labelling) -> list[dict[str, Any]]:
    """Give colours for the labels of each channel of a segmentation."""
    channels = config.ground_truth_channels
    if labelling is Labelling.CLASSES:
        task = config.task_type(config)
        colours = channel_colours(len(task.channels), task.predictor.composites)
        return [class_look(task.channels, colours)] * len(channels)
    if labelling is Labelling.FOREGROUND:
        return [class_look(["background", one], [BACKGROUND, FOREGROUND]) for one in channels]
    return [INSTANCES] * len(channels)
