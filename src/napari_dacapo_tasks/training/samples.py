"""From the data of a run to batches.

1. Where: `CropGrid` knows all positions; a crop lies at a random one where something is known.
2. Target and weight are made of the ground truth around the crop, as the preview makes them.
3. Raw is brought between -1 and 1 (`prepared`).
4. Crops are stacked into a `Batch`.

What is to come has its place: several crops choose the `TrainingData` before 1; a cache of
targets stands around 2; augmentation changes raw, target and weight together between 3 and 4,
with the random numbers of its step; and since a step's numbers depend on nothing but the seed and
the step, several processes can make batches ahead.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from funlib.geometry import Coordinate, Roi
from numpy.typing import NDArray

from napari_dacapo_tasks.arrays import NumpyArray
from napari_dacapo_tasks.arrays.array import CHANNEL
from napari_dacapo_tasks.errors import DataError
from napari_dacapo_tasks.runs.crops import CropGrid, everything_known, scan
from napari_dacapo_tasks.runs.data import TrainingData
from napari_dacapo_tasks.runs.intensity import check_finite, normalised
from napari_dacapo_tasks.tasks import Task

MOST_TRIES = 100
"""Crops in a row without a voxel that counts, after which it is no bad luck any more."""

REMEDIES = {
    "mask_distances": "choose a smaller scale_factor, switch mask_distances off",
    "classes": "name the classes of these labels",
    "neighborhood": "choose shorter offsets in the neighborhood",
}
"""What makes more voxels count, by the parameter of the task that leaves them out."""

LOOKED_AT = 24
"""Places among which the one for snapshots is chosen."""


@dataclass(frozen=True)
class Crop:
    """Raw as the network sees it, target and weight where it answers; all with channels."""

    raw: NumpyArray
    target: NumpyArray
    weight: NumpyArray


@dataclass(frozen=True)
class Batch:
    """Crops as float32 tensors of the shape ``(batch, channels, z, y, x)``."""

    raw: torch.Tensor
    target: torch.Tensor
    weight: torch.Tensor

    def to(self, device: torch.device) -> Batch:
        """Give the same batch on a device."""
        return Batch(self.raw.to(device), self.target.to(device), self.weight.to(device))


class Sampler:
    """Random crops of the data of a run.

    Parameters
    ----------
    data
        Raw data and ground truth.
    task
        Makes target and weight; built with lengths in grid steps.
    input_shape, output_shape
        Of the network, in voxels.
    output_voxel_size
        Of the network's output, in grid steps.
    seed
        Decides all crops.

    Attributes
    ----------
    class_counts
        What the task has counted in the crops so far, to balance classes by. Together with the
        number of the next step it is all the state there is.

    Raises
    ------
    DataError
        Where the network does not fit into the data, or nothing of it is known.
    """

    def __init__(
        self,
        data: TrainingData,
        task: Task,
        input_shape: Sequence[int],
        output_shape: Sequence[int],
        output_voxel_size: Coordinate,
        seed: int,
    ) -> None:
        self.data = data
        self.predictor = task.predictor
        self._config = task.config
        self.seed = seed
        self.class_counts: Any = None
        self._shown_at: Coordinate | None = None
        known = data.ground_truth.roi
        self.grid = CropGrid.of(data.raw, known, input_shape, output_shape, output_voxel_size)
        if self.grid.empty:
            raise DataError(
                f"The network's input of {tuple(input_shape)} voxels does not fit into the raw "
                f"data of {data.raw.shape} voxels with its output in the ground truth: choose a "
                "smaller input_shape."
            )
        self._known_blocks = self._find_known_blocks()

    def batch(self, iteration: int, size: int) -> Batch:
        """Draw the crops of a step.

        Parameters
        ----------
        iteration
            Number of the step: the same number gives the same places.
        size
            Number of crops.

        Raises
        ------
        DataError
            Where no crop has a voxel that counts, or raw data is not finite.
        """
        random = np.random.default_rng([self.seed, iteration])
        crops = [self._draw(random) for _ in range(size)]
        return Batch(
            _stacked([crop.raw for crop in crops]),
            _stacked([crop.target for crop in crops]),
            _stacked([crop.weight for crop in crops]),
        )

    def fixed(self) -> Crop:
        """Give one crop for looking at: always the same, one that shows objects and background.

        Its weight is balanced over this crop alone.
        """
        if self._shown_at is not None:
            crop, _ = self._crop(self._shown_at, None)
            assert crop is not None, "the ground truth of a run does not change"
            return crop
        random = np.random.default_rng(self.seed)
        places = [self._place(random) for _ in range(MOST_TRIES)]
        varied = [self.grid.counts // 2, *places[:LOOKED_AT]]
        for index in (*sorted(varied, key=self._variety, reverse=True), *places[LOOKED_AT:]):
            crop, _ = self._crop(index, None)
            if crop is not None:
                self._shown_at = index
                return crop
        raise self._nothing_counts()

    def _variety(self, index: Coordinate) -> float:
        """Share of the rarer of objects and background, in the channel where that is least."""
        gt, mask = self.data.ground_truth.read(self.grid.output_roi(index))
        known = mask.data != 0
        if not known.any():
            return 0.0
        shares = [float((channel[known] != 0).mean()) for channel in gt.data]
        return float(known.mean()) * min(min(share, 1 - share) for share in shares)

    def _draw(self, random: np.random.Generator) -> Crop:
        for _ in range(MOST_TRIES):
            crop, counts = self._crop(self._place(random), self.class_counts)
            if crop is not None:
                self.class_counts = counts
                return crop
        raise self._nothing_counts()

    def _place(self, random: np.random.Generator) -> Coordinate:
        """Choose an index of the grid: any, or where labels are sparse one that reaches them."""
        if self._known_blocks is None:
            return Coordinate(random.integers(self.grid.counts))
        block = self._known_blocks[random.integers(len(self._known_blocks))]
        point = Coordinate(random.integers(block.begin, block.end))
        first, last = self.grid.covering(point)
        return Coordinate(random.integers(first, last, endpoint=True))

    def _crop(self, index: Coordinate, counts: Any) -> tuple[Crop | None, Any]:
        """Make the crop at an index, None where nothing in it counts; and the new counts."""
        roi = self.grid.output_roi(index)
        labels = self.data.ground_truth.labels
        context = self.predictor.padding(labels.voxel_size)
        gt, mask = self.data.ground_truth.read(roi.grow(context, context).intersect(labels.roi))
        if not mask[roi].any():
            return None, counts
        target = self.predictor.create_target(gt).crop(roi)
        weighting = self.predictor.weigh(gt, target, mask, counts)
        if not weighting.weight.data.any():
            return None, counts
        raw = self.prepared(self.grid.input_roi(index))
        return Crop(raw, target, weighting.weight), weighting.counts

    def prepared(self, roi: Roi) -> NumpyArray:
        """Read raw data as a network sees it: float32, channels first, between -1 and 1."""
        raw = self.data.raw
        values = raw[roi]
        check_finite(values)
        values = normalised(values, self.data.intensity_range)
        axes = raw.axes if raw.num_channels is not None else (CHANNEL, *raw.axes)
        shaped = values if raw.num_channels is not None else values[np.newaxis]
        return NumpyArray.from_np_array(shaped, roi, raw.voxel_size, axes, raw.unit)

    def _find_known_blocks(self) -> list[Roi] | None:
        """Find where labels are known within reach; None where they are everywhere."""
        ground_truth = self.data.ground_truth
        if everything_known(ground_truth):
            return None
        blocks = [b.roi for b in scan(ground_truth, self.grid.reachable) if b.known]
        if not blocks:
            raise DataError(
                "Nothing is known in the ground truth where the network could learn from it: the "
                "mask and the labels that stand for unknown leave no voxel."
            )
        return blocks

    def _nothing_counts(self) -> DataError:
        config = getattr(self._config, "sub_task_config", self._config)
        remedies = [
            f"{text}, or " for name, text in REMEDIES.items() if getattr(config, name, None)
        ]
        return DataError(
            f"In {MOST_TRIES} crops in a row no voxel has a weight: {''.join(remedies)}label a "
            "larger volume."
        )


def _stacked(arrays: Sequence[NumpyArray]) -> torch.Tensor:
    values: NDArray[np.float32] = np.stack([array.data for array in arrays])
    return torch.from_numpy(values.astype(np.float32, copy=False))
