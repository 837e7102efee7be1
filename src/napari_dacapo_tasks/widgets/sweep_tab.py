"""Which parameters make the best segmentation, in the Predict dock."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path
from time import perf_counter

import napari
from qtpy.QtCore import QTimer
from qtpy.QtWidgets import (
    QFormLayout,
    QHBoxLayout,
    QLabel,
    QProgressBar,
    QPushButton,
    QVBoxLayout,
    QWidget,
)

from napari_dacapo_tasks.errors import ConfigError, UserError
from napari_dacapo_tasks.evaluation.ranges import SweepRanges
from napari_dacapo_tasks.evaluation.sweep import SweepResult, SweepRow, SweepStep
from napari_dacapo_tasks.tasks.task import Method
from napari_dacapo_tasks.widgets.activity import Activity
from napari_dacapo_tasks.widgets.elided_combo import ElidedCombo
from napari_dacapo_tasks.widgets.predict_session import (
    PredictSession,
    SessionTab,
    ShownPrediction,
)
from napari_dacapo_tasks.widgets.section import Section, scrolled
from napari_dacapo_tasks.widgets.sweep_files import SweepFiles
from napari_dacapo_tasks.widgets.sweep_ranges import SweepRangesEditor
from napari_dacapo_tasks.widgets.sweep_scores import SweepScores
from napari_dacapo_tasks.widgets.sweep_work import Swept, swept
from napari_dacapo_tasks.widgets.truth_chooser import TruthChooser, TruthSection
from napari_dacapo_tasks.widgets.workers import Job

SHOW_MILLISECONDS = 200
"""Small combinations come by the hundred a second, eyes see a few pictures a second."""

SHOWING_SHARE = 0.1
"""Share of the main thread's time that showing may take; long sweeps are shown less often."""

FIRST_PREDICT = "Predict first, or choose a stored prediction in the Segment tab."
NO_METHODS = "Predictions of this task are not segmented, so there is nothing to sweep."
PER_CENT = 100


