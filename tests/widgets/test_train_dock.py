"""The Train dock, used as a person would."""

from __future__ import annotations

import gc
import json
import shutil
import weakref
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from napari.utils import progress
from napari.utils._proxies import PublicOnlyProxy

from napari_dacapo_tasks.architectures import CNNectomeUNet
from napari_dacapo_tasks.arrays import Channel, LabelsConfig
from napari_dacapo_tasks.errors import DeviceError, NonFiniteLossError
from napari_dacapo_tasks.runs.run_folder import RunFolder, Score
from napari_dacapo_tasks.tasks import DistanceTaskConfig, Measured
from napari_dacapo_tasks.training import loop, trainer
from napari_dacapo_tasks.training.events import Stepped
from napari_dacapo_tasks.widgets import run_folder_panel
from napari_dacapo_tasks.widgets.histories import LossHistory, RunHistory, ScoreHistory
from napari_dacapo_tasks.widgets.layers import array_of
from napari_dacapo_tasks.widgets.run_controls import State
from napari_dacapo_tasks.widgets.session import Session
from napari_dacapo_tasks.widgets.train_dock import WIDTH, TrainDock

MANY = 100_000
"""Iterations of a run that will not come to its end by itself."""

SNAPSHOT = {"raw (snapshot)", "weight: balls (snapshot)", "target: balls (snapshot)"}
SNAPSHOT |= {"prediction: balls (snapshot)"}


PLACE = {
    "scale": (8, 8, 8),
    "translate": (80, 160, 240),
    "units": ("nm",) * 3,
    "axis_labels": ("z", "y", "x"),
}


class Trainer:
    """A person at the Train dock."""

    def __init__(self, qtbot: Any, viewer: Any, net: CNNectomeUNet) -> None:
        self.qtbot = qtbot
        self.viewer = viewer
        self.net = net
        self.dock = TrainDock(viewer)
        self.widget = viewer.window.add_dock_widget(self.dock, name="Train")
        self.wait(lambda: bool(self.dock.trainer.device.value()))
        self.settle()

    def wait(self, until: Callable[[], bool]) -> None:
        self.qtbot.waitUntil(until)

    def settle(self) -> None:
        """Wait until the folder has been looked into."""
        self.wait(lambda: not self.dock.folder.busy)

    def open(self, path: Path) -> None:
        """Choose the folder of a run."""
        self.dock.folder.setPath(path)
        self.settle()

    def enter(self, form: Any, **values: Any) -> None:
        """Type values into a form."""
        for name, value in values.items():
            form.editor(name).setValue(value)
            form.editor(name).changed.emit()

    def choose_small(self, **trainer: Any) -> None:
        """Choose a network and a trainer that take no time."""
        fields = ("input_shape", "num_fmaps", "fmaps_out", "fmap_inc_factor", "downsample_factors")
        values = {name: getattr(self.net, name) for name in fields}
        values |= {"kernel_size_down": None, "kernel_size_up": None, "padding": "valid"}
        self.enter(self.dock.architecture.form, **values)
        chosen = {"iterations": 6, "snapshot_interval": 3, "checkpoint_interval": 4} | trainer
        self.enter(self.dock.trainer.form, **chosen)

    def press(self, name: str) -> None:
        """Press a button under the forms."""
        button = getattr(self.dock.controls, f"{name}_button")
        assert button.isEnabled(), f"{name} cannot be pressed while {self.dock.state}"
        button.click()

    def wait_for_step(self, iteration: int) -> None:
        self.wait(lambda: self.steps_done() >= iteration)

    def steps_done(self) -> int:
        iterations = self.dock.plot.history.iterations
        return int(iterations[-1]) if len(iterations) else 0

    def steps_when_still(self) -> int:
        """Wait until no more steps come; a pause lets the one end that goes on."""
        steps = -1
        while steps != len(self.dock.plot.history):
            steps = len(self.dock.plot.history)
            self.qtbot.wait(400)
        assert not self.dock.controls.snapshot_button.isEnabled()
        return steps

    def wait_for_end(self) -> None:
        self.wait(lambda: self.dock.state is State.IDLE)
        self.settle()

    @property
    def said(self) -> str:
        return self.dock.notice.text

    @property
    def path(self) -> Path:
        path = self.dock.folder.path()
        assert path is not None
        return path

    def checkpoints(self) -> list[int]:
        return sorted(int(path.stem) for path in self.path.glob("checkpoints/*.pt"))


