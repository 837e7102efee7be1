"""Start, pause, stop, and how far a run is."""

from __future__ import annotations

from collections import deque
from enum import Enum

from qtpy.QtCore import QTimer, Signal
from qtpy.QtWidgets import (
    QCheckBox,
    QHBoxLayout,
    QLabel,
    QProgressBar,
    QPushButton,
    QVBoxLayout,
    QWidget,
)

REFRESH_MILLISECONDS = 150

PACE_STEPS = 50
"""The pace is that of so many steps: steady enough to read, and soon right after a change."""

SHARES = 1000
"""Steps of the progress bar while a run is prepared."""


class State(Enum):
    """What goes on; each control knows in which of these it can be used."""

    IDLE = "idle"
    PREPARING = "preparing"
    TRAINING = "training"
    PAUSED = "paused"
    STOPPING = "stopping"


class Pace:
    """How fast steps go, and how long the rest will take."""

    def __init__(self) -> None:
        self._seconds: deque[float] = deque(maxlen=PACE_STEPS)

    def add(self, seconds: float) -> None:
        """Take note of the time of a step."""
        self._seconds.append(seconds)

    def describe(self, steps_left: int) -> str:
        """Say it, such as ``"2.5 iterations/s, 3 min left"``; nothing before the first step."""
        spent = sum(self._seconds)
        if not spent:
            return ""
        each = spent / len(self._seconds)
        return f"{1 / each:.3g} iterations/s, {duration(steps_left * each)} left"


def duration(seconds: float) -> str:
    """Say a time in the two units that matter."""
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    minutes = round(seconds / 60)
    if minutes < 60:
        return f"{minutes} min"
    hours, minutes = divmod(minutes, 60)
    if hours < 24:
        return f"{hours} h {minutes} min"
    days, hours = divmod(hours, 24)
    return f"{days} d {hours} h"


