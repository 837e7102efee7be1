"""The list of runs, and what can be done with them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from napari.components import ViewerModel
from qtpy.QtCore import QPoint
from qtpy.QtGui import QColor, QDesktopServices
from qtpy.QtWidgets import QMessageBox

from napari_dacapo_tasks.runs.manage import Difference
from napari_dacapo_tasks.runs.run_folder import RunFolder, Score, Statistic
from napari_dacapo_tasks.tasks import PretrainedTaskConfig
from napari_dacapo_tasks.widgets import run_list
from napari_dacapo_tasks.widgets.cluster_dialog import ClusterDialog
from napari_dacapo_tasks.widgets.compare_dialog import CompareDialog
from napari_dacapo_tasks.widgets.curves import PRESENT
from napari_dacapo_tasks.widgets.run_view import RunView
from napari_dacapo_tasks.widgets.settings import SettingsFile

CONTINUE, DUPLICATE, WARM, COMPARE, CLUSTER, OPEN, DELETE = range(7)


class Person:
    """Somebody at the list."""

    def __init__(self, qtbot: Any, view: RunView) -> None:
        self.qtbot, self.view, self.list = qtbot, view, view.runs

    def look(self) -> None:
        """Wait for what a look gives that begins now."""
        self.qtbot.waitUntil(lambda: not self.list._job.running)
        with self.qtbot.waitSignal(self.list.looked):
            self.list.refresh()

    def row(self, name: str) -> list[str]:
        (item,) = [item for item in self.list._items() if item.text(0) == name]
        return [item.text(column) for column in range(4)]

    def names(self) -> set[str]:
        return {item.text(0) for item in self.list._items()}

    def choose(self, *names: str) -> list[Any]:
        for item in self.list._items():
            item.setSelected(item.text(0) in names)
        return [run for run in self.list.runs.values() if run.name in names]

    def entries(self, *names: str, idle: bool = True) -> list[Any]:
        return self.view.actions.menu(self.choose(*names), idle).actions()

    def do(self, entry: int, *names: str) -> None:
        action = self.entries(*names)[entry]
        assert action.isEnabled(), action.text()
        action.trigger()

    def wait(self, until: Callable[[], bool]) -> None:
        self.qtbot.waitUntil(until)

    @property
    def said(self) -> str:
        return self.view.notice.text


@pytest.fixture
def runs(make_run: Callable[..., RunFolder]) -> dict[str, RunFolder]:
    """Two runs that differ in their learning rate; the first was trained a little."""
    made = {
        "balls_1": make_run("balls_1", trainer={"iterations": 100}),
        "balls_2": make_run("balls_2", trainer={"iterations": 50, "learning_rate": 0.01}),
    }
    first = made["balls_1"]
    for iteration in range(1, 11):
        first.append_statistics(Statistic(iteration, 1 / iteration, 0.1))
    criterion = first.config.task.task_type(first.config.task).evaluator.criteria[0].name
    first.append_score(Score(10, criterion, 0.625, 0.3, {}, "Threshold", 1.0))
    first.save_checkpoint({"iteration": 10}, 10)
    return made


@pytest.fixture
def person(qtbot: Any, runs: dict[str, RunFolder], tmp_path: Path, settings_path: Path) -> Person:
    view = RunView(ViewerModel(), SettingsFile.of_user())
    qtbot.addWidget(view)
    view.setHome(tmp_path)
    person = Person(qtbot, view)
    person.look()
    return person


def test_runs_are_listed_with_how_far_they_are(person: Person) -> None:
    assert person.names() == {"balls_1", "balls_2"}
    assert person.row("balls_1") == ["balls_1", "stopped", "10/100", "0.625"]
    assert person.row("balls_2") == ["balls_2", "new", "0/50", ""]


def test_a_run_that_is_trained_or_broken_says_so(person: Any, runs: dict[str, RunFolder]) -> None:
    (runs["balls_2"].path / "run.yaml").write_text("task: 3")
    with runs["balls_1"].training():
        person.look()
    assert person.row("balls_1")[1] == "training"
    assert person.row("balls_2") == ["balls_2", "broken", "", ""]
    (item,) = [item for item in person.list._items() if item.text(0) == "balls_2"]
    assert "run.yaml" in item.toolTip(0)


def test_recent_runs_elsewhere_are_listed_too(
    person: Person, make_run: Callable[..., RunFolder], tmp_path: Path
) -> None:
    elsewhere = make_run("../elsewhere/deep/other_1")
    person.view._settings.add_recent(elsewhere.path.resolve())
    person.look()
    assert person.names() == {"balls_1", "balls_2", "other_1"}


def test_a_new_look_keeps_what_is_chosen(
    person: Person, make_run: Callable[..., RunFolder]
) -> None:
    person.choose("balls_2")
    person.list.setChecked(person.choose("balls_2")[0].path, True)
    item = person.list.tree.selectedItems()[0]
    person.look()
    assert person.list.tree.selectedItems() == [item]
    make_run("another_1")
    person.look()
    assert [one.text(0) for one in person.list.tree.selectedItems()] == ["balls_2"]
    assert [path.name for path in person.list.checked] == ["balls_2"]


def test_it_looks_again_while_it_is_in_sight(
    person: Person, make_run: Callable[..., RunFolder], monkeypatch: pytest.MonkeyPatch
) -> None:
    person.list._timer.setInterval(50)
    make_run("another_1")
    person.view.show()
    person.view.tabs.setCurrentWidget(person.list)
    person.wait(lambda: "another_1" in person.names())
    assert person.list._timer.isActive()
    person.view.show_curves()
    assert not person.list._timer.isActive()


def rgb(colour: Any) -> tuple[int, ...]:
    return QColor(colour).getRgb()[:3]


def swatch(item: Any) -> tuple[int, ...]:
    """Give the colour beside a run's name; a screen may have fewer colours."""
    return rgb(item.icon(0).pixmap(10, 10).toImage().pixelColor(5, 5))


