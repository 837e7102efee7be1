"""Instances from distances, by a watershed from seeds deep inside of objects."""

from __future__ import annotations

from collections.abc import Generator, Iterator, Sequence
from itertools import product
from math import tanh

import numpy as np
from pydantic import Field

from napari_dacapo_tasks.arrays import Array, NumpyArray
from napari_dacapo_tasks.tasks.post_processors.post_processor import (
    Labelling,
    PostProcessor,
    PostProcessorParameters,
    labels_of,
    require_channels,
    share_of,
)

SWEEP = {"threshold": (-0.1, 0.0, 0.1), "seed_depth": (0.75, 1.5, 2.5, 4.0)}
"""What a sweep tries. Predicted boundaries between touching objects are shallower than true ones:
the deeper a seed must be, the fewer objects merge, and the more split."""


class WatershedPostProcessorParameters(PostProcessorParameters):
    """Parameters of `WatershedPostProcessor`."""

    threshold: float = Field(
        default=0.0,
        title="Threshold",
        description="Voxels with a prediction above this are objects. Distances are 0 at the "
        "boundary: raise it for thinner objects, lower it for thicker ones.",
    )
    # Unlike neighbours of a perfect target are half a voxel deep, those beyond them 1.1 or more.
    seed_depth: float = Field(
        default=0.75,
        gt=0,
        title="Seed depth (voxels)",
        description="Neighbours belong together for sure where one of them is deeper inside of an "
        "object than this, in voxels of the axis on which they are neighbours. Raise it where "
        "touching objects merge, lower it where objects split. A perfect target needs more "
        "than 0.5 and less than 1.",
    )
    min_size: int = Field(
        default=0,
        ge=0,
        title="Smallest object (voxels)",
        description="Objects of fewer voxels are left out.",
    )


class WatershedPostProcessor(PostProcessor[WatershedPostProcessorParameters]):
    """Finds objects in distances to boundaries, per channel.

    Parameters
    ----------
    channels
        Names of the channels of the segmentation.
    first_channel
        Of the prediction's channels, the distance of the first of them; the others follow.
    scale_factor
        That of the predicted tanh, in grid steps; None where distances are predicted as they are.
    """

    labelling = Labelling.INSTANCES

    def __init__(
        self,
        channels: Sequence[str],
        first_channel: int = 0,
        scale_factor: float | None = None,
    ) -> None:
        self.channels = list(channels)
        self.first_channel = first_channel
        self.scale_factor = scale_factor

    @property
    def default(self) -> WatershedPostProcessorParameters:
        """What takes a perfect target apart wherever that can be done."""
        return WatershedPostProcessorParameters()

    def enumerate_parameters(self) -> Iterator[WatershedPostProcessorParameters]:
        """Give every combination of `SWEEP`."""
        for values in product(*SWEEP.values()):
            yield WatershedPostProcessorParameters(**dict(zip(SWEEP, values, strict=True)))

    def segment(
        self, prediction: Array, parameters: WatershedPostProcessorParameters
    ) -> Generator[float, None, NumpyArray]:
        """Segment step by step; see `PostProcessor.segment`. Labels are 1, 2, ... as uint32."""
        from napari_dacapo_tasks.numerics.watershed import watershed

        last = self.first_channel + len(self.channels)
        require_channels(prediction, last, f"the last are {', '.join(self.channels)}")
        yield 0.0
        distances = prediction[prediction.roi][self.first_channel :]
        seed_depths = [
            self._predicted(parameters.seed_depth * size) for size in prediction.voxel_size
        ]
        labels = np.empty(distances.shape, np.uint32)
        for channel, distance in enumerate(distances):
            steps = watershed(distance, parameters.threshold, seed_depths, parameters.min_size)
            part = channel / len(labels), (channel + 1) / len(labels)
            labels[channel], _ = yield from share_of(steps, *part)
        return labels_of(prediction, labels)

    def _predicted(self, distance: float) -> float:
        """Give what is predicted for a distance in grid steps."""
        return distance if self.scale_factor is None else tanh(distance / self.scale_factor)
