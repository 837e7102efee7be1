"""The channels of the ground truth, and what is unknown in it: edits one `LabelsConfig`."""

from __future__ import annotations

from typing import Any

from pydantic import ValidationError
from qtpy.QtCore import Signal
from qtpy.QtWidgets import (
    QCheckBox,
    QHBoxLayout,
    QHeaderView,
    QLabel,
    QLineEdit,
    QPushButton,
    QTableWidget,
    QTableWidgetItem,
    QVBoxLayout,
    QWidget,
)

from napari_dacapo_tasks.arrays import Channel, LabelsConfig
from napari_dacapo_tasks.tasks.task import LABELS as WHOLE
from napari_dacapo_tasks.widgets.field_kinds import read_numbers, write_numbers
from napari_dacapo_tasks.widgets.refused import STYLE, RefusalLabel, frame, mark

ALL = "all objects"
NAME, LABELS = 0, 1
MOST_ROWS_SHOWN = 6


class ChannelsTable(QWidget):
    """One row per channel: its name, and the label ids of its objects.

    While channels are not chosen (`setChosen`) the rows wait out of sight, and all labels are the
    only channel.

    Signals
    -------
    valueChanged(object)
        The new config, or None while something is refused.
    """

    valueChanged = Signal(object)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setStyleSheet(STYLE)
        self.table = QTableWidget(0, 2)
        self.table.setHorizontalHeaderLabels(["Channel", "Label ids"])
        self.table.setToolTip(
            "Every channel is learned on its own. Label ids are those of its objects: "
            f"'{ALL}', or numbers such as 1, 2, 5. Double-click to edit."
        )
        self.table.verticalHeader().hide()
        self.table.horizontalHeader().setSectionResizeMode(QHeaderView.ResizeMode.Stretch)
        self.table.setSelectionBehavior(QTableWidget.SelectionBehavior.SelectRows)
        self.add_button = QPushButton("Add channel")
        self.remove_button = QPushButton("Remove")
        self.remove_button.setToolTip("Remove the selected channel")
        self.zero_box = QCheckBox("0 is unlabelled")
        self.zero_box.setToolTip(
            "On: voxels of label 0 are unknown and left out, as in sparse annotation. "
            "Off: they are background."
        )
        self.ignore_line = QLineEdit()
        self.ignore_line.setPlaceholderText("none")
        self.ignore_line.setMaximumWidth(90)
        self.ignore_line.setToolTip("Voxels of this label are unknown and left out.")
        self._refusal = RefusalLabel()
        self._last: LabelsConfig | None = None
        self._chosen = True
        self._lay_out()

        self.table.itemChanged.connect(lambda _: self.value())
        self.table.itemSelectionChanged.connect(self._follow_selection)
        self.add_button.clicked.connect(self._add)
        self.remove_button.clicked.connect(self._remove)
        self.zero_box.toggled.connect(lambda _: self.value())
        self.ignore_line.editingFinished.connect(self.value)
        self.setValue(LabelsConfig())

    def value(self) -> LabelsConfig | None:
        """Give the config as entered, None where something is refused."""
        config = self._check()
        if config != self._last:
            self._last = config
            self.valueChanged.emit(config)
        return config

    def setValue(self, config: LabelsConfig) -> None:
        """Show a config."""
        blocked = self.table.blockSignals(True)
        self.table.setRowCount(0)
        for channel in config.channels:
            self._append(channel)
        self.table.blockSignals(blocked)
        blocked = self.zero_box.blockSignals(True)
        self.zero_box.setChecked(config.zero_is_unlabelled)
        self.zero_box.blockSignals(blocked)
        ignored = config.ignore_label
        self.ignore_line.setText("" if ignored is None else str(ignored))
        self._fit()
        self.value()

    def setChosen(self, chosen: bool) -> None:
        """Let channels be chosen, or take all labels as the only one."""
        self._chosen = chosen
        for widget in (self.table, self.add_button, self.remove_button):
            widget.setVisible(chosen)
        self.value()

    @property
    def refusal(self) -> str:
        """Why the channels are refused; empty where they are not."""
        return str(self._refusal.text())

    def _lay_out(self) -> None:
        buttons = QHBoxLayout()
        buttons.addWidget(self.add_button)
        buttons.addWidget(self.remove_button)
        unknown = QHBoxLayout()
        unknown.addWidget(self.zero_box)
        unknown.addStretch(1)
        unknown.addWidget(QLabel("Ignore id"))
        unknown.addWidget(self.ignore_line)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(self.table)
        layout.addLayout(buttons)
        layout.addLayout(unknown)
        layout.addWidget(self._refusal)

    def _check(self) -> LabelsConfig | None:
        refused: dict[tuple[int, int], str] = {}
        channels: list[dict[str, Any]] = [] if self._chosen else [{"name": WHOLE}]
        for row in range(self.table.rowCount() if self._chosen else 0):
            channel: dict[str, Any] = {"name": self._text(row, NAME), "labels": ()}
            if not channel["name"]:
                refused[row, NAME] = "a channel has no name: give it one"
            try:
                channel["labels"] = _read_labels(self._text(row, LABELS))
            except ValueError as error:
                refused[row, LABELS] = f"channel '{channel['name']}': {error}"
            channels.append(channel)
        ignored: int | None = None
        wrong_id = ""
        if self.ignore_line.text().strip():
            try:
                ignored = int(self.ignore_line.text())
            except ValueError:
                wrong_id = (
                    f"'{self.ignore_line.text()}' is no label id: give a whole number, or nothing"
                )
        frame(self.ignore_line, bool(wrong_id))
        config = None
        if not refused and not wrong_id:
            try:
                config = LabelsConfig(
                    channels=tuple(Channel(**channel) for channel in channels),
                    zero_is_unlabelled=self.zero_box.isChecked(),
                    ignore_label=ignored,
                )
            except ValidationError as error:
                reason = error.errors()[0]["msg"].removeprefix("Value error, ")
                names = [channel["name"] for channel in channels]
                for row, name in enumerate(names):
                    if names.count(name) > 1:
                        refused[row, NAME] = reason
                wrong_id = reason
        self._show(refused, next(iter(refused.values()), wrong_id))
        return config

    def _show(self, refused: dict[tuple[int, int], str], sentence: str) -> None:
        blocked = self.table.blockSignals(True)
        for row in range(self.table.rowCount()):
            for column in (NAME, LABELS):  # of rows out of sight nothing is refused
                mark(self.table.item(row, column), refused.get((row, column), ""))
        self.table.blockSignals(blocked)
        self._refusal.say(sentence)
        self._follow_selection()

    def _text(self, row: int, column: int) -> str:
        return str(self.table.item(row, column).text()).strip()

    def _append(self, channel: Channel) -> None:
        row = self.table.rowCount()
        self.table.insertRow(row)
        labels = write_numbers(channel.labels) if channel.labels else ALL
        self.table.setItem(row, NAME, QTableWidgetItem(channel.name))
        self.table.setItem(row, LABELS, QTableWidgetItem(labels))

    def _add(self) -> None:
        names = {self._text(row, NAME) for row in range(self.table.rowCount())}
        number = next(n for n in range(len(names) + 1, 2 * len(names) + 3) if f"c{n}" not in names)
        blocked = self.table.blockSignals(True)
        self._append(Channel(name=f"c{number}"))
        self.table.blockSignals(blocked)
        self.table.setCurrentCell(self.table.rowCount() - 1, NAME)
        self._fit()
        self.value()

    def _remove(self) -> None:
        row = self.table.currentRow()
        self.table.removeRow(row if row >= 0 else self.table.rowCount() - 1)
        self._fit()
        self.value()

    def _follow_selection(self) -> None:
        self.remove_button.setEnabled(self.table.rowCount() > 1)

    def _fit(self) -> None:
        """Be as high as the rows need."""
        rows = min(self.table.rowCount(), MOST_ROWS_SHOWN)
        height = self.table.horizontalHeader().sizeHint().height()
        height += sum(self.table.rowHeight(row) for row in range(rows))
        self.table.setFixedHeight(height + 2 * self.table.frameWidth() + 2)


def _read_labels(text: str) -> tuple[int, ...]:
    if text.lower() in ("", "all", ALL):
        return ()
    labels = read_numbers(text)
    if min(labels) <= 0:
        raise ValueError(f"the label id {min(labels)} cannot be an object: ids start at 1")
    return tuple(labels)
