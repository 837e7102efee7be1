"""The offsets of a neighbourhood as a table: a row each, whole numbers, red where refused."""

from __future__ import annotations

import math
from collections.abc import Sequence

from qtpy.QtCore import QEvent, QObject, Qt, Signal
from qtpy.QtGui import QIcon, QPixmap
from qtpy.QtWidgets import QHeaderView, QTableWidget, QTableWidgetItem, QWidget

from napari_dacapo_tasks.arrays.numpy_array import SPACE
from napari_dacapo_tasks.tasks.neighborhoods import Offset
from napari_dacapo_tasks.widgets.neighborhood_colours import colour_of
from napari_dacapo_tasks.widgets.refused import mark

MOST_ROWS_SHOWN = 8
ROW_HEIGHT = 24
SWATCH = 12

FARTHEST = 10**6
"""Steps: no volume is larger, and what is drawn must be numbers that a screen knows."""

Texts = list[tuple[str, ...]]
"""What stands in the cells, row by row."""


class NeighborhoodTable(QTableWidget):
    """One row per offset: its steps in voxels, and how far that is.

    Signals
    -------
    edited()
        A person has changed a cell.
    hovered(int)
        The row under the pointer, -1 for none.
    """

    edited = Signal()
    hovered = Signal(int)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._dims = len(SPACE)
        self._voxel_size: tuple[float, ...] | None = None
        self._unit = ""
        self.setSelectionBehavior(QTableWidget.SelectionBehavior.SelectRows)
        self.setSelectionMode(QTableWidget.SelectionMode.ExtendedSelection)
        self.setVerticalScrollMode(QTableWidget.ScrollMode.ScrollPerPixel)
        self.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.setMouseTracking(True)
        self.setToolTip(
            "A row for each neighbour that is asked about: how many voxels away it is along each "
            "axis. Double-click a number, or just type, to change it."
        )
        columns = self.horizontalHeader()
        columns.setSectionResizeMode(QHeaderView.ResizeMode.Stretch)
        columns.setMinimumSectionSize(30)
        columns.setHighlightSections(False)
        rows = self.verticalHeader()
        rows.setSectionResizeMode(QHeaderView.ResizeMode.Fixed)
        rows.setDefaultSectionSize(ROW_HEIGHT)
        rows.setHighlightSections(False)
        self.cellEntered.connect(lambda row, _: self.hovered.emit(row))
        self.itemChanged.connect(self._on_item)
        self.viewport().installEventFilter(self)

    @property
    def dims(self) -> int:
        """Number of columns for steps."""
        return self._dims

    def texts(self) -> Texts:
        """Give what stands in the cells."""
        return [
            tuple(str(self.item(row, axis).text()).strip() for axis in range(self._dims))
            for row in range(self.rowCount())
        ]

    def setTexts(self, texts: Sequence[Sequence[str]]) -> None:
        """Put something into the cells; as many columns as the first row is long."""
        blocked = self.blockSignals(True)
        if texts:
            self._dims = len(texts[0])
        self.setColumnCount(self._dims + 1)
        self.setRowCount(len(texts))
        for row, cells in enumerate(texts):
            for axis in range(self._dims):
                cell = QTableWidgetItem(cells[axis] if axis < len(cells) else "")
                cell.setTextAlignment(Qt.AlignmentFlag.AlignCenter)
                self.setItem(row, axis, cell)
            length = QTableWidgetItem()
            length.setFlags(Qt.ItemFlag.ItemIsEnabled | Qt.ItemFlag.ItemIsSelectable)
            length.setTextAlignment(Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter)
            self.setItem(row, self._dims, length)
            self.setVerticalHeaderItem(row, QTableWidgetItem())
        self.blockSignals(blocked)
        self.refresh()
        self._fit()

    def setVoxelSize(self, voxel_size: Sequence[float] | None, unit: str) -> None:
        """Say how long a step is."""
        self._voxel_size = None if voxel_size is None else tuple(voxel_size)
        self._unit = unit
        self.refresh()

    def offsets(self) -> list[Offset]:
        """Give the offsets.

        Raises
        ------
        ValueError
            With a sentence, where a row is none, stands twice, or there is no row.
        """
        reasons = self._reasons()
        if reasons:
            raise ValueError(next(iter(reasons.values())))
        if not self.rowCount():
            raise ValueError("there is no offset: add one, or choose a preset")
        return list(self.readable().values())

    def readable(self) -> dict[int, Offset]:
        """Give the rows that are offsets, whatever stands in the others."""
        found = {}
        for row, cells in enumerate(self.texts()):
            if not any(map(_flaw, cells)):
                found[row] = tuple(int(text) for text in cells)
        return found

    def refresh(self) -> None:
        """Show lengths, colours and what is refused anew."""
        blocked = self.blockSignals(True)
        names = [*SPACE[-self._dims :], self._unit or "length"]
        self.setHorizontalHeaderLabels(names)
        reasons, readable = self._reasons(), self.readable()
        dark = self.palette().color(self.backgroundRole()).lightness() < 128
        for row in range(self.rowCount()):
            for axis in range(self._dims):
                mark(self.item(row, axis), reasons.get((row, axis), ""))
            offset = readable.get(row)
            self.item(row, self._dims).setText("" if offset is None else self._length(offset))
            swatch = QPixmap(SWATCH, SWATCH)
            swatch.fill(colour_of(offset or (), dark=dark))
            header = self.verticalHeaderItem(row)
            header.setIcon(QIcon(swatch))
            header.setText(str(row + 1))
        self.blockSignals(blocked)
        self.viewport().update()

    def _length(self, offset: Offset) -> str:
        if self._voxel_size is None or len(self._voxel_size) != len(offset):
            return ""
        steps = (n * size for n, size in zip(offset, self._voxel_size, strict=True))
        return f"{math.hypot(*steps):.4g}"

    def _reasons(self) -> dict[tuple[int, int], str]:
        """Say what is refused, cell by cell; all cells of a row that is refused as a whole."""
        reasons: dict[tuple[int, int], str] = {}
        whole = range(self._dims)
        readable = self.readable()
        for row, cells in enumerate(self.texts()):
            for axis, text in enumerate(cells):
                if flaw := _flaw(text):
                    reasons[row, axis] = (
                        f"{flaw} in row {row + 1}: give steps in voxels, such as 1 or -9"
                    )
        first: dict[Offset, int] = {}
        for row, offset in readable.items():
            reason = ""
            if not any(offset):
                reason = f"row {row + 1} leads nowhere: at least one number must not be 0"
            elif offset in first:
                reason = (
                    f"rows {first[offset] + 1} and {row + 1} are the same offset "
                    f"({', '.join(map(str, offset))}): change or remove one of them"
                )
            first.setdefault(offset, row)
            reasons |= {(row, axis): reason for axis in whole if reason}
        return reasons

    def _on_item(self, _cell: QTableWidgetItem) -> None:
        self.refresh()
        self.edited.emit()

    def _fit(self) -> None:
        """Be as high as the rows need."""
        rows = min(max(self.rowCount(), 1), MOST_ROWS_SHOWN)
        height = self.horizontalHeader().sizeHint().height() + rows * ROW_HEIGHT
        self.setFixedHeight(height + 2 * self.frameWidth() + 2)

    def eventFilter(self, watched: QObject | None, event: QEvent | None) -> bool:
        """Notice that the pointer leaves."""
        if event is not None and event.type() == QEvent.Type.Leave:
            self.hovered.emit(-1)
        return bool(super().eventFilter(watched, event))

    def changeEvent(self, event: QEvent) -> None:
        """Follow the theme."""
        super().changeEvent(event)
        if event.type() in (QEvent.Type.PaletteChange, QEvent.Type.StyleChange):
            self.refresh()


def _flaw(text: str) -> str:
    """Say what is wrong with a number of steps; empty where nothing is."""
    try:
        steps = int(text)
    except ValueError:
        return f"'{text}' is no whole number" if text else "a number is missing"
    return f"'{text}' is farther than any volume reaches" if abs(steps) > FARTHEST else ""
