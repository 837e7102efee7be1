"""Instances as what hangs together above a threshold."""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from functools import partial

import numpy as np
from funlib.geometry import Coordinate
from numpy.typing import NDArray

from napari_dacapo_tasks.arrays import Array, NumpyArray
from napari_dacapo_tasks.tasks.post_processors.clean_up import FillHoles, MinSize, filled
from napari_dacapo_tasks.tasks.post_processors.post_processor import (
    Labelling,
    Stitching,
    labels_of,
    share_of,
)
from napari_dacapo_tasks.tasks.post_processors.threshold import (
    AboveThreshold,
    AboveThresholdParameters,
    ThresholdPostProcessor,
    ThresholdPostProcessorParameters,
)

Inside = Callable[[int, slice], NDArray[np.bool_]]

FOUND = 0.5
"""Share of the work after which objects are found, where holes are filled next."""

READ = 0.5
"""Share of finding objects that reading takes, where the prediction is not in memory."""


class ComponentsPostProcessorParameters(AboveThresholdParameters):
    """Parameters of `ComponentsPostProcessor`."""

    min_size: MinSize = 0
    fill_holes: FillHoles = 0


class ComponentsPostProcessor(AboveThreshold[ComponentsPostProcessorParameters]):
    """Calls everything above a threshold that hangs together an object, per channel.

    Voxels hang together across faces. See `AboveThreshold`.
    """

    labelling = Labelling.INSTANCES
    stitching = Stitching.TOUCHING
    parameters = ComponentsPostProcessorParameters

    def segment(
        self, prediction: Array, parameters: ComponentsPostProcessorParameters
    ) -> Generator[float, None, NumpyArray]:
        """Segment step by step; see `PostProcessor.segment`.

        Labels are 1, 2, ... as uint32, in the order of the objects' first voxels.
        """
        from napari_dacapo_tasks.numerics.regions import regions_of

        found = FOUND if parameters.fill_holes else 1.0
        is_read = isinstance(prediction.data, np.ndarray)
        begin = 0.0 if is_read else READ * found
        inside = yield from share_of(self._inside(prediction, parameters.threshold), 0.0, begin)
        made = []
        for number in range(len(self.channels)):
            steps = regions_of(prediction.shape, partial(inside, number), parameters.min_size)
            share = (found - begin) / len(self.channels)
            labels, _ = yield from share_of(
                steps, begin + number * share, begin + (number + 1) * share
            )
            made.append(labels)
        # A stack of one would be a copy.
        stacked = made[0][np.newaxis] if len(made) == 1 else np.stack(made)
        yield from share_of(filled(stacked, parameters.fill_holes), found, 1.0)
        return labels_of(prediction, stacked)

    def _inside(self, prediction: Array, threshold: float) -> Generator[float, None, Inside]:
        """Give what says which voxels of a channel are above the threshold."""
        if isinstance(prediction.data, np.ndarray):
            values = self.read(prediction, prediction.roi)
            return lambda channel, part: values[channel, part] > threshold
        foreground = ThresholdPostProcessor(self.channels, self.first_channel)
        parameters = ThresholdPostProcessorParameters(threshold=threshold)
        masks = (yield from foreground.segment(prediction, parameters)).data.view(np.bool_)
        return lambda channel, part: masks[channel, part]

    def context(self, voxel_size: Sequence[int]) -> Coordinate:
        """Give one voxel along each axis: the next one, which may be of the same object."""
        return Coordinate(1 for _ in voxel_size)
