"""A trained network with all that is known of it, from a run folder or an exported file."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from math import prod
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from napari_dacapo_tasks.architectures import CNNectomeUNet
from napari_dacapo_tasks.arrays.open import open_array
from napari_dacapo_tasks.errors import RunError, UserError
from napari_dacapo_tasks.runs.checkpoints import iteration_of
from napari_dacapo_tasks.runs.files import is_run
from napari_dacapo_tasks.runs.run_folder import RunFolder
from napari_dacapo_tasks.runs.scores import best_first, criterion_of
from napari_dacapo_tasks.tasks import PretrainedTaskConfig, Task, TaskConfig
from napari_dacapo_tasks.tasks.evaluators.evaluator import Criterion
from napari_dacapo_tasks.units import WorldUnit

if TYPE_CHECKING:
    from torch import Tensor

    from napari_dacapo_tasks.architectures.model import Model
    from napari_dacapo_tasks.architectures.tiles import Tiles

Checkpoint = Literal["best", "latest"] | int
"""The one with the best score, the last one, or that of an iteration."""


@dataclass(frozen=True, eq=False)
class TrainedModel:
    """A trained network, on its own: its run may have gone on since, or be gone.

    Attributes
    ----------
    name
        For people.
    task
        What it answers; lengths in nanometres (voxels without a unit).
    architecture
        Of the network.
    weights
        By the names that they have in the chain of its model.
    intensity_range
        Raw values that it sees as -1 and 1.
    voxel_size
        Of the raw data that it was trained on, per axis in ``unit``; empty where not known.
    unit
        ``"nm"`` or ``"voxels"``.
    iteration
        Steps that it was trained.
    run
        Folder of its run, None where that is not known.
    notices
        What a person should know of it, a sentence each.
    """

    name: str
    task: TaskConfig
    architecture: CNNectomeUNet
    weights: Mapping[str, Tensor]
    intensity_range: tuple[float, float]
    voxel_size: tuple[float, ...]
    unit: str
    iteration: int = 0
    run: Path | None = None
    notices: tuple[str, ...] = ()

    def build(self) -> Model:
        """Give the network with its weights, on the CPU and in eval mode.

        Raises
        ------
        ConfigError
            Where the weights are those of another network.
        """
        from napari_dacapo_tasks.architectures.weights import load_weights

        model = self.task_on(WorldUnit(self.unit)).predictor.create_model(self.architecture)
        load_weights(model, {"model": self.weights})
        return model.eval()

    def task_on(self, unit: WorldUnit) -> Task:
        """Give the task with lengths in steps of a grid."""
        return self.task.task_type(self.task.on_grid(unit))

    @cached_property
    def outline(self) -> Model:
        """The network without its weights: it tells shapes, and takes no memory."""
        import torch

        with torch.device("meta"):
            model = self.task_on(WorldUnit(self.unit)).predictor.create_model(self.architecture)
        return model.eval()

    @cached_property
    def tiles(self) -> Tiles:
        """How the network goes over raw data, in tiles of the shape that its run names."""
        from napari_dacapo_tasks.architectures.tiles import Tiles

        return Tiles(self.outline)


@dataclass(frozen=True)
class TrainedSummary:
    """What can be said of a trained network without loading it.

    Attributes
    ----------
    name, task, architecture, voxel_size, unit, run, notices
        As of `TrainedModel`.
    iteration
        Steps that the network was trained that `open_trained` gives for ``"best"``.
    iterations
        Of all checkpoints that there are, the latest last.
    criterion, score
        What is best by, and the best one; None where nothing was scored.
    """

    name: str
    task: TaskConfig
    architecture: CNNectomeUNet
    voxel_size: tuple[float, ...]
    unit: str
    iteration: int
    iterations: tuple[int, ...] = ()
    criterion: Criterion | None = None
    score: float | None = None
    run: Path | None = None
    notices: tuple[str, ...] = ()


def open_trained(path: str | Path, checkpoint: Checkpoint = "best") -> TrainedModel:
    """Open a trained network; nothing of its files is executed.

    Parameters
    ----------
    path
        A run folder, or what `napari_dacapo_tasks.prediction.export` has written: a package of
        bioimage.io, a program of PyTorch, or a folder for DaCapo.
    checkpoint
        Which of a run folder's. Where nothing was scored the best one is the latest, which a
        notice says.

    Raises
    ------
    RunError, ConfigError, DataError
        Where there is nothing, no checkpoint yet, or one that is damaged.
    """
    from napari_dacapo_tasks.architectures.weights import weights_to_predict

    path = Path(path).absolute()
    if not is_run(path):
        from napari_dacapo_tasks.prediction.export import read_exported

        return read_exported(_there(path))
    run = RunFolder.open(path)
    file, notices = _checkpoint_of(run, checkpoint)
    voxel_size, unit, more = _seen(run)
    return TrainedModel(
        name=path.name,
        task=_answers(run.task),
        architecture=run.config.architecture,
        weights=weights_to_predict(run.load_checkpoint(file), f"The checkpoint {file}"),
        intensity_range=run.config.data.intensity_range,
        voxel_size=voxel_size,
        unit=unit,
        iteration=iteration_of(file),
        run=path,
        notices=(*notices, *more),
    )


def describe_trained(path: str | Path) -> TrainedSummary:
    """Say what a trained network is, reading no weights; raises as `open_trained`.

    A run that has no checkpoint yet is refused, too.
    """
    path = Path(path).absolute()
    if not is_run(path):
        from napari_dacapo_tasks.prediction.export import read_description

        known = read_description(_there(path))
        return TrainedSummary(
            name=known.name,
            task=known.task,
            architecture=known.architecture,
            voxel_size=known.voxel_size,
            unit=known.unit,
            iteration=known.iteration,
            iterations=(known.iteration,),
        )
    run = RunFolder.open(path)
    file, notices = _checkpoint_of(run, "best")
    voxel_size, unit, more = _seen(run)
    task = run.config.task
    criterion = criterion_of(task.task_type(task), run.config.trainer.validation.criterion)
    iteration = iteration_of(file)
    scores = {score.iteration: score for score in best_first(run.scores(), criterion)}
    scored = scores.get(iteration)
    return TrainedSummary(
        name=path.name,
        task=_answers(run.task),
        architecture=run.config.architecture,
        voxel_size=voxel_size,
        unit=unit,
        iteration=iteration,
        iterations=tuple(iteration_of(one) for one in run.checkpoints()),
        criterion=None if scored is None else criterion,
        score=None if scored is None else scored.of(criterion.name),
        run=path,
        notices=(*notices, *more),
    )


def _there(path: Path) -> Path:
    if not path.exists():
        raise RunError(f"There is nothing at {path}: choose a run folder or an exported network.")
    return path


def _checkpoint_of(run: RunFolder, which: Checkpoint) -> tuple[Path, tuple[str, ...]]:
    """Choose a checkpoint, and say where it is not what was asked for."""
    there = run.checkpoints()
    if not there:
        raise RunError(f"The run {run.path} has no checkpoint yet: train it first.")
    latest = there[-1]
    if which == "latest":
        return latest, ()
    if which == "best":
        best = run.best_checkpoint()
        if best is not None:
            return best, ()
        return latest, (
            f"No checkpoint of {run.path.name} has a score, so this is the latest, after "
            f"{iteration_of(latest)} steps.",
        )
    for file in there:
        if iteration_of(file) == which:
            return file, ()
    known = ", ".join(str(iteration_of(file)) for file in there)
    raise RunError(
        f"The run {run.path} keeps no checkpoint of iteration {which}: choose one of {known}, "
        "best or latest."
    )


def _answers(task: TaskConfig) -> TaskConfig:
    """Give what a task answers: where its weights began does not matter any more."""
    return task.sub_task_config if isinstance(task, PretrainedTaskConfig) else task


def _seen(run: RunFolder) -> tuple[tuple[float, ...], str, tuple[str, ...]]:
    """Give voxel size and unit of the raw data, and a notice where they are not known."""
    data = run.config.data
    if data.voxel_size is not None:
        return data.voxel_size, data.unit, ()
    # A run of an earlier version: its labels lie where the network answers.
    for crop in data.crops:
        try:
            labels = open_array(run.resolve(crop.gt))
        except UserError:
            continue
        factors = [prod(axis.upsample) for axis in run.config.architecture.axes]
        if labels.dims == len(factors):
            steps = labels.unit.steps
            size = (v * f / steps for v, f in zip(labels.voxel_size, factors, strict=True))
            return tuple(size), labels.unit.name, ()
    return (
        (),
        "nm",
        (f"It is not known on which voxel size {run.path.name} was trained: any is accepted.",),
    )
