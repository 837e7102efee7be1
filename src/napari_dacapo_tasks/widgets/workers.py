"""Background work: the only place that turns a generator into a napari worker."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Generator
from contextlib import closing
from dataclasses import dataclass
from threading import Event, Semaphore
from typing import Any

from napari.qt.threading import GeneratorWorker, create_worker
from qtpy.QtCore import QObject, QThreadPool, Signal

Start = Callable[[], Generator[Any, Any, Any]]

PAUSE_INTERVAL = 0.02
"""Seconds between two looks of a worker that waits at whether it may go on."""

MOST_UNHEARD = 200
"""What a worker may have said that the window has not heard yet; then it waits. Steps that come
faster than they can be shown would pile up without end, and the window with them stand still."""


@dataclass(frozen=True)
class _Message:
    """What comes out of a worker, with the number of the start that it belongs to."""

    start: int
    kind: str
    value: Any = None


def _called(make: Start) -> Generator[Any, Any, Any]:
    """Call ``make`` in the worker's thread."""
    return (yield from make())


class _Worker(GeneratorWorker):
    """A generator worker that loses nothing.

    superqt's own swallows every RuntimeError (such as torch's out-of-memory), leaves the generator
    to be closed by whichever thread collects it, forgets a resume that comes before the pause has
    begun, lets what was said pile up, and exchanges Python's warning filters, which all threads
    share.
    """

    def __init__(self, *args: Any, start: int, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.start_number = start
        self.held = False
        self.begun = False
        self.ended = Event()
        self._requests: deque[object] = deque()
        self._unsaid = Semaphore(MOST_UNHEARD)

    def heard(self) -> None:
        """Let one more step be told, since the window has heard of one."""
        self._unsaid.release()

    def send(self, value: object) -> None:
        """Hand over a request; one is taken with each step."""
        self._requests.append(value)

    def run(self) -> None:
        """Work, in the thread of the pool."""
        self.begun = True
        pool = QThreadPool.globalInstance()
        # Hours of training must not take away a thread from the short work of others.
        pool.releaseThread()
        try:
            self._running = True
            self.started.emit()
            try:
                self._steps()
            except StopIteration as stop:
                self._say("returned", stop.value)
            except Exception as error:  # the dock shows every failure
                self._say("failed", error)
            self._running = False
            self.finished.emit()
            self._finished.emit(self)
        finally:
            pool.reserveThread()
            self.ended.set()

    def _steps(self) -> None:
        request = None
        with closing(self._gen):
            while not self.abort_requested:
                if self.held:
                    time.sleep(PAUSE_INTERVAL)
                    continue
                if not self._unsaid.acquire(timeout=PAUSE_INTERVAL):
                    continue
                self._say("yielded", self._gen.send(request))
                request = self._requests.popleft() if self._requests else None

    def _say(self, kind: str, value: Any) -> None:
        self.yielded.emit(_Message(self.start_number, kind, value))


class Job(QObject):
    """One piece of background work at a time, owned by a widget.

    A later `start` ends the earlier work; what still comes of that is dropped. When the owner is
    deleted, the work ends as if stopped, and nothing more is emitted.

    Parameters
    ----------
    parent
        Its owner.
    returned, failed
        Slots, or signals, for how it ends.

    Signals
    -------
    yielded(object)
        What the generator yields.
    returned(object), failed(object), stopped()
        How it ended: its value, an exception, or because of `stop`.
    """

    yielded = Signal(object)
    returned = Signal(object)
    failed = Signal(object)
    stopped = Signal()

    def __init__(self, parent: QObject, returned: Any = None, failed: Any = None) -> None:
        super().__init__(parent)
        for signal, slot in ((self.returned, returned), (self.failed, failed)):
            if slot is not None:
                signal.connect(slot)
        self._starts = 0
        self._worker: _Worker | None = None
        self._next: Start | None = None

    @property
    def running(self) -> bool:
        """Whether work goes on, or is paused."""
        return self._worker is not None

    @property
    def paused(self) -> bool:
        """Whether work is paused, or will be after the present step."""
        return self._worker is not None and self._worker.held

    def start(self, make: Start) -> None:
        """Start a generator in a thread, once the one that may be running has ended."""
        self._starts += 1
        if self._worker is not None:
            self._next = make
            self._worker.quit()
            return
        self._launch(make)

    def stop(self) -> None:
        """Leave the generator after its present step; `stopped` follows."""
        self._next = None
        if self._worker is not None:
            self._worker.quit()

    def pause(self) -> None:
        """Wait after the present step until `resume`."""
        if self._worker is not None:
            self._worker.held = True

    def resume(self) -> None:
        """Go on after `pause`."""
        if self._worker is not None:
            self._worker.held = False

    def send(self, request: object) -> None:
        """Hand a request to the generator, as what its next `yield` gives."""
        if self._worker is not None:
            self._worker.send(request)

    def end(self, milliseconds: int = 60_000) -> None:
        """Stop and wait until the work has cleaned up; for the closing of a window."""
        self.stop()
        # A worker that has not begun will see that it is to stop before its first step.
        if self._worker is not None and self._worker.begun:
            self._worker.ended.wait(milliseconds / 1000)

    def _launch(self, make: Start) -> None:
        worker = create_worker(
            _called, make, start=self._starts, _worker_class=_Worker, _start_thread=False
        )
        worker.yielded.connect(self._on_message)
        worker.finished.connect(self._on_finished)
        self.destroyed.connect(worker.quit)
        self._worker = worker
        worker.start()

    def _on_message(self, message: _Message) -> None:
        if message.start != self._starts or self._worker is None:
            return
        if message.kind == "yielded":
            self._worker.heard()
        else:
            # Before the owner hears of it: it may start anew from its answer.
            self._worker.finished.disconnect(self._on_finished)
            self._release()
        getattr(self, message.kind).emit(message.value)

    def _on_finished(self) -> None:
        """The worker ended without an answer of its own: it was stopped or replaced."""
        self._release()
        make, self._next = self._next, None
        if make is not None:
            self._launch(make)
        else:
            self.stopped.emit()

    def _release(self) -> None:
        assert self._worker is not None
        self.destroyed.disconnect(self._worker.quit)
        self._worker = None
