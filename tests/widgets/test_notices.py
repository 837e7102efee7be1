from __future__ import annotations

from typing import Any

import pytest
from qtpy.QtWidgets import QPlainTextEdit, QToolButton, QVBoxLayout, QWidget

from napari_dacapo_tasks.errors import DataError
from napari_dacapo_tasks.widgets.notices import Notice


@pytest.fixture
def notice(qtbot: Any) -> Notice:
    window = QWidget()
    notice = Notice()
    QVBoxLayout(window).addWidget(notice)
    qtbot.addWidget(window)
    window.show()
    notice.window_kept = window
    return notice


def button(notice: Notice, text: str) -> QToolButton:
    return next(b for b in notice.findChildren(QToolButton) if b.text() == text)


def raised(error: Exception) -> Exception:
    try:
        raise error
    except Exception as caught:
        return caught


def test_an_error_for_people_is_its_own_sentence(notice: Notice) -> None:
    notice.show_error(raised(DataError("The raw data is too small: choose a larger layer.")))
    assert notice.isVisible()
    assert notice.text == "The raw data is too small: choose a larger layer."


def test_details_show_the_traceback_on_request(qtbot: Any, notice: Notice) -> None:
    notice.show_error(raised(DataError("Too small.")))
    details = notice.findChild(QPlainTextEdit)
    assert not details.isVisible()
    button(notice, "Details").click()
    assert details.isVisible()
    assert "in raised" in details.toPlainText()


def test_our_own_mistake_is_said_in_one_line(notice: Notice) -> None:
    notice.show_error(raised(ValueError("axes\ndo not match")))
    assert "ValueError: axes do not match" in notice.text
    assert "\n" not in notice.text


def test_an_info_has_no_details_and_replaces_an_error(notice: Notice) -> None:
    notice.show_error(raised(DataError("Too small.")))
    button(notice, "Details").click()
    notice.show_info("A checkpoint was saved.")
    assert notice.text == "A checkpoint was saved."
    assert not button(notice, "Details").isVisible()
    assert not notice.findChild(QPlainTextEdit).isVisible()


def test_it_goes_away(notice: Notice) -> None:
    notice.show_info("A checkpoint was saved.")
    button(notice, "×").click()
    assert not notice.isVisible()
    assert notice.text == ""
