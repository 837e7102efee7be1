"""Exports are written whole, or not at all."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from uuid import uuid4

from napari_dacapo_tasks.arrays.durable import PARTIAL, put_in_place, sync
from napari_dacapo_tasks.arrays.ome_zarr import new_folder, refuse_taken
from napari_dacapo_tasks.errors import DataError


@contextmanager
def whole_file(path: str | Path) -> Iterator[Path]:
    """Give a place to write a file to, which becomes ``path`` when all went well.

    What else is put beside it goes with its folder.

    Raises
    ------
    DataError
        Where ``path`` is taken, or cannot be written.
    """
    path = Path(path).absolute()
    refuse_taken(path)
    folder = path.with_name(f".{path.name}.{uuid4().hex[:8]}{PARTIAL}")
    with _told(path):
        folder.mkdir(parents=True)
        try:
            # Some writers look at how a name ends.
            partial = folder / path.name
            yield partial
            sync([partial], folder)
            if path.is_dir():  # an empty one
                path.rmdir()
            put_in_place(partial, path)
        finally:
            shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def whole_folder(path: str | Path) -> Iterator[Path]:
    """Give a folder to fill, which becomes ``path`` when all went well; raises as `whole_file`."""
    with _told(Path(path)), new_folder(path) as partial:
        yield partial


@contextmanager
def _told(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise DataError(
            f"{path} cannot be written: {error.strerror or error}; choose another place."
        ) from error
