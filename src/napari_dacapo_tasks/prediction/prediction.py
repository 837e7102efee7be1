"""A prediction with what is needed to make use of it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from napari_dacapo_tasks.arrays import Array
from napari_dacapo_tasks.tasks import TaskConfig


@dataclass(frozen=True)
class Prediction:
    """What a network answered.

    Attributes
    ----------
    array
        Of the shape ``(channels, z, y, x)`` or ``(channels, y, x)``.
    task
        Says what the channels are; lengths in nanometres (voxels without a unit).
    name
        Of the model, for people.
    run
        Folder of the run whose network it was, None where that is not known.
    """

    array: Array
    task: TaskConfig
    name: str = ""
    run: Path | None = None