class RunControls(QWidget):
    """Buttons, a progress bar and a line; what they do is decided outside.

    Signals
    -------
    start(), pause(), resume(), stop(), snapshot(), validate()
        A person asks for it.
    apartChosen(bool)
        Whether to train in a process of its own.
    """

    start = Signal()
    pause = Signal()
    resume = Signal()
    stop = Signal()
    snapshot = Signal()
    validate = Signal()
    apartChosen = Signal(bool)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._state = State.IDLE
        self._ready = True
        self._apart = False
        self._validating: float | None = None
        self._iteration = self._iterations = 0
        self._pace = Pace()
        self._about = ""
        self.start_button = QPushButton("Start")
        self.pause_button = QPushButton("Pause")
        self.pause_button.setToolTip("Wait after the present step, keeping all in memory")
        self.stop_button = QPushButton("Stop")
        self.stop_button.setToolTip("Save a checkpoint and end; the run can go on later")
        self.snapshot_button = QPushButton("Snapshot")
        self.snapshot_button.setToolTip("Show what the network predicts now")
        self.validate_button = QPushButton("Validate")
        self.validate_button.setToolTip("Score the network now, on the crops that are kept for it")
        self.apart_box = QCheckBox("In a process of its own")
        self.apart_box.setToolTip(
            "Train in a program of its own: napari may be closed, and finds the run again when it "
            "is opened"
        )
        self.bar = QProgressBar()
        self.bar.setTextVisible(True)
        self._line = QLabel()
        self._line.setWordWrap(True)

        buttons = QHBoxLayout()
        buttons.setSpacing(4)
        for button in (self.start_button, self.pause_button, self.stop_button):
            buttons.addWidget(button, 1)
        more = QHBoxLayout()
        more.setSpacing(4)
        more.addWidget(self.apart_box, 1)
        more.addWidget(self.snapshot_button)
        more.addWidget(self.validate_button)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addLayout(buttons)
        layout.addLayout(more)
        layout.addWidget(self.bar)
        layout.addWidget(self._line)

        self.start_button.clicked.connect(self.start)
        self.pause_button.clicked.connect(self._on_pause)
        self.stop_button.clicked.connect(self.stop)
        self.snapshot_button.clicked.connect(self.snapshot)
        self.validate_button.clicked.connect(self.validate)
        self.apart_box.toggled.connect(self.apartChosen)
        self._timer = QTimer(self)
        self._timer.setSingleShot(True)
        self._timer.setInterval(REFRESH_MILLISECONDS)
        self._timer.timeout.connect(self._refresh)
        self.setState(State.IDLE)

    @property
    def state(self) -> State:
        """What goes on."""
        return self._state

    @property
    def text(self) -> str:
        """What the line under the bar says."""
        return str(self._line.text())

    def setState(self, state: State) -> None:
        """Let only those buttons be pressed that make sense now."""
        self._state = state
        self._update_buttons()
        self._refresh()

    def setApart(self, apart: bool) -> None:
        """Say whether the run that goes on has a process of its own, which knows no pause."""
        self._apart = apart
        self._update_buttons()

    def setReady(self, ready: bool, goes_on: bool) -> None:
        """Say whether a run can be started, and whether it is one that goes on."""
        self._ready = ready
        self.start_button.setText("Continue" if goes_on else "Start")
        self.start_button.setToolTip(
            "Go on from the latest checkpoint in the folder"
            if goes_on
            else "Make the run folder and train"
        )
        self._update_buttons()

    def showShare(self, share: float) -> None:
        """Show how much of the run folder is made."""
        self.bar.setRange(0, SHARES)
        self.bar.setFormat("preparing the data: %p%")
        self.bar.setValue(round(share * SHARES))

    def showRun(self, iteration: int, iterations: int, about: str = "") -> None:
        """Show how far a run is, with something to say about it."""
        self._iteration, self._iterations, self._about = iteration, iterations, about
        self._pace = Pace()
        self._validating = None
        self._refresh()

    def showValidating(self, share: float | None) -> None:
        """Show how far a validation is; None when it is over."""
        self._validating = share
        self._refresh_soon()

    def step(self, iteration: int, seconds: float) -> None:
        """Take note of a step; it is shown soon."""
        self._iteration, self._validating = iteration, None
        self._pace.add(seconds)
        self._refresh_soon()

    def _refresh_soon(self) -> None:
        if not self._timer.isActive():
            self._timer.start()

    def _on_pause(self) -> None:
        (self.resume if self._state is State.PAUSED else self.pause).emit()

    def _update_buttons(self) -> None:
        state = self._state
        self.start_button.setEnabled(state is State.IDLE and self._ready)
        self.pause_button.setEnabled(state in (State.TRAINING, State.PAUSED) and not self._apart)
        self.pause_button.setText("Resume" if state is State.PAUSED else "Pause")
        self.stop_button.setEnabled(state in (State.PREPARING, State.TRAINING, State.PAUSED))
        for button in (self.snapshot_button, self.validate_button):
            button.setEnabled(state is State.TRAINING)
        self.apart_box.setEnabled(state is State.IDLE)

    def _refresh(self) -> None:
        if self._state is not State.PREPARING:
            self.bar.setRange(0, max(self._iterations, 1))
            self.bar.setFormat("%v of %m iterations" if self._iterations else "")
            self.bar.setValue(min(self._iteration, self.bar.maximum()))
        left = self._iterations - self._iteration
        if self._state is State.TRAINING and self._validating is not None:
            self._line.setText(f"Validating: {self._validating:.0%}")
            self._line.show()
            return
        said = {
            State.IDLE: self._about,
            State.PREPARING: "Preparing…",
            State.TRAINING: self._pace.describe(left)
            or f"Waiting for the {'next' if self._iteration else 'first'} step, {self._about}…",
            State.PAUSED: "Paused after the present step",
            State.STOPPING: "Stopping: a checkpoint is saved…",
        }[self._state]
        self._line.setText(said)
        self._line.setVisible(bool(said))
