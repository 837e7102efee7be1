"""The rows of the data table, and everything that a person does with them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import napari
from napari.layers import Image, Labels, Layer
from qtpy.QtCore import QTimer, Signal
from qtpy.QtWidgets import (
    QFileDialog,
    QHBoxLayout,
    QMenu,
    QPushButton,
    QVBoxLayout,
    QWidget,
)

from napari_dacapo_tasks.arrays import LabelsConfig
from napari_dacapo_tasks.errors import ConfigError, DataError
from napari_dacapo_tasks.runs.data_config import CropConfig, Use
from napari_dacapo_tasks.runs.rows import Row
from napari_dacapo_tasks.widgets.data_table import DATA, DataTable, percents
from napari_dacapo_tasks.widgets.lifetime import connect_while_alive
from napari_dacapo_tasks.widgets.notices import Notice
from napari_dacapo_tasks.widgets.result_layers import is_result
from napari_dacapo_tasks.widgets.row_checks import TableRow, problems, row_of
from napari_dacapo_tasks.widgets.row_files import (
    Opened,
    found_rows,
    listed_rows,
    named_only,
    said_of,
)
from napari_dacapo_tasks.widgets.row_files_dialog import FilesDialog
from napari_dacapo_tasks.widgets.row_form import RowForm
from napari_dacapo_tasks.widgets.row_opening import RowFiles, with_opened
from napari_dacapo_tasks.widgets.row_sources import LayerSource, Source
from napari_dacapo_tasks.widgets.workers import Job

CHECK_MILLISECONDS = 50
"""So long after a change everything is checked: some changes come in a row."""

PLACES = ("scale", "translate", "rotate", "shear", "affine", "units", "axis_labels", "name", "data")
"""What of a layer may change whether it fits."""


class DataTablePanel(QWidget):
    """Keeps the rows of crops: one that follows the layers chosen, and those that were added.

    Signals
    -------
    changed()
        A row came, went or is another one now.
    """

    changed = Signal()

    def __init__(self, viewer: napari.Viewer, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._layers = viewer.layers
        self._config = LabelsConfig()
        self._rows: list[TableRow] = [TableRow(None, None, follows=True)]
        self._refusals: list[str] = [""]
        self._removed: list[tuple[int, TableRow]] = []
        self._of_run: list[CropConfig] | None = None
        self._editable = True
        self.dialog: FilesDialog | None = None
        self.table = DataTable()
        self.form = RowForm(viewer)
        self.notice = Notice()
        self.add_button = QPushButton("Add")
        menu = QMenu(self.add_button)
        self.layers_action = menu.addAction("Layers", self.addLayers)
        self.files_action = menu.addAction("Files…", self.addFiles)
        self.csv_action = menu.addAction("From a DaCapo CSV…", self.chooseCsv)
        self.add_button.setMenu(menu)
        self.add_button.setToolTip("Another crop; files and folders can be dropped on the table")
        self.copy_button = QPushButton("Duplicate")
        self.copy_button.setToolTip("Another row like the one selected")
        self.remove_button = QPushButton("Remove")
        self.remove_button.setToolTip("Take the selected row out of the table; its data stay")
        self.undo_button = QPushButton("Undo")
        self.undo_button.setToolTip("Bring back the row that was removed last")
        self.files = RowFiles(self)
        self._finding = Job(self)
        self._timer = QTimer(self)
        self._timer.setSingleShot(True)
        self._timer.setInterval(CHECK_MILLISECONDS)
        self._lay_out()
        self._connect(viewer)
        self._show()

    # What there is

    def rows(self) -> list[Row]:
        """Give the crops that are used, with their arrays as they are.

        Raises
        ------
        ConfigError
            Where none trains.
        DataError
            Where one cannot be used, or is still being opened.
        """
        self._check()
        used = [index for index, row in enumerate(self._rows) if row.use != "off"]
        if not any(self._rows[index].use == "train" for index in used):
            raise ConfigError("No crop trains: set the use of at least one to train.")
        for index in used:
            if self._refusals[index]:
                alone = len(self._rows) == 1
                who = "" if alone else f"Crop {index + 1} ('{self._rows[index].name}'): "
                raise DataError(who + self._refusals[index])
        return [row_of(self._rows[index]) for index in used]

    def tableRows(self) -> list[TableRow]:
        """Give the rows as they stand in the table."""
        return list(self._rows)

    @property
    def refusals(self) -> list[str]:
        """Why rows cannot be used, empty where they can."""
        return list(self._refusals)

    @property
    def busy(self) -> bool:
        """Whether files are being opened or looked for."""
        return self.files.busy or self._finding.running

    @property
    def follows(self) -> bool:
        """Whether there is a row that follows the layers chosen."""
        return any(row.follows for row in self._rows)

    def setFollowed(
        self, raw: Source | None, labels: Source | None, mask: Source | None, config: LabelsConfig
    ) -> None:
        """Take note of the layers chosen, and of how all labels are read."""
        self._config = config
        self._rows = [
            replace(row, raw=raw, labels=labels, mask=mask) if row.follows else row
            for row in self._rows
        ]
        self._check()

    def setCrops(self, crops: Sequence[CropConfig] | None) -> None:
        """Show the crops of a run in a folder, to look at; None for those of a new run."""
        self._of_run = None if crops is None else list(crops)
        self.setEditable(self._editable)
        self._show()

    def setEditable(self, editable: bool) -> None:
        """Allow or forbid to change anything."""
        self._editable = editable
        editable = editable and self._of_run is None
        self.table.setReadOnly(not editable)
        for widget in (self.form, self._buttons):
            widget.setEnabled(editable)
        self._buttons.setVisible(self._of_run is None)

    # What a person does

    def addLayers(self) -> None:
        """Add a row of layers: the uppermost that no row has yet, or the only raw data again."""
        used = {
            id(s.layer) for row in self._rows for s in row.sources if isinstance(s, LayerSource)
        }
        free = [one for one in reversed(self._layers) if id(one) not in used and not is_result(one)]

        def first(kind: type[Layer]) -> Source | None:
            layer = next((one for one in free if isinstance(one, kind)), None)
            return None if layer is None else LayerSource(layer, self._layers)

        raws = [row.raw for row in self._rows if isinstance(row.raw, LayerSource)]
        self._add([TableRow(first(Image) or next(iter(raws), None), first(Labels))])

    def addFiles(self) -> None:
        """Ask for files."""
        self._ask(None, lambda row: self._add([row]))

    def changeFiles(self) -> None:
        """Ask for other files of the selected row."""
        row = self._rows[self.table.currentRow()]
        self._ask(row, partial(self._exchange, row))

    def addPaths(self, paths: Sequence[str]) -> None:
        """Add what files and folders hold; a DaCapo CSV gives the rows that it names."""
        lists = [path for path in paths if path.lower().endswith(".csv")]
        if lists:
            self.addCsv(lists[0])
        else:
            self._find(partial(found_rows, list(paths)))

    def chooseCsv(self) -> None:
        """Ask for a CSV file as DaCapo has them, and add its rows."""
        path, _ = QFileDialog.getOpenFileName(
            self, "DaCapo CSV", str(Path.home()), "CSV (*.csv);;All files (*)"
        )
        if path:
            self.addCsv(path)

    def addCsv(self, path: str) -> None:
        """Add the rows of a CSV file as DaCapo has them."""
        self._find(partial(listed_rows, path))

    def duplicate(self) -> None:
        """Add a row like the one selected; the copy does not follow the layers chosen later."""
        index = self.table.currentRow()
        if 0 <= index < len(self._rows):
            copy = replace(self._rows[index], follows=False)
            self._add([copy], index + 1)

    def remove(self) -> None:
        """Remove the selected row; one always stays."""
        index = self.table.currentRow()
        if len(self._rows) > 1 and 0 <= index < len(self._rows):
            self._removed.append((index, self._rows.pop(index)))
            self._check(tell=True)

    def undo(self) -> None:
        """Bring back the row that was removed last."""
        if self._removed:
            index, row = self._removed.pop()
            self._add([row], index)

    # How it is done

    def _ask(self, row: TableRow | None, answer: Callable[[TableRow], None]) -> None:
        if self.dialog is not None:
            self.dialog.close()
        self.dialog = FilesDialog(row, self)
        self.dialog.entered.connect(answer)
        self.dialog.destroyed.connect(self._on_dialog_gone)
        self.dialog.show()

    def _on_dialog_gone(self) -> None:
        self.dialog = None

    def _find(self, find: Any) -> None:
        self.notice.clear()
        self._finding.start(find)

    def _on_found(self, rows: list[TableRow]) -> None:
        first = self._rows[0]
        if rows and len(self._rows) == 1 and first.follows and None in (first.raw, first.labels):
            # Layers were not chosen: the files stand for themselves.
            self._removed.append((0, self._rows.pop()))
        self._add(rows)

    def _add(self, rows: Sequence[TableRow], index: int | None = None) -> None:
        index = len(self._rows) if index is None else min(index, len(self._rows))
        self._rows[index:index] = rows
        self._check(tell=True)
        if rows:
            self.table.setCurrentCell(index, DATA)
        self.files.open(self._rows)

    def _exchange(self, before: TableRow, row: TableRow) -> None:
        if before in self._rows:
            self._rows[self._rows.index(before)] = row
            self._check(tell=True)
            self.files.open(self._rows)

    def _change_selected(self, row: TableRow) -> None:
        self._exchange(self._rows[self.table.currentRow()], row)

    def _on_use(self, index: int, use: Use) -> None:
        self._exchange(self._rows[index], replace(self._rows[index], use=use))

    def _on_opened(self, found: Opened) -> None:
        self._rows = with_opened(self._rows, found)
        self._check(tell=True)

    def _check(self, *, tell: bool = False) -> None:
        """Find what does not fit, and show it."""
        self._timer.stop()
        before = self._refusals
        self._refusals = problems(self._rows, self._config)
        self.files.watch(self._rows)
        self._show()
        if tell or before != self._refusals:
            self.changed.emit()

    def _check_soon(self, _event: Any = None) -> None:
        self._timer.start()

    def _show(self) -> None:
        if self._of_run is not None:
            rows, said = [named_only(one) for one in self._of_run], map(said_of, self._of_run)
            self.table.setRows(rows, [""] * len(rows), list(said))
            self.form.setRow(None)
            return
        red = [
            "" if row.use == "off" else refusal
            for row, refusal in zip(self._rows, self._refusals, strict=True)
        ]
        self.table.setRows(self._rows, red)
        self._show_selected()

    def _show_selected(self, _index: int = 0) -> None:
        index = self.table.currentRow()
        several, inside = len(self._rows) > 1, 0 <= index < len(self._rows)
        self.remove_button.setEnabled(several and inside)
        self.undo_button.setVisible(bool(self._removed))
        if self._of_run is not None:
            return
        if not inside:
            self.form.setRow(None)
            return
        trains = sum(row.use == "train" for row in self._rows) > 1
        percent = percents(self._rows)[index] if trains else None
        self.form.setRow(self._rows[index], self._refusals[index], percent)

    def _on_inserted(self, event: Any) -> None:
        self._follow(event.value)
        self._check_soon()

    def _follow(self, layer: Layer) -> None:
        if is_result(layer) or not isinstance(layer, (Image, Labels)):
            return
        for name in PLACES:
            connect_while_alive(self, getattr(layer.events, name), self._check_soon)

    def _lay_out(self) -> None:
        self._buttons = QWidget()
        buttons = QHBoxLayout(self._buttons)
        buttons.setContentsMargins(0, 0, 0, 0)
        for button in (self.add_button, self.copy_button, self.remove_button, self.undo_button):
            buttons.addWidget(button, 1)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(4)
        for widget in (self.table, self._buttons, self.form, self.notice):
            layout.addWidget(widget)

    def _connect(self, viewer: napari.Viewer) -> None:
        self.copy_button.clicked.connect(self.duplicate)
        self.remove_button.clicked.connect(self.remove)
        self.undo_button.clicked.connect(self.undo)
        self.table.useChosen.connect(self._on_use)
        self.table.chosen.connect(self._show_selected)
        self.table.dropped.connect(self.addPaths)
        self.table.removed.connect(self.remove)
        self.form.changed.connect(self._change_selected)
        self.form.filesWanted.connect(self.changeFiles)
        self.files.opened.connect(self._on_opened)
        self.files.touched.connect(self._check_soon)
        self.files.failed.connect(self.notice.show_error)
        self._finding.returned.connect(self._on_found)
        self._finding.failed.connect(self.notice.show_error)
        self._timer.timeout.connect(self._check)
        connect_while_alive(self, viewer.layers.events.inserted, self._on_inserted)
        connect_while_alive(self, viewer.layers.events.removed, self._check_soon)
        for layer in viewer.layers:
            self._follow(layer)
