"""One line that tells a person what went wrong, or what there is to know."""

from __future__ import annotations

import traceback

from qtpy.QtCore import Qt
from qtpy.QtGui import QFontDatabase
from qtpy.QtWidgets import QHBoxLayout, QLabel, QPlainTextEdit, QToolButton, QVBoxLayout, QWidget

from napari_dacapo_tasks.errors import UserError

ERROR_COLOUR = "#e5484d"
INFO_COLOUR = "#3e8ed0"
DETAILS_HEIGHT = 140


class Notice(QWidget):
    """A sentence with a button for details; invisible while there is nothing to say."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._label = QLabel()
        self._label.setWordWrap(True)
        self._label.setTextFormat(Qt.TextFormat.PlainText)
        self._label.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
        self._button = QToolButton()
        self._button.setText("Details")
        self._button.setCheckable(True)
        self._details = QPlainTextEdit()
        self._details.setReadOnly(True)
        self._details.setLineWrapMode(QPlainTextEdit.LineWrapMode.NoWrap)
        self._details.setFont(QFontDatabase.systemFont(QFontDatabase.SystemFont.FixedFont))
        self._details.setFixedHeight(DETAILS_HEIGHT)
        self._button.toggled.connect(self._details.setVisible)
        self._close = QToolButton()
        self._close.setText("×")
        self._close.setToolTip("Close this message")
        self._close.clicked.connect(self.clear)

        line = QHBoxLayout()
        line.addWidget(self._label, 1)
        line.addWidget(self._button, 0, Qt.AlignmentFlag.AlignTop)
        line.addWidget(self._close, 0, Qt.AlignmentFlag.AlignTop)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addLayout(line)
        layout.addWidget(self._details)
        self.clear()

    @property
    def text(self) -> str:
        """The sentence; empty while there is none."""
        return str(self._label.text())

    @property
    def is_error(self) -> bool:
        """Whether the sentence tells of a failure."""
        return bool(self._details.toPlainText())

    def show_error(self, error: BaseException) -> None:
        """Say an exception in one sentence; the traceback is behind the button."""
        if isinstance(error, UserError):
            sentence = str(error)
        else:
            said = " ".join(str(error).split())
            sentence = (
                f"Something went wrong in the program ({type(error).__name__}: {said}): "
                "please report it with the details."
            )
        self._say(sentence, "".join(traceback.format_exception(error)), ERROR_COLOUR)

    def show_info(self, text: str) -> None:
        """Say something that is no failure."""
        self._say(text, "", INFO_COLOUR)

    def clear(self) -> None:
        """Say nothing."""
        self._say("", "", INFO_COLOUR)

    def _say(self, sentence: str, details: str, colour: str) -> None:
        self._label.setText(sentence)
        self._label.setStyleSheet(f"border-left: 3px solid {colour}; padding: 2px 0 2px 6px;")
        self._details.setPlainText(details)
        self._button.setChecked(False)
        self._button.setVisible(bool(details))
        self._details.hide()
        self.setVisible(bool(sentence))
