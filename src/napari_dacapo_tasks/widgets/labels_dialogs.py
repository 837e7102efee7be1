"""What the Segment tab asks before anything of a person's is lost."""

from __future__ import annotations

from collections.abc import Callable

from qtpy.QtCore import Qt
from qtpy.QtWidgets import QMessageBox, QWidget

Answer = Callable[[], None]


def ask_about_edits(parent: QWidget, *, keep: Answer, replace: Answer) -> None:
    """Ask what becomes of edited labels that a new segmentation is to replace."""
    question = QMessageBox(
        QMessageBox.Icon.Question,
        "Edited labels",
        "The labels were edited. Keep them in a layer of their own, or replace them?",
        QMessageBox.StandardButton.Cancel,
        parent,
    )
    question.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
    kept = question.addButton("Keep them", QMessageBox.ButtonRole.AcceptRole)
    kept.clicked.connect(lambda: keep())
    question.addButton("Replace them", QMessageBox.ButtonRole.DestructiveRole).clicked.connect(
        lambda: replace()
    )
    question.setDefaultButton(kept)
    question.open()
