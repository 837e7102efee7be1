"""The log of a run as it is written."""

from __future__ import annotations

from collections.abc import Iterable

from qtpy.QtGui import QFontDatabase
from qtpy.QtWidgets import (
    QApplication,
    QHBoxLayout,
    QPlainTextEdit,
    QToolButton,
    QVBoxLayout,
    QWidget,
)

LINES_KEPT = 5000
"""Older lines leave the pane; the file has them all."""


class LogPane(QWidget):
    """Lines to select and copy; the end stays in sight unless a person has scrolled up."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.edit = QPlainTextEdit()
        self.edit.setReadOnly(True)
        self.edit.setMaximumBlockCount(LINES_KEPT)
        self.edit.setLineWrapMode(QPlainTextEdit.LineWrapMode.WidgetWidth)
        self.edit.setFont(QFontDatabase.systemFont(QFontDatabase.SystemFont.FixedFont))
        self.edit.setPlaceholderText("What the run has to say comes here.")
        self.copy_button = QToolButton()
        self.copy_button.setText("Copy all")
        self.copy_button.setToolTip("Copy the lines, such as for a report")
        self.copy_button.clicked.connect(self.copy)

        line = QHBoxLayout()
        line.addStretch(1)
        line.addWidget(self.copy_button)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(self.edit, 1)
        layout.addLayout(line)

    @property
    def text(self) -> str:
        """All lines."""
        return str(self.edit.toPlainText())

    def clear(self) -> None:
        """Forget all lines."""
        self.edit.clear()

    def add(self, lines: Iterable[str]) -> None:
        """Append lines."""
        text = "\n".join(lines)
        if not text:
            return
        bar = self.edit.verticalScrollBar()
        at_end, before = bar.value() >= bar.maximum(), bar.value()
        self.edit.appendPlainText(text)
        bar.setValue(bar.maximum() if at_end else before)

    def set_lines(self, lines: Iterable[str]) -> None:
        """Show these lines and no others, the last one in sight."""
        self.clear()
        self.add(lines)

    def copy(self) -> None:
        """Put all lines onto the clipboard."""
        clipboard = QApplication.clipboard()
        assert clipboard is not None
        clipboard.setText(self.text)
