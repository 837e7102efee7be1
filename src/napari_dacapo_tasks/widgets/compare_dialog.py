"""In what runs differ."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from qtpy.QtCore import Qt
from qtpy.QtWidgets import (
    QAbstractItemView,
    QDialog,
    QHeaderView,
    QLabel,
    QTableWidget,
    QTableWidgetItem,
    QVBoxLayout,
    QWidget,
)

from napari_dacapo_tasks.runs.manage import Difference

SIZE = (640, 360)


class CompareDialog(QDialog):
    """A table with a line for each parameter that is not the same, and a column for each run.

    Parameters
    ----------
    names
        Of the runs.
    rows
        Their differences.
    """

    def __init__(
        self, names: Sequence[str], rows: Sequence[Difference], parent: QWidget | None = None
    ) -> None:
        super().__init__(parent)
        self.setWindowTitle("Differences")
        self.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        self.resize(*SIZE)
        layout = QVBoxLayout(self)
        same = QLabel("All parameters are the same.")
        self.table = QTableWidget(len(rows), len(names))
        self.table.setEditTriggers(QAbstractItemView.EditTrigger.NoEditTriggers)
        self.table.setHorizontalHeaderLabels(list(names))
        self.table.setVerticalHeaderLabels([row.name for row in rows])
        self.table.horizontalHeader().setSectionResizeMode(QHeaderView.ResizeMode.Stretch)
        for line, row in enumerate(rows):
            for column, value in enumerate(row.values):
                item = QTableWidgetItem(_shown(value))
                item.setToolTip(_shown(value))
                self.table.setItem(line, column, item)
        layout.addWidget(same)
        layout.addWidget(self.table, 1)
        same.setVisible(not rows)
        self.table.setVisible(bool(rows))


def _shown(value: Any) -> str:
    """Write a value as people do."""
    if value is None:
        return "—"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, (list, tuple)):
        return f"({', '.join(map(_shown, value))})"
    return f"{value:g}" if isinstance(value, float) else str(value)