class SweepTab(SessionTab):
    """Segments and scores with all values of a method's parameters, and shows which are best."""

    def __init__(
        self,
        viewer: napari.Viewer,
        session: PredictSession,
        truth: TruthChooser,
        parent: QWidget | None = None,
    ) -> None:
        super().__init__(viewer, session, parent)
        self._methods: list[Method] = []
        self._wished = False
        self._begun = SweepResult("", (), (), (), "", "")
        self._numbers: Mapping[str, int] = {}
        self._run: Path | None = None
        self.subject = QLabel()
        self.subject.setWordWrap(True)
        self.truth = truth
        self.method_combo = ElidedCombo()
        self.ranges = SweepRangesEditor()
        self.sweep_button = QPushButton("Sweep")
        self.stop_button = QPushButton("Stop")
        self.bar = QProgressBar()
        self.scores = SweepScores(viewer)
        self.files = SweepFiles()
        self.activity = Activity(self)
        self._job = Job(self)
        self._soon = QTimer(self)
        self._soon.setSingleShot(True)
        self._soon.setInterval(SHOW_MILLISECONDS)
        self._lay_out()
        self._connect()
        self._on_prediction()

    @property
    def running(self) -> bool:
        """Whether a sweep goes on."""
        return self._job.running

    @property
    def result(self) -> SweepResult | None:
        """What is shown."""
        return self.scores.result

    def start(self) -> None:
        """Sweep in the background."""
        shown, ranges = self._session.prediction, self.ranges.ranges()
        if shown is None or ranges is None:
            return
        self.retried.emit()
        prediction, index = shown.prediction, self.method_combo.currentIndex()
        try:
            truth = self.truth.ground_truth()
        except UserError as error:
            self.failed.emit(error)
            return
        method = self._methods[index]
        self._begun = SweepResult(
            method=method.title,
            names=tuple(ranges.values),
            rows=(),
            criteria=tuple(method.evaluator.criteria),
            unit=prediction.array.unit.name,
            task=prediction.task.name,
            prediction=prediction.name,
        )
        self._run = prediction.run
        self._numbers = {name: len(values) for name, values in ranges.values.items()}
        self._job.start(partial(swept, prediction, truth, ranges, index))
        self._show_running(ranges)

    def stop(self) -> None:
        """Stop after the present step; what was found until then stays."""
        self._job.stop()

    def end(self) -> None:
        """Leave all work and wait until it has cleaned up."""
        self._soon.stop()
        self._job.end()
        self.files.end()
        self.activity.end()

    # What is to be swept

    def _on_prediction(self) -> None:
        shown = self._session.prediction
        self.subject.setText(_of(shown))
        before = self.method_combo.currentText()
        self._methods = [] if shown is None else _methods_of(shown)
        titles = [method.title for method in self._methods]
        self.files.setRun(None if shown is None else shown.prediction.run)
        self.method_combo.clear()
        self.method_combo.addItems(titles)
        self.method_combo.setCurrentIndex(titles.index(before) if before in titles else 0)
        self._method_row.setVisible(len(titles) > 1)
        self._on_method()

    def _on_segmentation(self) -> None:
        """Propose the method that the Segment tab uses, until another one is chosen here."""
        segmentation = self._session.segmentation
        if segmentation is None or self._wished or self.running:
            return
        if self.method_combo.currentIndex() != segmentation.method:
            self.method_combo.setCurrentIndex(segmentation.method)
            self._on_method()

    def _on_chosen_method(self, _index: int) -> None:
        self._wished = True
        self._on_method()

    def _on_method(self) -> None:
        index, shown = self.method_combo.currentIndex(), self._session.prediction
        self.ranges.setVisible(index >= 0)
        if index >= 0 and shown is not None:
            self.ranges.setMethod(self._methods[index], shown.prediction.array.unit.name)
        else:
            self.ranges.setMethod(None)
        self._enable()

    def _enable(self) -> None:
        ready = bool(self._methods) and self.ranges.ranges() is not None
        self.sweep_button.setEnabled(ready and not self.running)
        self.stop_button.setEnabled(self.running)
        self.files.earlier_button.setEnabled(not self.running)

    # What comes of it

    def _on_step(self, step: SweepStep) -> None:
        self.bar.setValue(round(PER_CENT * step.share))
        self.activity.step(round(PER_CENT * step.share))
        if step.row is not None:
            self._begun = replace(self._begun, rows=(*self._begun.rows, step.row))
            self.bar.setFormat(f"{len(self._begun.rows)} of {step.number}")
            if not self._soon.isActive():
                self._soon.start()

    def _on_swept(self, found: Swept) -> None:
        self._show_idle()
        self._show_found(found)

    def _on_failed(self, error: BaseException) -> None:
        self._show_idle()
        self._show_partial("Ended early: ")
        self.failed.emit(error)

    def _on_stopped(self) -> None:
        self._show_idle()
        self._show_partial("Stopped: ")

    def _show_found(self, found: Swept) -> None:
        if found.result is not self.result:
            self._show_result(found.result)
        self.files.tell(found)
        if found.error is not None:
            self.failed.emit(found.error)

    def _show_partial(self, how: str) -> None:
        """Show what there is of a sweep that has not come to its end."""
        if self._begun.rows:
            self._show_begun()
            self.files.tell(Swept(self._begun, run=self._run), how)

    def _show_begun(self) -> None:
        begun = perf_counter()
        self._show_result(self._begun, self._numbers)
        milliseconds = (perf_counter() - begun) * 1000
        self._soon.setInterval(max(SHOW_MILLISECONDS, round(milliseconds / SHOWING_SHARE)))

    def _show_result(self, result: SweepResult, numbers: Mapping[str, int] | None = None) -> None:
        self._soon.stop()
        self._found.setVisible(True)
        self.scores.show_result(result, numbers)

    def _on_row(self, row: SweepRow) -> None:
        """Let the Segment tab use the parameters of a row."""
        assert self.result is not None
        titles = [method.title for method in self._methods]
        if self.result.method not in titles:
            refusal = (
                f"This sweep was of the method {self.result.method}, which the prediction here "
                f"does not have: choose a prediction of the task {self.result.task} first."
            )
            self.failed.emit(ConfigError(refusal))
            return
        self._session.parametersChosen.emit(titles.index(self.result.method), row.parameters)

    # How it looks

    def _show_running(self, ranges: SweepRanges) -> None:
        self.files.clear()
        self.bar.setValue(0)
        self.bar.setFormat(f"0 of {ranges.number}")
        self._working.show()
        self.activity.begin("Sweep", 0, PER_CENT)
        self._enable()

    def _show_idle(self) -> None:
        self._soon.stop()
        self._working.hide()
        self.activity.end()
        self._enable()

    def _lay_out(self) -> None:
        self._method_row = QWidget()
        row = QFormLayout(self._method_row)
        row.setContentsMargins(0, 0, 0, 0)
        row.setFieldGrowthPolicy(QFormLayout.FieldGrowthPolicy.AllNonFixedFieldsGrow)
        row.addRow("Method", self.method_combo)
        self.bar.setRange(0, PER_CENT)
        self._working = _column(self.bar)
        self._working.hide()
        buttons = QHBoxLayout()
        buttons.addWidget(self.sweep_button, 1)
        buttons.addWidget(self.stop_button)
        buttons.addWidget(self.files.earlier_button)
        values = _column(self.subject, self._method_row, self.ranges, self._working)
        values.layout().insertLayout(3, buttons)
        self._found = Section("Scores", _column(self.scores, self.files))
        self._found.hide()
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(
            scrolled(TruthSection(self.truth), Section("Values to try", values), self._found)
        )

    def _connect(self) -> None:
        self._job.yielded.connect(self._on_step)
        self._job.returned.connect(self._on_swept)
        self._job.failed.connect(self._on_failed)
        self._job.stopped.connect(self._on_stopped)
        self.files.found.connect(self._show_found)
        self.files.failed.connect(self.failed)
        self._soon.timeout.connect(self._show_begun)
        self.sweep_button.clicked.connect(self.start)
        self.stop_button.clicked.connect(self.stop)
        self.method_combo.activated.connect(self._on_chosen_method)
        self.ranges.changed.connect(self._enable)
        self.scores.chosen.connect(self._on_row)
        self._session.predictionChanged.connect(self._on_prediction)
        self._session.segmentationChanged.connect(self._on_segmentation)


def _methods_of(shown: ShownPrediction) -> list[Method]:
    prediction = shown.prediction
    task = prediction.task.task_type(prediction.task.on_grid(prediction.array.unit))
    return list(task.methods)


def _of(shown: ShownPrediction | None) -> str:
    """Say what is to be swept."""
    if shown is None:
        return FIRST_PREDICT
    prediction = shown.prediction
    if not _methods_of(shown):
        return NO_METHODS
    return f"Prediction of {prediction.name or prediction.task.name}: {prediction.array.describe()}"


def _column(*widgets: QWidget) -> QWidget:
    holder = QWidget()
    layout = QVBoxLayout(holder)
    layout.setContentsMargins(0, 0, 0, 0)
    layout.setSpacing(4)
    for widget in widgets:
        layout.addWidget(widget)
    return holder
