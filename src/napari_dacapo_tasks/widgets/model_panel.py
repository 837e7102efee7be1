"""Which trained network predicts: a run, or an exported file."""

from __future__ import annotations

from collections.abc import Generator, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import napari
from qtpy.QtCore import Signal
from qtpy.QtWidgets import (
    QComboBox,
    QFileDialog,
    QHBoxLayout,
    QLabel,
    QPushButton,
    QVBoxLayout,
    QWidget,
)

from napari_dacapo_tasks.prediction.trained import Checkpoint, TrainedSummary, describe_trained
from napari_dacapo_tasks.runs.run_list import RunState, RunSummary, list_runs
from napari_dacapo_tasks.units import WorldUnit
from napari_dacapo_tasks.widgets.elided_combo import ElidedCombo
from napari_dacapo_tasks.widgets.lifetime import connect_while_alive
from napari_dacapo_tasks.widgets.refused import STYLE, RefusalLabel
from napari_dacapo_tasks.widgets.run_folder_panel import RUNS_HOME
from napari_dacapo_tasks.widgets.session import Session
from napari_dacapo_tasks.widgets.settings import SettingsFile
from napari_dacapo_tasks.widgets.workers import Job

NONE = "Train a network in the Train dock, or choose a run or an exported network."
FILTER = "Exported networks (*.zip *.pt2 *.pt *.pth *.ts);;All files (*)"
MOST_CHECKPOINTS = 20
"""Of a run's checkpoints, the latest are offered by their iteration."""


