"""What can be done with the runs of the list."""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from qtpy.QtCore import QObject, QPoint, Qt, QUrl, Signal
from qtpy.QtGui import QDesktopServices
from qtpy.QtWidgets import QMenu, QMessageBox, QWidget

from napari_dacapo_tasks.runs.cluster import ClusterConfig, take_to_cluster
from napari_dacapo_tasks.runs.config import RunConfig
from napari_dacapo_tasks.runs.manage import Difference, delete, differences, duplicate
from napari_dacapo_tasks.runs.pretrained import first_weights, keep_weights, task_in_folder
from napari_dacapo_tasks.runs.run_folder import RunFolder
from napari_dacapo_tasks.runs.run_list import RunState, RunSummary
from napari_dacapo_tasks.runs.warm_start import begin_with
from napari_dacapo_tasks.widgets.cluster_dialog import ask_for_cluster
from napari_dacapo_tasks.widgets.compare_dialog import CompareDialog
from napari_dacapo_tasks.widgets.run_folder_panel import free_folder
from napari_dacapo_tasks.widgets.workers import Job


class RunActions(QObject):
    """The menu of a run: continue, duplicate, begin anew from its weights, compare, delete, ...

    One piece of work at a time; long ones go on in the background.

    Signals
    -------
    opens(object)
        The folder of a run to open in the dock.
    continues(object)
        The folder of a run to open and go on with.
    said(str)
        How far it is, or what came of it.
    failed(object)
        The exception that it ended with.
    changed()
        Runs have come or gone.
    """

    opens = Signal(object)
    continues = Signal(object)
    said = Signal(str)
    failed = Signal(object)
    changed = Signal()

    def __init__(self, parent: QWidget) -> None:
        super().__init__(parent)
        self._parent = parent
        self._doing = ""
        self._then: Callable[[Any], None] = lambda _: None
        self._job = Job(self)
        self._job.yielded.connect(self._on_share)
        self._job.returned.connect(self._on_returned)
        self._job.stopped.connect(lambda: self.said.emit(f"{self._doing}: stopped."))
        self._job.failed.connect(self.failed)
        self.dialog: CompareDialog | None = None
        """The last table of differences."""

    def menu(self, runs: Sequence[RunSummary], dock_is_idle: bool) -> QMenu:
        """Make the menu of some runs, with only that enabled which can be done now."""
        menu = QMenu(self._parent)
        paths = [run.path for run in runs]
        one = len(runs) == 1
        states = {run.state for run in runs}
        whole = RunState.BROKEN not in states
        still = RunState.TRAINING not in states
        free = not self._job.running
        trained = one and whole and runs[0].iteration > 0
        follows = not still and one
        for title, enabled, action in (
            ("Follow" if follows else "Continue", one and whole and dock_is_idle, self._continue),
            ("Duplicate with changes", one and whole and free, self.duplicate),
            ("New run from its weights", trained and free, self.warm_start),
            ("Compare parameters", not one and whole and free, self.compare),
            ("Take to cluster…", one and whole and still and free, self.take_to_cluster),
            ("Open folder", one, self.open_folder),
            ("Delete…", still and free, self.delete),
        ):
            entry = menu.addAction(title)
            entry.setEnabled(enabled)
            # `triggered` would pass whether it is checked.
            entry.triggered.connect(lambda _=False, do=action: do(paths))
        return menu

    def show_menu(self, runs: Sequence[RunSummary], place: QPoint, dock_is_idle: bool) -> None:
        """Show the menu, without holding anything up while it is open."""
        menu = self.menu(runs, dock_is_idle)
        menu.aboutToHide.connect(menu.deleteLater)
        menu.popup(place)

    def duplicate(self, paths: Sequence[Path]) -> None:
        """Make a new run with the same data and parameters, and open it to change them."""
        (path,) = paths
        new = free_folder(_stem(path), path.parent)
        self._start(f"Duplicating {path.name}", partial(_duplicated, path, new), self._open_made)

    def warm_start(self, paths: Sequence[Path]) -> None:
        """Make a new run that begins with the weights of another one, and open it."""
        (path,) = paths
        new = free_folder(_stem(path), path.parent)
        self._start(
            f"Making a run from the weights of {path.name}",
            partial(_warm_started, path, new),
            self._open_made,
        )

    def compare(self, paths: Sequence[Path]) -> None:
        """Show in what runs differ."""
        self._start("Comparing", partial(_compared, list(paths)), self._show_differences)

    def take_to_cluster(self, paths: Sequence[Path]) -> None:
        """Put all data into the folder of a run, and a script for Slurm beside it."""
        (path,) = paths
        ask_for_cluster(self._parent, partial(self._to_cluster, path))

    def open_folder(self, paths: Sequence[Path]) -> None:
        """Show the folder of a run in the desktop's file manager."""
        QDesktopServices.openUrl(QUrl.fromLocalFile(str(paths[0])))

    def delete(self, paths: Sequence[Path]) -> None:
        """Delete runs, once a person has said yes."""
        names = ", ".join(path.name for path in paths)
        question = QMessageBox(
            QMessageBox.Icon.Question,
            "Delete",
            f"Delete {names} with all checkpoints? This cannot be undone.",
            QMessageBox.StandardButton.Yes | QMessageBox.StandardButton.Cancel,
            self._parent,
        )
        question.setDefaultButton(QMessageBox.StandardButton.Cancel)
        question.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        yes = question.button(QMessageBox.StandardButton.Yes)
        yes.clicked.connect(partial(self._delete, list(paths)))
        question.open()

    def end(self) -> None:
        """Stop what goes on and wait until it has cleaned up."""
        self._job.end()

    def _continue(self, paths: Sequence[Path]) -> None:
        self.continues.emit(paths[0])

    def _delete(self, paths: Sequence[Path], _checked: bool = False) -> None:
        names = ", ".join(path.name for path in paths)
        self._start(f"Deleting {names}", partial(_deleted, paths), self._say_deleted)

    def _to_cluster(self, path: Path, config: ClusterConfig) -> None:
        self._start(
            f"Copying the data of {path.name} into its folder",
            partial(_taken, path, config),
            self._say_script,
        )

    def _start(self, doing: str, work: Callable[[], Any], then: Callable[[Any], None]) -> None:
        if self._job.running:
            return
        self._doing, self._then = doing, then
        self.said.emit(f"{doing}…")
        self._job.start(work)

    def _on_share(self, share: float | None) -> None:
        if share is not None:
            self.said.emit(f"{self._doing}: {share:.0%}")

    def _on_returned(self, result: Any) -> None:
        self._then(result)

    def _open_made(self, run: RunFolder) -> None:
        self.said.emit(f"{run.path.name} is there: change what you like, then start it.")
        self.changed.emit()
        self.opens.emit(run.path)

    def _show_differences(self, found: tuple[list[str], list[Difference]]) -> None:
        names, rows = found
        self.said.emit("")
        self.dialog = CompareDialog(names, rows, self._parent)
        self.dialog.show()

    def _say_script(self, script: Path) -> None:
        self.said.emit(f"Copy the folder to the cluster; {script} says how to go on there.")

    def _say_deleted(self, names: list[str]) -> None:
        self.said.emit(f"Deleted {', '.join(names)}.")
        self.changed.emit()


