"""One run in training, here or in a process of its own, from its start to its end."""

from __future__ import annotations

from collections.abc import Callable

from qtpy.QtCore import QObject, Signal

from napari_dacapo_tasks.runs.run_folder import RunFolder
from napari_dacapo_tasks.training.events import (
    Finished,
    Notice,
    Request,
    Started,
    Stepped,
    Stopped,
)
from napari_dacapo_tasks.widgets.activity import Activity
from napari_dacapo_tasks.widgets.run_controls import State
from napari_dacapo_tasks.widgets.run_events import Followed, Opened, RunEvent, SoFar, Work
from napari_dacapo_tasks.widgets.workers import Job


class RunController(QObject):
    """Goes from state to state: idle, preparing, training, ...

    Signals
    -------
    stateChanged(object)
        The `State` that it is in now.
    happened(object)
        A `RunEvent`.
    ended(str)
        All is well: how it ended, in a sentence.
    failed(object)
        The exception that it ended with.
    """

    stateChanged = Signal(object)
    happened = Signal(object)
    ended = Signal(str)
    failed = Signal(object)

    def __init__(self, parent: QObject) -> None:
        super().__init__(parent)
        self.state = State.IDLE
        self.run: RunFolder | None = None
        """What is trained, from when its folder is there until it ends."""
        self.apart = False
        """Whether a process of its own trains it."""
        self._finished = False
        self._noticed = ""
        self._activity = Activity(self)
        self._job = Job(self)
        self._job.yielded.connect(self._on_event)
        self._job.returned.connect(self._on_returned)
        self._job.stopped.connect(self._on_stopped)
        self._job.failed.connect(self._on_failed)

    def start(self, work: Callable[[], Work], apart: bool) -> None:
        """Begin.

        Parameters
        ----------
        work
            What to do in the background.
        apart
            Whether it is only followed here, while a process of its own trains it.
        """
        assert self.state is State.IDLE, self.state
        self.run, self.apart, self._finished, self._noticed = None, apart, False, ""
        self._set_state(State.PREPARING)
        self._job.start(work)

    def pause(self) -> None:
        """Wait after the present step."""
        assert not self.apart
        self._job.pause()
        self._set_state(State.PAUSED)

    def resume(self) -> None:
        """Go on after `pause`."""
        self._job.resume()
        self._set_state(State.TRAINING)

    def stop(self) -> None:
        """End the run after its present step, with a checkpoint."""
        self._set_state(State.STOPPING)
        if self.apart and self.run is not None:
            self._job.send(Request.STOP)
        else:
            self._job.stop()

    def ask_for(self, request: Request) -> None:
        """Ask for something after the present step."""
        self._job.send(request)

    def end(self) -> None:
        """Stop a run that is trained here, leave one alone that has its own process; then wait."""
        self._activity.end()
        self._job.end()

    def _on_event(self, event: RunEvent) -> None:
        match event:
            case None:
                return
            case Opened():
                self.run = event.run
            case Started() | Followed():
                assert self.run is not None
                self._activity.begin(self.run.path.name, event.iteration, event.iterations)
                if self.state is State.PREPARING:
                    self._set_state(State.TRAINING)
            case Stepped():
                self._activity.step(event.iteration)
                self._noticed = ""
            case SoFar():
                if len(event.history.losses):
                    self._activity.step(int(event.history.losses.iterations[-1]))
            case Notice():
                self._noticed = event.text
            case Finished():
                self._finished = True
            case Stopped():
                self._finished = False
        self.happened.emit(event)

    def _on_returned(self, run: RunFolder) -> None:
        # What was said after the last step, such as that training stops early, is not to vanish.
        finished = f"Finished; everything lies in {run.path}. {self._noticed}".rstrip()
        said = finished if self._finished else STOPPED
        self._end()
        self.ended.emit(said)

    def _on_stopped(self) -> None:
        said = NOT_BEGUN if self.run is None else STOPPED
        self._end()
        self.ended.emit(said)

    def _on_failed(self, error: Exception) -> None:
        self._end()
        self.failed.emit(error)

    def _end(self) -> None:
        self._activity.end()
        self.run = None
        self._set_state(State.IDLE)

    def _set_state(self, state: State) -> None:
        self.state = state
        self.stateChanged.emit(state)


STOPPED = "Stopped; the run is saved in its folder and can go on."
NOT_BEGUN = "Stopped before training began; no folder was made."