@pytest.fixture(autouse=True)
def _runs_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(run_folder_panel, "RUNS_HOME", tmp_path / "runs")


@pytest.fixture
def train_viewer(
    make_napari_viewer: Any, volume: Any, small_task: DistanceTaskConfig
) -> Iterator[Any]:
    """A viewer with raw data and labels, and a task chosen in its session."""
    viewer = make_napari_viewer()
    viewer.add_image(volume.raw, name="raw", **PLACE)
    labels = viewer.add_labels(volume.labels, name="labels", **PLACE)
    config = LabelsConfig(channels=(Channel(name="balls"),))
    Session.of(viewer).update(task=small_task, labels_layer=labels, labels_config=config)
    return viewer


@pytest.fixture
def person(qtbot: Any, train_viewer: Any, small_net: CNNectomeUNet) -> Trainer:
    return Trainer(qtbot, train_viewer, small_net)


def layer_names(viewer: Any) -> set[str]:
    return {layer.name for layer in viewer.layers}


def recorded(path: Path) -> list[int]:
    lines = (path / "stats.jsonl").read_text().splitlines()
    return [json.loads(line)["iteration"] for line in lines]


def test_a_run_from_start_to_end(person: Any, small_task: Any) -> None:
    dock = person.dock
    assert person.path.name == "balls_1"
    assert dock.data.text == "balls (Signed distance) of balls; ground truth 'labels'"
    person.choose_small(iterations=6)
    person.press("start")
    assert dock.state is State.PREPARING
    assert not dock.trainer.device.isEnabled()
    person.wait_for_end()

    assert person.said == f"Finished; everything lies in {person.path}."
    assert recorded(person.path) == [1, 2, 3, 4, 5, 6]
    assert person.checkpoints()[-1] == 6
    assert list(dock.plot.history.iterations) == [1, 2, 3, 4, 5, 6]
    assert dock.controls.bar.value() == dock.controls.bar.maximum() == 6
    assert "parameters" in dock.architecture.summary
    config = RunFolder.open(person.path).config
    assert config.task == small_task
    assert config.architecture == person.net.model_copy(update={"name": config.architecture.name})
    assert config.trainer.device == "cpu"
    assert dock.trainer.device.isEnabled()


def test_a_snapshot_lies_where_its_crop_lies(person: Any) -> None:
    viewer = person.viewer
    person.choose_small(iterations=2)
    person.press("start")
    person.wait_for_end()
    assert layer_names(viewer) == {"raw", "labels", *SNAPSHOT}
    raw, shown = viewer.layers["raw"], viewer.layers["raw (snapshot)"]
    assert shown.data.shape == (24, 24, 24)
    begin = np.asarray(raw.world_to_data(shown.data_to_world((0, 0, 0))))
    np.testing.assert_allclose(begin, begin.round(), atol=1e-6)
    crop = tuple(slice(b, b + 24) for b in begin.round().astype(int))
    # Scaled, but the same picture: correlated voxel by voxel there, and nowhere else.
    assert np.corrcoef(raw.data[crop].ravel(), shown.data.ravel())[0, 1] > 0.999

    target = viewer.layers["target: balls (snapshot)"]
    inner = array_of(target).roi
    ground_truth = array_of(viewer.layers["labels"])[inner] > 0
    assert ((target.data > 0) == ground_truth).all()
    assert array_of(viewer.layers["prediction: balls (snapshot)"]).roi == inner


def test_snapshots_come_in_place_and_on_request(person: Any) -> None:
    viewer, dock = person.viewer, person.dock
    person.choose_small(iterations=MANY, snapshot_interval=MANY)
    person.press("start")
    person.wait_for_step(1)
    person.wait(lambda: layer_names(viewer) >= SNAPSHOT)
    layers = list(viewer.layers)
    prediction = viewer.layers["prediction: balls (snapshot)"]
    prediction.visible = False
    first = prediction.data.copy()
    dock.snapshots.show, shown = count(dock.snapshots.show)
    person.press("snapshot")
    person.wait(lambda: len(shown) == 1)
    assert list(viewer.layers) == layers
    assert not prediction.visible
    assert not np.array_equal(prediction.data, first)
    person.press("stop")
    person.wait_for_end()


