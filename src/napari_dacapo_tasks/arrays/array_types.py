"""What the numbers in a predictor's output mean."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class ArrayType:
    """The meaning of an array's values.

    ``interpolatable`` says whether values between two voxels mean something.
    """

    @property
    def interpolatable(self) -> bool:
        """Whether values may be interpolated."""
        return True


@dataclass(frozen=True)
class IntensityArray(ArrayType):
    """Intensities between ``min`` and ``max``, such as raw data, with named channels."""

    channels: Sequence[str]
    min: float
    max: float


@dataclass(frozen=True)
class EmbeddingArray(ArrayType):
    """Vectors of ``embedding_dims`` numbers without a meaning of their own."""

    embedding_dims: int


@dataclass(frozen=True)
class DistanceArray(ArrayType):
    """Distances to the nearest boundary, one channel per class, positive inside of its objects.

    Outside they are negative, or 0 where only the inside is learnt.
    """

    classes: Sequence[str]


@dataclass(frozen=True)
class ProbabilityArray(ArrayType):
    """Probabilities between 0 and 1, one channel per class."""

    classes: Sequence[str]


@dataclass(frozen=True)
class StackedArray(ArrayType):
    """Channels of several kinds, those of one of the ``parts`` after those of another."""

    parts: Sequence[ArrayType]

    @property
    def interpolatable(self) -> bool:
        """Whether the values of every part may be interpolated."""
        return all(part.interpolatable for part in self.parts)


@dataclass(frozen=True)
class AnnotationArray(ArrayType):
    """Label ids, with the class that each id stands for."""

    classes: dict[int, str]

    @property
    def interpolatable(self) -> bool:
        """Ids have no values between them."""
        return False


@dataclass(frozen=True)
class MaskArray(ArrayType):
    """Zero where nothing is known, anything else where something is."""

    @property
    def interpolatable(self) -> bool:
        """Known and unknown have nothing between them."""
        return False
