"""The plot of one thing over iterations, and the curves of one run in two of them."""

from __future__ import annotations

import numpy as np
import pyqtgraph

from napari_dacapo_tasks.widgets.histories import RunHistory, thinned

MIN_HEIGHT = 90
TICK_ROOM = 8
"""Pixels, about half the height of a number."""

AXIS_WIDTH = 56
"""The same for both plots, so that iterations lie beneath each other."""


class IterationPlot(pyqtgraph.PlotWidget):
    """A plot over iterations.

    Parameters
    ----------
    name
        Of what is plotted.
    """

    def __init__(self, name: str) -> None:
        super().__init__()
        self.setMinimumHeight(MIN_HEIGHT)
        self.setMenuEnabled(False)
        self.hideButtons()
        # Room for the upper half of a number at the axis's end, and the right half of one.
        self.getPlotItem().setContentsMargins(0, TICK_ROOM, TICK_ROOM, 0)
        self.setLabel("left", name)
        self.getAxis("left").setWidth(AXIS_WIDTH)
        for side in ("bottom", "left"):
            self.getAxis(side).enableAutoSIPrefix(False)

    def show_iterations(self, shown: bool) -> None:
        """Have numbers below, or leave that to the plot beneath."""
        self.getAxis("bottom").setStyle(showValues=shown)
        self.getPlotItem().showLabel("bottom", shown)


class RunCurves:
    """The curves of one run; they stay the same however often they are drawn."""

    def __init__(self, losses: IterationPlot, scores: IterationPlot) -> None:
        self._plots = losses, scores
        self.raw = losses.plot(name="each step")
        self.smoothed = losses.plot(name="smoothed")
        self.score = scores.plot(symbol="o", symbolSize=5)
        self.best = scores.plot(pen=None, symbol="star", symbolSize=15)
        for curve in (self.raw, self.smoothed):
            curve.setDownsampling(auto=True, method="mean")
            curve.setClipToView(True)

    def draw(self, history: RunHistory, score: str | None) -> None:
        """Show losses, and one of the scores where there is one."""
        losses = history.losses
        iterations = thinned(losses.iterations)
        self.raw.setData(iterations, thinned(losses.losses), connect="finite")
        self.smoothed.setData(iterations, thinned(losses.smoothed), connect="finite")
        at, values = history.scores.values(score) if score else (np.empty(0), np.empty(0))
        # A validation without a score is no gap between two that have one: they are far apart.
        known = np.isfinite(values)
        self.score.setData(at[known], values[known])
        best = history.best(score) if score else None
        self.best.setData(*([[value] for value in best] if best else ([], [])))

    def colour(self, name: str, raw_opacity: float) -> None:
        """Give all curves one colour."""
        colour, faint = pyqtgraph.mkColor(name), pyqtgraph.mkColor(name)
        faint.setAlphaF(raw_opacity)
        self.raw.setPen(pyqtgraph.mkPen(faint, width=1))
        self.smoothed.setPen(pyqtgraph.mkPen(colour, width=2))
        self.score.setPen(pyqtgraph.mkPen(colour, width=1))
        for curve in (self.score, self.best):
            curve.setSymbolBrush(colour)
            curve.setSymbolPen(pyqtgraph.mkPen(colour))

    def raise_(self) -> None:
        """Lie above the curves of other runs."""
        for curve in (self.raw, self.smoothed, self.score, self.best):
            curve.setZValue(1)

    def remove(self) -> None:
        """Take all curves out of the plots."""
        losses, scores = self._plots
        for plot, curve in (
            *((losses, one) for one in (self.raw, self.smoothed)),
            *((scores, one) for one in (self.score, self.best)),
        ):
            plot.removeItem(curve)
