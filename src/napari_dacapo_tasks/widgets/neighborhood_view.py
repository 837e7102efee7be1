"""Where the voxels of a neighbourhood come to lie in the panels of its picture."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Self

from qtpy.QtCore import QPointF, QRectF

from napari_dacapo_tasks.arrays.numpy_array import SPACE
from napari_dacapo_tasks.tasks.neighborhoods import Offset

MARGIN = 10
"""Pixels between the farthest voxel and the frame."""

LARGEST_VOXEL = 44
"""Pixels of a voxel's longest edge: a neighbourhood of next neighbours need not fill the panel."""

FINEST_GRID = 5
"""Pixels between lines: a finer grid would be a grey area."""

SMALLEST_VOXEL = 3
"""Pixels of a voxel that is drawn all the same."""


@dataclass(frozen=True)
class Plane:
    """Which axes a panel shows, downwards and to the right."""

    down: int
    right: int

    def name(self, dims: int) -> str:
        """Name the axes as they are seen."""
        axes = SPACE[-dims:]
        return f"{axes[self.down]} ↓ {axes[self.right]} →"


@dataclass(frozen=True)
class View:
    """A panel: its plane, where it is, and how voxels come onto it."""

    plane: Plane
    frame: QRectF
    origin: QPointF
    """The middle of the voxel from which offsets count."""
    wide: float
    high: float
    """Pixels of a voxel."""

    @classmethod
    def of(
        cls, plane: Plane, frame: QRectF, voxel_size: Sequence[float], shown: Sequence[Offset]
    ) -> Self:
        """Fit the voxels of offsets, and the one that they start from, into a frame."""
        down, right = plane.down, plane.right
        sizes = voxel_size[right], voxel_size[down]
        low = [min([0, *(offset[axis] for offset in shown)]) for axis in (right, down)]
        high = [max([0, *(offset[axis] for offset in shown)]) for axis in (right, down)]
        rooms = frame.width() - 2 * MARGIN, frame.height() - 2 * MARGIN
        scale = LARGEST_VOXEL / max(sizes)
        for size, room, first, last in zip(sizes, rooms, low, high, strict=True):
            scale = min(scale, max(room, 1.0) / (size * (last - first + 1)))
        wide, tall = (size * scale for size in sizes)
        middle = QPointF((low[0] + high[0]) / 2 * wide, (low[1] + high[1]) / 2 * tall)
        return cls(plane, frame, frame.center() - middle, wide, tall)

    def place(self, offset: Offset) -> QPointF:
        """Give the middle of a voxel."""
        way = QPointF(offset[self.plane.right] * self.wide, offset[self.plane.down] * self.high)
        return self.origin + way

    def voxel(self, middle: QPointF) -> QRectF:
        """Give the outline of a voxel."""
        wide, high = max(self.wide, SMALLEST_VOXEL), max(self.high, SMALLEST_VOXEL)
        return QRectF(middle.x() - wide / 2, middle.y() - high / 2, wide, high)

    def lines(self) -> Iterator[tuple[QPointF, QPointF]]:
        """Give the faces between voxels, along axes where they can be told from each other."""
        frame = self.frame
        if self.wide >= FINEST_GRID:
            x = frame.left() + (self.origin.x() + self.wide / 2 - frame.left()) % self.wide
            while x < frame.right():
                yield QPointF(x, frame.top()), QPointF(x, frame.bottom())
                x += self.wide
        if self.high >= FINEST_GRID:
            y = frame.top() + (self.origin.y() + self.high / 2 - frame.top()) % self.high
            while y < frame.bottom():
                yield QPointF(frame.left(), y), QPointF(frame.right(), y)
                y += self.high


PLANES = {2: (Plane(0, 1),), 3: (Plane(1, 2), Plane(1, 0))}
"""By number of axes. In 3D seen along z and along x."""
