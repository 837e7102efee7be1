"""What is appended to a file, without reading the rest of it again."""

from __future__ import annotations

import os
from pathlib import Path

from napari_dacapo_tasks.runs.files import told


class Tail:
    """Reads whole lines as they are appended to a file.

    Parameters
    ----------
    path
        The file, which may not be there yet.
    last_bytes
        How much of what is there at first is read, from the first whole line on; None for all.
    """

    def __init__(self, path: Path, last_bytes: int | None = None) -> None:
        self._path, self._last_bytes = path, last_bytes
        self._inode: int | None = None
        self._offset = 0

    def read(self) -> tuple[list[str], bool]:
        """Give the lines that have come since the last call, and whether they begin anew.

        That is so the first time, and where the file was replaced by another one or cut. A last
        line without an end is left for the next time: it may still be written.

        Raises
        ------
        RunError
            Where the file is there and cannot be read.
        """
        if not self._path.exists():
            return [], False
        with told(self._path, "read"), open(self._path, "rb") as file:
            now = os.fstat(file.fileno())
            anew = now.st_ino != self._inode or now.st_size < self._offset
            if anew:
                self._offset = self._first(now.st_size)
                self._inode = now.st_ino
            if now.st_size == self._offset:
                return [], anew
            file.seek(self._offset)
            if anew and self._offset:
                self._offset += len(file.readline())
            text = file.read()
        whole = text[: text.rfind(b"\n") + 1]
        self._offset += len(whole)
        return whole.decode(errors="replace").splitlines(), anew

    def _first(self, size: int) -> int:
        if self._last_bytes is None or self._inode is not None:
            return 0
        return max(0, size - self._last_bytes)