def test_checked_runs_are_drawn_in_their_colours(
    person: Person, runs: dict[str, RunFolder]
) -> None:
    first = runs["balls_1"].path
    curves = person.view.curves
    person.list.setChecked(first, True)
    person.wait(lambda: bool(curves.colour_of(first)))
    assert len(curves._others[first].losses) == 10
    assert curves._others[first].best(curves._others[first].scores.judge) == (10, 0.625)
    (item,) = [item for item in person.list._items() if item.text(0) == "balls_1"]
    assert swatch(item) == pytest.approx(rgb(curves.colour_of(first)), abs=8)

    runs["balls_1"].append_statistics(Statistic(11, 0.05, 0.1))
    person.look()
    person.wait(lambda: len(curves._others[first].losses) == 11)
    person.view.show_present(first)  # it is not drawn twice
    person.wait(lambda: not curves.colour_of(first))
    assert swatch(item) == pytest.approx(rgb(curves.colour_of(PRESENT)), abs=8)
    person.list.setChecked(first, False)
    person.wait(lambda: not curves._others)


def test_a_double_click_opens_a_run(person: Person, runs: dict[str, RunFolder]) -> None:
    item = person.list._items()[0]
    with person.qtbot.waitSignal(person.view.opens) as told:
        person.list.tree.itemDoubleClicked.emit(item, 0)
    assert told.args == [person.list.runs[told.args[0]].path]


def test_the_menu_offers_what_can_be_done(person: Person, runs: dict[str, RunFolder]) -> None:
    def enabled(*names: str, idle: bool = True) -> set[int]:
        entries = person.entries(*names, idle=idle)
        return {index for index, entry in enumerate(entries) if entry.isEnabled()}

    assert enabled("balls_1") == {CONTINUE, DUPLICATE, WARM, CLUSTER, OPEN, DELETE}
    assert enabled("balls_2") == {CONTINUE, DUPLICATE, CLUSTER, OPEN, DELETE}
    assert enabled("balls_1", idle=False) == {DUPLICATE, WARM, CLUSTER, OPEN, DELETE}
    assert enabled("balls_1", "balls_2") == {COMPARE, DELETE}
    with runs["balls_1"].training():
        person.look()
        assert enabled("balls_1") == {CONTINUE, DUPLICATE, WARM, OPEN}
        assert person.entries("balls_1")[CONTINUE].text() == "Follow"
        assert enabled("balls_1", "balls_2") == {COMPARE}


def test_the_menu_comes_at_a_right_click(person: Person, monkeypatch: pytest.MonkeyPatch) -> None:
    shown = []
    monkeypatch.setattr(
        person.view.actions, "show_menu", lambda runs, *_: shown.append([r.name for r in runs])
    )
    person.list.tree.customContextMenuRequested.emit(QPoint(1, 1))
    assert shown == []
    assert not person.list.actions_button.isEnabled()
    person.choose("balls_1")
    person.list.actions_button.click()
    assert shown.pop() == ["balls_1"]
    person.list.tree.customContextMenuRequested.emit(QPoint(1, 1))
    assert shown == [["balls_1"]]


def test_a_run_goes_on(person: Person, runs: dict[str, RunFolder]) -> None:
    with person.qtbot.waitSignal(person.view.continues) as told:
        person.do(CONTINUE, "balls_1")
    assert told.args == [runs["balls_1"].path]


def test_a_duplicate_is_opened_to_be_changed(person: Person, runs: dict[str, RunFolder]) -> None:
    with person.qtbot.waitSignal(person.view.opens) as told:
        person.do(DUPLICATE, "balls_1")
    made = RunFolder.open(told.args[0])
    assert made.path.name == "balls_3"
    assert made.config.trainer == runs["balls_1"].config.trainer
    assert made.statistics() == []
    assert made.latest_checkpoint() is None
    person.wait(lambda: "balls_3" in person.names())