def count(function: Any) -> tuple[Any, list[int]]:
    calls: list[int] = []

    def counting(*arguments: Any) -> None:
        function(*arguments)
        calls.append(1)

    return counting, calls


def test_pause_resume_stop_and_go_on(person: Any) -> None:
    dock = person.dock
    person.choose_small(iterations=MANY)
    person.press("start")
    person.wait_for_step(2)
    person.press("pause")
    assert dock.state is State.PAUSED
    paused_at = person.steps_when_still()
    assert dock.controls.pause_button.text() == "Resume"

    person.press("pause")
    person.wait_for_step(paused_at + 2)
    person.press("pause")
    person.press("stop")
    person.wait_for_end()
    done = person.checkpoints()[-1]
    assert done >= paused_at + 2
    assert recorded(person.path)[-1] == done
    assert dock.controls.start_button.text() == "Continue"
    assert f"{done} of {MANY} iterations" in dock.controls.bar.text()
    assert not dock.architecture.form.editor("num_fmaps").isEnabled()

    person.enter(dock.trainer.form, iterations=done + 3)
    person.press("start")
    person.wait_for_end()
    assert person.checkpoints()[-1] == done + 3
    assert recorded(person.path) == list(range(1, done + 4))
    assert list(dock.plot.history.iterations) == list(range(1, done + 4))
    assert RunFolder.open(person.path).config.trainer.iterations == done + 3


def test_a_run_that_is_done_asks_for_more_iterations(person: Any) -> None:
    person.choose_small(iterations=2)
    person.press("start")
    person.wait_for_end()
    person.press("start")
    assert person.said == "The run has done 2 iterations: raise their number above that to go on."
    assert person.dock.state is State.IDLE