def _stem(path: Path) -> str:
    """Give a name without its number, which the next one has another of."""
    stem, _, number = path.name.rpartition("_")
    return stem if stem and number.isdigit() else path.name


def _duplicated(path: Path, new: Path) -> Generator[float, None, RunFolder]:
    return (yield from duplicate(RunFolder.open(path), new))


def _warm_started(path: Path, new: Path) -> Generator[float | None, None, RunFolder]:
    yield None
    run = RunFolder.open(path)
    task = begin_with(path, run.config.task)
    weights = first_weights(task, run.config.architecture)
    made = yield from duplicate(run, new)
    if weights is not None:
        keep_weights(weights, made.path)
    made.save_config(made.config.model_copy(update={"task": task_in_folder(task)}))
    return made


def _compared(
    paths: Sequence[Path],
) -> Generator[None, None, tuple[list[str], list[Difference]]]:
    yield
    configs: list[RunConfig] = [RunFolder.open(path).config for path in paths]
    return [path.name for path in paths], differences(configs)


def _taken(path: Path, config: ClusterConfig) -> Generator[float, None, Path]:
    return (yield from take_to_cluster(RunFolder.open(path), config))


def _deleted(paths: Sequence[Path]) -> Generator[None, None, list[str]]:
    for path in paths:
        yield
        delete(path)
    return [path.name for path in paths]
