"""The table of crops in the Train dock."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from qtpy.QtCore import QModelIndex, QRect, QSize, Qt, Signal
from qtpy.QtGui import QColor, QPainter, QPalette
from qtpy.QtWidgets import (
    QAbstractItemView,
    QComboBox,
    QHeaderView,
    QStyle,
    QStyledItemDelegate,
    QStyleOptionViewItem,
    QTableWidget,
    QTableWidgetItem,
    QWidget,
)

from napari_dacapo_tasks.widgets.fields import leave_wheel
from napari_dacapo_tasks.widgets.refused import CELL_ALPHA, REFUSED_COLOUR
from napari_dacapo_tasks.widgets.row_checks import USES, TableRow, described

DATA, USE, SHARE = 0, 1, 2
SECOND_LINE = Qt.ItemDataRole.UserRole
REFUSED = Qt.ItemDataRole.UserRole + 1

MARGIN = 4
SPACE = 2
USE_WIDTH, SHARE_WIDTH = 102, 54
DIM = 0.65
"""Opacity of a second line beside the first."""

MOST_ROWS_SHOWN = 5


class DataTable(QTableWidget):
    """Shows rows; it keeps none of them, what a person wants of them is told by signals.

    Signals
    -------
    useChosen(int, str)
        Another use of a row.
    chosen(int)
        Another row is selected; -1 for none.
    dropped(object)
        Paths of files and folders.
    removed()
        The delete key was pressed.
    """

    useChosen = Signal(int, str)
    chosen = Signal(int)
    dropped = Signal(object)
    removed = Signal()

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(0, 3, parent)
        self._read_only = False
        self.setHorizontalHeaderLabels(["Crop", "Use", "Share"])
        for column, tip in (
            (DATA, "Raw data and ground truth; files and folders can be dropped here"),
            (USE, "Whether a crop trains, validates or is left out"),
            (SHARE, "How many of the samples come from a crop"),
        ):
            self.horizontalHeaderItem(column).setToolTip(tip)
        self.verticalHeader().hide()
        header = self.horizontalHeader()
        header.setMinimumSectionSize(SHARE_WIDTH)
        header.setSectionResizeMode(DATA, QHeaderView.ResizeMode.Stretch)
        for column, width in ((USE, USE_WIDTH), (SHARE, SHARE_WIDTH)):
            header.setSectionResizeMode(column, QHeaderView.ResizeMode.Fixed)
            self.setColumnWidth(column, width)
        self.setSelectionBehavior(QAbstractItemView.SelectionBehavior.SelectRows)
        self.setSelectionMode(QAbstractItemView.SelectionMode.SingleSelection)
        self.setEditTriggers(QAbstractItemView.EditTrigger.NoEditTriggers)
        self.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.setWordWrap(False)
        self.setShowGrid(False)
        self.setItemDelegateForColumn(DATA, _TwoLines(self))
        self.setAcceptDrops(True)
        self.currentCellChanged.connect(lambda row, *_: self.chosen.emit(row))

    def setRows(
        self, rows: Sequence[TableRow], refusals: Sequence[str], details: Sequence[str] = ()
    ) -> None:
        """Show rows, each with why it is refused (empty where it is not); silent.

        Parameters
        ----------
        details
            Second lines, by default shape and voxel size.
        """
        blocked = self.blockSignals(True)
        current = self.currentRow()
        self.setRowCount(len(rows))
        shares = percents(rows)
        for index, (row, refusal) in enumerate(zip(rows, refusals, strict=True)):
            self._fill(index, row, refusal, shares[index], details[index] if details else None)
        if rows:
            self.setCurrentCell(min(max(current, 0), len(rows) - 1), DATA)
        self.blockSignals(blocked)
        self._fit()

    def setReadOnly(self, read_only: bool) -> None:
        """Forbid to change anything; looking is always possible."""
        self._read_only = read_only
        self.setAcceptDrops(not read_only)
        for index in range(self.rowCount()):
            self.cellWidget(index, USE).setEnabled(not read_only)

    def refusal(self, index: int) -> str:
        """Why a row is refused; empty where it is not."""
        return str(self.item(index, DATA).data(REFUSED) or "")

    def _fill(
        self, index: int, row: TableRow, refusal: str, share: int | None, detail: str | None
    ) -> None:
        data = self._item(index, DATA)
        data.setText(row.name)
        second = described(row) if detail is None else detail
        if row.is_opening:
            second = "opening…"
        waits = refusal and not row.is_opening
        data.setData(REFUSED, refusal if waits else "")
        data.setData(SECOND_LINE, refusal if waits else second)
        data.setToolTip(_tip(row, second, refusal))
        combo = self.cellWidget(index, USE)
        if combo is None:
            combo = QComboBox()
            combo.addItems(USES)
            leave_wheel(combo)
            combo.currentTextChanged.connect(self._on_use)
            self.setCellWidget(index, USE, combo)
        combo.blockSignals(True)
        combo.setCurrentText(row.use)
        combo.blockSignals(False)
        combo.setEnabled(not self._read_only)
        shown = self._item(index, SHARE)
        shown.setText("" if share is None else f"{share} %")
        shown.setTextAlignment(Qt.AlignmentFlag.AlignCenter)
        shown.setToolTip("Of all samples that training draws")
        self.setRowHeight(index, self._row_height())

    def _item(self, index: int, column: int) -> QTableWidgetItem:
        item = self.item(index, column)
        if item is None:
            item = QTableWidgetItem()
            self.setItem(index, column, item)
        return item

    def _row_height(self) -> int:
        lines = 2 * self.fontMetrics().height() + SPACE + 2 * MARGIN
        return max(lines, QComboBox().sizeHint().height() + 2)

    def _fit(self) -> None:
        """Be as high as the rows need, with room for one more to be dropped where there is none."""
        rows = min(max(self.rowCount(), 1), MOST_ROWS_SHOWN)
        height = self.horizontalHeader().sizeHint().height() + rows * self._row_height()
        self.setFixedHeight(height + 2 * self.frameWidth())

    def _on_use(self, use: str) -> None:
        combo = self.sender()
        for index in range(self.rowCount()):
            if self.cellWidget(index, USE) is combo:
                self.useChosen.emit(index, use)

    # What is dropped, and keys

    def mimeTypes(self) -> list[str]:
        """Name what can be dropped."""
        return ["text/uri-list"]

    def dragEnterEvent(self, event: Any) -> None:
        """Welcome files."""
        if event.mimeData().hasUrls() and not self._read_only:
            event.acceptProposedAction()

    def dragMoveEvent(self, event: Any) -> None:
        """Welcome files wherever they are dropped."""
        self.dragEnterEvent(event)

    def dropEvent(self, event: Any) -> None:
        """Tell which files were dropped; they stay where they are."""
        paths = [url.toLocalFile() for url in event.mimeData().urls() if url.isLocalFile()]
        if paths:
            event.setDropAction(Qt.DropAction.CopyAction)
            event.accept()
            self.dropped.emit(paths)

    def keyPressEvent(self, event: Any) -> None:
        """Let the delete key remove the row."""
        if event.key() in (Qt.Key.Key_Delete, Qt.Key.Key_Backspace) and not self._read_only:
            self.removed.emit()
        else:
            super().keyPressEvent(event)


class _TwoLines(QStyledItemDelegate):
    """Draws a name and, smaller in weight, what there is to say of it; red where it is refused."""

    def paint(
        self, painter: QPainter | None, option: QStyleOptionViewItem, index: QModelIndex
    ) -> None:
        """Draw a cell."""
        assert painter is not None
        self.initStyleOption(option, index)
        option.text = ""
        style = option.widget.style()
        style.drawControl(QStyle.ControlElement.CE_ItemViewItem, option, painter, option.widget)
        painter.save()
        room = option.rect.adjusted(MARGIN, MARGIN, -MARGIN, -MARGIN)
        if index.data(REFUSED):
            colour = QColor(REFUSED_COLOUR)
            colour.setAlpha(CELL_ALPHA)
            painter.fillRect(option.rect, colour)
        palette, metrics = option.palette, option.fontMetrics
        selected = option.state & QStyle.StateFlag.State_Selected
        role = QPalette.ColorRole.HighlightedText if selected else QPalette.ColorRole.Text
        painter.setPen(palette.color(role))
        height = metrics.height()
        first = QRect(room.left(), room.top(), room.width(), height)
        name = metrics.elidedText(str(index.data()), Qt.TextElideMode.ElideMiddle, room.width())
        painter.drawText(first, Qt.AlignmentFlag.AlignVCenter, name)
        if not index.data(REFUSED):
            painter.setOpacity(DIM)
        said = metrics.elidedText(
            str(index.data(SECOND_LINE) or ""), Qt.TextElideMode.ElideRight, room.width()
        )
        painter.drawText(first.translated(0, height + SPACE), Qt.AlignmentFlag.AlignVCenter, said)
        painter.restore()

    def sizeHint(self, option: QStyleOptionViewItem, index: QModelIndex) -> QSize:
        """Ask for two lines."""
        hint = super().sizeHint(option, index)
        hint.setHeight(2 * option.fontMetrics.height() + SPACE + 2 * MARGIN)
        return hint


def percents(rows: Sequence[TableRow]) -> list[int | None]:
    """Give the share of samples of each row that trains, in percent; None for the others."""
    whole = sum(row.share for row in rows if row.use == "train")
    return [round(100 * row.share / whole) if row.use == "train" else None for row in rows]


def _tip(row: TableRow, second: str, refusal: str) -> str:
    lines = [
        f"{what}: {source.path or source.name}"
        for what, source in (("Raw", row.raw), ("Ground truth", row.labels), ("Mask", row.mask))
        if source is not None
    ]
    if row.block:
        lines.append(f"Validates on {row.block}")
    return "\n".join([*lines, *([second] if second else []), *([refusal] if refusal else [])])
