"""Pictures of several channels at once; made in the background, as they may be large."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_dacapo_tasks.numerics.threads import map_in_threads, slices
from napari_dacapo_tasks.tasks.predictors.predictor import Composite
from napari_dacapo_tasks.widgets.colormaps import Range

FULL_RANGE = (0.0, 1.0)
"""What napari takes for dark to bright in coloured images of floats."""

BLOCK = 1 << 20
"""Voxels that are done at a time."""


@dataclass(frozen=True)
class Picture:
    """A `Composite`, drawn.

    Attributes
    ----------
    composite
        What it shows.
    values
        Red, green and blue of the shape ``(z, y, x, 3)``, float between 0 and 1 or uint8. Or, of
        channels that exclude each other, the position of the highest of the shape ``(z, y, x)``,
        and the number of channels where all are 0.
    """

    composite: Composite
    values: NDArray[Any]

    @property
    def name(self) -> str:
        """What it shows, in words."""
        return self.composite.name


def draw(
    values: NDArray[Any], composites: Sequence[Composite], ranges: Sequence[Range]
) -> list[Picture]:
    """Draw channels of a target or a prediction ``(c, z, y, x)``; without a copy where possible.

    Parameters
    ----------
    values
        With channels.
    composites
        Which pictures to draw.
    ranges
        Lowest and highest value of each channel.
    """
    made = []
    for composite in composites:
        channels = [values[index] for index in composite.channels]
        if composite.exclusive:
            made.append(Picture(composite, _highest(channels)))
            continue
        picture = _view(values, composite.channels)
        if picture is None or any(ranges[index] != FULL_RANGE for index in composite.channels):
            picture = _red_green_blue(channels, [ranges[index] for index in composite.channels])
        made.append(Picture(composite, picture))
    return made


def _view(values: NDArray[Any], channels: Sequence[int]) -> NDArray[Any] | None:
    """Give three channels as colours without a copy, None where they do not lie like that."""
    steps = {b - a for a, b in pairwise(channels)}
    if values.dtype.kind != "f" or len(channels) != 3 or len(steps) != 1 or min(steps) < 1:
        return None
    chosen = values[channels[0] : channels[-1] + 1 : steps.pop()]
    return np.moveaxis(chosen, 0, -1)


def _red_green_blue(channels: Sequence[NDArray[Any]], ranges: Sequence[Range]) -> NDArray[np.uint8]:
    """Copy two or three channels into colours; of two channels, blue stays dark."""
    made = np.zeros((*channels[0].shape, 3), np.uint8)

    def fill(block: slice) -> None:
        for index, (channel, (low, high)) in enumerate(zip(channels, ranges, strict=True)):
            shade = (channel[block] - np.float32(low)) * np.float32(255 / (high - low))
            np.copyto(made[block][..., index], shade.clip(0, 255), casting="unsafe")

    map_in_threads(fill, slices(len(made), channels[0].size, BLOCK))
    return made


def _highest(channels: Sequence[NDArray[Any]]) -> NDArray[Any]:
    """Say which channel is the highest, or that none is above 0."""
    made = np.full(channels[0].shape, len(channels), np.min_scalar_type(len(channels)))

    def fill(block: slice) -> None:
        best = np.zeros(channels[0][block].shape, channels[0].dtype)
        for index, channel in enumerate(channels):
            np.copyto(made[block], index, where=channel[block] > best)
            np.maximum(best, channel[block], out=best)

    map_in_threads(fill, slices(len(made), channels[0].size, BLOCK))
    return made
