"""The log of a run."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path

from napari_dacapo_tasks.runs.files import told, writing

LOG = "log.txt"


def add_line(folder: Path, text: str) -> None:
    """Add a text with the time to the log."""
    now = datetime.now().astimezone().isoformat(timespec="seconds")
    with writing(folder, LOG) as path, open(path, "a", encoding="utf-8") as file:
        file.write(f"{now} {text}\n")


def lines_after(folder: Path, place: int) -> tuple[list[str], int]:
    """Read whole lines from a place in bytes on; give the place after them, too.

    A log that is shorter than that was begun anew, and is read from its beginning.
    """
    path = folder / LOG
    if not path.exists():
        return [], 0
    with told(path, "read"), open(path, "rb") as file:
        end = file.seek(0, 2)
        place = file.seek(place if place <= end else 0)
        text = file.read()
    whole = text[: text.rfind(b"\n") + 1]
    return whole.decode(errors="replace").splitlines(), place + len(whole)
