"""Editors and forms of the trainer's parts that a config alone cannot describe."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from qtpy.QtCore import Signal
from qtpy.QtWidgets import QComboBox, QFormLayout, QVBoxLayout, QWidget
from typing_extensions import override

from napari_dacapo_tasks.arrays import Array
from napari_dacapo_tasks.runs.augmentation import PRESETS, AugmentationConfig
from napari_dacapo_tasks.tasks.evaluators.evaluator import Criterion
from napari_dacapo_tasks.widgets.elided_combo import ElidedCombo
from napari_dacapo_tasks.widgets.fields import FieldEditor, leave_wheel
from napari_dacapo_tasks.widgets.form import ConfigForm
from napari_dacapo_tasks.widgets.section import Section

PRESET_TITLES = {"none": "none", "light": "light", "em": "EM", "strong": "strong"}
CUSTOM = "custom"

PRESET_TIP = (
    "none: crops as they are. light: mirrored, transposed, a little brightness; costs no time. "
    "EM: bent and turned, too, with the defects of sections. strong: more of it, for little data."
)

USUAL_VOXEL = (8.0, 8.0, 8.0)
"""In nanometres, until the data is known."""


class CriterionEditor(FieldEditor):
    """A combo box of the scores of a task; with None the task's first."""

    def __init__(self) -> None:
        self._box = ElidedCombo()
        self._wanted: str | None = None
        self._names: list[str] | None = None
        super().__init__(self._box)
        self.setCriteria(None)
        self._box.currentIndexChanged.connect(self._on_index)

    def setCriteria(self, criteria: Sequence[Criterion] | None) -> None:
        """Offer the scores of another task, None while there is no task."""
        self._names = None if criteria is None else [one.name for one in criteria]
        self._box.blockSignals(True)
        self._box.clear()
        first = f"first: {criteria[0].title}" if criteria else "the task's first"
        self._box.addItem(first, None)
        for one in criteria or ():
            direction = "higher" if one.higher_is_better else "lower"
            self._box.addItem(one.title, one.name)
            self._box.setItemData(
                self._box.count() - 1, f"{one.description} {direction.title()} is better.", 3
            )
        self._box.blockSignals(False)
        self.setValue(self._wanted)

    @override
    def value(self) -> str | None:
        wanted = self._wanted
        if wanted is not None and self._names is not None and wanted not in self._names:
            raise ValueError(f"the task has no score '{wanted}': choose one of its own")
        return wanted

    @override
    def setValue(self, value: Any) -> None:
        self._wanted = value
        self._box.blockSignals(True)
        if self._box.findData(value) < 0:
            # Of another task: it stays in sight until a person chooses.
            self._box.addItem(str(value), value)
        self._box.setCurrentIndex(self._box.findData(value))
        self._box.blockSignals(False)

    def _on_index(self, index: int) -> None:
        self._wanted = self._box.itemData(index)
        self.changed.emit()


class AugmentationForm(QWidget):
    """Edits an `AugmentationConfig`: a preset for the data's voxel size, or values of one's own.

    Signals
    -------
    valueChanged(object)
        The new config, None while it is refused.
    """

    valueChanged = Signal(object)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._voxel_size: tuple[float, ...] = USUAL_VOXEL
        self.preset_combo = QComboBox()
        for name in PRESETS:
            self.preset_combo.addItem(PRESET_TITLES[name], name)
        self.preset_combo.addItem(CUSTOM, None)
        self.preset_combo.setToolTip(PRESET_TIP)
        leave_wheel(self.preset_combo)
        self.form = ConfigForm(AugmentationConfig)
        self.values = Section("Values", self.form, opened=False)
        top = QFormLayout()
        top.setFieldGrowthPolicy(QFormLayout.FieldGrowthPolicy.AllNonFixedFieldsGrow)
        top.addRow("Preset", self.preset_combo)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(4)
        layout.addLayout(top)
        layout.addWidget(self.values)
        self.form.setValue(AugmentationConfig())
        self._name_preset(AugmentationConfig())
        self._range_sliders()
        self.preset_combo.activated.connect(self._on_preset)
        self.form.valueChanged.connect(self._on_value)

    def value(self) -> AugmentationConfig | None:
        """Give the config, None while it is refused."""
        value = self.form.value()
        assert value is None or isinstance(value, AugmentationConfig)
        return value

    def setValue(self, config: AugmentationConfig) -> None:
        """Show a config; one that is a preset is named so."""
        self.form.setValue(config)
        self._name_preset(config)

    def setData(self, raw: Array | None) -> None:
        """Take note of the data's voxel size and unit; a preset that is chosen follows it."""
        if raw is None:
            return
        voxel_size = tuple(size / raw.unit.steps for size in raw.voxel_size)
        self.form.setUnit(raw.unit.name)
        if voxel_size == self._voxel_size:
            return
        preset = self.preset_combo.currentData()
        self._voxel_size = voxel_size
        self._range_sliders()
        if preset is not None:
            self.form.setValue(AugmentationConfig.preset(preset, voxel_size))
        else:
            self._name_preset(self.value())  # it may be one for this data

    def _range_sliders(self) -> None:
        self.form.setProposal(AugmentationConfig.preset("em", self._voxel_size))

    def _on_preset(self, index: int) -> None:
        preset = self.preset_combo.itemData(index)
        if preset is None:
            self.values.heading.setChecked(True)  # what is custom is entered there
        else:
            self.form.setValue(AugmentationConfig.preset(preset, self._voxel_size))

    def _on_value(self, config: AugmentationConfig | None) -> None:
        self._name_preset(config)
        self.valueChanged.emit(config)

    def _name_preset(self, config: AugmentationConfig | None) -> None:
        name = None if config is None else config.preset_name(self._voxel_size)
        self.preset_combo.setCurrentIndex(self.preset_combo.findData(name))