def test_stopping_while_the_data_is_copied_leaves_nothing(
    person: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    from napari_dacapo_tasks.runs import create

    def endless(*_: Any, **__: Any) -> Iterator[float]:
        while True:
            yield 0.5

    monkeypatch.setattr(create, "check_content", endless)
    person.choose_small()
    person.press("start")
    person.wait(lambda: "preparing" in person.dock.controls.bar.text())
    person.press("stop")
    assert person.dock.state is State.STOPPING
    person.wait_for_end()
    assert person.said == "Stopped before training began; no folder was made."
    assert not person.path.exists()
    assert person.dock.controls.start_button.text() == "Start"


def test_an_earlier_run_shows_its_own_parameters_and_a_new_one_the_old(person: Any) -> None:
    dock = person.dock
    person.choose_small(iterations=3, learning_rate=0.002)
    person.press("start")
    person.wait_for_end()
    first = person.path

    dock.folder.new_button.click()
    person.settle()
    assert person.path.name == "balls_2"
    assert dock.controls.start_button.text() == "Start"
    assert len(dock.plot.history) == 0
    person.enter(dock.trainer.form, learning_rate=0.5)
    person.enter(dock.architecture.form, num_fmaps=3)

    dock.folder.setPath(first)
    person.settle()
    assert dock.controls.start_button.text() == "Continue"
    assert dock.trainer.value().learning_rate == 0.002
    assert dock.architecture.value().num_fmaps == person.net.num_fmaps
    assert len(dock.plot.history) == 3
    assert "its own ground truth" in dock.data.text

    dock.folder.new_button.click()
    person.settle()
    assert dock.trainer.value().learning_rate == 0.5
    assert dock.architecture.value().num_fmaps == 3


def test_a_new_folder_begins_with_empty_curves_however_soon_it_is_wanted(person: Any) -> None:
    person.choose_small(iterations=2)
    person.press("start")
    person.wait(lambda: person.dock.state is State.IDLE)
    person.dock.folder.new_button.click()  # before the folder was looked into
    person.settle()
    assert len(person.dock.plot.history) == 0
    assert person.dock.log.text == ""
    assert person.dock.controls.start_button.text() == "Start"
    assert person.dock.trainer.value().iterations == 2


def test_the_trainer_stays_when_the_task_changes(person: Any, small_task: Any) -> None:
    person.enter(person.dock.trainer.form, iterations=123, batch_size=3)
    other = small_task.model_copy(update={"name": "other"})
    Session.of(person.viewer).update(task=other)
    person.settle()
    assert person.dock.trainer.value().iterations == 123
    assert person.dock.trainer.value().batch_size == 3
    assert person.path.name == "other_1"
    Session.of(person.viewer).update(task=None)
    assert "choose a task" in person.dock.data.text
    assert person.dock.data.task_button.isVisibleTo(person.dock)


def test_closing_the_viewer_ends_the_run_with_a_whole_checkpoint(person: Any) -> None:
    person.choose_small(iterations=MANY, checkpoint_interval=MANY)
    person.press("start")
    person.wait_for_step(2)
    assert person.checkpoints() == []
    path = person.path
    person.viewer.close()
    (checkpoint,) = path.glob("checkpoints/*.pt")
    done = torch.load(checkpoint, weights_only=True)["iteration"]
    assert done == int(checkpoint.stem) == recorded(path)[-1]


def test_taking_the_dock_away_ends_the_run_with_a_whole_checkpoint(person: Any) -> None:
    person.choose_small(iterations=MANY, checkpoint_interval=MANY)
    person.press("start")
    person.wait_for_step(2)
    path = person.path
    person.viewer.window.remove_dock_widget(person.widget)
    (checkpoint,) = path.glob("checkpoints/*.pt")
    assert int(checkpoint.stem) == recorded(path)[-1]


def test_a_deleted_dock_ends_the_run_and_hears_no_more(person: Any) -> None:
    person.choose_small(iterations=MANY, checkpoint_interval=MANY)
    person.press("start")
    person.wait_for_step(2)
    path = person.path
    with person.qtbot.waitSignal(person.dock.destroyed):
        person.dock.deleteLater()
    person.dock = None
    gc.collect()
    person.wait(lambda: any(path.glob("checkpoints/[0-9]*.pt")))
    person.viewer.theme = "light"
    person.viewer.add_image(np.zeros((4, 4, 4)))
    Session.of(person.viewer).update(task=None)  # each would raise in the deleted dock


def test_layers_that_go_or_change_their_name_are_no_matter_to_the_run(person: Any) -> None:
    viewer = person.viewer
    person.choose_small(iterations=MANY)
    person.press("start")
    person.wait_for_step(1)
    viewer.layers["labels"].name = "renamed"
    assert "'renamed'" in person.dock.data.text
    place = viewer.layers["raw (snapshot)"].translate
    viewer.layers.remove("raw")
    viewer.layers.remove("renamed")
    viewer.layers.remove("prediction: balls (snapshot)")
    person.press("snapshot")
    person.wait(lambda: layer_names(viewer) == SNAPSHOT)
    np.testing.assert_allclose(viewer.layers["raw (snapshot)"].translate, place)
    person.press("stop")
    person.wait_for_end()
    assert person.said == "Stopped; the run is saved in its folder and can go on."


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (DeviceError("The memory of cpu does not suffice: lower the batch size."), "The memory"),
        (NonFiniteLossError("Training stopped because the loss became nan."), "Training stopped"),
        (RuntimeError("CUDA error: something"), "Something went wrong in the program (RuntimeErr"),
    ],
)
def test_what_fails_is_told_and_the_dock_is_ready_again(
    person: Any, monkeypatch: pytest.MonkeyPatch, error: Exception, said: str
) -> None:
    real = loop.train

    def failing(run: RunFolder, **more: Any) -> Iterator[Any]:
        with closing(real(run, **more)) as training:
            for event in training:
                yield event
                if isinstance(event, Stepped) and event.iteration == 2:
                    raise error

    monkeypatch.setattr(loop, "train", failing)
    person.choose_small()
    person.press("start")
    person.wait_for_end()
    assert person.said.startswith(said)
    assert "\n" not in person.said
    assert person.dock.trainer.device.isEnabled()

    monkeypatch.setattr(loop, "train", real)
    person.press("start")
    person.wait_for_end()
    assert recorded(person.path) == [1, 2, 3, 4, 5, 6]


def test_a_loss_that_is_not_finite_keeps_the_last_checkpoint(person: Any) -> None:
    person.choose_small(iterations=MANY, checkpoint_interval=1, learning_rate=1.0)
    person.press("start")
    person.wait_for_step(2)
    person.press("stop")
    person.wait_for_end()
    assert all(
        torch.isfinite(tensor).all()
        for tensor in RunFolder.open(person.path).load_checkpoint()["model"].values()
    )


