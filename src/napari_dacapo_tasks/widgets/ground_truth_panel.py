"""Which layers are the ground truth and its mask, and how their labels are read."""

from __future__ import annotations

from typing import Any

import napari
import numpy as np
from napari.layers import Image, Labels, Layer
from qtpy.QtCore import Signal
from qtpy.QtWidgets import QFormLayout, QVBoxLayout, QWidget

from napari_dacapo_tasks.arrays import LabelsConfig
from napari_dacapo_tasks.widgets.channels_table import ChannelsTable
from napari_dacapo_tasks.widgets.layer_combo import LayerCombo
from napari_dacapo_tasks.widgets.lifetime import connect_while_alive
from napari_dacapo_tasks.widgets.result_layers import is_result


class GroundTruthPanel(QWidget):
    """Chooses labels and mask, and edits the channels.

    The first labels layer that comes is chosen by itself, an image never is: it may well be raw
    data of whole numbers.

    Signals
    -------
    layersChanged(), channelsChanged(object)
        Another choice of layers; another `LabelsConfig`, None while it is refused.
    """

    layersChanged = Signal()
    channelsChanged = Signal(object)

    def __init__(
        self, viewer: napari.Viewer, config: LabelsConfig, parent: QWidget | None = None
    ) -> None:
        super().__init__(parent)
        self._viewer = viewer
        self.labels_combo = LayerCombo(
            viewer, (Labels, Image), accept=can_be_labels, none_text="choose a layer"
        )
        self.mask_combo = LayerCombo(
            viewer, (Labels, Image), accept=can_be_labels, none_text="none"
        )
        self.channels = ChannelsTable()
        self.channels.setValue(config)
        form = QFormLayout()
        form.setFieldGrowthPolicy(QFormLayout.FieldGrowthPolicy.AllNonFixedFieldsGrow)
        form.addRow("Labels", self.labels_combo)
        form.addRow("Mask", self.mask_combo)
        for field, tip in (
            (self.labels_combo, "The ground truth: a labels layer, or an image of whole numbers."),
            (self.mask_combo, "Where the ground truth is known: not 0 in this layer."),
        ):
            form.labelForField(field).setToolTip(tip)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addLayout(form)
        layout.addWidget(self.channels)

        self.labels_combo.layerChanged.connect(lambda _: self.layersChanged.emit())
        self.mask_combo.layerChanged.connect(lambda _: self.layersChanged.emit())
        self.channels.valueChanged.connect(self.channelsChanged)
        connect_while_alive(self, viewer.layers.events.inserted, self._on_inserted)
        active = viewer.layers.selection.active
        for layer in (active, *viewer.layers):
            self._offer(layer)

    @property
    def labels_layer(self) -> Layer | None:
        """The ground truth."""
        return self.labels_combo.layer()

    @property
    def mask_layer(self) -> Layer | None:
        """Where it is known, None for everywhere."""
        return self.mask_combo.layer()

    @property
    def labels_config(self) -> LabelsConfig | None:
        """How the labels are read, None while that is refused."""
        return self.channels.value()

    def setChosenChannels(self, chosen: bool) -> None:
        """Let channels be chosen, or take all labels as the only one, for tasks that want that."""
        self.channels.setChosen(chosen)

    def _on_inserted(self, event: Any) -> None:
        self._offer(event.value)

    def _offer(self, layer: Layer | None) -> None:
        if self.labels_layer is None and isinstance(layer, Labels) and not is_result(layer):
            self.labels_combo.set_layer(layer)


def can_be_labels(layer: Layer) -> bool:
    """Say whether a layer holds whole numbers, and was not made here."""
    if is_result(layer) or (isinstance(layer, Image) and layer.rgb):
        return False
    return np.dtype(layer.dtype).kind in "biu"
