"""The loss curve."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import napari
import numpy as np
import pyqtgraph
from napari.utils.theme import get_theme
from numpy.typing import NDArray
from qtpy.QtCore import QSize, Qt, QTimer
from qtpy.QtWidgets import QCheckBox, QHBoxLayout, QLabel, QVBoxLayout, QWidget

from napari_dacapo_tasks.widgets.lifetime import connect_while_alive

REDRAW_MILLISECONDS = 150
"""Steps may come by the hundred a second, eyes see a few pictures a second."""

SMOOTHING = 0.95
"""Share of the past in the smoothed curve: it follows the last 20 steps or so."""

RAW_OPACITY = 0.5

MIN_HEIGHT, USUAL_HEIGHT = 110, 190
WIDTH = 320
TICK_ROOM = 8
"""Pixels, about half the height of a number."""

COLOURS = {"dark": "#4fb3ff", "light": "#0b62a8"}


class LossHistory:
    """Losses by iteration, with a smoothed copy; adding is cheap."""

    def __init__(self) -> None:
        self.clear()

    def clear(self) -> None:
        """Forget all."""
        self._values = np.empty((3, 1024))
        self._count = 0
        self._mean, self._share = 0.0, 0.0

    def __len__(self) -> int:
        return self._count

    def add(self, iteration: int, loss: float) -> None:
        """Append the loss of an iteration; one that was done before is done anew from there."""
        if self._count and iteration <= self.iterations[-1]:
            self._cut(iteration)
        if self._count == self._values.shape[1]:
            self._values = np.concatenate([self._values, np.empty_like(self._values)], axis=1)
        if np.isfinite(loss):
            # The mean starts from nothing: dividing by what has been seen so far makes up for it.
            self._mean = SMOOTHING * self._mean + (1 - SMOOTHING) * loss
            self._share = SMOOTHING * self._share + (1 - SMOOTHING)
        smoothed = self._mean / self._share if self._share else np.nan
        self._values[:, self._count] = iteration, loss, smoothed
        self._count += 1

    def _cut(self, iteration: int) -> None:
        kept = int(np.searchsorted(self.iterations, iteration))
        before = self._values[:2, :kept].copy()
        self.clear()
        for at, loss in before.T:
            self.add(int(at), float(loss))

    @property
    def iterations(self) -> NDArray[np.float64]:
        """Iterations, ascending."""
        return self._values[0, : self._count]

    @property
    def losses(self) -> NDArray[np.float64]:
        """Loss of each iteration."""
        return self._values[1, : self._count]

    @property
    def smoothed(self) -> NDArray[np.float64]:
        """Exponentially smoothed loss."""
        return self._values[2, : self._count]


class _Plot(pyqtgraph.PlotWidget):
    """A plot that asks for less room than pyqtgraph's."""

    def sizeHint(self) -> QSize:
        return QSize(WIDTH, USUAL_HEIGHT)


class LossPlot(QWidget):
    """Loss over iterations, as it is and smoothed; redrawn a few times a second at most."""

    def __init__(self, viewer: napari.Viewer, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.history = LossHistory()
        self._plot = _Plot()
        self._plot.setMinimumHeight(MIN_HEIGHT)
        self._plot.setMenuEnabled(False)
        self._plot.hideButtons()
        # Room for the upper half of a number at the axis's end, and the right half of one.
        self._plot.getPlotItem().setContentsMargins(0, TICK_ROOM, TICK_ROOM, 0)
        self._plot.setLabel("bottom", "iteration")
        self._plot.setLabel("left", "loss")
        for side in ("bottom", "left"):
            self._plot.getAxis(side).enableAutoSIPrefix(False)
        self._raw = self._plot.plot(name="each step")
        self._smoothed = self._plot.plot(name="smoothed")
        for curve in (self._raw, self._smoothed):
            curve.setDownsampling(auto=True, method="mean")
            curve.setClipToView(True)
        self._last = QLabel()
        self._last.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
        self._log = QCheckBox("Log scale")
        self._log.setToolTip("Show the loss on a logarithmic axis")
        self._log.toggled.connect(self._on_log)

        line = QHBoxLayout()
        line.addWidget(self._last, 1)
        line.addWidget(self._log)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(self._plot, 1)
        layout.addLayout(line)

        self._timer = QTimer(self)
        self._timer.setSingleShot(True)
        self._timer.setInterval(REDRAW_MILLISECONDS)
        self._timer.timeout.connect(self.redraw)

        self._viewer = viewer
        connect_while_alive(self, viewer.events.theme, self._on_theme)
        self._on_theme()
        self.redraw()

    def add(self, iteration: int, loss: float) -> None:
        """Append the loss of an iteration."""
        self.history.add(iteration, loss)
        if not self._timer.isActive():
            self._timer.start()

    def set_losses(self, iterations: Sequence[int], losses: Sequence[float]) -> None:
        """Show these losses, such as those of an earlier run, and no others."""
        self.history.clear()
        for iteration, loss in zip(iterations, losses, strict=True):
            self.history.add(iteration, loss)
        self.redraw()

    def redraw(self) -> None:
        """Draw what has come since, now."""
        history = self.history
        self._raw.setData(history.iterations, history.losses, connect="finite")
        self._smoothed.setData(history.iterations, history.smoothed, connect="finite")
        if len(history):
            self._last.setText(
                f"Loss {history.losses[-1]:.4g}, smoothed {history.smoothed[-1]:.4g}"
            )
        else:
            self._last.setText("No losses yet")

    def _on_log(self, on: bool) -> None:
        self._plot.setLogMode(y=on)
        self._plot.enableAutoRange()

    def _on_theme(self, _event: Any = None) -> None:
        theme: Any = get_theme(str(self._viewer.theme))
        self._plot.setBackground(theme.background.as_hex())
        for side in ("bottom", "left"):
            axis = self._plot.getAxis(side)
            axis.setPen(theme.secondary.as_hex())
            axis.setTextPen(theme.text.as_hex())
        colour = pyqtgraph.mkColor(COLOURS[theme.type])
        self._smoothed.setPen(pyqtgraph.mkPen(colour, width=2))
        faint = pyqtgraph.mkColor(colour)
        faint.setAlphaF(RAW_OPACITY)
        self._raw.setPen(pyqtgraph.mkPen(faint, width=1))
