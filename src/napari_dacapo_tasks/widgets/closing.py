"""The end of long work when what shows it goes away."""

from __future__ import annotations

from collections.abc import Callable

from qtpy.QtCore import QEvent, QObject
from qtpy.QtWidgets import QWidget


class EndOnClose(QObject):
    """Calls a function before napari's window is closed, or a widget is taken out of its dock.

    Parameters
    ----------
    widget
        What shows the work.
    end
        Ends the work and waits until it has cleaned up.
    """

    def __init__(self, widget: QWidget, end: Callable[[], None]) -> None:
        super().__init__(widget)
        self._widget, self._end = widget, end
        widget.installEventFilter(self)

    def watch_window(self) -> None:
        """Find the window, however the dock is placed in it; to be called when work begins."""
        window = self._widget
        while window.parentWidget() is not None:
            window = window.parentWidget()
        if window is not self._widget:
            window.installEventFilter(self)  # once, however often this is called

    def eventFilter(self, watched: QObject | None, event: QEvent | None) -> bool:
        """See whether it is time."""
        assert event is not None
        if watched is not None and watched is self._widget:
            # napari takes the widget out of a dock that is closed: nobody could stop it any more.
            gone = event.type() == QEvent.Type.ParentChange and watched.parent() is None
        else:
            # A person's click may still be taken back in napari's dialog. If it is not, the
            # window is deleted, which stops a Job as well, and napari waits for that.
            gone = event.type() == QEvent.Type.Close and not event.spontaneous()
        if gone:
            self._end()
        return False
