"""Whether a task, with its parameters, could tell the objects apart at all, in the Task dock."""

from __future__ import annotations

from collections.abc import Generator, Mapping
from dataclasses import dataclass
from html import escape
from typing import Any

import napari
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

from napari_dacapo_tasks.tasks import TaskConfig
from napari_dacapo_tasks.tasks.post_processors.post_processor import (
    Labelling,
    PostProcessorParameters,
)
from napari_dacapo_tasks.tasks.preview import Preview, PreviewProgress
from napari_dacapo_tasks.tasks.segment_target import (
    TargetSegmentation,
    segment_target,
    usual_method,
)
from napari_dacapo_tasks.widgets.colormaps import (
    BACKGROUND,
    FOREGROUND,
    INSTANCES,
    channel_colours,
    class_look,
)
from napari_dacapo_tasks.widgets.method_chooser import MethodChooser
from napari_dacapo_tasks.widgets.result_layers import Anchor
from napari_dacapo_tasks.widgets.scores_table import ScoresTable
from napari_dacapo_tasks.widgets.segmentation_layers import SegmentationLayers
from napari_dacapo_tasks.widgets.workers import Job

DEBOUNCE_MS = 40
"""Changes that come in this time make one segmentation."""

PROGRESS_AFTER_MS = 500
"""Work that is done by then shows no progress bar."""

QUESTION = (
    "Could this task, with these parameters, tell the objects apart at all? The target, which is "
    "the best that a network could answer, is segmented and compared with the ground truth."
)


@dataclass(frozen=True)
class _Subject:
    """A preview to segment: all that the worker gets, besides method and parameters."""

    config: TaskConfig
    preview: Preview
    anchor: Anchor


@dataclass(frozen=True)
class _Chosen:
    """Which method suits the data."""

    index: int


@dataclass(frozen=True)
class _Answer:
    """What came of a subject."""

    subject: _Subject
    labelling: Labelling
    result: TargetSegmentation


