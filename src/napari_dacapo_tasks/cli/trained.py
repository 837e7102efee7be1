"""What the verbs share that make use of a trained network."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from napari_dacapo_tasks.arrays import Array, GroundTruth, LabelsConfig
from napari_dacapo_tasks.arrays.open import open_array
from napari_dacapo_tasks.cli.common import labels_of
from napari_dacapo_tasks.errors import DataError
from napari_dacapo_tasks.tasks import TaskConfig

if TYPE_CHECKING:
    from napari_dacapo_tasks.arrays.growing_image import Exists
    from napari_dacapo_tasks.prediction.prediction import Prediction
    from napari_dacapo_tasks.prediction.trained import Checkpoint
    from napari_dacapo_tasks.runs.run_folder import RunFolder

STOPPED = 1
"""Exit code where it was stopped: what comes next must not take the part for the whole."""

RunOrFile = Annotated[
    Path,
    typer.Argument(
        metavar="RUN",
        help="A run, or what `export` has made of one: a package, a program or a folder.",
    ),
]
CheckpointOption = Annotated[
    str,
    typer.Option(
        "--checkpoint", metavar="WHICH", help="Which of a run: best, latest, or an iteration."
    ),
]
MethodOption = Annotated[
    str | None,
    typer.Option(
        "--method",
        metavar="NAME",
        help="Way from prediction to segmentation, or its number; the usual one else.",
    ),
]
Overwrite = Annotated[
    bool, typer.Option("--overwrite", help="Begin anew where there is an image already.")
]
Resume = Annotated[
    bool, typer.Option("--resume", help="Go on with what was begun there with the same options.")
]


def checkpoint_of(text: str) -> Checkpoint:
    """Read which checkpoint is meant."""
    which: dict[str, Literal["best", "latest"]] = {"best": "best", "latest": "latest"}
    if text in which:
        return which[text]
    if not text.isdigit():
        raise typer.BadParameter(f"--checkpoint {text} must be best, latest, or an iteration.")
    return int(text)


def method_named(text: str | None) -> int | str | None:
    """Read a method: its number, or its title."""
    return int(text) if text is not None and text.isdigit() else text


def exists_of(overwrite: bool, resume: bool) -> Exists:
    """Read what to do where there is something already."""
    if overwrite and resume:
        raise typer.BadParameter("give --overwrite or --resume, not both.")
    return "overwrite" if overwrite else "resume" if resume else "refuse"


@contextmanager
def options_named() -> Iterator[None]:
    """Name the options that do what a refusal proposes."""
    from napari_dacapo_tasks.arrays.growing_image import DataTakenError
    from napari_dacapo_tasks.prediction.fit import VoxelSizeDiffersError

    try:
        yield
    except DataTakenError as error:
        can = {"--resume": error.can_resume, "--overwrite": error.can_overwrite}
        raise _with_options(error, [option for option, yes in can.items() if yes]) from error
    except VoxelSizeDiffersError as error:
        raise _with_options(error, ["--resample"]) from error


def _with_options(error: DataError, options: Sequence[str]) -> DataError:
    sentence = str(error).rstrip(".")
    return DataError(f"{sentence} ({', '.join(options)})." if options else f"{sentence}.")


def run_at(path: Path) -> RunFolder | None:
    """Open a run folder; None for anything else."""
    from napari_dacapo_tasks.runs.run_folder import CONFIG, RunFolder

    return RunFolder.open(path) if (path / CONFIG).is_file() else None


def task_at(path: Path) -> TaskConfig:
    """Give the task of a run or of an exported network, without its weights."""
    run = run_at(path)
    if run is not None:
        return run.task
    from napari_dacapo_tasks.prediction.export import read_description

    return read_description(path).task


def prediction_at(run: Path, prediction: str) -> Prediction:
    """Open a prediction as one of the task of a run or of an exported network."""
    from napari_dacapo_tasks.prediction.prediction import Prediction
    from napari_dacapo_tasks.prediction.stored import open_prediction

    if run_at(run) is not None:
        return open_prediction(prediction, run)
    return Prediction(open_array(prediction), task_at(run), run.stem)


def truth_at(
    run: Path,
    truth: str,
    channels: Sequence[str] | None,
    zero_is_unlabelled: bool,
    ignore_label: int | None,
) -> GroundTruth | Array:
    """Open a ground truth; its labels mean what they mean in the run, where nothing is said."""
    array = open_array(truth)
    said = bool(channels) or zero_is_unlabelled or ignore_label is not None
    if array.num_channels is not None and not said:
        return array
    opened = run_at(run)
    if opened is not None and not said:
        labels: LabelsConfig = opened.config.data.labels
    else:
        labels = labels_of(task_at(run), channels, zero_is_unlabelled, ignore_label)
    return GroundTruth(array, labels)


def array_values(array: Array) -> dict[str, Any]:
    """Give where an array lies, for programs; lengths are in ``unit``."""
    steps = array.unit.steps
    return {
        "shape": list(array.shape),
        "channels": array.num_channels,
        "voxel_size": [size / steps for size in array.voxel_size],
        "begin": [begin / steps for begin in array.roi.begin],
        "unit": array.unit.name,
        "dtype": str(array.dtype),
    }
