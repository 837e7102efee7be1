"""What a sweep found: a plot, a table, and the best."""

from __future__ import annotations

from collections.abc import Mapping

import napari
from qtpy.QtCore import Signal
from qtpy.QtWidgets import QFormLayout, QHBoxLayout, QLabel, QPushButton, QVBoxLayout, QWidget

from napari_dacapo_tasks.evaluation.ranges import format_values
from napari_dacapo_tasks.evaluation.sweep import SweepResult, SweepRow
from napari_dacapo_tasks.tasks.evaluators.evaluator import Criterion
from napari_dacapo_tasks.units import WorldUnit
from napari_dacapo_tasks.widgets.elided_combo import ElidedCombo
from napari_dacapo_tasks.widgets.scores_table import HIGHER, LOWER, say_score
from napari_dacapo_tasks.widgets.sweep_plot import SweepPlot
from napari_dacapo_tasks.widgets.sweep_table import SweepTable

MEAN = "mean of all"
NONE_YET = "No combination has this score."


class SweepScores(QWidget):
    """Shows a sweep by one of its scores.

    Signals
    -------
    chosen(object)
        The `SweepRow` whose parameters are to be used.
    """

    chosen = Signal(object)

    def __init__(self, viewer: napari.Viewer, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.result: SweepResult | None = None
        self._titles: Mapping[str, str] = {}
        self._numbers: Mapping[str, int] = {}
        self._wished = ""
        self._marked: SweepRow | None = None
        self.score_combo = ElidedCombo()
        self.score_combo.setToolTip("By which score combinations are compared")
        self.channel_combo = ElidedCombo()
        self.plot = SweepPlot(viewer)
        self.best = QLabel()
        self.best.setWordWrap(True)
        self.best_button = QPushButton("Use the best")
        self.best_button.setEnabled(False)
        self.best_button.setToolTip("Let the Segment tab use the parameters with the best score")
        self.table = SweepTable()
        self._lay_out()
        self.score_combo.activated.connect(self._on_score)
        self.channel_combo.activated.connect(self._show)
        self.plot.chosen.connect(self._on_chosen)
        self.table.chosen.connect(self._on_chosen)
        self.best_button.clicked.connect(self._use_best)

    @property
    def criterion(self) -> str:
        """Name of the score that is shown."""
        return str(self.score_combo.currentData())

    @property
    def channel(self) -> str | None:
        """Whose score is shown; None for the mean over channels."""
        return self.channel_combo.currentData() if self.channel_combo.count() else None

    def show_result(self, result: SweepResult, numbers: Mapping[str, int] | None = None) -> None:
        """Show a sweep by the same score as the one before, where it has that.

        Parameters
        ----------
        result
            What was found, perhaps not all of it yet.
        numbers
            Of values of each parameter; needed where more of them are to come.
        """
        self.result, self._titles = result, _titles_of(result)
        self._numbers = numbers or {
            name: len({row.values[name] for row in result.rows}) for name in result.names
        }
        names = [one.name for one in result.criteria]
        if names != [self.score_combo.itemData(at) for at in range(self.score_combo.count())]:
            self.score_combo.clear()
            for one in result.criteria:
                self.score_combo.addItem(_title(one, result.unit), one.name)
            if self._wished in names:
                self.score_combo.setCurrentIndex(names.index(self._wished))
        channels = list(result.channels)
        offered = [None, *channels] if len(channels) > 1 else []
        combo = self.channel_combo
        if offered != [combo.itemData(at) for at in range(combo.count())]:
            combo.clear()
            for name in offered:
                combo.addItem(MEAN if name is None else name, name)
        self._of_channel.setVisible(bool(offered))
        self._show()

    def _show(self, _index: int = 0) -> None:
        result = self.result
        if result is None:
            return
        criterion = result.criterion(self.criterion)
        if result.rows:
            self.plot.show_result(result, criterion.name, self.channel, self._titles, self._numbers)
        self.table.show_result(result, criterion.name, self.channel, self._titles)
        self._mark(self._marked)
        best = result.best(criterion.name, self.channel)
        self.best_button.setEnabled(best is not None and best.parameters is not None)
        if best is None:
            self.best.setText(NONE_YET if result.rows else "")
            return
        score = say_score(
            criterion, best.score(criterion.name, self.channel), WorldUnit(result.unit)
        )
        self.best.setText(f"Best: <b>{score}</b> with {self._in_words(best)}")

    def _in_words(self, row: SweepRow) -> str:
        return ", ".join(
            f"{self._titles.get(name, name)} <b>{format_values((value,))}</b>"
            for name, value in row.values.items()
        )

    def _on_score(self, _index: int) -> None:
        self._wished = self.criterion
        self._show()

    def _on_chosen(self, index: int) -> None:
        assert self.result is not None
        row = self.result.rows[index]
        self._mark(row)
        if row.parameters is not None:
            self.chosen.emit(row)

    def _use_best(self) -> None:
        assert self.result is not None
        best = self.result.best(self.criterion, self.channel)
        if best is not None:
            self._on_chosen(_index_of(best, self.result) or 0)

    def _mark(self, wanted: SweepRow | None) -> None:
        """Point out a row, where the result still has it."""
        assert self.result is not None
        index = None if wanted is None else _index_of(wanted, self.result)
        self._marked = None if index is None else wanted
        self.plot.mark(index)
        self.table.mark(index)

    def _lay_out(self) -> None:
        score = QFormLayout()
        score.setFieldGrowthPolicy(QFormLayout.FieldGrowthPolicy.AllNonFixedFieldsGrow)
        score.addRow("Score", self.score_combo)
        self._of_channel = QWidget()
        of_channel = QFormLayout(self._of_channel)
        of_channel.setContentsMargins(0, 0, 0, 0)
        of_channel.setFieldGrowthPolicy(QFormLayout.FieldGrowthPolicy.AllNonFixedFieldsGrow)
        of_channel.addRow("Channel", self.channel_combo)
        self._of_channel.hide()
        best = QHBoxLayout()
        best.addWidget(self.best, 1)
        best.addWidget(self.best_button)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(4)
        layout.addLayout(score)
        layout.addWidget(self._of_channel)
        layout.addWidget(self.plot)
        layout.addLayout(best)
        layout.addWidget(self.table)


def _index_of(wanted: SweepRow, result: SweepResult) -> int | None:
    return next((index for index, row in enumerate(result.rows) if row is wanted), None)


def _titles_of(result: SweepResult) -> dict[str, str]:
    """Give titles of the parameters, for people; none where no combination was accepted."""
    known = next((row.parameters for row in result.rows if row.parameters is not None), None)
    fields = {} if known is None else type(known).model_fields
    return {name: field.title or name for name, field in fields.items()}


def _title(criterion: Criterion, unit: str) -> str:
    of_unit = unit if criterion.unit == "world" else criterion.unit
    title = f"{criterion.title} ({of_unit})" if of_unit else criterion.title
    return f"{title} {HIGHER if criterion.higher_is_better else LOWER}"
