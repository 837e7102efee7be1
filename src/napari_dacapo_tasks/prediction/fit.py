"""What is predicted of an image, and whether the network can: told before anything is computed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil, floor, prod

import numpy as np
from funlib.geometry import Coordinate, Roi

from napari_dacapo_tasks.arrays import Array
from napari_dacapo_tasks.arrays.resampled import ResampledArray
from napari_dacapo_tasks.errors import ConfigError, DataError
from napari_dacapo_tasks.prediction.config import PredictionConfig
from napari_dacapo_tasks.prediction.trained import TrainedModel
from napari_dacapo_tasks.runs.fit import by
from napari_dacapo_tasks.tasks import AffinitiesTaskConfig
from napari_dacapo_tasks.units import GRID_STEPS, VOXEL, WorldUnit

IN_MEMORY_BYTES = 2 * 2**30
"""A prediction of more is better written to a disk than kept in memory."""

SAME_SIZE = 0.01
"""Voxel sizes that differ by less, in parts of them, are the same: no network sees that."""

RGB = (3, 4)
"""Numbers of channels of images in colour."""


class VoxelSizeDiffersError(DataError):
    """An image of another voxel size than the network was trained on.

    Attributes
    ----------
    trained, found
        Per axis, in ``unit``.
    unit
        ``"nm"`` or ``"voxels"``.
    """

    def __init__(self, trained: Sequence[float], found: Sequence[float], unit: str) -> None:
        self.trained = tuple(trained)
        self.found = tuple(found)
        self.unit = unit
        said = WorldUnit(unit).describe
        super().__init__(
            f"The image has voxels of {said(self.found)}, but the network was trained on "
            f"{said(self.trained)}: resample the image to that, or choose another one."
        )


@dataclass(frozen=True)
class PredictionPlan:
    """What is predicted of an image; lengths and places are in steps of ``unit``'s grid.

    Attributes
    ----------
    trained
        The network.
    raw
        The image as the network sees it, perhaps resampled.
    roi
        What is predicted, in whole voxels of the prediction.
    answered
        All that the network can answer for in this image.
    voxel_size
        Of the prediction.
    channels
        Names of its channels.
    beyond
        Whether the image is mirrored where the network sees beyond its edges.
    notices
        What a person should know, a sentence each.
    """

    trained: TrainedModel
    raw: Array
    roi: Roi
    answered: Roi
    voxel_size: Coordinate
    channels: tuple[str, ...]
    beyond: bool
    notices: tuple[str, ...] = ()

    @property
    def unit(self) -> WorldUnit:
        """Of the grid that everything is in."""
        return self.raw.unit

    @property
    def num_channels(self) -> int:
        """Of the prediction."""
        return len(self.channels)

    @property
    def axes(self) -> tuple[str, ...]:
        """Names of the spatial axes."""
        return self.raw.axes[-self.raw.dims :]

    @property
    def shape(self) -> Coordinate:
        """Of the prediction in voxels, without its channels."""
        return self.roi.shape / self.voxel_size

    @property
    def dtype(self) -> np.dtype[np.float32]:
        """Type of the prediction's values."""
        return np.dtype(np.float32)

    @property
    def bytes(self) -> int:
        """Size of the prediction."""
        return self.num_channels * prod(self.shape) * self.dtype.itemsize

    def voxels(self, roi: Roi) -> tuple[Coordinate, Coordinate]:
        """Give begin and end of a region in voxels of the prediction, from the image's begin."""
        begin = (roi.begin - self.raw.roi.begin) / self.voxel_size
        return begin, begin + roi.shape / self.voxel_size


