"""Scores as a table: a row for each, a column per channel."""

from __future__ import annotations

from collections.abc import Sequence
from math import isinf, isnan

from qtpy.QtCore import Qt
from qtpy.QtWidgets import QHeaderView, QTableWidget, QTableWidgetItem, QWidget

from napari_dacapo_tasks.tasks.evaluators.evaluator import Criterion, Scores
from napari_dacapo_tasks.units import WorldUnit

MOST_ROWS_SHOWN = 8
MOST_COLUMNS_SHOWN = 2
"""More channels may be wider than the dock, and are scrolled."""

MOST_HEADING = 72
"""Pixels: longer names of channels end in an ellipsis, so that there is room for the titles."""

SMALL = 0.9
"""Size of the numbers, in parts of the usual: several columns are to fit beside each other."""

UNDEFINED = "–"
HIGHER, LOWER = "↑", "↓"
DIGITS = 3


class ScoresTable(QTableWidget):
    """Shows scores; an arrow says which way is better, and a tooltip what a score is."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.verticalHeader().hide()
        self.setEditTriggers(QTableWidget.EditTrigger.NoEditTriggers)
        self.setSelectionMode(QTableWidget.SelectionMode.NoSelection)
        self.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        self.setWordWrap(False)
        font = self.font()
        font.setPointSizeF(SMALL * font.pointSizeF())
        self.setFont(font)
        self.horizontalHeader().setFont(font)
        self.horizontalHeader().setTextElideMode(Qt.TextElideMode.ElideRight)

    def show_scores(self, scores: Scores, criteria: Sequence[Criterion], unit: WorldUnit) -> None:
        """Show scores in place of those before.

        Parameters
        ----------
        scores
            By channel, then by name.
        criteria
            What they say, the most telling first.
        unit
            Of the grid that lengths are in steps of.
        """
        channels = list(scores)
        self.setRowCount(len(criteria))
        self.setColumnCount(1 + len(channels))
        # The name of an only channel says nothing new.
        self.setHorizontalHeaderLabels(["Score", *(channels if len(channels) > 1 else ["Value"])])
        for row, criterion in enumerate(criteria):
            tip = f"<p>{criterion.description}</p><p>{_says_best(criterion, unit)}</p>"
            arrow = HIGHER if criterion.higher_is_better else LOWER
            self._set(row, 0, f"{criterion.title} {arrow}", tip)
            for column, channel in enumerate(channels, start=1):
                value = scores[channel].get(criterion.name, float("nan"))
                self._set(row, column, say_score(criterion, value, unit), tip)
        scrolls = len(channels) > MOST_COLUMNS_SHOWN
        header, modes = self.horizontalHeader(), QHeaderView.ResizeMode
        header.setSectionResizeMode(0, modes.ResizeToContents if scrolls else modes.Stretch)
        for column, channel in enumerate(channels, start=1):
            header.setSectionResizeMode(column, modes.Interactive)
            heading = min(header.sectionSizeHint(column), MOST_HEADING)
            self.setColumnWidth(column, max(self.sizeHintForColumn(column), heading))
            self.horizontalHeaderItem(column).setToolTip(channel)
        self._fit(scrolls=scrolls)

    def _set(self, row: int, column: int, text: str, tip: str) -> None:
        item = QTableWidgetItem(text)
        item.setToolTip(tip)
        if column:
            item.setTextAlignment(Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter)
        self.setItem(row, column, item)

    def _fit(self, *, scrolls: bool) -> None:
        rows = min(self.rowCount(), MOST_ROWS_SHOWN)
        height = self.horizontalHeader().sizeHint().height()
        height += sum(self.rowHeight(row) for row in range(rows))
        if scrolls:
            height += self.horizontalScrollBar().sizeHint().height()
        self.setFixedHeight(height + 2 * self.frameWidth() + 2)


def say_score(criterion: Criterion, value: float, unit: WorldUnit) -> str:
    """Give a value with its unit, as ``"0.97"`` or ``"12 nm"``."""
    if isnan(value):
        return UNDEFINED
    if isinf(value):
        return "∞" if value > 0 else "-∞"
    if criterion.unit == "world":
        return f"{value / unit.steps:.{DIGITS}g} {unit.name}"
    return f"{value:.{DIGITS}g} {criterion.unit}".strip()


def _says_best(criterion: Criterion, unit: WorldUnit) -> str:
    direction = "Higher" if criterion.higher_is_better else "Lower"
    return f"{direction} is better; the best is {say_score(criterion, criterion.perfect, unit)}."
