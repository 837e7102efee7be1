"""When a preview is made: soon after a change, one at a time, and only if it still matters."""

from __future__ import annotations

from collections.abc import Callable, Generator
from dataclasses import dataclass
from math import inf
from time import monotonic
from typing import Any

from funlib.geometry import Roi
from qtpy.QtCore import QObject, QTimer, Signal

from napari_dacapo_tasks.arrays import GroundTruth
from napari_dacapo_tasks.errors import UserError
from napari_dacapo_tasks.tasks import TaskConfig
from napari_dacapo_tasks.tasks.preview import Preview, PreviewProgress, preview
from napari_dacapo_tasks.widgets.pictures import Picture, draw
from napari_dacapo_tasks.widgets.result_layers import Anchor
from napari_dacapo_tasks.widgets.workers import Job

DEBOUNCE_MS = 40
"""Changes that come in this time make one preview."""

QUICK = 1.0
"""Seconds. While a value is dragged, previews that take less are seen one after the other; what
takes longer is left for the newest value at once."""

PROGRESS_AFTER_MS = 500
"""Work that is done by then shows no progress bar."""


@dataclass(frozen=True)
class Request:
    """All that a preview needs; nothing of it is read from a widget later.

    Attributes
    ----------
    config, ground_truth, roi
        What to make.
    anchor
        Where the layer of the ground truth lies.
    subject
        The layers and channels that the answer is about: it is dropped once they are others.
    """

    config: TaskConfig
    ground_truth: GroundTruth
    roi: Roi
    anchor: Anchor
    subject: tuple[Any, ...]


@dataclass(frozen=True)
class Seen:
    """A preview and the pictures of it, which are too large for the main thread to draw."""

    preview: Preview
    pictures: list[Picture]


class LivePreview(QObject):
    """Makes previews of what `ask` gives.

    Parameters
    ----------
    ask
        Gives the present request, or None where there is nothing to preview; may raise.
    subject
        Gives the present subject.

    Signals
    -------
    begun()
        A preview is being made: what was made of the one before is out of date.
    made(object, object)
        A `Seen` and its `Request`.
    failed(object)
        An exception.
    progressed(float, str)
        Share done and what comes next, of work that takes long.
    idle()
        Nothing is going on any more.
    """

    begun = Signal()
    made = Signal(object, object)
    failed = Signal(object)
    progressed = Signal(float, str)
    idle = Signal()

    def __init__(
        self,
        ask: Callable[[], Request | None],
        subject: Callable[[], tuple[Any, ...]],
        parent: QObject,
    ) -> None:
        super().__init__(parent)
        self._ask, self._subject = ask, subject
        self._request: Request | None = None
        self._again = False
        self._begun = 0.0
        self._usual = inf
        self._progress = PreviewProgress(0.0, "")
        self._job = Job(self)
        self._job.yielded.connect(self._on_event)
        self._job.returned.connect(self._on_end)
        self._job.failed.connect(self._on_failed)
        self._job.stopped.connect(self._on_stopped)
        self._soon = _single_shot(self, DEBOUNCE_MS, self.now)
        self._slow = _single_shot(self, PROGRESS_AFTER_MS, self._tell_progress)

    @property
    def running(self) -> bool:
        """Whether a preview is being made."""
        return self._job.running

    def soon(self) -> None:
        """Make a preview in a moment; changes until then are part of it."""
        if not self._soon.isActive():
            self._soon.start()

    def now(self) -> None:
        """Make a preview."""
        self._soon.stop()
        if self._job.running and self._will_end_soon() and self._still_matters():
            self._again = True
            return
        self._start()

    def cancel(self) -> None:
        """Leave what is being made."""
        self._soon.stop()
        self._again = False
        self._job.stop()

    def _will_end_soon(self) -> bool:
        return self._usual < QUICK and monotonic() - self._begun < 2 * QUICK

    def _still_matters(self) -> bool:
        return self._request is not None and self._request.subject == self._subject()

    def _start(self) -> None:
        self._again = False
        try:
            request = self._ask()
        except Exception as error:  # the dock shows every failure
            self._job.stop()
            self.failed.emit(error)
            return
        if request is None:
            self._job.stop()
            return
        self._request = request
        self._begun = monotonic()
        self._progress = PreviewProgress(0.0, "")
        self._job.start(lambda: _last(request))
        self._slow.start()
        self.begun.emit()

    def _on_event(self, event: object) -> None:
        if isinstance(event, PreviewProgress):
            self._progress = event
            if not self._slow.isActive():
                self._tell_progress()

    def _on_end(self, result: Seen) -> None:
        request, matters = self._request, self._still_matters()
        self._usual = monotonic() - self._begun
        self._end()
        if matters:
            self.made.emit(result, request)

    def _on_failed(self, error: BaseException) -> None:
        matters = self._still_matters()
        self._end()
        if matters or not isinstance(error, UserError):
            self.failed.emit(error)

    def _on_stopped(self) -> None:
        self._end()

    def _end(self) -> None:
        self._slow.stop()
        self._request = None
        self.idle.emit()
        if self._again:
            self._start()

    def _tell_progress(self) -> None:
        if self._job.running:
            self.progressed.emit(self._progress.done, self._progress.doing)


def _last(request: Request) -> Generator[PreviewProgress, None, Seen]:
    """Pass progress on, and return the preview with its pictures."""
    for event in preview(request.config, request.ground_truth, request.roi):
        if isinstance(event, Preview):
            yield PreviewProgress(0.95, "Drawing")
            return Seen(event, draw(event.target.data, event.composites, event.target_ranges))
        yield event
    raise AssertionError("a preview ends with its result")


def _single_shot(parent: QObject, milliseconds: int, slot: Callable[[], None]) -> QTimer:
    timer = QTimer(parent)
    timer.setSingleShot(True)
    timer.setInterval(milliseconds)
    timer.timeout.connect(slot)
    return timer
