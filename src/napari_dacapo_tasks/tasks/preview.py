"""What a task makes of the ground truth, before any training."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from time import perf_counter

import numpy as np
from funlib.geometry import Roi
from numpy.typing import NDArray

from napari_dacapo_tasks.arrays import GroundTruth, NumpyArray
from napari_dacapo_tasks.errors import DataError
from napari_dacapo_tasks.tasks.predictors.predictor import Composite
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
        Share of the known voxels whose target is above 0: objects, or neighbours in one object.
    unknown
        Share of voxels about which nothing is known.
    dropped
        Share of the known voxels that have no weight: the distance mask leaves them out, the
        partner of an affinity is unknown, or the label is none of the classes.
    weight_range
        Lowest and highest weight that is not 0; None where no voxel counts.
    histogram
        Number of voxels with a weight above 0 per bin of the target, `HISTOGRAM_BINS` long.
    """

    channel: str
    foreground: float
    unknown: float
    dropped: float
    weight_range: tuple[float, float] | None
    histogram: NDArray[np.int64]


@dataclass(frozen=True)
class Preview:
    """Target, weight and masks of one region.

    Attributes
    ----------
    roi
        The region, in steps of the ground truth's grid.
    channels
        A name for each channel of the target.
    gt
        Ids, of the shape ``(channels of the ground truth, z, y, x)``.
    known
        Without channels; 1 where the ground truth is known.
    target, weight
        Of the shape ``(channels, z, y, x)``; the weight is float32, the target may be uint8.
    masks
        uint8, by name, such as ``"distance mask"``; they may have fewer channels.
    target_ranges
        Lowest and highest value that each channel of the target can have.
    composites
        Channels that are worth seeing together.
    statistics
        One per channel.
    seconds
        Time that it took.
    notices
        What the person should know, a sentence each.
    """

    roi: Roi
    channels: list[str]
    gt: NumpyArray
    known: NumpyArray
    target: NumpyArray
    weight: NumpyArray
    masks: dict[str, NumpyArray]
    target_ranges: list[tuple[float, float]]
    composites: list[Composite]
    statistics: list[ChannelStatistics]
    seconds: float
    notices: tuple[str, ...] = ()

    @property
    def bin_edges(self) -> NDArray[np.float64]:
        """Edges of the bins of all histograms, `HISTOGRAM_BINS` + 1 long."""
        return np.linspace(*_overall(self.target_ranges), HISTOGRAM_BINS + 1)


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
    # It compiles on a machine's first import, and numba itself takes long to import.
    from napari_dacapo_tasks.numerics.channel_counts import count_channel

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
    known = mask.crop(roi)
    is_known = known.data != 0
    number_known = np.count_nonzero(is_known)
    if not number_known:
        raise DataError(
            "Nothing is known in this region: the mask and the labels that stand for unknown "
            "leave no voxel."
        )
    yield PreviewProgress(0.1, "Making the target")
    target = predictor.create_target(gt).crop(roi)
    yield PreviewProgress(0.6, "Making the weight")
    weighting = predictor.weigh(gt, target, mask)
    yield PreviewProgress(0.9, "Counting")
    gt = gt.crop(roi)
    limits = _overall(predictor.target_ranges)
    statistics = []
    for channel, values, weight in zip(
        task.channels, target.data, weighting.weight.data, strict=True
    ):
        counts = count_channel(values, weight, is_known, limits, HISTOGRAM_BINS)
        statistics.append(
            ChannelStatistics(
                channel=channel,
                foreground=counts.foreground / number_known,
                unknown=1 - number_known / is_known.size,
                dropped=1 - counts.counted / number_known,
                weight_range=counts.weight_range,
                histogram=counts.histogram,
            )
        )
    empty = [
        f"There is no object of {name} in this region."
        for name, ids in zip(config.ground_truth_channels, gt.data, strict=True)
        if not (ids.astype(bool) & is_known).any()
    ]
    yield Preview(
        roi=roi,
        channels=task.channels,
        gt=gt,
        known=known,
        target=target,
        weight=weighting.weight,
        masks=weighting.masks,
        target_ranges=predictor.target_ranges,
        composites=predictor.composites,
        statistics=statistics,
        seconds=perf_counter() - begun,
        notices=(*empty, *weighting.notices),
    )


def _overall(ranges: Sequence[tuple[float, float]]) -> tuple[float, float]:
    """Give the range that holds all ranges."""
    return min(low for low, _ in ranges), max(high for _, high in ranges)
