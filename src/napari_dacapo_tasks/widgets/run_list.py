"""The runs that there are, with how far they are."""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from qtpy.QtCore import QPoint, Qt, QTimer, Signal
from qtpy.QtGui import QColor, QIcon, QPixmap
from qtpy.QtWidgets import (
    QAbstractItemView,
    QFileDialog,
    QHBoxLayout,
    QHeaderView,
    QLabel,
    QToolButton,
    QTreeWidget,
    QTreeWidgetItem,
    QVBoxLayout,
    QWidget,
)

from napari_dacapo_tasks.runs.run_list import RunState, RunSummary, list_runs
from napari_dacapo_tasks.widgets.workers import Job

REFRESH_MILLISECONDS = 5000
"""From one look at all runs to the next, while they are in sight."""

NAME, STATE, ITERATION, SCORE = range(4)
BOXES = """
QTreeView::indicator { width: 11px; height: 11px; }
QTreeView::indicator:unchecked { background: transparent; border: 1px solid #8a8f98; }
QTreeView::indicator:checked { background: #8a8f98; border: 1px solid #8a8f98; }
"""
"""Boxes that can be seen in both themes: napari's own are as dark as what is behind them."""

SWATCH = 10
"""Pixels of a run's colour beside its name."""


class RunList(QWidget):
    """Runs of the home folder and recent ones: checked to compare, double-clicked to open.

    It looks anew every few seconds while it is in sight.

    Signals
    -------
    opened(object)
        The folder of the run that was double-clicked.
    compared(object)
        The folders that are checked.
    asked(object, object)
        Runs that a menu is wanted for, and where on the screen.
    homeChosen(object)
        Another folder in which runs are kept.
    looked()
        The runs are up to date.
    failed(object)
        The exception of a look that failed.
    """

    opened = Signal(object)
    compared = Signal(object)
    asked = Signal(object, object)
    homeChosen = Signal(object)
    looked = Signal()
    failed = Signal(object)

    def __init__(
        self, folders: Callable[[], Sequence[Path]], parent: QWidget | None = None
    ) -> None:
        super().__init__(parent)
        self._folders = folders
        self._runs: dict[Path, RunSummary] = {}
        self._checked: list[Path] = []
        self._colour: Callable[[Path], str] = lambda _: ""
        self.tree = QTreeWidget()
        self.tree.setColumnCount(4)
        self.tree.setHeaderLabels(["Run", "State", "Iteration", "Best"])
        self.tree.setRootIsDecorated(False)
        self.tree.setStyleSheet(BOXES)
        self.tree.setUniformRowHeights(True)
        self.tree.setSelectionMode(QAbstractItemView.SelectionMode.ExtendedSelection)
        self.tree.setContextMenuPolicy(Qt.ContextMenuPolicy.CustomContextMenu)
        self.tree.setExpandsOnDoubleClick(False)
        header = self.tree.header()
        header.setStretchLastSection(False)
        header.setSectionResizeMode(NAME, QHeaderView.ResizeMode.Stretch)
        for column in (STATE, ITERATION, SCORE):
            header.setSectionResizeMode(column, QHeaderView.ResizeMode.ResizeToContents)
        self._home = QLabel()
        self._home.setMinimumWidth(1)  # a long path is cut rather than making the dock wider
        self.home_button = QToolButton()
        self.home_button.setText("…")
        self.home_button.setToolTip("Choose another folder in which runs are kept")
        self.refresh_button = QToolButton()
        self.refresh_button.setText("↻")
        self.refresh_button.setToolTip("Look for runs again")
        self.actions_button = QToolButton()
        self.actions_button.setText("Actions ▾")
        self.actions_button.setToolTip("What can be done with the chosen runs: as a right-click")
        self.actions_button.setEnabled(False)
        line = QHBoxLayout()
        line.addWidget(self.actions_button)
        line.addWidget(self._home, 1)
        line.addWidget(self.home_button)
        line.addWidget(self.refresh_button)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(4)
        layout.addWidget(self.tree, 1)
        layout.addLayout(line)

        self._job = Job(self)
        self._job.returned.connect(self._on_listed)
        self._job.failed.connect(self.failed)
        self._timer = QTimer(self)
        self._timer.setInterval(REFRESH_MILLISECONDS)
        self._timer.timeout.connect(self.refresh)
        self.tree.itemChanged.connect(self._on_changed)
        self.tree.itemDoubleClicked.connect(lambda item, _: self.opened.emit(_path_of(item)))
        self.tree.customContextMenuRequested.connect(self._on_menu)
        self.tree.itemSelectionChanged.connect(self._on_selected)
        self.actions_button.clicked.connect(self._on_actions)
        self.refresh_button.clicked.connect(self.refresh)
        self.home_button.clicked.connect(self._choose_home)

    @property
    def runs(self) -> dict[Path, RunSummary]:
        """What was found, by folder."""
        return dict(self._runs)

    @property
    def checked(self) -> list[Path]:
        """The runs that are checked, in the order in which that was done."""
        return list(self._checked)

    def setChecked(self, path: Path, checked: bool) -> None:
        """Check a run, or uncheck it."""
        state = Qt.CheckState.Checked if checked else Qt.CheckState.Unchecked
        for item in self._items():
            if _path_of(item) == path:
                item.setCheckState(NAME, state)

    def setColours(self, colour: Callable[[Path], str]) -> None:
        """Show in which colour each run is drawn, where it is."""
        self._colour = colour
        self.tree.blockSignals(True)
        for item in self._items():
            item.setIcon(NAME, _swatch(colour(_path_of(item))))
        self.tree.blockSignals(False)

    def setHome(self, home: Path) -> None:
        """Say where runs are kept."""
        short = str(home).replace(str(Path.home()), "~", 1)
        self._home.setText(short)
        self._home.setToolTip(f"Runs are kept in {home}")

    def refresh(self) -> None:
        """Look at all runs, in the background."""
        if not self._job.running:
            self._job.start(partial(_listed, list(self._folders())))

    def showEvent(self, event: Any) -> None:
        """Begin to look now and then."""
        super().showEvent(event)
        self.refresh()
        self._timer.start()

    def hideEvent(self, event: Any) -> None:
        """Look no more."""
        self._timer.stop()
        super().hideEvent(event)

    def _on_listed(self, runs: list[RunSummary]) -> None:
        before = self._checked
        found = {run.path: run for run in runs}
        # What is there stays in its place, whatever is written: nothing moves under the mouse.
        order = [path for path in found if path not in self._runs]
        order += [path for path in self._runs if path in found]
        self._runs = {path: found[path] for path in order}
        self._checked = [path for path in before if path in self._runs]
        chosen = {_path_of(item) for item in self.tree.selectedItems()}
        current = self.tree.currentItem()
        current_path = None if current is None else _path_of(current)
        self.tree.blockSignals(True)
        items = {_path_of(item): item for item in self._items()}
        if list(items) != list(self._runs):
            scrolled = self.tree.verticalScrollBar().value()
            self.tree.clear()
            items = {path: QTreeWidgetItem() for path in self._runs}
            self.tree.addTopLevelItems(list(items.values()))
            for path, item in items.items():
                item.setData(NAME, Qt.ItemDataRole.UserRole, path)
                item.setSelected(path in chosen)
                if path == current_path:
                    self.tree.setCurrentItem(
                        item, NAME, self.tree.selectionModel().SelectionFlag.NoUpdate
                    )
            self.tree.verticalScrollBar().setValue(scrolled)
        for path, item in items.items():
            self._fill(item, self._runs[path])
        self.tree.blockSignals(False)
        self._on_selected()
        if self._checked != before:
            self.compared.emit(self.checked)
        self.looked.emit()

    def _fill(self, item: QTreeWidgetItem, run: RunSummary) -> None:
        checked = run.path in self._checked
        item.setCheckState(NAME, Qt.CheckState.Checked if checked else Qt.CheckState.Unchecked)
        item.setIcon(NAME, _swatch(self._colour(run.path)))
        known = run.state is not RunState.BROKEN
        texts = {
            NAME: run.name,
            STATE: run.state.value,
            ITERATION: f"{run.iteration}/{run.iterations}" if known else "",
            SCORE: "" if run.score is None else f"{run.score:.3g}",
        }
        tip = _tip(run)
        for column, text in texts.items():
            item.setText(column, text)
            item.setToolTip(column, tip)
        for column in (ITERATION, SCORE):
            item.setTextAlignment(
                column, Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter
            )

    def _items(self) -> list[QTreeWidgetItem]:
        return [self.tree.topLevelItem(index) for index in range(self.tree.topLevelItemCount())]

    def _on_changed(self, item: QTreeWidgetItem, column: int) -> None:
        path = _path_of(item)
        checked = item.checkState(NAME) == Qt.CheckState.Checked
        if column == NAME and checked != (path in self._checked):
            others = [one for one in self._checked if one != path]
            self._checked = [*others, path] if checked else others
            self.compared.emit(self.checked)

    def _on_selected(self) -> None:
        self.actions_button.setEnabled(bool(self.tree.selectedItems()))

    def _on_menu(self, position: QPoint) -> None:
        self._ask(self.tree.viewport().mapToGlobal(position))

    def _on_actions(self) -> None:
        self._ask(self.actions_button.mapToGlobal(QPoint(0, self.actions_button.height())))

    def _ask(self, place: QPoint) -> None:
        chosen = [self._runs[_path_of(item)] for item in self.tree.selectedItems()]
        if chosen:
            self.asked.emit(chosen, place)

    def _choose_home(self) -> None:
        chosen = QFileDialog.getExistingDirectory(self, "Where runs are kept", str(Path.home()))
        if chosen:
            self.homeChosen.emit(Path(chosen))


def _listed(folders: Sequence[Path]) -> Generator[None, None, list[RunSummary]]:
    yield
    return list_runs(folders)


def _path_of(item: QTreeWidgetItem) -> Path:
    path = item.data(NAME, Qt.ItemDataRole.UserRole)
    assert isinstance(path, Path)
    return path


def _swatch(colour: str) -> QIcon:
    pixmap = QPixmap(SWATCH, SWATCH)
    pixmap.fill(QColor(colour) if colour else Qt.GlobalColor.transparent)
    return QIcon(pixmap)


def _tip(run: RunSummary) -> str:
    lines = [str(run.path), run.task, run.flaw]
    if run.loss is not None:
        lines.append(f"loss {run.loss:.4g}")
    if run.score is not None:
        lines.append(f"best {run.criterion} {run.score:.4g}")
    if run.modified is not None:
        lines.append(f"last written {run.modified:%Y-%m-%d %H:%M}")
    return "\n".join(line for line in lines if line)
