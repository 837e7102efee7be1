"""Raw data that shows what a network answers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from funlib.geometry import Coordinate, Roi
from numpy.typing import NDArray

from napari_dacapo_tasks.arrays import Array
from napari_dacapo_tasks.errors import DataError
from napari_dacapo_tasks.runs.intensity import check_finite

if TYPE_CHECKING:
    from napari_dacapo_tasks.architectures import CNNectomeUNet


def middle_of(raw: Array, architecture: CNNectomeUNet, shape: Sequence[int]) -> NDArray[Any]:
    """Read the middle of raw data as float32 ``(channels, *shape)``, mirrored where it is small.

    Raises
    ------
    DataError
        Where it has other axes or channels than the network takes, or values that are not finite.
    """
    if raw.dims != architecture.dims:
        raise DataError(
            f"The raw data is {raw.dims}D and the network {architecture.dims}D: choose data like "
            "that it was trained with."
        )
    channels = raw.num_channels or 1
    if channels != architecture.fmaps_in:
        raise DataError(
            f"The raw data has {channels} channels, but the network takes "
            f"{architecture.fmaps_in}: choose data like that it was trained with."
        )
    taken = Coordinate(min(size, there) for size, there in zip(shape, raw.shape, strict=True))
    begin = (Coordinate(raw.shape) - taken) // 2
    size = raw.voxel_size
    values = raw[Roi(raw.roi.begin + begin * size, taken * size)]
    check_finite(values)
    if raw.num_channels is None:
        values = values[np.newaxis]
    missing = [(0, 0), *((0, n - t) for n, t in zip(shape, taken, strict=True))]
    return np.pad(values, missing, mode="symmetric").astype(np.float32)
