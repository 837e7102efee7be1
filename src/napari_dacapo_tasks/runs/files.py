"""How everything in a run folder is written: whole, or not at all, and never into a ruin."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from napari_dacapo_tasks.arrays import durable
from napari_dacapo_tasks.errors import RunError

CONFIG = "run.yaml"
"""What makes a folder a run."""


@contextmanager
def told(path: Path, doing: str = "written") -> Iterator[None]:
    """Say in one sentence what cannot be read or written.

    Parameters
    ----------
    path
        Of the file or folder that is meant.
    doing
        What is done with it, as in "cannot be written".

    Raises
    ------
    RunError
        For any OSError.
    """
    try:
        yield
    except OSError as error:
        raise RunError(
            f"{path.resolve()} cannot be {doing}: {error.strerror or error}; see to that and start "
            "again, nothing that was saved before is lost."
        ) from error


@contextmanager
def writing(folder: Path, name: str) -> Iterator[Path]:
    """Give the path of something in a run folder to write to.

    Raises
    ------
    RunError
        Where the run is gone, so that nothing makes half a folder anew; and as `told`.
    """
    require_there(folder)
    path = folder / name
    try:
        with told(path):
            yield path
    except RunError:
        require_there(folder)  # the better sentence, where it went just now
        raise


def is_run(folder: Path) -> bool:
    """Whether a folder is a run; RunError where that cannot be seen, as of one closed to us."""
    with told(folder, "read"):
        return (folder / CONFIG).is_file()


def require_there(folder: Path) -> None:
    """Raise RunError where a run was deleted or moved, or cannot be looked at."""
    if not is_run(folder):
        raise RunError(
            f"The run {folder} is gone: it was deleted, moved or renamed, or its disk is not "
            "there any more; open it where it is now."
        )


@contextmanager
def whole_file(folder: Path, name: str) -> Iterator[IO[bytes]]:
    """Give a file of a run to fill, as `durable.whole_file`; raises as `writing`."""
    with writing(folder, name) as path:
        path.parent.mkdir(exist_ok=True)
        with durable.whole_file(path) as file:
            yield file
