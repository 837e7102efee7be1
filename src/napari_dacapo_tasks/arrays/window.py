"""A part of a lazy array, without reading it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np


class _Window:
    """Slices like the array behind it, counted from somewhere else."""

    def __init__(self, data: Any, bounds: Sequence[tuple[int, int]]) -> None:
        self.data = data
        self.bounds = tuple(bounds)
        self.shape = tuple(end - begin for begin, end in bounds)
        self.dtype = data.dtype

    def __getitem__(self, index: Sequence[slice | int]) -> Any:
        moved: list[slice | int] = []
        for one, (begin, _), length in zip(index, self.bounds, self.shape, strict=True):
            if isinstance(one, slice):
                start, stop, _ = one.indices(length)
                moved.append(slice(begin + start, begin + max(start, stop)))
            else:
                moved.append(begin + one)
        return self.data[tuple(moved)]


def window_of(data: Any, bounds: Sequence[tuple[int, int]]) -> Any:
    """Give a part of anything that slices like NumPy; of a NumPy array a view.

    Parameters
    ----------
    data
        The whole.
    bounds
        Begin and end along each of its axes.
    """
    if isinstance(data, np.ndarray):
        return data[tuple(slice(begin, end) for begin, end in bounds)]
    return _Window(data, bounds)
