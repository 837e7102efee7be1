"""What tests of predictions share."""

from __future__ import annotations

import threading
from collections.abc import Callable

import pytest


@pytest.fixture
def threads() -> Callable[[], set[str]]:
    """Give the names of the threads that have come since and are still there."""
    before = set(threading.enumerate())
    mine = ("reading", "computing", "writing", "to disk")
    return lambda: {
        thread.name
        for thread in threading.enumerate()
        if thread not in before and thread.name.startswith(mine)
    }
