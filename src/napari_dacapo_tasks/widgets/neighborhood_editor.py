"""Which neighbours affinities ask about: a preset, a table, and a picture of both."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from qtpy.QtCore import QEvent, Qt
from qtpy.QtGui import QKeySequence
from qtpy.QtWidgets import (
    QHBoxLayout,
    QPushButton,
    QSizePolicy,
    QVBoxLayout,
    QWidget,
)
from typing_extensions import override

from napari_dacapo_tasks.arrays.numpy_array import SPACE
from napari_dacapo_tasks.tasks import Measured
from napari_dacapo_tasks.tasks.neighborhoods import PRESETS, Offset
from napari_dacapo_tasks.widgets.elided_combo import ElidedCombo
from napari_dacapo_tasks.widgets.fields import FieldEditor, leave_wheel
from napari_dacapo_tasks.widgets.neighborhood_picture import NeighborhoodPicture
from napari_dacapo_tasks.widgets.neighborhood_table import NeighborhoodTable, Texts
from napari_dacapo_tasks.widgets.refused import frame

PROPOSED = "Proposed for this ground truth"

CUSTOM = "Custom"
"""What the presets say of offsets that are none of them; not to be chosen."""

TITLES = [*PRESETS, PROPOSED, CUSTOM]

MOST_UNDONE = 100
"""Changes that can be taken back."""


class NeighborhoodEditor(FieldEditor):
    """Edits a list of offsets.

    Until `setMeasured` the voxels are taken for cubes, and as many axes for right as there are.
    """

    wide = True

    def __init__(self) -> None:
        self.preset_combo = ElidedCombo()
        self.preset_combo.addItems(TITLES)
        for title in (PROPOSED, CUSTOM):
            self.preset_combo.model().item(TITLES.index(title)).setEnabled(False)
        self.preset_combo.setToolTip("Start from a neighbourhood that is often used")
        self.table = NeighborhoodTable()
        self.picture = NeighborhoodPicture()
        self.add_button = QPushButton("Add offset")
        self.add_button.setToolTip("Add a row: twice as far as the selected one")
        self.remove_button = QPushButton("Remove")
        self.remove_button.setToolTip("Remove the selected rows")
        self.undo_button = QPushButton("Undo")
        self.undo_button.setToolTip("Take back the last change of the neighbourhood (Ctrl+Z)")
        content = QWidget()
        super().__init__(content)
        self.setFocusProxy(self.preset_combo)
        self.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        content.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        self._measured: Measured | None = None
        self._proposed: list[Offset] = []
        self._shown: Texts = []
        self._earlier: list[Texts] = []
        self._lay_out(content)

        self.preset_combo.activated.connect(self._on_preset)
        leave_wheel(self.preset_combo)
        self.table.edited.connect(self._on_edited)
        self.table.hovered.connect(self.picture.setHovered)
        self.table.itemSelectionChanged.connect(self._on_selection)
        self.picture.hovered.connect(self._on_picture_hovered)
        self.picture.chosen.connect(self.table.selectRow)
        self.add_button.clicked.connect(self._add)
        self.remove_button.clicked.connect(self._remove)
        self.undo_button.clicked.connect(self.undo)
        self._show([])

    @override
    def value(self) -> list[Offset]:
        offsets = self.table.offsets()
        wanted = self._data_dims()
        if wanted != self.table.dims:
            raise ValueError(
                f"these offsets have {self.table.dims} numbers and the ground truth has "
                f"{wanted} axes ({', '.join(SPACE[-wanted:])}): choose a preset"
            )
        return offsets

    @override
    def setValue(self, value: Any) -> None:
        texts = [tuple(str(step) for step in offset) for offset in value]
        if texts != self._shown:
            self._earlier.clear()
        self._show(texts)

    @override
    def setProposal(self, value: Any, least: float) -> None:
        self._proposed = [tuple(offset) for offset in value]
        self.preset_combo.model().item(TITLES.index(PROPOSED)).setEnabled(True)
        self._follow()

    @override
    def setMeasured(self, measured: Measured) -> None:
        self._measured = measured
        self.table.setVoxelSize(measured.voxel_size, measured.unit)
        self._show(self._shown)

    @override
    def setRefused(self, refused: bool) -> None:
        frame(self.table, refused)

    def undo(self) -> None:
        """Take back the last change by a person."""
        if self._earlier:
            self._show(self._earlier.pop())
            self.changed.emit()

    def _lay_out(self, content: QWidget) -> None:
        self.preset_combo.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        buttons = QHBoxLayout()
        for button in (self.add_button, self.remove_button, self.undo_button):
            buttons.addWidget(button)
        column = QVBoxLayout(content)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(4)
        column.addWidget(self.preset_combo)
        column.addWidget(self.picture)
        column.addWidget(self.table)
        column.addLayout(buttons)

    def _data_dims(self) -> int:
        return self.table.dims if self._measured is None else len(self._measured.voxel_size)

    def _voxel_size(self) -> tuple[float, ...]:
        return (1.0,) * self.table.dims if self._measured is None else self._measured.voxel_size

    def _show(self, texts: Texts) -> None:
        """Show rows, of which nothing is said to others."""
        self._shown = texts
        if texts != self.table.texts() or not texts:
            self.table.setTexts(texts)
        self._follow()

    def _change(self, texts: Sequence[Sequence[str]]) -> None:
        """Show rows that a person wants."""
        wanted = [tuple(row) for row in texts]
        if wanted == self._shown:
            return
        self._earlier = [*self._earlier[-MOST_UNDONE:], self._shown]
        self._show(wanted)
        self.changed.emit()

    def _follow(self) -> None:
        """Let preset, buttons and picture fit the rows."""
        readable = self.table.readable()
        self.preset_combo.setCurrentIndex(self._preset(list(readable.values())))
        self.undo_button.setEnabled(bool(self._earlier))
        self.remove_button.setEnabled(self.table.rowCount() > 1)
        unit = "" if self._measured is None else self._measured.unit
        size = self._voxel_size()
        # Offsets for other data are drawn as if their voxels were cubes.
        fits = len(size) == self.table.dims
        self.picture.setOffsets(readable, size if fits else (1.0,) * self.table.dims, unit)

    def _presets(self) -> list[list[Offset]]:
        size = self._voxel_size()
        return [*(make(size) for make in PRESETS.values()), self._proposed]

    def _preset(self, offsets: list[Offset]) -> int:
        """Give the place of the preset that is shown; of several that are, the chosen one."""
        current = self.preset_combo.currentIndex()
        found = [place for place, preset in enumerate(self._presets()) if preset == offsets]
        if len(offsets) != self.table.rowCount() or not found:
            return TITLES.index(CUSTOM)
        return current if current in found else found[0]

    def _on_preset(self, index: int) -> None:
        if TITLES[index] != CUSTOM:
            offsets = self._presets()[index]
            self._change([[str(step) for step in offset] for offset in offsets])
            self.table.clearSelection()

    def _on_edited(self) -> None:
        self._change(self.table.texts())

    def _on_selection(self) -> None:
        self.picture.setSelected({index.row() for index in self.table.selectedIndexes()})

    def _on_picture_hovered(self, row: int) -> None:
        self.picture.setHovered(row)
        if row >= 0:
            self.table.scrollToItem(self.table.item(row, 0))

    def _add(self) -> None:
        """Add a row that goes on from the selected one, and is none that there is."""
        readable = self.table.readable()
        row = self.table.currentRow()
        unit = (0,) * (self.table.dims - 1) + (1,)
        offset = readable.get(row if row >= 0 else self.table.rowCount() - 1, unit)
        offset = offset if any(offset) else unit
        while offset in readable.values():
            offset = tuple(2 * step for step in offset)
        self._change([*self.table.texts(), [str(step) for step in offset]])
        self.table.selectRow(self.table.rowCount() - 1)
        self.table.scrollToBottom()

    def _remove(self) -> None:
        selected = {index.row() for index in self.table.selectedIndexes()}
        selected = selected or {self.table.rowCount() - 1}
        self._change([cells for row, cells in enumerate(self.table.texts()) if row not in selected])
        self.table.clearSelection()

    def event(self, event: QEvent) -> bool:
        """Keep the keys for Undo from the rest of the window."""
        if event.type() == QEvent.Type.ShortcutOverride and event.matches(
            QKeySequence.StandardKey.Undo
        ):
            event.accept()
            return True
        return bool(super().event(event))

    def keyPressEvent(self, event: Any) -> None:
        """Undo, and remove selected rows, by keys."""
        if event.matches(QKeySequence.StandardKey.Undo):
            self.undo()
        elif event.key() == Qt.Key.Key_Delete and self.remove_button.isEnabled():
            self._remove()
        else:
            super().keyPressEvent(event)
