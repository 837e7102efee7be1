"""Training in a process of its own, from the dock."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from napari_dacapo_tasks.arrays import Channel, LabelsConfig
from napari_dacapo_tasks.runs.run_folder import RunFolder
from napari_dacapo_tasks.runs.trainer_config import TrainerConfig
from napari_dacapo_tasks.widgets import own_process, run_folder_panel
from napari_dacapo_tasks.widgets.run_controls import State
from napari_dacapo_tasks.widgets.session import Session
from napari_dacapo_tasks.widgets.settings import SettingsFile
from napari_dacapo_tasks.widgets.train_dock import TrainDock

MANY = 100_000
SECONDS = 180
"""Another Python has to import torch, on a machine that may be busy."""


@pytest.fixture(autouse=True)
def _runs_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(run_folder_panel, "RUNS_HOME", tmp_path)


@pytest.fixture
def children() -> Iterator[list[subprocess.Popen[bytes]]]:
    """Give the processes that were started, and leave none behind."""
    yield own_process._children
    for child in own_process._children:
        child.kill()
        child.wait()
    own_process._children.clear()


class Person:
    """Somebody with a Train dock."""

    def __init__(self, qtbot: Any, viewer: Any) -> None:
        self.qtbot, self.viewer = qtbot, viewer
        self.dock = TrainDock(viewer)
        viewer.window.add_dock_widget(self.dock, name="Train")
        self.wait(lambda: bool(self.dock.trainer.device.value()))

    def wait(self, until: Callable[[], bool]) -> None:
        self.qtbot.waitUntil(until, timeout=1000 * SECONDS)

    def open(self, run: RunFolder) -> None:
        self.dock.folder.setPath(run.path)
        self.wait(lambda: self.dock.folder.found is not None)

    def wait_for_step(self, iteration: int) -> None:
        self.wait(lambda: max(self.iterations(), default=0) >= iteration)

    def iterations(self) -> list[int]:
        return [int(one) for one in self.dock.plot.history.iterations]


def test_it_goes_on_while_napari_is_closed_and_is_found_again(
    qtbot: Any,
    make_napari_viewer: Any,
    make_run: Callable[..., RunFolder],
    children: list[subprocess.Popen[bytes]],
) -> None:
    run = make_run(trainer={"iterations": MANY, "checkpoint_interval": MANY})
    viewer = make_napari_viewer()
    person = Person(qtbot, viewer)
    person.dock.controls.apart_box.setChecked(True)
    person.open(run)
    person.dock.controls.start_button.click()
    person.wait_for_step(2)
    assert person.dock.state is State.TRAINING
    assert not person.dock.controls.pause_button.isEnabled()
    person.wait(lambda: "prediction: balls (snapshot)" in viewer.layers)
    assert "Training" in person.dock.log.text
    (child,) = children
    if sys.platform != "win32":
        assert os.getsid(child.pid) != os.getsid(0)  # a closed terminal does not end it
    viewer.close()
    seen = run.last_statistic().iteration
    qtbot.waitUntil(lambda: run.last_statistic().iteration > seen, timeout=1000 * SECONDS)
    assert run.is_training()

    person = Person(qtbot, make_napari_viewer())
    assert person.dock.controls.apart_box.isChecked()
    person.wait(lambda: person.dock.state is State.TRAINING)
    person.wait_for_step(seen + 2)
    assert person.iterations()[0] == 1
    person.dock.controls.stop_button.click()
    person.wait(lambda: person.dock.state is State.IDLE)
    assert person.dock.notice.text == "Stopped; the run is saved in its folder and can go on."
    assert child.wait(SECONDS) == 0
    done = int(run.latest_checkpoint().stem)
    assert done == run.last_statistic().iteration == person.iterations()[-1]
    assert person.iterations() == list(range(1, done + 1))


def test_one_that_is_killed_is_told_and_the_dock_is_ready(
    qtbot: Any,
    make_napari_viewer: Any,
    make_run: Callable[..., RunFolder],
    children: list[subprocess.Popen[bytes]],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    run = make_run()
    code = "import sys, time; print('a sign of life', file=sys.stderr, flush=True); time.sleep(600)"
    monkeypatch.setattr(own_process, "command_of", lambda _: [sys.executable, "-c", code])
    person = Person(qtbot, make_napari_viewer())
    person.dock.controls.apart_box.setChecked(True)
    person.open(run)
    person.dock.controls.start_button.click()
    person.wait(lambda: "a sign of life" in person.dock.log.text)
    children[0].send_signal(signal.SIGTERM if sys.platform == "win32" else signal.SIGKILL)
    person.wait(lambda: person.dock.state is State.IDLE)
    assert person.dock.notice.is_error
    assert "a sign of life" in person.dock.notice.text
    assert person.dock.trainer.device.isEnabled()
    person.wait(lambda: person.dock.controls.start_button.isEnabled())


def test_a_run_of_another_program_is_followed_and_left_alone(
    qtbot: Any, make_napari_viewer: Any, make_run: Callable[..., RunFolder]
) -> None:
    run = make_run()
    viewer = make_napari_viewer()
    person = Person(qtbot, viewer)
    with run.training():
        person.open(run)
        person.wait(lambda: person.dock.state is State.TRAINING)
        assert "in its own process" in person.dock.controls.text
        viewer.close()
        assert run.requested() == set()


def test_what_was_chosen_is_chosen_the_next_time(
    qtbot: Any, make_napari_viewer: Any, volume: Any, small_task: Any
) -> None:
    viewer = make_napari_viewer()
    viewer.add_image(volume.raw, name="raw")
    labels = viewer.add_labels(volume.labels, name="labels")
    config = LabelsConfig(channels=(Channel(name="balls"),))
    Session.of(viewer).update(task=small_task, labels_layer=labels, labels_config=config)
    person = Person(qtbot, viewer)
    editor = person.dock.trainer.form.editor("iterations")
    editor.setValue(321)
    editor.changed.emit()
    person.dock.plot._log.setChecked(True)
    person.dock.controls.apart_box.setChecked(True)
    viewer.close()

    person = Person(qtbot, make_napari_viewer())
    trainer = person.dock.trainer.value()
    assert isinstance(trainer, TrainerConfig)
    assert (trainer.iterations, trainer.device) == (321, person.dock.trainer.device.value())
    assert person.dock.plot.log_scale
    assert person.dock.view.apart


def test_the_parameters_of_an_old_run_are_not_remembered_for_new_ones(
    qtbot: Any, make_napari_viewer: Any, make_run: Callable[..., RunFolder]
) -> None:
    run = make_run(trainer={"iterations": 77})
    person = Person(qtbot, make_napari_viewer())
    person.open(run)
    person.wait(lambda: person.dock.trainer.value().iterations == 77)
    remembered = SettingsFile.of_user().value.trainer
    assert remembered is None or remembered.iterations != 77
