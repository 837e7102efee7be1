"""Instances from affinities, as what is drawn together by any chain of neighbours."""

from __future__ import annotations

from collections.abc import Generator, Iterator, Sequence

from funlib.geometry import Coordinate
from pydantic import Field

from napari_dacapo_tasks.arrays import Array, NumpyArray
from napari_dacapo_tasks.tasks.post_processors.clean_up import FillHoles, MinSize
from napari_dacapo_tasks.tasks.post_processors.from_affinities import SHORT, FromAffinities
from napari_dacapo_tasks.tasks.post_processors.post_processor import (
    PostProcessorParameters,
    Stitching,
    share_of,
)

THRESHOLDS = (0.5, 0.6, 0.7, 0.8, 0.9, 0.95)
"""What a sweep tries: a single pair that is wrongly drawn together merges two objects, so high
ones do better than for a mutex watershed."""

FOUND = 0.7
"""Share of the work after which objects are found, where holes are filled next."""


class AffinityComponentsPostProcessorParameters(PostProcessorParameters):
    """Parameters of `AffinityComponentsPostProcessor`."""

    threshold: float = Field(
        default=0.5,
        ge=0,
        lt=1,
        title="Threshold",
        description="Neighbours with an affinity above this belong together, and so does whatever "
        "a chain of neighbours connects. Raise it where objects merge, lower it where they split.",
    )
    min_size: MinSize = 2
    fill_holes: FillHoles = 0


class AffinityComponentsPostProcessor(FromAffinities[AffinityComponentsPostProcessorParameters]):
    """Joins neighbours with a high affinity: fast, and exact in blocks, but it merges more.

    Parameters
    ----------
    neighborhood
        As of `FromAffinities`. Of its offsets those of one step at most along any axis count, or
        all where there is none of these.
    """

    stitching = Stitching.TOUCHING

    def __init__(self, neighborhood: Sequence[Sequence[int]]) -> None:
        super().__init__(neighborhood)
        longest = SHORT if min(self.reach, default=0) <= SHORT else max(self.reach)
        self._used = [index for index, far in enumerate(self.reach) if far <= longest]

    @property
    def default(self) -> AffinityComponentsPostProcessorParameters:
        """What takes a perfect target apart."""
        return AffinityComponentsPostProcessorParameters()

    def enumerate_parameters(self) -> Iterator[AffinityComponentsPostProcessorParameters]:
        """Give each of the thresholds."""
        for threshold in THRESHOLDS:
            yield AffinityComponentsPostProcessorParameters(threshold=threshold)

    def segment(
        self, prediction: Array, parameters: AffinityComponentsPostProcessorParameters
    ) -> Generator[float, None, NumpyArray]:
        """Segment step by step; see `PostProcessor.segment`.

        Labels are 1, 2, ... as uint32, in the order of the objects' first voxels. A voxel that
        nothing draws to a neighbour is no object.
        """
        from napari_dacapo_tasks.numerics.attraction import attracted_regions

        yield 0.0
        affinities = self.affinities(prediction)
        found = FOUND if parameters.fill_holes else 1.0
        regions = yield from share_of(
            attracted_regions(
                [affinities[index] for index in self._used],
                [self.neighborhood[index] for index in self._used],
                [parameters.threshold] * len(self._used),
                look_for_disputes=False,
            ),
            0.0,
            found,
        )
        labels, number = regions.labels, regions.number
        return (yield from self.cleaned_up(prediction, labels, number, parameters, found))

    def context(self, voxel_size: Sequence[int]) -> Coordinate:
        """Give the longest step along each axis: what a voxel may be drawn to."""
        used = [self.neighborhood[index] for index in self._used]
        return Coordinate(max(1, *map(abs, steps)) for steps in zip(*used, strict=True))
