"""Images on disk as layers that never wait for the disk.

napari reads what it shows when it draws, on the main thread, and of a zarr array more than it
shows. What is shown here comes out of memory at once: as far as it has been read, and where it has
not, coarsely. What is missing is read in the background; drawing again then shows it.
"""

from __future__ import annotations

from collections import OrderedDict, deque
from collections.abc import Generator, Iterator, Sequence
from dataclasses import dataclass
from itertools import product
from math import ceil, prod
from threading import Lock
from typing import Any

import numpy as np
from funlib.geometry import Roi
from numpy.typing import NDArray

from napari_dacapo_tasks.arrays import Array
from napari_dacapo_tasks.arrays.array import Sliceable

OVERVIEW_VOXELS = 2**25
"""Of all channels together, in the coarse copy that is kept in memory; 3D shows this one."""

UNIT_SIDE, UNIT_DEPTH = 256, 8
"""Voxels that are read at once: along what is seen, and through it, to scroll."""

KEPT_BYTES = 2**29
"""Of what was read, the latest is kept."""

MOST_WAITING = 512
"""Units that wait to be read; older ones have been scrolled past."""

LARGEST_VIEW = 2**23
"""Voxels of a plane above which its coarse copy is all that is shown."""

Bounds = tuple[tuple[int, int], ...]
"""First voxel and the one behind the last, along each axis."""


@dataclass(frozen=True)
class _Unit:
    """A part of a level that is read at once."""

    level: int
    bounds: Bounds


