"""Scores that can be sorted by any channel."""

from __future__ import annotations

from collections.abc import Sequence
from math import inf, isnan

from qtpy.QtCore import Qt
from qtpy.QtWidgets import QTableWidgetItem, QWidget

from napari_dacapo_tasks.tasks.evaluators.evaluator import Criterion, Scores
from napari_dacapo_tasks.units import WorldUnit
from napari_dacapo_tasks.widgets.scores_table import ScoresTable


class SortableScores(ScoresTable):
    """Sorts by the numbers of a channel, or, by the titles' column, the most telling first."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._criteria: Sequence[Criterion] = ()
        self._scores: Scores = {}
        header = self.horizontalHeader()
        header.setSectionsClickable(True)
        header.setHighlightSections(False)

    def show_scores(self, scores: Scores, criteria: Sequence[Criterion], unit: WorldUnit) -> None:
        """Show scores in place of those before, the most telling first; as `ScoresTable`."""
        self._scores, self._criteria = scores, criteria
        self.setSortingEnabled(False)
        super().show_scores(scores, criteria, unit)
        self.horizontalHeader().setSortIndicator(0, Qt.SortOrder.AscendingOrder)
        self.setSortingEnabled(True)

    def _set(self, row: int, column: int, text: str, tip: str) -> None:
        super()._set(row, column, text, tip)
        cell = _Cell(self.item(row, column))
        cell.key = float(row)
        if column:
            channel = list(self._scores)[column - 1]
            value = self._scores[channel].get(self._criteria[row].name, inf)
            cell.key = inf if isnan(value) else value
        self.setItem(row, column, cell)


class _Cell(QTableWidgetItem):
    """Is sorted by its number."""

    key = 0.0

    def __lt__(self, other: QTableWidgetItem) -> bool:
        assert isinstance(other, _Cell), "all cells are made here"
        return self.key < other.key
