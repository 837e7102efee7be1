"""Every combination of a sweep with its scores, as a table."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from qtpy.QtCore import QAbstractTableModel, QModelIndex, QObject, Qt, Signal
from qtpy.QtGui import QColor, QFont
from qtpy.QtWidgets import QAbstractItemView, QHeaderView, QTableView, QWidget

from napari_dacapo_tasks.evaluation.ranges import format_values
from napari_dacapo_tasks.evaluation.sweep import SweepResult, SweepRow
from napari_dacapo_tasks.tasks.evaluators.evaluator import Criterion
from napari_dacapo_tasks.units import WorldUnit
from napari_dacapo_tasks.widgets.refused import REFUSED_COLOUR
from napari_dacapo_tasks.widgets.scores_table import HIGHER, LOWER, SMALL, say_score

BEST = "★"
FAILED = "failed"
ROWS_SHOWN = 7
ROWS_MEASURED = 20
"""That decide how wide a column is."""

RIGHT = int(Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter)

WIDEST = 92
"""Pixels of a column: the first ones are to be seen in a narrow dock."""


class SweepModel(QAbstractTableModel):
    """Rows of a sweep in an order: the chosen score, the parameters, then all other scores."""

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self.result: SweepResult | None = None
        self._criteria: list[Criterion] = []
        self._channel: str | None = None
        self._titles: Mapping[str, str] = {}
        self._best: SweepRow | None = None
        self._order: list[int] = []
        self._sort: tuple[int, bool] | None = None

    def show_result(
        self, result: SweepResult, criterion: str, channel: str | None, titles: Mapping[str, str]
    ) -> None:
        """Show a sweep in place of the one before; arguments as of `SweepPlot.show_result`."""
        self.beginResetModel()
        if self.result is None or self.result.names != result.names:
            self._sort = None
        first = result.criterion(criterion)
        self.result, self._channel, self._titles = result, channel, titles
        self._criteria = [first, *(one for one in result.criteria if one.name != first.name)]
        self._best = result.best(criterion, channel)
        self._arrange()
        self.endResetModel()

    def index_at(self, row: int) -> int:
        """Give the index, in the result, of what a row of the table shows."""
        return self._order[row]

    def row_of(self, index: int) -> int:
        """Give the row of the table that shows what has this index in the result."""
        return self._order.index(index)

    def rowCount(self, parent: QModelIndex | None = None) -> int:
        """Give how many are shown."""
        return 0 if parent is not None and parent.isValid() else len(self._order)

    def columnCount(self, parent: QModelIndex | None = None) -> int:
        """Give the number of columns."""
        if self.result is None or (parent is not None and parent.isValid()):
            return 0
        return len(self.result.names) + len(self._criteria)

    def headerData(self, section: int, orientation: Any, role: int = 0) -> Any:
        """Name the columns; an arrow says which way is better."""
        if orientation != Qt.Orientation.Horizontal or section >= self.columnCount():
            return None
        what = self._what(section)
        if isinstance(what, str):
            shown = self._titles.get(what, what)
            shows = (Qt.ItemDataRole.DisplayRole, Qt.ItemDataRole.ToolTipRole)
            return shown if role in shows else None
        if role == Qt.ItemDataRole.ToolTipRole:
            return f"<p><b>{what.title}</b>: {what.description}</p>"
        if role == Qt.ItemDataRole.DisplayRole:
            return f"{HIGHER if what.higher_is_better else LOWER} {what.title}"
        return None

    def _what(self, column: int) -> str | Criterion:
        """Give the parameter or the criterion of a column."""
        assert self.result is not None
        names = self.result.names
        if 1 <= column <= len(names):
            return names[column - 1]
        return self._criteria[column - len(names) if column else 0]

    def data(self, index: QModelIndex, role: int = Qt.ItemDataRole.DisplayRole) -> Any:
        """Write a cell."""
        assert self.result is not None
        row, column = self.result.rows[self._order[index.row()]], index.column()
        if role == Qt.ItemDataRole.DisplayRole:
            return self._written(row, column)
        if role == Qt.ItemDataRole.TextAlignmentRole:
            return RIGHT
        if role == Qt.ItemDataRole.ToolTipRole:
            return row.error or None
        if role == Qt.ItemDataRole.ForegroundRole and row.error:
            return QColor(REFUSED_COLOUR)
        if role == Qt.ItemDataRole.FontRole and row is self._best:
            font = QFont()
            font.setBold(True)
            return font
        return None

    def sort(self, column: int, order: Qt.SortOrder = Qt.SortOrder.AscendingOrder) -> None:
        """Bring rows into the order of a column; what has no score comes last."""
        self.beginResetModel()
        self._sort = (column, order == Qt.SortOrder.DescendingOrder) if column >= 0 else None
        self._arrange()
        self.endResetModel()

    def _arrange(self) -> None:
        rows = self.result.rows if self.result is not None else ()
        self._order = list(range(len(rows)))
        if self._sort is None or self._sort[0] >= self.columnCount():
            return
        column, descending = self._sort
        keys = self._keys(column)
        keys = -keys if descending else keys
        self._order = [int(index) for index in np.argsort(keys, kind="stable")]

    def _keys(self, column: int) -> Any:
        """Give numbers whose order is that of a column."""
        assert self.result is not None
        what, rows = self._what(column), self.result.rows
        if not isinstance(what, str):
            return np.array([row.score(what.name, self._channel) for row in rows], float)
        values = [row.values[what] for row in rows]
        if all(isinstance(value, (bool, int, float)) for value in values):
            return np.array(values, float)
        places = {text: place for place, text in enumerate(sorted(map(str, values)))}
        return np.array([places[str(value)] for value in values], float)

    def _written(self, row: SweepRow, column: int) -> str:
        assert self.result is not None
        what = self._what(column)
        if isinstance(what, str):
            return format_values((row.values[what],))
        if row.error:
            return "" if column else FAILED
        score = row.score(what.name, self._channel)
        said = say_score(what, score, WorldUnit(self.result.unit))
        return f"{BEST} {said}" if column == 0 and row is self._best else said


class SweepTable(QTableView):
    """Shows a `SweepModel`; a click chooses a row.

    Signals
    -------
    chosen(int)
        Index, in the result, of the row that a person has clicked or gone to.
    """

    chosen = Signal(int)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.rows = SweepModel(self)
        self._fitted: tuple[Any, int] = None, 0
        self.setModel(self.rows)
        self.setSelectionBehavior(QAbstractItemView.SelectionBehavior.SelectRows)
        self.setSelectionMode(QAbstractItemView.SelectionMode.SingleSelection)
        self.setHorizontalScrollMode(QAbstractItemView.ScrollMode.ScrollPerPixel)
        self.setWordWrap(False)
        self.setToolTip("A click lets the Segment tab use these parameters")
        font = self.font()
        font.setPointSizeF(SMALL * font.pointSizeF())
        self.setFont(font)
        header = self.horizontalHeader()
        header.setFont(font)
        header.setHighlightSections(False)
        header.setResizeContentsPrecision(ROWS_MEASURED)
        header.setDefaultAlignment(Qt.AlignmentFlag.AlignLeft | Qt.AlignmentFlag.AlignVCenter)
        header.setTextElideMode(Qt.TextElideMode.ElideRight)
        header.setSortIndicator(-1, Qt.SortOrder.AscendingOrder)
        self.setSortingEnabled(True)
        lines = self.verticalHeader()
        lines.hide()
        lines.setSectionResizeMode(QHeaderView.ResizeMode.Fixed)
        lines.setDefaultSectionSize(self.fontMetrics().height() + 6)
        height = lines.defaultSectionSize() * ROWS_SHOWN + header.sizeHint().height()
        self.setFixedHeight(
            height + self.horizontalScrollBar().sizeHint().height() + 2 * self.frameWidth()
        )
        self.clicked.connect(self._on_row)
        self.activated.connect(self._on_row)

    def show_result(
        self, result: SweepResult, criterion: str, channel: str | None, titles: Mapping[str, str]
    ) -> None:
        """Show a sweep; arguments as of `SweepPlot.show_result`."""
        self.rows.show_result(result, criterion, channel, titles)
        columns = (result.names, criterion, [one.name for one in result.criteria])
        # It takes longer than all else, and rows come on and on.
        if columns == self._fitted[0] and len(result.rows) < 2 * self._fitted[1]:
            return
        self._fitted = columns, len(result.rows)
        self.resizeColumnsToContents()
        for column in range(self.rows.columnCount()):
            self.setColumnWidth(column, min(self.columnWidth(column), WIDEST))

    def mark(self, index: int | None) -> None:
        """Select the row of what has this index in the result."""
        if index is None:
            self.clearSelection()
        else:
            self.selectRow(self.rows.row_of(index))

    def shown(self) -> Sequence[Sequence[str]]:
        """Give the text of all cells."""
        columns = range(self.rows.columnCount())
        return [
            [self.rows.data(self.rows.index(row, column)) for column in columns]
            for row in range(self.rows.rowCount())
        ]

    def _on_row(self, index: QModelIndex) -> None:
        if index.isValid():
            self.chosen.emit(self.rows.index_at(index.row()))
