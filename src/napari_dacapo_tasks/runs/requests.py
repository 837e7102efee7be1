"""What another program asks of the one that trains a run: a file for each request."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Literal, get_args

from napari_dacapo_tasks.runs.files import writing

RequestName = Literal["stop", "snapshot", "validate"]
"""What can be asked for."""

NAMES: tuple[RequestName, ...] = get_args(RequestName)

REQUESTS = "requests"


def leave_request(folder: Path, name: RequestName) -> None:
    """Leave a request in a run folder; one that is there already stays one."""
    assert name in NAMES, f"nobody can ask for {name}"
    with writing(folder, f"{REQUESTS}/{name}") as path:
        path.parent.mkdir(exist_ok=True)
        path.touch()


def take_requests(folder: Path) -> set[RequestName]:
    """Take all requests out of a run folder; some microseconds where there are none.

    What cannot be taken away does not count, or it would be answered for ever.
    """
    try:
        found = set(os.listdir(folder / REQUESTS))
    except OSError:  # there was never a request, or a disk in a network is away for a moment
        return set()
    return {name for name in NAMES if name in found and _taken(folder / REQUESTS / name)}


def _taken(path: Path) -> bool:
    try:
        path.unlink()
    except OSError:
        return False
    return True
