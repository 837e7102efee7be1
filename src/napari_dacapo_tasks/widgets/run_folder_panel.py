"""Which folder a run goes to, or lies in."""

from __future__ import annotations

import re
from functools import partial
from pathlib import Path

from qtpy.QtCore import QTimer, Signal
from qtpy.QtWidgets import (
    QFileDialog,
    QHBoxLayout,
    QLabel,
    QLineEdit,
    QPushButton,
    QVBoxLayout,
    QWidget,
)

from napari_dacapo_tasks.widgets.run_events import FoundRun
from napari_dacapo_tasks.widgets.run_reading import look_into
from napari_dacapo_tasks.widgets.workers import Job

RUNS_HOME = Path("~/napari-dacapo-runs")
"""Where runs are kept unless a person chooses another place."""

UNNAMED = "run"
"""Name of folders until there is a task."""

TYPING_MILLISECONDS = 300
"""So long after the last key the folder is looked into."""


class RunFolderPanel(QWidget):
    """A path, and what is there: nothing yet, or a run to go on with.

    A new folder is proposed, numbered and named after the task, until a person chooses one.

    Signals
    -------
    looked()
        The path is another one, or has been looked into anew; `found` and `busy` are up to date.
    failed(object)
        The exception of a run that cannot be read.
    """

    looked = Signal()
    failed = Signal(object)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.found: FoundRun | None = None
        """The run in the folder."""
        self.busy = False
        """Whether the folder is still to be looked into."""
        self._name = UNNAMED
        self._home: Path | None = None
        self._chosen = False
        self.line = QLineEdit()
        self.line.setToolTip(
            "Holds everything of the run: its parameters, data, checkpoints and losses"
        )
        self.browse_button = QPushButton("Browse…")
        self.browse_button.setToolTip("Choose a new or empty folder, or a run to go on with")
        self.new_button = QPushButton("New")
        self.new_button.setToolTip("Propose a new folder, for a new run")
        self._said = QLabel()
        self._said.setWordWrap(True)

        buttons = QHBoxLayout()
        buttons.addWidget(self._said, 1)
        buttons.addWidget(self.new_button)
        buttons.addWidget(self.browse_button)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(self.line)
        layout.addLayout(buttons)

        self._timer = QTimer(self)
        self._timer.setSingleShot(True)
        self._timer.setInterval(TYPING_MILLISECONDS)
        self._timer.timeout.connect(self.look)
        self._job = Job(self)
        self._job.returned.connect(self._on_found)
        self._job.failed.connect(self._on_failed)
        self.line.textEdited.connect(self._on_typed)
        self.line.editingFinished.connect(self._on_typed_all)
        self.browse_button.clicked.connect(self._browse)
        self.new_button.clicked.connect(self.propose_anew)
        self.propose_anew()

    def path(self) -> Path | None:
        """Give the folder, None while there is none."""
        text = self.line.text().strip()
        return Path(text).expanduser().absolute() if text else None

    def setPath(self, path: str | Path) -> None:
        """Choose a folder."""
        self._chosen = True
        self.line.setText(str(path))
        self.look()

    @property
    def home(self) -> Path:
        """Folder in which new ones are proposed."""
        return (self._home or RUNS_HOME).expanduser()

    def setHome(self, home: Path | None) -> None:
        """Propose new folders elsewhere; None for the usual place."""
        if home != self._home:
            self._home = home
            if not self._chosen:
                self.propose_anew()

    def setName(self, name: str) -> None:
        """Name what new folders are called after; one that a person chose stays."""
        if name != self._name:
            self._name = name
            if not self._chosen:
                self.propose_anew()

    def propose_anew(self) -> None:
        """Put the next free folder in place of what is there."""
        self._chosen = False
        self.line.setText(str(free_folder(self._name, self.home)))
        self.look()

    def showTraining(self) -> None:
        """Say that the run in the folder is being trained."""
        self._say("Is being trained.")

    def look(self) -> None:
        """Look into the folder, in the background."""
        self._timer.stop()
        path = self.path()
        self.found = None
        self.busy = path is not None
        if path is None:
            self._job.stop()
            self._say("Choose a folder for the run.")
        else:
            self._say("Looking into the folder…")
            self._job.start(partial(look_into, path))
        self.looked.emit()

    def _on_typed(self) -> None:
        self._chosen = True
        self.busy = True
        self._timer.start()
        self.looked.emit()

    def _on_typed_all(self) -> None:
        if self._timer.isActive():
            self.look()

    def _on_found(self, found: FoundRun | None) -> None:
        if self._timer.isActive():
            return  # somebody types on
        self.found, self.busy = found, False
        path = self.path()
        if found is not None:
            # What is there was used or chosen: another task does not take its place.
            self._chosen = True
            total = found.run.config.trainer.iterations
            training = ", and is being trained" if found.is_training else ""
            self._say(f"Holds a run of {found.iteration or 0} of {total} iterations{training}.")
        elif path is not None and path.exists() and not path.is_dir():
            self._say("Is a file: choose a folder.")
        elif path is not None and path.is_dir() and any(path.iterdir()):
            self._say("Is not empty and holds no run: choose another.")
        else:
            self._say("Will be made.")
        self.looked.emit()

    def _on_failed(self, error: Exception) -> None:
        self.busy = False
        self._say("Holds a run that cannot be read.")
        self.failed.emit(error)
        self.looked.emit()

    def _browse(self) -> None:
        path = self.path()
        nearest = next((p for p in (path, *path.parents) if p.is_dir()), None) if path else None
        chosen = QFileDialog.getExistingDirectory(self, "Run folder", str(nearest or Path.home()))
        if chosen:
            self.setPath(chosen)

    def _say(self, text: str) -> None:
        self._said.setText(text)


def free_folder(name: str, home: Path | None = None) -> Path:
    """Give the first numbered folder that does not exist yet, by default in the usual place."""
    plain = re.sub(r"[^\w.-]+", "_", name).strip("._") or UNNAMED
    home = RUNS_HOME.expanduser() if home is None else home
    number = 1
    while (folder := home / f"{plain}_{number}").exists():
        number += 1
    return folder
