"""The Task dock: choose ground truth, task and parameters, and see what they make of it."""

from __future__ import annotations

from typing import Any

import napari.viewer
from funlib.geometry import Roi
from napari.layers import Layer
from qtpy.QtCore import QEvent, QTimer
from qtpy.QtWidgets import QVBoxLayout, QWidget

from napari_dacapo_tasks.arrays import Array, Channel, LabelsConfig
from napari_dacapo_tasks.errors import UserError
from napari_dacapo_tasks.tasks import Measured, TaskConfig
from napari_dacapo_tasks.tasks.preview import Preview
from napari_dacapo_tasks.units import VOXEL
from napari_dacapo_tasks.widgets.ground_truth_panel import GroundTruthPanel
from napari_dacapo_tasks.widgets.labels_watch import LabelsWatch
from napari_dacapo_tasks.widgets.layers import array_of
from napari_dacapo_tasks.widgets.lifetime import connect_while_alive
from napari_dacapo_tasks.widgets.live_preview import LivePreview, Request, Seen
from napari_dacapo_tasks.widgets.measurement import measure
from napari_dacapo_tasks.widgets.notices import Notice
from napari_dacapo_tasks.widgets.preview_layers import PreviewLayers
from napari_dacapo_tasks.widgets.preview_panel import PreviewPanel
from napari_dacapo_tasks.widgets.result_layers import Anchor
from napari_dacapo_tasks.widgets.section import Section, scrolled
from napari_dacapo_tasks.widgets.segment_panel import SegmentPanel
from napari_dacapo_tasks.widgets.session import Session
from napari_dacapo_tasks.widgets.statistics_panel import StatisticsPanel
from napari_dacapo_tasks.widgets.task_panel import TaskPanel, describe
from napari_dacapo_tasks.widgets.view_box import box_near_view
from napari_dacapo_tasks.widgets.workers import Job

FOLLOW_MS = 250
"""How long the view must rest before a box moves after it."""

WIDTH, LEAST_WIDTH = 360, 340
"""Pixels at which every label can be read."""


