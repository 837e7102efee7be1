"""An array with a place in the world."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from copy import copy
from math import ceil, floor
from typing import Any, Protocol, Self

import numpy as np
from funlib.geometry import Coordinate, Roi
from numpy.typing import NDArray

from napari_dacapo_tasks.arrays.window import window_of
from napari_dacapo_tasks.errors import DataError
from napari_dacapo_tasks.units import NANOMETRE, WorldUnit

CHANNEL = "c"
TIME = "t"


class Sliceable(Protocol):
    """What NumPy, dask and zarr arrays share."""

    @property
    def shape(self) -> tuple[int, ...]:
        """Length of each axis."""

    @property
    def dtype(self) -> Any:
        """Type of the values."""

    def __getitem__(self, index: Any, /) -> Any: ...


class Array:
    """A lazily read array of one, two or three spatial axes, perhaps with channels.

    Only the region asked for by ``array[roi]`` is read, so ``data`` may be a dask or zarr array
    far larger than memory.

    Parameters
    ----------
    data
        Anything that slices like NumPy.
    axes
        A name for each axis of ``data``. ``"c"`` are channels, wherever they stand; a ``"t"`` of
        length one is dropped. What is left are the spatial axes, slowest first.
    voxel_size, offset
        Whole steps of the world grid, one per spatial axis.
    unit
        Unit of that grid.
    attrs
        Anything else known of the array.

    Attributes
    ----------
    data_axes
        Axis names of ``data``, as given; `axes` names those of what reading gives.

    Raises
    ------
    DataError
        For a time axis, or numbers of axes that do not agree.
    """

    def __init__(
        self,
        data: Sliceable,
        *,
        axes: Sequence[str],
        voxel_size: Iterable[int],
        offset: Iterable[int] | None = None,
        unit: WorldUnit = NANOMETRE,
        attrs: Mapping[str, Any] | None = None,
    ) -> None:
        names = tuple(axes)
        if len(names) != len(data.shape):
            raise DataError(
                f"An array of shape {tuple(data.shape)} needs {len(data.shape)} axis names, "
                f"but has {', '.join(names)}."
            )
        if TIME in names and data.shape[names.index(TIME)] != 1:
            raise DataError(
                f"The data has a time axis of {data.shape[names.index(TIME)]} points: "
                "choose one time point and save or open it as a volume of its own."
            )
        self.data = data
        self.unit = unit
        self.attrs: dict[str, Any] = dict(attrs or {})
        self.data_axes = names
        space = [i for i, name in enumerate(names) if name not in (CHANNEL, TIME)]
        self._voxel_size = Coordinate(voxel_size)
        begin = Coordinate(offset) if offset is not None else self._voxel_size * 0
        if not len(space) == self._voxel_size.dims == begin.dims:
            raise DataError(
                f"The voxel size {tuple(self._voxel_size)} and the offset {tuple(begin)} need one "
                f"value for each of the {len(space)} spatial axes."
            )
        self._roi = Roi(begin, Coordinate(data.shape[i] for i in space) * self._voxel_size)

    @property
    def axes(self) -> tuple[str, ...]:
        """Axis names of what reading gives: channels first, then space."""
        space = tuple(name for name in self.data_axes if name not in (CHANNEL, TIME))
        return (CHANNEL, *space) if CHANNEL in self.data_axes else space

    @property
    def dims(self) -> int:
        """Number of spatial axes."""
        return int(self._voxel_size.dims)

    @property
    def voxel_size(self) -> Coordinate:
        """Size of a voxel in grid steps, per spatial axis."""
        return self._voxel_size

    @property
    def roi(self) -> Roi:
        """The region of the world that the array covers, in grid steps."""
        return self._roi

    @property
    def shape(self) -> tuple[int, ...]:
        """Number of voxels along each spatial axis."""
        return tuple(self._roi.shape / self._voxel_size)

    @property
    def num_channels(self) -> int | None:
        """Length of the channel axis, None without one."""
        if CHANNEL not in self.data_axes:
            return None
        return int(self.data.shape[self.data_axes.index(CHANNEL)])

    @property
    def dtype(self) -> np.dtype[Any]:
        """Type of the values, in the byte order of this machine."""
        dtype: np.dtype[Any] = np.dtype(self.data.dtype).newbyteorder("=")
        return dtype

    @property
    def writable(self) -> bool:
        """Whether ``array[roi] = values`` is possible."""
        return False

    def __getitem__(self, roi: Roi) -> NDArray[Any]:
        """Read a region.

        Returns
        -------
        numpy.ndarray
            Channels first where there are any, then space.

        Raises
        ------
        DataError
            Where the region reaches outside of the array.
        """
        values = np.asarray(self.data[self._slices(roi)])
        if not values.dtype.isnative:  # as in many TIFF files; compiled loops and torch refuse it
            values = values.astype(self.dtype)
        if CHANNEL in self.data_axes:
            kept = [name for name in self.data_axes if name != TIME]
            values = np.moveaxis(values, kept.index(CHANNEL), 0)
        return values

    def _slices(self, roi: Roi) -> tuple[slice | int, ...]:
        # A region that is shifted by part of a voxel is read from the nearest whole one.
        begin = [
            floor((b - o) / v + 0.5)
            for b, o, v in zip(roi.begin, self.roi.begin, self.voxel_size, strict=True)
        ]
        size = [round(s / v) for s, v in zip(roi.shape, self.voxel_size, strict=True)]
        if any(b < 0 or b + s > n for b, s, n in zip(begin, size, self.shape, strict=True)):
            raise DataError(
                f"The region {roi} lies outside of the array, which covers {self.roi} "
                f"({self.unit.name})."
            )
        space = iter(zip(begin, size, strict=True))
        index: list[slice | int] = []
        for name in self.data_axes:
            if name == CHANNEL:
                index.append(slice(None))
            elif name == TIME:
                index.append(0)
            else:
                start, length = next(space)
                index.append(slice(start, start + length))
        return tuple(index)

    def on_grid(self, unit: WorldUnit) -> Self:
        """Give the same array on a finer grid of the same base unit."""
        factor, rest = divmod(unit.steps, self.unit.steps)
        assert unit.name == self.unit.name, "the base unit stays"
        assert rest == 0, "the grid must be finer"
        moved = copy(self)
        moved.unit = unit
        moved._voxel_size = self._voxel_size * factor
        moved._roi = self._roi * factor
        return moved

    def moved_to(self, begin: Iterable[int]) -> Self:
        """Give the same array beginning elsewhere, in grid steps."""
        moved = copy(self)
        moved._roi = Roi(Coordinate(begin), self._roi.shape)
        return moved

    def window(self, roi: Roi) -> Self:
        """Give the whole voxels of a region as an array of its own; nothing is read or copied."""
        size, origin = self.voxel_size, self._roi.begin
        low = [
            min(max(0, -((o - b) // v)), n)
            for b, o, v, n in zip(roi.begin, origin, size, self.shape, strict=True)
        ]
        high = [
            max(a, min((e - o) // v, n))
            for a, e, o, v, n in zip(low, roi.end, origin, size, self.shape, strict=True)
        ]
        space = iter(zip(low, high, strict=True))
        bounds = tuple(
            (0, n) if name in (CHANNEL, TIME) else next(space)
            for name, n in zip(self.data_axes, self.data.shape, strict=True)
        )
        seen = copy(self)
        seen.data = window_of(self.data, bounds)
        seen._roi = Roi(
            origin + Coordinate(low) * size, (Coordinate(high) - Coordinate(low)) * size
        )
        return seen

    def describe(self) -> str:
        """Say shape and voxel size, as ``"128 x 128 x 128 voxels of 8 x 8 x 8 nm"``."""
        count = self.num_channels
        channels = "" if count is None else f"{count} channel{'s' * (count != 1)} of "
        shape = " x ".join(str(n) for n in self.shape)
        return f"{channels}{shape} voxels of {self.unit.describe(self.voxel_size)}"


def on_common_grid(*arrays: Array) -> tuple[Array, ...]:
    """Bring arrays onto the finest of their grids.

    Raises
    ------
    DataError
        Where some have a physical unit and some have none, or as `require_same_order`.
    """
    require_same_order(*arrays)
    if len({array.unit.name for array in arrays}) > 1:
        raise DataError(
            "Some of the data has a physical unit and some has none "
            f"({'; '.join(array.describe() for array in arrays)}): give all of it the same units."
        )
    finest = max((array.unit for array in arrays), key=lambda unit: unit.steps)
    return tuple(array.on_grid(finest) for array in arrays)


def require_same_order(*arrays: Array) -> None:
    """Refuse arrays with the same spatial axes in another order, which else would be mixed up.

    Axes of other names pass: those of layers may have any.

    Raises
    ------
    DataError
        For z, y, x and x, y, z, say.
    """
    orders: dict[tuple[str, ...], tuple[str, ...]] = {}
    for array in arrays:
        space = tuple(name for name in array.axes if name != CHANNEL)
        first = orders.setdefault(tuple(sorted(space)), space)
        if space != first:
            raise DataError(
                f"Some of the data has the axes {', '.join(first)} and some {', '.join(space)}: "
                "save all of it with its axes in the same order."
            )


def common_roi(first: Array, second: Array, *, first_name: str, second_name: str) -> Roi:
    """Give the region that two arrays on one grid both cover, in whole voxels.

    Raises
    ------
    DataError
        Where their dimensions or voxel sizes differ, or they have no voxel in common.
    """
    if first.dims != second.dims:
        raise DataError(
            f"{first_name} has {first.dims} spatial axes and {second_name} {second.dims}: "
            "both must be 2D or both 3D."
        )
    if first.voxel_size != second.voxel_size:
        raise DataError(
            f"{first_name} has voxels of {first.unit.describe(first.voxel_size)} and "
            f"{second_name} of {second.unit.describe(second.voxel_size)}: bring both to the same "
            "voxel size."
        )
    # In voxels of the first, so that a shift by part of a voxel cannot cut one in two.
    size = first.voxel_size
    # Half a voxel counts down, so that reading, where it counts up, stays inside of the second.
    shift = [
        ceil((b - a) / v - 0.5)
        for a, b, v in zip(first.roi.begin, second.roi.begin, size, strict=True)
    ]
    begin = [max(0, s) for s in shift]
    end = [min(n, s + m) for n, m, s in zip(first.shape, second.shape, shift, strict=True)]
    if any(b >= e for b, e in zip(begin, end, strict=True)):
        raise DataError(
            f"{first_name} and {second_name} do not overlap: they cover {first.roi} and "
            f"{second.roi} ({first.unit.name}); check their positions and scales."
        )
    shape = Coordinate(end) - Coordinate(begin)
    return Roi(first.roi.begin + Coordinate(begin) * size, shape * size)


@contextmanager
def told_when_broken(name: object, voxel: Sequence[int]) -> Iterator[None]:
    """Make one sentence of whatever a library raises while data is read.

    Parameters
    ----------
    name
        Of what is read.
    voxel
        Where it is read from.

    Raises
    ------
    DataError
        In place of everything but a `DataError` and a lack of memory.
    """
    try:
        yield
    except (MemoryError, DataError):
        raise
    except Exception as error:  # every library has its own for a broken file
        said = str(error).rstrip(".") or type(error).__name__
        raise DataError(
            f"{name} cannot be read at voxel {tuple(voxel)}: {said}; check that it is there and "
            "whole."
        ) from error
