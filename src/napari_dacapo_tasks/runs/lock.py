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


def _take(handle: int) -> bool:
    try:
        if sys.platform == "win32":
            import msvcrt

            msvcrt.locking(handle, msvcrt.LK_NBLCK, 1)
        else:
            import fcntl

            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        return error.errno not in HELD_BY_OTHERS
    return True
