"""A small dialog that asks for the files of a crop: raw data, ground truth and perhaps a mask."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from pathlib import Path

from qtpy.QtCore import Qt, QTimer, Signal
from qtpy.QtWidgets import (
    QComboBox,
    QDialog,
    QFileDialog,
    QFormLayout,
    QHBoxLayout,
    QLabel,
    QLineEdit,
    QPushButton,
    QVBoxLayout,
    QWidget,
)

from napari_dacapo_tasks.arrays import Array
from napari_dacapo_tasks.widgets.refused import STYLE, RefusalLabel, frame
from napari_dacapo_tasks.widgets.row_checks import TableRow
from napari_dacapo_tasks.widgets.row_files import Looked, look_at
from napari_dacapo_tasks.widgets.row_sources import FileSource
from napari_dacapo_tasks.widgets.workers import Job

TYPING_MILLISECONDS = 300
"""So long after the last key a path is looked at."""

WIDTH = 480

FILTER = "Arrays (*.tif *.tiff *.h5 *.hdf *.hdf5);;All files (*)"


class PathEdit(QWidget):
    """Edits the path of an array, and says what is there.

    Signals
    -------
    changed()
        Another path, or it was looked at.
    """

    changed = Signal()
    last_folder = str(Path.home())
    """Where a person has chosen last, in any of these."""

    def __init__(self, what: str, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setStyleSheet(STYLE)
        self._what = what
        self._looked: Looked | None = None
        self.line = QLineEdit()
        self.line.setPlaceholderText("OME-Zarr, zarr, TIFF or HDF5")
        self.file_button = QPushButton("File…")
        self.folder_button = QPushButton("Folder…")
        self.folder_button.setToolTip("OME-Zarr and zarr are folders")
        self.datasets = QComboBox()
        self.datasets.setToolTip("Arrays in the file or folder")
        self._said = QLabel()
        self._said.setWordWrap(True)
        self._refusal = RefusalLabel()
        row = QHBoxLayout()
        row.addWidget(self.line, 1)
        row.addWidget(self.file_button)
        row.addWidget(self.folder_button)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(3)
        layout.addLayout(row)
        for widget in (self.datasets, self._said, self._refusal):
            layout.addWidget(widget)
        self.datasets.hide()
        self._said.hide()
        self._timer = QTimer(self)
        self._timer.setSingleShot(True)
        self._timer.setInterval(TYPING_MILLISECONDS)
        self._timer.timeout.connect(self.look)
        self._job = Job(self)
        self._job.returned.connect(self._on_looked)
        self._job.failed.connect(lambda error: self._refusal.say(str(error)))
        self.line.textEdited.connect(self._on_typed)
        self.datasets.activated.connect(self._on_dataset)
        self.file_button.clicked.connect(self._browse_file)
        self.folder_button.clicked.connect(self._browse_folder)

    @property
    def busy(self) -> bool:
        """Whether the path is still being looked at."""
        return self._job.running or bool(self._timer.isActive())

    @property
    def refusal(self) -> str:
        """Why there is nothing at the path; empty where there is."""
        return str(self._refusal.text())

    def path(self) -> str:
        """Give the path as entered."""
        text = self.line.text().strip()
        return str(Path(text).expanduser()) if text else ""

    def source(self) -> FileSource | None:
        """Give the array that was found; None where there is none, or it is looked for."""
        if self.busy or self._looked is None or not isinstance(self._looked.array, Array):
            return None
        return FileSource(self._looked.path, self._looked.array)

    def setPath(self, path: str) -> None:
        """Enter a path."""
        self.line.setText(path)
        self.look()

    def look(self) -> None:
        """Look at the path, in the background."""
        self._timer.stop()
        self._look_at(self.path())

    def _look_at(self, path: str) -> None:
        self._looked = None
        self._say("")
        if path:
            self._say("Looking…")
            self._job.start(partial(look_at, path))
        else:
            self._job.stop()
            self.datasets.hide()
        self.changed.emit()

    def _on_typed(self) -> None:
        self._timer.start()
        self._looked = None
        self.changed.emit()

    def _on_looked(self, looked: Looked) -> None:
        if self._timer.isActive():
            return  # somebody types on
        self._looked = looked
        if self.datasets.findData(looked.path) < 0:  # a dataset that was chosen leaves the others
            self.datasets.clear()
            for dataset in looked.datasets:
                inside = dataset.removeprefix(looked.path).strip("/:")
                self.datasets.addItem(inside or Path(dataset).name, dataset)
        self.datasets.setVisible(self.datasets.count() > 1)
        chosen = self.datasets.findData(looked.path)
        # Which of them is meant cannot be known.
        self.datasets.setPlaceholderText(f"choose the {self._what}")
        self.datasets.setCurrentIndex(chosen)
        if isinstance(looked.array, Array):
            self._say(looked.array.describe())
        elif len(looked.datasets) > 1 and chosen < 0:
            self._say("")
        else:
            self._say("", str(looked.array))
        self.changed.emit()

    def _on_dataset(self, index: int) -> None:
        path = str(self.datasets.itemData(index))
        self.line.setText(path)
        self._look_at(path)

    def _say(self, text: str, refusal: str = "") -> None:
        self._said.setText(text)
        self._said.setVisible(bool(text))
        self._refusal.say(refusal)
        frame(self.line, bool(refusal))

    def _browse_file(self) -> None:
        chosen, _ = QFileDialog.getOpenFileName(self, self._what, self.last_folder, FILTER)
        self._choose(chosen)

    def _browse_folder(self) -> None:
        self._choose(QFileDialog.getExistingDirectory(self, self._what, self.last_folder))

    def _choose(self, chosen: str) -> None:
        if chosen:
            PathEdit.last_folder = str(Path(chosen).parent)
            self.setPath(chosen)


class FilesDialog(QDialog):
    """Asks for the files of one crop, and then of another; it holds up nothing else.

    Signals
    -------
    entered(object)
        A row of files.
    """

    entered = Signal(object)

    def __init__(self, row: TableRow | None = None, parent: QWidget | None = None) -> None:
        """Ask for new rows, or for other files of a row."""
        super().__init__(parent)
        self.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        self.setWindowTitle("Add files" if row is None else "Change files")
        self._row = row
        self.edits = {
            "raw": PathEdit("raw data"),
            "labels": PathEdit("ground truth"),
            "mask": PathEdit("mask"),
        }
        self.edits["mask"].line.setPlaceholderText("none: labels are known everywhere")
        form = QFormLayout()
        form.setFieldGrowthPolicy(QFormLayout.FieldGrowthPolicy.AllNonFixedFieldsGrow)
        for title, edit in zip(("Raw", "Ground truth", "Mask"), self.edits.values(), strict=True):
            form.addRow(title, edit)
            edit.changed.connect(self._on_changed)
        self.add_button = QPushButton("Add" if row is None else "Change")
        self.add_button.setDefault(True)
        self.close_button = QPushButton("Close" if row is None else "Cancel")
        self._said = QLabel()
        buttons = QHBoxLayout()
        buttons.addWidget(self._said, 1)
        buttons.addWidget(self.add_button)
        buttons.addWidget(self.close_button)
        layout = QVBoxLayout(self)
        layout.addLayout(form)
        layout.addStretch(1)
        layout.addLayout(buttons)
        self._growing = QTimer(self)
        self._growing.setSingleShot(True)
        self._growing.timeout.connect(self._grow)
        self.resize(WIDTH, self.sizeHint().height())
        self.add_button.clicked.connect(self._add)
        self.close_button.clicked.connect(self.close)
        if row is not None:
            for name, edit in self.edits.items():
                source = getattr(row, name)
                if source is not None:
                    edit.setPath(source.path or "")
        self._on_changed()

    def _on_changed(self) -> None:
        edits = self.edits
        ready = all(edits[name].source() is not None for name in ("raw", "labels"))
        mask = edits["mask"]
        self.add_button.setEnabled(ready and (not mask.path() or mask.source() is not None))
        self._growing.start()

    def _grow(self) -> None:
        """Be as high as what is said of the paths needs."""
        needed = self.layout().totalHeightForWidth(self.width())
        self.resize(self.width(), max(needed, self.layout().totalSizeHint().height()))

    def _add(self) -> None:
        raw, labels, mask = (self.edits[name].source() for name in ("raw", "labels", "mask"))
        if self._row is not None:
            self.entered.emit(replace(self._row, raw=raw, labels=labels, mask=mask, title=""))
            self.close()
            return
        row = TableRow(raw=raw, labels=labels, mask=mask)
        self.entered.emit(row)
        self._said.setText(f"Added {row.name}")
        for edit in self.edits.values():
            edit.setPath("")