class LazyImage:
    """Levels of an image, and what of them is in memory; safe between threads.

    Parameters
    ----------
    levels
        Arrays that slice, the finest first, all of the same axes.
    channels
        Number of leading axes that are channels: 0 or 1.
    """

    def __init__(self, levels: Sequence[Sliceable], channels: int) -> None:
        self._lock = Lock()
        self._lead = channels
        self._levels = self._with_coarser(levels)
        self._kept: OrderedDict[_Unit, NDArray[Any]] = OrderedDict()
        self._stale: set[_Unit] = set()
        self._waiting: OrderedDict[_Unit, None] = OrderedDict()
        self._filled: deque[Bounds] = deque()
        self._changed = False
        self._closed = False
        finest = levels[0]
        self.dtype = np.dtype(finest.dtype)
        self.overview = np.zeros(_overview_shape(finest.shape, channels), self.dtype)
        self._samples = [
            _samples(n, m) for n, m in zip(finest.shape, self.overview.shape, strict=True)
        ]

    @property
    def shape(self) -> tuple[int, ...]:
        """Of the finest level."""
        return tuple(self._levels[0].shape)

    @property
    def shapes(self) -> list[tuple[int, ...]]:
        """Of all levels."""
        return [tuple(one.shape) for one in self._levels]

    @property
    def has_work(self) -> bool:
        """Whether something is to be read."""
        return bool(self._waiting or self._filled) and not self._closed

    def take_changed(self) -> bool:
        """Whether more can be shown than at the last call."""
        changed, self._changed = self._changed, False
        return changed

    def fill(self, bounds: Bounds) -> None:
        """Take note that a part of the finest level (its spatial axes) is written now."""
        whole = tuple((0, n) for n in self.shape[: self._lead])
        with self._lock:
            self._filled.append((*whole, *bounds))

    def fill_all(self) -> None:
        """Take note that all is written, as in an image that was opened."""
        shape = self.shape[self._lead :]
        for begin in product(*(range(0, n, UNIT_SIDE) for n in shape)):
            self.fill(tuple((b, min(b + UNIT_SIDE, n)) for b, n in zip(begin, shape, strict=True)))

    def set_levels(self, levels: Sequence[Sliceable]) -> None:
        """Let there be coarser levels of the same image from now on; `data` has to be anew."""
        with self._lock:
            assert tuple(levels[0].shape) == self.shape, "the image is the same"
            self._levels = self._with_coarser(levels)
            self._waiting.clear()
            for unit in [one for one in self._kept if one.level > 0]:
                del self._kept[unit]

    def close(self) -> None:
        """Read nothing any more."""
        self._closed = True

    def work(self) -> Generator[None, None, None]:
        """Read what is to be read, a part at a time; for the background."""
        while not self._closed:
            with self._lock:
                unit = self._waiting.popitem()[0] if self._waiting else None
                filled = self._filled.popleft() if unit is None and self._filled else None
                levels = self._levels
            if unit is not None:
                values = _read(levels[unit.level], unit.bounds)
                if levels is self._levels:  # the level is what it was when this was asked for
                    self._keep(unit, values)
            elif filled is not None:
                self._see(levels[0], filled)
            else:
                return
            yield

    def read(self, level: int, bounds: Bounds) -> NDArray[Any]:
        """Give a part of a level as far as it is known; asks for what is missing.

        Parameters
        ----------
        level
            Which.
        bounds
            Which part.
        """
        seen = self._coarsely(level, bounds)
        source = self._levels[level]
        too_coarse = isinstance(source, _Coarser)
        known = self.overview.shape == self.shape  # the copy in memory is all there is
        if known or too_coarse or seen.size > LARGEST_VIEW or self._closed:
            return seen
        shape = source.shape
        with self._lock:
            for unit in _units(level, bounds, shape, self._lead):
                values = self._kept.get(unit)
                if values is not None:
                    self._kept.move_to_end(unit)
                    _paste(values, unit.bounds, seen, bounds)
                if values is None or unit in self._stale:
                    self._waiting[unit] = None
                    self._waiting.move_to_end(unit)
            while len(self._waiting) > MOST_WAITING:
                self._waiting.popitem(last=False)
        return seen

    def _keep(self, unit: _Unit, values: NDArray[Any]) -> None:
        with self._lock:
            self._kept[unit] = values
            self._stale.discard(unit)
            size = sum(one.nbytes for one in self._kept.values())
            while size > KEPT_BYTES and len(self._kept) > 1:
                gone, values = self._kept.popitem(last=False)
                self._stale.discard(gone)
                size -= values.nbytes
            self._changed = True

    def _see(self, finest: Sliceable, bounds: Bounds) -> None:
        """Copy a part that was written into the overview."""
        chosen = [
            np.arange(*np.searchsorted(samples, bound))
            for samples, bound in zip(self._samples, bounds, strict=True)
        ]
        if all(len(one) for one in chosen):
            # Channel by channel: a block of all of them may be large.
            for lead in product(*(one.tolist() for one in chosen[: self._lead])):
                space = bounds[self._lead :]
                values = _read(finest, (*((c, c + 1) for c in lead), *space))
                picked = [
                    samples[one] - low
                    for samples, one, (low, _) in zip(
                        self._samples[self._lead :], chosen[self._lead :], space, strict=True
                    )
                ]
                spatial = values.reshape(values.shape[self._lead :])
                seen: Any = self.overview[lead]
                seen[np.ix_(*chosen[self._lead :])] = spatial[np.ix_(*picked)]
        with self._lock:
            for unit in self._kept:
                shape = self._levels[unit.level].shape
                if _touch(unit.bounds, _scaled(bounds, self.shape, shape)):
                    self._stale.add(unit)
            self._changed = True

    def _coarsely(self, level: int, bounds: Bounds) -> NDArray[Any]:
        """Give a part of a level out of the overview."""
        shape = self._levels[level].shape
        wanted = []
        for axis, ((low, high), n, m) in enumerate(
            zip(bounds, shape, self.overview.shape, strict=True)
        ):
            index = np.minimum((np.arange(low, high) + 0.5) * (m / n), m - 1).astype(np.intp)
            wanted.append((len(index) / m, axis, index))
        seen = self.overview
        for _, axis, index in sorted(
            wanted, key=lambda one: one[0]
        ):  # the less to copy, the sooner
            seen = np.take(seen, index, axis)
        return seen

    def _with_coarser(self, levels: Sequence[Sliceable]) -> list[Sliceable]:
        """Add levels until the next would be no finer than the overview."""
        made = list(levels)
        least = prod(_overview_shape(levels[0].shape, self._lead))
        factor = 2
        while len(levels) == 1:
            coarser = _Coarser(levels[0], factor, self._lead)
            if prod(coarser.shape) <= least:
                break
            made.append(coarser)
            factor *= 2
        return made


