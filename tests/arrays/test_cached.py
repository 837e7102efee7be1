"""Reading through a bounded memory: the same values, each block once, and never too much kept."""

from __future__ import annotations

from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier, Event
from typing import Any

import dask.array
import numpy as np
import pytest
from funlib.geometry import Coordinate, Roi
from hypothesis import given
from hypothesis import strategies as st

from napari_dacapo_tasks.arrays import Array
from napari_dacapo_tasks.arrays.cached import (
    BLOCK_VALUES,
    BlockCache,
    CachedArray,
    block_edges,
    cached,
)
from napari_dacapo_tasks.errors import DataError


class Counted:
    """Slices like NumPy and counts what was asked for."""

    def __init__(self, values: Any, chunks: Any = None) -> None:
        self.values, self.chunks = values, chunks
        self.shape, self.dtype = values.shape, values.dtype
        self.reads: Counter[str] = Counter()

    def __getitem__(self, index: Any) -> Any:
        self.reads[str(index)] += 1
        return self.values[index]


def placed(data: Any, axes: str = "zyx") -> Array:
    return Array(data, axes=axes, voxel_size=(8,) * (len(axes) - ("c" in axes)))


def region(begin: Any, shape: Any) -> Roi:
    return Roi(Coordinate(begin) * 8, Coordinate(shape) * 8)


@given(st.data())
def test_what_is_read_is_the_same(data):
    shape = data.draw(st.tuples(*[st.integers(1, 12)] * 3))
    chunks = data.draw(st.one_of(st.none(), st.tuples(*[st.integers(1, 5)] * 3)))
    values = np.arange(np.prod(shape)).reshape(shape)
    source: Any = Counted(values, chunks)
    if chunks is not None and data.draw(st.booleans()):
        source = dask.array.from_array(values, chunks=chunks)
    array = CachedArray(placed(source), BlockCache(data.draw(st.integers(0, 500))))
    for _ in range(3):
        begin = [data.draw(st.integers(0, n)) for n in shape]
        size = [data.draw(st.integers(0, n - b)) for n, b in zip(shape, begin, strict=True)]
        there = tuple(slice(b, b + s) for b, s in zip(begin, size, strict=True))
        np.testing.assert_array_equal(array[region(begin, size)], values[there])


def test_channels_and_single_times(tmp_path):
    values = np.arange(2 * 5 * 6 * 7 * 3).reshape(2, 5, 6, 7, 3)[:1]
    source = Array(Counted(values), axes=("t", "z", "y", "x", "c"), voxel_size=(8, 8, 8))
    array = CachedArray(source, BlockCache())
    assert (array.axes, array.num_channels, array.shape) == (source.axes, 3, (5, 6, 7))
    np.testing.assert_array_equal(array[array.roi], np.moveaxis(values[0], -1, 0))


def test_blocks_are_read_once_and_only_where_asked_for():
    source = Counted(np.zeros((256, 256, 256), np.uint8), (64, 64, 64))
    array = CachedArray(placed(source), BlockCache())
    assert not source.reads
    for begin in ((70, 70, 70), (80, 64, 100), (64, 64, 64)):
        array[region(begin, (20, 20, 20))]
    assert len(source.reads) == 1
    array[region((60, 70, 70), (20, 20, 20))]
    assert len(source.reads) == 2
    assert set(source.reads.values()) == {1}


def test_it_never_keeps_more_than_its_limit():
    source = Counted(np.zeros((640, 64, 64), np.uint8), (64, 64, 64))
    cache = BlockCache(limit=3 * 64**3)
    array = CachedArray(placed(source), cache)
    for z in range(10):
        array[region((64 * z, 0, 0), (64, 64, 64))]
        assert cache.bytes == min(z + 1, 3) * 64**3
    array[region((64 * 9, 0, 0), (64, 64, 64))]
    array[region((64 * 7, 0, 0), (64, 64, 64))]  # now the one used last
    assert sum(source.reads.values()) == 10
    array[region((0, 0, 0), (64, 64, 64))]  # in the place of the one at 8
    array[region((64 * 7, 0, 0), (64, 64, 64))]
    assert sum(source.reads.values()) == 11
    array[region((64 * 8, 0, 0), (64, 64, 64))]
    assert sum(source.reads.values()) == 12


