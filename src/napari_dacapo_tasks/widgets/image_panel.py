"""Which image is predicted: a layer, or a file that need not be opened."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import napari
from napari.layers import Image, Layer
from qtpy.QtCore import Signal
from qtpy.QtWidgets import QHBoxLayout, QLabel, QPushButton, QVBoxLayout, QWidget

from napari_dacapo_tasks.arrays import Array
from napari_dacapo_tasks.errors import DataError
from napari_dacapo_tasks.widgets.layer_combo import LayerCombo
from napari_dacapo_tasks.widgets.layers import array_of
from napari_dacapo_tasks.widgets.result_layers import Anchor
from napari_dacapo_tasks.widgets.row_files_dialog import PathEdit

NONE = "There is no image yet: enter its path, or choose a layer."
SEVERAL = "There are several images at this path: choose one of them."


@dataclass(frozen=True)
class ImageSource:
    """An image to predict.

    Attributes
    ----------
    array
        It is read only where it is predicted.
    anchor
        Gives results their place in the viewer.
    name
        For people.
    layer
        The layer that shows it, None for a file.
    path
        Where other processes find it, None where it is only in memory.
    """

    array: Array
    anchor: Anchor
    name: str
    layer: Layer | None = None
    path: str | None = None


class ImagePanel(QWidget):
    """Chooses an image.

    Signals
    -------
    changed()
        Another one is chosen.
    """

    changed = Signal()

    def __init__(self, viewer: napari.Viewer, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.layer_combo = LayerCombo(viewer, (Image,))
        self.layer_combo.setPlaceholderText("open an image")
        self.path_button = QPushButton("Path")
        self.path_button.setCheckable(True)
        self.path_button.setToolTip("Predict a file or folder of any size, without opening it")
        self.path = PathEdit("image")
        self.path.hide()
        self._layer_label = QLabel("Layer")
        row = QHBoxLayout()
        row.addWidget(self._layer_label)
        row.addWidget(self.layer_combo, 1)
        row.addWidget(self.path_button)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(4)
        layout.addLayout(row)
        layout.addWidget(self.path)
        self.layer_combo.layerChanged.connect(lambda _: self.changed.emit())
        self.path_button.toggled.connect(self._on_path)
        self.path.changed.connect(self.changed)

    @property
    def busy(self) -> bool:
        """Whether a path is being looked at."""
        return bool(self.path_button.isChecked()) and self.path.busy

    @property
    def layer(self) -> Layer | None:
        """The chosen layer, None for a path."""
        return None if self.path_button.isChecked() else self.layer_combo.layer()

    def setPath(self, path: str) -> None:
        """Choose a path."""
        self.path_button.setChecked(True)
        self.path.setPath(path)

    def source(self) -> ImageSource:
        """Give the image; raises DataError where there is none, or it cannot be used."""
        if self.path_button.isChecked():
            found = self.path.source()
            if found is None:
                several = self.path.datasets.count() > 1
                raise DataError(self.path.refusal or (SEVERAL if several else NONE))
            array = found.array()
            name = _short(found.path)
            return ImageSource(array, Anchor.at_array(array), name, path=found.path)
        layer = self.layer_combo.layer()
        if layer is None:
            raise DataError("There is no image: open one, or enter a path.")
        path = layer.source.path
        return ImageSource(
            array_of(layer),
            Anchor.at_layer(layer),
            str(layer.name),
            layer,
            None if path is None else str(path),
        )

    def _on_path(self, chosen: bool) -> None:
        self.path.setVisible(chosen)
        self.layer_combo.setEnabled(not chosen)
        self._layer_label.setEnabled(not chosen)
        self.changed.emit()


def _short(path: str) -> str:
    """Name an image after its file, without what says of which format it is."""
    return Path(path).name.split(":")[-1].split(".")[0] or Path(path).name
