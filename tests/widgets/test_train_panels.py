"""The parts of the Train dock, each alone."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from napari_dacapo_tasks.architectures import CNNectomeUNet
from napari_dacapo_tasks.architectures.devices import Device
from napari_dacapo_tasks.arrays import Array
from napari_dacapo_tasks.runs.run_folder import RunFolder, Statistic
from napari_dacapo_tasks.widgets import device_combo, run_folder_panel
from napari_dacapo_tasks.widgets.architecture_panel import ArchitecturePanel
from napari_dacapo_tasks.widgets.device_combo import DeviceCombo
from napari_dacapo_tasks.widgets.run_controls import Pace, RunControls, State, duration
from napari_dacapo_tasks.widgets.run_folder_panel import RunFolderPanel, free_folder

GPU = Device("cuda:0", "NVIDIA A, 10.0 of 16.0 GB free", 10**10)
SECOND = Device("cuda:1", "NVIDIA B, 3.0 of 16.0 GB free", 3 * 10**9)
CPU = Device("cpu", "CPU, 8.0 of 16.0 GB free", 8 * 10**9)


def raw(shape: tuple[int, ...] = (128, 128, 128), voxel: Any = None, channels: int = 0) -> Array:
    axes = "zyx"[-len(shape) :]
    values = np.zeros(((channels,) if channels else ()) + shape, np.uint8)
    return Array(
        values, axes=("c" if channels else "") + axes, voxel_size=voxel or (8,) * len(axes)
    )


# Network


@pytest.fixture
def network(qtbot: Any) -> ArchitecturePanel:
    panel = ArchitecturePanel()
    qtbot.addWidget(panel)
    return panel


def enter(panel: ArchitecturePanel, **values: Any) -> None:
    for name, value in values.items():
        panel.form.editor(name).setValue(value)
        panel.form.editor(name).changed.emit()


def test_without_raw_data_there_is_no_network(network: ArchitecturePanel) -> None:
    assert network.value() is None
    assert "choose the raw data first" in network.refusal()


@pytest.mark.parametrize(
    "data",
    [raw(), raw((40, 200, 200), (40, 4, 4)), raw((300, 400)), raw((64, 64, 64), channels=3)],
    ids=["isotropic", "anisotropic", "2D", "channels"],
)
def test_a_network_is_proposed_for_the_data(network: ArchitecturePanel, data: Array) -> None:
    network.setData(data, None)
    assert network.value() == CNNectomeUNet.propose(
        data.voxel_size, data.shape, fmaps_in=data.num_channels or 1
    )
    shape = network.value().input_shape
    assert " × ".join(str(n) for n in shape) in network.summary
    assert (
        " × ".join(str(n) for n in network.value().compute_output_shape(shape)) in network.summary
    )


def test_an_entered_network_stays_until_the_data_has_other_axes(
    network: ArchitecturePanel,
) -> None:
    network.setData(raw(), None)
    enter(network, num_fmaps=5)
    network.setData(raw((64, 64, 64), channels=2), None)
    assert network.value().num_fmaps == 5
    assert network.value().fmaps_in == 2
    network.setData(raw((300, 400)), None)
    assert network.value().dims == 2


def test_a_lighter_network_is_proposed_for_a_processor(network: ArchitecturePanel) -> None:
    network.setData(raw(), None)
    heavy = network.value()
    network.setDevice("cpu")
    assert network.value().num_fmaps < heavy.num_fmaps
    network.setDevice("cuda:0")
    assert network.value() == heavy
    enter(network, num_fmaps=5)
    network.setDevice("cpu")
    assert network.value().num_fmaps == 5, "what a person has entered stays"


def test_propose_again_takes_back_what_was_entered(network: ArchitecturePanel) -> None:
    network.setData(raw(), None)
    proposed = network.value()
    enter(network, num_fmaps=5)
    network.propose_button.click()
    assert network.value() == proposed
    network.setData(raw((64, 64, 64)), None)
    assert network.value().input_shape == CNNectomeUNet.propose((8,) * 3, (64,) * 3).input_shape


def test_a_shape_that_does_not_fit_offers_the_nearest(network: ArchitecturePanel) -> None:
    network.setData(raw(), None)
    enter(network, downsample_factors=[(2, 2, 2)], kernel_size_down=None, kernel_size_up=None)
    for wanted in ((25, 24, 24), (33, 33, 33)):  # the second while the first is refused
        enter(network, input_shape=wanted)
        assert network.value() is None
        smaller, larger = (button.property("shape") for button in network.shape_buttons)
        assert smaller != larger
        assert all(s <= w <= b for s, w, b in zip(smaller, wanted, larger, strict=True))
    network.shape_buttons[1].click()
    assert tuple(network.value().input_shape) == tuple(larger)
    assert not network.shape_buttons[0].isVisibleTo(network)


def test_a_shape_below_the_smallest_offers_one(network: ArchitecturePanel) -> None:
    network.setData(raw(), None)
    enter(network, input_shape=(3, 3, 3))
    first, second = network.shape_buttons
    assert first.isVisibleTo(network)
    assert not second.isVisibleTo(network)
    first.click()
    assert network.value() is not None


@pytest.mark.parametrize("shape", [(24, 24), ()])
def test_a_senseless_shape_offers_nothing(network: ArchitecturePanel, shape: Any) -> None:
    network.setData(raw(), None)
    enter(network, input_shape=shape)
    assert network.value() is None
    assert not network.shape_buttons[0].isVisibleTo(network)
    assert network.summary


# Devices


def test_devices_are_offered_with_their_names_the_best_chosen(
    qtbot: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(device_combo, "available_devices", lambda: [GPU, SECOND, CPU])
    combo = DeviceCombo()
    qtbot.addWidget(combo)
    assert combo.value() == ""
    assert combo._box.currentText() == "looking for devices…"
    with qtbot.waitSignal(combo.valueChanged) as told:
        pass
    assert told.args == ["cuda:0"]
    offered = [combo._box.itemText(index) for index in range(combo._box.count())]
    assert offered == [GPU.label, SECOND.label, CPU.label]
    combo._box.setCurrentIndex(1)
    assert combo.value() == "cuda:1"


def test_a_device_that_is_gone_stays_chosen_and_nothing_takes_its_place(
    qtbot: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(device_combo, "available_devices", lambda: [GPU, SECOND, CPU])
    combo = DeviceCombo()
    qtbot.addWidget(combo)
    combo.setValue("cuda:1")  # while they are looked for
    qtbot.waitUntil(lambda: combo.value() == "cuda:1")
    assert combo.available
    monkeypatch.setattr(device_combo, "available_devices", lambda: [CPU])
    combo._refresh.click()
    qtbot.waitUntil(lambda: combo.value() != "")
    assert combo.value() == "cuda:1"
    assert combo._box.currentText() == "cuda:1 (not on this machine)"
    assert not combo.available


def test_a_search_that_fails_is_told_and_can_be_done_again(
    qtbot: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken() -> list[Device]:
        raise RuntimeError("the driver is too old")

    monkeypatch.setattr(device_combo, "available_devices", broken)
    combo = DeviceCombo()
    qtbot.addWidget(combo)
    with qtbot.waitSignal(combo.failed) as told:
        pass
    assert "too old" in str(told.args[0])
    monkeypatch.setattr(device_combo, "available_devices", lambda: [CPU])
    combo._refresh.click()
    qtbot.waitUntil(lambda: combo.value() == "cpu")


# Run folder


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(run_folder_panel, "RUNS_HOME", tmp_path / "runs")
    return tmp_path / "runs"


@pytest.fixture
def folder(qtbot: Any, home: Path) -> RunFolderPanel:
    panel = RunFolderPanel()
    qtbot.addWidget(panel)
    return panel


def settle(qtbot: Any, panel: RunFolderPanel) -> None:
    qtbot.waitUntil(lambda: not panel.busy)


@pytest.mark.parametrize(
    ("name", "plain"), [("mito_dist", "mito_dist"), ("a b/../c", "a_b_.._c"), ("..", "run")]
)
def test_a_new_folder_is_named_after_the_task(home: Path, name: str, plain: str) -> None:
    assert free_folder(name) == home / f"{plain}_1"
    (home / f"{plain}_1").mkdir(parents=True)
    assert free_folder(name) == home / f"{plain}_2"


def test_the_proposal_follows_the_task_until_a_person_chooses(
    qtbot: Any, folder: RunFolderPanel, home: Path, tmp_path: Path
) -> None:
    folder.setName("one")
    assert folder.path() == home / "one_1"
    folder.setName("two")
    assert folder.path() == home / "two_1"
    folder.line.selectAll()
    qtbot.keyClicks(folder.line, str(tmp_path / "mine"))
    assert folder.busy
    settle(qtbot, folder)
    folder.setName("three")
    assert folder.path() == tmp_path / "mine"
    folder.new_button.click()
    assert folder.path() == home / "three_1"


def test_new_folders_are_proposed_in_the_home_that_was_chosen(
    folder: RunFolderPanel, home: Path, tmp_path: Path
) -> None:
    assert folder.home == home
    folder.setHome(tmp_path / "elsewhere")
    assert folder.path() == tmp_path / "elsewhere" / "run_1"
    folder.setPath(tmp_path / "mine")
    folder.setHome(None)
    assert folder.path() == tmp_path / "mine"
    folder.new_button.click()
    assert folder.path() == home / "run_1"


def test_a_run_in_the_folder_is_found(
    qtbot: Any, folder: RunFolderPanel, make_run: Callable[..., RunFolder]
) -> None:
    run = make_run()
    run.append_statistics(Statistic(1, 0.5, 0.1))
    folder.setPath(run.path)
    settle(qtbot, folder)
    assert folder.found.run.config == run.config
    assert folder.found.iteration is None
    assert folder.found.history.losses.losses.tolist() == [0.5]
    assert not folder.found.is_training
    folder.setPath(run.path.parent)
    settle(qtbot, folder)
    assert folder.found is None
    assert "holds no run" in folder._said.text()
    folder.setPath(run.path / "run.yaml")
    settle(qtbot, folder)
    assert "Is a file" in folder._said.text()


def test_a_run_that_cannot_be_read_is_told(
    qtbot: Any, folder: RunFolderPanel, make_run: Callable[..., RunFolder]
) -> None:
    run = make_run()
    (run.path / "run.yaml").write_text("task: 3")
    with qtbot.waitSignal(folder.failed) as told:
        folder.setPath(run.path)
    assert "run.yaml" in str(told.args[0])
    assert folder.found is None
    assert not folder.busy


def test_a_tilde_is_the_home_folder(folder: RunFolderPanel) -> None:
    folder.line.setText("~/runs/a")
    assert folder.path() == Path.home() / "runs" / "a"


# Controls


@pytest.mark.parametrize(
    ("state", "usable"),
    [
        (State.IDLE, {"start"}),
        (State.PREPARING, {"stop"}),
        (State.TRAINING, {"pause", "stop", "snapshot", "validate"}),
        (State.PAUSED, {"pause", "stop"}),
        (State.STOPPING, set()),
    ],
)
def test_each_state_has_its_buttons(qtbot: Any, state: State, usable: set[str]) -> None:
    controls = RunControls()
    qtbot.addWidget(controls)
    controls.setState(state)
    names = ("start", "pause", "stop", "snapshot", "validate")
    enabled = {name for name in names if getattr(controls, f"{name}_button").isEnabled()}
    assert enabled == usable
    assert controls.apart_box.isEnabled() == (state is State.IDLE)
    controls.setApart(True)  # another process knows no pause
    assert not controls.pause_button.isEnabled()


def test_a_validation_is_shown_until_the_next_step(qtbot: Any) -> None:
    controls = RunControls()
    qtbot.addWidget(controls)
    controls.showRun(100, 400, "on CPU")
    controls.setState(State.TRAINING)
    controls.showValidating(0.25)
    qtbot.waitUntil(lambda: controls.text == "Validating: 25%")
    controls.step(101, 0.5)
    qtbot.waitUntil(lambda: controls.text == "2 iterations/s, 2 min left")


def test_steps_are_shown_a_few_times_a_second(qtbot: Any) -> None:
    controls = RunControls()
    qtbot.addWidget(controls)
    controls.showRun(100, 400, "on CPU")
    controls.setState(State.TRAINING)
    assert controls.text == "Waiting for the next step, on CPU…"
    texts = []
    controls.bar.valueChanged.connect(texts.append)
    for iteration in range(101, 201):
        controls.step(iteration, 0.5)
    assert texts == []
    qtbot.waitUntil(lambda: texts == [200])
    assert controls.bar.text() == "200 of 400 iterations"
    assert controls.text == "2 iterations/s, 2 min left"


def test_the_pace_forgets_a_slow_begin() -> None:
    pace = Pace()
    assert pace.describe(10) == ""
    pace.add(100.0)
    for _ in range(50):
        pace.add(0.1)
    assert pace.describe(3000) == "10 iterations/s, 5 min left"


@pytest.mark.parametrize(
    ("seconds", "said"),
    [
        (0.4, "0 s"),
        (59.4, "59 s"),
        (59.6, "1 min"),
        (3599, "1 h 0 min"),
        (4800, "1 h 20 min"),
        (86399, "1 d 0 h"),
        (200000, "2 d 7 h"),
    ],
)
def test_times_are_said_in_the_units_that_matter(seconds: float, said: str) -> None:
    assert duration(seconds) == said
