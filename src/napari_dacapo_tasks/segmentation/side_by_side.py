"""Blocks that are worked on by several threads, with progress, until the caller leaves."""

from __future__ import annotations

import threading
from collections.abc import Callable, Generator, Iterable, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from contextlib import closing
from typing import Any, TypeVar

from napari_dacapo_tasks.numerics.threads import give_way, work_alone

Item = TypeVar("Item")
Result = TypeVar("Result")
IsLeft = Callable[[], bool]

POLL_SECONDS = 0.1
"""Between two looks at what is done, so that leaving is soon noticed."""


class _LeftError(Exception):
    """The caller went away; nobody hears of it."""


def side_by_side(
    function: Callable[[Item, IsLeft], Result], items: Iterable[Item], workers: int
) -> Generator[float, None, list[Result]]:
    """Call a function on every item, several at a time; leaving the generator ends them.

    Parameters
    ----------
    function
        Gets an item, and what says whether the caller has left: see `to_the_end`.
    items
        Begun in this order.
    workers
        Number of threads.

    Yields
    ------
    Share that is done, several times a second.

    Returns
    -------
    Results in the order of the items.
    """
    todo: Sequence[Item] = list(items)
    results: list[Any] = [None] * len(todo)
    left = threading.Event()
    running: dict[Future[Result], int] = {}
    begun = done = 0
    with ThreadPoolExecutor(workers, initializer=_begin) as pool:
        try:
            while done < len(todo):
                while begun < len(todo) and len(running) < workers:
                    running[pool.submit(function, todo[begun], left.is_set)] = begun
                    begun += 1
                for future in wait(running, POLL_SECONDS, FIRST_COMPLETED).done:
                    results[running.pop(future)] = future.result()
                    done += 1
                yield done / len(todo)
        finally:
            left.set()
    return results


def to_the_end(steps: Generator[Any, None, Result], is_left: IsLeft) -> Result:
    """Go through steps as long as the caller has not left, and give what they return."""
    with closing(steps):
        while not is_left():
            try:
                next(steps)
            except StopIteration as stop:
                result: Result = stop.value
                return result
    raise _LeftError


def _begin() -> None:
    work_alone()
    give_way()
