"""How good a segmentation is, in the Predict dock."""

from __future__ import annotations

from collections.abc import Iterable
from functools import partial
from pathlib import Path
from typing import Any
from weakref import WeakSet

import napari
import numpy as np
from napari.layers import Labels, Layer
from qtpy.QtWidgets import (
    QCheckBox,
    QFileDialog,
    QFormLayout,
    QHBoxLayout,
    QLabel,
    QProgressBar,
    QPushButton,
    QVBoxLayout,
    QWidget,
)

from napari_dacapo_tasks.errors import DataError, UserError
from napari_dacapo_tasks.evaluation.evaluate import Evaluation
from napari_dacapo_tasks.evaluation.objects import ObjectRow
from napari_dacapo_tasks.tasks.post_processors.post_processor import Labelling
from napari_dacapo_tasks.units import WorldUnit
from napari_dacapo_tasks.widgets.chosen_object import ChosenObject
from napari_dacapo_tasks.widgets.labels_watch import EDITS
from napari_dacapo_tasks.widgets.layer_combo import LayerCombo
from napari_dacapo_tasks.widgets.layers import array_of
from napari_dacapo_tasks.widgets.lifetime import connect_while_alive
from napari_dacapo_tasks.widgets.mistakes_layers import OF_OBJECT, MistakesLayers, MistakesLegend
from napari_dacapo_tasks.widgets.objects_table import ObjectsTable
from napari_dacapo_tasks.widgets.predict_session import PredictSession, SessionTab
from napari_dacapo_tasks.widgets.result_layers import Anchor
from napari_dacapo_tasks.widgets.score_work import Scored, ScoreRequest, scored, written
from napari_dacapo_tasks.widgets.section import Section, scrolled
from napari_dacapo_tasks.widgets.sortable_scores import SortableScores
from napari_dacapo_tasks.widgets.truth_chooser import TruthChooser, TruthSection
from napari_dacapo_tasks.widgets.view_place import look_at
from napari_dacapo_tasks.widgets.workers import Job

OF_SESSION = "that of the Segment tab"
NO_SEGMENTATION = (
    "There is nothing to score yet: segment a prediction in the Segment tab, or choose a labels "
    "layer here."
)
NO_TASK = "Nothing says what the labels mean: predict first, or choose a task in the Task dock."


