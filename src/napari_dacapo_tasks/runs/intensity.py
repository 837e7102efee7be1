"""Raw values as a network sees them: between about -1 and 1."""

from __future__ import annotations

from typing import Any

import numpy as np
from funlib.geometry import Coordinate, Roi
from numpy.typing import NDArray

from napari_dacapo_tasks.arrays import Array
from napari_dacapo_tasks.errors import DataError

PERCENTILES = (0.5, 99.5)
"""What counts as darkest and brightest: beyond are dust and hot pixels."""

SAMPLE_EDGE = {1: 2**15, 2: 256, 3: 32}
"""Edge of a block that is looked at, by number of spatial axes."""

SAMPLE_BLOCKS = 64
"""Blocks that are looked at: some two million voxels tell the percentiles of any volume."""

LEAST_BLOCKS = 8
"""Blocks of each of many volumes, which may be more in all."""


def measure_range(*raws: Array) -> tuple[float, float]:
    """Find the values that a network shall see as -1 and 1, for all raw data of a run together.

    uint8 keeps its full range, so that runs on different volumes see the same; for other types
    it is the 0.5 to 99.5 percentile of blocks all over the volumes, of each as many.

    Raises
    ------
    DataError
        Where the values are no real numbers, not finite, or all the same.
    """
    for raw in raws:
        if raw.dtype.kind not in "biuf":
            raise DataError(f"The raw data holds values of type {raw.dtype}: they must be numbers.")
    blocks = max(LEAST_BLOCKS, SAMPLE_BLOCKS // len(raws))
    values = np.concatenate([_sample(raw, blocks).ravel() for raw in raws])
    check_finite(values)
    low, high = float(values.min()), float(values.max())
    if low == high:
        raise DataError(
            f"All the raw data is {low:g}, so there is nothing to learn from: choose another "
            "layer or file."
        )
    if all(raw.dtype == np.uint8 for raw in raws):
        return 0.0, 255.0
    inner_low, inner_high = (float(v) for v in np.percentile(values, PERCENTILES))
    # Where nearly all is one value, such as padding, the percentiles fall together.
    return (inner_low, inner_high) if inner_low < inner_high else (low, high)


def normalised(values: NDArray[Any], intensity_range: tuple[float, float]) -> NDArray[np.float32]:
    """Map the range linearly to -1 and 1; what lies outside of it is not cut off."""
    low, high = intensity_range
    scaled = values.astype(np.float32)
    scaled -= low
    scaled *= 2 / (high - low)
    scaled -= 1
    return scaled


def check_finite(values: NDArray[Any]) -> None:
    """Raise DataError where there is NaN or infinity among raw values."""
    if values.dtype.kind == "f" and not np.isfinite(values).all():
        count = int(np.count_nonzero(~np.isfinite(values)))
        raise DataError(
            f"The raw data holds values that are NaN or infinite ({count} of the "
            f"{values.size} looked at): replace them, for instance by 0."
        )


def _sample(raw: Array, count: int) -> NDArray[Any]:
    """Read blocks all over the array, or all of it where it is no more than they are."""
    edge = Coordinate(min(SAMPLE_EDGE[raw.dims], n) for n in raw.shape)
    room = [n - e + 1 for n, e in zip(raw.shape, edge, strict=True)]
    if np.prod(raw.shape) <= count * np.prod(edge):
        values = raw[raw.roi]
    else:
        random = np.random.default_rng(0)
        begins = [Coordinate(random.integers(room)) for _ in range(count)]
        size = raw.voxel_size
        blocks = [raw[Roi(raw.roi.begin + begin * size, edge * size)] for begin in begins]
        values = np.stack(blocks)
    return values.astype(np.uint8) if values.dtype.kind == "b" else values
