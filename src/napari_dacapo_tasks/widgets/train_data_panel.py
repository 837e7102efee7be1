"""What is learned from: the task, and a table of crops, the first of which follows the layers."""

from __future__ import annotations

from contextlib import suppress
from math import prod
from typing import Any

import napari
from napari.layers import Image, Layer
from qtpy.QtCore import Signal
from qtpy.QtWidgets import QFormLayout, QLabel, QPushButton, QVBoxLayout, QWidget

from napari_dacapo_tasks.arrays import Array, GroundTruth, LabelsConfig
from napari_dacapo_tasks.errors import ConfigError, DataError, UserError
from napari_dacapo_tasks.runs.config import RunConfig
from napari_dacapo_tasks.runs.data_config import SamplingConfig
from napari_dacapo_tasks.runs.rows import Row
from napari_dacapo_tasks.tasks import TaskConfig
from napari_dacapo_tasks.widgets.data_table_panel import DataTablePanel
from napari_dacapo_tasks.widgets.form import ConfigForm
from napari_dacapo_tasks.widgets.layer_combo import LayerCombo
from napari_dacapo_tasks.widgets.layers import array_of
from napari_dacapo_tasks.widgets.lifetime import connect_while_alive
from napari_dacapo_tasks.widgets.refusals import first_refusal
from napari_dacapo_tasks.widgets.row_checks import trained_part
from napari_dacapo_tasks.widgets.row_sources import LayerSource
from napari_dacapo_tasks.widgets.section import Section
from napari_dacapo_tasks.widgets.session import Session

PLUGIN, TASK_DOCK = "napari-dacapo-tasks", "Task"


