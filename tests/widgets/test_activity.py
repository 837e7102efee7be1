from __future__ import annotations

from typing import Any

import pytest
from napari.utils import progress
from qtpy.QtCore import QObject

from napari_dacapo_tasks.widgets import activity
from napari_dacapo_tasks.widgets.activity import Activity


@pytest.fixture(autouse=True)
def _often(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(activity, "INTERVAL_MILLISECONDS", 10)


@pytest.fixture
def owner(qtbot: Any) -> QObject:
    return QObject()


def bars() -> list[str]:
    return [f"{bar.desc.rstrip(': ')}: {bar.n}/{bar.total}" for bar in progress._all_instances]


def test_a_bar_comes_moves_and_goes(qtbot: Any, owner: QObject) -> None:
    shown = Activity(owner)
    shown.begin("mito_1", 40, 100)
    assert bars() == ["mito_1: 40/100"]
    for iteration in range(41, 61):
        shown.step(iteration)
    qtbot.waitUntil(lambda: bars() == ["mito_1: 60/100"])
    shown.begin("mito_2", 0, 10)
    assert bars() == ["mito_2: 0/10"]
    shown.end()
    assert bars() == []
    shown.end()


def test_the_bar_goes_with_its_owner(qtbot: Any, owner: QObject) -> None:
    shown = Activity(owner)
    shown.begin("mito_1", 0, 100)
    with qtbot.waitSignal(shown.destroyed):
        owner.deleteLater()
    assert bars() == []


def test_an_end_while_the_bar_is_moved_is_no_matter(qtbot: Any, owner: QObject) -> None:
    shown = Activity(owner)
    shown.begin("mito_1", 0, 100)
    bar = shown.bar
    bar.events.value.connect(lambda _: shown.end())  # as an event that waits may do
    shown.step(5)
    qtbot.waitUntil(lambda: shown.bar is None)
    assert bars() == []


def test_it_is_in_napari_s_activity_dock(qtbot: Any, make_napari_viewer: Any) -> None:
    viewer = make_napari_viewer()
    dialog = viewer.window._qt_window._activity_dialog
    owner = QObject()
    shown = Activity(owner)
    shown.begin("mito_1", 3, 100)
    bar = dialog.get_pbar_from_prog(shown.bar)
    assert bar.description_label.text() == "mito_1: "
    shown.step(30)
    qtbot.waitUntil(lambda: bar.qt_progress_bar.value() == 30)
    assert bar.qt_progress_bar.maximum() == 100
    shown.end()
    assert bars() == []
