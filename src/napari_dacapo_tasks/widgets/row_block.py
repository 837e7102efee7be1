"""The part of a crop that validates: as a share at one end, and as exact slices of its voxels."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from qtpy.QtCore import Signal
from qtpy.QtWidgets import (
    QCheckBox,
    QComboBox,
    QHBoxLayout,
    QLabel,
    QLineEdit,
    QSpinBox,
    QVBoxLayout,
    QWidget,
)

from napari_dacapo_tasks.widgets.fields import leave_wheel
from napari_dacapo_tasks.widgets.refused import STYLE, frame

USUAL_SHARE = 20
"""Percent that are offered."""

MOST_SHARE = 90

PERCENT_WIDTH, AXIS_WIDTH = 52, 60

NARROW = "QSpinBox, QComboBox { min-width: 0px; }"
"""The dock is narrow; napari's style asks for wide ones."""


def block_at_end(percent: int, axis: int, shape: Sequence[int]) -> str:
    """Write the slices of the last percent of an axis: ``"96:120,:,:"``; at least a voxel."""
    size = shape[axis]
    begin = min(size - round(size * percent / 100), size - 1)
    return ",".join(f"{begin}:{size}" if index == axis else ":" for index in range(len(shape)))


def share_at_end(block: str, shape: Sequence[int]) -> tuple[int, int] | None:
    """Give the percent and the axis that `block_at_end` writes as this block, None for others.

    Of several that give the same slices, the roundest.
    """
    for axis in range(len(shape)):
        for percent in sorted(range(1, MOST_SHARE + 1), key=lambda one: (one % 5 > 0, one % 10)):
            if block_at_end(percent, axis, shape) == block.replace(" ", ""):
                return percent, axis
    return None


class BlockEdit(QWidget):
    """Edits the validation block of one crop.

    Signals
    -------
    changed(object)
        The block as entered, None for none.
    """

    changed = Signal(object)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setStyleSheet(f"{STYLE} {NARROW}")
        self._shape: tuple[int, ...] = ()
        self.box = QCheckBox("Validate on the last")
        self.box.setToolTip(
            "Keep a part of this crop to validate on. What the network sees of it in training is "
            "left out, too."
        )
        self.percent = QSpinBox()
        self.percent.setRange(1, MOST_SHARE)
        self.percent.setValue(USUAL_SHARE)
        self.percent.setSuffix(" %")
        self.percent.setKeyboardTracking(False)
        # The dock is narrow, and the arrow keys step, too.
        self.percent.setButtonSymbols(QSpinBox.ButtonSymbols.NoButtons)
        self.percent.setMaximumWidth(PERCENT_WIDTH)
        self.percent.setToolTip("How much of the axis validates, at its end")
        self.axis = QComboBox()
        self.axis.setToolTip("The axis at whose end is validated")
        self.axis.setMaximumWidth(AXIS_WIDTH)
        self.line = QLineEdit()
        self.line.setToolTip(
            "Slices in voxels of the ground truth, one for each axis; : stands for all of it"
        )
        self._slices = QWidget()
        for control in (self.percent, self.axis):
            leave_wheel(control)
        row = QHBoxLayout()
        row.setSpacing(4)
        row.addWidget(self.box)
        row.addWidget(self.percent)
        row.addWidget(QLabel("of"))
        row.addWidget(self.axis)
        row.addStretch(1)
        exact = QHBoxLayout(self._slices)
        exact.setContentsMargins(0, 0, 0, 0)
        exact.addWidget(QLabel("Voxels"))
        exact.addWidget(self.line, 1)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addLayout(row)
        layout.addWidget(self._slices)
        self.box.toggled.connect(self._on_share)
        self.percent.valueChanged.connect(self._on_share)
        self.axis.currentIndexChanged.connect(self._on_share)
        self.line.editingFinished.connect(self._on_line)
        self.setBlock(None, ())

    def setBlock(self, block: str | None, shape: Sequence[int], axes: Sequence[str] = ()) -> None:
        """Show a block of a ground truth that has a shape and names of axes; silent."""
        self._shape = tuple(shape)
        widgets: tuple[Any, ...] = (self.box, self.percent, self.axis, self.line)
        for widget in widgets:
            widget.blockSignals(True)
        if [self.axis.itemText(index) for index in range(self.axis.count())] != list(axes):
            self.axis.clear()
            self.axis.addItems(list(axes))
        found = share_at_end(block, shape) if block else None
        if found is not None:
            self.axis.setCurrentIndex(found[1])
            # Several shares may give the same slices: the one that was entered stays.
            if block_at_end(self.percent.value(), found[1], shape) != block:
                self.percent.setValue(found[0])
        self.box.setChecked(block is not None)
        if not self.line.hasFocus() or not block:
            self.line.setText(block or "")
        for widget in widgets:
            widget.blockSignals(False)
        self.box.setEnabled(bool(shape) or block is not None)
        by_share = block is None or found is not None
        for widget in (self.percent, self.axis):
            widget.setEnabled(by_share and bool(shape))
        self._slices.setVisible(block is not None)

    def setRefused(self, refused: bool) -> None:
        """Frame the slices in red, or no more."""
        frame(self.line, refused)

    def _on_share(self, _value: object = None) -> None:
        if not self.box.isChecked():
            self.changed.emit(None)
        elif self._shape:
            axis = max(self.axis.currentIndex(), 0)
            self.changed.emit(block_at_end(self.percent.value(), axis, self._shape))

    def _on_line(self) -> None:
        text = self.line.text().strip()
        self.changed.emit(text or None)