class ModelPanel(QWidget):
    """Chooses a trained network, and says what it is.

    Offered are the run of the Train dock, the runs of the folder in which runs are kept, recent
    ones, and what a person has chosen.

    Signals
    -------
    changed()
        Another network or checkpoint is chosen, or what is known of it.
    taken()
        A person wants to take the network elsewhere.
    """

    changed = Signal()
    taken = Signal()

    def __init__(
        self, viewer: napari.Viewer, settings: SettingsFile, parent: QWidget | None = None
    ) -> None:
        super().__init__(parent)
        self.setStyleSheet(STYLE)
        self._settings = settings
        self._session = Session.of(viewer)
        self._chosen: list[Path] = []
        self._runs: list[RunSummary] = []
        self._summary: TrainedSummary | None = None
        self._by_person = False
        self.combo = ElidedCombo()
        self.combo.setPlaceholderText("none")
        self.combo.setToolTip("Runs of the Train dock, and networks that were chosen")
        self.folder_button = QPushButton("Run…")
        self.folder_button.setToolTip("Choose the folder of a run, or one exported for DaCapo")
        self.file_button = QPushButton("File…")
        self.file_button.setToolTip(
            "Choose an exported network: a bioimage.io package or a program of PyTorch"
        )
        self.checkpoint_combo = QComboBox()
        self.checkpoint_combo.setToolTip("Which of the run's checkpoints predicts")
        self.take_button = QPushButton("Take elsewhere…")
        self.take_button.setToolTip("Export the network for other programs")
        self._said = QLabel()
        self._said.setWordWrap(True)
        self._refusal = RefusalLabel()

        first = QHBoxLayout()
        first.addWidget(self.combo, 1)
        first.addWidget(self.folder_button)
        first.addWidget(self.file_button)
        second = QHBoxLayout()
        second.addWidget(self.checkpoint_combo, 1)
        second.addWidget(self.take_button)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(4)
        layout.addLayout(first)
        layout.addWidget(self._said)
        layout.addWidget(self._refusal)
        layout.addLayout(second)

        self._list_job = Job(self)
        self._list_job.returned.connect(self._on_listed)
        self._job = Job(self)
        self._job.returned.connect(self._on_described)
        self._job.failed.connect(self._on_failed)
        self.combo.activated.connect(self._on_activated)
        self.checkpoint_combo.activated.connect(lambda _: self.changed.emit())
        self.folder_button.clicked.connect(self._browse_folder)
        self.file_button.clicked.connect(self._browse_file)
        self.take_button.clicked.connect(self.taken)
        connect_while_alive(self, self._session.run_changed, self._on_session)
        self._offer_checkpoints(None)
        self._say(NONE)
        self.refresh()

    @property
    def summary(self) -> TrainedSummary | None:
        """What is known of the network; None while that is looked up, and where it is refused."""
        return self._summary

    @property
    def busy(self) -> bool:
        """Whether the network is being looked at."""
        return self._job.running

    @property
    def text(self) -> str:
        """What is said of the network, or why it is refused."""
        return str(self._refusal.text() or self._said.text())

    def model(self) -> Path | None:
        """Give the path of the network, None while none is chosen."""
        path = self.combo.currentData()
        return None if path is None else Path(path)

    def checkpoint(self) -> Checkpoint:
        """Give which of its checkpoints is chosen."""
        chosen: Checkpoint = self.checkpoint_combo.currentData()
        return chosen

    def setModel(self, path: str | Path) -> None:
        """Choose a network: a run folder, or what was exported."""
        path = Path(path).expanduser().absolute()
        self._by_person = True
        if path not in self._chosen and self.combo.findData(str(path)) < 0:
            self._chosen.append(path)
        self._fill(path)
        self.look()

    def offer(self, path: Path) -> None:
        """Let a network be among those to choose from."""
        if path not in self._chosen:
            self._chosen.append(path)
            self._fill(self.model())

    def setCheckpoint(self, checkpoint: Checkpoint) -> None:
        """Choose a checkpoint."""
        index = self.checkpoint_combo.findData(checkpoint)
        if index >= 0:
            self.checkpoint_combo.setCurrentIndex(index)
            self.changed.emit()

    def look(self) -> None:
        """Look at the network again, in the background."""
        path = self.model()
        self._summary = None
        if path is None:
            self._job.stop()
            self._say(NONE)
            self._offer_checkpoints(None)
        else:
            self._say("Looking…")
            self._job.start(partial(_described, path))
        self.changed.emit()

    def refresh(self) -> None:
        """Look for runs again, in the background."""
        if not self._list_job.running:
            settings = self._settings.value
            home = Path(settings.runs_home) if settings.runs_home else RUNS_HOME.expanduser()
            self._list_job.start(partial(_listed, [home, *map(Path, settings.recent)]))

    def showEvent(self, event: Any) -> None:
        """Look for runs when there may be others."""
        super().showEvent(event)
        self._settings.look()
        self.refresh()
        if self.model() is not None and not self._job.running:
            self.look()  # it may have been trained further

    def end(self) -> None:
        """End what goes on in the background, and wait for it."""
        self._list_job.end()
        self._job.end()

    def _on_session(self) -> None:
        self._settings.look()
        self.refresh()
        run = self._session.run
        self._fill(run if run is not None and not self._by_person else self.model())
        self.look()

    def _on_listed(self, runs: list[RunSummary]) -> None:
        self._runs = runs
        before = self.model()
        self._fill(before)
        if self.model() != before:
            self.look()

    def _fill(self, chosen: Path | None) -> None:
        """Offer what there is, each once."""
        self.combo.blockSignals(True)
        self.combo.clear()
        offered: set[Path] = set()
        run = self._session.run
        if run is not None:
            self._offer(run, f"{run.name} (Train dock)", offered)
        for path in self._chosen:
            self._offer(path, path.name, offered)
        for one in self._runs:
            if one.state is not RunState.BROKEN and one.iteration > 0:
                self._offer(one.path, one.name, offered)
        if chosen is not None:
            self._offer(chosen, chosen.name, offered)
        index = -1 if chosen is None else self.combo.findData(str(chosen))
        if index < 0 and not self._by_person and self.combo.count():
            index = 0
        self.combo.setCurrentIndex(index)
        self.combo.blockSignals(False)

    def _offer(self, path: Path, title: str, offered: set[Path]) -> None:
        if path not in offered:
            offered.add(path)
            self.combo.addItem(title, str(path))
            self.combo.setItemData(self.combo.count() - 1, str(path), 3)

    def _on_activated(self, _index: int) -> None:
        self._by_person = True
        self.look()

    def _on_described(self, summary: TrainedSummary) -> None:
        self._summary = summary
        self._say(described(summary))
        self._offer_checkpoints(summary)
        self.changed.emit()

    def _on_failed(self, error: Exception) -> None:
        self._say("", str(error))
        self._offer_checkpoints(None)
        self.changed.emit()

    def _offer_checkpoints(self, summary: TrainedSummary | None) -> None:
        before = self.checkpoint_combo.currentData()
        self.checkpoint_combo.clear()
        self.checkpoint_combo.addItem("best checkpoint", "best")
        self.checkpoint_combo.addItem("latest checkpoint", "latest")
        for iteration in reversed(summary.iterations[-MOST_CHECKPOINTS:] if summary else ()):
            self.checkpoint_combo.addItem(f"after {iteration} iterations", iteration)
        self.checkpoint_combo.setCurrentIndex(max(0, self.checkpoint_combo.findData(before)))
        is_run = summary is not None and summary.run is not None
        self.checkpoint_combo.setVisible(is_run)
        self.take_button.setVisible(summary is not None)

    def _say(self, text: str, refusal: str = "") -> None:
        self._said.setText(text)
        self._said.setVisible(bool(text))
        self._refusal.say(refusal)

    def _browse_folder(self) -> None:
        chosen = QFileDialog.getExistingDirectory(self, "Trained network", self._folder())
        if chosen:
            self.setModel(chosen)

    def _browse_file(self) -> None:
        chosen, _ = QFileDialog.getOpenFileName(self, "Exported network", self._folder(), FILTER)
        if chosen:
            self.setModel(chosen)

    def _folder(self) -> str:
        path = self.model()
        return str(path.parent if path is not None else Path.home())


def described(summary: TrainedSummary) -> str:
    """Say what a network is, in a few words."""
    task = summary.task
    parts = [f"{task.title} '{task.name}'" if task.name else task.title]
    if summary.iteration:
        parts.append(f"{summary.iteration} iterations")
    if summary.criterion is not None and summary.score is not None:
        parts.append(f"{summary.criterion.title} {summary.score:.3g}")
    if summary.voxel_size:
        parts.append(f"voxels of {WorldUnit(summary.unit).describe(summary.voxel_size)}")
    else:
        parts.append("voxel size not known")
    return ", ".join(parts)


def _described(path: Path) -> Generator[None, None, TrainedSummary]:
    yield
    return describe_trained(path)


def _listed(folders: Sequence[Path]) -> Generator[None, None, list[RunSummary]]:
    yield
    return list_runs(folders)
