from __future__ import annotations

import threading
import time
from collections.abc import Callable, Generator
from typing import Any

import pytest
from qtpy.QtCore import QObject, QThreadPool

from napari_dacapo_tasks.widgets.workers import MOST_UNHEARD, Job


@pytest.fixture
def job(qtbot: Any) -> Generator[Job, None, None]:
    owner = QObject()
    job = Job(owner)
    yield job
    job.end()
    qtbot.waitUntil(lambda: not job.running)


class Heard:
    """Everything that a job says, in order."""

    def __init__(self, job: Job) -> None:
        self.all: list[Any] = []
        job.yielded.connect(lambda value: self.all.append(value))
        job.returned.connect(lambda value: self.all.append(("returned", value)))
        job.failed.connect(lambda error: self.all.append(("failed", error)))
        job.stopped.connect(lambda: self.all.append("stopped"))


class Steps:
    """A generator that counts, notes its threads, and steps only when allowed."""

    def __init__(self, free: bool = True) -> None:
        self.done = 0
        self.requests: list[Any] = []
        self.closed_in: threading.Thread | None = None
        self.thread: threading.Thread | None = None
        self.go = threading.Semaphore(0)
        self.free = free

    def __call__(self) -> Generator[int, Any, str]:
        self.thread = threading.current_thread()
        try:
            while True:
                if not self.free:
                    self.go.acquire()
                self.done += 1
                request = yield self.done
                if request is not None:
                    self.requests.append(request)
        finally:
            self.closed_in = threading.current_thread()


def counting(numbers: int, result: str) -> Callable[[], Generator[int, None, str]]:
    def generator() -> Generator[int, None, str]:
        yield from range(numbers)
        return result

    return generator


def test_what_is_yielded_and_returned_arrives_in_the_main_thread(qtbot: Any, job: Job) -> None:
    heard = Heard(job)
    threads = []
    job.yielded.connect(lambda _: threads.append(threading.current_thread()))
    with qtbot.waitSignal(job.returned):
        job.start(counting(3, "end"))
    assert heard.all == [0, 1, 2, ("returned", "end")]
    assert set(threads) == {threading.main_thread()}
    assert not job.running


@pytest.mark.parametrize(
    "error", [RuntimeError("CUDA out of memory"), ValueError("bad"), OSError()]
)
def test_every_failure_is_told_and_the_job_is_ready_again(
    qtbot: Any, job: Job, error: Exception
) -> None:
    def failing() -> Generator[int, None, None]:
        yield 1
        raise error

    heard = Heard(job)
    with qtbot.waitSignal(job.failed):
        job.start(failing)
    assert heard.all == [1, ("failed", error)]
    with qtbot.waitSignal(job.returned):
        job.start(counting(0, "again"))
    assert heard.all[-1] == ("returned", "again")


def test_a_function_that_fails_before_its_first_step_is_told(qtbot: Any, job: Job) -> None:
    def broken() -> Generator[int, None, None]:
        raise RuntimeError("no generator")

    with qtbot.waitSignal(job.failed) as told:
        job.start(broken)
    assert str(told.args[0]) == "no generator"


def test_what_nobody_hears_does_not_pile_up(qtbot: Any, job: Job) -> None:
    steps = Steps()
    job.start(steps)
    while steps.done < MOST_UNHEARD:  # no events are handled meanwhile
        time.sleep(0.001)
    time.sleep(0.05)
    assert steps.done == MOST_UNHEARD
    qtbot.waitUntil(lambda: steps.done > 3 * MOST_UNHEARD)
    with qtbot.waitSignal(job.stopped):
        job.stop()


def test_stop_closes_the_generator_in_the_workers_thread(qtbot: Any, job: Job) -> None:
    steps = Steps()
    job.start(steps)
    qtbot.waitUntil(lambda: steps.done > 3)
    with qtbot.waitSignal(job.stopped):
        job.stop()
    assert steps.closed_in is not None
    assert steps.closed_in is steps.thread
    assert steps.thread is not threading.main_thread()
    assert not job.running


def test_a_failure_while_stopping_is_told_instead(qtbot: Any, job: Job) -> None:
    def bad_end() -> Generator[int, None, None]:
        try:
            while True:
                yield 1
        finally:
            raise OSError("the disk is full")

    heard = Heard(job)
    with qtbot.waitSignal(job.yielded):
        job.start(bad_end)
    with qtbot.waitSignal(job.failed):
        job.stop()
    qtbot.wait(20)
    assert "stopped" not in heard.all
    assert str(heard.all[-1][1]) == "the disk is full"


