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

    Raises
    ------
    DataError
        Where their file cannot be read, is damaged or holds more than tensors and plain values.
    ConfigError
        Where they are those of another network.
    """
    if not isinstance(task, PretrainedTaskConfig):
        return None
    import torch

    from napari_dacapo_tasks.architectures.weights import check_weights

    with torch.device("meta"):  # shapes only: no memory, and no random numbers
        model = task.task_type(task).predictor.create_model(architecture)
    return check_weights(model, task.weights, task.new_head)


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
