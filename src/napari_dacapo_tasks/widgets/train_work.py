"""What the Train dock has done in the background: plain generators that never see a widget."""

from __future__ import annotations

from collections.abc import Generator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from time import monotonic

from napari_dacapo_tasks.architectures import CNNectomeUNet
from napari_dacapo_tasks.arrays import Array, LabelsConfig
from napari_dacapo_tasks.runs.create import Row, create_run, raw_in_memory
from napari_dacapo_tasks.runs.data_config import SamplingConfig
from napari_dacapo_tasks.runs.log import LOG
from napari_dacapo_tasks.runs.run_folder import RunFolder
from napari_dacapo_tasks.runs.trainer_config import TrainerConfig
from napari_dacapo_tasks.tasks import TaskConfig
from napari_dacapo_tasks.training.events import Request, Snapshot, Stepped
from napari_dacapo_tasks.widgets.own_process import follow, start_process
from napari_dacapo_tasks.widgets.run_events import Logged, Opened, RunEvent, SoFar, Work
from napari_dacapo_tasks.widgets.run_reading import RunReader
from napari_dacapo_tasks.widgets.seen_snapshot import see
from napari_dacapo_tasks.widgets.tail import Tail

LOG_SECONDS = 0.5
"""From one look at the log to the next while steps are done."""


@dataclass(frozen=True)
class NewRun:
    """All that a new run is made of; parameters as of `create_run`."""

    path: Path
    task: TaskConfig
    architecture: CNNectomeUNet
    trainer: TrainerConfig
    rows: Sequence[Row]
    labels: LabelsConfig
    sampling: SamplingConfig | None = None


def make_and_train(new: NewRun, apart: bool = False) -> Work:
    """Make a run folder and train it; what comes before `Opened` is the share that is made.

    Parameters
    ----------
    new
        What to make.
    apart
        Whether to train it in a process of its own.
    """
    run = yield from create_run(
        new.path,
        task=new.task,
        architecture=new.architecture,
        trainer=new.trainer,
        rows=new.rows,
        labels=new.labels,
        sampling=new.sampling,
    )
    if apart:
        return (yield from _train_apart(run))
    return (yield from _train(run, raw_in_memory(new.rows, run)))


def go_on(
    run: RunFolder,
    trainer: TrainerConfig,
    architecture: CNNectomeUNet | None = None,
    apart: bool = False,
) -> Work:
    """Train a run further, perhaps with other parameters.

    Parameters
    ----------
    run
        The run.
    trainer
        How.
    architecture
        The network, where there is no checkpoint yet; None for the one that it has.
    apart
        Whether to train it in a process of its own.
    """
    config = run.config.model_copy(update={"trainer": trainer})
    if architecture is not None:
        config = config.model_copy(update={"architecture": architecture})
    if config != run.config:
        run.save_config(config)
    return (yield from (_train_apart(run) if apart else _train(run)))


def follow_run(run: RunFolder) -> Work:
    """Follow a run that somebody trains; see `follow`."""
    yield Opened(run)
    return (yield from follow(run))


def _train_apart(run: RunFolder) -> Work:
    yield Opened(run)
    return (yield from follow(run, start_process(run)))


def _train(run: RunFolder, in_memory: Mapping[str, Array] | None = None) -> Work:
    from napari_dacapo_tasks.training.loop import train  # torch, which takes seconds to import

    log = Tail(run.path / LOG)
    log.read()  # what is there already has been shown
    looked = -LOG_SECONDS
    yield Opened(run)
    yield SoFar(RunReader(run).history())
    with closing(train(run, in_memory=in_memory)) as steps:
        request: Request | None = None
        while True:
            try:
                event = steps.send(request)
            except StopIteration:
                break
            except Exception:
                yield from _logged(log)
                raise
            seen: RunEvent = event
            if isinstance(event, Snapshot):
                seen = see(event, run.config.task)
            request = yield seen
            if not isinstance(event, Stepped) or monotonic() - looked > LOG_SECONDS:
                looked = monotonic()
                request = (yield from _logged(log)) or request
    yield from _logged(log)
    return run


def _logged(log: Tail) -> Generator[RunEvent, Request | None, Request | None]:
    lines, _ = log.read()
    return (yield Logged(lines)) if lines else None