def plan_prediction(
    trained: TrainedModel,
    raw: Array,
    roi: Roi | None = None,
    *,
    config: PredictionConfig | None = None,
    resample: bool = False,
) -> PredictionPlan:
    """Plan what is predicted of an image; nothing of it is read.

    Parameters
    ----------
    trained
        The network.
    raw
        The image.
    roi
        The region that is wanted, in grid steps of the image: all that the network can answer for
        if it is left out. It grows to whole voxels, and ends where the network's answers do.
    config
        How it is predicted.
    resample
        Bring an image of another voxel size to that of the network.

    Raises
    ------
    DataError
        Where the image has other axes, channels or units than the network takes, is too small for
        it, or the region lies outside.
    VoxelSizeDiffersError
        Where it has another voxel size and ``resample`` is off.
    ConfigError
        Where the network cannot predict as the config wants it.
    """
    config = config or PredictionConfig()
    _check_config(trained, config)
    _check_channels(trained, raw)
    before = raw
    raw, resampled = _of_trained_size(trained, raw, resample)
    raw, voxel_size = _upsampled(trained, raw)
    beyond = config.edges == "mirror"
    notices = [*resampled, *_edges(trained, raw, beyond)]
    answered = _answered(trained, raw, voxel_size, beyond)
    wanted = answered if roi is None else roi * (raw.unit.steps // before.unit.steps)
    if roi is not None:
        wanted = _whole_voxels(wanted, answered.begin, voxel_size)
    inside = wanted.intersect(answered)
    say = raw.unit.describe
    if inside.empty:
        raise DataError(
            f"The region from {say(wanted.begin)} to {say(wanted.end)} has nothing in common with "
            f"what the network can answer for, which is from {say(answered.begin)} to "
            f"{say(answered.end)}: choose another region."
        )
    if inside != wanted:
        notices.append(
            f"Of the region {by(inside.shape / voxel_size)} of "
            f"{by(wanted.shape / voxel_size)} voxels are predicted: the rest lies "
            + ("outside of the image." if beyond else "too near to its edge, or outside.")
        )
    return PredictionPlan(
        trained=trained,
        raw=raw,
        roi=inside,
        answered=answered,
        voxel_size=voxel_size,
        channels=tuple(trained.task_on(raw.unit).channels),
        beyond=beyond,
        notices=tuple(notices),
    )


def _check_config(trained: TrainedModel, config: PredictionConfig) -> None:
    dims = trained.architecture.dims
    tile = config.tile_shape
    if tile is not None and (len(tile) != dims or min(tile) < 1):
        raise ConfigError(
            f"The tile {tile} does not suit the network: give {dims} sizes of at least 1 voxel."
        )
    if config.mirror and isinstance(trained.task, AffinitiesTaskConfig):
        raise ConfigError(
            "Affinities cannot be averaged over mirrored views, since they have a direction: "
            "switch that off."
        )


def _check_channels(trained: TrainedModel, raw: Array) -> None:
    architecture = trained.architecture
    if raw.dims != architecture.dims:
        raise DataError(
            f"The network is for {architecture.dims}D images, but this one is {raw.dims}D: choose "
            "another image, or another network."
        )
    found, taken = raw.num_channels or 1, architecture.num_in_channels
    if found != taken:
        colour = " (is it in colour?)" if found in RGB and taken == 1 else ""
        raise DataError(
            f"The image has {found} channel{'s' * (found > 1)}{colour}, but the network takes "
            f"{taken}: choose an image like those that it was trained on, or one channel of it."
        )
    if raw.dtype.kind not in "biuf":
        raise DataError(f"The image holds values of type {raw.dtype}: they must be numbers.")
    if min(raw.shape) < 1:
        raise DataError(f"The image is empty ({by(raw.shape)} voxels): choose another one.")


def _of_trained_size(
    trained: TrainedModel, raw: Array, resample: bool
) -> tuple[Array, tuple[str, ...]]:
    if not trained.voxel_size:
        return raw, ()
    if raw.unit.name != trained.unit:
        has, had = (
            ("no physical unit", "data in nanometres")
            if raw.unit.name == VOXEL.name
            else ("a physical unit", "data without one")
        )
        raise DataError(
            f"The image has {has}, but the network was trained on {had}: give the image the same "
            "units."
        )
    found = tuple(size / raw.unit.steps for size in raw.voxel_size)
    if all(
        abs(a - b) < SAME_SIZE * max(a, b) for a, b in zip(found, trained.voxel_size, strict=True)
    ):
        return raw, ()
    if not resample:
        raise VoxelSizeDiffersError(trained.voxel_size, found, trained.unit)
    say = WorldUnit(trained.unit).describe
    return ResampledArray(raw, trained.voxel_size), (
        f"The image is resampled from voxels of {say(found)} to {say(trained.voxel_size)}.",
    )


def _upsampled(trained: TrainedModel, raw: Array) -> tuple[Array, Coordinate]:
    """Give the image on a grid that the prediction's voxels fit onto, and their size."""
    for steps in GRID_STEPS:
        if steps >= raw.unit.steps:
            finer = raw.on_grid(WorldUnit(raw.unit.name, steps))
            try:
                return finer, trained.architecture.scale(finer.voxel_size)
            except ConfigError:
                continue
    trained.architecture.scale(raw.voxel_size)  # says what is wrong
    raise AssertionError("one of the grids fits, or none does")


def _answered(trained: TrainedModel, raw: Array, voxel_size: Coordinate, beyond: bool) -> Roi:
    """Give all that the network can answer for."""
    tiles = trained.tiles
    if beyond:
        return Roi(raw.roi.begin, Coordinate(raw.shape) * tiles.factor * voxel_size)
    shape = tiles.answered_shape(raw.shape)
    if min(shape) < 1:
        raise DataError(
            f"An image of {by(raw.shape)} voxels is too small for the network, which sees "
            f"{by(tiles.context)} voxels more than it answers for: choose a larger image, or let "
            "it be mirrored at its edges."
        )
    return Roi(raw.roi.begin + tiles.context // 2 * voxel_size, shape * voxel_size)


def _edges(trained: TrainedModel, raw: Array, beyond: bool) -> tuple[str, ...]:
    """Say where the network sees more mirrored than real voxels."""
    seen = [-(-c // f) for c, f in zip(trained.tiles.context, trained.tiles.factor, strict=True)]
    short = any(size < most // 2 + 1 for size, most in zip(raw.shape, seen, strict=True))
    if not beyond or not short:
        return ()
    return (
        f"The image has {by(raw.shape)} voxels, but the network sees {by(seen)} voxels around each "
        "of its answers: most of that is the image mirrored, so the answers are less certain.",
    )


def _whole_voxels(roi: Roi, origin: Coordinate, size: Coordinate) -> Roi:
    begin = [floor((b - o) / v) for b, o, v in zip(roi.begin, origin, size, strict=True)]
    end = [ceil((e - o) / v) for e, o, v in zip(roi.end, origin, size, strict=True)]
    return Roi(origin + Coordinate(begin) * size, (Coordinate(end) - Coordinate(begin)) * size)
