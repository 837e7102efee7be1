"""The objects of a segmentation and of the ground truth, as a table of any length."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from qtpy.QtCore import QAbstractTableModel, QModelIndex, QObject, Qt, Signal
from qtpy.QtGui import QColor
from qtpy.QtWidgets import (
    QAbstractItemView,
    QComboBox,
    QHeaderView,
    QTableView,
    QVBoxLayout,
    QWidget,
)

from napari_dacapo_tasks.evaluation.objects import Kind, ObjectRow
from napari_dacapo_tasks.widgets.scores_table import SMALL

KINDS: dict[Kind, str] = {
    "missed": "Of the ground truth: no segment is much like it.",
    "false": "Of the segmentation: no object of the ground truth is much like it.",
    "merged": "Of the segmentation: it has most of several objects of the ground truth.",
    "split": "Of the ground truth: it lies in several segments.",
    "matched": "Of the ground truth: a segment shares more than half of all voxels of both.",
}
"""What became of an object, the worst first, with what that means."""

ALL, WRONG = "all", "wrong"

TITLES = ("Kind", "Channel", "Id", "IoU", "Voxels", "With")
KIND, CHANNEL, ID, IOU, VOXELS, WITH = range(len(TITLES))
TIPS = (
    "What became of the object",
    "Kind of object",
    "Of the segmentation for false and merged objects, else of the ground truth",
    "Shared voxels in parts of all voxels of both, with the partner that shares most",
    "Size of the object",
    "Ids on the other side that it overlaps with",
)

MOST_PARTNERS_SHOWN = 4
MOST_ROWS_MEASURED = 50
"""Rows that decide how wide a column is."""

ROWS_SHOWN = 8
LEAST_COLUMN = 36
ELIDED = (CHANNEL, ID, VOXELS)
"""Columns that end in an ellipsis where there is little room, the first of them first."""

DIGITS = 2


@dataclass(frozen=True)
class ObjectColumns:
    """Objects, with what a table is sorted by; made away from the main thread.

    Attributes
    ----------
    rows
        The objects.
    keys
        For each column of the table, numbers whose order is that of the column.
    kinds
        Index of each object's kind among `KINDS`.
    """

    rows: Sequence[ObjectRow]
    keys: tuple[NDArray[Any], ...]
    kinds: NDArray[np.int64]

    @classmethod
    def of(cls, rows: Sequence[ObjectRow]) -> ObjectColumns:
        """Take the numbers out of objects."""
        order = {kind: index for index, kind in enumerate(KINDS)}
        channels = {name: index for index, name in enumerate(sorted({r.channel for r in rows}))}
        kinds = np.array([order[row.kind] for row in rows], np.int64)
        keys = (
            kinds,
            np.array([channels[row.channel] for row in rows], np.int64),
            np.array([row.id for row in rows], np.uint64),
            np.array([row.iou for row in rows], float),
            np.array([row.voxels for row in rows], np.int64),
            np.array([len(row.partners) for row in rows], np.int64),
        )
        return cls(rows, keys, kinds)

    def count(self, kind: str) -> int:
        """Give how many objects there are of a kind, of `ALL` or of those that are `WRONG`."""
        return int(np.count_nonzero(self.of_kind(kind)))

    def of_kind(self, kind: str) -> NDArray[np.bool_]:
        """Say of each object whether it is of a kind, of `ALL` or of those that are `WRONG`."""
        if kind == ALL:
            return np.ones(len(self.rows), np.bool_)
        names: list[str] = list(KINDS)
        if kind == WRONG:
            return np.asarray(self.kinds != names.index("matched"))
        return np.asarray(self.kinds == names.index(kind))


NO_OBJECTS = ObjectColumns.of(())


class ObjectsModel(QAbstractTableModel):
    """Objects in an order, filtered: what is not seen costs nothing."""

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._columns = NO_OBJECTS
        self._shown: NDArray[np.int64] = np.empty(0, np.int64)
        self._filter = ALL
        self._sort: tuple[int, bool] | None = None
        self._colours: dict[str, str] = {}

    def setColumns(self, columns: ObjectColumns) -> None:
        """Show other objects."""
        self._columns = columns
        self._arrange()

    def setFilter(self, kind: str) -> None:
        """Show those of a kind only."""
        self._filter = kind
        self._arrange()

    def setColours(self, colours: dict[str, str]) -> None:
        """Colour the dots of kinds as their mistakes are coloured elsewhere."""
        self._colours = colours

    def object_at(self, row: int) -> ObjectRow:
        """Give the object in a row."""
        return self._columns.rows[int(self._shown[row])]

    def rowCount(self, parent: QModelIndex | None = None) -> int:
        """Give how many are shown."""
        return 0 if parent is not None and parent.isValid() else len(self._shown)

    def columnCount(self, parent: QModelIndex | None = None) -> int:
        """Give the number of columns."""
        return 0 if parent is not None and parent.isValid() else len(TITLES)

    def headerData(self, section: int, orientation: Any, role: int = 0) -> Any:
        """Name the columns."""
        if orientation != Qt.Orientation.Horizontal:
            return None
        if role == Qt.ItemDataRole.DisplayRole:
            return TITLES[section]
        return TIPS[section] if role == Qt.ItemDataRole.ToolTipRole else None

    def data(self, index: QModelIndex, role: int = Qt.ItemDataRole.DisplayRole) -> Any:
        """Write a cell."""
        row, column = self.object_at(index.row()), index.column()
        if role == Qt.ItemDataRole.DisplayRole:
            return _written(row, column)
        if role == Qt.ItemDataRole.TextAlignmentRole and column in (ID, IOU, VOXELS):
            return int(Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter)
        if role == Qt.ItemDataRole.DecorationRole and column == KIND:
            return QColor(self._colours.get(row.kind, "transparent"))
        if role == Qt.ItemDataRole.ToolTipRole:
            if column == KIND:
                return KINDS[row.kind]
            if column == WITH:
                return ", ".join(map(str, row.partners))
            return _written(row, column) if column in ELIDED else None
        return None

    def sort(self, column: int, order: Qt.SortOrder = Qt.SortOrder.AscendingOrder) -> None:
        """Bring them into the order of a column."""
        self._sort = (column, order == Qt.SortOrder.DescendingOrder) if column >= 0 else None
        self._arrange()

    def _arrange(self) -> None:
        self.beginResetModel()
        shown = np.flatnonzero(self._columns.of_kind(self._filter))
        if self._sort is not None:
            column, descending = self._sort
            keys = self._columns.keys[column][shown]
            if descending:
                # Those that are alike stay in their order, and NaN stays last.
                keys = -keys if keys.dtype.kind == "f" else ~keys
            order = np.argsort(keys, kind="stable")
            shown = shown[order]
        self._shown = shown
        self.endResetModel()


class _View(QTableView):
    """A table that says when it has more or less room."""

    resized = Signal()

    def resizeEvent(self, event: Any) -> None:
        super().resizeEvent(event)
        self.resized.emit()


class ObjectsTable(QWidget):
    """A choice of kinds over a table of objects.

    Signals
    -------
    chosen(object)
        An `ObjectRow` to go to.
    """

    chosen = Signal(object)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._columns = NO_OBJECTS
        self.filter_combo = QComboBox()
        self.filter_combo.setToolTip("Which objects are listed")
        self.model = ObjectsModel(self)
        self.view = _View()
        self.view.setModel(self.model)
        self.view.setSelectionBehavior(QAbstractItemView.SelectionBehavior.SelectRows)
        self.view.setSelectionMode(QAbstractItemView.SelectionMode.SingleSelection)
        self.view.setWordWrap(False)
        self.view.setToolTip("A click goes to the object in the viewer")
        font = self.view.font()
        font.setPointSizeF(SMALL * font.pointSizeF())
        self.view.setFont(font)
        self.view.horizontalHeader().setFont(font)
        self.view.verticalHeader().hide()
        rows = self.view.verticalHeader()
        rows.setSectionResizeMode(QHeaderView.ResizeMode.Fixed)
        rows.setDefaultSectionSize(self.view.fontMetrics().height() + 6)
        header = self.view.horizontalHeader()
        header.setResizeContentsPrecision(MOST_ROWS_MEASURED)
        header.setStretchLastSection(True)
        header.setMinimumSectionSize(LEAST_COLUMN)
        header.setHighlightSections(False)
        header.setSortIndicator(KIND, Qt.SortOrder.AscendingOrder)
        self.view.setSortingEnabled(True)
        height = rows.defaultSectionSize() * ROWS_SHOWN + header.sizeHint().height()
        self.view.setMinimumHeight(height + 2 * self.view.frameWidth())
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(self.filter_combo)
        layout.addWidget(self.view)
        self._name_kinds()
        self.filter_combo.currentIndexChanged.connect(self._on_filter)
        self.view.selectionModel().currentRowChanged.connect(self._on_row)
        self.view.clicked.connect(self._on_row)
        self.view.activated.connect(self._on_row)
        self.view.resized.connect(self._fit)

    @property
    def columns(self) -> ObjectColumns:
        """All objects, also those that are not listed."""
        return self._columns

    def show_objects(self, columns: ObjectColumns, *, channels: bool) -> None:
        """List objects in place of those before.

        Parameters
        ----------
        columns
            Of the objects.
        channels
            Whether there are several channels, to be told apart.
        """
        self._columns = columns
        self._name_kinds()
        self.model.setColumns(columns)
        self.view.setColumnHidden(CHANNEL, not channels)
        self._fit()

    def setColours(self, colours: dict[str, str]) -> None:
        """Colour the kinds as their mistakes are coloured elsewhere."""
        self.model.setColours(colours)

    def _name_kinds(self) -> None:
        said = {ALL: "All objects", WRONG: "Those that are wrong"}
        said |= {kind: kind.capitalize() for kind in KINDS}
        combo = self.filter_combo
        index = max(combo.currentIndex(), 0)
        blocked = combo.blockSignals(True)
        combo.clear()
        for kind, title in said.items():
            combo.addItem(f"{title} ({self._columns.count(kind):,})", kind)
        combo.setCurrentIndex(index)
        combo.blockSignals(blocked)

    def _fit(self) -> None:
        """Let every column have what it needs, as far as there is room."""
        view, header = self.view, self.view.horizontalHeader()
        widths = {
            column: max(view.sizeHintForColumn(column), header.sectionSizeHint(column))
            for column in range(len(TITLES))
            if not view.isColumnHidden(column)
        }
        widths[WITH] = LEAST_COLUMN  # and what else there is room for
        for column in ELIDED:
            missing = sum(widths.values()) - view.viewport().width()
            if column in widths and missing > 0:
                widths[column] = max(LEAST_COLUMN, widths[column] - missing)
        for column, width in widths.items():
            view.setColumnWidth(column, width)

    def _on_filter(self, _index: int) -> None:
        self.model.setFilter(self.filter_combo.currentData())
        self._fit()

    def _on_row(self, index: QModelIndex, _before: QModelIndex | None = None) -> None:
        if index.isValid():
            self.chosen.emit(self.model.object_at(index.row()))


def _written(row: ObjectRow, column: int) -> str:
    if column == KIND:
        return row.kind
    if column == ID:
        return str(row.id)
    if column == IOU:
        return "–" if row.iou != row.iou else f"{row.iou:.{DIGITS}f}"
    if column == VOXELS:
        return f"{row.voxels:,}"
    if column == CHANNEL:
        return row.channel
    shown = ", ".join(map(str, row.partners[:MOST_PARTNERS_SHOWN]))
    return f"{shown}, …" if len(row.partners) > MOST_PARTNERS_SHOWN else shown
