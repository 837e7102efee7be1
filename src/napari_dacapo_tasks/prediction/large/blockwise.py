"""Predicting far more than fits into memory: blocks, several workers, and going on after a kill."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Generator, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import replace
from math import prod
from pathlib import Path
from time import monotonic, sleep
from typing import Any

import psutil
from funlib.geometry import Coordinate, Roi

from napari_dacapo_tasks.arrays.growing_image import (
    Exists,
    GrowingImage,
    is_growing,
    state_of,
    told,
)
from napari_dacapo_tasks.errors import DataError
from napari_dacapo_tasks.prediction.config import PredictionConfig
from napari_dacapo_tasks.prediction.events import Filled, Notice, Opened, PredictionEvent
from napari_dacapo_tasks.prediction.fit import PredictionPlan
from napari_dacapo_tasks.prediction.large.failures import Failure, Failures
from napari_dacapo_tasks.prediction.large.job import BlockwiseJob
from napari_dacapo_tasks.prediction.large.scheduler import RESULT
from napari_dacapo_tasks.prediction.large.standing import FATAL, Session, fatal_at, read_json
from napari_dacapo_tasks.prediction.large.workers import LOGS
from napari_dacapo_tasks.prediction.prediction import Prediction
from napari_dacapo_tasks.prediction.stored import plan_attrs
from napari_dacapo_tasks.runs.lock import is_locked, locked

__all__ = ["BlocksMissingError", "BlockwiseJob", "predict_blockwise"]

LOCK = "lock"

POLL_SECONDS = 0.2
"""Between two looks at what is done."""

LOOKS_APART = 10
"""Times that a look takes are between two of them, where that is longer."""

END_SECONDS = 10.0
"""For the scheduler to take its workers along; after that it is killed."""

TOLD_FAILURES = 20
"""Of all that failed: more would bury the rest."""


class BlocksMissingError(DataError):
    """Some blocks could not be predicted; the others are on disk.

    Attributes
    ----------
    missing
        How many.
    """

    def __init__(self, sentence: str, missing: int) -> None:
        super().__init__(sentence)
        self.missing = missing


def predict_blockwise(
    job: BlockwiseJob, *, exists: Exists = "refuse"
) -> Generator[PredictionEvent, None, Prediction]:
    """Predict block by block into an OME-Zarr image, with several workers.

    Nothing of the image is in the memory of this process. To stop, leave the generator: workers
    end, and what is on disk stays as an image that is filled in part. After that, and after a
    kill of anything at any time, the same job with ``exists="resume"`` does what is missing.

    Parameters
    ----------
    job
        What to predict, and where to.
    exists
        What to do where there is something at ``job.out`` already.

    Yields
    ------
    PredictionEvent
        `Opened` first; `Filled` for each block, and with an empty region now and then, so that
        stopping never waits; `Notice` for a block that failed and is tried again.

    Returns
    -------
    Prediction
        The whole, on disk.

    Raises
    ------
    DataTakenError
        Where ``job.out`` is taken and ``exists`` does not say what to do.
    BlocksMissingError
        Where blocks failed again and again.
    UserError
        Where the network, the image and the region do not fit, or no worker can work.
    """
    if exists == "resume":
        job = _as_begun(job)
    plan = job.plan()
    job = replace(job, iteration=plan.trained.iteration, config=_for_all(job.config, plan))
    image = _image(job, plan, exists)
    yield Opened(image.array, _workers(job))
    for notice in plan.notices:
        yield Notice(notice)
    if not image.is_finished:
        with _alone(image):
            job.save()
            if image.missing:
                yield from _predicted(job, image)
            for _ in image.finish():
                yield Filled(Roi(image.roi.begin, image.roi.shape * 0), 1.0, 0.0)
    trained = plan.trained
    return Prediction(image.array, trained.task, trained.name, trained.run)


def _for_all(config: PredictionConfig, plan: PredictionPlan) -> PredictionConfig:
    """Let all workers take the same tiles where that can be seen: where tiles blend."""
    tiles = plan.trained.tiles
    if config.tile_shape is not None or not tiles.blends:
        return config
    return config.model_copy(update={"tile_shape": tuple(tiles.largest)})


def _as_begun(job: BlockwiseJob) -> BlockwiseJob:
    """Take the checkpoint that the work was begun with, where all else is the same."""
    try:
        begun = BlockwiseJob.load(job.out)
    except DataError:
        return job
    same = ("trained", "checkpoint", "raw", "roi")
    if all(getattr(begun, name) == getattr(job, name) for name in same):
        return replace(job, iteration=begun.iteration)
    return job


def _image(job: BlockwiseJob, plan: PredictionPlan, exists: Exists) -> GrowingImage:
    growing = exists == "overwrite" and is_growing(job.out)
    if growing and is_locked(state_of(job.out) / LOCK):
        raise _already(job.out)
    return GrowingImage.create(
        job.out,
        roi=plan.roi,
        voxel_size=plan.voxel_size,
        unit=plan.unit,
        axes=plan.axes,
        num_channels=plan.num_channels,
        dtype=plan.dtype,
        name=plan.trained.name,
        attrs=plan_attrs(plan, job.config),
        exists=exists,
        block_shape=job.block_shape,
    )


@contextmanager
def _alone(image: GrowingImage) -> Iterator[None]:
    """Keep other programs of this machine from predicting the same."""
    with ExitStack() as held:
        with told(image.path):
            free = held.enter_context(locked(image.state / LOCK))
        if not free:
            raise _already(image.path)
        yield


def _already(path: Path) -> DataError:
    return DataError(f"{path} is being predicted already: wait for that, or stop it first.")


def _workers(job: BlockwiseJob) -> str:
    number = f"{job.workers} worker{'s' * (job.workers > 1)}"
    return f"{number} of this machine" if job.command is None else f"{number} by {job.command}"


def _predicted(job: BlockwiseJob, image: GrowingImage) -> Iterator[PredictionEvent]:
    """Let a scheduler see to all missing blocks, and tell what becomes of them."""
    progress = _Progress(image)
    failures = Failures(image.state)
    told_failures: list[Failure] = []
    for name in (RESULT, FATAL):
        (image.state / name).unlink(missing_ok=True)
    with _scheduler(image) as scheduler:
        while scheduler.poll() is None:
            yield from progress.events() or [progress.nothing()]
            for failure in failures.new():
                told_failures.append(failure)
                if len(told_failures) <= TOLD_FAILURES:
                    where = image.block(failure.block)
                    yield Notice(
                        f"A try at the block from {image.unit.describe(where.begin)} on failed: "
                        f"{failure.said}"
                    )
            _end_if_fatal(image)
            sleep(POLL_SECONDS)
    yield from progress.last_events()
    told_failures += failures.new()
    _end_if_fatal(image)
    missing = len(image.missing)
    if missing:
        raise BlocksMissingError(_sentence(image, missing, told_failures), missing)


class _Progress:
    """Tells which blocks were written since the last time, by looking at the disk."""

    def __init__(self, image: GrowingImage) -> None:
        self._image = image
        self._done = image.done
        self._voxels = 0
        self._total = prod(image.roi.shape / image.voxel_size)
        self._before = sum(self._size(index) for index in self._done)
        self._since = self._next_look = monotonic()

    def events(self) -> list[PredictionEvent]:
        """Give an event for each new block; a look at very many of them is worth a wait."""
        begin = monotonic()
        if begin < self._next_look:
            return []
        done = self._image.done
        self._next_look = monotonic() + (monotonic() - begin) * LOOKS_APART
        new, self._done = sorted(done - self._done), done
        found: list[PredictionEvent] = []
        for index in new:
            self._voxels += self._size(index)
            found.append(self._filled(self._image.block(index)))
        return found

    def last_events(self) -> list[PredictionEvent]:
        """Give the events of all that is left to tell."""
        self._next_look = 0.0
        return self.events()

    def nothing(self) -> PredictionEvent:
        """Give an event of nothing new."""
        roi = self._image.roi
        return self._filled(Roi(roi.begin, roi.shape * 0))

    def _filled(self, roi: Roi) -> PredictionEvent:
        rate = self._voxels / max(monotonic() - self._since, 1e-9)
        return Filled(roi, (self._before + self._voxels) / self._total, rate)

    def _size(self, index: tuple[int, ...]) -> int:
        size: Coordinate = self._image.block(index).shape / self._image.voxel_size
        return prod(size)


@contextmanager
def _scheduler(image: GrowingImage) -> Iterator[subprocess.Popen[bytes]]:
    """Start the scheduler, and end it with all its workers however this is left."""
    command = [
        sys.executable,
        "-m",
        "napari_dacapo_tasks.prediction.large.scheduler",
        str(image.path),
    ]
    windows = ("CREATE_NEW_PROCESS_GROUP", "CREATE_NO_WINDOW")
    log = image.state / LOGS / "scheduler.txt"
    with told(image.path):
        log.parent.mkdir(exist_ok=True)
        with open(log, "ab") as output:
            # It ends when its input does, which is when this process ends, however that comes;
            # apart from it, so that Ctrl-C in a terminal does not reach every worker on its own.
            process = subprocess.Popen(
                command,
                stdin=subprocess.PIPE,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                creationflags=sum(getattr(subprocess, name, 0) for name in windows),
            )
    try:
        yield process
    finally:
        _end(process)
        session = Session.at(image.state)
        if session is not None:
            session.end()


def _end(process: subprocess.Popen[bytes]) -> None:
    assert process.stdin is not None
    with suppress(OSError):
        process.stdin.close()
    try:
        process.wait(END_SECONDS)
    except subprocess.TimeoutExpired:
        with suppress(psutil.Error):
            for child in psutil.Process(process.pid).children(recursive=True):
                child.kill()
        process.kill()
        process.wait()


def _end_if_fatal(image: GrowingImage) -> None:
    fatal = fatal_at(image.state)
    if fatal is not None:
        raise DataError(fatal)


def _sentence(image: GrowingImage, missing: int, failures: list[Failure]) -> str:
    """Say how many blocks are missing, and why."""
    total = prod(image.grid)
    logs = f"the logs are in {image.state / LOGS}"
    result: dict[str, Any] = read_json(image.state / RESULT) or {}
    if failures:
        why = f"the last one said: {failures[-1].said.rstrip('.')}"
    elif result.get("abandoned"):
        said = str(result.get("said", "")).strip().splitlines()
        why = f"the workers ended: {said[0].rstrip('.') if said else 'nobody knows why'}"
    elif result:
        why = "their workers died"
    else:
        why = "the scheduler ended before its time"
    return f"{missing} of {total} blocks are missing, {why}; resume to try them again, {logs}."