def test_a_later_start_ends_the_earlier_and_drops_what_comes_of_it(qtbot: Any, job: Job) -> None:
    first = Steps(free=False)
    job.start(first)
    qtbot.waitUntil(lambda: first.thread is not None)
    heard = Heard(job)
    job.start(counting(1, "skipped"))
    job.start(counting(2, "second"))
    first.go.release(5)
    qtbot.waitUntil(lambda: ("returned", "second") in heard.all)
    assert heard.all == [0, 1, ("returned", "second")]
    assert first.closed_in is first.thread


def test_pause_holds_and_resume_goes_on(qtbot: Any, job: Job) -> None:
    steps = Steps(free=False)
    heard = Heard(job)
    job.start(steps)
    steps.go.release()
    qtbot.waitUntil(lambda: heard.all == [1])
    job.pause()
    assert job.paused
    steps.go.release(3)  # at most the step that has begun may still come
    qtbot.wait(60)
    assert len(heard.all) <= 2
    job.resume()
    assert not job.paused
    qtbot.waitUntil(lambda: heard.all == [1, 2, 3, 4])
    job.stop()
    steps.go.release()


def test_a_resume_before_the_pause_has_begun_is_not_lost(qtbot: Any, job: Job) -> None:
    steps = Steps(free=False)
    heard = Heard(job)
    job.start(steps)
    qtbot.waitUntil(lambda: steps.thread is not None)
    job.pause()  # while the first step goes on
    job.resume()
    steps.go.release(3)
    qtbot.waitUntil(lambda: heard.all == [1, 2, 3])
    job.stop()
    steps.go.release()


def test_stop_ends_a_pause(qtbot: Any, job: Job) -> None:
    steps = Steps()
    job.start(steps)
    qtbot.waitUntil(lambda: steps.done > 0)
    job.pause()
    with qtbot.waitSignal(job.stopped):
        job.stop()
    assert steps.closed_in is not None


def test_requests_reach_the_generator_none_twice(qtbot: Any, job: Job) -> None:
    steps = Steps(free=False)
    job.start(steps)
    job.send("first")  # before its first step
    job.send("second")
    steps.go.release(5)
    qtbot.waitUntil(lambda: steps.done == 5)
    assert steps.requests == ["first", "second"]
    job.stop()
    steps.go.release()


def test_work_ends_when_its_owner_is_deleted(qtbot: Any) -> None:
    owner = QObject()
    job = Job(owner)
    steps = Steps()
    heard = Heard(job)
    job.start(steps)
    qtbot.waitUntil(lambda: steps.done > 0)
    del job
    owner.deleteLater()
    del owner
    qtbot.waitUntil(lambda: steps.closed_in is not None)
    heard.all.clear()
    qtbot.wait(20)
    assert heard.all == []


def test_end_waits_until_the_work_has_cleaned_up(qtbot: Any, job: Job) -> None:
    steps = Steps()
    job.start(steps)
    qtbot.waitUntil(lambda: steps.done > 0)
    job.end()
    assert steps.closed_in is not None


def test_end_before_the_work_has_begun_returns_at_once(qtbot: Any, job: Job) -> None:
    pool = QThreadPool.globalInstance()
    threads = pool.maxThreadCount()
    pool.setMaxThreadCount(1)
    go, busy = threading.Semaphore(0), threading.Semaphore(0)
    try:
        pool.start(lambda: (busy.release(), go.acquire()))
        busy.acquire()  # the only thread is taken, so the work cannot begin
        steps = Steps()
        job.start(steps)
        job.end()
        assert job.running
    finally:
        go.release()
        pool.setMaxThreadCount(threads)
    qtbot.waitUntil(lambda: not job.running)
    assert steps.done == 0


def test_long_work_leaves_the_threads_of_the_pool_to_others(qtbot: Any, job: Job) -> None:
    pool = QThreadPool.globalInstance()
    threads = pool.maxThreadCount()
    pool.setMaxThreadCount(1)
    try:
        steps = Steps()
        job.start(steps)
        qtbot.waitUntil(lambda: steps.done > 0)
        other = Job(job)
        with qtbot.waitSignal(other.returned):
            other.start(counting(1, "done"))
        with qtbot.waitSignal(job.stopped):
            job.stop()
        assert pool.maxThreadCount() == 1
    finally:
        pool.setMaxThreadCount(threads)
