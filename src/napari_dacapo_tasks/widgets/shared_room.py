"""How forms and a run share the height of a dock."""

from __future__ import annotations

from typing import Any

from qtpy.QtCore import Qt, QTimer
from qtpy.QtWidgets import QSplitter, QWidget


class SharedRoom(QSplitter):
    """Forms above, a run below: the forms have the room until there is a run to watch.

    A border that a person has moved stays where it is.

    Parameters
    ----------
    forms, run
        What stands above and below the border.
    """

    def __init__(self, forms: QWidget, run: QWidget, parent: QWidget | None = None) -> None:
        super().__init__(Qt.Orientation.Vertical, parent)
        self._forms, self._run = forms, run
        self._watched = self._moved = False
        self.setChildrenCollapsible(False)
        for index, part in enumerate((forms, run)):
            self.addWidget(part)
            self.setStretchFactor(index, 1 - index)
        self._settled = QTimer(self)
        self._settled.setSingleShot(True)
        self._settled.timeout.connect(self._share)
        self.splitterMoved.connect(self._on_moved)

    def setWatched(self, watched: bool) -> None:
        """Say whether there is a run to watch."""
        self._watched = watched
        self._share()
        self._settled.start()  # what the run asks for is known once it is laid out anew

    def resizeEvent(self, event: Any) -> None:
        """Share the room anew."""
        super().resizeEvent(event)
        self._share()

    def _on_moved(self, _position: int, _index: int) -> None:
        self._moved = True

    def _share(self) -> None:
        if self._moved:
            return
        whole = sum(self.sizes())
        below = self._run.sizeHint().height()
        if not self._watched:
            least = self._run.minimumSizeHint().height()
            below = max(least, whole - self._forms.sizeHint().height())
        self.setSizes([max(whole - below, 0), below])
