from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from napari_dacapo_tasks.arrays import Array, NumpyArray
from napari_dacapo_tasks.units import WorldUnit


class Lazy:
    """Data that is read part by part, and remembers how much at most."""

    def __init__(self, values: np.ndarray) -> None:
        self.values, self.shape, self.dtype = values, values.shape, values.dtype
        self.most = 0

    def __getitem__(self, index: Any) -> np.ndarray:
        part = self.values[index]
        self.most = max(self.most, part.size)
        return part


@pytest.fixture
def cells() -> Callable[[tuple[int, ...], int], np.ndarray]:
    """Return a function that makes so many touching cells, a third of them background."""

    def grow(shape: tuple[int, ...], number: int) -> np.ndarray:
        random = np.random.default_rng(0)
        centres = [random.integers(0, length, number) for length in shape]
        grid = np.indices(shape)[..., np.newaxis]
        squares = sum((axis - centre) ** 2 for axis, centre in zip(grid, centres, strict=True))
        return np.where(np.arange(number) % 3, np.arange(number), 0)[squares.argmin(axis=-1)]

    return grow


@pytest.fixture
def prediction() -> Callable[..., Array]:
    """Return a function that places values (c, z, y, x) or (c, y, x) somewhere."""

    def place(values: Any, voxel_size: Any = None, lazy: bool = False) -> Array:
        values = np.asarray(values)
        dims = values.ndim - 1
        kind = Array if lazy else NumpyArray
        return kind(
            Lazy(values) if lazy else values,
            axes=("c", *"zyx"[-dims:]),
            voxel_size=voxel_size or (80, 40, 40)[-dims:],
            offset=(800, 120, -400)[-dims:],
            unit=WorldUnit("nm", 10),
        )

    return place


@pytest.fixture
def same_place() -> Callable[[Array, Array], None]:
    """Return a function that asserts that labels lie where a prediction lies."""

    def compare(labels: Array, prediction: Array) -> None:
        assert labels.roi == prediction.roi
        assert labels.voxel_size == prediction.voxel_size
        assert labels.unit == prediction.unit
        assert labels.axes == prediction.axes

    return compare
