"""The run itself: its buttons, and tabs with curves, log and all runs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import napari
from qtpy.QtCore import QPoint, Signal
from qtpy.QtWidgets import QTabWidget, QVBoxLayout, QWidget

from napari_dacapo_tasks.runs.run_list import RunSummary
from napari_dacapo_tasks.widgets.comparison import Comparison
from napari_dacapo_tasks.widgets.curves import PRESENT, Curves
from napari_dacapo_tasks.widgets.histories import RunHistory
from napari_dacapo_tasks.widgets.lifetime import connect_while_alive
from napari_dacapo_tasks.widgets.log_pane import LogPane
from napari_dacapo_tasks.widgets.notices import Notice
from napari_dacapo_tasks.widgets.run_actions import RunActions
from napari_dacapo_tasks.widgets.run_controls import RunControls, State
from napari_dacapo_tasks.widgets.run_list import RunList
from napari_dacapo_tasks.widgets.session import Session
from napari_dacapo_tasks.widgets.settings import SettingsFile


class RunView(QWidget):
    """Everything below the forms of the Train dock.

    Parameters
    ----------
    viewer
        For the colours of its theme.
    settings
        What is chosen here is kept there.

    Signals
    -------
    opens(object), continues(object)
        The folder of a run that a person wants to see, or to go on with.
    homeChosen(object)
        Another folder in which runs are kept.
    """

    opens = Signal(object)
    continues = Signal(object)
    homeChosen = Signal(object)

    def __init__(
        self, viewer: napari.Viewer, settings: SettingsFile, parent: QWidget | None = None
    ) -> None:
        super().__init__(parent)
        self._settings = settings
        self._session = Session.of(viewer)
        self._home = Path()
        self._present: Path | None = None
        self.notice = Notice()
        self.controls = RunControls()
        self.curves = Curves(viewer)
        self.log = LogPane()
        self.runs = RunList(self._folders)
        self.actions = RunActions(self)
        self.comparison = Comparison(self)
        self.tabs = QTabWidget()
        self.tabs.setDocumentMode(True)
        self.tabs.tabBar().setDrawBase(False)  # a white line in both themes
        for title, tab in (("Curves", self.curves), ("Log", self.log), ("Runs", self.runs)):
            self.tabs.addTab(tab, title)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(8, 4, 8, 8)
        layout.setSpacing(4)
        layout.addWidget(self.notice)
        layout.addWidget(self.controls)
        layout.addWidget(self.tabs, 1)

        self.show_settings()
        self.curves.chosen.connect(self._on_choices)
        self.controls.apartChosen.connect(lambda on: settings.change(own_process=on))
        self.runs.opened.connect(self.opens)
        self.runs.compared.connect(self._compare)
        self.runs.asked.connect(self._show_menu)
        self.runs.looked.connect(self.comparison.refresh)
        self.runs.failed.connect(self.notice.show_error)
        self.runs.homeChosen.connect(self.homeChosen)
        self.comparison.changed.connect(self._on_compared)
        self.actions.opens.connect(self.opens)
        self.actions.continues.connect(self.continues)
        self.actions.said.connect(self._on_said)
        self.actions.failed.connect(self.notice.show_error)
        self.actions.changed.connect(self.runs.refresh)
        connect_while_alive(self, viewer.events.theme, self._show_colours)

    @property
    def present(self) -> Path | None:
        """Folder of the run that is in the dock, None for one that is still to be made."""
        return self._present

    @property
    def apart(self) -> bool:
        """Whether runs are to be trained in a process of their own."""
        return bool(self.controls.apart_box.isChecked())

    def show_settings(self) -> None:
        """Choose what was chosen the last time."""
        settings = self._settings.value
        self.curves.setChoices(settings.log_scale, settings.score)
        self.controls.apart_box.setChecked(settings.own_process)

    def setHome(self, home: Path) -> None:
        """List the runs of a folder, and the recent ones."""
        self._home = home
        self.runs.setHome(home)
        self.runs.refresh()

    def show_present(self, path: Path | None) -> None:
        """Say which run is in the dock: it is not compared with itself."""
        self._present = path
        self._session.set_run(path)
        self._compare(self.runs.checked)

    def show_curves(self) -> None:
        """Bring the curves to the front."""
        self.tabs.setCurrentWidget(self.curves)

    def end(self) -> None:
        """End what goes on in the background, and wait for it."""
        self.actions.end()

    def _folders(self) -> list[Path]:
        return [self._home, *map(Path, self._settings.value.recent)]

    def _compare(self, paths: Sequence[Path]) -> None:
        self.comparison.choose([path for path in paths if path != self._present])

    def _on_compared(self, histories: Mapping[Path, RunHistory]) -> None:
        self.curves.set_others(dict(histories.items()))
        self._show_colours()

    def _show_colours(self, _event: object = None) -> None:
        present, curves = self._present, self.curves
        self.runs.setColours(lambda path: curves.colour_of(PRESENT if path == present else path))

    def _show_menu(self, runs: Sequence[RunSummary], place: QPoint) -> None:
        self.actions.show_menu(runs, place, self.controls.state is State.IDLE)

    def _on_choices(self) -> None:
        self._settings.change(log_scale=self.curves.log_scale, score=self.curves.score)

    def _on_said(self, text: str) -> None:
        if text:
            self.notice.show_info(text)
        else:
            self.notice.clear()
