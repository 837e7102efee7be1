"""From a prediction to labels, in the Predict dock."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import napari
from qtpy.QtCore import QEvent
from qtpy.QtWidgets import QFileDialog, QVBoxLayout, QWidget

from napari_dacapo_tasks.arrays.growing_image import DataTakenError
from napari_dacapo_tasks.prediction.prediction import Prediction
from napari_dacapo_tasks.segmentation.segment import Segmentation
from napari_dacapo_tasks.tasks.post_processors.post_processor import PostProcessorParameters
from napari_dacapo_tasks.widgets.labels_dialogs import ask_about_edits
from napari_dacapo_tasks.widgets.large_prediction import TakenQuestion
from napari_dacapo_tasks.widgets.lazy_image import LazyImage
from napari_dacapo_tasks.widgets.method_chooser import MethodChooser
from napari_dacapo_tasks.widgets.predict_session import (
    PredictSession,
    SessionTab,
    ShownPrediction,
    ShownSegmentation,
)
from napari_dacapo_tasks.widgets.predicted_labels import PredictedLabels
from napari_dacapo_tasks.widgets.result_layers import Anchor
from napari_dacapo_tasks.widgets.section import Section, scrolled
from napari_dacapo_tasks.widgets.segment_controls import SegmentControls
from napari_dacapo_tasks.widgets.segment_preview import SegmentPreview
from napari_dacapo_tasks.widgets.segment_work import (
    Begun,
    Segmented,
    SegmentRequest,
    TaskWanted,
    Written,
    opened,
    saved,
    segmented,
)
from napari_dacapo_tasks.widgets.workers import Job

KIND = "predicted segmentation"

EDITED_MEANWHILE = "What was edited meanwhile is kept in a layer of its own."


class SegmentTab(SessionTab):
    """Segments the prediction: a box around the view at once, all of it if wished."""

    def __init__(
        self, viewer: napari.Viewer, session: PredictSession, parent: QWidget | None = None
    ) -> None:
        super().__init__(viewer, session, parent)
        self._request: SegmentRequest | None = None
        self._shown: SegmentRequest | None = None
        self._image: LazyImage | None = None
        self._edited_since = False
        self._remark = ""
        self.chooser = MethodChooser()
        self.controls = SegmentControls()
        self.labels = PredictedLabels(viewer, KIND, self, self._on_edit)
        self.preview = SegmentPreview(
            viewer, self._ask_preview, lambda: self.controls.box_size, self
        )
        self._lay_out()

        self._job = Job(self, self._on_segmented, self._on_failed_segmenting)
        self._job.stopped.connect(self._on_stopped)
        self._files = Job(self, self._on_file, self.failed)
        self._job.yielded.connect(self._on_event)
        self.preview.made.connect(self._on_previewed)
        self.preview.cleared.connect(self._on_preview_cleared)
        self.preview.failed.connect(self.failed)
        self.chooser.changed.connect(self._change)
        controls = self.controls
        controls.opened.connect(self._on_open)
        controls.asked.connect(self.segment_all)
        controls.stopped.connect(self._job.stop)
        controls.saved.connect(self._on_save)
        controls.previewChanged.connect(self._change)
        session.predictionChanged.connect(self._on_prediction)
        session.parametersChosen.connect(self._on_parameters)
        self._on_prediction()

    @property
    def running(self) -> bool:
        """Whether a segmentation or a preview is being made, or will be in a moment."""
        return self._job.running or self._files.running or self.preview.running

    def end(self) -> None:
        """Leave all work and wait until it has cleaned up."""
        self.preview.end()
        self.labels.end()
        for job in (self._job, self._files):
            job.end()

    def segment_all(self) -> None:
        """Segment the whole prediction by the method and parameters of the form."""
        request = self._ask()
        if request is None:
            return
        if self.labels.edited:
            ask_about_edits(
                self, keep=partial(self._keep_and_go, request), replace=partial(self._go, request)
            )
        else:
            self._go(request)

    def event(self, event: Any) -> bool:
        """Preview for who looks at this tab, and show the whole in place of it to all others."""
        if event.type() == QEvent.Type.ShowToParent:
            self._change()
        elif event.type() == QEvent.Type.HideToParent:
            self.preview.clear()
        return bool(super().event(event))

    def _on_prediction(self) -> None:
        shown = self._session.prediction
        self._job.stop()
        self.preview.clear()
        self._shown = None
        self.controls.show_prediction(None if shown is None else shown.prediction)
        for widget in (self._method_section, self.chooser):
            widget.setEnabled(shown is not None)
        if shown is None:
            return
        prediction = shown.prediction
        self.chooser.setTask(prediction.task, prediction.array.unit.name)
        self.controls.setMethods(bool(self.chooser.titles))
        self._change()

    def _on_parameters(self, method: int, parameters: PostProcessorParameters) -> None:
        """Segment as in a step of a sweep."""
        self.chooser.show_method(method)
        form = self.chooser.form
        assert form is not None, "parameters are those of a method"
        form.setValue(parameters)
        self.segment_all()

    def _ask(self) -> SegmentRequest | None:
        """Give what is chosen; None where there is nothing to segment, or the form refuses."""
        shown, form = self._session.prediction, self.chooser.form
        parameters = None if form is None else form.value()
        if shown is None or parameters is None:
            return None
        return SegmentRequest(shown, self.chooser.combo.currentIndex(), parameters)

    # The preview

    def _change(self) -> None:
        """Something that the preview shows is another now."""
        if self.controls.live and self._looked_at():
            self.preview.soon()
        else:
            self.preview.clear()

    def _ask_preview(self) -> SegmentRequest | None:
        if not self.controls.live or not self._looked_at() or self._job.running:
            return None
        request = self._ask()
        # What is shown as a whole needs no preview.
        return None if request is None or request.same_labels(self._shown) else request

    def _on_previewed(self, result: Segmented) -> None:
        self.retried.emit()
        self.labels.hide()
        self.controls.say_preview(result)

    def _on_preview_cleared(self) -> None:
        self.labels.reveal()
        self.controls.say_preview(None)

    def _looked_at(self) -> bool:
        return bool(self.isVisibleTo(self.window()))

    # All of it

    def _keep_and_go(self, request: SegmentRequest) -> None:
        self.labels.keep_edited()
        self._go(request)

    def _go(self, request: SegmentRequest) -> None:
        """Ask for a folder where one is wanted, and begin."""
        if not self.controls.into_folder:
            self._start(request)
            return
        proposed = _proposed_path(request.shown.prediction)
        path, _ = QFileDialog.getSaveFileName(self, "Folder of the segmentation", str(proposed))
        if path:
            self._start(replace(request, out=Path(path)))

    def _start(self, request: SegmentRequest) -> None:
        self._request, self._image = request, None
        self._edited_since, self._remark = False, ""
        self.preview.clear()
        self.retried.emit()
        self.controls.show_busy()
        self._job.start(lambda: segmented(request))

    def _on_event(self, event: float | Begun | Written) -> None:
        match event:
            case float():
                self.controls.show_share(event)
            case Begun():
                self._on_begun(event.segmentation)
            case Written() if self._image is not None:
                for part in event.parts:
                    self._image.fill(part)

    def _on_begun(self, segmentation: Segmentation) -> None:
        """Show labels on disk from the first block on."""
        request = self._request
        if request is None or request.shown is not self._session.prediction:
            return
        self.controls.forget_result()
        self._session.set_segmentation(None)
        self._image = LazyImage([segmentation.array.data], 1)
        self._show(request, segmentation, grows=True)

    def _show(
        self, request: SegmentRequest, segmentation: Segmentation, *, grows: bool = False
    ) -> None:
        if self._edited_since and self.labels.edited:
            self.labels.keep_edited()
            self._remark = EDITED_MEANWHILE
        self.preview.clear()
        name = request.shown.prediction.name or "prediction"
        self.labels.show(request.shown, segmentation, name, self._image, grows=grows)
        self._shown = request

    def _on_stopped(self) -> None:
        self.controls.show_idle()
        request = self._request
        if request is not None and request.shown is self._session.prediction and request.out:
            some = self._image is not None
            begun = "the layers keep what there is" if some else "nothing is written yet"
            self.controls.say(
                f"Stopped: {begun}. What was found lies in {request.out}: segment to there again "
                "to resume."
            )
        self._change()  # the preview made way for it

    def _on_failed_segmenting(self, error: BaseException) -> None:
        self.controls.show_idle()
        request = self._request
        if not isinstance(error, DataTakenError) or request is None:
            self.failed.emit(error)
            self._change()
            return
        question = TakenQuestion(error, self)
        question.setWindowTitle("Segmentation")
        question.answered.connect(partial(self._on_answered, request))
        question.open()

    def _on_answered(self, request: SegmentRequest, answer: str) -> None:
        """Do what a person says about a folder that is taken."""
        if answer == "resume":
            self._start(replace(request, exists="resume"))
        elif answer == "overwrite":
            self._start(replace(request, exists="overwrite"))
        else:
            self._go(request)

    def _on_segmented(self, result: Segmented) -> None:
        request = result.request
        self.controls.show_idle()
        if request.shown is not self._session.prediction:
            return
        segmentation = result.segmentation
        if self._image is not None:
            self._image.set_levels(result.levels)
        self._show(request, segmentation)
        self.controls.say_result(result, self._remark)
        self._session.set_segmentation(
            ShownSegmentation(
                request.shown,
                segmentation.array,
                tuple(layer.name for layer in self.labels.layers()),
                request.method,
                request.parameters,
            )
        )
        self._change()  # the form may say something else by now

    def _on_edit(self) -> None:
        self._edited_since = True
        self.controls.say_edited()

    # Files

    def _on_open(self) -> None:
        path = QFileDialog.getExistingDirectory(self, "Folder of a prediction", str(Path.home()))
        if path:
            self.open(Path(path))

    def open(self, path: Path, run: Path | None = None) -> None:
        """Take a prediction on disk in place of the one in the viewer."""
        self.retried.emit()
        self._files.start(partial(opened, path, run))

    def _on_save(self) -> None:
        segmentation, layers = self._session.segmentation, self.labels.layers()
        if segmentation is None or len(layers) != len(segmentation.layers):
            return
        proposed = _proposed_path(segmentation.of.prediction)
        path, _ = QFileDialog.getSaveFileName(self, "Save the labels as OME-Zarr", str(proposed))
        if path:
            values = [layer.data for layer in layers]
            self.retried.emit()
            self._files.start(partial(saved, Path(path), segmentation.array, values))

    def _on_file(self, found: Prediction | TaskWanted | Path) -> None:
        if isinstance(found, Path):
            self.controls.say(f"Saved as {found}.")
        elif isinstance(found, TaskWanted):
            title = "Run folder of the network that predicted this"
            run = QFileDialog.getExistingDirectory(self, title, str(found.path.parent))
            if run:
                self.open(found.path, Path(run))
        else:
            self._session.set_prediction(ShownPrediction(found, Anchor.at_array(found.array)))

    def _lay_out(self) -> None:
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        self._method_section = Section("Method", self.chooser)
        layout.addWidget(
            scrolled(
                Section("Prediction", self.controls.source),
                self._method_section,
                Section("Segmentation", self.controls),
            )
        )


def _proposed_path(prediction: Prediction) -> Path:
    """Propose where a segmentation goes: beside its prediction, or into the run."""
    stored = prediction.array.attrs.get("path")
    if stored is not None:
        path = Path(stored)
        return path.with_name(f"{path.name.split('.')[0]}-segmentation.ome.zarr")
    folder = prediction.run or Path.home()
    return folder / f"{prediction.name or 'prediction'}-segmentation.ome.zarr"
