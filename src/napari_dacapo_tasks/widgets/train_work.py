"""What the Train dock has done in the background: plain generators that never see a widget."""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from napari_dacapo_tasks.architectures import CNNectomeUNet
from napari_dacapo_tasks.arrays import Array, GroundTruth
from napari_dacapo_tasks.runs.create import create_run
from napari_dacapo_tasks.runs.run_folder import CONFIG, RunFolder, Statistic
from napari_dacapo_tasks.runs.trainer_config import TrainerConfig
from napari_dacapo_tasks.tasks import TaskConfig
from napari_dacapo_tasks.tasks.predictors.predictor import Predictor
from napari_dacapo_tasks.training.events import Request, Snapshot, TrainingEvent
from napari_dacapo_tasks.widgets.pictures import Picture, draw


@dataclass(frozen=True)
class NewRun:
    """All that a new run is made of; parameters as of `create_run`."""

    path: Path
    task: TaskConfig
    architecture: CNNectomeUNet
    trainer: TrainerConfig
    raw: Array
    ground_truth: GroundTruth
    raw_path: str | None = None


@dataclass(frozen=True)
class FoundRun:
    """A run that is in a folder already.

    Attributes
    ----------
    run
        The folder.
    iteration
        Steps that its latest checkpoint has; None without a checkpoint.
    statistics
        One for each step.
    """

    run: RunFolder
    iteration: int | None
    statistics: list[Statistic]


@dataclass(frozen=True)
class Opened:
    """The run folder is there, training comes next."""

    run: RunFolder


@dataclass(frozen=True)
class SeenSnapshot:
    """A snapshot, and how its target and prediction are to be seen.

    Attributes
    ----------
    snapshot
        From training.
    ranges
        Lowest and highest value of each channel of target and prediction.
    highest_weight
        Of all channels, 1 where none weighs anything.
    target, prediction
        Pictures of several channels.
    """

    snapshot: Snapshot
    ranges: list[tuple[float, float]]
    highest_weight: float
    target: list[Picture]
    prediction: list[Picture]


Work = Generator[float | Opened | SeenSnapshot | TrainingEvent, Request | None, RunFolder]


def look_into(path: Path) -> Generator[None, None, FoundRun | None]:
    """Read what is known of the run in a folder; give None where there is no run."""
    yield
    if not (path / CONFIG).is_file():
        return None
    run = RunFolder.open(path)
    latest = run.latest_checkpoint()
    return FoundRun(run, None if latest is None else int(latest.stem), run.statistics())


def make_and_train(new: NewRun) -> Work:
    """Make a run folder and train it; what comes before `Opened` is the share that is made."""
    run = yield from create_run(
        new.path,
        task=new.task,
        architecture=new.architecture,
        trainer=new.trainer,
        raw=new.raw,
        ground_truth=new.ground_truth,
        raw_path=new.raw_path,
    )
    return (yield from _train(run))


def go_on(run: RunFolder, trainer: TrainerConfig) -> Work:
    """Train a run further, perhaps with other parameters of the trainer."""
    if trainer != run.config.trainer:
        run.save_config(run.config.model_copy(update={"trainer": trainer}))
    return (yield from _train(run))


def _train(run: RunFolder) -> Work:
    from napari_dacapo_tasks.training.loop import train  # torch, which takes seconds to import

    yield Opened(run)
    config = run.config.task
    predictor = config.task_type(config).predictor
    steps = train(run)
    try:
        event = next(steps)
        while True:
            request = yield _seen(event, predictor) if isinstance(event, Snapshot) else event
            event = steps.send(request)
    except StopIteration:
        return run
    finally:
        steps.close()


def _seen(snapshot: Snapshot, predictor: Predictor[Any]) -> SeenSnapshot:
    ranges, composites = predictor.target_ranges, predictor.composites
    return SeenSnapshot(
        snapshot,
        ranges,
        float(snapshot.weight.data.max(initial=0.0)) or 1.0,
        draw(snapshot.target.data, composites, ranges),
        draw(snapshot.prediction.data, composites, ranges),
    )
