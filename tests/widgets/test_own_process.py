"""A run that another process trains, followed by its folder."""

from __future__ import annotations

import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from napari_dacapo_tasks.errors import RunError
from napari_dacapo_tasks.runs.run_folder import RunFolder, Score, Statistic
from napari_dacapo_tasks.training.events import Finished, Request, Stepped, Stopped, Validated
from napari_dacapo_tasks.widgets import own_process
from napari_dacapo_tasks.widgets.own_process import follow
from napari_dacapo_tasks.widgets.run_events import Followed, Logged, SoFar, Work
from napari_dacapo_tasks.widgets.seen_snapshot import SeenSnapshot
from napari_dacapo_tasks.widgets.tail import Tail

POLLS = 60
"""More than anything here takes."""


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(own_process, "POLL_SECONDS", 0.01)
    monkeypatch.setattr(own_process, "LOCK_SECONDS", 0.0)
    monkeypatch.setattr(own_process, "STOP_SECONDS", 0.05)


@pytest.fixture
def run(make_run: Callable[..., RunFolder]) -> RunFolder:
    run = make_run(trainer={"iterations": 100, "validation": {"criterion": "f1_score"}})
    run.append_statistics(Statistic(1, 0.5, 0.1))
    return run


@pytest.fixture
def sleeper() -> Iterator[subprocess.Popen[bytes]]:
    """Give a process that does nothing for long."""
    with subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"]) as process:
        yield process
        process.kill()


def score(iteration: int, value: float) -> Score:
    return Score(iteration, "f1_score", value, 0.3, {}, "Threshold", 1.0)


def until(work: Work, kind: type, request: Request | None = None) -> list[Any]:
    """Go on until an event of a kind; give all since."""
    events = [work.send(request)]
    for _ in range(POLLS):
        if isinstance(events[-1], kind):
            return [event for event in events if event is not None]
        events.append(next(work))
    raise AssertionError(f"no {kind.__name__} came, but {events}")


def test_what_is_appended_is_told_as_training_would(run: RunFolder) -> None:
    with run.training():
        work = follow(run)
        so_far, followed = until(work, Followed)
        assert so_far.history.losses.losses.tolist() == [0.5]
        assert so_far.history.title == run.path.name
        assert so_far.history.criterion("f1_score").higher_is_better
        assert followed == Followed(1, 100)

        run.log("something happened")
        run.append_statistics(Statistic(2, 0.4, 0.2, 0.05, 1e-3))
        run.append_statistics(Statistic(3, float("nan"), 0.2))
        logged, second, third = until(work, Stepped) + until(work, Stepped)
        assert isinstance(logged, Logged)
        assert logged.lines[0].endswith("something happened")
        assert second == Stepped(2, 0.4, 0.2, 0.05, 1e-3)
        assert np.isnan(third.loss)

        for iteration, value, best in ((2, 0.6, True), (3, 0.4, False)):
            run.append_score(score(iteration, value))
            (told,) = until(work, Validated)
            assert told == Validated(iteration, score(iteration, value), is_best=best)
        run.save_checkpoint({"iteration": 3}, 3)
    (stopped,) = until(work, Stopped)
    assert stopped == Stopped(3)
    with pytest.raises(StopIteration) as end:
        next(work)
    assert end.value.value is run


def test_a_run_that_did_all_has_finished(make_run: Callable[..., RunFolder]) -> None:
    run = make_run(trainer={"iterations": 2})
    with run.training():
        work = follow(run)
        until(work, Followed)
        run.append_statistics(Statistic(2, 0.4, 0.2))
        run.save_checkpoint({"iteration": 2}, 2)
    assert until(work, Finished)[-1] == Finished(2)


def test_a_run_that_goes_back_to_its_checkpoint_begins_anew_from_there(run: RunFolder) -> None:
    run.append_statistics(Statistic(2, 0.4, 0.1))
    with run.training():
        work = follow(run)
        assert len(until(work, SoFar)[0].history.losses) == 2
        until(work, Followed)
        run.truncate(1)
        (so_far,) = until(work, SoFar)
        assert so_far.history.losses.iterations.tolist() == [1]
        run.append_statistics(Statistic(2, 0.3, 0.1))
        assert until(work, Stepped)[-1].loss == 0.3
    work.close()


