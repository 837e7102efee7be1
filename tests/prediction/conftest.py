"""What tests of predictions share."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator

import pytest


@pytest.fixture(autouse=True)
def _one_core() -> Iterator[None]:
    """Let networks use one thread: they are tiny."""
    import torch

    number = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(number)


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
