"""How what is refused looks: red, with a sentence."""

from __future__ import annotations

from qtpy.QtCore import Qt
from qtpy.QtGui import QColor
from qtpy.QtWidgets import QLabel, QTableWidgetItem, QWidget

REFUSED_COLOUR = "#e5484d"
STYLE = f"""
[refused="true"] {{ border: 1px solid {REFUSED_COLOUR}; }}
QLabel[refusal="true"] {{ color: {REFUSED_COLOUR}; }}
"""
"""For a widget that holds what `frame` and `RefusalLabel` make red."""

CELL_ALPHA = 110
"""Of 255: the text of a red cell must stay readable in both themes."""


class RefusalLabel(QLabel):
    """Says why something is refused; invisible while nothing is."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setProperty("refusal", True)
        self.setWordWrap(True)
        self.hide()

    def say(self, sentence: str) -> None:
        """Say a sentence, or nothing."""
        self.setText(sentence[:1].upper() + sentence[1:])
        self.setVisible(bool(sentence))


def frame(control: QWidget, refused: bool) -> None:
    """Frame a widget in red, or no more."""
    if bool(control.property("refused")) != refused:
        control.setProperty("refused", refused)
        control.style().unpolish(control)
        control.style().polish(control)


def mark(cell: QTableWidgetItem, reason: str) -> None:
    """Make a cell of a table red, with the reason as its tooltip; no more where there is none."""
    if reason:
        colour = QColor(REFUSED_COLOUR)
        colour.setAlpha(CELL_ALPHA)
        cell.setBackground(colour)
    else:
        cell.setData(Qt.ItemDataRole.BackgroundRole, None)
    cell.setToolTip(reason)
