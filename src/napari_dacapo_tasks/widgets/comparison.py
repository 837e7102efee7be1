"""Losses and scores of the runs that are compared with the one in the dock."""

from __future__ import annotations

from collections.abc import Generator, Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path

from qtpy.QtCore import QObject, Signal

from napari_dacapo_tasks.errors import UserError
from napari_dacapo_tasks.runs.run_folder import RunFolder
from napari_dacapo_tasks.runs.scores import Score
from napari_dacapo_tasks.training.events import Stepped
from napari_dacapo_tasks.widgets.histories import RunHistory
from napari_dacapo_tasks.widgets.run_reading import RunReader
from napari_dacapo_tasks.widgets.workers import Job

News = tuple[Path, RunReader, list[Stepped | Score | RunHistory]]


class Comparison(QObject):
    """Keeps the histories of some runs up to date, read in the background.

    Signals
    -------
    changed(object)
        Histories by folder.
    """

    changed = Signal(object)

    def __init__(self, parent: QObject) -> None:
        super().__init__(parent)
        self._readers: dict[Path, RunReader] = {}
        self._histories: dict[Path, RunHistory] = {}
        self._job = Job(self)
        self._job.yielded.connect(self._on_news)
        self._job.returned.connect(lambda _: self.changed.emit(dict(self._histories)))

    def choose(self, paths: Sequence[Path]) -> None:
        """Read these runs, and no others; one that cannot be read is left out."""
        self._readers = {path: one for path, one in self._readers.items() if path in paths}
        self._histories = {path: self._histories[path] for path in paths if path in self._histories}
        self._job.start(partial(_news, list(paths), dict(self._readers)))

    def refresh(self) -> None:
        """Read what has come since."""
        if self._readers and not self._job.running:
            self._job.start(partial(_news, list(self._readers), dict(self._readers)))

    def _on_news(self, news: News | None) -> None:
        if news is None:
            return
        path, self._readers[path], found = news
        for one in found:
            if isinstance(one, RunHistory):
                self._histories[path] = one
            elif isinstance(one, Stepped):
                self._histories[path].losses.add(one.iteration, one.loss)
            else:
                self._histories[path].scores.add(one)


def _news(
    paths: Sequence[Path], readers: dict[Path, RunReader]
) -> Generator[News | None, None, None]:
    for path in paths:
        yield None
        with suppress(UserError):
            reader = readers.get(path)
            if reader is None:
                reader = RunReader(RunFolder.open(path))
                yield path, reader, [reader.history()]
            else:
                yield path, reader, list(reader.news())