def test_requests_are_passed_on_and_a_stop_is_said_until_it_is_heard(run: RunFolder) -> None:
    with run.training():
        work = follow(run)
        until(work, Followed)
        run.append_statistics(Statistic(2, 0.4, 0.2))
        until(work, Stepped, Request.SNAPSHOT)
        work.send(Request.VALIDATE)
        assert run.requested() == {"snapshot", "validate"}
        work.send(Request.STOP)
        assert run.requested() == {"stop"}  # as a process does that has just begun
        for _ in range(POLLS):
            next(work)
        assert run.requested() == {"stop"}
    work.close()


def test_snapshots_are_seen_where_they_lie(run: RunFolder, volume: Any) -> None:
    raw = volume.array(volume.raw[:24, :24, :24])
    inner = volume.array(np.full((1, 8, 8, 8), 0.5, np.float32), axes="czyx", offset=(64, 64, 64))
    images = {"raw": raw, "target": inner, "weight": inner, "prediction": inner}
    run.save_snapshot(0, images)
    with run.training():
        work = follow(run)
        first = until(work, SeenSnapshot)[-1]
        assert first.snapshot.iteration == 0
        assert first.snapshot.channels == ["balls"]
        assert first.snapshot.prediction.roi == inner.roi
        np.testing.assert_array_equal(first.snapshot.raw.data, raw[raw.roi])
        run.append_statistics(Statistic(2, 0.4, 0.2))
        assert not any(isinstance(one, SeenSnapshot) for one in until(work, Stepped))
        run.save_snapshot(2, images)
        assert until(work, SeenSnapshot)[-1].snapshot.iteration == 2
    work.close()


def test_a_process_that_is_killed_is_told_with_the_end_of_its_log(
    run: RunFolder, sleeper: subprocess.Popen[bytes]
) -> None:
    work = follow(run, sleeper)
    until(work, Followed)
    run.log("the last thing it said")
    sleeper.send_signal(signal.SIGKILL)
    sleeper.wait()
    with pytest.raises(RunError) as told:
        until(work, Stopped)
    said = str(told.value)
    assert said.startswith(f"The process that trained {run.path.name} ended with ")
    assert ("SIGKILL" in said) == (sys.platform != "win32")
    assert "the last thing it said" in said
    assert said.endswith(": start it again.")
    assert "\n" not in said
    assert "the last thing it said" in told.value.__notes__[0]


def test_a_stranger_that_died_is_told_where_the_last_steps_were_not_saved(run: RunFolder) -> None:
    run.save_checkpoint({"iteration": 1}, 1)
    with run.training():
        work = follow(run)
        until(work, Followed)
        run.append_statistics(Statistic(2, 0.4, 0.2))
    with pytest.raises(RunError, match=r"ended.*: start it again to go on from iteration 1"):
        until(work, Stopped)


def test_a_folder_that_is_deleted_is_one_sentence(
    run: RunFolder, sleeper: subprocess.Popen[bytes]
) -> None:
    work = follow(run, sleeper)
    until(work, Followed)
    shutil.rmtree(run.path)
    for _ in range(3):
        next(work)
    sleeper.kill()
    sleeper.wait()
    with pytest.raises(RunError, match="is gone"):
        until(work, Stopped)


# Tails


def test_a_tail_gives_whole_lines_once(tmp_path: Path) -> None:
    path = tmp_path / "file"
    tail = Tail(path)
    assert tail.read() == ([], False)
    path.write_text("one\ntw")
    assert tail.read() == (["one"], True)
    assert tail.read() == ([], False)
    with path.open("a") as file:
        file.write("o\nthree\n")
    assert tail.read() == (["two", "three"], False)


def test_a_tail_begins_anew_where_the_file_was_cut_or_replaced(tmp_path: Path) -> None:
    path, other = tmp_path / "file", tmp_path / "other"
    path.write_text("one\ntwo\nthree\n")
    tail = Tail(path)
    tail.read()
    path.write_text("one\n")
    assert tail.read() == (["one"], True)
    other.write_text("one\nthat is longer\n")
    other.replace(path)
    assert tail.read() == (["one", "that is longer"], True)


def test_a_tail_may_leave_out_all_but_the_end(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_text("".join(f"line {number:03d}\n" for number in range(100)))
    tail = Tail(path, last_bytes=20)
    assert tail.read() == (["line 098", "line 099"], True)
    with path.open("a") as file:
        file.write("line 100\n")
    assert tail.read() == (["line 100"], False)
