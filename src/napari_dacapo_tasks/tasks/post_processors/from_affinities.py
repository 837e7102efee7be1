"""What all ways from affinities to instances share."""

from __future__ import annotations

from collections.abc import Generator, Sequence
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from napari_dacapo_tasks.arrays import Array, NumpyArray
from napari_dacapo_tasks.errors import DataError
from napari_dacapo_tasks.tasks.post_processors.clean_up import filled
from napari_dacapo_tasks.tasks.post_processors.post_processor import (
    Labelling,
    PostProcessor,
    PostProcessorParameters,
    labels_of,
    require_channels,
    require_unscaled,
    share_of,
)

Parameters = TypeVar("Parameters", bound=PostProcessorParameters)

SHORT = 1
"""Steps along any axis that the partner of a short offset is away at most."""

SMALLEST = 2
"""Voxels: what nothing draws to a neighbour is no object."""


class FromAffinities(PostProcessor[Parameters]):
    """Finds objects in affinities.

    Parameters
    ----------
    neighborhood
        Offsets in voxels, one for each of the first channels of the prediction; what follows
        (local shape descriptors) is not used.
    """

    labelling = Labelling.INSTANCES

    def __init__(self, neighborhood: Sequence[Sequence[int]]) -> None:
        self.neighborhood = [tuple(int(step) for step in offset) for offset in neighborhood]
        self.reach = [max(map(abs, offset)) for offset in self.neighborhood]

    def affinities(self, prediction: Array) -> NDArray[Any]:
        """Read the affinities, a channel for each offset; refuse what does not fit the offsets."""
        number = len(self.neighborhood)
        require_channels(prediction, number, "an affinity for each offset", more=True)
        for offset in self.neighborhood:
            if len(offset) != prediction.dims:
                raise DataError(
                    f"The offset {offset} does not fit a prediction of {prediction.dims} axes: "
                    "give each offset one step for each axis."
                )
        affinities = prediction[prediction.roi][:number]
        require_unscaled(affinities)
        return affinities

    @staticmethod
    def cleaned_up(
        prediction: Array, labels: NDArray[Any], number: int, parameters: Parameters, begin: float
    ) -> Generator[float, None, NumpyArray]:
        """Leave small objects out, fill holes, and place the labels; from a share of the work on.

        Parameters
        ----------
        labels
            1, 2, ..., ``number``, changed in place.
        """
        from napari_dacapo_tasks.numerics.components import remove_small

        remove_small(labels, number, max(parameters.smallest_object, SMALLEST))
        made = labels[np.newaxis]
        yield from share_of(filled(made, parameters.largest_hole), begin, 1.0)
        return labels_of(prediction, made)
