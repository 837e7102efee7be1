"""What is learned from: raw data, and the task with its ground truth."""

from __future__ import annotations

from typing import Any

import napari
from napari.layers import Image, Layer
from qtpy.QtCore import Signal
from qtpy.QtWidgets import QFormLayout, QLabel, QPushButton, QVBoxLayout, QWidget

from napari_dacapo_tasks.arrays import Array, GroundTruth, LabelsConfig
from napari_dacapo_tasks.errors import ConfigError, DataError, UserError
from napari_dacapo_tasks.runs.config import RunConfig
from napari_dacapo_tasks.tasks import TaskConfig
from napari_dacapo_tasks.widgets.layer_combo import LayerCombo
from napari_dacapo_tasks.widgets.layers import array_of
from napari_dacapo_tasks.widgets.lifetime import connect_while_alive
from napari_dacapo_tasks.widgets.session import Session

PLUGIN, TASK_DOCK = "napari-dacapo-tasks", "Task"


class TrainDataPanel(QWidget):
    """Chooses the raw layer, and says what the Task dock has chosen.

    Signals
    -------
    changed()
        Raw layer, task or ground truth are others now.
    """

    changed = Signal()

    def __init__(self, viewer: napari.Viewer, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._viewer = viewer
        self._session = Session.of(viewer)
        self._run: RunConfig | None = None
        self.raw_combo = LayerCombo(viewer, (Image,))
        self.raw_combo.setPlaceholderText("open an image")
        self._task = QLabel()
        self._task.setWordWrap(True)
        self.task_button = QPushButton("Open the Task dock")
        self._form = QFormLayout()
        self._form.setFieldGrowthPolicy(QFormLayout.FieldGrowthPolicy.AllNonFixedFieldsGrow)
        self._form.addRow("Raw", self.raw_combo)
        self._form.addRow("Task", self._task)
        self._form.labelForField(self.raw_combo).setToolTip("The image that the network will see")
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addLayout(self._form)
        layout.addWidget(self.task_button)
        self.raw_combo.layerChanged.connect(lambda _: self.changed.emit())
        self.task_button.clicked.connect(self.open_task_dock)
        connect_while_alive(self, self._session.changed, self._on_session)
        connect_while_alive(self, viewer.layers.events.renamed, self._say_task)
        self._say_task()

    @property
    def text(self) -> str:
        """What the panel says of the task."""
        return str(self._task.text())

    def raw_layer(self) -> Layer | None:
        """Give the layer of the raw data."""
        return self.raw_combo.layer()

    def raw(self) -> Array:
        """Give the raw data; raises DataError where there is none, or it cannot be used."""
        layer = self.raw_layer()
        if layer is None:
            raise DataError("There is no raw data: open an image layer and choose it as raw.")
        return array_of(layer)

    def raw_path(self) -> str | None:
        """Give the file that the raw layer was opened from, which may hold just that."""
        layer = self.raw_layer()
        path = None if layer is None else layer.source.path
        return None if path is None else str(path)

    def task(self) -> TaskConfig:
        """Give the task; raises ConfigError where there is none."""
        if self._session.task is None:
            raise ConfigError(
                "There is no task: choose one in the Task dock, and mend what is red."
            )
        return self._session.task

    def ground_truth(self) -> GroundTruth:
        """Give the ground truth; raises DataError where there is none, or it cannot be used."""
        ground_truth = self._session.ground_truth()
        if ground_truth is None:
            raise DataError("There is no ground truth: choose its layer in the Task dock.")
        return ground_truth

    def known(self) -> tuple[Array | None, GroundTruth | None]:
        """Give raw data and ground truth as far as they can be used."""
        try:
            raw = self.raw()
        except UserError:
            return None, None
        try:
            return raw, self.ground_truth()
        except UserError:
            return raw, None

    def setRun(self, run: RunConfig | None) -> None:
        """Say what a run in a folder learns, which has its own data; None for a new run."""
        self._run = run
        self._say_task()

    def open_task_dock(self) -> None:
        """Show the Task dock, and bring it to the front."""
        dock, _ = self._viewer.window.add_plugin_dock_widget(PLUGIN, TASK_DOCK, tabify=True)
        dock.show()
        dock.raise_()

    def _on_session(self) -> None:
        self._say_task()
        self.changed.emit()

    def _say_task(self, _event: Any = None) -> None:
        self.task_button.hide()
        if self._run is not None:
            data = self._run.data
            self._task.setText(
                f"{_described(self._run.task, data.labels)}; the folder has its own ground truth"
            )
        elif self._session.task is None or self._session.labels_layer is None:
            self._task.setText("choose a task and its ground truth in the Task dock")
            self.task_button.show()
        else:
            layer: Any = self._session.labels_layer
            described = _described(self._session.task, self._session.labels_config)
            self._task.setText(f"{described}; ground truth '{layer.name}'")


def _described(task: TaskConfig, labels: LabelsConfig) -> str:
    return f"{task.name} ({task.title}) of {', '.join(labels.channel_names)}"
