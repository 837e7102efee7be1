"""Losses and scores of runs over their iterations."""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from html import escape
from itertools import count
from time import perf_counter
from typing import Any

import napari
from napari.utils.theme import get_theme
from qtpy.QtCore import QSize, Qt, QTimer, Signal
from qtpy.QtWidgets import QCheckBox, QComboBox, QHBoxLayout, QLabel, QVBoxLayout, QWidget

from napari_dacapo_tasks.runs.scores import Score
from napari_dacapo_tasks.widgets.histories import LossHistory, RunHistory, ScoreHistory
from napari_dacapo_tasks.widgets.lifetime import connect_while_alive
from napari_dacapo_tasks.widgets.run_curves import IterationPlot, RunCurves

REDRAW_MILLISECONDS = 150
"""Steps may come by the hundred a second, eyes see a few pictures a second."""

DRAWING_SHARE = 0.05
"""Share of the main thread's time that drawing may take; long runs are drawn less often."""

RAW_OPACITY, RAW_OPACITY_OF_MANY = 0.5, 0.2
"""Of the losses as they are, under the smoothed ones."""

WIDTH, HEIGHT = 320, 370
"""With room for both plots, also before there are scores: nothing is to jump then."""
COLOURS = {
    "dark": ("#4fb3ff", "#ffb454", "#6fd08c", "#f2789f", "#b69cff", "#e6e05a", "#5fd6d0"),
    "light": ("#0b62a8", "#c25e00", "#1f7a3d", "#b3195a", "#5b3fb8", "#7d7400", "#007a75"),
}
"""The present run's first; readable on napari's backgrounds."""

PRESENT = None
"""Key of the run in the dock, beside the paths of those that it is compared with."""