def test_a_new_run_begins_with_the_weights_of_another(
    person: Person, runs: dict[str, RunFolder]
) -> None:
    first = runs["balls_1"]
    model = first.config.task.task_type(first.config.task).create_model(first.config.architecture)
    first.save_checkpoint({"iteration": 10, "model": model.chain.state_dict()}, 10)
    opened: list[Path] = []
    person.view.opens.connect(opened.append)
    person.do(WARM, "balls_1")
    person.wait(lambda: bool(opened) or person.view.notice.is_error)
    assert opened, person.said
    made = RunFolder.open(opened[0])
    assert isinstance(made.config.task, PretrainedTaskConfig)
    begun = made.task.task_type(made.task).create_model(made.config.architecture)
    for name, tensor in model.chain.state_dict().items():
        assert torch.equal(begun.chain.state_dict()[name], tensor), name
    assert Path(made.task.weights).is_relative_to(made.path)
    assert made.statistics() == []


def test_what_differs_is_shown(person: Person) -> None:
    person.do(COMPARE, "balls_1", "balls_2")
    person.wait(lambda: person.view.actions.dialog is not None)
    table = person.view.actions.dialog.table
    rows = {
        table.verticalHeaderItem(row).text(): {
            table.horizontalHeaderItem(column).text(): table.item(row, column).text()
            for column in range(2)
        }
        for row in range(table.rowCount())
    }
    assert rows["trainer.iterations"] == {"balls_1": "100", "balls_2": "50"}
    assert rows["trainer.learning_rate"]["balls_2"] == "0.01"
    assert person.said == ""


def test_runs_that_are_the_same_are_said_to_be(qtbot: Any) -> None:
    dialog = CompareDialog(["a", "b"], [])
    qtbot.addWidget(dialog)
    dialog.show()
    assert not dialog.table.isVisible()
    values = ((None, True, (1, 2.5)), ("—", "yes", "(1, 2.5)"))
    dialog = CompareDialog(["a", "b", "c"], [Difference("x", values[0])])
    qtbot.addWidget(dialog)
    assert tuple(dialog.table.item(0, column).text() for column in range(3)) == values[1]


def test_a_run_is_taken_to_a_cluster(person: Person, runs: dict[str, RunFolder]) -> None:
    person.do(CLUSTER, "balls_1")
    dialog = person.view.findChild(ClusterDialog)
    editor = dialog.form.editor("partition")
    editor.setValue("not a name")
    editor.changed.emit()
    assert not dialog.buttons.button(dialog.buttons.StandardButton.Ok).isEnabled()
    editor.setValue("gpu")
    editor.changed.emit()
    dialog.buttons.button(dialog.buttons.StandardButton.Ok).click()
    script = runs["balls_1"].path / "train.slurm"
    person.wait(lambda: str(script) in person.said)
    assert "--partition=gpu" in script.read_text()


def test_the_folder_is_shown(
    person: Person, runs: dict[str, RunFolder], monkeypatch: pytest.MonkeyPatch
) -> None:
    shown = []
    monkeypatch.setattr(QDesktopServices, "openUrl", lambda url: shown.append(url.toLocalFile()))
    person.do(OPEN, "balls_1")
    assert shown == [str(runs["balls_1"].path)]


@pytest.mark.parametrize("answer", ["Yes", "Cancel"])
def test_a_run_is_deleted_when_that_is_meant(
    person: Person, runs: dict[str, RunFolder], answer: str
) -> None:
    person.do(DELETE, "balls_2")
    question = person.view.findChild(QMessageBox)
    assert "balls_2" in question.text()
    question.button(getattr(QMessageBox.StandardButton, answer)).click()
    if answer == "Yes":
        person.wait(lambda: person.said == "Deleted balls_2.")
        person.wait(lambda: "balls_2" not in person.names())
    else:
        person.qtbot.wait(100)
    assert runs["balls_2"].path.exists() == (answer == "Cancel")
    assert runs["balls_1"].path.exists()


def test_a_run_that_began_to_train_meanwhile_is_not_deleted(
    person: Person, runs: dict[str, RunFolder]
) -> None:
    person.do(DELETE, "balls_2")
    with runs["balls_2"].training():
        question = person.view.findChild(QMessageBox)
        question.button(QMessageBox.StandardButton.Yes).click()
        person.wait(lambda: person.view.notice.is_error)
    assert "trained" in person.said
    assert (runs["balls_2"].path / "run.yaml").exists()


def test_another_home_is_chosen(
    person: Person, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        run_list.QFileDialog, "getExistingDirectory", lambda *_: str(tmp_path / "empty")
    )
    with person.qtbot.waitSignal(person.view.homeChosen) as told:
        person.list.home_button.click()
    assert told.args == [tmp_path / "empty"]
    person.view.setHome(tmp_path / "empty")
    person.look()
    assert person.names() == set()
    assert person.list.runs == {}
