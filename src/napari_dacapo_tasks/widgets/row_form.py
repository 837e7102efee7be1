"""What can be changed in the selected row of the data table."""

from __future__ import annotations

from dataclasses import replace
from functools import partial

import napari
from napari.layers import Image, Labels, Layer
from qtpy.QtCore import Qt, Signal
from qtpy.QtWidgets import (
    QFormLayout,
    QHBoxLayout,
    QLabel,
    QPushButton,
    QVBoxLayout,
    QWidget,
)

from napari_dacapo_tasks.errors import UserError
from napari_dacapo_tasks.widgets.fields import leave_wheel
from napari_dacapo_tasks.widgets.ground_truth_panel import can_be_labels
from napari_dacapo_tasks.widgets.layer_combo import LayerCombo
from napari_dacapo_tasks.widgets.refused import STYLE, RefusalLabel
from napari_dacapo_tasks.widgets.row_block import BlockEdit
from napari_dacapo_tasks.widgets.row_checks import TableRow
from napari_dacapo_tasks.widgets.row_sources import FileSource, LayerSource
from napari_dacapo_tasks.widgets.spin_boxes import FloatSpinBox

LARGEST_SHARE = 1e6

SHARE_WIDTH = 72

TITLES = {
    "Raw": "The image that the network sees",
    "Labels": "The ground truth of this crop, read like that of the Task dock",
    "Mask": "Where the ground truth is known: nonzero, or everywhere without a mask",
}
"""Of the layers of a row, each with its help text."""


class RowForm(QWidget):
    """Edits one row: its layers or files, its share of samples, and what of it validates.

    Signals
    -------
    changed(object)
        The row as it is now.
    filesWanted()
        A person wants to choose other files.
    """

    changed = Signal(object)
    filesWanted = Signal()

    def __init__(self, viewer: napari.Viewer, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setStyleSheet(STYLE)
        self._layers = viewer.layers
        self._row: TableRow | None = None
        nothing, none = "choose a layer", "none"
        self.combos = {
            "raw": LayerCombo(viewer, (Image,), none_text=nothing),
            "labels": LayerCombo(viewer, (Labels, Image), accept=can_be_labels, none_text=nothing),
            "mask": LayerCombo(viewer, (Labels, Image), accept=can_be_labels, none_text=none),
        }
        self._layer_form = QWidget()
        form = QFormLayout(self._layer_form)
        form.setContentsMargins(0, 0, 0, 0)
        form.setFieldGrowthPolicy(QFormLayout.FieldGrowthPolicy.AllNonFixedFieldsGrow)
        for (title, tip), (name, combo) in zip(TITLES.items(), self.combos.items(), strict=True):
            form.addRow(title, combo)
            form.labelForField(combo).setToolTip(tip)
            leave_wheel(combo)
            combo.layerChanged.connect(partial(self._on_layer, name))
        self.files_button = QPushButton("Change files…")
        self.share = FloatSpinBox(lambda value: 0 < value <= LARGEST_SHARE)
        self.share.setToolTip("How many of the samples come from here, beside the others' shares")
        self.share.setButtonSymbols(FloatSpinBox.ButtonSymbols.NoButtons)
        self.share.setMaximumWidth(SHARE_WIDTH)
        leave_wheel(self.share)
        self._share_row = QWidget()
        share = QHBoxLayout(self._share_row)
        share.setContentsMargins(0, 0, 0, 0)
        share.addWidget(QLabel("Share"))
        share.addWidget(self.share)
        self._percent = QLabel()
        share.addWidget(self._percent)
        share.addStretch(1)
        self.block = BlockEdit()
        self._refusal = RefusalLabel()
        self._refusal.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(4)
        layout.addWidget(self._refusal)
        layout.addWidget(self._layer_form)
        layout.addWidget(self.files_button)
        layout.addWidget(self._share_row)
        layout.addWidget(self.block)
        self.files_button.clicked.connect(lambda: self.filesWanted.emit())
        self.share.valueChanged.connect(self._on_share)
        self.block.changed.connect(lambda block: self._change(block=block))
        self.setRow(None)

    @property
    def refusal(self) -> str:
        """Why the row is refused; empty where it is not."""
        return str(self._refusal.text())

    def setRow(self, row: TableRow | None, refusal: str = "", percent: int | None = None) -> None:
        """Show a row; silent.

        Parameters
        ----------
        row
            None for nothing.
        refusal
            Why it cannot be used.
        percent
            Of all samples, None where it is the only row, or does not train.
        """
        self._row = row
        self.setVisible(row is not None)
        if row is None:
            return
        from_files = any(isinstance(source, FileSource) for source in row.sources)
        self._layer_form.setVisible(not row.follows and not from_files)
        self.files_button.setVisible(from_files)
        for name, combo in self.combos.items():
            source = getattr(row, name)
            blocked = combo.blockSignals(True)
            combo.set_layer(source.layer if isinstance(source, LayerSource) else None)
            combo.blockSignals(blocked)
        blocked = self.share.blockSignals(True)
        self.share.setValue(row.share)
        self.share.blockSignals(blocked)
        self._share_row.setVisible(percent is not None)
        self._percent.setText(f"= {percent} % of samples")
        self.block.setVisible(row.use == "train")
        shape, axes = _voxels(row)
        self.block.setBlock(row.block, shape, axes)
        # What the red line is about says itself which part it means.
        self.block.setRefused(bool(refusal) and "validation block" in refusal)
        self._refusal.say("" if row.is_opening else refusal)

    def _on_layer(self, name: str, layer: Layer | None) -> None:
        if self._row is None:
            return
        before = getattr(self._row, name)
        removed = isinstance(before, LayerSource) and before.layer not in self._layers
        if layer is None and removed:
            return  # the row says so, instead of taking something else
        source = None if layer is None else LayerSource(layer, self._layers)
        self._change(**{name: source})

    def _on_share(self, share: float) -> None:
        if 0 < share <= LARGEST_SHARE:
            self._change(share=share)
        elif self._row is not None:
            self.share.setValue(self._row.share)

    def _change(self, **values: object) -> None:
        if self._row is not None:
            self.changed.emit(replace(self._row, **values))  # type: ignore[arg-type]


def _voxels(row: TableRow) -> tuple[tuple[int, ...], tuple[str, ...]]:
    """Give shape and axis names of the ground truth as far as it is known."""
    try:
        labels = None if row.labels is None else row.labels.array()
    except UserError:
        labels = None
    return ((), ()) if labels is None else (labels.shape, labels.axes[-labels.dims :])
