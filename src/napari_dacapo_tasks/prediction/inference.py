"""A trained network on its device, answering for any region of an image."""

from __future__ import annotations

from collections.abc import Generator, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from threading import Lock
from typing import Self

import numpy as np
import torch
from funlib.geometry import Coordinate, Roi
from numpy.typing import NDArray

from napari_dacapo_tasks.architectures import Model
from napari_dacapo_tasks.architectures.devices import resolve_device
from napari_dacapo_tasks.architectures.out_of_memory import (
    MEMORY_ERRORS,
    free_memory,
    is_out_of_memory,
)
from napari_dacapo_tasks.architectures.precision import Autocast
from napari_dacapo_tasks.architectures.tiles import Tiles
from napari_dacapo_tasks.errors import DeviceError
from napari_dacapo_tasks.prediction.config import PredictionConfig
from napari_dacapo_tasks.prediction.fit import PredictionPlan
from napari_dacapo_tasks.prediction.pipeline import AHEAD, Laid, Pipeline
from napari_dacapo_tasks.prediction.reading import read_seen
from napari_dacapo_tasks.prediction.tile_size import halved, largest_tiles
from napari_dacapo_tasks.prediction.trained import TrainedModel
from napari_dacapo_tasks.runs.fit import by

FAR_OFF = 2.0
"""Average of what a network sees, between -1 and 1 in training, that no image like those has."""

ENDLESS = 10**6
"""A tile of so many voxels along each axis has room for all that any network sees."""


@dataclass(frozen=True)
class Step:
    """A little more is done.

    Attributes
    ----------
    roi
        What was filled, in grid steps; None where only time has passed.
    share
        Of all that was asked for, so much is done.
    final
        Along the first axis, so many voxels will not change any more.
    """

    roi: Roi | None
    share: float
    final: int


