"""Training in a process of its own, which is followed by what it leaves in the run folder."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Generator, Iterator
from contextlib import suppress
from math import inf
from pathlib import Path
from time import monotonic, sleep

from napari_dacapo_tasks.arrays import NumpyArray
from napari_dacapo_tasks.arrays.open import open_array
from napari_dacapo_tasks.errors import DataError, RunError
from napari_dacapo_tasks.runs.files import require_there
from napari_dacapo_tasks.runs.log import LOG
from napari_dacapo_tasks.runs.run_folder import RunFolder
from napari_dacapo_tasks.runs.scores import Score
from napari_dacapo_tasks.training.events import (
    Finished,
    Request,
    Snapshot,
    Stepped,
    Stopped,
    Validated,
)
from napari_dacapo_tasks.widgets.run_events import Followed, Logged, RunEvent, SoFar, Work
from napari_dacapo_tasks.widgets.run_reading import LOG_BYTES, RunReader
from napari_dacapo_tasks.widgets.seen_snapshot import see
from napari_dacapo_tasks.widgets.tail import Tail

POLL_SECONDS = 0.25
"""From one look into the folder to the next."""

LOCK_SECONDS = 2.0
"""From one look at whether anybody trains to the next, where the process is not our child."""

STOP_SECONDS = 2.0
"""A wish to stop is said again so often: a process that has just begun forgets older ones."""

LINES_SAID = 12
"""Of the log of a process that died, in the details."""

_children: list[subprocess.Popen[bytes]] = []
"""Processes that we started; kept until they have ended, so that the system can forget them."""


def start_process(run: RunFolder) -> subprocess.Popen[bytes]:
    """Train a run in a process that goes on when this program ends; it writes to the run's log.

    Raises
    ------
    RunError
        Where no process can be started.
    """
    _children[:] = [child for child in _children if child.poll() is None]
    try:
        with open(run.path / LOG, "ab") as log:
            child = subprocess.Popen(
                command_of(run),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,  # it says the same as the log
                stderr=log,
                cwd=Path.home(),  # a folder that is in use cannot be deleted on Windows
                env={**os.environ, "PYTHONUNBUFFERED": "1"},
                start_new_session=sys.platform != "win32",
                creationflags=_detached(),
            )
    except OSError as error:
        raise RunError(
            f"No process can be started for {run.path}: {error.strerror or error}; train it here "
            "instead."
        ) from error
    _children.append(child)
    return child


def command_of(run: RunFolder) -> list[str]:
    """Give the command that trains a run, with this Python; the current folder adds nothing."""
    return [sys.executable, "-P", "-m", "napari_dacapo_tasks", "train", str(run.path)]


def _detached() -> int:
    """Give what keeps a process from ending with this one on Windows."""
    if sys.platform == "win32":
        return subprocess.CREATE_NEW_PROCESS_GROUP | subprocess.CREATE_NO_WINDOW
    return 0


def follow(run: RunFolder, process: subprocess.Popen[bytes] | None = None) -> Work:
    """Tell what another process does to a run, as if it were trained here.

    To leave the run alone, close the generator: training goes on. `Request.STOP` stops it.

    Parameters
    ----------
    run
        The run.
    process
        What trains it, where this program started it.

    Raises
    ------
    RunError
        Where the process ended otherwise than by finishing or being stopped, with the end of its
        log; or the folder is gone or cannot be read.
    """
    return (yield from _Follower(run, process).events())


class _Follower:
    def __init__(self, run: RunFolder, process: subprocess.Popen[bytes] | None) -> None:
        self._run, self._process = run, process
        self._reader = RunReader(run)
        self._log = Tail(run.path / LOG, LOG_BYTES)
        self._shown: Path | None = None
        self._snapshots_changed = 0
        self._looked_at_lock = -inf
        self._stop_said: float | None = None

    def events(self) -> Work:
        run = self._run
        log, _ = self._log.read()
        history = self._reader.history()
        iteration = int(history.losses.iterations[-1]) if len(history.losses) else 0
        yield from self._answered(SoFar(history, log))  # which is somebody else's from here on
        yield from self._answered(Followed(iteration, run.config.trainer.iterations))
        while True:
            alive = self._is_alive()  # first: what it wrote until then is read below
            for event in self._news():
                yield from self._answered(event)
            if not alive:
                break
            sleep(POLL_SECONDS)
            yield from self._answered(None)
        yield self._end()
        return run

    def _answered(self, event: RunEvent) -> Generator[RunEvent, Request | None, None]:
        request = yield event
        if request is Request.STOP:
            self._stop_said = -inf
        elif request is not None:
            self._run.request(request.value)
        if self._stop_said is not None and monotonic() - self._stop_said > STOP_SECONDS:
            self._run.request(Request.STOP.value)
            self._stop_said = monotonic()

    def _is_alive(self) -> bool:
        if self._process is not None:
            return self._process.poll() is None
        if monotonic() - self._looked_at_lock < LOCK_SECONDS:
            return True
        self._looked_at_lock = monotonic()
        return self._run.is_training()

    def _news(self) -> Iterator[RunEvent]:
        lines, _ = self._log.read()
        if lines:
            yield Logged(lines)
        for news in self._reader.news():
            if isinstance(news, Score):
                best = self._reader.best_iteration()
                yield Validated(news.iteration, news, is_best=best == news.iteration)
            elif isinstance(news, Stepped):
                yield news
            else:
                yield SoFar(news)
        with suppress(DataError):  # one that is being replaced is seen the next time
            if (snapshot := self._snapshot()) is not None:
                yield see(snapshot, self._run.config.task)

    def _snapshot(self) -> Snapshot | None:
        """Read the latest snapshot, if it has not been seen."""
        try:
            changed = os.stat(self._run.snapshot_path(0).parent).st_mtime_ns
        except OSError:
            return None
        if changed == self._snapshots_changed:
            return None
        latest = next(reversed(self._run.snapshots()), None)
        snapshot = None
        if latest is not None and latest != self._shown:
            snapshot = read_snapshot(self._run, latest)
        self._shown, self._snapshots_changed = latest, changed
        return snapshot

    def _end(self) -> RunEvent:
        """Say how it ended, as training would have."""
        run = self._run
        require_there(run.path)
        checkpoint = run.latest_checkpoint()
        saved = 0 if checkpoint is None else int(checkpoint.stem)
        last = run.last_statistic()
        done = 0 if last is None else last.iteration
        code = None if self._process is None else self._process.returncode
        if code == 0 or (code is None and done == saved > 0):
            ended = Finished if saved >= run.config.trainer.iterations else Stopped
            return ended(saved)
        raise self._died(code, saved)

    def _died(self, code: int | None, saved: int) -> RunError:
        lines, _ = Tail(self._run.path / LOG, LOG_BYTES).read()
        lines = [line for line in lines if line.strip()][-LINES_SAID:]
        how = "ended" if code is None else f"ended with {_code_in_words(code)}"
        said = f", after '{lines[-1].strip().rstrip('.')}'" if lines else ""
        then = f"start it again to go on from iteration {saved}" if saved else "start it again"
        error = RunError(f"The process that trained {self._run.path.name} {how}{said}: {then}.")
        error.add_note("\n".join(["The end of its log:", *lines]))
        return error


def _code_in_words(code: int) -> str:
    if code >= 0:
        return f"exit code {code}"
    try:
        return signal.Signals(-code).name
    except ValueError:
        return f"signal {-code}"


def read_snapshot(run: RunFolder, path: Path) -> Snapshot:
    """Read a snapshot of a run as training tells of it."""
    task = run.config.task
    images = {name: _read(path / name) for name in ("raw", "target", "weight", "prediction")}
    iteration = int(path.name.partition(".")[0])
    return Snapshot(iteration, task.task_type(task).channels, **images)


def _read(path: Path) -> NumpyArray:
    array = open_array(path)
    try:
        values = array[array.roi]
    except (OSError, ValueError, KeyError, RuntimeError) as error:
        raise DataError(f"{path} cannot be read: {error}.") from error
    return NumpyArray.from_np_array(values, array.roi, array.voxel_size, array.axes, array.unit)
