"""The Predict dock: from a trained network to a segmentation with its scores."""

from __future__ import annotations

from typing import Any

import napari.viewer
from qtpy.QtWidgets import QTabWidget, QVBoxLayout, QWidget

from napari_dacapo_tasks.widgets.closing import EndOnClose
from napari_dacapo_tasks.widgets.notices import Notice
from napari_dacapo_tasks.widgets.predict_session import PredictSession
from napari_dacapo_tasks.widgets.predict_tab import PredictTab
from napari_dacapo_tasks.widgets.score_tab import ScoreTab
from napari_dacapo_tasks.widgets.segment_tab import SegmentTab
from napari_dacapo_tasks.widgets.settings import SettingsFile
from napari_dacapo_tasks.widgets.sweep_tab import SweepTab
from napari_dacapo_tasks.widgets.truth_chooser import TruthChooser

WIDTH = 360


class PredictDock(QWidget):
    """Four tabs that hand on to each other what they make, and one place for what they say."""

    def __init__(self, viewer: napari.viewer.Viewer) -> None:
        super().__init__()
        # Docks get the viewer behind a proxy whose layers are other objects each time.
        self._viewer: Any = getattr(viewer, "__wrapped__", viewer)
        self.settings = SettingsFile.of_user()
        self.session = PredictSession(self)
        self.notice = Notice()
        self.predict = PredictTab(self._viewer, self.session, self.settings)
        self.segment = SegmentTab(self._viewer, self.session)
        truth = TruthChooser(self._viewer, self.session)
        self.score = ScoreTab(self._viewer, self.session, truth)
        self.sweep = SweepTab(self._viewer, self.session, truth)
        self.tabs = QTabWidget()
        self.tabs.setDocumentMode(True)
        self.tabs.tabBar().setDrawBase(False)  # a white line in both themes
        self._end_on_close = EndOnClose(self, self._end_all)
        self._lay_out()
        self._connect()

    def sizeHint(self) -> Any:
        """Give a width at which every label can be read."""
        hint = super().sizeHint()
        hint.setWidth(WIDTH)
        return hint

    def showEvent(self, event: Any) -> None:
        """Find the window, whose closing ends what goes on."""
        super().showEvent(event)
        self._end_on_close.watch_window()

    def forget(self) -> None:
        """Begin as for a new user, and remember nothing, as a demonstration does."""
        self.settings.forget()
        self.predict.show_settings()

    def _end_all(self) -> None:
        for tab in (self.predict, self.segment, self.score, self.sweep):
            tab.end()

    def _lay_out(self) -> None:
        for title, tab in (
            ("Predict", self.predict),
            ("Segment", self.segment),
            ("Score", self.score),
            ("Sweep", self.sweep),
        ):
            self.tabs.addTab(tab, title)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(8, 4, 8, 8)
        layout.setSpacing(4)
        layout.addWidget(self.notice)
        layout.addWidget(self.tabs, 1)

    def _connect(self) -> None:
        for tab in (self.predict, self.segment, self.score, self.sweep):
            tab.failed.connect(self.notice.show_error)
            tab.retried.connect(self._on_retried)
        self.predict.said.connect(self._on_said)

    def _on_retried(self) -> None:
        if self.notice.is_error:
            self.notice.clear()

    def _on_said(self, text: str) -> None:
        if text:
            self.notice.show_info(text)
        else:
            self.notice.clear()