class TrainDataPanel(QWidget):
    """Chooses the raw layer, says what the Task dock has chosen, and takes further crops.

    Signals
    -------
    changed()
        Raw layer, task, ground truth, a row or the sampling are others now.
    """

    changed = Signal()

    def __init__(self, viewer: napari.Viewer, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._viewer = viewer
        self._session = Session.of(viewer)
        self._run: RunConfig | None = None
        self._sampling = SamplingConfig()
        self.raw_combo = LayerCombo(viewer, (Image,))
        self.raw_combo.setPlaceholderText("open an image")
        self._task = QLabel()
        self._task.setWordWrap(True)
        self.task_button = QPushButton("Open the Task dock")
        self.table = DataTablePanel(viewer)
        self.sampling_form = ConfigForm(SamplingConfig)
        self.sampling_form.setValue(self._sampling)
        self._form = QFormLayout()
        self._form.setFieldGrowthPolicy(QFormLayout.FieldGrowthPolicy.AllNonFixedFieldsGrow)
        self._form.addRow("Raw", self.raw_combo)
        self._form.addRow("Task", self._task)
        self._form.labelForField(self.raw_combo).setToolTip("The image that the network will see")
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addLayout(self._form)
        layout.addWidget(self.task_button)
        layout.addWidget(self.table)
        layout.addWidget(Section("Sampling", self.sampling_form, opened=False))
        self.raw_combo.layerChanged.connect(self._on_raw)
        self.table.changed.connect(self._on_rows)
        self.sampling_form.valueChanged.connect(self._on_sampling)
        self.task_button.clicked.connect(self.open_task_dock)
        connect_while_alive(self, self._session.changed, self._on_session)
        connect_while_alive(self, viewer.layers.events.renamed, self._say_task)
        self._follow()
        self._say_task()

    @property
    def text(self) -> str:
        """What the panel says of the task."""
        return str(self._task.text())

    # What a run is made of

    def task(self) -> TaskConfig:
        """Give the task; raises ConfigError where there is none."""
        if self._session.task is None:
            raise ConfigError(
                "There is no task: choose one in the Task dock, and mend what is red."
            )
        return self._session.task

    def rows(self) -> list[Row]:
        """Give the crops that are used, layers as they are now; raises UserError."""
        return self.table.rows()

    def labels(self) -> LabelsConfig:
        """Give how the ground truth of all crops is read."""
        return self._session.labels_config

    def sampling(self) -> SamplingConfig:
        """Give where crops are taken from; raises ConfigError while that is refused."""
        value = self.sampling_form.value()
        if value is None:
            raise ConfigError(f"Samples cannot be drawn: {first_refusal(self.sampling_form)}")
        assert isinstance(value, SamplingConfig)
        return value

    def known(self) -> tuple[Array | None, GroundTruth | None]:
        """Give raw data and ground truth that a network is proposed for, as far as there are.

        They are those of the crop with the least ground truth among those that train, without its
        validation block: what fits there mostly fits the others.
        """
        found = []
        rows = self.table.tableRows()
        for row in rows:
            if row.use == "train":
                # The table says what is wrong with the others.
                with suppress(UserError, ValueError):
                    found.append(trained_part(row, self.labels(), self._session.task))
        if found:
            return min(found, key=lambda pair: prod(pair[1].roi.shape))
        for row in rows:
            with suppress(UserError):
                if row.raw is not None:
                    return row.raw.array(), None
        return None, None

    # The row that follows the layers chosen

    def raw_layer(self) -> Layer | None:
        """Give the layer of the raw data; None where no row follows the layers."""
        return self.raw_combo.layer() if self.table.follows else None

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

    def ground_truth(self) -> GroundTruth:
        """Give the ground truth; raises DataError where there is none, or it cannot be used."""
        ground_truth = self._session.ground_truth()
        if ground_truth is None:
            raise DataError("There is no ground truth: choose its layer in the Task dock.")
        return ground_truth

    # What is shown

    def setRun(self, run: RunConfig | None) -> None:
        """Show what a run in a folder learns from, to look at; None for a new run."""
        before, self._run = self._run, run
        self.table.setCrops(None if run is None else run.data.crops)
        if run is not None:
            if before is None:
                self._sampling = self.sampling_form.value() or self._sampling
            self.sampling_form.setValue(run.data.sampling)
        elif before is not None:
            self.sampling_form.setValue(self._sampling)
        self._form.setRowVisible(self.raw_combo, run is None and self.table.follows)
        self.sampling_form.setEnabled(run is None and self.raw_combo.isEnabled())
        self._say_task()

    def setEditable(self, editable: bool) -> None:
        """Allow or forbid to change anything; looking is always possible."""
        self.raw_combo.setEnabled(editable)
        self.table.setEditable(editable)
        self.sampling_form.setEnabled(editable and self._run is None)

    def open_task_dock(self) -> None:
        """Show the Task dock, and bring it to the front."""
        dock, _ = self._viewer.window.add_plugin_dock_widget(PLUGIN, TASK_DOCK, tabify=True)
        dock.show()
        dock.raise_()

    def _follow(self) -> None:
        """Let the first row have the layers that are chosen now."""
        layers = self.raw_combo.layer(), self._session.labels_layer, self._session.mask_layer
        raw, labels, mask = (
            None if layer is None else LayerSource(layer, self._viewer.layers) for layer in layers
        )
        self.table.setFollowed(raw, labels, mask, self._session.labels_config)

    def _on_raw(self, _layer: Layer | None) -> None:
        self._follow()
        self.changed.emit()

    def _on_session(self) -> None:
        self._follow()
        self._say_task()
        self.changed.emit()

    def _on_rows(self) -> None:
        self._form.setRowVisible(self.raw_combo, self._run is None and self.table.follows)
        self._say_task()
        self.changed.emit()

    def _on_sampling(self, _value: SamplingConfig | None) -> None:
        self.changed.emit()

    def _say_task(self, _event: Any = None) -> None:
        self.task_button.hide()
        if self._run is not None:
            data = self._run.data
            self._task.setText(
                f"{_described(self._run.task, data.labels)}; the folder has its own ground truth"
            )
            return
        layer: Any = self._session.labels_layer
        follows = self.table.follows
        if self._session.task is None or (follows and layer is None):
            wanted = "a task and its ground truth" if follows else "a task"
            self._task.setText(f"choose {wanted} in the Task dock")
            self.task_button.show()
            return
        described = _described(self._session.task, self._session.labels_config)
        self._task.setText(f"{described}; ground truth '{layer.name}'" if follows else described)


def _described(task: TaskConfig, labels: LabelsConfig) -> str:
    return f"{task.name} ({task.title}) of {', '.join(labels.channel_names)}"
