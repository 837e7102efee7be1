"""Things that are made one after the other by threads, before anybody asks for them."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future
from threading import Condition, Thread
from typing import Generic, NoReturn, TypeVar

Item = TypeVar("Item")


class ClosedError(RuntimeError):
    """Nothing is made any more."""


class Ahead(Generic[Item]):
    """Makes items by their number, some of them ahead; they are taken in order.

    Parameters
    ----------
    make
        Makes an item; called by any of the threads, each number once. What it raises, `take`
        raises.
    first
        Number of the first item.
    last
        That of the last one, None where there is no end.
    workers
        Number of threads. With 0 an item is made when it is asked for.
    ahead
        Items at most that are made or being made and not taken.
    prepare
        Called by each thread before its first item; what it raises is raised for that.
    """

    def __init__(
        self,
        make: Callable[[int], Item],
        first: int,
        last: int | None,
        workers: int,
        ahead: int,
        prepare: Callable[[], None] | None = None,
    ) -> None:
        self._make = make
        self._last = last
        self._ahead = max(ahead, workers)
        self._prepare = prepare
        self._begun = self._taken = first
        self._made: dict[int, Future[Item]] = {}
        self._changed = Condition()
        self._closed = False
        self._threads = [
            Thread(target=self._work, name=f"loader {number}", daemon=True)
            for number in range(workers)
        ]
        for thread in self._threads:
            thread.start()

    def take(self, number: int) -> Item:
        """Give an item; the first one, then each next one, by one thread.

        Raises
        ------
        ClosedError
            After `close`.
        """
        assert number == self._taken, "items are taken one after the other"
        if not self._threads:
            item = self._make(number)
            self._taken = number + 1
            return item
        with self._changed:
            self._changed.wait_for(lambda: self._closed or number in self._made)
            if self._closed:
                raise ClosedError
            future = self._made.pop(number)
            self._taken = number + 1
            self._changed.notify_all()
        return future.result()

    def stop(self) -> None:
        """Let nothing more be begun; whoever waits in `take` gets a ClosedError."""
        with self._changed:
            self._closed = True
            self._made.clear()
            self._changed.notify_all()

    def close(self) -> None:
        """Stop, and wait until each thread has finished its item."""
        self.stop()
        for thread in self._threads:
            thread.join()
        self._make, self._prepare = _refuse, None  # what these hold is free

    def _work(self) -> None:
        prepare = self._prepare
        while (number := self._next()) is not None:
            future: Future[Item] = Future()
            try:
                if prepare is not None:
                    prepare()
                    prepare = None
                future.set_result(self._make(number))
            except BaseException as error:  # whatever it is, it is raised where it is waited for
                future.set_exception(error)
            with self._changed:
                if not self._closed:
                    self._made[number] = future
                    self._changed.notify_all()
            del future  # nothing is held while this waits

    def _next(self) -> int | None:
        """Wait until there is room for another item, and give its number; None at the end."""
        with self._changed:
            self._changed.wait_for(lambda: self._closed or self._begun < self._taken + self._ahead)
            if self._closed or (self._last is not None and self._begun > self._last):
                return None
            self._begun += 1
            return self._begun - 1


def _refuse(_: int) -> NoReturn:
    raise ClosedError
