"""What a preview is made of, in numbers: a row per channel, and a histogram."""

from __future__ import annotations

import napari
from qtpy.QtCore import QSize, Qt
from qtpy.QtGui import QColor
from qtpy.QtWidgets import (
    QHeaderView,
    QLabel,
    QTableWidget,
    QTableWidgetItem,
    QVBoxLayout,
    QWidget,
)

from napari_dacapo_tasks.tasks.preview import ChannelStatistics, Preview
from napari_dacapo_tasks.widgets.colormaps import channel_colours
from napari_dacapo_tasks.widgets.histogram import MOST_CURVES, Histogram

COLUMNS = {
    "Channel": "Name of the channel",
    "Positive": "Share of known voxels with a target above 0: objects, or joined neighbours",
    "Dropped": "Share of known voxels without weight: the distance mask leaves them out, the "
    "partner of an affinity is unknown, or the label is none of the classes",
    "Weight": "Lowest and highest weight of the voxels that count",
}
MOST_ROWS_SHOWN = 8
SMALL = 0.9
"""Size of the numbers, in parts of the usual: four columns are to fit beside each other."""

SWATCH = 8
"""Side of a channel's colour, in pixels."""

NOTHING = "–"


class StatisticsPanel(QWidget):
    """Numbers of the latest preview."""

    def __init__(self, viewer: napari.Viewer, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.summary = QLabel("No preview yet.")
        self.summary.setWordWrap(True)
        self.table = QTableWidget(0, len(COLUMNS))
        self.table.setHorizontalHeaderLabels(list(COLUMNS))
        for column, tip in enumerate(COLUMNS.values()):
            self.table.horizontalHeaderItem(column).setToolTip(tip)
        self.table.verticalHeader().hide()
        self.table.setEditTriggers(QTableWidget.EditTrigger.NoEditTriggers)
        self.table.setSelectionMode(QTableWidget.SelectionMode.NoSelection)
        self.table.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        header = self.table.horizontalHeader()
        header.setSectionResizeMode(QHeaderView.ResizeMode.ResizeToContents)
        header.setSectionResizeMode(0, QHeaderView.ResizeMode.Stretch)
        self.table.setWordWrap(False)
        # Names of channels often differ in their ends.
        self.table.setTextElideMode(Qt.TextElideMode.ElideMiddle)
        self.table.setIconSize(QSize(SWATCH, SWATCH))
        font = self.table.font()
        font.setPointSizeF(SMALL * font.pointSizeF())
        self.table.setFont(font)
        header.setFont(font)
        self.histogram = Histogram(viewer)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(self.summary)
        layout.addWidget(self.table)
        layout.addWidget(self.histogram)
        for widget in (self.table, self.histogram):
            widget.hide()

    def show_preview(self, preview: Preview) -> None:
        """Show the numbers of a preview."""
        self.summary.setText(_summary(preview))
        colours = channel_colours(len(preview.channels), preview.composites)
        count = len(preview.channels)
        # Without a picture of classes, the colours are only those of the curves.
        coloured = 1 < count <= MOST_CURVES or any(one.exclusive for one in preview.composites)
        self.table.setRowCount(count)
        for row, statistics in enumerate(preview.statistics):
            for column, text in enumerate(_row(statistics)):
                item = self.table.item(row, column)
                if item is None:
                    item = QTableWidgetItem()
                    self.table.setItem(row, column, item)
                    if column:
                        item.setTextAlignment(
                            Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter
                        )
                item.setText(text)
                item.setToolTip(text)
            colour = QColor(colours[row]) if coloured else None
            self.table.item(row, 0).setData(Qt.ItemDataRole.DecorationRole, colour)
        self._fit()
        self.table.show()
        self.histogram.show()
        self.histogram.show_preview(preview)

    def show_channel(self, index: int) -> None:
        """Point out the channel that is seen."""
        self.histogram.show_channel(index)
        for row in range(self.table.rowCount()):
            font = self.table.font()
            font.setBold(row == index and self.table.rowCount() > 1)
            self.table.item(row, 0).setFont(font)
        item = self.table.item(index, 0)
        if item is not None:
            self.table.scrollToItem(item)

    def _fit(self) -> None:
        rows = min(self.table.rowCount(), MOST_ROWS_SHOWN)
        height = self.table.horizontalHeader().sizeHint().height()
        height += sum(self.table.rowHeight(row) for row in range(rows))
        self.table.setFixedHeight(height + 2 * self.table.frameWidth() + 2)


def _summary(preview: Preview) -> str:
    shape = " x ".join(str(length) for length in preview.target.shape)
    unknown = preview.statistics[0].unknown  # what is known is the same for all channels
    of_it = f", {_percent(unknown)} of them unknown" if unknown else ""
    return f"{shape} voxels{of_it}, in {preview.seconds:.2g} s"


def _row(statistics: ChannelStatistics) -> tuple[str, ...]:
    low_high = statistics.weight_range
    if low_high is None:
        weight = NOTHING
    else:
        low, high = (f"{value:.2g}" for value in low_high)
        weight = low if low == high else f"{low}–{high}"
    return (
        statistics.channel,
        _percent(statistics.foreground),
        _percent(statistics.dropped),
        weight,
    )


def _percent(share: float) -> str:
    return f"{100 * share:.1f}%"
