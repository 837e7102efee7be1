"""How a run is trained, and where."""

from __future__ import annotations

from qtpy.QtCore import Signal
from qtpy.QtWidgets import QFormLayout, QVBoxLayout, QWidget

from napari_dacapo_tasks.runs.trainer_config import TrainerConfig
from napari_dacapo_tasks.widgets.device_combo import DeviceCombo
from napari_dacapo_tasks.widgets.form import ConfigForm
from napari_dacapo_tasks.widgets.refusals import first_refusal

HIDDEN = ("device", "optimizer", "augmentation", "validation", "execution")
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
        self.device = DeviceCombo()
        self.form = ConfigForm(TrainerConfig, hidden=HIDDEN)
        field = TrainerConfig.model_fields["device"]
        top = QFormLayout()
        top.setFieldGrowthPolicy(QFormLayout.FieldGrowthPolicy.AllNonFixedFieldsGrow)
        top.addRow(field.title, self.device)
        top.labelForField(self.device).setToolTip("Where to train; nothing else is ever used")
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addLayout(top)
        layout.addWidget(self.form)
        self.form.setValue(TrainerConfig())
        self.device.valueChanged.connect(self._on_device)
        self.form.valueChanged.connect(self.valueChanged)

    def value(self) -> TrainerConfig | None:
        """Give the config, None while it is refused."""
        value = self.form.value()
        assert value is None or isinstance(value, TrainerConfig)
        return value

    def refusal(self) -> str:
        """Why there is no value."""
        return first_refusal(self.form)

    def setValue(self, trainer: TrainerConfig) -> None:
        """Show a config."""
        self.form.setValue(trainer)
        self.device.setValue(trainer.device)

    def _on_device(self, name: str) -> None:
        if name:
            self.form.setHiddenValues(device=name)