class SegmentPanel(QWidget):
    """Segments the target of each preview while its box is checked, and shows the answer.

    Signals
    -------
    failed(object)
        An exception to show.
    """

    failed = Signal(object)

    def __init__(self, viewer: napari.Viewer, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._subject: _Subject | None = None
        self._progress = PreviewProgress(0.0, "")
        self.layers = SegmentationLayers(viewer)
        self.box = QCheckBox("Segment the target of each preview")
        self.box.setToolTip(f"<p>{QUESTION}</p>")
        self.chooser = MethodChooser()
        self.bar = QProgressBar()
        self.bar.setRange(0, 100)
        self.cancel_button = QPushButton("Cancel")
        self.verdict = QLabel()
        self.verdict.setWordWrap(True)
        self.table = ScoresTable()
        self._lay_out()

        self._job = Job(self)
        self._job.yielded.connect(self._on_event)
        self._job.returned.connect(self._on_returned)
        self._job.failed.connect(self._on_failed)
        self._job.stopped.connect(self._show_idle)
        self._soon = self._single_shot(DEBOUNCE_MS, self._start)
        self._slow = self._single_shot(PROGRESS_AFTER_MS, self._tell_progress)
        self.box.toggled.connect(self._on_box)
        self.chooser.changed.connect(self._on_parameters)
        self.cancel_button.clicked.connect(self.clear)

    @property
    def running(self) -> bool:
        """Whether a segmentation is being made, or will be in a moment."""
        return self._job.running or bool(self._soon.isActive())

    def setTask(self, config: TaskConfig | None, unit: str) -> None:
        """Offer the methods of a task; those before stay while the task is refused (None).

        Parameters
        ----------
        config
            The task.
        unit
            Name of the unit of lengths.
        """
        if config is not None:
            self.chooser.setTask(config, unit)
            self.box.setEnabled(bool(self.chooser.titles))

    def setPreview(self, config: TaskConfig, preview: Preview, anchor: Anchor) -> None:
        """Take a new preview, and segment it where that is wished."""
        self._subject = _Subject(config, preview, anchor)
        if self.box.isChecked():
            self._start()

    def outdate(self) -> None:
        """Leave what is being made: another preview is coming."""
        self.cancel()
        for widget in (self.verdict, self.table):
            widget.setEnabled(False)

    def cancel(self) -> None:
        """Leave what is being made."""
        self._soon.stop()
        self._job.stop()

    def clear(self) -> None:
        """Leave what is being made, and show nothing of what was."""
        self.cancel()
        self.layers.clear()
        self.verdict.hide()
        self.table.hide()

    def show_channel(self, index: int) -> None:
        """Let the segmentation of a channel of the target be seen in place of the others."""
        self.layers.show_channel(index)

    def _start(self) -> None:
        self._soon.stop()
        subject, titles = self._subject, self.chooser.titles
        # The task may be another one by now, and its preview is still to come.
        if subject is None or not titles or _titles(subject.config) != titles:
            return
        wish, parameters = self.chooser.wish(), self.chooser.parameters()
        if wish is not None and parameters[wish] is None:
            return  # the form says why
        self._progress = PreviewProgress(0.0, "")
        self._job.start(lambda: _segmented(subject, wish, parameters))
        self._slow.start()

    def _on_event(self, event: object) -> None:
        if isinstance(event, _Chosen):
            self.chooser.show_method(event.index)
        elif isinstance(event, PreviewProgress):
            self._progress = event
            if not self._slow.isActive():
                self._tell_progress()

    def _on_returned(self, answer: _Answer) -> None:
        self._show_idle()
        subject, result = answer.subject, answer.result
        channels = subject.config.ground_truth_channels
        looks = [_look(answer.labelling, channel, subject.preview) for channel in channels]
        self.layers.show(result.segmentation, channels, subject.anchor, looks)
        self.verdict.setText(f"<b>{escape(result.verdict)}</b>")
        self.table.show_scores(result.scores, result.criteria, result.segmentation.unit)
        for widget in (self.verdict, self.table):
            widget.setEnabled(True)
            widget.show()

    def _on_failed(self, error: BaseException) -> None:
        self._show_idle()
        self.clear()
        self.failed.emit(error)

    def _on_box(self, on: bool) -> None:
        self.chooser.setVisible(on)
        if on:
            self._start()
        else:
            self.clear()

    def _on_parameters(self) -> None:
        if self.box.isChecked():
            self._soon.start()

    def _show_idle(self) -> None:
        self._slow.stop()
        self._working.hide()

    def _tell_progress(self) -> None:
        if self._job.running:
            self.bar.setValue(round(100 * self._progress.done))
            self.bar.setFormat(self._progress.doing)
            self._working.show()

    def _lay_out(self) -> None:
        self._working = QWidget()
        working = QHBoxLayout(self._working)
        working.setContentsMargins(0, 0, 0, 0)
        working.addWidget(self.bar, 1)
        working.addWidget(self.cancel_button)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        for widget in (self.box, self.chooser, self._working, self.verdict, self.table):
            layout.addWidget(widget)
        for widget in (self.chooser, self._working, self.verdict, self.table):
            widget.hide()

    def _single_shot(self, milliseconds: int, slot: Any) -> QTimer:
        timer = QTimer(self)
        timer.setSingleShot(True)
        timer.setInterval(milliseconds)
        timer.timeout.connect(slot)
        return timer


def _look(labelling: Labelling, channel: str, preview: Preview) -> dict[str, Any]:
    """Give colours for the labels of one channel of a segmentation."""
    if labelling is Labelling.CLASSES:
        colours = channel_colours(len(preview.channels), preview.composites)
        return class_look(preview.channels, colours)
    if labelling is Labelling.FOREGROUND:
        return class_look(["background", channel], [BACKGROUND, FOREGROUND])
    return INSTANCES


def _titles(config: TaskConfig) -> list[str]:
    return [method.title for method in config.task_type(config).methods]


def _segmented(
    subject: _Subject, method: int | None, parameters: Mapping[int, PostProcessorParameters | None]
) -> Generator[_Chosen | PreviewProgress, None, _Answer]:
    """Segment by the method that is wished, or else by the one that suits the data."""
    config, preview = subject.config, subject.preview
    task = config.task_type(config.on_grid(preview.gt.unit))
    if method is None:
        method = usual_method(task, preview.gt)
        yield _Chosen(method)
    post_processor = task.methods[method].post_processor
    wanted = parameters[method] or post_processor.default
    for event in segment_target(config, preview, method, wanted):
        if isinstance(event, TargetSegmentation):
            return _Answer(subject, post_processor.labelling, event)
        yield event
    raise AssertionError("a segmentation ends with its result")
