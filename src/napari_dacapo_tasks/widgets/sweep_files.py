"""Sweeps in files: saving what was found, and showing it again."""

from __future__ import annotations

from functools import partial
from pathlib import Path

from qtpy.QtCore import Signal
from qtpy.QtWidgets import QFileDialog, QHBoxLayout, QLabel, QMenu, QPushButton, QWidget

from napari_dacapo_tasks.evaluation.records import saved_sweeps
from napari_dacapo_tasks.evaluation.sweep import SweepResult
from napari_dacapo_tasks.widgets.sweep_work import Swept, opened, saved_as, saved_in_run
from napari_dacapo_tasks.widgets.workers import Job

MOST_EARLIER = 15
"""Sweeps of a run that the menu offers, the latest first."""


class SweepFiles(QWidget):
    """Says what is shown and where it is kept, and saves it where it is not.

    Signals
    -------
    found(object)
        A `Swept` that was opened or saved.
    failed(object)
        An exception to show.
    """

    found = Signal(object)
    failed = Signal(object)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._run: Path | None = None
        self._unsaved: Swept | None = None
        self.said = QLabel()
        self.said.setWordWrap(True)
        self.said.setMinimumWidth(1)
        self.save_button = QPushButton("Save…")
        self.save_button.setToolTip("Save what was found as CSV and JSON")
        self.save_button.hide()
        self.earlier_button = QPushButton("Earlier")
        self.earlier_button.setToolTip("Show a sweep that was saved")
        self._menu = QMenu(self.earlier_button)
        self.earlier_button.setMenu(self._menu)
        line = QHBoxLayout(self)
        line.setContentsMargins(0, 0, 0, 0)
        line.addWidget(self.said, 1)
        line.addWidget(self.save_button)
        self._job = Job(self)
        self._job.returned.connect(self.found)
        self._job.failed.connect(self.failed)
        self.save_button.clicked.connect(self.save)
        self._menu.aboutToShow.connect(self._fill_menu)

    def setRun(self, run: Path | None) -> None:
        """Offer the sweeps of a run."""
        self._run = run

    def tell(self, found: Swept, begin: str = "") -> None:
        """Say what is shown and where it is kept, and offer to save it where it is not."""
        result, path = found.result, found.path
        self._unsaved = found if path is None else None
        self.save_button.setText("Save…" if _run_of(found) is None else "Save")
        self.save_button.setVisible(path is None)
        where = "not saved yet" if path is None else f"saved as {path.name}"
        sentences = [f"{begin}{_summary(result)}, {where}.", *result.notices]
        self.said.setText(" ".join(sentences))
        self.said.setToolTip("" if path is None else str(path))

    def clear(self) -> None:
        """Say nothing: something else is coming."""
        self._unsaved = None
        self.save_button.hide()
        self.said.clear()

    def open_sweep(self, path: Path) -> None:
        """Show a sweep that was saved."""
        self._job.start(partial(opened, path))

    def save(self) -> None:
        """Save what is shown into the folder of the run, or ask where to."""
        if self._unsaved is None:
            return
        result, run = self._unsaved.result, _run_of(self._unsaved)
        if run is not None:
            self._job.start(partial(saved_in_run, result, run))
            return
        path, _ = QFileDialog.getSaveFileName(
            self, "Save the sweep", str(Path.home() / "sweep.csv"), "CSV and JSON (*.csv)"
        )
        if path:
            self._job.start(partial(saved_as, result, Path(path)))

    def end(self) -> None:
        """Leave all work and wait until it has cleaned up."""
        self._job.end()

    def _fill_menu(self) -> None:
        self._menu.clear()
        of_run = saved_sweeps(self._run) if self._run is not None else []
        for path in reversed(of_run[-MOST_EARLIER:]):
            self._menu.addAction(path.stem, partial(self.open_sweep, path))
        self._menu.addSeparator()
        self._menu.addAction("File…", self._choose_file)

    def _choose_file(self) -> None:
        path, _ = QFileDialog.getOpenFileName(
            self, "Sweep", str(self._run or Path.home()), "Sweeps (*.json);;All files (*)"
        )
        if path:
            self.open_sweep(Path(path))


def _run_of(found: Swept) -> Path | None:
    """Give the run to save into; where it could not take it, another place is asked for."""
    return found.run if found.error is None else None


def _summary(result: SweepResult) -> str:
    """Say what a result is about, in a few words."""
    number = len(result.rows)
    failed = sum(bool(row.error) for row in result.rows)
    plural = "" if number == 1 else "s"
    of_it = f", {failed} of them failed" if failed else ""
    return f"{result.method}, {number} combination{plural}{of_it}"