class Inference:
    """A trained network on its device, for one caller at a time.

    The tiles are as large as the device's free memory allows, or as the config says, and become
    half as large where that was too much. Leave with `close`, or use it in a ``with`` block.

    Parameters
    ----------
    trained
        The network.
    config
        How it predicts.
    sharing
        Processes that predict on the same device at the same time, and share its memory.

    Attributes
    ----------
    device
        As torch calls it.
    label
        The device in words.

    Raises
    ------
    DeviceError
        Where there is no such device, or the network does not fit into its memory.
    ConfigError
        Where the weights are those of another network.
    """

    def __init__(self, trained: TrainedModel, config: PredictionConfig, sharing: int = 1) -> None:
        self.trained = trained
        self._sharing = sharing
        self.config = config
        found = resolve_device(config.device)
        self.device, self.label = found.name, found.label
        self._outline = trained.outline
        self._notices: list[str] = []
        self._tiles: Tiles | None = None
        self._most: Coordinate | None = None
        self._untold = Lock()

        def build() -> tuple[Model, Autocast]:
            model = trained.build().place(self.device)
            return model, Autocast(config.precision, self.device, gradients=False)

        try:
            self._pipeline = Pipeline(build, self.device, self._axes_to_mirror())
        except MEMORY_ERRORS as error:
            if not is_out_of_memory(error):
                raise
            free_memory(self.device, error)
            raise DeviceError(
                f"The memory of {self.label} does not suffice for the network: free some, or "
                "choose another device."
            ) from None
        if self._pipeline.autocast.refused:
            self._notices.append(
                f"This device ({self.device}) cannot calculate in {config.precision}: it uses "
                "float32."
            )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """End the threads, and free the device's memory."""
        self._pipeline.close()
        free_memory(self.device)

    def notices(self) -> Iterator[str]:
        """Give what a person should know, each sentence once."""
        while self._notices:
            yield self._notices.pop(0)

    @property
    def tile_shape(self) -> Coordinate | None:
        """Raw data that the network sees at once at most, in voxels; None before the first."""
        return None if self._tiles is None else self._tiles.largest

    def predict_region(
        self, plan: PredictionPlan, roi: Roi
    ) -> Generator[float, None, NDArray[np.float32]]:
        """Predict any region of a plan; to cancel, leave the generator.

        Regions of the same plan fit together without seams, whichever process predicts them.

        Parameters
        ----------
        plan
            Of the same network.
        roi
            In whole voxels, inside of ``plan.answered``.

        Yields
        ------
        float
            Share that is done; now and then also while a tile is computed.

        Returns
        -------
        numpy.ndarray
            ``(channels, *shape)``.

        Raises
        ------
        DataError
            Where raw data cannot be read, or is NaN or infinite.
        DeviceError
            Where memory does not suffice even for the smallest tile.
        """
        shape = roi.shape / plan.voxel_size
        result = np.zeros((plan.num_channels, *shape), np.float32)
        for step in self.fill(plan, roi, result):
            yield step.share
        return result

    def fill(
        self, plan: PredictionPlan, roi: Roi, result: NDArray[np.float32]
    ) -> Generator[Step, None, None]:
        """Predict a region into an array of zeros; else as `predict_region`.

        Where tiles blend, what is filled still changes until the last tile that touches it.
        """
        assert plan.trained is self.trained, "the plan is for this network"
        assert plan.answered.contains(roi), "the network can answer for the region"
        tiles = self._tiles_for(plan)
        begin, end = plan.voxels(roi)
        while True:
            shape, laid = tiles.cover(begin, end, plan.raw.shape, plan.beyond)
            try:
                yield from self._fill(plan, roi, result, shape, laid)
                return
            except MEMORY_ERRORS as error:
                if not is_out_of_memory(error):
                    raise
                free_memory(self.device, error)
            tiles = self._smaller(tiles, shape)
            result[...] = 0

    def _fill(
        self,
        plan: PredictionPlan,
        roi: Roi,
        result: NDArray[np.float32],
        shape: Sequence[int],
        laid: Sequence[Laid],
    ) -> Generator[Step, None, None]:
        def read(begin: Sequence[int]) -> NDArray[np.float32]:
            raw = read_seen(plan.raw, begin, shape, self.trained.intensity_range)
            self._look_at_values(raw)
            return raw

        done = final = 0
        tiles = self._pipeline.fill(laid, read, result)
        with closing(tiles):
            for tile in tiles:
                if tile is None:
                    yield Step(None, done / len(laid), final)
                    continue
                done += 1
                # Tiles come in the order of the first axis.
                final = laid[done][0].output.start if done < len(laid) else result.shape[1]
                low = Coordinate(part.output.start for part in tile) * plan.voxel_size
                high = Coordinate(part.output.stop for part in tile) * plan.voxel_size
                yield Step(Roi(roi.begin + low, high - low), done / len(laid), final)

    def _look_at_values(self, raw: NDArray[np.float32]) -> None:
        """Tell once where an image cannot be like those that the network was trained on."""
        average = float(raw.mean())
        # Several threads read; the first of them tells.
        if abs(average) > FAR_OFF and self._untold.acquire(blocking=False):
            low, high = self.trained.intensity_range
            found = low + (average + 1) / 2 * (high - low)
            self._notices.append(
                f"The image has values around {found:.6g}, but the network was trained on about "
                f"{low:.6g} to {high:.6g}: check that it is of the same kind, with the same "
                "number of bits."
            )

    def _tiles_for(self, plan: PredictionPlan) -> Tiles:
        """Give tiles for all regions of a plan, as large as they may be."""
        if self.config.tile_shape is not None:
            self._tiles = self._tiles or Tiles(self._outline, self.config.tile_shape)
            return self._tiles
        anywhere = Tiles(self._outline, (ENDLESS,) * len(plan.shape))
        # Tiles that blend are laid over all of it, whatever part is predicted.
        wanted = plan.answered.shape / plan.voxel_size if any(anywhere.margin) else plan.shape
        most = wanted + anywhere.margin * 2 + anywhere.step
        if self._tiles is None or most != self._most:
            self._tiles = largest_tiles(
                self._outline,
                most,
                self.device,
                self._pipeline.autocast.dtype or torch.float32,
                AHEAD,
                self._sharing,
            )
            self._most = most
        return self._tiles

    def _smaller(self, tiles: Tiles, shape: list[int]) -> Tiles:
        """Give smaller tiles than those of a shape, for which memory did not suffice."""
        smaller = halved(self._outline, tiles, shape)
        if smaller is None:
            raise DeviceError(
                f"The memory of {self.label} does not suffice even for a tile of "
                f"{by(shape)} voxels: free some, or choose another device."
            )
        self._notices.append(
            f"Tiles of {by(shape)} voxels took more memory than there is: they are "
            f"{by(smaller.largest)} voxels from here on."
        )
        self._tiles = smaller
        return smaller

    def _axes_to_mirror(self) -> tuple[int, ...]:
        if not self.config.mirror:
            return ()
        context = self.trained.tiles.context
        axes = tuple(axis for axis, length in enumerate(context) if length % 2 == 0)
        if len(axes) < len(context):
            self._notices.append(
                "Not every axis is mirrored: along some the network sees farther to one side."
            )
        return axes
