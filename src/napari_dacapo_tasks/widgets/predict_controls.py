"""Predict, stop, and how far a prediction is."""

from __future__ import annotations

from enum import Enum

from qtpy.QtCore import QTimer, Signal
from qtpy.QtWidgets import QHBoxLayout, QLabel, QProgressBar, QPushButton, QVBoxLayout, QWidget

from napari_dacapo_tasks.widgets.refused import STYLE, RefusalLabel
from napari_dacapo_tasks.widgets.run_controls import duration

REFRESH_MILLISECONDS = 150
SHARES = 1000
"""Steps of the progress bar."""


class State(Enum):
    """What goes on."""

    IDLE = "idle"
    PREPARING = "preparing"
    PREDICTING = "predicting"
    STOPPING = "stopping"


class PredictControls(QWidget):
    """Buttons, a progress bar and a line; what they do is decided outside.

    Signals
    -------
    start(), stop(), resample()
        A person asks for it.
    """

    start = Signal()
    stop = Signal()
    resample = Signal()

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setStyleSheet(STYLE)
        self._state = State.IDLE
        self._ready = False
        self._share = 0.0
        self._about = ""
        self._plan = QLabel()
        self._plan.setWordWrap(True)
        self._refusal = RefusalLabel()
        self.resample_button = QPushButton("Resample")
        self.resample_button.setToolTip(
            "Bring the image to the voxel size that the network was trained on, where it is read"
        )
        self.resample_button.hide()
        self.start_button = QPushButton("Predict")
        self.stop_button = QPushButton("Stop")
        self.stop_button.setToolTip("End after the present tile; what is predicted stays")
        self.bar = QProgressBar()
        self.bar.setRange(0, SHARES)
        self._line = QLabel()
        self._line.setWordWrap(True)
        buttons = QHBoxLayout()
        buttons.addWidget(self.start_button, 1)
        buttons.addWidget(self.stop_button, 1)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(8, 0, 8, 8)
        layout.setSpacing(4)
        for widget in (self._plan, self._refusal, self.resample_button):
            layout.addWidget(widget)
        layout.addLayout(buttons)
        layout.addWidget(self.bar)
        layout.addWidget(self._line)
        self.start_button.clicked.connect(self.start)
        self.stop_button.clicked.connect(self.stop)
        self.resample_button.clicked.connect(self.resample)
        self._timer = QTimer(self)
        self._timer.setSingleShot(True)
        self._timer.setInterval(REFRESH_MILLISECONDS)
        self._timer.timeout.connect(self._refresh)
        self.setState(State.IDLE)
        self.showPlan("")

    @property
    def state(self) -> State:
        """What goes on."""
        return self._state

    @property
    def plan(self) -> str:
        """What is said of the output, or why there will be none."""
        return str(self._refusal.text() or self._plan.text())

    @property
    def text(self) -> str:
        """What the line under the bar says."""
        return str(self._line.text())

    def setState(self, state: State) -> None:
        """Let only those buttons be pressed that make sense now."""
        self._state = state
        if state is State.PREPARING:
            self._share, self._about = 0.0, ""
        self._update_buttons()
        self._refresh()

    def showPlan(self, text: str, refusal: str = "", *, resamples: bool = False) -> None:
        """Say what will come out, or why nothing can, and whether resampling would help."""
        self._plan.setText(text)
        self._plan.setVisible(bool(text))
        self._refusal.say(refusal)
        self.resample_button.setVisible(resamples)

    def setReady(self, ready: bool) -> None:
        """Say whether there is something to predict."""
        self._ready = ready
        self._update_buttons()

    def showProgress(self, share: float, voxels_per_second: float, seconds_left: float) -> None:
        """Take note of how far it is; it is shown soon."""
        self._share = share
        if share and voxels_per_second:
            self._about = f"{_rate(voxels_per_second)}, {duration(seconds_left)} left"
        if not self._timer.isActive():
            self._timer.start()

    def showDone(self) -> None:
        """Show that nothing is left to do."""
        self._share = 1.0
        self._refresh()

    def _update_buttons(self) -> None:
        state = self._state
        self.start_button.setEnabled(state is State.IDLE and self._ready)
        self.stop_button.setEnabled(state in (State.PREPARING, State.PREDICTING))

    def _refresh(self) -> None:
        self.bar.setValue(round(self._share * SHARES))
        self.bar.setFormat("%p%" if self._share else "")
        said = {
            State.IDLE: "",
            State.PREPARING: "Preparing…",
            State.PREDICTING: self._about or "The first tile…",
            State.STOPPING: "Stopping after the present tile…",
        }[self._state]
        self._line.setText(said)
        self._line.setVisible(bool(said))


def _rate(voxels_per_second: float) -> str:
    for size, name in ((1e6, "million "), (1e3, "thousand ")):
        if voxels_per_second >= size:
            return f"{voxels_per_second / size:.3g} {name}voxels/s"
    return f"{voxels_per_second:.3g} voxels/s"
