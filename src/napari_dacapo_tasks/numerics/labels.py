"""What labels must be, told in one place."""

import math
from collections.abc import Sequence
from typing import Any

from numpy.typing import NDArray

from napari_dacapo_tasks.errors import DataError


def require_labels(labels: NDArray[Any], purpose: str) -> None:
    """Refuse all but integer or bool labels of 2 or 3 dimensions; raises DataError."""
    if labels.dtype.kind not in "biu":
        raise DataError(
            f"The labels are {labels.dtype}, but {purpose} need whole numbers: convert them to an "
            "integer type, with 0 for background."
        )
    if labels.ndim not in (2, 3):
        raise DataError(
            f"Labels of shape {labels.shape} have {labels.ndim} dimensions: give (z, y, x) or "
            "(y, x), one channel at a time."
        )


def require_no_negative(labels: NDArray[Any]) -> None:
    """Refuse negative ids, which nothing says what to do with; raises DataError."""
    if labels.dtype.kind == "i" and labels.size and labels.min() < 0:
        raise DataError(
            f"The labels hold the negative id {labels.min()}: use 0 for background and positive "
            "ids for objects."
        )


def require_voxel_size(voxel_size: Sequence[float], dims: int) -> None:
    """Refuse all but a positive length for each axis; raises DataError."""
    if len(voxel_size) != dims or not all(0 < size < math.inf for size in voxel_size):
        raise DataError(
            f"The voxel size {tuple(voxel_size)} does not fit: give {dims} positive numbers, one "
            "for each axis."
        )
