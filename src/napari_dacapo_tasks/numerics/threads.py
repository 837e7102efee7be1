"""One pool of threads for everything that is computed block by block.

The compiled loops and NumPy's own release the interpreter lock, so plain threads use all cores,
and any number of callers (the preview, a training run's loader) may share them. numba's parallel
loops would not do: with the threading layer that is always there, two callers at the same time
end the process.
"""

import os
import sys
import threading
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")

NICENESS = 10
"""How much these threads give way: about a tenth of the time of one that does not."""

_lock = threading.Lock()
_pool: ThreadPoolExecutor | None = None
_own = threading.local()


def available_cores() -> int:
    """Return the number of cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def work_alone() -> None:
    """Let the calling thread compute everything by itself from now on.

    For threads of which there are as many as cores: handing work on would only cost them time.
    """
    _own.alone = True


def map_in_threads(function: Callable[[Item], Result], items: Iterable[Item]) -> list[Result]:
    """Call ``function`` on every item, several at a time; results in the order of the items.

    The first exception that a call raises is raised here. ``function`` must not itself call
    `map_in_threads`: it would wait for a thread while it occupies one.
    """
    items = list(items)
    if len(items) <= 1 or available_cores() == 1 or getattr(_own, "alone", False):
        return [function(item) for item in items]
    return list(_shared_pool().map(function, items))


def slices(length: int, size: int, block_size: int) -> list[slice]:
    """Cut the first axis of an array into blocks for `map_in_threads`.

    Parameters
    ----------
    length
        Of the first axis.
    size
        Elements of the whole array.
    block_size
        Elements that a block should have; it has at least one row of the first axis.
    """
    step = max(block_size * length // size, 1) if size else 1
    return [slice(start, min(start + step, length)) for start in range(0, length, step)]


def _shared_pool() -> ThreadPoolExecutor:
    global _pool
    with _lock:
        if _pool is None:
            _pool = ThreadPoolExecutor(
                available_cores(), thread_name_prefix="numerics", initializer=give_way
            )
        return _pool


def give_way() -> None:
    """Let a window's own thread go before this one, where threads have priorities (Linux)."""
    if sys.platform == "linux":
        thread = threading.get_native_id()
        # A process that gives way already may give way more, but not less.
        niceness = max(NICENESS, os.getpriority(os.PRIO_PROCESS, thread))
        os.setpriority(os.PRIO_PROCESS, thread, niceness)


def _forget_pool() -> None:
    # A forked process (a loader's worker on Linux) inherits the pool without its threads.
    global _lock, _pool
    _lock = threading.Lock()
    _pool = None


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget_pool)
