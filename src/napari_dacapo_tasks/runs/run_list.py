"""All runs in some folders: what state they are in, and what can be done with them."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from enum import Enum
from functools import lru_cache
from pathlib import Path

from napari_dacapo_tasks.errors import UserError
from napari_dacapo_tasks.runs.checkpoints import CHECKPOINTS, iteration_of
from napari_dacapo_tasks.runs.config import RunConfig
from napari_dacapo_tasks.runs.log import LOG
from napari_dacapo_tasks.runs.manage import Difference, delete, differences, duplicate
from napari_dacapo_tasks.runs.run_folder import CONFIG, RunFolder
from napari_dacapo_tasks.runs.scores import SCORES, best_first, criterion_of
from napari_dacapo_tasks.runs.statistics import STATISTICS

__all__ = [
    "Difference",
    "RunState",
    "RunSummary",
    "delete",
    "differences",
    "duplicate",
    "list_runs",
    "summary_of",
]

DEEPEST = 3
"""Levels below a folder in which runs are looked for."""

ENTRIES_LOOKED_AT = 2000
"""Of a single folder: one with more, such as the sections of a volume, holds no runs."""

CONFIGS_REMEMBERED = 1000
"""Reading one takes some milliseconds, and most do not change between two looks at the list."""


class RunState(Enum):
    """How far a run is; the values are for people."""

    NEW = "new"
    TRAINING = "training"
    STOPPED = "stopped"
    FINISHED = "finished"
    BROKEN = "broken"


@dataclass(frozen=True)
class RunSummary:
    """A run at a glance.

    Attributes
    ----------
    path, name
        The folder, and its name.
    state
        How far it is.
    task
        Title of the kind of task.
    iteration, iterations
        Steps done, and in the end.
    loss
        Of the last step, None before the first.
    criterion, score
        Title of the score that says what is best, and the best one; None without any.
    modified
        When something was written last.
    flaw
        Why it is broken, as a sentence.
    """

    path: Path
    name: str
    state: RunState
    task: str = ""
    iteration: int = 0
    iterations: int = 0
    loss: float | None = None
    criterion: str = ""
    score: float | None = None
    modified: datetime | None = None
    flaw: str = ""


def list_runs(folders: Iterable[str | Path]) -> list[RunSummary]:
    """Find the runs in folders, the one that was written last first.

    A folder may be a run itself, or hold runs up to three levels below it. Little is read of a
    run, so that hundreds take a moment. Folders that are gone or closed to us hold none.
    """
    found: dict[Path, RunSummary] = {}
    for folder in folders:
        for path in _runs_in(Path(folder).absolute(), DEEPEST):
            if path not in found:
                found[path] = summary_of(path)
    longest_ago = datetime.fromtimestamp(0).astimezone()
    return sorted(found.values(), key=lambda run: run.modified or longest_ago, reverse=True)


def summary_of(path: str | Path) -> RunSummary:
    """Look at one run; one that cannot be read is broken, and says why."""
    path = Path(path).absolute()
    modified = _modified(path)
    try:
        run = RunFolder(path, _config_of(path))
        last = run.last_statistic()
        checkpoint = run.latest_checkpoint()
        task, trainer = run.config.task, run.config.trainer
        saved = 0 if checkpoint is None else iteration_of(checkpoint)
        criterion = criterion_of(task.task_type(task), trainer.validation.criterion)
        best = best_first(run.scores(), criterion)
        if run.is_training():
            state = RunState.TRAINING
        elif saved >= trainer.iterations:
            state = RunState.FINISHED
        elif last is None and checkpoint is None:
            state = RunState.NEW
        else:
            state = RunState.STOPPED
    except UserError as error:
        return RunSummary(path, path.name, RunState.BROKEN, modified=modified, flaw=str(error))
    return RunSummary(
        path=path,
        name=path.name,
        state=state,
        task=task.title,
        iteration=saved if last is None else last.iteration,
        iterations=trainer.iterations,
        loss=None if last is None else last.loss,
        criterion=criterion.title,
        score=best[0].of(criterion.name) if best else None,
        modified=modified,
    )


def _runs_in(folder: Path, levels: int) -> Iterator[Path]:
    try:
        if (folder / CONFIG).is_file():
            yield folder
            return
        if levels == 0:
            return
        with os.scandir(folder) as entries:
            inside = [entry for _, entry in zip(range(ENTRIES_LOOKED_AT), entries, strict=False)]
    except OSError:
        return
    for entry in inside:
        # Hidden ones are not whole yet, or about to go; images hold very many folders.
        if not entry.name.startswith(".") and not entry.name.endswith((".zarr", ".n5")):
            path = Path(entry.path)
            if os.path.isdir(path):  # as of a folder that is closed to us, it raises nothing
                yield from _runs_in(path, levels - 1)


def _config_of(path: Path) -> RunConfig:
    try:
        known = (path / CONFIG).stat()
    except OSError:
        return RunFolder.open(path).config  # says what is wrong
    return _remembered(path, known.st_mtime_ns, known.st_size)


@lru_cache(CONFIGS_REMEMBERED)
def _remembered(path: Path, _written: int, _size: int) -> RunConfig:
    return RunFolder.open(path).config


def _modified(path: Path) -> datetime | None:
    times = []
    for name in (CONFIG, STATISTICS, SCORES, LOG, CHECKPOINTS):
        try:
            times.append((path / name).stat().st_mtime)
        except OSError:
            continue
    return datetime.fromtimestamp(max(times)).astimezone() if times else None
