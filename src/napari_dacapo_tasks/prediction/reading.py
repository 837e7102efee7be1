"""Raw data as a network sees it, also beyond the edges of the volume."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from funlib.geometry import Coordinate, Roi
from numpy.typing import NDArray

from napari_dacapo_tasks.arrays import Array
from napari_dacapo_tasks.arrays.array import told_when_broken
from napari_dacapo_tasks.runs.intensity import check_finite, normalised


def read_seen(
    raw: Array,
    begin: Sequence[int],
    shape: Sequence[int],
    intensity_range: tuple[float, float],
) -> NDArray[np.float32]:
    """Read what a network sees; beyond an edge lies the volume mirrored, the edge itself once.

    Parameters
    ----------
    raw
        The volume.
    begin, shape
        In voxels from its begin; they may reach beyond it, by any length.
    intensity_range
        Raw values that become -1 and 1.

    Returns
    -------
    numpy.ndarray
        ``(channels, *shape)``, contiguous.

    Raises
    ------
    DataError
        Where the volume cannot be read there, or holds values that are NaN or infinite.
    """
    places = [
        mirrored_places(b, b + n, there)
        for b, n, there in zip(begin, shape, raw.shape, strict=True)
    ]
    low = Coordinate(int(place.min()) for place in places)
    high = Coordinate(int(place.max()) + 1 for place in places)
    values = _read(raw, low, high)
    check_finite(values)
    seen = normalised(values, intensity_range)
    if raw.num_channels is None:
        seen = seen[np.newaxis]
    for axis, (place, first, last) in enumerate(zip(places, low, high, strict=True), start=1):
        if len(place) != last - first or place[0] != first:
            seen = np.take(seen, place - first, axis=axis)
    return np.ascontiguousarray(seen)


def mirrored_places(begin: int, end: int, length: int) -> NDArray[np.intp]:
    """Give the voxels of an axis of a length that stand in a range, which may reach beyond it."""
    if begin >= 0 and end <= length:
        return np.arange(begin, end)
    period = max(1, 2 * (length - 1))
    at = np.arange(begin, end) % period
    return np.minimum(at, period - at) if length > 1 else np.zeros(end - begin, np.intp)


def _read(raw: Array, low: Coordinate, high: Coordinate) -> NDArray[Any]:
    size = raw.voxel_size
    with told_when_broken(raw.attrs.get("path", "The image"), low):
        return raw[Roi(raw.roi.begin + low * size, (high - low) * size)]
