"""The Predict tab: a model, an image, a region, and where the prediction goes."""

from __future__ import annotations

from contextlib import suppress
from functools import partial
from math import prod
from pathlib import Path
from time import monotonic

import napari
from qtpy.QtCore import QTimer, Signal
from qtpy.QtWidgets import QVBoxLayout, QWidget

from napari_dacapo_tasks.arrays.growing_image import DataTakenError, Exists
from napari_dacapo_tasks.errors import UserError
from napari_dacapo_tasks.prediction.events import Filled, Notice
from napari_dacapo_tasks.prediction.fit import VoxelSizeDiffersError
from napari_dacapo_tasks.prediction.prediction import Prediction
from napari_dacapo_tasks.widgets.activity import Activity
from napari_dacapo_tasks.widgets.export_dialog import ExportDialog
from napari_dacapo_tasks.widgets.image_panel import ImageSource
from napari_dacapo_tasks.widgets.large_prediction import TakenQuestion
from napari_dacapo_tasks.widgets.predict_controls import SHARES, PredictControls, State
from napari_dacapo_tasks.widgets.predict_forms import PredictForms
from napari_dacapo_tasks.widgets.predict_session import (
    PredictSession,
    SessionTab,
    ShownPrediction,
)
from napari_dacapo_tasks.widgets.predict_work import (
    Opener,
    Planned,
    Predicted,
    SeenPrediction,
    WorkEvent,
    plan_work,
    predict_work,
)
from napari_dacapo_tasks.widgets.prediction_layers import PredictionLayers
from napari_dacapo_tasks.widgets.settings import SettingsFile
from napari_dacapo_tasks.widgets.workers import Job

PLAN_MILLISECONDS = 200
"""So long after the last change the output is planned."""

MANY_VOXELS = 1e5
"""From here on their number is easier to read in millions."""

PLANNING = "Looking what will come out…"


