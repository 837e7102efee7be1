"""What is to be trained, and how: all forms of the Train dock, above each other."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

import napari
from qtpy.QtCore import QSize, Signal
from qtpy.QtWidgets import QVBoxLayout, QWidget

from napari_dacapo_tasks.architectures import CNNectomeUNet
from napari_dacapo_tasks.errors import ConfigError, DeviceError, RunError, UserError
from napari_dacapo_tasks.runs.trainer_config import TrainerConfig
from napari_dacapo_tasks.widgets.architecture_panel import ArchitecturePanel
from napari_dacapo_tasks.widgets.batches_panel import BatchesPanel
from napari_dacapo_tasks.widgets.batches_work import BatchesRequest
from napari_dacapo_tasks.widgets.result_layers import Anchor
from napari_dacapo_tasks.widgets.run_events import FoundRun
from napari_dacapo_tasks.widgets.run_folder_panel import RunFolderPanel
from napari_dacapo_tasks.widgets.section import Section, scrolled
from napari_dacapo_tasks.widgets.train_data_panel import TrainDataPanel
from napari_dacapo_tasks.widgets.train_work import NewRun
from napari_dacapo_tasks.widgets.trainer_panel import TrainerPanel


class TrainForms(QWidget):
    """Data, network, training and run folder.

    For a run that is in the folder already they show what it has; those of new runs come back
    when another folder is chosen.

    Signals
    -------
    trainerChanged(object)
        The trainer of new runs is another one now.
    iterationsChanged(int)
        Of the run in the folder.
    failed(object)
        An exception of what the forms do by themselves.
    """

    trainerChanged = Signal(object)
    iterationsChanged = Signal(int)
    failed = Signal(object)

    def __init__(self, viewer: napari.Viewer, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._found: FoundRun | None = None
        self._idle = True
        self._for_new_runs: tuple[CNNectomeUNet | None, TrainerConfig | None] = (None, None)
        self.data = TrainDataPanel(viewer)
        self.architecture = ArchitecturePanel()
        self.trainer = TrainerPanel()
        self.folder = RunFolderPanel()
        self.batches = BatchesPanel(viewer, self._batches, self.data.raw_layer)
        training = QWidget()
        column = QVBoxLayout(training)
        column.setContentsMargins(0, 0, 0, 0)
        column.addWidget(self.trainer)
        column.addWidget(self.batches)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        self._scroll = scrolled(
            Section("Data", self.data),
            Section("Network", self.architecture),
            Section("Training", training),
            Section("Run folder", self.folder),
        )
        layout.addWidget(self._scroll)
        self.data.changed.connect(self._on_data)
        self.architecture.valueChanged.connect(self.trainer.setArchitecture)
        self.trainer.valueChanged.connect(self._on_trainer)
        self.trainer.device.failed.connect(self.failed)
        self.trainer.device.valueChanged.connect(self._on_device)
        self.folder.failed.connect(self.failed)
        self._on_data()

    def sizeHint(self) -> QSize:
        """Ask for the height at which nothing needs to be scrolled."""
        return QSize(super().sizeHint().width(), self._scroll.widget().sizeHint().height())

    # What a run is made of

    def new_run(self) -> NewRun:
        """Take everything that a new run needs out of the widgets; raises UserError."""
        rows, task = self.data.rows(), self.data.task()
        network, trainer = self._network(), self._trainer()
        path = self.folder.path()
        if path is None:
            raise RunError("There is no run folder: choose one for the run.")
        return NewRun(path, task, network, trainer, rows, self.data.labels(), self.data.sampling())

    def changes(self, found: FoundRun) -> tuple[TrainerConfig, CNNectomeUNet | None]:
        """Give trainer and network with which a run goes on; raises UserError.

        There is no network once there is a checkpoint: weights fit one only.
        """
        trainer = self._trainer()
        done = found.iteration or 0
        if done >= trainer.iterations:
            raise ConfigError(
                f"The run has done {done} iterations: raise their number above that to go on."
            )
        return trainer, None if found.iteration is not None else self._network()

    def anchor(self) -> Anchor | None:
        """Give the place of the raw layer, beside which a run is shown; None for its own."""
        layer = self.data.raw_layer()
        if layer is not None:
            with suppress(UserError):
                return Anchor.at_layer(layer)
        return None

    def _batches(self) -> BatchesRequest:
        labels, sampling = self.data.labels(), self.data.sampling()
        trainer = self.trainer.value()
        if trainer is None:
            raise ConfigError(f"There are no samples: {self.trainer.refusal()}")
        rows, task = self.data.rows(), self.data.task()
        return BatchesRequest(rows, labels, task, self._network(), trainer, sampling)

    def _network(self) -> CNNectomeUNet:
        architecture = self.architecture.value()
        if architecture is None:
            raise ConfigError(f"The network cannot be built: {self.architecture.refusal()}")
        return architecture

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

    # What is shown

    def show_found(self, found: FoundRun) -> None:
        """Show what a run in the folder has."""
        if self._found is None:
            self._for_new_runs = (self.architecture.value(), self.trainer.value())
        self._found = found
        config = found.run.config
        self.data.setRun(config)
        self.trainer.setTask(config.task)
        if found.raw is not None:
            self.trainer.setData(found.raw)
        self.architecture.setValue(config.architecture)
        self.trainer.setValue(config.trainer)

    def show_new(self) -> None:
        """Show what a new run would have, as it was before."""
        before, self._found = self._found, None
        # Where no run was shown, what is entered is that of a new run already.
        architecture, trainer = self._for_new_runs if before is not None else (None, None)
        self.data.setRun(None)
        if architecture is not None:
            self.architecture.setValue(architecture)
        if trainer is not None:
            self.trainer.setValue(trainer)
        self._on_data()

    def setIdle(self, idle: bool) -> None:
        """Let only that be changed which would have an effect."""
        self._idle = idle
        new = self._found is None
        trained = self._found is not None and self._found.iteration is not None
        self.data.setEditable(idle and new)
        self.architecture.setEditable(idle and not trained)
        self.trainer.setEditable(idle)
        self.batches.setReady(idle and new)
        self.folder.setEnabled(idle)

    def end(self) -> None:
        """End what goes on in the background, and wait for it."""
        self.batches.end()

    def _on_data(self) -> None:
        new = self._idle and self._found is None
        with suppress(UserError):
            task = self.data.task()
            self.folder.setName(task.name)
            if new:
                self.trainer.setTask(task)
        if new:
            raw, ground_truth = self.data.known()
            self.architecture.setData(raw, ground_truth)
            self.trainer.setData(raw)

    def _on_device(self, name: str) -> None:
        if self._idle and self._found is None:
            self.architecture.setDevice(name)

    def _on_trainer(self, trainer: Any) -> None:
        if trainer is None or not self._idle:
            return
        if self._found is not None:
            self.iterationsChanged.emit(trainer.iterations)
        elif self.trainer.device.available:  # a device that is gone is not what a person chose
            self.trainerChanged.emit(trainer)
