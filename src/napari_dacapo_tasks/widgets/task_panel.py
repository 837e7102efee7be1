"""Which task, and its parameters."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from qtpy.QtCore import Signal
from qtpy.QtWidgets import (
    QComboBox,
    QFileDialog,
    QFormLayout,
    QHBoxLayout,
    QPushButton,
    QVBoxLayout,
    QWidget,
)

from napari_dacapo_tasks.errors import UserError
from napari_dacapo_tasks.tasks import TASKS, Measured, TaskConfig
from napari_dacapo_tasks.tasks.files import load_task, save_task
from napari_dacapo_tasks.tasks.task import WORLD
from napari_dacapo_tasks.units import VOXEL
from napari_dacapo_tasks.widgets.form import ConfigForm

HIDDEN = ("channels",)
"""The channels are edited with the ground truth."""

UNSAID = ("name", "channels")

FILE_TYPES = "DaCapo task (*.yaml *.yml)"

UNKNOWN_DATA = Measured((1.0, 1.0, 1.0), None, VOXEL.name)
"""What parameters are proposed for until there is a ground truth."""


class TaskPanel(QWidget):
    """Edits one task config; its channels are given from outside.

    Signals
    -------
    valueChanged(object)
        The new config, None while it is refused.
    channelsLoaded(object)
        Names of the channels in a file that was loaded.
    failed(object)
        An exception to show.
    """

    valueChanged = Signal(object)
    channelsLoaded = Signal(object)
    failed = Signal(object)

    def __init__(self, channels: Sequence[str], parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._channels = list(channels)
        self._measured = UNKNOWN_DATA
        self._forms: dict[type[TaskConfig], ConfigForm] = {}
        self._edited = False
        self._showing = False
        self.type_combo = QComboBox()
        for kind in TASKS:
            self.type_combo.addItem(kind.title)
        self.reset_button = QPushButton("Reset to defaults")
        self.reset_button.setToolTip("Go back to the parameters that fit this ground truth")
        self.load_button = QPushButton("Load…")
        self.load_button.setToolTip("Load a task from a YAML file of this program or of DaCapo")
        self.save_button = QPushButton("Save…")
        self.save_button.setToolTip("Save the task as a YAML file that DaCapo loads, too")
        top = QFormLayout()
        top.setFieldGrowthPolicy(QFormLayout.FieldGrowthPolicy.AllNonFixedFieldsGrow)
        top.addRow("Task", self.type_combo)
        buttons = QHBoxLayout()
        for button in (self.reset_button, self.load_button, self.save_button):
            buttons.addWidget(button)
        self._layout = QVBoxLayout(self)
        self._layout.setContentsMargins(0, 0, 0, 0)
        self._layout.addLayout(top)
        self._layout.addLayout(buttons)

        self.type_combo.currentIndexChanged.connect(self._on_type)
        self.reset_button.clicked.connect(self.reset)
        self.load_button.clicked.connect(self._ask_what_to_load)
        self.save_button.clicked.connect(self._ask_where_to_save)
        self._on_type()

    @property
    def form(self) -> ConfigForm:
        """The form of the task that is chosen."""
        return self._form_of(TASKS[self.type_combo.currentIndex()])

    def value(self) -> TaskConfig | None:
        """Give the config, None while it is refused."""
        config = self.form.value()
        return None if config is None else config.with_channels(self._channels)

    def setValue(self, config: TaskConfig) -> None:
        """Show a config; a new ground truth does not replace it."""
        self.type_combo.setCurrentIndex(TASKS.index(type(config)))
        self._channels = list(getattr(config, "channels", self._channels))
        self._show(config)
        self._edited = True

    def proposal(self) -> TaskConfig:
        """Give parameters that fit the ground truth: what Reset goes to."""
        return TASKS[self.type_combo.currentIndex()].propose(self._channels, self._measured)

    def setChannels(self, channels: Sequence[str]) -> None:
        """Name the channels that the ground truth has."""
        self._channels = list(channels)
        self._emit()

    def setMeasured(self, measured: Measured) -> bool:
        """Take note of another ground truth, and propose parameters that fit it.

        Returns
        -------
        bool
            Whether they are in the form now: parameters that a person has entered or loaded stay.
        """
        self._measured = measured
        for form in self._forms.values():
            form.setUnit(measured.unit)
            self._centre(form)
        if self._edited:
            return False
        self.reset()
        return True

    def reset(self) -> None:
        """Go back to the parameters proposed for this ground truth."""
        self._show(self.proposal())
        self._edited = False

    def load(self, path: str | Path) -> None:
        """Load a task file; where that fails, say so and change nothing."""
        try:
            config = load_task(path)
        except UserError as error:
            self.failed.emit(error)
            return
        self.setValue(config)
        self.channelsLoaded.emit(list(self._channels))

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

    def _form_of(self, kind: type[TaskConfig]) -> ConfigForm:
        if kind not in self._forms:
            hidden = [name for name in HIDDEN if name in kind.model_fields]
            form = ConfigForm(kind, hidden=hidden, unit=self._measured.unit)
            self._forms[kind] = form
            self._layout.insertWidget(1, form)
            form.setValue(kind.propose(self._channels, self._measured))
            self._centre(form)
            form.valueChanged.connect(self._on_form)
        return self._forms[kind]

    def _centre(self, form: ConfigForm) -> None:
        kind = form.model_type
        assert issubclass(kind, TaskConfig)
        # Lengths below a voxel mean nothing.
        least = min(self._measured.voxel_size)
        form.setProposal(kind.propose(self._channels, self._measured), least)

    def _show(self, config: TaskConfig) -> None:
        self._showing = True
        self.form.setValue(config)
        self._showing = False
        self._emit()

    def _on_form(self, _config: object) -> None:
        if not self._showing:
            self._edited = True
            self._emit()

    def _on_type(self, _index: int = 0) -> None:
        for form in self._forms.values():
            form.hide()
        self.form.show()
        self._emit()

    def _emit(self) -> None:
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


def describe(config: TaskConfig, proposal: TaskConfig, unit: str) -> str:
    """Say in short what makes a config differ from others: its first length and what is unusual.

    For example ``"scale 50 nm, mask off"``.
    """
    said: list[str] = []
    for name, field in type(config).model_fields.items():
        value = getattr(config, name)
        is_length = field.json_schema_extra == WORLD
        usual = type(config) is type(proposal) and value == getattr(proposal, name)
        if name in UNSAID or (usual and (said or not is_length)):
            continue
        title = (field.title or name).split()[0].lower()  # layers' names are soon too long
        if isinstance(value, bool):
            said.append(f"{title} {'on' if value else 'off'}")
        else:
            number = f"{value:g}" if isinstance(value, float) else str(value)
            said.append(f"{title} {number}{' ' + unit if is_length else ''}")
    return ", ".join(said)
