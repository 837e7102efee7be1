"""From a prediction to a segmentation."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Generator, Iterator, Mapping, Sequence
from contextlib import closing
from enum import Enum
from math import prod
from typing import Any, ClassVar, Generic, Self, TypeVar

from funlib.geometry import Coordinate, Roi
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict

from napari_dacapo_tasks.arrays import Array, NumpyArray
from napari_dacapo_tasks.arrays.array import CHANNEL
from napari_dacapo_tasks.errors import DataError
from napari_dacapo_tasks.numerics.threads import slices

WORKING_BYTES = 16
"""For each voxel: labels, a mask, and as much again to work with."""

_SLAB_VALUES = 1 << 22
"""Values that are read at a time: some hundredths of a second of work."""


class PostProcessorParameters(BaseModel):
    """Parameters of a post-processor; lengths are in nanometres (voxels without a unit)."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    sections: ClassVar[Mapping[str, Sequence[str]]] = {}
    """Fields of the form that stand together, by heading; the others come first."""

    @property
    def smallest_object(self) -> int:
        """Objects of fewer voxels are left out."""
        return max(int(getattr(self, "min_size", 0)), 1)

    @property
    def largest_hole(self) -> int:
        """Holes in objects of up to so many voxels are filled."""
        return int(getattr(self, "fill_holes", 0))

    def without_clean_up(self) -> Self:
        """Give the same parameters that leave out no object, however small, and fill no hole."""
        wanted = {"min_size", "fill_holes"} & set(type(self).model_fields)
        return self.model_copy(update=dict.fromkeys(wanted, 0))


Parameters = TypeVar("Parameters", bound=PostProcessorParameters)
Result = TypeVar("Result")


class Labelling(Enum):
    """What the labels of a segmentation say."""

    FOREGROUND = "foreground"
    """1 in any object, 0 elsewhere; a channel for each kind of object."""

    INSTANCES = "instances"
    """An id for each object, 0 elsewhere; a channel for each kind of object."""

    CLASSES = "classes"
    """Which class a voxel is of, in one channel."""


class Stitching(Enum):
    """How what is found in blocks becomes what would be found in the whole."""

    NONE = "none"
    """Each voxel speaks for itself: there is nothing to stitch."""

    TOUCHING = "touching"
    """Blocks see a little of each other, and what is in one place is one object: exact."""

    OVERLAPPING = "overlapping"
    """Objects of two blocks are one where they are mostly the same: close, not exact."""


class PostProcessor(ABC, Generic[Parameters]):
    """Makes a segmentation of what a model answers in eval mode, or of a perfect target."""

    labelling: ClassVar[Labelling]
    """What the labels say."""

    stitching: ClassVar[Stitching] = Stitching.NONE
    """How large volumes are segmented block by block."""

    @property
    @abstractmethod
    def default(self) -> Parameters:
        """Parameters to begin with."""

    @abstractmethod
    def enumerate_parameters(self) -> Iterator[Parameters]:
        """Give the parameters that a sweep tries."""

    @abstractmethod
    def segment(
        self, prediction: Array, parameters: Parameters
    ) -> Generator[float, None, NumpyArray]:
        """Segment step by step; to cancel, leave the generator.

        Parameters
        ----------
        prediction
            Of the shape ``(channels, z, y, x)``, or without z. NaN is no object.
        parameters
            Which, of those that there are.

        Yields
        ------
        float
            Share that is done.

        Returns
        -------
        NumpyArray
            Labels of the shape ``(c, z, y, x)`` in the place of the prediction, 0 where there is
            no object.

        Raises
        ------
        DataError
            Where the prediction is not of the channels that the task has.
        """

    def context(self, voxel_size: Sequence[int]) -> Coordinate:
        """Give the voxels that must be seen beyond a block, along each axis."""
        return Coordinate(0 for _ in voxel_size)

    def bytes_per_voxel(self, prediction: Array) -> int:
        """Estimate the memory that `segment` takes, with what it reads and makes."""
        channels = prediction.num_channels or 1
        return channels * prediction.dtype.itemsize + WORKING_BYTES

    def process(self, prediction: Array, parameters: Parameters) -> NumpyArray:
        """Segment in one go; as `segment`."""
        return result_of(self.segment(prediction, parameters))


def result_of(steps: Generator[Any, None, Result]) -> Result:
    """Go through all steps and give what they return."""
    while True:
        try:
            next(steps)
        except StopIteration as end:
            result: Result = end.value
            return result


def share_of(
    steps: Generator[float, None, Result], begin: float, end: float
) -> Generator[float, None, Result]:
    """Go through steps that are part of a work, from one share of it to another."""
    with closing(steps):
        while True:
            try:
                share = next(steps)
            except StopIteration as stop:
                result: Result = stop.value
                return result
            yield begin + (end - begin) * share


def labels_of(prediction: Array, labels: NDArray[Any]) -> NumpyArray:
    """Place labels ``(c, z, y, x)`` where their prediction lies."""
    space = (name for name in prediction.axes if name != CHANNEL)
    return NumpyArray.from_np_array(
        labels, prediction.roi, prediction.voxel_size, [CHANNEL, *space], prediction.unit
    )


def require_channels(prediction: Array, wanted: int, what: str, *, more: bool = False) -> None:
    """Refuse a prediction of another number of channels.

    Parameters
    ----------
    wanted
        How many there must be.
    what
        What they are, for people.
    more
        Whether there may be more.
    """
    found = prediction.num_channels or 0
    if found != wanted and not (more and found > wanted):
        raise DataError(
            f"The prediction has {found or 'no'} channels, but the task needs {wanted} ({what}): "
            "segment it with the task that it was made with."
        )


def require_unscaled(values: NDArray[Any]) -> None:
    """Refuse a prediction that was stretched over whole numbers: no threshold would fit it.

    Whole numbers up to 1 are welcome, as those of a perfect target are.
    """
    if values.dtype.kind in "iu" and values.size and (highest := values.max()) > 1:
        raise DataError(
            f"The prediction is {values.dtype} with values up to {highest}, but what the network "
            "answers is at most 1: make it float32 on its own scale again, for instance divide "
            "by 255 (or by 127.5 and subtract 1 where values went from -1 to 1)."
        )


def slabs(array: Array) -> list[tuple[slice, Roi]]:
    """Cut an array along its first spatial axis into parts that are read at a time.

    Returns
    -------
    For each the voxels along that axis and the region.
    """
    length, step = array.shape[0], array.voxel_size[0]
    values = prod(array.shape) * (array.num_channels or 1)
    parts = []
    for part in slices(length, values, _SLAB_VALUES):
        begin, shape = list(array.roi.begin), list(array.roi.shape)
        begin[0] += part.start * step
        shape[0] = (part.stop - part.start) * step
        parts.append((part, Roi(Coordinate(begin), Coordinate(shape))))
    return parts
