"""What predicting tells while it goes on."""

from __future__ import annotations

from dataclasses import dataclass

from funlib.geometry import Roi

from napari_dacapo_tasks.arrays import Array


@dataclass(frozen=True)
class Opened:
    """There is a place for the prediction now, which fills from here on.

    Attributes
    ----------
    array
        What is predicted so far, ``(channels, z, y, x)``; 0 elsewhere.
    device
        Where it predicts, in words.
    """

    array: Array
    device: str


@dataclass(frozen=True)
class Filled:
    """A part is predicted.

    Attributes
    ----------
    roi
        Which, in grid steps; empty where it only goes on, and nothing new can be seen yet.
    share
        Of all that is asked for, so much is done.
    voxels_per_second
        Voxels of the output, in what was done since the begin.
    """

    roi: Roi
    share: float
    voxels_per_second: float


@dataclass(frozen=True)
class Notice:
    """Something that a person should know, and that does not end the work."""

    text: str


PredictionEvent = Opened | Filled | Notice
