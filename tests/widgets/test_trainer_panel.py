"""The trainer's parameters: forms by section, presets, scores of the task, and memory."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from napari_dacapo_tasks.architectures.devices import Device
from napari_dacapo_tasks.arrays import Array
from napari_dacapo_tasks.errors import DataError
from napari_dacapo_tasks.runs.augmentation import AugmentationConfig
from napari_dacapo_tasks.runs.trainer_config import (
    ExecutionConfig,
    OptimizerConfig,
    TrainerConfig,
    ValidationConfig,
)
from napari_dacapo_tasks.tasks import AffinitiesTaskConfig
from napari_dacapo_tasks.units import NANOMETRE, VOXEL, WorldUnit
from napari_dacapo_tasks.widgets import device_combo, trainer_memory
from napari_dacapo_tasks.widgets.section import Section
from napari_dacapo_tasks.widgets.trainer_panel import TrainerPanel

CPU = Device("cpu", "CPU, 8.0 of 16.0 GB free", 8 * 10**9)
AFFINITIES = AffinitiesTaskConfig(name="affs", neighborhood=[(1, 0, 0), (0, 1, 0), (0, 0, 1)])
ANISOTROPIC = (40.0, 4.0, 4.0)


@pytest.fixture
def panel(qtbot: Any, monkeypatch: pytest.MonkeyPatch) -> TrainerPanel:
    monkeypatch.setattr(device_combo, "available_devices", lambda: [CPU])
    panel = TrainerPanel()
    qtbot.addWidget(panel)
    qtbot.waitUntil(lambda: panel.device.value() == "cpu")
    return panel


def enter(form: Any, **values: Any) -> None:
    for name, value in values.items():
        form.editor(name).setValue(value)
        form.editor(name).changed.emit()


def raw(unit: WorldUnit = NANOMETRE) -> Array:
    return Array(np.zeros((8, 8, 8), np.uint8), axes="zyx", voxel_size=(40, 4, 4), unit=unit)


def choose(panel: TrainerPanel, preset: str) -> None:
    combo = panel.augmentation.preset_combo
    index = combo.findText(preset)
    combo.setCurrentIndex(index)
    combo.activated.emit(index)


def test_it_shows_every_part_and_gives_it_back(panel: TrainerPanel) -> None:
    config = TrainerConfig(
        iterations=7,
        device="cpu",
        optimizer=OptimizerConfig(name="SGD", clip_norm=2.0),
        augmentation=AugmentationConfig.preset("em", (8, 8, 8)),
        validation=ValidationConfig(interval=None, patience=3),
        execution=ExecutionConfig(workers=0),
    )
    panel.setValue(config)
    assert panel.value() == config


def test_only_the_usual_values_are_seen_at_first(panel: TrainerPanel) -> None:
    sections = {one.heading.text(): one.heading.isChecked() for one in panel.findChildren(Section)}
    assert {"Optimizer", "Augmentation", "Validation", "Execution"} <= set(sections)
    assert not any(sections.values())
    assert panel.form.editor("learning_rate").isVisibleTo(panel)
    assert not panel.form.editor("checkpoint_interval").isVisibleTo(panel)


def test_what_cannot_be_changed_can_be_looked_at(panel: TrainerPanel) -> None:
    editors = [panel.form.editor("checkpoint_interval"), panel.augmentation.form.editor("deform")]
    panel.setEditable(False)
    assert not any(editor.isEnabled() for editor in [*editors, panel.device])
    for section in panel.findChildren(Section):
        assert section.heading.isEnabled()
        section.heading.click()
    assert all(editor.isVisibleTo(panel) for editor in editors)
    panel.setEditable(True)
    assert all(editor.isEnabled() for editor in [*editors, panel.device])


def test_a_value_of_a_part_is_told_once(panel: TrainerPanel) -> None:
    told: list[Any] = []
    panel.valueChanged.connect(told.append)
    enter(panel.parts["optimizer"], weight_decay=0.5)
    assert [one.optimizer.weight_decay for one in told] == [0.5]
    panel.setValue(TrainerConfig(iterations=9, device="cpu"))
    assert len(told) == 2
    assert told[-1] == TrainerConfig(iterations=9, device="cpu")


def test_what_a_part_refuses_is_said_with_its_title(panel: TrainerPanel) -> None:
    enter(panel.parts["optimizer"], weight_decay=3)
    assert panel.value() is None
    assert panel.refusal() == "Weight decay must be less than or equal to 1."
    enter(panel.parts["optimizer"], weight_decay=0.1)
    assert panel.refusal() == ""
    enter(panel.augmentation.form, deform=0.5)
    assert panel.value() is None
    assert "there is nothing to do" in panel.refusal()


def test_a_number_that_may_be_left_out_has_room_beside_its_box(panel: TrainerPanel) -> None:
    editor = panel.parts["optimizer"].editor("ema_decay")
    editor.resize(180, 24)
    editor.layout().activate()
    box, number = editor.controls
    assert number.width() > 2 * box.width()


def test_a_number_that_is_left_out_begins_with_a_usual_one(panel: TrainerPanel) -> None:
    box = panel.parts["optimizer"].editor("ema_decay")._box
    box.setChecked(True)
    assert panel.value().optimizer.ema_decay == 0.999
    box.setChecked(False)
    assert panel.value().optimizer.ema_decay is None


# Augmentation


def test_a_preset_fits_the_voxel_size_of_the_data(panel: TrainerPanel) -> None:
    assert panel.augmentation.preset_combo.currentText() == "light"
    choose(panel, "EM")
    panel.setData(raw())
    assert panel.value().augmentation == AugmentationConfig.preset("em", ANISOTROPIC)
    assert panel.augmentation.preset_combo.currentText() == "EM"
    choose(panel, "none")
    assert panel.value().augmentation == AugmentationConfig.preset("none", ANISOTROPIC)


def test_an_own_value_is_custom_and_stays_with_other_data(panel: TrainerPanel) -> None:
    choose(panel, "strong")
    enter(panel.augmentation.form, rotation=10)
    assert panel.augmentation.preset_combo.currentText() == "custom"
    own = panel.value().augmentation
    panel.setData(raw())
    assert panel.value().augmentation == own
    choose(panel, "custom")
    assert panel.value().augmentation == own
    assert panel.augmentation.values.heading.isChecked()


def test_a_config_that_is_a_preset_is_named(panel: TrainerPanel) -> None:
    panel.setData(raw())
    strong = AugmentationConfig.preset("strong", ANISOTROPIC)
    panel.setValue(TrainerConfig(augmentation=strong, device="cpu"))
    assert panel.augmentation.preset_combo.currentText() == "strong"


def test_a_preset_for_this_data_is_named_once_the_data_is_there(panel: TrainerPanel) -> None:
    strong = AugmentationConfig.preset("strong", ANISOTROPIC)
    panel.setValue(TrainerConfig(augmentation=strong, device="cpu"))
    assert panel.augmentation.preset_combo.currentText() == "custom"
    panel.setData(raw())
    assert panel.augmentation.preset_combo.currentText() == "strong"
    assert panel.value().augmentation == strong


def test_lengths_are_in_the_unit_of_the_data(panel: TrainerPanel) -> None:
    label = panel.augmentation.form._rows["elastic"].label
    assert label.text() == "Bending (nm)"
    panel.setData(raw(VOXEL))
    assert label.text() == "Bending (voxels)"


# Validation


def scores(panel: TrainerPanel) -> list[Any]:
    box = panel.criterion._box
    return [box.itemData(index) for index in range(box.count())]


def test_the_scores_of_the_task_are_offered(panel: TrainerPanel, small_task: Any) -> None:
    panel.setTask(small_task)
    assert scores(panel)[0] is None
    assert {"dice", "loss"} <= set(scores(panel))
    panel.criterion._box.setCurrentIndex(scores(panel).index("dice"))
    assert panel.value().validation.criterion == "dice"
    panel.setTask(AFFINITIES)
    assert "voi" in scores(panel)
    assert panel.value() is None
    assert "no score 'dice'" in panel.refusal()
    panel.criterion._box.setCurrentIndex(0)
    assert panel.value().validation.criterion is None


def test_a_score_is_kept_while_there_is_no_task(panel: TrainerPanel, small_task: Any) -> None:
    panel.setValue(TrainerConfig(validation=ValidationConfig(criterion="dice"), device="cpu"))
    assert panel.value().validation.criterion == "dice"
    panel.setTask(small_task)
    assert panel.value().validation.criterion == "dice"


# Memory


def estimates(monkeypatch: pytest.MonkeyPatch, answer: Any) -> None:
    def estimated(*_asked: Any) -> Any:
        yield
        if isinstance(answer, Exception):
            raise answer
        return answer

    monkeypatch.setattr(trainer_memory, "_estimated", estimated)


def test_memory_is_said_beside_what_is_free(
    qtbot: Any,
    panel: TrainerPanel,
    monkeypatch: pytest.MonkeyPatch,
    small_task: Any,
    small_net: Any,
) -> None:
    estimates(monkeypatch, 3_200_000_000)
    assert panel.memory.isHidden()
    panel.setTask(small_task)
    panel.setArchitecture(small_net)
    qtbot.waitUntil(lambda: panel.memory.text() == "Needs about 3.2 GB of 8 GB free on cpu")
    estimates(monkeypatch, 12_000_000_000)
    enter(panel.form, batch_size=8)
    qtbot.waitUntil(lambda: "choose a smaller" in panel.memory.text())
    assert "color" in panel.memory.styleSheet()
    panel.setArchitecture(None)
    assert panel.memory.isHidden()


def test_memory_is_really_estimated(
    qtbot: Any, panel: TrainerPanel, small_task: Any, small_net: Any
) -> None:
    panel.setTask(small_task)
    panel.setArchitecture(small_net)
    qtbot.waitUntil(lambda: panel.memory.text().startswith("Needs about "))


def test_what_cannot_be_estimated_is_not_said(
    qtbot: Any,
    panel: TrainerPanel,
    monkeypatch: pytest.MonkeyPatch,
    small_task: Any,
    small_net: Any,
) -> None:
    estimates(monkeypatch, DataError("The network is too small."))
    panel.setTask(small_task)
    with qtbot.waitSignal(panel.memory._job.failed):
        panel.setArchitecture(small_net)
    assert panel.memory.isHidden()
