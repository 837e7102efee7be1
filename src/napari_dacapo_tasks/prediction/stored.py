"""Predictions on disk: an OME-Zarr image that also says which task it is of."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from napari_dacapo_tasks.arrays import Array
from napari_dacapo_tasks.arrays.growing_image import stored_attrs
from napari_dacapo_tasks.arrays.open import open_array
from napari_dacapo_tasks.errors import DataError
from napari_dacapo_tasks.prediction.config import PredictionConfig
from napari_dacapo_tasks.prediction.fit import PredictionPlan
from napari_dacapo_tasks.prediction.prediction import Prediction
from napari_dacapo_tasks.runs.run_folder import RunFolder
from napari_dacapo_tasks.tasks import TaskConfig
from napari_dacapo_tasks.tasks.files import task_from_dict, task_to_dict

KIND = "prediction"
"""Key under which an image holds what is known of the prediction in it."""

MADE = "made"
"""Key under which it says how."""


def prediction_attrs(task: TaskConfig, name: str = "", run: Path | None = None) -> dict[str, Any]:
    """Give what `GrowingImage.create` shall store with a prediction, for `open_prediction`.

    Parameters
    ----------
    task, name, run
        As of a `Prediction`.
    """
    values: dict[str, Any] = {"task": task_to_dict(task), "name": name}
    if run is not None:
        values["run"] = str(Path(run).absolute())
    return {KIND: values}


def plan_attrs(plan: PredictionPlan, config: PredictionConfig) -> dict[str, Any]:
    """Give what to store with a planned prediction.

    Only what changes its values: a prediction is resumed if all of it is the same.
    """
    trained = plan.trained
    made = {
        "iteration": trained.iteration,
        "intensity_range": list(trained.intensity_range),
        "edges": config.edges,
        "mirror": config.mirror,
    }
    return {**prediction_attrs(trained.task, trained.name, trained.run), MADE: made}


def open_prediction(path: str | Path, run: str | Path | None = None) -> Prediction:
    """Open a prediction on disk; it is read only where and when it is asked for.

    Parameters
    ----------
    path
        One that was written here, whole or only begun, or any array with a channel for each
        channel of the task.
    run
        Folder of the run whose network it was. It is needed for predictions of others, and wins
        over what is stored.

    Raises
    ------
    DataError
        Where there is no array, nothing says of which task it is, or its channels are others.
    RunError, ConfigError
        Where the run cannot be read.
    """
    array = open_array(path)
    known = _known(Path(path))
    folder: Path | None
    if run is not None:
        opened = RunFolder.open(run)
        task, name, folder = opened.task, opened.path.name, opened.path
    elif known is not None:
        task = task_from_dict(known["task"], source=f"The task stored with {path}")
        name = str(known.get("name", ""))
        folder = _there(known.get("run"))
    else:
        raise DataError(f"Nothing in {path} says of which task it is: give its run folder, too.")
    _check_channels(path, array, task)
    return Prediction(array, task, name, folder)


def is_prediction(path: str | Path) -> bool:
    """Whether an image on disk says of which task it is a prediction."""
    return _known(Path(path)) is not None


def _known(path: Path) -> Mapping[str, Any] | None:
    if not path.is_dir():
        return None
    known = stored_attrs(path).get(KIND)
    return known if isinstance(known, Mapping) and isinstance(known.get("task"), Mapping) else None


def _there(run: object) -> Path | None:
    """Give the folder of a run that is still where it was."""
    return Path(run) if isinstance(run, str) and Path(run).is_dir() else None


def _check_channels(path: str | Path, array: Array, task: TaskConfig) -> None:
    channels = task.task_type(task).channels
    if array.num_channels == len(channels):
        return
    said = "no channel axis" if array.num_channels is None else f"{array.num_channels} channels"
    shown = ", ".join(channels[:6]) + (", ..." if len(channels) > 6 else "")
    raise DataError(
        f"{path} has {said}, but a prediction of the task {task.name} has {len(channels)} "
        f"({shown}): choose the run that it is of."
    )