class _Coarser:
    """Stands for a level that is not made yet: of it there is what the overview knows.

    napari then asks for no more of a wide view than it can show.
    """

    def __init__(self, finest: Sliceable, factor: int, lead: int) -> None:
        self.shape = (*finest.shape[:lead], *(ceil(n / factor) for n in finest.shape[lead:]))
        self.dtype = finest.dtype

    def __getitem__(self, index: Any, /) -> Any:
        raise AssertionError("there is nothing to read")


def bounds_of(array: Array, roi: Roi) -> Bounds:
    """Give the voxels of an array that are in a region."""
    begin = (roi.begin - array.roi.begin) / array.voxel_size
    end = (roi.end - array.roi.begin) / array.voxel_size
    return tuple(
        (max(0, int(b)), min(int(e), n)) for b, e, n in zip(begin, end, array.shape, strict=True)
    )


def _overview_shape(shape: Sequence[int], lead: int) -> tuple[int, ...]:
    """Give a shape with few enough voxels: every axis shorter by the same whole factor."""
    factor = 1
    while True:
        space = [ceil(n / factor) for n in shape[lead:]]
        if prod((*shape[:lead], *space)) <= OVERVIEW_VOXELS or max(space) == 1:
            return (*shape[:lead], *space)
        factor += 1


def _samples(length: int, samples: int) -> NDArray[np.intp]:
    """Give the voxels that an overview of an axis shows: each in the middle of what it is for."""
    return ((np.arange(samples) + 0.5) * (length / samples)).astype(np.intp)


def _read(level: Sliceable, bounds: Bounds) -> NDArray[Any]:
    return np.asarray(level[tuple(slice(low, high) for low, high in bounds)])


def _units(level: int, bounds: Bounds, shape: Sequence[int], lead: int) -> Iterator[_Unit]:
    """Give the parts to read for a view: flat where it is flat."""
    ranges = []
    for axis, ((low, high), n) in enumerate(zip(bounds, shape, strict=True)):
        # napari asks for a plane as an index, or as a range of a single one.
        side = 1 if axis < lead else UNIT_SIDE if high - low > UNIT_DEPTH else UNIT_DEPTH
        steps = range(low // side, ceil(high / side))
        ranges.append([(i * side, min((i + 1) * side, n)) for i in steps])
    for one in product(*ranges):
        yield _Unit(level, one)


def _scaled(bounds: Bounds, of: Sequence[int], to: Sequence[int]) -> Bounds:
    """Give what a part of one level covers of another, and perhaps a bit more."""
    return tuple(
        (low * m // n, -(-high * m // n)) for (low, high), n, m in zip(bounds, of, to, strict=True)
    )


def _touch(first: Bounds, second: Bounds) -> bool:
    return all(a < d and c < b for (a, b), (c, d) in zip(first, second, strict=True))


def _paste(values: NDArray[Any], at: Bounds, seen: NDArray[Any], bounds: Bounds) -> None:
    """Copy what two parts have in common from one into the other."""
    source, target = [], []
    for (a, b), (c, d) in zip(at, bounds, strict=True):
        low, high = max(a, c), min(b, d)
        source.append(slice(low - a, high - a))
        target.append(slice(low - c, high - c))
    seen[tuple(target)] = values[tuple(source)]
