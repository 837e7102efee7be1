"""Reading lazy arrays block by block, with a bounded memory of what was read."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Hashable, Iterator, Sequence
from concurrent.futures import Future
from functools import partial
from itertools import product
from math import ceil, prod
from threading import Lock
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_dacapo_tasks.arrays.array import Array, Sliceable, told_when_broken

CACHE_BYTES = 2 * 2**30
"""What a run keeps of all its files together."""

BLOCK_VALUES = 2**18
"""Values of a block at least, where an array is in no chunks or in smaller ones: 64 voxels a side.

Smaller ones cost more to look up than to read, larger ones hold much that no crop asks for.
"""


class BlockCache:
    """A bounded, thread-safe memory of blocks: those that were not used for longest go first.

    Parameters
    ----------
    limit
        Bytes of all blocks together. A block larger than that is read, but not kept.
    """

    def __init__(self, limit: int = CACHE_BYTES) -> None:
        self.limit = limit
        self._bytes = 0
        self._kept: OrderedDict[Hashable, NDArray[Any]] = OrderedDict()
        self._under_way: dict[Hashable, Future[NDArray[Any]]] = {}
        self._lock = Lock()

    @property
    def bytes(self) -> int:
        """Bytes of all blocks that are kept."""
        return self._bytes

    def get(self, key: Hashable, read: Callable[[], NDArray[Any]]) -> NDArray[Any]:
        """Give a block, which is read where it is not known; at the same time only once.

        Parameters
        ----------
        key
            Says which block it is.
        read
            Called without a lock, so that several threads read several blocks at a time.
        """
        with self._lock:
            known = self._kept.get(key)
            if known is not None:
                self._kept.move_to_end(key)
                return known
            awaited = self._under_way.get(key)
            mine = Future[NDArray[Any]]()
            if awaited is None:
                self._under_way[key] = mine
        if awaited is not None:
            return awaited.result()
        try:
            block = read()
        except BaseException as error:
            with self._lock:
                del self._under_way[key]
            mine.set_exception(error)
            raise
        with self._lock:
            del self._under_way[key]
            if block.nbytes <= self.limit:
                self._kept[key] = block
                self._bytes += block.nbytes
                while self._bytes > self.limit:
                    _, oldest = self._kept.popitem(last=False)
                    self._bytes -= oldest.nbytes
        mine.set_result(block)
        return block


class CachedArray(Array):
    """Another array, read block by block through a cache; what is read may be changed freely.

    Parameters
    ----------
    array
        Its blocks lie along its chunks, where it has any.
    cache
        Several arrays can share one.

    Raises
    ------
    DataError
        On reading, where the file of ``array`` is damaged or gone.
    """

    def __init__(self, array: Array, cache: BlockCache) -> None:
        vars(self).update(vars(array))
        self.data = _Blocks(array.data, cache, str(array.attrs.get("path", "The data")))


def cached(array: Array, cache: BlockCache) -> Array:
    """Give an array as it is where it lies in memory, a `CachedArray` where it does not."""
    return array if isinstance(array.data, np.ndarray) else CachedArray(array, cache)


class _Blocks:
    """Slices of a lazy array, put together from blocks."""

    def __init__(self, data: Sliceable, cache: BlockCache, name: str) -> None:
        self.shape = tuple(data.shape)
        self.dtype = np.dtype(data.dtype)
        self._data = data
        self._cache = cache
        self._name = name
        self._edges = block_edges(data)

    def __getitem__(self, index: Sequence[slice | int]) -> NDArray[Any]:
        begin = [one.start or 0 if isinstance(one, slice) else one for one in index]
        end = [
            (n if one.stop is None else one.stop) if isinstance(one, slice) else one + 1
            for one, n in zip(index, self.shape, strict=True)
        ]
        values = np.empty([e - b for b, e in zip(begin, end, strict=True)], self.dtype)
        for place in product(*map(_touched, self._edges, begin, end)):
            edges = [(e[i], e[i + 1]) for e, i in zip(self._edges, place, strict=True)]
            low = [max(b, first) for b, (first, _) in zip(begin, edges, strict=True)]
            high = [min(e, last) for e, (_, last) in zip(end, edges, strict=True)]
            block = self._cache.get((self, place), partial(self._read, edges))
            inside = [first for first, _ in edges]
            values[_slices(low, high, begin)] = block[_slices(low, high, inside)]
        return values[tuple(0 if isinstance(one, int) else slice(None) for one in index)]

    def _read(self, edges: list[tuple[int, int]]) -> NDArray[Any]:
        with told_when_broken(self._name, [b for b, _ in edges]):
            values = np.asarray(self._data[tuple(slice(b, e) for b, e in edges)])
        # A view would keep all that it is a view of.
        return values if values.base is None else values.copy()


def block_edges(data: Sliceable) -> list[list[int]]:
    """Say where the blocks of an array begin along each axis, and where the last one ends.

    They are its chunks, small ones several together.
    """
    shape = data.shape
    chunks: Any = getattr(data, "chunks", None) or (1,) * len(shape)
    if not all(isinstance(size, int) for size in chunks):  # dask, whose chunks may differ
        return [[0, *map(int, np.cumsum(sizes))] for sizes in chunks]
    sizes = [max(1, min(size, n)) for size, n in zip(chunks, shape, strict=True)]
    while prod(sizes) < BLOCK_VALUES and any(s < n for s, n in zip(sizes, shape, strict=True)):
        growing = [a for a, n in enumerate(shape) if sizes[a] < n]
        shortest = min(growing, key=lambda axis: (sizes[axis], -axis))
        sizes[shortest] = min(
            2 * sizes[shortest], ceil(shape[shortest] / chunks[shortest]) * chunks[shortest]
        )
    return [[*range(0, n, size), n] for size, n in zip(sizes, shape, strict=True)]


def _touched(edges: list[int], begin: int, end: int) -> Iterator[int]:
    first = int(np.searchsorted(edges, begin, "right")) - 1
    last = int(np.searchsorted(edges, end, "left"))
    return iter(range(first, last) if end > begin else ())


def _slices(low: Sequence[int], high: Sequence[int], origin: Sequence[int]) -> tuple[slice, ...]:
    return tuple(slice(a - o, b - o) for a, b, o in zip(low, high, origin, strict=True))
