"""A lock that vanishes with the program that holds it, however that ends."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from errno import EACCES, EAGAIN, EDEADLK
from pathlib import Path

HELD_BY_OTHERS = (EACCES, EAGAIN, EDEADLK)


@contextmanager
def locked(path: Path) -> Iterator[bool]:
    """Take the lock of a file, and say whether it was free.

    Where the file system knows no locks, as some in networks do not, it counts as free.
    """
    handle = os.open(path, os.O_RDWR | os.O_CREAT)
    try:
        yield _take(handle)
    finally:
        os.close(handle)


def is_locked(path: Path) -> bool:
    """Say whether somebody holds the lock of a file; the file is not made.

    It is taken for a moment to find out, together with others who look at the same time, so
    whoever wants to keep it should try again shortly before giving up.

    Raises
    ------
    OSError
        Where the file is there and cannot be opened.
    """
    writes = os.O_RDWR if sys.platform == "win32" else os.O_RDONLY  # a run of others, to look at
    try:
        handle = os.open(path, writes)
    except FileNotFoundError:
        return False
    try:
        return not _take(handle, shared=True)
    finally:
        os.close(handle)


def _take(handle: int, shared: bool = False) -> bool:
    try:
        if sys.platform == "win32":
            import msvcrt

            msvcrt.locking(handle, msvcrt.LK_NBLCK, 1)  # it knows no sharing
        else:
            import fcntl

            kind = fcntl.LOCK_SH if shared else fcntl.LOCK_EX
            fcntl.flock(handle, kind | fcntl.LOCK_NB)
    except OSError as error:
        return error.errno not in HELD_BY_OTHERS
    return True
