"""Scores of a sweep over the values of a parameter."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape
from math import isfinite
from typing import Any

import napari
import numpy as np
import pyqtgraph
from napari.utils.theme import get_theme
from qtpy.QtCore import Qt, Signal
from qtpy.QtWidgets import QLabel, QVBoxLayout, QWidget

from napari_dacapo_tasks.evaluation.ranges import Value, format_values
from napari_dacapo_tasks.evaluation.sweep import SweepResult, SweepRow
from napari_dacapo_tasks.widgets.curves import COLOURS
from napari_dacapo_tasks.widgets.lifetime import connect_while_alive

HEIGHT = 190
TICK_ROOM = 8
MOST_TICKS = 7
"""More values than that are not all written on the axis."""

UNEVEN = 8.0
"""Values whose gaps differ by more than this factor are drawn evenly, in their order."""

MOST_LINES = 7
"""More values of a second parameter have no lines of their own: nobody could tell them apart."""

NEAR = 14
"""Pixels from a point within which a click means it."""

POINT, BEST, CHOSEN = 7, 16, 13
"""Pixels across."""


class SweepPlot(QWidget):
    """A line over one parameter, and one for each value of a second; a click chooses a point.

    Of more parameters or values, each point shows the best of those that have none.

    Signals
    -------
    chosen(int)
        The row whose point was clicked.
    """

    chosen = Signal(int)

    def __init__(self, viewer: napari.Viewer, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._viewer = viewer
        self.plot = pyqtgraph.PlotWidget()
        self.plot.setFixedHeight(HEIGHT)
        self.plot.setMenuEnabled(False)
        self.plot.setMouseEnabled(x=False, y=False)
        self.plot.hideButtons()
        self.plot.getPlotItem().setContentsMargins(0, TICK_ROOM, TICK_ROOM, 0)
        for side in ("bottom", "left"):
            self.plot.getAxis(side).enableAutoSIPrefix(False)
        self.lines: list[Any] = []
        self.best = self.plot.plot(pen=None, symbol="star", symbolSize=BEST)
        self.ring = self.plot.plot(pen=None, symbol="o", symbolSize=CHOSEN, symbolBrush=None)
        self.best.setZValue(2)
        self.ring.setZValue(3)
        self.legend = QLabel()
        self.legend.setWordWrap(True)
        self.legend.setMinimumWidth(1)
        self.legend.setTextFormat(Qt.TextFormat.RichText)
        self._names = "", ""
        self._titles: Mapping[str, str] = {}
        self._points: dict[int, tuple[float, float]] = {}
        self._groups: list[str] = []
        self._best_over: list[str] = []
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(2)
        layout.addWidget(self.plot)
        layout.addWidget(self.legend)
        self.plot.scene().sigMouseClicked.connect(self._on_click)
        connect_while_alive(self, viewer.events.theme, self._on_theme)
        self._on_theme()

    def show_result(
        self,
        result: SweepResult,
        criterion: str,
        channel: str | None,
        titles: Mapping[str, str],
        numbers: Mapping[str, int],
    ) -> None:
        """Draw a score in place of what was drawn before.

        Parameters
        ----------
        result
            What was found, perhaps not all of it yet.
        criterion, channel
            Which score; the mean over channels for None.
        titles
            Of the parameters, for people.
        numbers
            Of values of each parameter, also of those that are still to come.
        """
        self._titles = titles
        self._names = over, second = _axes(numbers)
        places = _Places.of([row.values[over] for row in result.rows if over in row.values])
        drawn = _best_of_others(result, criterion, channel, self._names)
        groups: dict[str, list[tuple[float, float, int]]] = {}
        for index in drawn:
            row = result.rows[index]
            group = format_values((row.values[second],)) if second else ""
            point = (places.at(row.values[over]), row.score(criterion, channel), index)
            groups.setdefault(group, []).append(point)
        self._points = {index: (x, y) for points in groups.values() for x, y, index in points}
        self._groups = list(groups)
        self._best_over = [
            titles.get(name, name)
            for name, number in numbers.items()
            if number > 1 and name not in self._names
        ]
        while len(self.lines) < len(groups):
            self.lines.append(self.plot.plot(symbol="o", symbolSize=POINT))
            self._colour_line(len(self.lines) - 1)
        for line, points in zip(self.lines, groups.values(), strict=False):
            points.sort()
            line.setData([x for x, _, _ in points], [y for _, y, _ in points])
        for index, line in enumerate(self.lines):
            line.setVisible(index < len(groups))
        best = result.best(criterion, channel)
        self._mark(self.best, None if best is None else _index_of(best, result.rows))
        self.plot.getAxis("bottom").setTicks(places.ticks())
        self.plot.setLabel("bottom", titles.get(over, over))
        self._say()

    def mark(self, index: int | None) -> None:
        """Put a ring around the point of a row; none where it has no point."""
        self._mark(self.ring, index)

    def row_at(self, x: float, y: float) -> int | None:
        """Give the row of the point that is nearest to a place in the scene, if any is near."""
        box = self.plot.getPlotItem().getViewBox()
        nearest, found = float(NEAR), None
        for index, (px, py) in self._points.items():
            place = box.mapViewToScene(pyqtgraph.Point(px, py))
            away = float(np.hypot(place.x() - x, place.y() - y))
            if away <= nearest:
                nearest, found = away, index
        return found

    def _mark(self, item: Any, index: int | None) -> None:
        point = None if index is None else self._points.get(index)
        item.setData(*([[value] for value in point] if point else ([], [])))

    def _on_click(self, event: Any) -> None:
        if event.button() != Qt.MouseButton.LeftButton:
            return
        place = event.scenePos()
        index = self.row_at(place.x(), place.y())
        if index is not None:
            self.chosen.emit(index)

    def _on_theme(self, _event: Any = None) -> None:
        theme: Any = get_theme(str(self._viewer.theme))
        self.plot.setBackground(theme.background.as_hex())
        for side in ("bottom", "left"):
            axis = self.plot.getAxis(side)
            axis.setPen(theme.secondary.as_hex())
            axis.setTextPen(theme.text.as_hex())
        self._colour()

    def _colour(self) -> None:
        theme: Any = get_theme(str(self._viewer.theme))
        text = theme.text.as_hex()
        for index in range(len(self.lines)):
            self._colour_line(index)
        self.best.setSymbolBrush(pyqtgraph.mkBrush(text))
        self.best.setSymbolPen(pyqtgraph.mkPen(theme.background.as_hex()))
        self.ring.setSymbolPen(pyqtgraph.mkPen(text, width=2))
        self._say()

    def _colour_line(self, index: int) -> None:
        line, colour = self.lines[index], self._colour_of(index)
        line.setPen(pyqtgraph.mkPen(colour, width=2))
        line.setSymbolBrush(pyqtgraph.mkBrush(colour))
        line.setSymbolPen(pyqtgraph.mkPen(colour))

    def _colour_of(self, index: int) -> str:
        theme: Any = get_theme(str(self._viewer.theme))
        colours = COLOURS[theme.type]
        return colours[index % len(colours)]

    def _say(self) -> None:
        """Write the legend."""
        said = []
        if self._names[1]:
            entries = [
                f'<span style="color: {self._colour_of(index)};">■</span>&nbsp;{escape(one)}'
                for index, one in enumerate(self._groups)
            ]
            title = self._titles.get(self._names[1], self._names[1])
            said.append(f"{escape(title)}: " + " &nbsp;".join(entries))
        if self._best_over:
            said.append(f"Each point: the best over {escape(' and '.join(self._best_over))}")
        self.legend.setText("<br>".join(said))
        self.legend.setVisible(bool(said))


class _Places:
    """Where values lie on the axis."""

    def __init__(self, values: Sequence[Value], positions: Sequence[float]) -> None:
        self._positions = dict(zip(values, positions, strict=True))

    @classmethod
    def of(cls, found: Sequence[Value]) -> _Places:
        """Place numbers as they are, unless their gaps are too uneven; all else evenly."""
        values = list(dict.fromkeys(found))
        if all(isinstance(one, (int, float)) and not isinstance(one, bool) for one in values):
            values.sort(key=float)
            numbers = [float(one) for one in values]
            gaps = np.diff(numbers)
            if len(gaps) < 2 or gaps.max() <= UNEVEN * gaps.min():
                return cls(values, numbers)
        return cls(values, list(range(len(values))))

    def at(self, value: Value) -> float:
        """Give the place of a value."""
        return self._positions[value]

    def ticks(self) -> list[list[tuple[float, str]]]:
        """Give what is written on the axis: the values, or some of them."""
        places = list(self._positions.items())
        step = -(-len(places) // MOST_TICKS) or 1
        return [[(at, format_values((value,))) for value, at in places[::step]]]


def _axes(numbers: Mapping[str, int]) -> tuple[str, str]:
    """Choose the parameter of the axis, and the one of the lines, if there is a second."""
    most = sorted(numbers, key=lambda name: -numbers[name])
    second = most[1] if len(most) > 1 and 1 < numbers[most[1]] <= MOST_LINES else ""
    return most[0], second


def _best_of_others(
    result: SweepResult, criterion: str, channel: str | None, names: tuple[str, str]
) -> list[int]:
    """Give the rows to draw: of those that share their values of both parameters, the best."""
    better = result.criterion(criterion).is_better
    chosen: dict[tuple[Value | None, ...], int] = {}
    for index, row in enumerate(result.rows):
        score = row.score(criterion, channel)
        if not isfinite(score):
            continue
        key = tuple(row.values[name] if name else None for name in names)
        before = chosen.get(key)
        if before is None or better(score, result.rows[before].score(criterion, channel)):
            chosen[key] = index
    return list(chosen.values())


def _index_of(wanted: SweepRow, rows: Sequence[SweepRow]) -> int:
    return next(index for index, row in enumerate(rows) if row is wanted)
