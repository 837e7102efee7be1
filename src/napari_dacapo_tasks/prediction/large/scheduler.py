"""The process that hands blocks to workers, by way of daisy.

It is a process of its own so that it can be ended at any moment, as daisy's server cannot: it
ends with the program that started it, however that ends, and takes its workers along.
"""

from __future__ import annotations

import os
import signal
import sys
from contextlib import suppress
from pathlib import Path
from threading import Event, Thread
from typing import Any, NoReturn

import numpy as np
import psutil

from napari_dacapo_tasks.arrays.growing_image import GrowingImage
from napari_dacapo_tasks.prediction.large.job import BlockwiseJob
from napari_dacapo_tasks.prediction.large.standing import BEAT_SECONDS, Session, every, write_json
from napari_dacapo_tasks.prediction.large.workers import StartWorker

RESULT = "result.json"
"""File in which it says how it ended."""

TASK = "predict"

RETRIES = 2
"""How often a block is tried again."""

LEAST_RESTARTS = 10
RESTARTS_OF_WORKER = 4
"""How often new workers take the place of some that died, at least and for each: after that
something is wrong with all of them."""

BLOCK_SECONDS = 24 * 3600.0
"""After which a worker that still has its first block is taken for dead; daisy wants a number."""

LOCAL = "127.0.0.1"


def main(folder: str) -> None:
    """Hand out the missing blocks of a job until none is left, and say in a file how that went."""
    image = GrowingImage.open(folder)
    job = BlockwiseJob.load(folder)
    session = Session.begin(image.state)
    if Session.at(image.state) != session:  # no worker would begin, and none would say why
        raise SystemExit(f"{image.state} cannot be written")
    ended = Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: _end(session))
    Thread(target=_end_with_parent, args=(session,), daemon=True).start()
    beats = iter(range(1, sys.maxsize))
    beating = every(BEAT_SECONDS, lambda: session.beat(next(beats)), ended)
    try:
        result = _run(image, job, session)
    finally:
        ended.set()
        beating.join()
        session.end()
    write_json(image.state / RESULT, {"session": session.name, **result})


def _run(image: GrowingImage, job: BlockwiseJob, session: Session) -> dict[str, Any]:
    from daisy import logging, v2

    daisy: Any = v2  # it says no types
    daisy_logging: Any = logging
    daisy_logging.set_log_basedir(None)  # workers have their own logs in the folder of the job
    done = np.zeros(image.grid, np.uint8)
    for index in image.done:
        done[index] = 1
    one, none = (1,) * len(image.grid), (0,) * len(image.grid)
    block = daisy.Roi(none, one)
    start = StartWorker(
        folder=str(image.path),
        state=str(image.state),
        session=session.name,
        template=job.command,
        threads=max(1, _cores() // job.workers),
        parent=os.getpid(),
    )
    task = daisy.Task(
        TASK,
        total_roi=daisy.Roi(none, image.grid),
        read_roi=block,
        write_roi=block,
        process_function=start,
        read_write_conflict=False,
        max_workers=min(job.workers, len(image.missing)),
        max_retries=RETRIES,
        max_worker_restarts=max(LEAST_RESTARTS, RESTARTS_OF_WORKER * job.workers),
        timeout=BLOCK_SECONDS,
        # What is on disk is the truth: a marker of daisy's could say more than was written.
        tracking_path=False,
        skip_mask=done,
    )
    states = daisy.Server().run_blockwise(
        task,
        progress=_EndWhenDone(session),
        block_tracking=False,
        host=LOCAL if job.command is None else None,
        summary=False,
    )
    state = states[TASK]
    return {
        "failed": state.failed_count,
        "abandoned": state.abandoned,
        "said": state.last_worker_error or state.first_worker_error or "",
    }


class _EndWhenDone:
    """Ends the session with the last block, since daisy waits for workers that are in a queue."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def on_start(self, states: Any) -> None:
        """Nothing has happened yet."""

    def on_progress(self, states: Any) -> None:
        """Look whether anything is left."""
        state = states[TASK]
        over = state.completed_count + state.failed_count + state.orphaned_count
        if over >= state.total_block_count:
            self._session.end()

    def on_finish(self, states: Any) -> None:
        """Workers have ended before."""


def _cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _end_with_parent(session: Session) -> None:
    """Wait for the end of what comes in: it is the other end of a pipe that only ends."""
    sys.stdin.buffer.read()
    _end(session)


def _end(session: Session) -> NoReturn:
    session.end()
    for process in psutil.Process().children(recursive=True):
        with suppress(psutil.Error):
            process.kill()
    os._exit(1)


if __name__ == "__main__":
    main(str(Path(sys.argv[1])))
