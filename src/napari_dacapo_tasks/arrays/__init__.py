"""Arrays with a place in the world."""

from napari_dacapo_tasks.arrays.array import Array, common_roi, on_common_grid
from napari_dacapo_tasks.arrays.array_types import (
    AnnotationArray,
    ArrayType,
    DistanceArray,
    EmbeddingArray,
    IntensityArray,
    MaskArray,
    ProbabilityArray,
    StackedArray,
)
from napari_dacapo_tasks.arrays.ground_truth import Channel, GroundTruth, LabelsConfig
from napari_dacapo_tasks.arrays.numpy_array import NumpyArray

__all__ = [
    "AnnotationArray",
    "Array",
    "ArrayType",
    "Channel",
    "DistanceArray",
    "EmbeddingArray",
    "GroundTruth",
    "IntensityArray",
    "LabelsConfig",
    "MaskArray",
    "NumpyArray",
    "ProbabilityArray",
    "StackedArray",
    "common_roi",
    "on_common_grid",
]
