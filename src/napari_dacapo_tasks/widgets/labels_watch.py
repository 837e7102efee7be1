"""Notices when a person edits a layer: painting, filling, undo, new data, another place."""

from __future__ import annotations

from typing import Any

import napari
from napari.layers import Layer
from qtpy.QtCore import QObject, Signal

from napari_dacapo_tasks.widgets.lifetime import connect_while_alive

EDITS = ("paint", "labels_update", "data")
MOVES = ("scale", "translate", "rotate", "shear", "affine", "units", "axis_labels")


class LabelsWatch(QObject):
    """Watches one layer at a time.

    Signals
    -------
    edited(), moved()
        Its values changed; its place in the world changed.
    """

    edited = Signal()
    moved = Signal()

    def __init__(self, viewer: napari.Viewer, parent: QObject) -> None:
        super().__init__(parent)
        self._dims = viewer.dims
        self._layer: Layer | None = None
        self._seen: object = None
        self._signals: list[tuple[Any, Any]] = []

    def watch(self, layer: Layer | None) -> None:
        """Watch this layer from now on, and no other."""
        if layer is self._layer:
            return
        for signal, slot in self._signals:
            signal.disconnect(slot)
        self._signals = []
        self._layer, self._seen = layer, None
        if layer is None:
            return
        slots: dict[str, Any] = dict.fromkeys(EDITS, self._on_edit)
        slots |= dict.fromkeys(MOVES, self._on_move)
        # A multiscale layer is sliced anew with every zoom, and napari cannot paint in it.
        if not layer.multiscale:
            slots["set_data"] = self._on_slice
        for name, slot in slots.items():
            if name in layer.events:
                signal = getattr(layer.events, name)
                connect_while_alive(self, signal, slot)
                self._signals.append((signal, slot))

    def _on_edit(self, _event: Any = None) -> None:
        self.edited.emit()

    def _on_move(self, _event: Any = None) -> None:
        self.moved.emit()

    def _on_slice(self, _event: Any = None) -> None:
        """Undo and redo say nothing but that the same slice was made anew."""
        assert self._layer is not None
        seen = (self._dims.point, self._dims.order, self._dims.ndisplay, self._layer.visible)
        if seen == self._seen:
            self.edited.emit()
        self._seen = seen
