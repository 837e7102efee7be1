"""Files of rows: opened in the background, and watched from then on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import partial

from qtpy.QtCore import QFileSystemWatcher, QObject, Signal

from napari_dacapo_tasks.arrays.open import split_path
from napari_dacapo_tasks.widgets.row_checks import TableRow
from napari_dacapo_tasks.widgets.row_files import Opened, open_paths
from napari_dacapo_tasks.widgets.row_sources import FileSource
from napari_dacapo_tasks.widgets.workers import Job

PARTS = ("raw", "labels", "mask")


class RowFiles(QObject):
    """Opens what rows name, without reading it, and notices when it goes.

    Signals
    -------
    opened(object)
        A path, and what became of opening it; see `with_opened`.
    touched()
        A file changed, or is there no more.
    failed(object)
        The exception of our own mistake.
    """

    opened = Signal(object)
    touched = Signal()
    failed = Signal(object)

    def __init__(self, parent: QObject) -> None:
        super().__init__(parent)
        self._job = Job(self)
        self._job.yielded.connect(self._on_yielded)
        self._job.failed.connect(self.failed)
        self._watcher = QFileSystemWatcher(self)
        self._watcher.fileChanged.connect(lambda _: self.touched.emit())
        self._watcher.directoryChanged.connect(lambda _: self.touched.emit())

    @property
    def busy(self) -> bool:
        """Whether something is being opened."""
        return self._job.running

    def open(self, rows: Sequence[TableRow]) -> None:
        """Open what is not yet; what was being opened is opened anew."""
        waiting = [source.path for source in _files(rows) if source.opened is None]
        if waiting:
            self._job.start(partial(open_paths, list(dict.fromkeys(waiting))))

    def watch(self, rows: Sequence[TableRow]) -> None:
        """Watch the files of these rows, and no others."""
        wanted = {str(split_path(source.path)[0]) for source in _files(rows) if not source.gone}
        watched = {*self._watcher.files(), *self._watcher.directories()}
        if watched - wanted:
            self._watcher.removePaths(sorted(watched - wanted))
        if wanted - watched:
            self._watcher.addPaths(sorted(wanted - watched))

    def _on_yielded(self, found: Opened | None) -> None:
        if found is not None:
            self.opened.emit(found)


def with_opened(rows: Sequence[TableRow], found: Opened) -> list[TableRow]:
    """Give the rows with what became of opening a path, wherever they wait for it."""
    path, array = found
    changed = []
    for row in rows:
        parts = {
            name: FileSource(path, array)
            for name in PARTS
            if isinstance(source := getattr(row, name), FileSource)
            and (source.path, source.opened) == (path, None)
        }
        changed.append(replace(row, **parts) if parts else row)  # type: ignore[arg-type]
    return changed


def _files(rows: Sequence[TableRow]) -> list[FileSource]:
    return [one for row in rows for one in row.sources if isinstance(one, FileSource)]
