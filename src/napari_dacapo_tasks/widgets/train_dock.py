"""The Train dock: train the task of the Task dock, and watch it learn."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from functools import partial
from typing import Any

import napari.viewer
from qtpy.QtCore import Qt
from qtpy.QtWidgets import QSplitter, QVBoxLayout, QWidget

from napari_dacapo_tasks.architectures import CNNectomeUNet
from napari_dacapo_tasks.errors import ConfigError, DeviceError, RunError, UserError
from napari_dacapo_tasks.runs.run_folder import RunFolder
from napari_dacapo_tasks.runs.trainer_config import TrainerConfig
from napari_dacapo_tasks.training.events import Notice as TrainingNotice
from napari_dacapo_tasks.training.events import Request, Started, Stepped, TrainingEvent
from napari_dacapo_tasks.widgets.architecture_panel import ArchitecturePanel
from napari_dacapo_tasks.widgets.closing import EndOnClose
from napari_dacapo_tasks.widgets.loss_plot import LossPlot
from napari_dacapo_tasks.widgets.notices import Notice
from napari_dacapo_tasks.widgets.result_layers import Anchor
from napari_dacapo_tasks.widgets.run_controls import RunControls, State
from napari_dacapo_tasks.widgets.run_folder_panel import RunFolderPanel
from napari_dacapo_tasks.widgets.section import Section, scrolled
from napari_dacapo_tasks.widgets.snapshot_layers import SnapshotLayers
from napari_dacapo_tasks.widgets.train_data_panel import TrainDataPanel
from napari_dacapo_tasks.widgets.train_work import (
    FoundRun,
    NewRun,
    Opened,
    SeenSnapshot,
    Work,
    go_on,
    make_and_train,
)
from napari_dacapo_tasks.widgets.trainer_panel import TrainerPanel
from napari_dacapo_tasks.widgets.workers import Job

WIDTH = 360


class TrainDock(QWidget):
    """Puts the panels together, and goes from state to state: idle, preparing, training, ..."""

    def __init__(self, viewer: napari.viewer.Viewer) -> None:
        super().__init__()
        # Docks get the viewer behind a proxy whose layers are other objects each time.
        self._viewer: Any = getattr(viewer, "__wrapped__", viewer)
        self.state = State.IDLE
        self._found: FoundRun | None = None
        self._for_new_runs: tuple[CNNectomeUNet | None, TrainerConfig | None] = (None, None)
        self._opened = False
        self._reveal = False
        self._anchor: Anchor | None = None

        self.data = TrainDataPanel(self._viewer)
        self.architecture = ArchitecturePanel()
        self.trainer = TrainerPanel()
        self.folder = RunFolderPanel()
        self.notice = Notice()
        self.controls = RunControls()
        self.plot = LossPlot(self._viewer)
        self.snapshots = SnapshotLayers(self._viewer, self)
        self._job = Job(self)
        self._end_on_close = EndOnClose(self, self._job.end)
        self._lay_out()
        self._connect()
        self._on_data()
        self._update()

    def sizeHint(self) -> Any:
        """Give a width at which every label can be read."""
        hint = super().sizeHint()
        hint.setWidth(WIDTH)
        return hint

    # Start, pause, stop

    def start(self) -> None:
        """Train a new run, or go on with the one in the folder."""
        self.notice.clear()
        try:
            work = self._work()
        except Exception as error:  # every failure is shown here
            self.notice.show_error(error)
            return
        self._opened, self._reveal = False, True
        self._end_on_close.watch_window()
        self._set_state(State.PREPARING)
        self._job.start(work)

    def pause(self) -> None:
        """Wait after the present step."""
        self._job.pause()
        self._set_state(State.PAUSED)

    def resume(self) -> None:
        """Go on after `pause`."""
        self._job.resume()
        self._set_state(State.TRAINING)

    def stop(self) -> None:
        """End the run after its present step, with a checkpoint."""
        self._set_state(State.STOPPING)
        self._job.stop()

    def ask_for_snapshot(self) -> None:
        """Show what the network predicts after the present step."""
        self._reveal = True
        self._job.send(Request.SNAPSHOT)

    def _work(self) -> Callable[[], Work]:
        """Take everything that a run needs out of the widgets; raises UserError."""
        found = self.folder.found
        if found is not None:
            trainer = self._trainer()
            done = found.iteration or 0
            if done >= trainer.iterations:
                raise ConfigError(
                    f"The run has done {done} iterations: raise their number above that to go on."
                )
            layer, self._anchor = self.data.raw_layer(), None
            if layer is not None:
                with suppress(UserError):  # snapshots then take their own place
                    self._anchor = Anchor.at_layer(layer)
            return partial(go_on, found.run, trainer)
        raw, task, ground_truth = self.data.raw(), self.data.task(), self.data.ground_truth()
        architecture = self.architecture.value()
        if architecture is None:
            raise ConfigError(f"The network cannot be built: {self.architecture.refusal()}")
        trainer = self._trainer()
        path = self.folder.path()
        if path is None:
            raise RunError("There is no run folder: choose one for the run.")
        self._anchor = Anchor.at_layer(self.data.raw_layer())
        raw_path = self.data.raw_path()
        return partial(
            make_and_train,
            NewRun(path, task, architecture, trainer, raw, ground_truth, raw_path),
        )

    def _trainer(self) -> TrainerConfig:
        trainer = self.trainer.value()
        if trainer is None:
            raise ConfigError(f"Training cannot start: {self.trainer.refusal()}")
        device = self.trainer.device
        if not device.value():
            raise DeviceError("There is no device yet: wait until they are found, or look again.")
        if not device.available:
            raise DeviceError(
                f"This machine has no device {device.value()}: choose one of those that it has."
            )
        return trainer

    # What comes from the run

    def _on_event(self, event: float | Opened | SeenSnapshot | TrainingEvent) -> None:
        match event:
            case float():
                self.controls.showShare(event)
            case Opened():
                self._opened = True
                self.folder.showTraining()
            case Started():
                self.controls.showRun(event.iteration, event.iterations, f"on {event.device}")
                self.architecture.setParameters(event.parameters)
                if self.state is State.PREPARING:
                    self._set_state(State.TRAINING)
            case Stepped():
                self.plot.add(event.iteration, event.loss)
                self.controls.step(event.iteration, event.seconds)
            case SeenSnapshot():
                self.snapshots.show(event, self._anchor)
                if self._reveal:  # not each time: a person may want to look elsewhere
                    self.snapshots.reveal()
                    self._reveal = False
            case TrainingNotice():
                self.notice.show_info(event.text)

    def _on_returned(self, run: RunFolder) -> None:
        self.notice.show_info(f"Finished; everything lies in {run.path}.")
        self._end()

    def _on_stopped(self) -> None:
        if self._opened:
            self.notice.show_info("Stopped; the run is saved in its folder and can go on.")
        else:
            self.notice.show_info("Stopped before training began; no folder was made.")
        self._end()

    def _on_failed(self, error: Exception) -> None:
        self.notice.show_error(error)
        self._end()

    def _end(self) -> None:
        self._set_state(State.IDLE)
        self.plot.redraw()
        self.folder.look()

    # What is chosen

    def _on_data(self) -> None:
        with suppress(UserError):
            self.folder.setName(self.data.task().name)
        if self._found is None and self.state is State.IDLE:
            self.architecture.setData(*self.data.known())

    def _on_folder(self) -> None:
        self._update()
        if self.folder.busy or self.state is not State.IDLE:
            return
        before, self._found = self._found, self.folder.found
        if self._found is not None:
            if before is None:
                self._for_new_runs = (self.architecture.value(), self.trainer.value())
            self._show_found(self._found)
        elif before is not None:
            self._show_new()
        self._update()

    def _show_found(self, found: FoundRun) -> None:
        config = found.run.config
        self.data.setRun(config)
        self.architecture.setValue(config.architecture)
        self.trainer.setValue(config.trainer)
        self.plot.set_losses(
            [one.iteration for one in found.statistics], [one.loss for one in found.statistics]
        )
        self.controls.showRun(found.iteration or 0, config.trainer.iterations)

    def _show_new(self) -> None:
        architecture, trainer = self._for_new_runs
        self.notice.clear()
        self.data.setRun(None)
        if architecture is not None:
            self.architecture.setValue(architecture)
        if trainer is not None:
            self.trainer.setValue(trainer)
        self.architecture.setData(*self.data.known())
        self.plot.set_losses([], [])
        self.controls.showRun(0, 0)

    def _on_device(self, name: str) -> None:
        if self._found is None and self.state is State.IDLE:
            self.architecture.setDevice(name)

    def _on_trainer(self, trainer: TrainerConfig | None) -> None:
        if self._found is not None and trainer is not None and self.state is State.IDLE:
            self.controls.showRun(self._found.iteration or 0, trainer.iterations)

    # States

    def _set_state(self, state: State) -> None:
        self.state = state
        self.controls.setState(state)
        self._update()

    def _update(self) -> None:
        """Let only that be changed which would have an effect."""
        idle, new = self.state is State.IDLE, self._found is None
        self.data.raw_combo.setEnabled(idle and new)
        self.architecture.setEditable(idle and new)
        self.trainer.setEnabled(idle)
        self.folder.setEnabled(idle)
        self.controls.setReady(not self.folder.busy, goes_on=not new)

    # Layout

    def _lay_out(self) -> None:
        scroll = scrolled(
            Section("Data", self.data),
            Section("Network", self.architecture),
            Section("Training", self.trainer),
            Section("Run folder", self.folder),
        )
        below = QWidget()
        bottom = QVBoxLayout(below)
        bottom.setContentsMargins(8, 4, 8, 8)
        bottom.addWidget(self.notice)
        bottom.addWidget(self.controls)
        bottom.addWidget(self.plot, 1)
        parts = QSplitter(Qt.Orientation.Vertical)
        parts.setChildrenCollapsible(False)
        for index, part in enumerate((scroll, below)):
            parts.addWidget(part)
            parts.setStretchFactor(index, 1 - index)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(parts)

    def _connect(self) -> None:
        self.data.changed.connect(self._on_data)
        self.trainer.valueChanged.connect(self._on_trainer)
        self.trainer.device.failed.connect(self.notice.show_error)
        self.trainer.device.valueChanged.connect(self._on_device)
        self.folder.looked.connect(self._on_folder)
        self.folder.failed.connect(self.notice.show_error)
        self.controls.start.connect(self.start)
        self.controls.pause.connect(self.pause)
        self.controls.resume.connect(self.resume)
        self.controls.stop.connect(self.stop)
        self.controls.snapshot.connect(self.ask_for_snapshot)
        self._job.yielded.connect(self._on_event)
        self._job.returned.connect(self._on_returned)
        self._job.stopped.connect(self._on_stopped)
        self._job.failed.connect(self._on_failed)
