"""Which task, and its parameters."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from qtpy.QtCore import Signal
from qtpy.QtWidgets import QComboBox, QFileDialog, QHBoxLayout, QPushButton, QVBoxLayout, QWidget

from napari_dacapo_tasks.errors import ConfigError, UserError
from napari_dacapo_tasks.tasks import TASKS, Measured, PretrainedTaskConfig, TaskConfig
from napari_dacapo_tasks.tasks.files import load_task, save_task
from napari_dacapo_tasks.tasks.kinds import KINDS
from napari_dacapo_tasks.tasks.task import is_length
from napari_dacapo_tasks.widgets.pretrained_form import PretrainedForm
from napari_dacapo_tasks.widgets.task_chooser import TaskChooser
from napari_dacapo_tasks.widgets.task_form import TaskForm

UNSAID = ("name", "channels")

FILE_TYPES = "DaCapo task (*.yaml *.yml)"


class TaskPanel(QWidget):
    """Edits one task config; its channels are given from outside.

    Signals
    -------
    channelsWanted(bool)
        Whether the channels of the ground truth are to be chosen; the task follows.
    valueChanged(object)
        The new config, None while it is refused.
    channelsLoaded(object)
        Names of the channels in a file that was loaded.
    failed(object)
        An exception to show.
    """

    channelsWanted = Signal(bool)
    valueChanged = Signal(object)
    channelsLoaded = Signal(object)
    failed = Signal(object)

    def __init__(self, channels: Sequence[str], parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.chooser = TaskChooser(TASKS, channels, make_form=_form_of)
        self._wanted = self.wants_channels
        self.reset_button = QPushButton("Reset to defaults")
        self.reset_button.setToolTip("Go back to the parameters that fit this ground truth")
        self.load_button = QPushButton("Load…")
        self.load_button.setToolTip("Load a task from a YAML file of this program or of DaCapo")
        self.save_button = QPushButton("Save…")
        self.save_button.setToolTip("Save the task as a YAML file that DaCapo loads, too")
        buttons = QHBoxLayout()
        for button in (self.reset_button, self.load_button, self.save_button):
            buttons.addWidget(button)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(self.chooser)
        layout.addLayout(buttons)

        self.chooser.changed.connect(self._emit)
        self.reset_button.clicked.connect(self.reset)
        self.load_button.clicked.connect(self._ask_what_to_load)
        self.save_button.clicked.connect(self._ask_where_to_save)

    @property
    def type_combo(self) -> QComboBox:
        """Where the kind of task is chosen."""
        return self.chooser.type_combo

    @property
    def form(self) -> TaskForm:
        """The form of the task that is chosen."""
        return self.chooser.form

    @property
    def wants_channels(self) -> bool:
        """Whether the channels of the ground truth are to be chosen; or it is all of the labels."""
        return self.form.wants_channels

    def value(self) -> TaskConfig | None:
        """Give the config, None while it is refused."""
        return self.chooser.value()

    def setValue(self, config: TaskConfig) -> None:
        """Show a config; a new ground truth does not replace it."""
        self.chooser.setValue(config)

    def proposal(self) -> TaskConfig:
        """Give parameters that fit the ground truth: what Reset goes to."""
        return self.chooser.proposal()

    def setChannels(self, channels: Sequence[str]) -> None:
        """Name the channels that the ground truth has."""
        self.chooser.setChannels(channels)

    def setMeasured(self, measured: Measured) -> bool:
        """Take note of another ground truth, and propose parameters that fit it.

        Returns
        -------
        bool
            Whether they are in the form now: parameters that a person has entered or loaded stay.
        """
        return self.chooser.setMeasured(measured)

    def reset(self) -> None:
        """Go back to the parameters proposed for this ground truth."""
        self.chooser.reset()

    def load(self, path: str | Path) -> None:
        """Load a task file; where that fails, say so and change nothing."""
        try:
            config = load_task(path)
            if not all(kind in TASKS for kind in _kinds_in(config)):
                raise ConfigError(
                    f"{path} holds a dummy task, which is for tests only: load another one."
                )
        except UserError as error:
            self.failed.emit(error)
            return
        self.setValue(config)
        if self.wants_channels:
            self.channelsLoaded.emit(config.ground_truth_channels)

    def save(self, path: str | Path) -> None:
        """Save the task to a file; where that fails, say so."""
        config = self.value()
        if config is None:
            return
        path = Path(path)
        try:
            save_task(config, path if path.suffix else path.with_suffix(".yaml"))
        except UserError as error:
            self.failed.emit(error)

    def _emit(self) -> None:
        if self.wants_channels != self._wanted:
            self._wanted = self.wants_channels
            self.channelsWanted.emit(self._wanted)
        config = self.value()
        self.save_button.setEnabled(config is not None)
        self.valueChanged.emit(config)

    def _ask_what_to_load(self) -> None:
        path, _ = QFileDialog.getOpenFileName(self, "Load a task", "", FILE_TYPES)
        if path:
            self.load(path)

    def _ask_where_to_save(self) -> None:
        config = self.value()
        name = "" if config is None else f"{config.name}.yaml"
        path, _ = QFileDialog.getSaveFileName(self, "Save the task", name, FILE_TYPES)
        if path:
            self.save(path)


def _kinds_in(config: TaskConfig) -> list[type[TaskConfig]]:
    """Give the type of a config, and of those inside of it."""
    inside = [getattr(config, name) for name in type(config).model_fields]
    nested = [kind for one in inside if isinstance(one, TaskConfig) for kind in _kinds_in(one)]
    return [type(config), *nested]


def _form_of(kind: type[TaskConfig], **options: Any) -> TaskForm:
    if issubclass(kind, PretrainedTaskConfig):
        return PretrainedForm(kind, kinds=KINDS, **options)
    return TaskForm(kind, **options)


def describe(config: TaskConfig, proposal: TaskConfig, unit: str) -> str:
    """Say in short what makes a config differ from others: its first length and what is unusual.

    For example ``"scale 50 nm, mask off"``.
    """
    said: list[str] = []
    for name, field in type(config).model_fields.items():
        value = getattr(config, name)
        length = is_length(field)
        usual = type(config) is type(proposal) and value == getattr(proposal, name)
        if name in UNSAID or (usual and (said or not length)):
            continue
        title = (field.title or name).split()[0].lower()  # layers' names are soon too long
        if isinstance(value, TaskConfig):
            inner = getattr(proposal, name, proposal)
            said.append(describe(value, inner, unit) or value.title.lower())
        elif isinstance(value, bool):
            said.append(f"{title} {'on' if value else 'off'}")
        elif isinstance(value, (list, tuple)):
            of_offsets = bool(value) and isinstance(value[0], tuple)
            said.append(f"{len(value)} {'offsets' if of_offsets else title}")
        elif isinstance(value, str):
            said.append(f"{title} {Path(value).name}")
        else:
            number = f"{value:g}" if isinstance(value, float) else str(value)
            said.append(f"{title} {number}{' ' + unit if length else ''}")
    return ", ".join(said)
