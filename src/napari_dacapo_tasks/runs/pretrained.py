"""The trained weights that a run begins with: checked before it is made, and kept inside of it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from napari_dacapo_tasks.architectures import CNNectomeUNet
from napari_dacapo_tasks.tasks import PretrainedTaskConfig, TaskConfig

if TYPE_CHECKING:
    from napari_dacapo_tasks.architectures.weights import Weights

WEIGHTS = "pretrained.pt"
"""Their place in a run folder."""


def first_weights(task: TaskConfig, architecture: CNNectomeUNet) -> Weights | None:
    """Read the weights that a network begins with, None for a task without.

    They may be those of a run folder or of a checkpoint; see `open_start`.

    Raises
    ------
    DataError
        Where their file cannot be read, is damaged or holds more than tensors and plain values.
    RunError
        Where they are those of a run that has none yet, or of a folder that is no run.
    ConfigError
        Where they are those of another network.
    """
    if not isinstance(task, PretrainedTaskConfig):
        return None
    from napari_dacapo_tasks.runs.warm_start import open_start  # it knows runs, and runs this

    start = open_start(task.weights)
    start.check(task, architecture, task.new_head)
    return start.weights


def keep_weights(weights: Weights, folder: Path) -> None:
    """Save weights in a run folder, without what else there was in their file."""
    from napari_dacapo_tasks.architectures.weights import write_checkpoint

    with open(folder / WEIGHTS, "wb") as file:
        write_checkpoint({"model": weights}, file)


def task_in_folder(task: TaskConfig) -> TaskConfig:
    """Give a task as a run's config has it: the path of its weights begins at the folder."""
    if not isinstance(task, PretrainedTaskConfig):
        return task
    return task.model_copy(update={"weights": WEIGHTS})


def task_from_folder(task: TaskConfig, folder: Path) -> TaskConfig:
    """Give the task of a run's config as it can be used, wherever the folder is."""
    if not isinstance(task, PretrainedTaskConfig):
        return task
    return task.model_copy(update={"weights": str(folder / task.weights)})
