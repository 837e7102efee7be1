from __future__ import annotations

from typing import Any

import pytest
from qtpy.QtCore import Qt
from qtpy.QtWidgets import QApplication

from napari_dacapo_tasks.widgets import log_pane
from napari_dacapo_tasks.widgets.log_pane import LogPane


@pytest.fixture
def pane(qtbot: Any) -> LogPane:
    pane = LogPane()
    qtbot.addWidget(pane)
    pane.resize(300, 120)
    pane.show()
    qtbot.waitExposed(pane)
    return pane


def lines(first: int, last: int) -> list[str]:
    return [f"line {number}" for number in range(first, last)]


def test_the_end_is_in_sight_until_somebody_scrolls_up(pane: LogPane) -> None:
    bar = pane.edit.verticalScrollBar()
    pane.add(lines(0, 100))
    assert bar.maximum() > 0
    assert bar.value() == bar.maximum()
    pane.add(lines(100, 110))
    assert bar.value() == bar.maximum()
    bar.setValue(30)
    pane.add(lines(110, 150))
    assert bar.value() == 30
    bar.setValue(bar.maximum())
    pane.add(lines(150, 160))
    assert bar.value() == bar.maximum()
    assert pane.text == "\n".join(lines(0, 160))


def test_lines_that_came_while_it_was_hidden_end_in_sight(qtbot: Any) -> None:
    pane = LogPane()
    qtbot.addWidget(pane)
    for first in range(0, 100, 10):
        pane.add(lines(first, first + 10))
    pane.resize(300, 120)
    pane.show()
    qtbot.waitExposed(pane)
    bar = pane.edit.verticalScrollBar()
    qtbot.waitUntil(lambda: bar.maximum() > 0 and bar.value() == bar.maximum())


def test_lines_can_be_selected_and_copied_but_not_changed(qtbot: Any, pane: LogPane) -> None:
    pane.add(["first", "second"])
    pane.add([])
    pane.edit.selectAll()
    assert pane.edit.textCursor().hasSelection()
    qtbot.keyClick(pane.edit, Qt.Key.Key_A)
    assert pane.text == "first\nsecond"
    pane.copy_button.click()
    assert QApplication.clipboard().text() == "first\nsecond"


def test_another_run_has_its_own_lines(pane: LogPane) -> None:
    pane.add(["of the first"])
    pane.set_lines(["of the second", "and more"])
    assert pane.text == "of the second\nand more"


def test_only_so_many_lines_are_kept(pane: LogPane, monkeypatch: pytest.MonkeyPatch) -> None:
    pane.add(lines(0, log_pane.LINES_KEPT + 50))
    assert pane.edit.blockCount() == log_pane.LINES_KEPT
    assert pane.text.endswith(f"line {log_pane.LINES_KEPT + 49}")
