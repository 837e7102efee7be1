"""How everything in a run folder is written: whole, or not at all, and never into a ruin."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from napari_dacapo_tasks.arrays.ome_zarr import PARTIAL
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


def require_there(folder: Path) -> None:
    """Raise RunError where a run was deleted or moved."""
    if not (folder / CONFIG).is_file():
        raise RunError(
            f"The run {folder} is gone: it was deleted, moved or renamed, or its disk is not "
            "there any more; open it where it is now."
        )


@contextmanager
def whole_file(folder: Path, name: str) -> Iterator[IO[bytes]]:
    """Give a file to fill, which takes its name when it is whole and safe on the disk."""
    with writing(folder, name) as path:
        partial = path.with_name(f".{path.name}{PARTIAL}")
        path.parent.mkdir(exist_ok=True)
        try:
            with open(partial, "wb") as file:
                yield file
                file.flush()
                os.fsync(file.fileno())
            os.replace(partial, path)
        finally:
            partial.unlink(missing_ok=True)
        if os.name == "posix":  # elsewhere a folder cannot be opened, nor needs to be
            parent = os.open(path.parent, os.O_RDONLY)
            try:
                os.fsync(parent)
            finally:
                os.close(parent)
