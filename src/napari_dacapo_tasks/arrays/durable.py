"""Writing so that neither a kill nor a power cut leaves half of anything under its name.

Systems keep what is written in memory for a while, and may put a new name on the disk before the
content that it names. So contents go to the disk first (``fsync``), then their name changes, then
the folder with the name goes there. That is done where something is whole from then on: a
checkpoint, a config, a block of an image; and never in a training step or for a snapshot. What
was synced already costs next to nothing, so that large images go block by block, as they are
written, and not all at their end.
"""

from __future__ import annotations

import errno
import os
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from time import sleep
from typing import IO

PARTIAL = ".partial"
"""How the name of a file or folder ends that is not whole yet."""

NO_SYNC = (errno.EBADF, errno.EINVAL, errno.EACCES, errno.ENOSYS, errno.ENOTSUP)
"""What file systems, as some in networks, say that do not sync folders: they see to it alone."""

TRIES = 20 if os.name == "nt" else 1
SECONDS_BETWEEN = 0.05
"""To take a name: Windows refuses while somebody else reads what has it, for a moment mostly."""


@contextmanager
def whole_file(path: Path) -> Iterator[IO[bytes]]:
    """Give a file to fill, which takes its name when it is whole and safe on the disk.

    Raises
    ------
    OSError
        Where it cannot be written; what had the name before has it still.
    """
    partial = path.with_name(f".{path.name}{PARTIAL}")
    try:
        with open(partial, "wb") as file:
            yield file
            file.flush()
            _to_disk(file.fileno())
        put_in_place(partial, path)
    finally:
        partial.unlink(missing_ok=True)


def put_in_place(partial: Path, path: Path) -> None:
    """Give a synced file its name, in place of another one; raises OSError."""
    for tries_left in reversed(range(TRIES)):
        try:
            os.replace(partial, path)
            break
        except PermissionError:
            if not tries_left:
                raise
            sleep(SECONDS_BETWEEN)
    sync_folder(path.parent)


def sync(files: Iterable[Path], below: Path) -> None:
    """Have files and the folders above them on the disk; those that are not there are left out.

    Parameters
    ----------
    files
        Whose content is to be safe.
    below
        The folder up to which their names are to be safe, too.

    Raises
    ------
    OSError
        Where the disk is full, or gone.
    """
    folders: dict[Path, None] = {}
    for file in files:
        try:
            # Windows syncs only what may be written to.
            handle = os.open(file, os.O_RDWR if os.name == "nt" else os.O_RDONLY)
        except FileNotFoundError:
            continue
        try:
            os.fsync(handle)
        finally:
            os.close(handle)
        for parent in file.parents:
            if parent in folders:
                break
            folders[parent] = None
            if parent == below:
                break
    for folder in folders:
        sync_folder(folder)


def sync_tree(folder: Path) -> None:
    """Have a folder with all that is in it on the disk; raises OSError as `sync`."""
    sync([path for path in folder.rglob("*") if path.is_file()], folder)
    sync_folder(folder)


def sync_folder(folder: Path) -> None:
    """Have the names in a folder on the disk, where the system can do that."""
    if os.name != "posix":  # elsewhere a folder cannot be opened, nor needs to be
        return
    try:
        handle = os.open(folder, os.O_RDONLY)
    except PermissionError:  # one that may be written to and not listed
        return
    try:
        _to_disk(handle)
    except OSError as error:
        if error.errno not in NO_SYNC:
            raise
    finally:
        os.close(handle)


def _to_disk(handle: int) -> None:
    if sys.platform == "darwin":
        import fcntl

        try:  # else it may stay in the memory of the drive
            fcntl.fcntl(handle, fcntl.F_FULLFSYNC)
        except OSError:  # a file system that cannot: what all others do
            os.fsync(handle)
    else:
        os.fsync(handle)
