"""Foreground, where a prediction is above a threshold."""

from __future__ import annotations

from collections.abc import Generator, Iterator, Sequence

import numpy as np
from pydantic import Field

from napari_dacapo_tasks.arrays import Array, NumpyArray
from napari_dacapo_tasks.tasks.post_processors.post_processor import (
    Labelling,
    PostProcessor,
    PostProcessorParameters,
    labels_of,
    require_channels,
    slabs,
)

THRESHOLDS = (-0.1, 0.0, 0.1)
"""What a sweep tries: around the boundary of a distance, which is at 0."""


class ThresholdPostProcessorParameters(PostProcessorParameters):
    """Parameters of `ThresholdPostProcessor`."""

    threshold: float = Field(
        default=0.0,
        title="Threshold",
        description="Voxels with a prediction above this are objects. Distances are 0 at the "
        "boundary: raise it for thinner objects, lower it for thicker ones.",
    )


class ThresholdPostProcessor(PostProcessor[ThresholdPostProcessorParameters]):
    """Calls everything above a threshold foreground, per channel.

    Parameters
    ----------
    channels
        Names of the channels of the segmentation.
    first_channel
        Of the prediction's channels, the one that belongs to the first of them; the others follow.
    thresholds
        What a sweep tries.
    """

    labelling = Labelling.FOREGROUND

    def __init__(
        self,
        channels: Sequence[str],
        first_channel: int = 0,
        thresholds: Sequence[float] = THRESHOLDS,
    ) -> None:
        self.channels = list(channels)
        self.first_channel = first_channel
        self.thresholds = tuple(thresholds)

    @property
    def default(self) -> ThresholdPostProcessorParameters:
        """Cut at the boundary of a distance."""
        return ThresholdPostProcessorParameters()

    def enumerate_parameters(self) -> Iterator[ThresholdPostProcessorParameters]:
        """Give each of the thresholds."""
        for threshold in self.thresholds:
            yield ThresholdPostProcessorParameters(threshold=threshold)

    def segment(
        self, prediction: Array, parameters: ThresholdPostProcessorParameters
    ) -> Generator[float, None, NumpyArray]:
        """Segment step by step; see `PostProcessor.segment`. Labels are uint8."""
        last = self.first_channel + len(self.channels)
        require_channels(prediction, last, f"the last are {', '.join(self.channels)}")
        labels = np.empty((len(self.channels), *prediction.shape), np.uint8)
        parts = slabs(prediction)
        for done, (rows, roi) in enumerate(parts):
            yield done / len(parts)
            values = prediction[roi][self.first_channel :]
            np.greater(values, parameters.threshold, out=labels[:, rows].view(np.bool_))
        return labels_of(prediction, labels)