class ScoreTab(SessionTab):
    """Scores a segmentation against ground truth, and shows where it is wrong."""

    def __init__(
        self,
        viewer: napari.Viewer,
        session: PredictSession,
        truth: TruthChooser,
        parent: QWidget | None = None,
    ) -> None:
        super().__init__(viewer, session, parent)
        self._scored: Scored | None = None
        self.truth = truth
        self.segmentation_combo = LayerCombo(viewer, (Labels,), none_text=OF_SESSION)
        self.segmentation_combo.setToolTip("What is scored, with all that was edited in it")
        self.score_button = QPushButton("Score")
        self.save_button = QPushButton("Save…")
        self.save_button.setToolTip("Save scores and objects as JSON and CSV")
        self.bar = QProgressBar()
        self.bar.setRange(0, 100)
        self.stop_button = QPushButton("Stop")
        self.said = QLabel()
        self.said.setWordWrap(True)
        self.table = SortableScores()
        self.objects = ObjectsTable()
        self.objects.setColours(OF_OBJECT)
        self.mistakes = MistakesLayers(viewer)
        self.mistakes_box = QCheckBox("Show where it is wrong")
        self.mistakes_box.setChecked(True)
        self.legend = MistakesLegend()
        self.chosen = ChosenObject(viewer, self)
        self._hidden: list[Layer] = []
        self._watched: WeakSet[Layer] = WeakSet()
        self._lay_out()

        self._job = Job(self, self._on_scored, self._on_failed)
        self._job.yielded.connect(self._on_share)
        self._job.stopped.connect(self._show_idle)
        self._files = Job(self, self._on_written, self._on_failed)
        self.score_button.clicked.connect(self.score)
        self.stop_button.clicked.connect(self._job.stop)
        self.save_button.clicked.connect(self._on_save)
        self.objects.chosen.connect(self.go_to)
        self.mistakes_box.toggled.connect(self._on_mistakes_box)
        truth.changed.connect(self._on_truth)
        session.segmentationChanged.connect(self._on_segmentation)

    @property
    def running(self) -> bool:
        """Whether it is being scored, or saved."""
        return self._job.running or self._files.running or self.chosen.running

    @property
    def evaluation(self) -> Evaluation | None:
        """What was found the last time; None before that."""
        return None if self._scored is None else self._scored.evaluation

    def end(self) -> None:
        """Leave all work and wait until it has cleaned up."""
        for job in (self._job, self._files, self.chosen):
            job.end()

    def score(self) -> None:
        """Score what is chosen."""
        self.retried.emit()
        try:
            request = self._request()
        except UserError as error:
            self.failed.emit(error)
            return
        self.bar.setValue(0)
        self._working.show()
        self.score_button.setEnabled(False)
        self._job.start(lambda: scored(request))

    def go_to(self, row: ObjectRow) -> None:
        """Bring an object into the middle of the canvas, and choose its label."""
        if self._scored is None:
            return
        request, evaluation = self._scored.request, self._scored.evaluation
        look_at(self._viewer, request.anchor.place(evaluation.mistakes), row.voxel)
        channel = list(evaluation.scores).index(row.channel)
        self.mistakes.show_channel(channel)
        self.chosen.show(self._scored, row)
        if evaluation.labelling is not Labelling.INSTANCES:
            return  # objects of foreground are regions without an id of their own
        if not row.of_segment:
            ids = request.truth.config.channels[channel].labels
            if isinstance(request.truth_layer, Labels):
                # A channel of a single id shows that as 1.
                request.truth_layer.selected_label = ids[0] if len(ids) == 1 else row.id
        elif channel < len(request.layers):
            request.layers[channel].selected_label = row.id

    def _request(self) -> ScoreRequest:
        """Give what is chosen; raises UserError where that cannot be scored."""
        truth, task = self.truth.ground_truth(), self.truth.task
        if task is None:
            raise DataError(NO_TASK)
        layer = self.segmentation_combo.layer()
        if layer is not None:
            array, anchor = array_of(layer), Anchor.at_layer(layer)
            return ScoreRequest(
                task, array, None, truth, None, anchor, (layer,), self.truth.labels_layer, False
            )
        segmentation = self._session.segmentation
        if segmentation is None:
            raise DataError(NO_SEGMENTATION)
        layers = [one for one in self._viewer.layers if one.name in segmentation.layers]
        layers.sort(key=lambda one: segmentation.layers.index(one.name))
        values = [one.data for one in layers if isinstance(one.data, np.ndarray)]
        return ScoreRequest(
            task,
            segmentation.array,
            # Those on disk, and those of layers that were removed, count as they were made.
            values if len(values) == len(segmentation.layers) else None,
            truth,
            segmentation.method,
            segmentation.of.anchor,
            tuple(layers),
            self.truth.labels_layer,
        )

    def _on_share(self, share: float) -> None:
        self.bar.setValue(round(100 * share))

    def _on_scored(self, result: Scored) -> None:
        self._show_idle()
        self._scored = result
        evaluation = result.evaluation
        self.table.show_scores(
            evaluation.scores, evaluation.criteria, WorldUnit(evaluation.unit, 1)
        )
        self.objects.show_objects(result.columns, channels=len(evaluation.scores) > 1)
        self.legend.show_counts(evaluation.labelling, result.mistaken)
        self.chosen.clear()
        self._show_mistakes()
        self._watch(result.request.all_layers)
        for widget in (self.table, self.legend):
            widget.setEnabled(True)
        self.said.setText(" ".join(evaluation.notices))
        self.said.setVisible(bool(evaluation.notices))
        self._scores.show()
        has_objects = evaluation.labelling is not Labelling.CLASSES
        self._objects.setVisible(has_objects)
        self._mistakes.show()
        self.save_button.setEnabled(True)

    def _show_mistakes(self) -> None:
        """Show the mistakes alone: they cannot be told from the colours of objects."""
        if self._scored is not None and self.mistakes_box.isChecked():
            evaluation, request = self._scored.evaluation, self._scored.request
            # Classes have a score each, but their mistakes are in one channel.
            channels = list(evaluation.scores)[: len(evaluation.mistakes.data)]
            self.mistakes.show(evaluation.mistakes, channels, request.anchor)
            for layer in request.all_layers:
                if layer.visible:
                    layer.visible = False
                    self._hidden.append(layer)

    def _clear_mistakes(self) -> None:
        self.mistakes.clear()
        for layer in self._hidden:
            layer.visible = True
        self._hidden = []

    def _on_mistakes_box(self, on: bool) -> None:
        if on:
            self._show_mistakes()
        else:
            self._clear_mistakes()

    def _on_segmentation(self) -> None:
        """What was scored is not there any more."""
        if self._scored is not None and self._scored.request.of_session:
            self._clear_mistakes()
            self.chosen.clear()
            self._outdate("The segmentation is another one by now: score again.")

    def _on_truth(self) -> None:
        if self._scored is not None:
            request = self._scored.request
            chosen = (self.truth.labels_layer, self.truth.panel.labels_config)
            if chosen != (request.truth_layer, request.truth.config):
                self._outdate("The ground truth is another one by now: score again.")

    def _on_edit(self, event: Any) -> None:
        if self._scored is not None and event.source in self._scored.request.all_layers:
            self._outdate("Labels were edited since: score again.")

    def _outdate(self, why: str) -> None:
        for widget in (self.table, self.legend):
            widget.setEnabled(False)
        self.said.setText(why)
        self.said.show()

    def _watch(self, layers: Iterable[Layer]) -> None:
        for layer in layers:
            if layer not in self._watched:
                self._watched.add(layer)
                for name in EDITS:
                    if name in layer.events:
                        connect_while_alive(self, getattr(layer.events, name), self._on_edit)

    def _on_save(self) -> None:
        if self._scored is None:
            return
        shown = self._session.prediction
        run = None if shown is None else shown.prediction.run
        folder = Path.home() if run is None else run
        path, _ = QFileDialog.getSaveFileName(
            self, "Save scores and objects", str(folder / "evaluation.json"), "JSON (*.json)"
        )
        if path:
            self.retried.emit()
            self._files.start(partial(written, Path(path), self._scored.evaluation))

    def _on_written(self, paths: tuple[Path, Path]) -> None:
        self.said.setText(f"Saved as {paths[0]} and {paths[1].name}.")
        self.said.show()

    def _on_failed(self, error: BaseException) -> None:
        self._show_idle()
        self.failed.emit(error)

    def _show_idle(self) -> None:
        self._working.hide()
        self.score_button.setEnabled(True)

    def _lay_out(self) -> None:
        what = QFormLayout()
        what.setFieldGrowthPolicy(QFormLayout.FieldGrowthPolicy.AllNonFixedFieldsGrow)
        what.addRow("Labels", self.segmentation_combo)
        buttons = QHBoxLayout()
        buttons.addWidget(self.score_button, 1)
        buttons.addWidget(self.save_button)
        self.save_button.setEnabled(False)
        self._working = QWidget()
        working = QHBoxLayout(self._working)
        working.setContentsMargins(0, 0, 0, 0)
        working.addWidget(self.bar, 1)
        working.addWidget(self.stop_button)
        segmentation = QWidget()
        column = QVBoxLayout(segmentation)
        column.setContentsMargins(0, 0, 0, 0)
        column.addLayout(what)
        column.addLayout(buttons)
        column.addWidget(self._working)
        column.addWidget(self.said)
        mistakes = QWidget()
        shown = QVBoxLayout(mistakes)
        shown.setContentsMargins(0, 0, 0, 0)
        shown.addWidget(self.mistakes_box)
        shown.addWidget(self.legend)
        self._scores = Section("Scores", self.table)
        self._objects = Section("Objects", self.objects)
        self._mistakes = Section("Mistakes", mistakes)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(
            scrolled(
                TruthSection(self.truth),
                Section("Segmentation", segmentation),
                self._scores,
                self._mistakes,
                self._objects,
            )
        )
        for widget in (self._working, self.said, self._scores, self._objects, self._mistakes):
            widget.hide()
