"""The histogram of a target, one curve per channel."""

from __future__ import annotations

from html import escape
from typing import Any

import napari
import numpy as np
import pyqtgraph
from napari.utils.theme import get_theme
from qtpy.QtWidgets import QCheckBox, QHBoxLayout, QLabel, QVBoxLayout, QWidget

from napari_dacapo_tasks.tasks.preview import Preview
from napari_dacapo_tasks.widgets.colormaps import channel_colours
from napari_dacapo_tasks.widgets.lifetime import connect_while_alive

HEIGHT = 150
LEAST_SHARE = 1e-5
"""Shown in place of 0 on a logarithmic axis: less than a voxel in a hundred thousand."""

MOST_CURVES = 8
"""Of more channels only the one that is seen has a curve."""


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
        self._channel = 0
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
        self._channel = min(self._channel, len(preview.channels) - 1)
        self._draw()

    def show_channel(self, index: int) -> None:
        """Draw this channel, where there are too many to draw all."""
        self._channel = index
        if self._preview is not None and len(self._preview.channels) > MOST_CURVES:
            self._draw()

    def _draw(self) -> None:
        preview = self._preview
        assert preview is not None
        count = len(preview.channels)
        drawn = range(count) if count <= MOST_CURVES else [self._channel]
        while len(self.curves) < len(drawn):
            self.curves.append(self.plot.plot(stepMode="center"))
        edges, colours = preview.bin_edges, channel_colours(count, preview.composites)
        for curve in self.curves[len(drawn) :]:
            curve.setVisible(False)
        for curve, index in zip(self.curves, drawn, strict=False):
            counts = preview.statistics[index].histogram
            share = counts / max(int(counts.sum()), 1)
            if self.log_box.isChecked():
                share = np.maximum(share, LEAST_SHARE)
            curve.setPen(pyqtgraph.mkPen(colours[index], width=2))
            curve.setData(edges, 100 * share)
            curve.setVisible(True)
        self.plot.setXRange(edges[0], edges[-1], padding=0.02)
        self._legend.setText(
            " &nbsp;".join(
                f'<span style="color:{colours[index]}">■</span>&nbsp;'
                f"{escape(preview.channels[index])}"
                for index in drawn
            )
        )

    def _on_log(self, on: bool) -> None:
        self.plot.setLogMode(y=on)
        if self._preview is not None:
            self._draw()

    def _on_theme(self, _event: Any = None) -> None:
        theme = get_theme(self._viewer.theme)
        self.plot.setBackground(theme.background.as_hex())
        for side in ("bottom", "left"):
            axis = self.plot.getAxis(side)
            axis.setPen(theme.secondary.as_hex())
            axis.setTextPen(theme.text.as_hex())
