"""What is to be predicted block by block, by several workers: stored with its output."""

from __future__ import annotations

import json
import shlex
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Self

from funlib.geometry import Coordinate, Roi
from pydantic import ValidationError

from napari_dacapo_tasks.arrays.durable import whole_file
from napari_dacapo_tasks.arrays.growing_image import state_of, told
from napari_dacapo_tasks.arrays.open import open_array
from napari_dacapo_tasks.errors import ConfigError, DataError
from napari_dacapo_tasks.prediction.config import PredictionConfig
from napari_dacapo_tasks.prediction.fit import PredictionPlan, plan_prediction
from napari_dacapo_tasks.prediction.large.workers import ARGUMENTS, COMMAND
from napari_dacapo_tasks.prediction.trained import Checkpoint, open_trained

JOB = "job.json"
"""File in the folder of what is needed to go on."""

MOST_WORKERS = 1024


@dataclass(frozen=True)
class BlockwiseJob:
    """A prediction that several workers make together.

    Attributes
    ----------
    trained
        Run folder, or exported network.
    checkpoint
        Which of a run: ``"best"``, ``"latest"`` or an iteration.
    raw
        Path of the image, as `open_array` takes it. Workers elsewhere must find it there, too.
    out
        Folder of the OME-Zarr image to make, which is also the folder of the job.
    roi
        Region to predict in steps of the raw data's grid; None for all of it.
    config
        How to predict.
    workers
        How many at the same time.
    command
        Starts a worker elsewhere; None for processes of this machine. ``{command}`` is what the
        worker is: as in ``srun --gpus 1 {command}``, or in quotes where a shell reads it, as in
        ``sbatch --wrap '{command}'``. ``{arguments}`` is the same without the program in front.
    resample
        Whether raw data of another voxel size is brought to that of the network.
    block_shape
        Voxels of a block; None for what fits into memory many times over.
    iteration
        Of the checkpoint that was taken, once that is known: the best one may change meanwhile.
    """

    trained: Path
    raw: str
    out: Path
    checkpoint: Checkpoint = "best"
    roi: Roi | None = None
    config: PredictionConfig = field(default_factory=PredictionConfig)
    workers: int = 1
    command: str | None = None
    resample: bool = False
    block_shape: tuple[int, ...] | None = None
    iteration: int | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "trained", Path(self.trained).absolute())
        object.__setattr__(self, "out", Path(self.out).absolute())
        object.__setattr__(self, "raw", _absolute(self.raw))
        if Path(self.raw).is_relative_to(self.out):
            raise ConfigError(f"{self.out} holds the image itself: write to another folder.")
        if not 1 <= self.workers <= MOST_WORKERS:
            raise ConfigError(
                f"There cannot be {self.workers} workers: give a number from 1 to {MOST_WORKERS}."
            )
        if self.command is not None:
            _check_command(self.command)

    def plan(self) -> PredictionPlan:
        """Open network and image, and plan what is predicted; every worker plans the same.

        Raises
        ------
        UserError
            Where they cannot be opened, or do not fit.
        """
        trained = open_trained(
            self.trained, self.checkpoint if self.iteration is None else self.iteration
        )
        return plan_prediction(
            trained, open_array(self.raw), self.roi, config=self.config, resample=self.resample
        )

    def save(self) -> None:
        """Store the job in its output folder; raises DataError where that cannot be written."""
        with told(self.out), whole_file(state_of(self.out) / JOB) as file:
            file.write(json.dumps(self.as_dict(), indent=1).encode())

    @classmethod
    def load(cls, folder: str | Path) -> Self:
        """Read the job of an output folder, wherever that is now.

        Raises
        ------
        DataError
            Where there is none.
        """
        folder = Path(folder).absolute()
        try:
            values = json.loads((state_of(folder) / JOB).read_text(encoding="utf-8"))
            return replace(cls.from_dict(values), out=folder)
        except FileNotFoundError:
            raise DataError(
                f"{folder} is no prediction that workers are to make, or it is whole already."
            ) from None
        except (OSError, ValueError, KeyError, TypeError, ValidationError) as error:
            raise DataError(f"The job in {folder} cannot be read: {error}.") from error

    def as_dict(self) -> dict[str, Any]:
        """Give plain values."""
        return {
            "trained": str(self.trained),
            "checkpoint": self.checkpoint,
            "raw": self.raw,
            "out": str(self.out),
            "roi": None if self.roi is None else [list(self.roi.begin), list(self.roi.shape)],
            "config": self.config.model_dump(mode="json"),
            "workers": self.workers,
            "command": self.command,
            "resample": self.resample,
            "block_shape": None if self.block_shape is None else list(self.block_shape),
            "iteration": self.iteration,
        }

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Self:
        """Build a job of plain values."""
        roi, block = values["roi"], values["block_shape"]
        return cls(
            trained=Path(values["trained"]),
            checkpoint=values["checkpoint"],
            raw=values["raw"],
            out=Path(values["out"]),
            roi=None if roi is None else Roi(Coordinate(roi[0]), Coordinate(roi[1])),
            config=PredictionConfig.model_validate(values["config"]),
            workers=values["workers"],
            command=values["command"],
            resample=values["resample"],
            block_shape=None if block is None else tuple(block),
            iteration=values["iteration"],
        )


def _absolute(raw: str | Path) -> str:
    """Make a path absolute: a worker elsewhere begins in another folder."""
    text = str(raw)
    return text if "://" in text else str(Path(text).absolute())


def _check_command(command: str) -> None:
    try:
        words = shlex.split(command)
    except ValueError as error:
        raise ConfigError(
            f"The worker command {command} cannot be read: {error}; check its quotes."
        ) from None
    if not any(COMMAND in word or ARGUMENTS in word for word in words):
        raise ConfigError(
            f"The worker command {command} does not say where the worker goes: write {COMMAND} in "
            f"it, as in ssh host {COMMAND}."
        )