def test_two_dimensions(qtbot: Any, make_napari_viewer: Any, volume: Any, small_net: Any) -> None:
    viewer = make_napari_viewer()
    raw, labels = (np.tile(v.max(0), (3, 3)) for v in (volume.raw, volume.labels))
    viewer.add_image(raw, name="raw")
    layer = viewer.add_labels(labels, name="labels")
    task = DistanceTaskConfig.propose(["balls"], Measured((1.0, 1.0), 5.0, "voxels"))
    Session.of(viewer).update(task=task, labels_layer=layer)
    person = Trainer(qtbot, viewer, small_net)
    assert person.dock.architecture.value().dims == 2
    person.enter(person.dock.trainer.form, iterations=2)
    person.enter(person.dock.architecture.form, num_fmaps=2, fmaps_out=2)
    person.press("start")
    person.wait_for_end()
    assert person.said.startswith("Finished")
    assert viewer.layers["prediction: balls (snapshot)"].ndim == 2


def test_the_viewer_may_come_behind_a_proxy(qtbot: Any, train_viewer: Any) -> None:
    dock = TrainDock(PublicOnlyProxy(train_viewer))
    qtbot.addWidget(dock)
    assert dock.data.raw_layer() == train_viewer.layers["raw"]
    assert "balls" in dock.data.text
    qtbot.waitUntil(lambda: bool(dock.trainer.device.value()))


def test_the_button_opens_the_task_dock(person: Any) -> None:
    Session.of(person.viewer).update(task=None)
    person.dock.data.task_button.click()
    assert any("Task" in name for name in person.viewer.window.dock_widgets)


def without_raw(person: Any) -> None:
    person.viewer.layers.remove("raw")


def without_task(person: Any) -> None:
    Session.of(person.viewer).update(task=None)


def without_ground_truth(person: Any) -> None:
    Session.of(person.viewer).update(labels_layer=None)


def raw_elsewhere(person: Any) -> None:
    person.viewer.layers["raw"].translate = (8000, 0, 0)


def raw_of_other_voxels(person: Any) -> None:
    person.viewer.layers["raw"].scale = (4, 4, 4)


def raw_rotated(person: Any) -> None:
    person.viewer.layers["raw"].rotate = (30, 0, 0)


def raw_too_small(person: Any) -> None:
    person.viewer.layers["raw"].data = person.viewer.layers["raw"].data[:20]


def raw_not_a_number(person: Any) -> None:
    values = person.viewer.layers["raw"].data.astype(np.float32)
    values[3, 4, 5] = np.nan
    person.viewer.layers["raw"].data = values


def folder_in_a_file(person: Any) -> None:
    file = person.path.parent.parent / "file"
    file.write_text("no folder")
    person.dock.folder.setPath(file / "run")


def folder_taken(person: Any) -> None:
    person.path.mkdir(parents=True)
    (person.path / "notes.txt").write_text("mine")
    person.dock.folder.look()


def no_folder(person: Any) -> None:
    person.dock.folder.line.clear()
    person.dock.folder.look()


def refused_network(person: Any) -> None:
    person.enter(person.dock.architecture.form, input_shape=(25, 24, 24))


def refused_trainer(person: Any) -> None:
    person.enter(person.dock.trainer.form, learning_rate=0.0)


def absent_device(person: Any) -> None:
    person.dock.trainer.device.setValue("cuda:7")


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (without_raw, "There is no raw data: open an image layer and choose it as raw."),
        (without_task, "There is no task: choose one in the Task dock"),
        (without_ground_truth, "There is no ground truth: choose its layer in the Task dock."),
        (raw_elsewhere, "do not overlap"),
        (raw_of_other_voxels, "bring both to the same voxel size"),
        (raw_rotated, "The layer 'raw' is rotated or sheared"),
        (
            raw_too_small,
            "The network's input of 24 x 24 x 24 voxels is larger than the data allows",
        ),
        (raw_not_a_number, "nan"),
        (folder_in_a_file, "cannot be written"),
        (folder_taken, "exists already: choose another name"),
        (no_folder, "There is no run folder: choose one for the run."),
        (refused_network, "The network cannot be built: An input of shape (25, 24, 24)"),
        (refused_trainer, "Training cannot start: Learning rate must be greater than 0."),
        (absent_device, "This machine has no device cuda:7"),
    ],
)
def test_bad_input_is_one_sentence_and_nothing_is_lost(
    person: Any, spoil: Callable[[Any], None], said: str
) -> None:
    person.choose_small()
    spoil(person)
    person.settle()
    person.press("start")
    person.wait_for_end()
    assert said.lower() in person.said.lower()
    assert person.said.endswith(".")
    assert person.dock.controls.start_button.isEnabled()
    if spoil is not no_folder:
        assert not (person.path / "run.yaml").exists()


