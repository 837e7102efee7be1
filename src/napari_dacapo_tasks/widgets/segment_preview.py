"""A segmentation around the view that follows every change, before all is segmented."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import napari
from funlib.geometry import Roi
from qtpy.QtCore import QObject, QTimer, Signal

from napari_dacapo_tasks.widgets.lifetime import connect_while_alive
from napari_dacapo_tasks.widgets.predict_session import ShownPrediction
from napari_dacapo_tasks.widgets.predicted_labels import PredictedLabels
from napari_dacapo_tasks.widgets.segment_work import Segmented, SegmentRequest, segmented
from napari_dacapo_tasks.widgets.view_place import box_at, looked_at
from napari_dacapo_tasks.widgets.workers import Job

KIND = "segmentation preview"

DEBOUNCE_MS = 40
"""Changes that come in this time make one preview."""

FOLLOW_MS = 250
"""How long the view must rest before the preview moves after it."""

STAY = 1 / 8
"""A box stays until the view's middle has gone farther than this share of its side."""


class SegmentPreview(QObject):
    """Segments a box around the view of what `ask` gives.

    Parameters
    ----------
    viewer
        Where it is shown.
    ask
        Gives what is to be previewed, all of it; None where nothing is.
    box_size
        Gives the side of the box in voxels.
    parent
        Owner.

    Signals
    -------
    made(object)
        A preview is shown now: a `Segmented`.
    cleared()
        None is shown any more.
    failed(object)
        An exception.
    """

    made = Signal(object)
    cleared = Signal()
    failed = Signal(object)

    def __init__(
        self,
        viewer: napari.Viewer,
        ask: Callable[[], SegmentRequest | None],
        box_size: Callable[[], int],
        parent: QObject,
    ) -> None:
        super().__init__(parent)
        self._viewer, self._ask, self._box_size = viewer, ask, box_size
        self._box: Roi | None = None
        self._of: ShownPrediction | None = None
        self._wanted: SegmentRequest | None = None
        self._shown: SegmentRequest | None = None
        self.labels = PredictedLabels(viewer, KIND, self)
        self._job = Job(self)
        self._job.returned.connect(self._on_made)
        self._job.failed.connect(self._on_failed)
        self._soon = self._single_shot(DEBOUNCE_MS, self._start)
        self._follow = self._single_shot(FOLLOW_MS, self._start)
        for signal in (viewer.dims.events.point, viewer.scene.camera.events.center):
            connect_while_alive(self, signal, self._on_view_moving)

    @property
    def running(self) -> bool:
        """Whether a preview is being made, or will be in a moment."""
        return self._job.running or bool(self._soon.isActive() or self._follow.isActive())

    def soon(self) -> None:
        """Make a preview in a moment; changes until then are part of it."""
        self._soon.start()

    def clear(self) -> None:
        """Leave what is being made, and show none."""
        self._cancel()
        self._wanted = self._shown = None
        if self.labels.layers():
            self.labels.clear()
        self.cleared.emit()

    def end(self) -> None:
        """Leave what is being made and wait until it has cleaned up."""
        self._cancel()
        self._job.end()

    def _cancel(self) -> None:
        self._soon.stop()
        self._follow.stop()
        self._job.stop()

    def _start(self) -> None:
        self._soon.stop()
        self._follow.stop()
        whole = self._ask()
        if whole is None:
            self.clear()
            return
        box = self._region(whole.shown)
        if whole.shown is not self._of:
            self._of, self._shown = whole.shown, None
        self._box = box
        request = replace(whole, roi=None if box == whole.shown.prediction.array.roi else box)
        if request == (self._wanted if self._job.running else self._shown):
            return
        self._wanted = request
        self._job.start(lambda: segmented(request))

    def _region(self, shown: ShownPrediction) -> Roi:
        """Give the box around the view; it stays where it is while the view is near its middle."""
        array, size, before = shown.prediction.array, self._box_size(), self._box
        box = box_at(array, looked_at(self._viewer, shown.anchor.place(array)), size)
        if before is None or shown is not self._of or before.shape != box.shape:
            return box
        moved = (abs(a - b) for a, b in zip(box.begin, before.begin, strict=True))
        stays = all(m <= STAY * size * v for m, v in zip(moved, array.voxel_size, strict=True))
        return before if stays else box

    def _on_made(self, result: Segmented) -> None:
        if result.request != self._wanted:
            return
        self._shown = result.request
        self.labels.show(result.request.shown, result.segmentation, "preview")
        self.made.emit(result)

    def _on_failed(self, error: BaseException) -> None:
        self.clear()
        self.failed.emit(error)

    def _on_view_moving(self, _event: Any = None) -> None:
        # Where all of it is in the preview there is nothing to follow.
        if self._shown is not None and self._shown.roi is not None:
            self._follow.start()

    def _single_shot(self, milliseconds: int, slot: Any) -> QTimer:
        timer = QTimer(self)
        timer.setSingleShot(True)
        timer.setInterval(milliseconds)
        timer.timeout.connect(slot)
        return timer
