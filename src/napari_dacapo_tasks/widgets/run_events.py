"""What the Train dock hears of a run, beside the events of training itself."""

from __future__ import annotations

from collections.abc import Generator, Sequence
from dataclasses import dataclass, field

from napari_dacapo_tasks.arrays import Array
from napari_dacapo_tasks.runs.run_folder import RunFolder
from napari_dacapo_tasks.training.events import Request, TrainingEvent
from napari_dacapo_tasks.widgets.histories import RunHistory
from napari_dacapo_tasks.widgets.seen_snapshot import SeenSnapshot


@dataclass(frozen=True)
class FoundRun:
    """A run that is in a folder already.

    Attributes
    ----------
    run
        The folder.
    iteration
        Steps that its latest checkpoint has; None without a checkpoint.
    history
        Its losses and scores.
    log
        The last lines of its log.
    is_training
        Whether somebody trains it.
    raw
        Raw data of its first crop, None where that is gone.
    """

    run: RunFolder
    iteration: int | None
    history: RunHistory
    log: Sequence[str] = field(default=(), repr=False)
    is_training: bool = False
    raw: Array | None = field(default=None, repr=False)


@dataclass(frozen=True)
class Opened:
    """The run folder is there, training comes next."""

    run: RunFolder


@dataclass(frozen=True)
class Followed:
    """A process of its own trains the run.

    Attributes
    ----------
    iteration
        Steps done before.
    iterations
        Steps in the end.
    """

    iteration: int
    iterations: int


@dataclass(frozen=True)
class SoFar:
    """All that is known of a run, in the place of what was known before.

    Attributes
    ----------
    history
        Its losses and scores.
    log
        The last lines of its log; None where those that were known stay.
    """

    history: RunHistory
    log: Sequence[str] | None = None


@dataclass(frozen=True)
class Logged:
    """Lines that have come to the log."""

    lines: list[str]


RunEvent = float | Opened | Followed | SoFar | Logged | SeenSnapshot | TrainingEvent | None
"""None says nothing, and is a moment at which work can be stopped."""

Work = Generator[RunEvent, Request | None, RunFolder]
