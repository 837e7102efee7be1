"""What a task makes of the ground truth, before any training."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from time import perf_counter
from typing import Any

import numpy as np
from funlib.geometry import Roi
from numpy.typing import NDArray

from napari_dacapo_tasks.arrays import GroundTruth, NumpyArray
from napari_dacapo_tasks.errors import DataError
from napari_dacapo_tasks.tasks.task import TaskConfig

HISTOGRAM_BINS = 64


@dataclass(frozen=True)
class PreviewProgress:
    """A part of a preview is done.

    Attributes
    ----------
    done
        Share of the work, 0 to 1.
    doing
        What comes next.
    """

    done: float
    doing: str


@dataclass(frozen=True)
class ChannelStatistics:
    """What one channel of a preview is made of; shares are between 0 and 1.

    Attributes
    ----------
    channel
        Its name.
    foreground
        Share of objects among the known voxels; None where nothing is known.
    unknown
        Share of voxels about which nothing is known.
    dropped
        Share of the known voxels that a further mask (the distance mask) leaves out; None where
        nothing is known or the task has no such mask.
    weight_range
        Lowest and highest weight that is not 0; None where no voxel counts.
    histogram
        Number of voxels with a weight above 0 per bin of the target, `HISTOGRAM_BINS` long.
    """

    channel: str
    foreground: float | None
    unknown: float
    dropped: float | None
    weight_range: tuple[float, float] | None
    histogram: NDArray[np.int64]


@dataclass(frozen=True)
class Preview:
    """Target, weight and masks of one region, all of the shape ``(channels, z, y, x)``.

    Attributes
    ----------
    roi
        The region, in steps of the ground truth's grid.
    channels
        A name for each channel.
    target, weight
        float32.
    masks
        uint8, by name, such as ``"distance mask"``.
    target_range
        Lowest and highest value that a target can have.
    statistics
        One per channel.
    seconds
        Time that it took.
    notices
        What the person should know, a sentence each.
    """

    roi: Roi
    channels: list[str]
    target: NumpyArray
    weight: NumpyArray
    masks: dict[str, NumpyArray]
    target_range: tuple[float, float]
    statistics: list[ChannelStatistics]
    seconds: float
    notices: tuple[str, ...] = ()

    @property
    def bin_edges(self) -> NDArray[np.float64]:
        """Edges of the histograms' bins, `HISTOGRAM_BINS` + 1 long."""
        return np.linspace(*self.target_range, HISTOGRAM_BINS + 1)


def preview(
    config: TaskConfig, ground_truth: GroundTruth, roi: Roi | None = None
) -> Iterator[PreviewProgress | Preview]:
    """Make target, weight and masks of a region; the last thing that comes is the `Preview`.

    Around the region as much context is read as the task needs and the ground truth has, so a
    region shows what the whole would show there. To cancel, leave the generator.

    Parameters
    ----------
    config
        The task, with lengths in nanometres (voxels for data without a physical unit).
    ground_truth
        Labels, mask and channels.
    roi
        The region, in steps of the ground truth's grid; all of the labels by default.

    Raises
    ------
    DataError
        Where ground truth and task do not fit together, or nothing of the region is known.
    """
    begun = perf_counter()
    labels = ground_truth.labels
    roi = labels.roi if roi is None else roi.intersect(labels.roi)
    if roi.empty:
        raise DataError("The region of the preview lies outside of the ground truth.")
    task = config.task_type(config.on_grid(labels.unit))
    predictor = task.predictor
    context = predictor.padding(labels.voxel_size)

    yield PreviewProgress(0.0, "Reading the ground truth")
    gt, mask = ground_truth.read(roi.grow(context, context).intersect(labels.roi))
    known = mask[roi] != 0
    if not known.any():
        raise DataError(
            "Nothing is known in this region: the mask and the labels that stand for unknown "
            "leave no voxel."
        )
    yield PreviewProgress(0.1, "Making the target")
    target = predictor.create_target(gt).crop(roi)
    yield PreviewProgress(0.6, "Making the weight")
    weighting = predictor.weigh(gt, target, mask)
    yield PreviewProgress(0.9, "Counting")
    low, high = predictor.target_range
    statistics = []
    foreground = gt[roi] != 0
    for index, channel in enumerate(task.channels):
        weight = weighting.weight.data[index]
        counted = weight > 0
        values = target.data[index][counted]
        # Channels of a task may outnumber those of the ground truth (several per class).
        objects = foreground[index % len(foreground)]
        trusted = known
        for more in weighting.masks.values():
            trusted = trusted & (more.data[index] != 0)
        statistics.append(
            ChannelStatistics(
                channel=channel,
                foreground=float(objects[known].mean()),
                unknown=float(1 - known.mean()),
                dropped=float(1 - trusted.sum() / known.sum()) if weighting.masks else None,
                weight_range=_range(weight[counted]),
                histogram=np.histogram(values, HISTOGRAM_BINS, (low, high))[0],
            )
        )
    yield Preview(
        roi=roi,
        channels=task.channels,
        target=target,
        weight=weighting.weight,
        masks=weighting.masks,
        target_range=(low, high),
        statistics=statistics,
        seconds=perf_counter() - begun,
        notices=tuple(
            f"Channel {one.channel} has no object in this region."
            for one in statistics
            if one.foreground == 0
        ),
    )


def _range(values: NDArray[Any]) -> tuple[float, float] | None:
    return (float(values.min()), float(values.max())) if values.size else None
