"""What a worker does: it gets blocks, predicts them and writes them, until there are no more."""

from __future__ import annotations

import os
import sys
import traceback
from collections.abc import Callable
from pathlib import Path
from threading import Event
from time import monotonic, sleep, strftime
from typing import Any

import psutil

from napari_dacapo_tasks.arrays.growing_image import DiskFullError, GrowingImage
from napari_dacapo_tasks.errors import DataError, UserError
from napari_dacapo_tasks.prediction.config import PredictionConfig
from napari_dacapo_tasks.prediction.large.failures import Failure, add_failure
from napari_dacapo_tasks.prediction.large.job import BlockwiseJob
from napari_dacapo_tasks.prediction.large.standing import (
    BEAT_SECONDS,
    LOOK_SECONDS,
    SESSION,
    Session,
    Standing,
    every,
    write_json,
)
from napari_dacapo_tasks.prediction.large.workers import ENDED, log_path, worker_path
from napari_dacapo_tasks.tasks.post_processors.post_processor import result_of

TASK = "predict"

FAILURES_IN_A_ROW = 5
"""Of different blocks, after which something is wrong with the worker and not with them."""


LATE_SECONDS = 60.0
"""By which a file system in a network may tell late of a session that has begun."""


def work(
    folder: str | Path,
    *,
    session: str | None = None,
    server: tuple[str, int] | None = None,
    number: int | None = None,
    parent: int | None = None,
) -> int:
    """Predict blocks of a job as long as there are any.

    The session, the server and the number are found in the folder, or made up, where they are
    left out: so a worker that is started by hand joins those that are there.

    Parameters
    ----------
    folder
        Output folder of the job.
    session
        Name of the scheduler's session.
    server
        Host and port of the scheduler.
    number
        Of this worker in its session.
    parent
        Process of this machine with which to end.

    Returns
    -------
    int
        Blocks that were predicted.

    Raises
    ------
    DataError
        Where no scheduler is at work on the job.
    UserError
        Where network, image or device cannot be used.
    """
    folder = Path(folder).absolute()
    job = BlockwiseJob.load(folder)
    image = GrowingImage.open(folder)
    current = Session.at(image.state)
    if session is not None:
        wait = 0.0 if parent is not None else LATE_SECONDS
        while current is None or current.name != session:
            if wait <= 0:
                return 0  # it was stopped while this worker waited in a queue
            sleep(LOOK_SECONDS)
            wait -= LOOK_SECONDS
            current = Session.at(image.state)
    if current is None:
        raise DataError(f"Nobody predicts {folder} at the moment: start that first.")
    server = server or current.server()
    if server is None:
        raise DataError(f"{folder} is only just begun: start the worker again in some seconds.")
    by_hand = number is None
    number = os.getpid() if number is None else number
    if not by_hand:
        _log_to(log_path(image.state, current.name, number))
    stopped = Event()
    watch = _Watch(image.state, current, number, parent)
    threads = [every(LOOK_SECONDS, watch.look, stopped), every(BEAT_SECONDS, watch.beat, stopped)]
    watch.beat()
    try:
        return _blocks(job, image, current, server, -1 if by_hand else number)
    finally:
        stopped.set()
        for thread in threads:
            thread.join()
        watch.end()


def _blocks(
    job: BlockwiseJob,
    image: GrowingImage,
    session: Session,
    server: tuple[str, int],
    number: int,
) -> int:
    from daisy import v2

    from napari_dacapo_tasks.prediction.inference import Inference

    daisy: Any = v2  # it says no types
    say = _said_by(image, f"{session.name}-{number if number >= 0 else f'p{os.getpid()}'}")
    try:
        plan = job.plan()
        config, sharing = _own_device(job, max(0, number))
        inference = Inference(plan.trained, config, sharing)
    except UserError as error:
        if job.command is None:  # all workers of this machine would say the same
            session.give_up(str(error))
        raise
    done, in_a_row = 0, 0
    try:
        client = daisy.Client(
            daisy.Context(
                hostname=server[0], port=server[1], task_id=TASK, worker_id=number, logdir=""
            )
        )
        while True:
            index: tuple[int, ...] | None = None
            try:
                with client.acquire_block() as block:
                    if block is None:
                        return done
                    index = tuple(block.write_roi.begin)
                    if not image.is_done(index):  # one that died had only not said so yet
                        begun = monotonic()
                        roi = image.block(index)
                        image.write(roi, result_of(inference.predict_region(plan, roi)))
                        _log(f"block {index} in {monotonic() - begun:.1f} s")
                    done, in_a_row = done + 1, 0
            except DiskFullError as error:
                session.give_up(str(error))
                raise
            except Exception as error:
                if index is None or image.is_done(index):  # the scheduler went, not the block
                    raise
                say(index, error)
                in_a_row += 1
                if in_a_row >= FAILURES_IN_A_ROW:
                    raise
    finally:
        inference.close()


def _said_by(image: GrowingImage, name: str) -> Callable[[tuple[int, ...], Exception], None]:
    def say(index: tuple[int, ...], error: Exception) -> None:
        _log(f"block {index} failed")
        traceback.print_exception(error)
        said = str(error) if isinstance(error, UserError) else f"{type(error).__name__}: {error}"
        add_failure(image.state, Failure(index, " ".join(said.split()), name))

    return say


def _own_device(job: BlockwiseJob, number: int) -> tuple[PredictionConfig, int]:
    """Spread workers over the graphics cards of a machine, unless one was asked for.

    Also give how many workers share a device, as far as that is known: those elsewhere do not.
    """
    import torch

    sharing = job.workers if job.command is None else 1
    count = torch.cuda.device_count()
    if job.config.device != "auto" or count < 2:
        return job.config, sharing
    config = job.config.model_copy(update={"device": f"cuda:{number % count}"})
    return config, -(-sharing // count)


class _Watch:
    """Ends this process when it is not needed any more, and says that it goes on until then."""

    def __init__(self, state: Path, session: Session, number: int, parent: int | None) -> None:
        self._session = Standing(state / SESSION, session.name)
        self._path = worker_path(state, session.name, number)
        self._beats = 0
        self._parent = None
        if parent is not None:
            try:
                self._parent = psutil.Process(parent)
            except psutil.NoSuchProcess:
                os._exit(0)

    def look(self) -> None:
        """End at once when the scheduler went: what is written is written whole or not at all."""
        if self._session.over() or not (self._parent is None or self._parent.is_running()):
            _log("stopped")
            os._exit(0)

    def beat(self) -> None:
        """Say that this worker goes on."""
        self._beats += 1
        write_json(self._path, {"beat": self._beats})

    def end(self) -> None:
        """Say that this worker ended by itself."""
        write_json(self._path, {ENDED: True})


def _log(text: str) -> None:
    print(f"{strftime('%Y-%m-%d %H:%M:%S')} {text}", file=sys.stderr, flush=True)


def _log_to(path: Path) -> None:
    """Let all that is said, also by libraries, go to a file."""
    try:
        path.parent.mkdir(exist_ok=True)
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    except OSError:
        return
    for stream in (sys.stdout, sys.stderr):
        stream.flush()
        os.dup2(handle, stream.fileno())
    os.close(handle)