def test_a_block_larger_than_the_limit_is_not_kept():
    cache = BlockCache(limit=100)
    array = CachedArray(placed(Counted(np.ones((8, 8, 8), np.uint8))), cache)
    assert array[array.roi].sum() == 512
    assert cache.bytes == 0


def test_several_arrays_share_the_limit():
    cache = BlockCache(limit=64**3)
    arrays = [
        CachedArray(placed(Counted(np.full((64,) * 3, value, np.uint8))), cache) for value in (1, 2)
    ]
    for _ in range(2):
        for value, array in enumerate(arrays, start=1):
            assert (array[array.roi] == value).all()
            assert cache.bytes == 64**3


def test_threads_that_want_the_same_block_read_it_once():
    go, started = Event(), Event()

    class Slow(Counted):
        def __getitem__(self, index: Any) -> Any:
            started.set()
            assert go.wait(30)
            return super().__getitem__(index)

    source = Slow(np.arange(8**3).reshape(8, 8, 8))
    array = CachedArray(placed(source), BlockCache())
    with ThreadPoolExecutor(8) as pool:
        reads = [pool.submit(lambda: array[array.roi]) for _ in range(8)]
        assert started.wait(30)
        go.set()
        for read in reads:
            np.testing.assert_array_equal(read.result(30), source.values)
    assert sum(source.reads.values()) == 1


def test_threads_that_want_other_blocks_do_not_wait():
    together = Barrier(2, timeout=30)

    class Meeting(Counted):
        def __getitem__(self, index: Any) -> Any:
            together.wait()  # both are reading at the same time, or this fails
            return super().__getitem__(index)

    array = CachedArray(placed(Meeting(np.zeros((128, 64, 64), np.uint8), (64,) * 3)), BlockCache())
    with ThreadPoolExecutor(2) as pool:
        for read in [pool.submit(lambda z=z: array[region((z, 0, 0), (9,) * 3)]) for z in (0, 64)]:
            assert read.result(30).shape == (9, 9, 9)


def test_what_was_read_can_be_changed_without_harm():
    array = CachedArray(placed(Counted(np.zeros((8, 8, 8), np.uint8))), BlockCache())
    array[array.roi][:] = 9
    assert not array[array.roi].any()


def test_a_failure_is_told_and_tried_again():
    class Broken(Counted):
        def __getitem__(self, index: Any) -> Any:
            if not self.reads:
                self.reads["failed"] += 1
                raise OSError("the disk is gone")
            return self.values[index]

    source = placed(Broken(np.ones((4, 4, 4))))
    source.attrs["path"] = "/data/a.zarr"
    array = CachedArray(source, BlockCache())
    with pytest.raises(
        DataError, match=r"/data/a\.zarr cannot be read at voxel \(0, 0, 0\): the disk"
    ):
        array[array.roi]
    assert array[array.roi].all()


def test_what_is_in_memory_stays_as_it_is():
    values = np.zeros((4, 4, 4))
    array = placed(values)
    assert cached(array, BlockCache()) is array
    assert np.shares_memory(array[array.roi], values)


@pytest.mark.parametrize(
    ("shape", "chunks", "block"),
    [
        ((500, 500, 500), None, (64, 64, 64)),
        ((4000, 4000), None, (512, 512)),
        ((500, 500, 500), (16, 16, 16), (64, 64, 64)),
        ((500, 500, 500), (100, 100, 100), (100, 100, 100)),
        ((90, 2000, 2000), (1, 2000, 2000), (1, 2000, 2000)),
        ((3, 20, 20), (1, 20, 20), (3, 20, 20)),
    ],
)
def test_blocks_lie_along_chunks_and_are_not_small(shape, chunks, block):
    edges = block_edges(Counted(np.broadcast_to(np.uint8(0), shape), chunks))
    assert tuple(e[1] for e in edges) == block
    assert [e[-1] for e in edges] == list(shape)
    assert np.prod(block) >= min(BLOCK_VALUES, np.prod(shape))