class PredictTab(SessionTab):
    """Predicts an image with a trained network; the layers fill while it does.

    Signals
    -------
    said(str)
        Something to know, empty where all that was said is over.
    """

    said = Signal(str)

    def __init__(
        self,
        viewer: napari.Viewer,
        session: PredictSession,
        settings: SettingsFile,
        parent: QWidget | None = None,
    ) -> None:
        super().__init__(viewer, session, parent)
        self._opener = Opener()
        self._state = State.IDLE
        self._image: ImageSource | None = None
        self._shown: SeenPrediction | None = None
        self._resample = False
        self._begun = 0.0
        self._share = 0.0
        self._path: Path | None = None
        self._resumed = False
        self._heard: list[str] = []

        self.forms = PredictForms(viewer, settings)
        self.model, self.image = self.forms.model, self.forms.image
        self.region, self.output = self.forms.region, self.forms.output
        self.device, self.options = self.forms.device, self.forms.options
        self.controls = PredictControls()
        self.layers = PredictionLayers(viewer, self)
        self.dialog: ExportDialog | None = None
        """The last one that took a network elsewhere."""
        self._activity = Activity(self)
        self._job = Job(self)
        self._plan_job = Job(self)
        self._plan_timer = QTimer(self)
        self._plan_timer.setSingleShot(True)
        self._plan_timer.setInterval(PLAN_MILLISECONDS)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(4)
        layout.addWidget(self.forms, 1)
        layout.addWidget(self.controls)
        self._connect()
        self._on_changed()

    @property
    def state(self) -> State:
        """What goes on."""
        return self._state

    @property
    def planned(self) -> bool:
        """Whether what will come out is known, or known to be nothing."""
        return not (self._plan_timer.isActive() or self._plan_job.running or self.forms.busy)

    def show_settings(self) -> None:
        """Choose what was chosen the last time."""
        self.forms.show_settings()

    # Start and stop

    def start(self, exists: Exists = "refuse") -> None:
        """Predict what is chosen, and show it.

        Parameters
        ----------
        exists
            What to do where the output is there already; a person is asked by default.
        """
        if self._state is not State.IDLE:
            return
        self.said.emit("")
        try:
            asked, image = self.forms.asked(resample=self._resample)
            place = self.forms.place(exists, image)
        except Exception as error:  # every failure is shown
            self.failed.emit(error)
            return
        self._image, self._shown, self._path = image, None, place.path
        self._resumed = exists == "resume"
        self._share, self._heard = 0.0, []
        self.forms.remember(asked)
        self._plan_timer.stop()
        self._plan_job.stop()
        self._begun = monotonic()
        self._set_state(State.PREPARING)
        self._job.start(partial(predict_work, asked, place, self._opener))

    def stop(self) -> None:
        """End after the present tile; what is predicted stays."""
        if self._state in (State.PREPARING, State.PREDICTING):
            self._set_state(State.STOPPING)
            self._job.stop()

    def end(self) -> None:
        """End what goes on in the background, and wait for it."""
        self._activity.end()
        self._plan_timer.stop()
        self.forms.end()
        if self.dialog is not None:
            self.dialog.end()
        self._plan_job.end()
        self._job.end()
        self.layers.end()

    # What comes of it

    def _on_event(self, event: WorkEvent | None) -> None:
        match event:
            case Notice():
                if event.text not in self._heard:
                    self._heard.append(event.text)
                    self.said.emit(" ".join(self._heard))
            case SeenPrediction():
                self._on_opened(event)
            case Filled():
                self._on_filled(event)

    def _on_opened(self, seen: SeenPrediction) -> None:
        assert self._image is not None
        self._shown = seen
        self._begun = monotonic()
        self.layers.open(seen, self._image.anchor)
        if self._resumed:  # only what is new will be told
            self.layers.fill_all()
        self.layers.reveal()
        self._activity.begin(f"Predicting {self._image.name}", 0, SHARES)
        self._job.send(True)
        if self._state is State.PREPARING:
            self._set_state(State.PREDICTING)

    def _on_filled(self, filled: Filled) -> None:
        self._share = filled.share
        spent = monotonic() - self._begun
        left = spent * (1 - filled.share) / filled.share if filled.share else 0.0
        self.controls.showProgress(filled.share, filled.voxels_per_second, left)
        self._activity.step(round(filled.share * SHARES))
        if not filled.roi.empty:
            self.layers.fill(filled.roi)

    def _on_returned(self, predicted: Predicted) -> None:
        self.layers.finish(predicted.levels)
        self.controls.showDone()
        said = f"Predicted {self._image.name}" if self._image is not None else "Predicted"
        if self._path is not None:
            said += f"; it lies in {self._path}"
        self._end(predicted.prediction, f"{said}.")

    def _on_stopped(self) -> None:
        if self._shown is None:
            self._end(None, "Stopped before anything was predicted.")
            return
        self.layers.finish()
        said = f"Stopped after {self._share:.0%}: the layers keep what there is."
        if self._path is not None:
            said += f" It lies in {self._path}: predict to there again to resume."
        self._end(self._shown.prediction, said)

    def _on_failed(self, error: Exception) -> None:
        if self._shown is not None:
            self.layers.finish()
        self._end(None if self._shown is None else self._shown.prediction, "")
        if isinstance(error, DataTakenError):
            self._ask(error)
        elif isinstance(error, VoxelSizeDiffersError):
            self._show_refusal(error)
        else:
            self.failed.emit(error)

    def _end(self, prediction: Prediction | None, said: str) -> None:
        self._activity.end()
        self._set_state(State.IDLE)
        if prediction is not None and self._image is not None:
            self._session.set_prediction(ShownPrediction(prediction, self._image.anchor))
        if said:
            self.said.emit(" ".join([said, *self._heard]))

    def _ask(self, error: DataTakenError) -> None:
        """Let a person say what to do with a folder that is taken."""
        self.question = TakenQuestion(error, self)
        self.question.answered.connect(self._on_answered)
        self.question.open()

    def _on_answered(self, answer: str) -> None:
        if answer == "other":
            self.output.propose_another()
        elif answer == "resume":
            self.start("resume")
        else:
            self.start("overwrite")

    # What will come of it

    def _on_changed(self) -> None:
        """Plan anew, soon."""
        self._plan_timer.start()
        self.controls.setReady(False)

    def _on_input(self) -> None:
        self._resample = False

    def _plan(self) -> None:
        if self._state is not State.IDLE:
            return
        if self.forms.busy:
            return  # comes again when that is known
        try:
            asked, _ = self.forms.asked(resample=self._resample)
        except UserError as error:
            self._plan_job.stop()
            # What is missing is no mistake yet.
            self.controls.showPlan("" if self.model.model() is None else str(error))
            return
        self.controls.showPlan(PLANNING)
        self._plan_job.start(partial(plan_work, asked, self._opener))

    def _on_planned(self, planned: Planned) -> None:
        self.output.suggest(planned.bytes)
        said = describe(planned)
        self.controls.showPlan(" ".join([said, *planned.notices]))
        self.controls.setReady(True)

    def _show_refusal(self, error: Exception) -> None:
        if not isinstance(error, UserError):
            self.failed.emit(error)
        resamples = isinstance(error, VoxelSizeDiffersError)
        self.controls.showPlan("", str(error), resamples=resamples)
        self.controls.setReady(False)

    def _on_resample(self) -> None:
        self._resample = True
        self._on_changed()

    def _take_elsewhere(self) -> None:
        model = self.model.model()
        if model is None:
            return
        image = None
        with suppress(UserError):
            image = self.image.source().array
        self.dialog = ExportDialog(model, self.model.checkpoint(), image, self)
        self.dialog.show()

    def _set_state(self, state: State) -> None:
        self._state = state
        self.controls.setState(state)
        idle = state is State.IDLE
        for part in (self.forms, self.controls.resample_button):
            part.setEnabled(idle)

    def _connect(self) -> None:
        self.forms.inputChanged.connect(self._on_input)
        self.forms.changed.connect(self._on_changed)
        self.forms.failed.connect(self.failed)
        self.model.taken.connect(self._take_elsewhere)
        self.controls.start.connect(lambda: self.start())
        self.controls.stop.connect(self.stop)
        self.controls.resample.connect(self._on_resample)
        self._plan_timer.timeout.connect(self._plan)
        self._plan_job.returned.connect(self._on_planned)
        self._plan_job.failed.connect(self._show_refusal)
        self._job.yielded.connect(self._on_event)
        self._job.returned.connect(self._on_returned)
        self._job.stopped.connect(self._on_stopped)
        self._job.failed.connect(self._on_failed)


def describe(planned: Planned) -> str:
    """Say what will come out."""
    shape = " x ".join(map(str, planned.shape))
    channels = f"{planned.channels} channel{'s' * (planned.channels != 1)}"
    number = prod(planned.shape)
    voxels = f"{number / 1e6:.3g} million" if number >= MANY_VOXELS else f"{number:,}"
    sizes = ((1e8, 1e9, "GB"), (1e5, 1e6, "MB"), (0, 1e3, "kB"))
    unit, name = next((unit, name) for least, unit, name in sizes if planned.bytes >= least)
    return f"Gives {channels} of {shape} voxels ({voxels}), {planned.bytes / unit:.2g} {name}."