@pytest.fixture
def models(monkeypatch: pytest.MonkeyPatch) -> list[weakref.ref[Any]]:
    """Collect weak references to everything heavy that training makes."""
    found: list[weakref.ref[Any]] = []

    class Watched(trainer.Learner):
        def __init__(self, model: Any, *arguments: Any, **more: Any) -> None:
            super().__init__(model, *arguments, **more)
            found.extend((weakref.ref(model), weakref.ref(self), weakref.ref(self.optimizer)))
            found.extend(weakref.ref(parameter) for parameter in model.parameters())

    monkeypatch.setattr(trainer, "Learner", Watched)
    return found


def alive(models: list[weakref.ref[Any]]) -> list[str]:
    gc.collect()
    return [type(one()).__name__ for one in models if one() is not None]


def test_the_memory_is_free_after_stop(person: Any, models: list[weakref.ref[Any]]) -> None:
    person.choose_small(iterations=MANY)
    person.press("start")
    person.wait_for_step(2)
    assert len(models) > 3
    assert alive(models)
    person.press("stop")
    person.wait_for_end()
    person.wait(lambda: alive(models) == [])  # the thread may still be leaving


def test_the_memory_is_free_after_a_failure_that_is_still_shown(
    person: Any, models: list[weakref.ref[Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    def failing(self: Any) -> None:
        if self.iteration == 2:
            raise RuntimeError("CUDA error: something")
        return real(self)

    real = trainer.Trainer.step
    monkeypatch.setattr(trainer.Trainer, "step", failing)
    person.choose_small()
    person.press("start")
    person.wait_for_end()
    assert "CUDA error: something" in person.said
    assert models
    person.wait(lambda: alive(models) == [])  # the thread may still be leaving


@pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no CUDA device")
def test_the_memory_of_the_device_is_free_after_stop(person: Any) -> None:
    person.dock.trainer.device.setValue("cuda:0")
    person.choose_small(iterations=MANY)
    before = torch.cuda.memory_allocated()
    person.press("start")
    person.wait_for_step(2)
    assert torch.cuda.memory_allocated() > before
    person.press("stop")
    person.wait_for_end()
    gc.collect()
    assert torch.cuda.memory_allocated() == before


def test_a_run_folder_that_is_deleted_while_it_trains_is_one_sentence(
    person: Any, make_run: Callable[..., RunFolder]
) -> None:
    person.open(make_run().path)
    person.dock.folder.new_button.click()
    person.settle()
    person.choose_small(iterations=MANY, checkpoint_interval=MANY, snapshot_interval=MANY)
    person.press("start")
    person.wait_for_step(2)
    # At once: what is being written at the same moment would keep the folder from being emptied.
    shutil.rmtree(person.path.rename(person.path.with_name("deleted")), ignore_errors=True)
    person.wait_for_end()
    assert f"The run {person.path} is gone" in person.said
    assert person.dock.controls.start_button.text() == "Start"
    assert person.dock.controls.start_button.isEnabled()
    assert not person.path.exists()
    # As entered for this run, not as before the one that was opened earlier.
    assert person.dock.trainer.value().iterations == MANY


def test_a_run_that_is_deleted_in_the_list_leaves_the_dock(
    person: Any, make_run: Callable[..., RunFolder]
) -> None:
    run = make_run("balls_7")
    person.open(run.path)
    assert person.dock.data.text.endswith("the folder has its own ground truth")
    person.dock.view.actions._delete([run.path])
    person.wait(lambda: person.dock.folder.found is None and not person.dock.folder.busy)
    assert person.said == "Deleted balls_7."
    assert person.dock.data.text.endswith("ground truth 'labels'")
    assert person.dock.controls.text == ""


def test_a_run_without_steps_is_started_and_not_continued(
    person: Any, make_run: Callable[..., RunFolder]
) -> None:
    run = make_run()
    person.open(run.path)
    assert person.dock.controls.start_button.text() == "Start"
    run.save_checkpoint({"iteration": 3}, 3)
    person.open(run.path)
    assert person.dock.controls.start_button.text() == "Continue"


def test_what_was_refused_is_said_until_something_is_changed(person: Any) -> None:
    person.choose_small(learning_rate=0.0)
    person.press("start")
    assert "greater than 0" in person.said
    person.enter(person.dock.trainer.form, learning_rate=0.1)
    assert person.said == ""
    no_folder(person)
    person.press("start")
    assert "There is no run folder" in person.said
    person.dock.folder.new_button.click()
    assert person.said == ""


def test_the_forms_have_the_room_until_there_is_a_run_to_watch(
    person: Any, make_run: Callable[..., RunFolder]
) -> None:
    dock = person.dock
    dock.setFixedHeight(700)
    person.viewer.window._qt_window.show()
    person.wait(lambda: dock.height() == 700)
    assert dock.forms.height() > dock.view.height()
    run = make_run()
    person.open(run.path)
    assert dock.forms.height() < dock.view.height()
    room = dock._room
    room.moveSplitter(300, 1)
    room.splitterMoved.emit(300, 1)
    dock.folder.new_button.click()
    person.settle()
    assert abs(dock.forms.height() - 300) <= room.handleWidth()


def test_long_names_do_not_make_the_dock_wider(person: Any, tmp_path: Path) -> None:
    view = person.dock.view
    before = view.minimumSizeHint().width()
    assert before <= WIDTH
    name = "a_name_that_is_far_longer_than_the_dock_is_wide_" * 3
    scores = {"crop": {"balls": {name: 0.5}}}
    score = Score(1, name, 0.5, 0.1, scores, "Threshold", 1.0)
    history = RunHistory(name, LossHistory([1], [0.5]), ScoreHistory([score]))
    view.curves.set_present(history)
    view.curves.set_others({"other": history})
    view.setHome(tmp_path / name)
    view.log.add([name])
    view.layout().activate()
    assert view.minimumSizeHint().width() == before


def test_the_log_and_the_activity_dock_show_the_run(person: Any) -> None:
    def bars() -> list[str]:
        return [bar.desc.rstrip(": ") for bar in progress._all_instances]

    person.choose_small(iterations=MANY)
    person.press("start")
    person.wait_for_step(1)
    assert bars() == [person.path.name]
    person.wait(lambda: "Training" in person.dock.log.text)
    person.press("stop")
    person.wait_for_end()
    assert bars() == []
    assert (person.path / "log.txt").read_text().strip() == person.dock.log.text
    before = person.dock.log.text
    person.dock.folder.new_button.click()
    person.settle()
    assert person.dock.log.text == ""
    person.dock.folder.setPath(person.path.with_name("balls_1"))
    person.settle()
    assert person.dock.log.text == before


def test_a_run_is_validated_as_it_goes_and_on_request(person: Any) -> None:
    dock = person.dock
    person.viewer.layers["labels"].data = np.tile(person.viewer.layers["labels"].data, (2, 1, 1))
    person.viewer.layers["raw"].data = np.tile(person.viewer.layers["raw"].data, (2, 1, 1))
    table = dock.data.table
    table.table.setCurrentCell(0, 0)
    table._change_selected(replace(table.tableRows()[0], block="60:80,:,:"))
    person.choose_small(iterations=MANY)
    person.enter(dock.trainer.parts["validation"], interval=4)
    person.press("start")
    person.wait(lambda: len(dock.plot.scores) >= 1)
    assert dock.plot.scores.values("loss")[0][0] == 4
    person.press("validate")
    person.wait(lambda: any(at % 4 for at in dock.plot.scores.values("loss")[0]))
    person.press("stop")
    person.wait_for_end()
    assert [one.iteration for one in RunFolder.open(person.path).scores()] == list(
        dock.plot.scores.values("loss")[0]
    )
