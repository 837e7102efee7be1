"""Files of a JSON value a line, which grow at their end."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from math import isfinite
from pathlib import Path
from typing import Any, Generic, TypeVar

from napari_dacapo_tasks.arrays.durable import sync
from napari_dacapo_tasks.errors import RunError
from napari_dacapo_tasks.runs.files import told, whole_file, writing

Entry = TypeVar("Entry")

LAST_BYTES = 4096
"""Read at a time from the end of a file to find its last line."""


class JsonLines(Generic[Entry]):
    """A file with a line for each entry.

    Parameters
    ----------
    folder
        The run.
    name
        Of the file in it.
    what
        Of which the lines are, for people.
    dump
        Gives plain values of an entry.
    load
        Makes an entry of such values; raises ValueError, TypeError or KeyError for others.
    """

    def __init__(
        self,
        folder: Path,
        name: str,
        what: str,
        dump: Callable[[Entry], dict[str, Any]],
        load: Callable[[dict[str, Any]], Entry],
    ) -> None:
        self.path = folder / name
        self._folder, self._name, self._what = folder, name, what
        self._dump, self._load = dump, load

    def append(self, entry: Entry) -> None:
        """Add the line of an entry."""
        with (
            writing(self._folder, self._name) as path,
            open(path, "a", encoding="utf-8") as file,
        ):
            file.write(self.line_of(entry))

    def read(self) -> list[Entry]:
        """Give all entries; a last line that was cut short is left out."""
        if not self.path.exists():
            return []
        with told(self.path, "read"):
            lines = self.path.read_text(encoding="utf-8", errors="replace").splitlines()
        found = []
        for number, line in enumerate(lines, start=1):
            entry = self.entry_of(line)
            if entry is not None:
                found.append(entry)
            elif number < len(lines):
                raise RunError(
                    f"Line {number} of {self.path} is no line of {self._what}: delete it."
                )
        return found

    def last(self) -> Entry | None:
        """Give the last whole entry without reading the others; None where there is none."""
        if not self.path.exists():
            return None
        with told(self.path, "read"), open(self.path, "rb") as file:
            begin = file.seek(0, os.SEEK_END)
            tail = b""
            while begin > 0:
                length = min(LAST_BYTES, begin)
                begin = file.seek(begin - length)
                tail = file.read(length) + tail
                # The first line may have begun before, unless this is all of the file.
                whole = tail.split(b"\n")[1 if begin else 0 :]
                for line in reversed(whole):
                    entry = self.entry_of(line.decode(errors="replace"))
                    if entry is not None:
                        return entry
        return None

    def keep(self, entries: list[Entry]) -> None:
        """Replace all lines by those of some entries."""
        with whole_file(self._folder, self._name) as file:
            file.write("".join(map(self.line_of, entries)).encode())

    def flush(self) -> None:
        """See that what was appended is safe on the disk."""
        with writing(self._folder, self._name) as path:
            sync([path], self._folder)

    def line_of(self, entry: Entry) -> str:
        """Write an entry as its line."""
        return f"{json.dumps(_strict(self._dump(entry)), allow_nan=False)}\n"

    def entry_of(self, line: str) -> Entry | None:
        """Read an entry from its line; None where it is none, as one that was cut short."""
        try:
            return self._load(json.loads(line))
        except (ValueError, TypeError, KeyError, AttributeError, OverflowError):
            return None


def _strict(value: Any) -> Any:
    """Write what is no number of JSON as text: "nan", "inf" and "-inf", which float() reads."""
    if isinstance(value, float) and not isfinite(value):
        return str(value)
    if isinstance(value, dict):
        return {key: _strict(inner) for key, inner in value.items()}
    return value
