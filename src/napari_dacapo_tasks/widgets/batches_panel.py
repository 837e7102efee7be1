"""Samples as training would see them, before it begins, at the press of a button."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from functools import partial
from typing import Any

import napari
from qtpy.QtCore import QTimer, Signal
from qtpy.QtWidgets import (
    QHBoxLayout,
    QProgressBar,
    QPushButton,
    QScrollArea,
    QSpinBox,
    QVBoxLayout,
    QWidget,
)

from napari_dacapo_tasks.errors import UserError
from napari_dacapo_tasks.widgets.batches_layers import BatchesLayers
from napari_dacapo_tasks.widgets.batches_work import BatchesRequest, SeenBatches, make_batches
from napari_dacapo_tasks.widgets.fields import leave_wheel
from napari_dacapo_tasks.widgets.lifetime import connect_while_alive
from napari_dacapo_tasks.widgets.notices import Notice
from napari_dacapo_tasks.widgets.result_layers import Anchor
from napari_dacapo_tasks.widgets.workers import Job

COUNT, MOST = 4, 16


class BatchesPanel(QWidget):
    """A button that makes samples in the background and shows them, others with each press.

    Parameters
    ----------
    viewer
        Where they are shown.
    request
        Gives what they are made of, without their number; raises UserError where it cannot.
    raw_layer
        Gives the layer beside which they are shown, None where there is none.

    Signals
    -------
    shown()
        Samples are in the viewer now.
    """

    shown = Signal()

    def __init__(
        self,
        viewer: napari.Viewer,
        request: Callable[[], BatchesRequest],
        raw_layer: Callable[[], Any] = lambda: None,
        parent: QWidget | None = None,
    ) -> None:
        super().__init__(parent)
        self._request, self._raw_layer = request, raw_layer
        self._first = 1
        self._ready = True
        self._anchor: Anchor | None = None
        self.layers = BatchesLayers(viewer, self)
        self.show_button = QPushButton("Show me batches")
        self.show_button.setToolTip(
            "Samples as training will see them: a column each, from above raw data, target and "
            "weight; others with each press"
        )
        self.count_box = QSpinBox()
        self.count_box.setRange(1, MOST)
        self.count_box.setValue(COUNT)
        self.count_box.setToolTip("Number of samples")
        leave_wheel(self.count_box)
        self.clear_button = QPushButton("Clear")
        self.clear_button.setToolTip("Take the samples out of the viewer")
        self.bar = QProgressBar()
        self.bar.setRange(0, 100)
        self.bar.setFormat("Making samples… %p%")
        self.cancel_button = QPushButton("Cancel")
        self.notice = Notice()
        self._job = Job(self)
        self._scrolling = QTimer(self)
        self._scrolling.setSingleShot(True)
        self._scrolling.timeout.connect(self._scroll)
        buttons = QHBoxLayout()
        buttons.addWidget(self.show_button, 1)
        buttons.addWidget(self.count_box)
        buttons.addWidget(self.clear_button)
        self._working = QWidget()
        working = QHBoxLayout(self._working)
        working.setContentsMargins(0, 0, 0, 0)
        working.addWidget(self.bar, 1)
        working.addWidget(self.cancel_button)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(4)
        layout.addLayout(buttons)
        layout.addWidget(self._working)
        layout.addWidget(self.notice)
        self.show_button.clicked.connect(self.show_batches)
        self.clear_button.clicked.connect(self.clear)
        self.cancel_button.clicked.connect(self._job.stop)
        self._job.yielded.connect(lambda share: self.bar.setValue(round(100 * share)))
        self._job.returned.connect(self._on_made)
        self._job.failed.connect(self._on_failed)
        self._job.stopped.connect(self._update)
        connect_while_alive(self, viewer.layers.events.removed, self._update)
        self._update()

    @property
    def running(self) -> bool:
        """Whether samples are being made."""
        return self._job.running

    def setReady(self, ready: bool) -> None:
        """Allow or forbid to make samples; those that are shown can be cleared in any case."""
        self._ready = ready
        self._update()

    def show_batches(self) -> None:
        """Make samples, others than the last time, and show them."""
        self.notice.clear()
        try:
            request = self._request()
            self._anchor = None
            layer = self._raw_layer()
            if layer is not None:
                with suppress(UserError):  # the samples then take their own place
                    self._anchor = Anchor.at_layer(layer)
        except Exception as error:  # every failure is shown here
            self.notice.show_error(error)
            return
        count = int(self.count_box.value())
        wanted = BatchesRequest(**{**vars(request), "count": count})
        self._job.start(partial(make_batches, wanted, self._first))
        self._first += -(-count // wanted.trainer.batch_size)
        self.bar.setValue(0)
        self._update()

    def clear(self) -> None:
        """Take the samples out of the viewer, and stop what is being made."""
        self._job.stop()
        self.layers.clear()
        self.notice.clear()
        self._update()

    def end(self) -> None:
        """Stop and wait; for the closing of a window."""
        self._job.end()

    def _on_made(self, seen: SeenBatches) -> None:
        self.layers.show(seen, self._anchor)
        lines = [f"{number}: {done or 'as it is'}" for number, done in enumerate(seen.done, 1)]
        self.notice.show_info("\n".join(["From left to right:", *lines]))
        self._update()
        # What is said must not lie beneath the edge of the dock.
        self._scrolling.start()
        self.shown.emit()

    def _on_failed(self, error: Exception) -> None:
        self.notice.show_error(error)
        self._update()

    def _scroll(self) -> None:
        parent = self.parentWidget()
        while parent is not None and not isinstance(parent, QScrollArea):
            parent = parent.parentWidget()
        if parent is not None:
            parent.ensureWidgetVisible(self.notice)

    def _update(self, _event: Any = None) -> None:
        running = self._job.running
        self._working.setVisible(running)
        self.show_button.setEnabled(self._ready and not running)
        self.clear_button.setEnabled(self.layers.shown)
