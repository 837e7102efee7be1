"""Where a prediction goes: into memory, or onto a disk, where it may be of any size."""

from __future__ import annotations

from pathlib import Path

from qtpy.QtCore import Signal
from qtpy.QtWidgets import (
    QComboBox,
    QFileDialog,
    QFormLayout,
    QHBoxLayout,
    QLineEdit,
    QMessageBox,
    QPushButton,
    QSpinBox,
    QVBoxLayout,
    QWidget,
)

from napari_dacapo_tasks.arrays.growing_image import DataTakenError, Exists
from napari_dacapo_tasks.errors import DataError
from napari_dacapo_tasks.prediction.fit import IN_MEMORY_BYTES
from napari_dacapo_tasks.widgets.predict_work import Place

MEMORY, DISK = 0, 1
SUFFIX = ".ome.zarr"
FOLDER = "predictions"
"""In a run folder, unless a person chooses another place."""

MOST_WORKERS = 256


class OutputPanel(QWidget):
    """Chooses where a prediction goes; a large one goes to a disk unless a person says otherwise.

    Signals
    -------
    changed()
        Another place is chosen.
    """

    changed = Signal()

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._by_person = False
        self._path_by_person = False
        self._workers_possible = False
        self.kind_combo = QComboBox()
        self.kind_combo.addItems(["In memory", "OME-Zarr on disk"])
        self.kind_combo.setToolTip(
            f"Predictions of more than {IN_MEMORY_BYTES / 1e9:.0f} GB go to a disk unless you "
            "choose otherwise"
        )
        self.line = QLineEdit()
        self.line.setToolTip("Folder of the image that is made; it fills block by block")
        self.browse_button = QPushButton("Browse…")
        self.workers_box = QSpinBox()
        self.workers_box.setRange(0, MOST_WORKERS)
        self.workers_box.setSpecialValueText("none, napari itself")
        self.workers_box.setToolTip(
            "Processes that predict blocks of the image side by side; it can be resumed after any "
            "of them was killed. They read the image from its file."
        )
        self.command_line = QLineEdit()
        self.command_line.setPlaceholderText("here; or such as: sbatch --wrap '{command}'")
        self.command_line.setToolTip(
            "How a worker is started elsewhere: {command} stands for what it has to run, as in "
            "ssh host {command}, or in sbatch --gres=gpu:1 --wrap '{command}'"
        )
        path = QHBoxLayout()
        path.addWidget(self.line, 1)
        path.addWidget(self.browse_button)
        self._on_disk = QWidget()
        more = QFormLayout()
        more.setFieldGrowthPolicy(QFormLayout.FieldGrowthPolicy.AllNonFixedFieldsGrow)
        more.addRow("Workers", self.workers_box)
        more.addRow("Start them", self.command_line)
        inner = QVBoxLayout(self._on_disk)
        inner.setContentsMargins(0, 0, 0, 0)
        inner.addLayout(path)
        inner.addLayout(more)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(4)
        layout.addWidget(self.kind_combo)
        layout.addWidget(self._on_disk)
        self._show_parts()
        self.kind_combo.activated.connect(self._on_activated)
        self.kind_combo.currentIndexChanged.connect(self._show_parts)
        self.line.textEdited.connect(self._on_typed)
        self.browse_button.clicked.connect(self._browse)
        self.workers_box.valueChanged.connect(self._show_parts)

    @property
    def on_disk(self) -> bool:
        """Whether the prediction goes to a disk."""
        return bool(self.kind_combo.currentIndex() == DISK)

    def setOnDisk(self, on_disk: bool) -> None:
        """Choose, as a person does."""
        self._by_person = True
        self.kind_combo.setCurrentIndex(DISK if on_disk else MEMORY)

    def suggest(self, size: int) -> None:
        """Take note of the size of the prediction in bytes."""
        if not self._by_person:
            self.kind_combo.setCurrentIndex(DISK if size > IN_MEMORY_BYTES else MEMORY)

    def propose(self, home: Path, name: str) -> None:
        """Propose a place for the prediction of an image; one that a person chose stays."""
        if not self._path_by_person:
            self.line.setText(str(home / f"{name}{SUFFIX}"))

    def setPath(self, path: str | Path) -> None:
        """Choose a place, as a person does."""
        self._path_by_person = True
        self.line.setText(str(path))

    def propose_another(self) -> None:
        """Put the next free name in place of one that is taken."""
        path = Path(self.line.text().strip())
        stem = path.name.removesuffix(SUFFIX).rstrip("0123456789").rstrip("_")
        number = 2
        while (free := path.with_name(f"{stem}_{number}{SUFFIX}")).exists():
            number += 1
        self.setPath(free)
        self.line.setFocus()

    def setWorkersPossible(self, possible: bool) -> None:
        """Say whether other processes find the image."""
        self._workers_possible = possible
        self._show_parts()

    def place(self, exists: Exists, raw_path: str | None) -> Place:
        """Give the place; raises UserError where it is refused."""
        if not self.on_disk:
            return Place()
        text = self.line.text().strip()
        if not text:
            raise DataError("There is no place for the prediction: enter a folder to make.")
        workers = self.workers_box.value() if self._workers_possible else 0
        command = self.command_line.text().strip() if workers else ""
        return Place(Path(text).expanduser().absolute(), exists, workers, command, raw_path)

    def _on_activated(self, _index: int) -> None:
        self._by_person = True
        self.changed.emit()

    def _on_typed(self) -> None:
        self._path_by_person = True

    def _browse(self) -> None:
        chosen, _ = QFileDialog.getSaveFileName(
            self, "Prediction", self.line.text(), f"OME-Zarr (*{SUFFIX})"
        )
        if chosen:
            self.setPath(chosen if chosen.endswith(".zarr") else f"{chosen}{SUFFIX}")

    def _show_parts(self, _value: object = None) -> None:
        self._on_disk.setVisible(self.on_disk)
        self.workers_box.setEnabled(self._workers_possible)
        self.command_line.setEnabled(self._workers_possible and self.workers_box.value() > 0)


class TakenQuestion(QMessageBox):
    """Asks what to do with a folder that is taken, without holding anything up.

    Signals
    -------
    answered(str)
        ``"resume"``, ``"overwrite"`` or ``"other"``.
    """

    answered = Signal(str)

    def __init__(self, error: DataTakenError, parent: QWidget) -> None:
        super().__init__(parent)
        self.setIcon(QMessageBox.Icon.Question)
        self.setWindowTitle("Prediction")
        self.setText(str(error))
        roles = QMessageBox.ButtonRole
        self.offered = {}
        if error.can_resume:
            self.offered["resume"] = self.addButton("Resume", roles.AcceptRole)
        if error.can_overwrite:
            self.offered["overwrite"] = self.addButton("Overwrite", roles.DestructiveRole)
        self.offered["other"] = self.addButton("Other name", roles.AcceptRole)
        cancel = self.addButton(QMessageBox.StandardButton.Cancel)
        self.setDefaultButton(self.offered.get("resume", self.offered["other"]))
        self.setEscapeButton(cancel)
        self.buttonClicked.connect(self._on_clicked)

    def _on_clicked(self, button: object) -> None:
        for answer, offered in self.offered.items():
            if offered is button:
                self.answered.emit(answer)
        self.deleteLater()
