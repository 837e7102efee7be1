"""The class of the highest probability."""

from __future__ import annotations

from collections.abc import Generator, Iterator

import numpy as np

from napari_dacapo_tasks.arrays import Array, NumpyArray
from napari_dacapo_tasks.tasks.post_processors.post_processor import (
    Labelling,
    PostProcessor,
    PostProcessorParameters,
    labels_of,
    require_channels,
    slabs,
)


class ArgmaxPostProcessorParameters(PostProcessorParameters):
    """There is nothing to choose."""


class ArgmaxPostProcessor(PostProcessor[ArgmaxPostProcessorParameters]):
    """Gives each voxel the class of its highest value; the first of equal ones."""

    labelling = Labelling.CLASSES

    @property
    def default(self) -> ArgmaxPostProcessorParameters:
        """Nothing to choose."""
        return ArgmaxPostProcessorParameters()

    def enumerate_parameters(self) -> Iterator[ArgmaxPostProcessorParameters]:
        """Give the only choice."""
        yield self.default

    def segment(
        self, prediction: Array, parameters: ArgmaxPostProcessorParameters
    ) -> Generator[float, None, NumpyArray]:
        """Segment step by step; see `PostProcessor.segment`.

        Labels are the smallest unsigned type that holds the classes. A voxel without any value
        but NaN is of class 0.
        """
        classes = prediction.num_channels or 0
        require_channels(prediction, 1, "one or more, a class each", more=True)
        labels = np.zeros((1, *prediction.shape), np.min_scalar_type(classes - 1))
        parts = slabs(prediction)
        for done, (rows, roi) in enumerate(parts):
            yield done / len(parts)
            values = prediction[roi]
            highest = values[0].copy()
            if highest.dtype.kind == "f":
                highest[np.isnan(highest)] = -np.inf
            # Nothing is greater than NaN, nor is NaN greater than anything.
            for class_id in range(1, classes):
                greater = values[class_id] > highest
                np.copyto(highest, values[class_id], where=greater)
                np.copyto(labels[0, rows], labels.dtype.type(class_id), where=greater)
        return labels_of(prediction, labels)
