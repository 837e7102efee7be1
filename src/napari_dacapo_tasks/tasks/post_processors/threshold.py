"""Foreground, where a prediction is above a threshold."""

from __future__ import annotations

from collections.abc import Generator, Iterator, Sequence
from typing import Annotated, Any, TypeVar

import numpy as np
from funlib.geometry import Roi
from numpy.typing import NDArray
from pydantic import Field

from napari_dacapo_tasks.arrays import Array, NumpyArray
from napari_dacapo_tasks.tasks.post_processors.clean_up import FillHoles, filled
from napari_dacapo_tasks.tasks.post_processors.post_processor import (
    Labelling,
    PostProcessor,
    PostProcessorParameters,
    labels_of,
    require_channels,
    require_unscaled,
    share_of,
    slabs,
)

Threshold = Annotated[
    float,
    Field(
        title="Threshold",
        description="Voxels with a prediction above this are objects. Distances are 0 at the "
        "boundary: raise it for thinner objects, lower it for thicker ones.",
    ),
]
"""The field ``threshold`` of distances."""

THRESHOLDS = (-0.1, 0.0, 0.1)
"""What a sweep tries: around the boundary of a distance, which is at 0."""

FOUND = 0.3
"""Share of the work after which objects are found, where holes are filled next."""


class AboveThresholdParameters(PostProcessorParameters):
    """Parameters of an `AboveThreshold`."""

    threshold: Threshold = 0.0


Parameters = TypeVar("Parameters", bound=AboveThresholdParameters)


class AboveThreshold(PostProcessor[Parameters]):
    """Finds something above a threshold, per channel.

    Parameters
    ----------
    channels
        Names of the channels of the segmentation.
    first_channel
        Of the prediction's channels, the one that belongs to the first of them; the others follow.
    thresholds
        What a sweep tries.
    """

    parameters: type[Parameters]

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
    def default(self) -> Parameters:
        """Cut at the boundary of a distance."""
        return self.parameters()

    def enumerate_parameters(self) -> Iterator[Parameters]:
        """Give each of the thresholds."""
        for threshold in self.thresholds:
            yield self.parameters(threshold=threshold)

    def read(self, prediction: Array, roi: Roi) -> NDArray[Any]:
        """Read the channels; refuse a prediction that has others."""
        last = self.first_channel + len(self.channels)
        require_channels(prediction, last, f"the last are {', '.join(self.channels)}")
        values = prediction[roi][self.first_channel :]
        require_unscaled(values)
        return values


class ThresholdPostProcessorParameters(AboveThresholdParameters):
    """Parameters of `ThresholdPostProcessor`."""

    fill_holes: FillHoles = 0


class ThresholdPostProcessor(AboveThreshold[ThresholdPostProcessorParameters]):
    """Calls everything above a threshold foreground, per channel; see `AboveThreshold`."""

    labelling = Labelling.FOREGROUND
    parameters = ThresholdPostProcessorParameters

    def segment(
        self, prediction: Array, parameters: ThresholdPostProcessorParameters
    ) -> Generator[float, None, NumpyArray]:
        """Segment step by step; see `PostProcessor.segment`. Labels are uint8."""
        labels = np.empty((len(self.channels), *prediction.shape), np.uint8)
        parts = slabs(prediction)
        share = FOUND if parameters.fill_holes else 1.0
        for done, (rows, roi) in enumerate(parts):
            yield share * done / len(parts)
            values = self.read(prediction, roi)
            np.greater(values, parameters.threshold, out=labels[:, rows].view(np.bool_))
        yield from share_of(filled(labels, parameters.fill_holes), share, 1.0)
        return labels_of(prediction, labels)
