"""From a prediction to a segmentation."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Generator, Iterator, Mapping, Sequence
from typing import ClassVar, Generic, TypeVar

from pydantic import BaseModel, ConfigDict

from napari_dacapo_tasks.arrays import Array, NumpyArray


class PostProcessorParameters(BaseModel):
    """Parameters of a post-processor; lengths are in nanometres (voxels without a unit)."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    sections: ClassVar[Mapping[str, Sequence[str]]] = {}
    """Fields of the form that stand together, by heading; the others come first."""


Parameters = TypeVar("Parameters", bound=PostProcessorParameters)


class PostProcessor(ABC, Generic[Parameters]):
    """Makes a segmentation of what a model answers in eval mode, or of a perfect target."""

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
            Of the shape ``(channels, z, y, x)``, or without z.
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
        """

    def process(self, prediction: Array, parameters: Parameters) -> NumpyArray:
        """Segment in one go; as `segment`."""
        steps = self.segment(prediction, parameters)
        while True:
            try:
                next(steps)
            except StopIteration as end:
                result: NumpyArray = end.value
                return result
