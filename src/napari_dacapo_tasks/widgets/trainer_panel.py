"""How a run is trained, and where."""

from __future__ import annotations

from typing import Any

from qtpy.QtCore import Signal
from qtpy.QtWidgets import QFormLayout, QVBoxLayout, QWidget

from napari_dacapo_tasks.architectures import CNNectomeUNet
from napari_dacapo_tasks.arrays import Array
from napari_dacapo_tasks.errors import UserError
from napari_dacapo_tasks.runs.scores import LOSS
from napari_dacapo_tasks.runs.trainer_config import (
    ExecutionConfig,
    OptimizerConfig,
    TrainerConfig,
    ValidationConfig,
)
from napari_dacapo_tasks.tasks import TaskConfig
from napari_dacapo_tasks.tasks.evaluators.evaluator import Criterion
from napari_dacapo_tasks.widgets.device_combo import DeviceCombo
from napari_dacapo_tasks.widgets.form import ConfigForm
from napari_dacapo_tasks.widgets.refusals import first_refusal
from napari_dacapo_tasks.widgets.section import Section, set_editable
from napari_dacapo_tasks.widgets.trainer_fields import AugmentationForm, CriterionEditor
from napari_dacapo_tasks.widgets.trainer_memory import MemoryLine

PARTS = ("optimizer", "augmentation", "validation", "execution")
"""Fields that are configs of their own, each with a section."""

HIDDEN = ("device", *PARTS)
"""The device is chosen among those that there are."""


class TrainerPanel(QWidget):
    """Edits a `TrainerConfig`.

    Signals
    -------
    valueChanged(object)
        The new config, None while it is refused.
    """

    valueChanged = Signal(object)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._architecture: CNNectomeUNet | None = None
        self._task: TaskConfig | None = None
        self._last: TrainerConfig | None = None
        self._setting = False
        self.device = DeviceCombo()
        self.form = ConfigForm(TrainerConfig, hidden=HIDDEN, collapsed=TrainerConfig.sections)
        self.criterion = CriterionEditor()
        self.augmentation = AugmentationForm()
        self.parts: dict[str, Any] = {
            "optimizer": ConfigForm(OptimizerConfig),
            "augmentation": self.augmentation,
            "validation": ConfigForm(ValidationConfig, editors={"criterion": self.criterion}),
            "execution": ConfigForm(ExecutionConfig),
        }
        self.memory = MemoryLine()
        field = TrainerConfig.model_fields["device"]
        top = QFormLayout()
        top.setFieldGrowthPolicy(QFormLayout.FieldGrowthPolicy.AllNonFixedFieldsGrow)
        top.addRow(field.title, self.device)
        top.labelForField(self.device).setToolTip("Where to train; nothing else is ever used")
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(4)
        layout.addLayout(top)
        layout.addWidget(self.memory)
        layout.addWidget(self.form)
        for name, part in self.parts.items():
            title = TrainerConfig.model_fields[name].title or name
            layout.addWidget(Section(title, part, opened=False))
        self.setValue(TrainerConfig())
        self.device.valueChanged.connect(self._on_device)
        self.form.valueChanged.connect(self._tell)
        for part in self.parts.values():
            part.valueChanged.connect(self._tell)

    def value(self) -> TrainerConfig | None:
        """Give the config, None while it is refused."""
        parts = {name: part.value() for name, part in self.parts.items()}
        value = self.form.value()
        if value is None or any(part is None for part in parts.values()):
            return None
        assert isinstance(value, TrainerConfig)
        return value.model_copy(update={**parts, "device": self.device.value() or value.device})

    def refusal(self) -> str:
        """Why there is no value."""
        forms = (self.form, *(getattr(part, "form", part) for part in self.parts.values()))
        return next(filter(None, map(first_refusal, forms)), "")

    def setValue(self, trainer: TrainerConfig) -> None:
        """Show a config."""
        self._setting = True
        self.form.setValue(trainer)
        for name, part in self.parts.items():
            part.setValue(getattr(trainer, name))
        self.device.setValue(trainer.device)
        self._setting = False
        self._tell()

    def setEditable(self, editable: bool) -> None:
        """Allow or forbid to change anything; looking is always possible."""
        set_editable(self, editable)

    def setTask(self, task: TaskConfig | None) -> None:
        """Take note of the task, whose scores there are to choose from; None for none."""
        if task == self._task:
            return
        self._task = task
        self.criterion.setCriteria(None if task is None else _criteria(task))
        self.parts["validation"].value()  # the score may be refused now, or no more
        self._estimate()

    def setData(self, raw: Array | None) -> None:
        """Take note of the raw data, to whose voxel size presets of augmentation fit."""
        self.augmentation.setData(raw)

    def setArchitecture(self, architecture: CNNectomeUNet | None) -> None:
        """Take note of the network, to say how much memory it needs."""
        self._architecture = architecture
        self._estimate()

    def _on_device(self, name: str) -> None:
        if name:
            self.form.setHiddenValues(device=name)
        self._tell()

    def _tell(self, _value: object = None) -> None:
        """Say once that there is another value, whichever form it comes from."""
        if self._setting:
            return
        value = self.value()
        if value != self._last:
            self._last = value
            self.valueChanged.emit(value)
            self._estimate()

    def _estimate(self) -> None:
        self.memory.ask(self._architecture, self._task, self._last, self.device.device())


def _criteria(task: TaskConfig) -> list[Criterion] | None:
    """Give what a run of a task can be judged by, None where that is not known."""
    try:
        built = task.task_type(task)
        return [*(built.evaluator.criteria if built.methods else ()), LOSS]
    except UserError:  # told where the task is chosen, and when training is to start
        return None
