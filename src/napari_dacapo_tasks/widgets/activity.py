"""The progress of a run in napari's activity dock."""

from __future__ import annotations

from io import StringIO
from typing import ClassVar

from napari.utils import progress
from qtpy.QtCore import QObject, QTimer

INTERVAL_MILLISECONDS = 1000
"""napari handles waiting events each time it moves the bar, so that is not done with each step."""


class Activity(QObject):
    """One bar at a time: begun, moved now and then, and ended in any case with its owner."""

    def __init__(self, parent: QObject) -> None:
        super().__init__(parent)
        self._bar: progress | None = None
        self._iteration = 0
        self._moving = False
        self._timer = QTimer(self)
        self._timer.setInterval(INTERVAL_MILLISECONDS)
        self._timer.timeout.connect(self._move)
        # A method of this object would not be called any more when it is being deleted.
        self._ends = _Ends()
        self.destroyed.connect(self._ends.with_owner)

    @property
    def bar(self) -> progress | None:
        """The bar, None while there is none."""
        return self._bar

    def begin(self, title: str, iteration: int, iterations: int) -> None:
        """Show a bar."""
        self.end()
        self._iteration = iteration
        # Without a window it would write to the terminal.
        bar = progress(total=iterations, desc=title, initial=iteration, file=StringIO())
        self._bar = self._ends.bar = bar
        bar.update(0)
        self._timer.start()

    def step(self, iteration: int) -> None:
        """Take note of an iteration; it is shown soon."""
        self._iteration = iteration

    def end(self) -> None:
        """Take the bar away."""
        self._timer.stop()
        bar, self._bar = self._bar, None
        if bar is not None:
            self._ends.close()

    def _move(self) -> None:
        bar = self._bar
        # Waiting events are handled in here, this one may be among them, and the end may be, too.
        if bar is None or self._moving or self._iteration == bar.n:
            return
        self._moving = True
        try:
            bar.update(self._iteration - bar.n)
        finally:
            self._moving = False


class _Ends:
    """Closes a bar, also when nothing is left of the Qt object that had it.

    It is kept here until then: see `lifetime` for why that has to be.
    """

    kept: ClassVar[set[_Ends]] = set()

    def __init__(self) -> None:
        self.bar: progress | None = None
        self.kept.add(self)

    def close(self) -> None:
        """Take the bar away."""
        bar, self.bar = self.bar, None
        if bar is not None:
            bar.close()

    def with_owner(self, _owner: object = None) -> None:
        """Take the bar away, and come to an end as well."""
        self.kept.discard(self)
        self.close()
