"""Whether a scheduler still stands behind its workers: a file that it rewrites all the time.

Only the standard library, since every process that waits for a worker imports this. Files say it
rather than signals, since workers may be on other machines; contents rather than times, since
the clocks of those differ.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from threading import Event, Thread
from time import monotonic
from typing import Any, Self
from uuid import uuid4

SESSION = "session.json"
SERVER = "server.json"
FATAL = "fatal.json"

BEAT_SECONDS = 5.0
"""Between two beats of a scheduler or a worker."""

LOOK_SECONDS = 1.0
"""Between two looks at whether they go on."""

SILENT_SECONDS = 180.0
"""Without a beat, after which somebody is gone: file systems in networks tell late."""


@dataclass(frozen=True)
class Session:
    """One scheduler at work on a job, from its start to its end.

    Attributes
    ----------
    folder
        With what is needed to go on.
    name
        Of this session, no other has the same.
    """

    folder: Path
    name: str

    @classmethod
    def begin(cls, folder: Path) -> Self:
        """Take the place of whatever session there was: its workers will end."""
        session = cls(folder, uuid4().hex[:12])
        for name in (FATAL, SERVER):
            (folder / name).unlink(missing_ok=True)
        session.beat(0)
        return session

    @classmethod
    def at(cls, folder: Path) -> Self | None:
        """Give the session that goes on in a folder."""
        there = read_json(folder / SESSION)
        return None if there is None else cls(folder, str(there.get("name")))

    def beat(self, number: int) -> None:
        """Say that it goes on."""
        write_json(self.folder / SESSION, {"name": self.name, "beat": number})

    def listen(self, host: str, port: int) -> None:
        """Say where workers get their blocks."""
        write_json(self.folder / SERVER, {"name": self.name, "host": host, "port": port})

    def server(self) -> tuple[str, int] | None:
        """Give where workers get their blocks; None while that is not known."""
        there = read_json(self.folder / SERVER)
        if there is None or there.get("name") != self.name:
            return None
        return str(there["host"]), int(there["port"])

    def end(self) -> None:
        """Let all workers of this session end."""
        there = read_json(self.folder / SESSION)
        if there is None or there.get("name") == self.name:
            (self.folder / SESSION).unlink(missing_ok=True)

    def give_up(self, sentence: str) -> None:
        """Say what makes it useless to go on; the scheduler is then stopped."""
        write_json(self.folder / FATAL, {"name": self.name, "sentence": sentence})


def fatal_at(folder: Path) -> str | None:
    """Give what made it useless to go on with a job."""
    there = read_json(folder / FATAL)
    return None if there is None else str(there.get("sentence"))


class Standing:
    """Looks now and then whether a session, or a worker, still goes on.

    Parameters
    ----------
    path
        File that is rewritten all the time.
    name
        What it must hold under ``"name"``, None for anything.
    """

    def __init__(self, path: Path, name: str | None = None) -> None:
        self._path, self._name = path, name
        self._last: Mapping[str, Any] | None = None
        self._since = monotonic()

    def over(self) -> bool:
        """Whether it ended, or was not heard of for long."""
        try:
            there = json.loads(self._path.read_text(encoding="utf-8"))
        except FileNotFoundError:
            return True
        except (OSError, ValueError):  # a network that is away, or a file that is being replaced
            there = self._last
        if there is not None and self._name is not None and there.get("name") != self._name:
            return True
        if there != self._last:
            self._last, self._since = there, monotonic()
        return monotonic() - self._since > SILENT_SECONDS


def every(seconds: float, work: Any, stopped: Event) -> Thread:
    """Do something again and again in a thread of its own."""

    def run() -> None:
        while not stopped.wait(seconds):
            work()

    thread = Thread(target=run, daemon=True)
    thread.start()
    return thread


def read_json(path: Path) -> dict[str, Any] | None:
    """Read a file of named values; None where there is none that is whole."""
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return values if isinstance(values, dict) else None


def write_json(path: Path, values: Mapping[str, Any]) -> None:
    """Write a file so that it is read whole or not at all; others tell where the disk is full."""
    partial = path.with_name(f".{path.name}.{uuid4().hex[:8]}")
    with suppress(OSError):
        path.parent.mkdir(exist_ok=True)
        try:
            partial.write_text(json.dumps(values), encoding="utf-8")
            os.replace(partial, path)
        finally:
            partial.unlink(missing_ok=True)
