"""Offsets drawn as arrows over voxels in their true proportions, one panel per plane."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from qtpy.QtCore import QPointF, QRectF, Qt, Signal
from qtpy.QtGui import QColor, QPainter, QPen, QPolygonF
from qtpy.QtWidgets import QToolTip, QWidget

from napari_dacapo_tasks.tasks.neighborhoods import Offset, offset_name
from napari_dacapo_tasks.units import NANOMETRE
from napari_dacapo_tasks.widgets.neighborhood_colours import colour_of
from napari_dacapo_tasks.widgets.neighborhood_view import (
    FINEST_GRID,
    LARGEST_VOXEL,
    PLANES,
    Plane,
    View,
)

HEIGHT = 186
CAPTION = 18
GAP = 8
GRID, CLEAR_GRID = 0.18, 16
"""Opacity of lines that are so many pixels apart; of closer ones less."""

HEAD = 8.0
LINE, HIGHLIGHTED_LINE = 2.0, 3.2
DIMMED = 0.28
"""Opacity of arrows while another one is highlighted."""

RING, RING_STEP = 5.0, 4.0
"""Radius of the ring that is an arrow seen from its tip, and how much wider the next one is."""

NEAR = 9.0
"""Pixels within which the pointer is at an arrow's tip."""


class NeighborhoodPicture(QWidget):
    """Draws offsets from one voxel, with voxels in their proportions.

    The selected offsets fill the panels, or all where none is selected. An arrow towards the eye
    or away from it is a ring.

    Signals
    -------
    hovered(int), chosen(int)
        The row of the offset whose tip is under the pointer (-1 for none), or was clicked.
    """

    hovered = Signal(int)
    chosen = Signal(int)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._offsets: dict[int, Offset] = {}
        self._voxel_size: tuple[float, ...] = (1.0, 1.0, 1.0)
        self._unit = ""
        self._selected: set[int] = set()
        self._hovered = -1
        self.setFixedHeight(HEIGHT)
        self.setMinimumWidth(200)
        self.setMouseTracking(True)

    def setOffsets(
        self, offsets: Mapping[int, Offset], voxel_size: Sequence[float], unit: str
    ) -> None:
        """Draw offsets, by the row that they stand in; all as long as ``voxel_size``."""
        self._offsets = dict(offsets)
        self._voxel_size = tuple(voxel_size)
        self._unit = unit
        self.update()

    def setSelected(self, rows: set[int]) -> None:
        """Highlight rows, and fill the panels with them."""
        self._selected = set(rows)
        self.update()

    def setHovered(self, row: int) -> None:
        """Highlight one more row, -1 for none."""
        self._hovered = row
        self.update()

    @property
    def highlighted(self) -> set[int]:
        """Rows that stand out."""
        return {self._hovered} & set(self._offsets) or self._selected & set(self._offsets)

    def tips(self) -> dict[int, list[QPointF]]:
        """Give where the tip of each arrow is, per panel."""
        views = self._views()
        return {
            row: [view.place(offset) for view in views] for row, offset in self._offsets.items()
        }

    def origins(self) -> list[QPointF]:
        """Give where the arrows start from, per panel."""
        return [view.origin for view in self._views()]

    def _views(self) -> list[View]:
        chosen = {row: self._offsets[row] for row in self._selected & set(self._offsets)}
        shown = list((chosen or self._offsets).values())
        planes = PLANES[len(self._voxel_size)]
        width = (self.width() - GAP * (len(planes) - 1)) / len(planes)
        return [
            View.of(
                plane,
                QRectF(i * (width + GAP) + 0.5, 0.5, width - 1, HEIGHT - CAPTION - 1),
                self._voxel_size,
                shown,
            )
            for i, plane in enumerate(planes)
        ]

    def _is_dark(self) -> bool:
        return bool(self.palette().color(self.backgroundRole()).lightness() < 128)

    def paintEvent(self, _event: Any) -> None:
        """Draw all panels."""
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        font = painter.font()
        font.setPointSizeF(0.85 * font.pointSizeF())
        painter.setFont(font)
        if not self.isEnabled():
            painter.setOpacity(0.4)
        ink = self.palette().color(self.foregroundRole())
        for view in self._views():
            frame = view.frame
            painter.save()
            painter.setClipRect(frame)
            self._draw_grid(painter, view, ink)
            self._draw_arrows(painter, view)
            painter.restore()
            painter.setPen(QPen(_faint(ink, 0.35), 1))
            painter.drawRect(frame)
            painter.setPen(_faint(ink, 0.85))
            below = QRectF(frame.left(), frame.bottom() + 1, frame.width(), CAPTION)
            painter.drawText(below, Qt.AlignmentFlag.AlignCenter, self._caption(view.plane))
        painter.end()

    def _caption(self, plane: Plane) -> str:
        sizes = [self._voxel_size[axis] for axis in (plane.down, plane.right)]
        voxel = " × ".join(f"{size:g}" for size in sizes)
        unit = f"   {voxel} {self._unit}" if self._unit == NANOMETRE.name else ""
        return plane.name(len(self._voxel_size)) + unit

    def _draw_grid(self, painter: QPainter, view: View, ink: QColor) -> None:
        finest = min(size for size in (view.wide, view.high, LARGEST_VOXEL) if size >= FINEST_GRID)
        painter.setPen(QPen(_faint(ink, min(GRID, GRID * finest / CLEAR_GRID)), 1))
        for begin, end in view.lines():
            painter.drawLine(begin, end)
        painter.setPen(QPen(_faint(ink, 0.6), 1))
        painter.setBrush(_faint(ink, 0.25))
        painter.drawRect(view.voxel(view.origin))

    def _draw_arrows(self, painter: QPainter, view: View) -> None:
        dark, highlighted = self._is_dark(), self.highlighted
        ways = {row: view.place(offset) - view.origin for row, offset in self._offsets.items()}
        # Long arrows first: shorter ones of the same direction lie on them. What is highlighted
        # lies on everything.
        order = sorted(ways, key=lambda row: (row in highlighted, -_length(ways[row])))
        rings = 0
        for row in order:
            colour = colour_of(self._offsets[row], dark=dark)
            stands_out = row in highlighted
            if highlighted and not stands_out:
                colour.setAlphaF(DIMMED)
            pen = QPen(colour, HIGHLIGHTED_LINE if stands_out else LINE)
            pen.setCapStyle(Qt.PenCapStyle.FlatCap)
            if not any(self._offsets[row][axis] for axis in (view.plane.down, view.plane.right)):
                painter.setPen(pen)
                painter.setBrush(Qt.BrushStyle.NoBrush)
                painter.drawEllipse(view.origin, *(RING + RING_STEP * rings,) * 2)
                rings += 1
                continue
            tip = view.origin + ways[row]
            painter.setPen(QPen(colour, 1))
            painter.setBrush(_faint(colour, 0.3 * colour.alphaF()))
            painter.drawRect(view.voxel(tip))
            _draw_arrow(painter, view.origin, tip, pen)

    def mouseMoveEvent(self, event: Any) -> None:
        """Say which offset is under the pointer."""
        row = self._at(event.position())
        if row != self._hovered:
            self.hovered.emit(row)
        if row >= 0:
            said = f"{row + 1}: {offset_name(self._offsets[row])}"
            QToolTip.showText(event.globalPosition().toPoint(), said, self)
        else:
            QToolTip.hideText()

    def mousePressEvent(self, event: Any) -> None:
        """Choose the offset under the pointer."""
        row = self._at(event.position())
        if row >= 0:
            self.chosen.emit(row)

    def leaveEvent(self, event: Any) -> None:
        """Let go."""
        super().leaveEvent(event)
        self.hovered.emit(-1)

    def _at(self, place: QPointF) -> int:
        """Give the row whose tip is nearest to a place, -1 where none is near."""
        away = {row: min(_length(tip - place) for tip in tips) for row, tips in self.tips().items()}
        nearest = min(away, key=lambda row: away[row], default=-1)
        return nearest if away.get(nearest, math.inf) <= NEAR else -1


def _draw_arrow(painter: QPainter, begin: QPointF, tip: QPointF, pen: QPen) -> None:
    way = tip - begin
    length = _length(way)
    along = way / length
    head = min(HEAD, length)
    across = QPointF(-along.y(), along.x()) * (0.45 * head)
    neck = tip - along * head
    painter.setPen(pen)
    painter.drawLine(begin, neck)
    painter.setPen(Qt.PenStyle.NoPen)
    painter.setBrush(pen.color())
    painter.drawPolygon(QPolygonF([tip, neck + across, neck - across]))


def _faint(colour: QColor, alpha: float) -> QColor:
    faint = QColor(colour)
    faint.setAlphaF(alpha)
    return faint


def _length(way: QPointF) -> float:
    return math.hypot(way.x(), way.y())