class TaskDock(QWidget):
    """Puts the panels together, and tells the `Session` what they hold."""

    def __init__(self, viewer: napari.viewer.Viewer) -> None:
        super().__init__()
        # Docks get the viewer behind a proxy whose layers are other objects each time.
        self._viewer: Any = getattr(viewer, "__wrapped__", viewer)
        self._session = Session.of(viewer)
        self._box: Roi | None = None
        self._preview: Preview | None = None
        self._request: Request | None = None
        self._labels_layer: Layer | None = None
        self._preview_spoke = False
        self._resting = False
        self._unit = VOXEL.name

        # An earlier dock of this viewer may have been closed.
        earlier_task, earlier_layer = self._session.task, self._session.labels_layer
        earlier_mask = self._session.mask_layer
        self.ground_truth = GroundTruthPanel(self._viewer, self._session.labels_config)
        self.task = TaskPanel(self._session.labels_config.channel_names)
        self.preview = PreviewPanel()
        self.segmentation = SegmentPanel(self._viewer)
        self.statistics = StatisticsPanel(self._viewer)
        self.notice = Notice()
        self.layers = PreviewLayers(self._viewer, self)
        self.live = LivePreview(self._ask, self._subject, self)
        self._measuring = Job(self)
        self._watch = LabelsWatch(self._viewer, self)
        self._follow = QTimer(self)
        self._follow.setSingleShot(True)
        self._follow.setInterval(FOLLOW_MS)
        self._lay_out()
        if earlier_layer is not None:
            self.ground_truth.labels_combo.set_layer(earlier_layer)
            self.ground_truth.mask_combo.set_layer(earlier_mask)
        if earlier_task is not None:
            self.task.setValue(earlier_task)
        self.ground_truth.setChosenChannels(self.task.wants_channels)
        self._connect()
        self._session.update(task=self.task.value())
        self._offer_methods()
        self._on_layers()

    def sizeHint(self) -> Any:
        """Give a width at which every label can be read."""
        hint = super().sizeHint()
        hint.setWidth(WIDTH)
        return hint

    def event(self, event: Any) -> bool:
        """Rest once napari has taken the widget out of its window; it does not delete it."""
        if event.type() == QEvent.Type.ParentChange:
            resting, self._resting = self._resting, self.parent() is None
            if self._resting:
                self.live.cancel()
                self._measuring.stop()
                self.segmentation.cancel()
                self._watch.watch(None)
            elif resting:
                self._on_layers()
        return bool(super().event(event))

    def _lay_out(self) -> None:
        scroll = scrolled(
            Section("Ground truth", self.ground_truth),
            Section("Task", self.task),
            Section("Preview", self.preview),
            Section("Segment the target", self.segmentation, opened=False),
            Section("Statistics", self.statistics),
        )
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(self.notice)
        layout.addWidget(scroll, 1)
        self.setMinimumWidth(LEAST_WIDTH)

    def _connect(self) -> None:
        self.ground_truth.layersChanged.connect(self._on_layers)
        self.ground_truth.channelsChanged.connect(self._on_channels)
        self.task.channelsWanted.connect(self.ground_truth.setChosenChannels)
        self.task.valueChanged.connect(self._on_task)
        self.task.channelsLoaded.connect(self._on_channels_loaded)
        self.task.failed.connect(self._say_error)
        self.preview.regionChanged.connect(self._on_region)
        self.preview.asked.connect(self._on_asked)
        self.preview.cancelled.connect(self.live.cancel)
        self.preview.pinned.connect(self._on_pin)
        self.preview.liveChanged.connect(self._on_live)
        self.preview.channelChosen.connect(self.layers.show_channel)
        self.preview.pictureChosen.connect(self.layers.show_picture)
        self.live.begun.connect(self.segmentation.outdate)
        self.live.made.connect(self._on_made)
        self.live.failed.connect(self._on_preview_failed)
        self.live.progressed.connect(self.preview.show_progress)
        self.live.idle.connect(self.preview.show_idle)
        self.layers.channelShown.connect(self.preview.show_channel)
        self.layers.channelShown.connect(self.statistics.show_channel)
        self.layers.channelShown.connect(self.segmentation.show_channel)
        self.segmentation.failed.connect(self._on_preview_failed)
        self._measuring.returned.connect(self._on_measured)
        self._measuring.failed.connect(self._say_error)
        self._watch.edited.connect(self._change)
        self._watch.moved.connect(self._measure)
        self._follow.timeout.connect(self._on_view)
        for signal in (self._viewer.dims.events.point, self._viewer.scene.camera.events.center):
            connect_while_alive(self, signal, self._on_view_moving)

    def _on_layers(self) -> None:
        """Another ground truth or mask was chosen, or the chosen one was removed."""
        before, layer = self._labels_layer, self.ground_truth.labels_layer
        mask = self.ground_truth.mask_layer
        self._session.update(labels_layer=layer, mask_layer=mask)
        self._labels_layer = layer
        self._watch.watch(None if self._resting else layer)
        self.live.cancel()
        self.notice.clear()
        if layer is None:
            self._measuring.stop()
            if before is not None and before not in self._viewer.layers:
                self.notice.show_info(
                    f"The ground truth '{before.name}' was removed: choose another layer."
                )
            return
        if layer is not before:
            try:
                self.preview.suggest_region(array_of(layer).shape)
            except UserError as error:
                self._say_error(error)
                return
        self._measure()

    def _on_channels(self, config: LabelsConfig | None) -> None:
        if config is None:
            self._session.update(task=None)
            return
        self._session.update(labels_config=config)
        self._measure()
        self.task.setChannels(config.channel_names)

    def _on_channels_loaded(self, names: list[str]) -> None:
        """Put the channels of a file into the table; ids stay with their name or place."""
        before = self._session.labels_config
        ids = {channel.name: channel.labels for channel in before.channels}
        if len(names) == len(before.channels):
            places = {
                name: channel.labels for name, channel in zip(names, before.channels, strict=True)
            }
            ids = {**places, **ids}
        channels = tuple(Channel(name=name, labels=ids.get(name, ())) for name in names)
        self.ground_truth.channels.setValue(before.model_copy(update={"channels": channels}))
        fresh = [channel.name for channel in channels if not channel.labels]
        if len(channels) > 1 and fresh:
            self.notice.show_info(f"Give the label ids of {', '.join(fresh)} in the table.")

    def _on_task(self, config: TaskConfig | None) -> None:
        self._session.update(task=config)
        self._offer_methods()
        self._change()

    def _offer_methods(self) -> None:
        self.segmentation.setTask(self._session.task, self._unit)

    def _measure(self) -> None:
        """Propose parameters for the ground truth; the preview follows."""
        self.notice.clear()
        self._box = None
        if self._resting:
            return
        try:
            ground_truth = self._session.ground_truth()
        except UserError as error:
            self._say_error(error)
            return
        if ground_truth is not None:
            self._measuring.start(lambda: measure(ground_truth))

    def _on_measured(self, measured: Measured) -> None:
        self._unit = measured.unit
        self._offer_methods()
        if not self.task.setMeasured(measured):
            self._change()

    def _change(self) -> None:
        """Something that the preview shows is another now."""
        if self.preview.live and not self._measuring.running and not self._resting:
            self.live.soon()

    def _on_region(self) -> None:
        self._box = None
        self._change()

    def _on_live(self, on: bool) -> None:
        if on:
            self._change()

    def _on_asked(self) -> None:
        if self._labels_layer is None:
            self.notice.show_info("Choose the layer of the ground truth first.")
        elif self.task.value() is None or self.ground_truth.labels_config is None:
            self.notice.show_info("Mend what is red first.")
        self._box = None
        self.live.now()

    def _on_view_moving(self, _event: Any = None) -> None:
        if self.preview.live and self.preview.box_size is not None:
            self._follow.start()

    def _on_view(self) -> None:
        """Move the box after the view, once that has come to rest."""
        if self._labels_layer is None or self._box is None:
            return
        try:
            moved = self._region(array_of(self._labels_layer)) != self._box
        except UserError:  # whoever makes the next preview is told
            return
        if moved:
            self._change()

    def _region(self, labels: Array) -> Roi:
        """Give the region to preview; a box stays where it is while the view is near its middle."""
        size = self.preview.box_size
        if size is None:
            return labels.roi
        return box_near_view(self._viewer, labels, self._labels_layer, size, self._box)

    def _subject(self) -> tuple[Any, ...]:
        ground_truth = self.ground_truth
        return (ground_truth.labels_layer, ground_truth.mask_layer, self._session.labels_config)

    def _ask(self) -> Request | None:
        config, layer = self.task.value(), self._labels_layer
        if config is None or layer is None or self.ground_truth.labels_config is None:
            return None
        ground_truth = self._session.ground_truth()
        assert ground_truth is not None
        roi = self._region(ground_truth.labels)
        self._box = roi
        return Request(config, ground_truth, roi, Anchor.at_layer(layer), self._subject())

    def _on_made(self, seen: Seen, request: Request) -> None:
        preview = seen.preview
        self._preview, self._request = preview, request
        self.preview.offer_channels(preview.channels, [one.name for one in preview.composites])
        self.statistics.show_preview(preview)
        self.layers.show(preview, seen.pictures, request.anchor)
        self.segmentation.setPreview(request.config, preview, request.anchor)
        self.preview.pin_button.setEnabled(True)
        remark = " ".join(preview.notices)
        if remark:
            self.notice.show_info(remark)
        elif self._preview_spoke:
            self.notice.clear()
        self._preview_spoke = bool(remark)

    def _on_preview_failed(self, error: BaseException) -> None:
        self.notice.show_error(error)
        self._preview_spoke = True

    def _on_pin(self) -> None:
        assert self._request is not None
        unit = self._request.ground_truth.labels.unit.name
        said = describe(self._request.config, self.task.proposal(), unit)
        self.layers.pin(said)
        self.segmentation.layers.pin(said)

    def _say_error(self, error: BaseException) -> None:
        self.notice.show_error(error)
        self._preview_spoke = False
