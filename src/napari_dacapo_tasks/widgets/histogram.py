"""The histogram of a target, one curve per channel."""

from __future__ import annotations

from typing import Any

import napari
import numpy as np
import pyqtgraph
from napari.utils.theme import get_theme
from qtpy.QtWidgets import QCheckBox, QHBoxLayout, QLabel, QVBoxLayout, QWidget

from napari_dacapo_tasks.tasks.preview import Preview
from napari_dacapo_tasks.widgets.lifetime import connect_while_alive

HEIGHT = 150
LEAST_SHARE = 1e-5
"""Shown in place of 0 on a logarithmic axis: less than a voxel in a hundred thousand."""

COLOURS = ("#3b8ed0", "#e07b39", "#4aa564", "#b65fc4", "#c9a227", "#d1495b", "#5ab4ac", "#8c8c8c")


class Histogram(QWidget):
    """Which share of the voxels that count has which target."""

    def __init__(self, viewer: napari.Viewer, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._viewer = viewer
        self.plot = pyqtgraph.PlotWidget()
        self.plot.setFixedHeight(HEIGHT)
        self.plot.setMenuEnabled(False)
        self.plot.setMouseEnabled(x=False, y=False)
        self.plot.hideButtons()
        self.plot.setLabel("bottom", "target")
        self.plot.setLabel("left", "voxels (%)")
        for side in ("bottom", "left"):
            self.plot.getAxis(side).enableAutoSIPrefix(False)
        self.curves: list[Any] = []
        self._preview: Preview | None = None
        self._legend = QLabel()
        self._legend.setWordWrap(True)
        self.log_box = QCheckBox("Log scale")
        self.log_box.setToolTip("Show shares on a logarithmic axis")
        self.log_box.toggled.connect(self._on_log)
        line = QHBoxLayout()
        line.addWidget(self._legend, 1)
        line.addWidget(self.log_box)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(self.plot)
        layout.addLayout(line)
        connect_while_alive(self, viewer.events.theme, self._on_theme)
        self._on_theme()

    def show_preview(self, preview: Preview) -> None:
        """Draw the histograms of a preview in place of those before."""
        self._preview = preview
        channels = preview.statistics
        while len(self.curves) < len(channels):
            pen = pyqtgraph.mkPen(COLOURS[len(self.curves) % len(COLOURS)], width=2)
            self.curves.append(self.plot.plot(pen=pen, stepMode="center"))
        edges = preview.bin_edges
        for index, curve in enumerate(self.curves):
            curve.setVisible(index < len(channels))
            if index < len(channels):
                counts = channels[index].histogram
                share = counts / max(int(counts.sum()), 1)
                if self.log_box.isChecked():
                    share = np.maximum(share, LEAST_SHARE)
                curve.setData(edges, 100 * share)
        self.plot.setXRange(edges[0], edges[-1], padding=0.02)
        self._legend.setText(
            " &nbsp;".join(
                f'<span style="color:{COLOURS[i % len(COLOURS)]}">■</span>&nbsp;{one.channel}'
                for i, one in enumerate(channels)
            )
        )

    def _on_log(self, on: bool) -> None:
        self.plot.setLogMode(y=on)
        if self._preview is not None:
            self.show_preview(self._preview)

    def _on_theme(self, _event: Any = None) -> None:
        theme = get_theme(self._viewer.theme)
        self.plot.setBackground(theme.background.as_hex())
        for side in ("bottom", "left"):
            axis = self.plot.getAxis(side)
            axis.setPen(theme.secondary.as_hex())
            axis.setTextPen(theme.text.as_hex())