class Curves(QWidget):
    """Losses, as they are and smoothed, and below them the scores, where there are any.

    Redrawn a few times a second at most.

    Signals
    -------
    chosen()
        A person has chosen another scale or score.
    """

    chosen = Signal()

    def __init__(self, viewer: napari.Viewer, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.present = RunHistory()
        """The run in the dock."""
        self._others: dict[Hashable, RunHistory] = {}
        self._curves: dict[Hashable, RunCurves] = {}
        self._colours: dict[Hashable, int] = {}
        self._wanted: str | None = None
        self._losses, self._scores = IterationPlot("loss"), IterationPlot("score")
        self._scores.setXLink(self._losses.getPlotItem())
        self._scores.hide()
        self._last = QLabel()
        self._last.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
        self._log = QCheckBox("Log scale")
        self._log.setToolTip("Show the loss on a logarithmic axis")
        self._log.toggled.connect(self._on_log)
        self._legend = QLabel()
        self._legend.setWordWrap(True)
        self._legend.setTextFormat(Qt.TextFormat.RichText)
        self._best = QLabel()
        self._best.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
        self.score_combo = QComboBox()
        self.score_combo.setToolTip("Which score is shown; a star marks the best validation")
        # A long name of a score, or of a run, is not to make the dock wider.
        self.score_combo.setSizeAdjustPolicy(
            QComboBox.SizeAdjustPolicy.AdjustToMinimumContentsLengthWithIcon
        )
        self.score_combo.setMinimumContentsLength(8)
        self._legend.setMinimumWidth(1)
        self.score_combo.activated.connect(self._on_score)
        self._lay_out()

        self._timer = QTimer(self)
        self._timer.setSingleShot(True)
        self._timer.setInterval(REDRAW_MILLISECONDS)
        self._timer.timeout.connect(self.redraw)
        self._viewer = viewer
        connect_while_alive(self, viewer.events.theme, self._on_theme)
        self._match()
        self._on_theme()

    def sizeHint(self) -> QSize:
        """Ask for less room than pyqtgraph would."""
        return QSize(WIDTH, HEIGHT)

    @property
    def history(self) -> LossHistory:
        """Losses of the run in the dock."""
        return self.present.losses

    @property
    def scores(self) -> ScoreHistory:
        """Scores of the run in the dock."""
        return self.present.scores

    @property
    def log_scale(self) -> bool:
        """Whether losses are shown on a logarithmic axis."""
        return bool(self._log.isChecked())

    @property
    def score(self) -> str | None:
        """Name of the score that a person has chosen, None for the one by which a run judges."""
        return self._wanted

    def setChoices(self, log_scale: bool, score: str | None) -> None:
        """Choose scale and score."""
        self._wanted = score
        self._log.setChecked(log_scale)
        self.redraw()

    def add(self, iteration: int, loss: float) -> None:
        """Append the loss of an iteration of the run in the dock, which may have gone back."""
        if len(self.history) and iteration <= self.history.iterations[-1]:
            self.scores.cut(iteration - 1)
        self.history.add(iteration, loss)
        self.redraw_soon()

    def add_score(self, score: Score) -> None:
        """Append what a validation of the run in the dock found."""
        self.scores.add(score)
        self.redraw_soon()

    def set_present(self, history: RunHistory) -> None:
        """Show another run as the one in the dock."""
        self.present = history
        self.redraw()

    def set_others(self, histories: Mapping[Hashable, RunHistory]) -> None:
        """Show these runs beside the one in the dock, and no others; keys say which is which."""
        assert PRESENT not in histories
        self._others = dict(histories)
        self._match()
        self.redraw()

    def colour_of(self, key: Hashable) -> str:
        """Give the colour of a run that is shown, empty where it is not."""
        if key not in self._colours:
            return ""
        theme: Any = get_theme(str(self._viewer.theme))
        own, *others = COLOURS[theme.type]
        return own if key is PRESENT else str(others[self._colours[key] % len(others)])

    def redraw_soon(self) -> None:
        """Draw what has come since, before long."""
        if not self._timer.isActive():
            self._timer.start()

    def redraw(self) -> None:
        """Draw what has come since, now."""
        begun = perf_counter()
        shown = self._update_scores()
        for key, history in self._runs().items():
            self._curves[key].draw(history, shown)
        self._say(shown)
        milliseconds = (perf_counter() - begun) * 1000
        self._timer.setInterval(max(REDRAW_MILLISECONDS, round(milliseconds / DRAWING_SHARE)))

    def _runs(self) -> dict[Hashable, RunHistory]:
        return {PRESENT: self.present, **self._others}

    def _match(self) -> None:
        """Have curves for each run, and for no other."""
        runs = self._runs()
        for key in self._curves.keys() - runs.keys():
            self._curves.pop(key).remove()
        self._curves = {
            key: self._curves.get(key) or RunCurves(self._losses, self._scores) for key in runs
        }
        # A run keeps its colour while others come and go.
        self._colours = {key: at for key, at in self._colours.items() if key in runs}
        for key in [key for key in runs if key not in self._colours]:  # the present one first
            taken = set(self._colours.values())
            self._colours[key] = next(at for at in count(-1) if at not in taken)
        self._curves[PRESENT].raise_()
        self._colour()

    def _update_scores(self) -> str | None:
        """Offer the scores that there are, and give the name of the one to show."""
        runs = self._runs().values()
        names = list(dict.fromkeys(name for run in runs for name in run.scores.names()))
        self._scores.setVisible(bool(names))
        empty = not any(len(run.losses) for run in runs)
        self._losses.show_iterations(not names and not empty)
        self._losses.getAxis("left").setStyle(showValues=not empty)
        self._score_line.setVisible(bool(names))
        if not names:
            return None
        shown = self._wanted if self._wanted in names else names[0]
        if [self.score_combo.itemData(i) for i in range(self.score_combo.count())] != names:
            self.score_combo.clear()
            for name in names:
                self.score_combo.addItem(self._title(name), name)
        self.score_combo.setCurrentIndex(names.index(shown))
        self._scores.setLabel("left", "score")  # the box below says which
        return shown

    def _title(self, name: str) -> str:
        criteria = (run.criterion(name) for run in self._runs().values())
        return next((one.title for one in criteria if one is not None), name)

    def _say(self, shown: str | None) -> None:
        history = self.history
        if len(history):
            said = f"Loss {history.losses[-1]:.4g}, smoothed {history.smoothed[-1]:.4g}"
        else:
            said = "No losses yet"
        self._last.setText(said)
        best = self.present.best(shown) if shown else None
        self._best.setText(f"best {best[1]:.4g} at {best[0]:.0f}" if best else "")
        entries = [
            f'<span style="color: {self.colour_of(key)};">■</span>&nbsp;{escape(run.title)}'
            for key, run in self._runs().items()
            if len(run.losses) or run is not self.present
        ]
        self._legend.setText("&emsp;".join(entries))
        self._legend.setVisible(bool(self._others))

    def _on_log(self, on: bool) -> None:
        self._losses.setLogMode(y=on)
        self._losses.enableAutoRange()
        self.chosen.emit()

    def _on_score(self) -> None:
        self._wanted = self.score_combo.currentData()
        self._scores.enableAutoRange()
        self.redraw()
        self.chosen.emit()

    def _on_theme(self, _event: Any = None) -> None:
        theme: Any = get_theme(str(self._viewer.theme))
        for plot in (self._losses, self._scores):
            plot.setBackground(theme.background.as_hex())
            for side in ("bottom", "left"):
                axis = plot.getAxis(side)
                axis.setPen(theme.secondary.as_hex())
                axis.setTextPen(theme.text.as_hex())
        self._colour()
        self.redraw()

    def _colour(self) -> None:
        opacity = RAW_OPACITY_OF_MANY if self._others else RAW_OPACITY
        for key, curves in self._curves.items():
            curves.colour(self.colour_of(key), opacity)

    def _lay_out(self) -> None:
        self._scores.setLabel("bottom", "iteration")
        self._losses.setLabel("bottom", "iteration")
        line = QHBoxLayout()
        line.addWidget(self._last, 1)
        line.addWidget(self._log)
        self._score_line = QWidget()
        score_line = QHBoxLayout(self._score_line)
        score_line.setContentsMargins(0, 0, 0, 0)
        score_line.addWidget(self.score_combo, 1)
        score_line.addWidget(self._best)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(4)
        layout.addWidget(self._legend)
        layout.addWidget(self._losses, 1)
        layout.addLayout(line)
        layout.addWidget(self._scores, 1)
        layout.addWidget(self._score_line)
