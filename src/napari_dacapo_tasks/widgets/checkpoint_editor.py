"""A line for the path of a checkpoint, with a button to look for it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from qtpy.QtWidgets import QFileDialog, QLineEdit, QPushButton
from typing_extensions import override

from napari_dacapo_tasks.errors import UserError
from napari_dacapo_tasks.runs.run_folder import CHECKPOINTS, RunFolder
from napari_dacapo_tasks.widgets.fields import FieldEditor
from napari_dacapo_tasks.widgets.refused import frame

FILE_TYPES = "Checkpoints (*.pt *.pth *.ckpt);;All files (*)"


class CheckpointEditor(FieldEditor):
    """Edits the path of a checkpoint; of a run folder the latest one is taken."""

    wide = True

    def __init__(self) -> None:
        self.line = QLineEdit()
        self.line.setPlaceholderText("a checkpoint, or a run folder")
        self.browse_button = QPushButton("Browse…")
        self.browse_button.setToolTip("Look for a checkpoint of this program or of DaCapo")
        super().__init__(self.line, self.browse_button)
        self.setFocusProxy(self.line)
        self.line.textEdited.connect(lambda _: self.changed.emit())
        self.line.editingFinished.connect(self._on_left)
        self.browse_button.clicked.connect(self._browse)

    @override
    def value(self) -> str:
        text = self.line.text().strip()
        if not text:  # previews need none, and who wants to train is told
            return ""
        path = Path(text).expanduser()
        if path.is_dir():
            return str(_latest_in(path))
        if not path.is_file():
            raise ValueError(f"there is no file {path}: choose another checkpoint")
        return str(path)

    @override
    def setValue(self, value: Any) -> None:
        self.line.setText(str(value))

    @override
    def setRefused(self, refused: bool) -> None:
        frame(self.line, refused)
        self.line.setToolTip(self.line.text() or self.toolTip())

    def _on_left(self) -> None:
        """Put the checkpoint in the place of its run folder."""
        try:
            found = self.value()
        except ValueError:
            return  # the form says so
        if found != self.line.text():
            self.line.setText(found)
            self.changed.emit()

    def _browse(self) -> None:
        text = self.line.text().strip()
        here = Path(text).expanduser() if text else Path.home()
        nearest = next((path for path in (here, *here.parents) if path.exists()), Path.home())
        chosen, _ = QFileDialog.getOpenFileName(self, "Checkpoint", str(nearest), FILE_TYPES)
        if chosen:
            self.line.setText(chosen)
            self.changed.emit()


def _latest_in(folder: Path) -> Path:
    """Give the latest checkpoint of a run; ValueError with a sentence where there is none."""
    folder = folder.parent if folder.name == CHECKPOINTS else folder
    try:
        latest = RunFolder.open(folder).latest_checkpoint()
    except UserError:
        raise ValueError(f"{folder} is no run folder: choose a checkpoint file") from None
    if latest is None:
        raise ValueError(f"the run {folder} has no checkpoint yet: train it first")
    return latest
