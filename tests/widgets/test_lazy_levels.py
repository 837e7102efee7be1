"""Images on disk as napari slices them: what is known at once, the rest after it was read."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from napari_dacapo_tasks.widgets import lazy_image
from napari_dacapo_tasks.widgets.lazy_image import LazyImage
from napari_dacapo_tasks.widgets.lazy_levels import LazyData

SHAPE = (2, 40, 150, 170)


class Counted:
    """An array that takes note of what is read of it."""

    def __init__(self, values: Any) -> None:
        self.values, self.read = values, []
        self.shape, self.dtype = values.shape, values.dtype

    def __getitem__(self, index: Any) -> Any:
        self.read.append(index)
        return self.values[index].copy()  # as a disk does


@pytest.fixture
def values() -> Any:
    return np.random.default_rng(0).random(SHAPE).astype(np.float32)


@pytest.fixture(autouse=True)
def _coarse(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the overview be coarser than the image, and units smaller."""
    monkeypatch.setattr(lazy_image, "OVERVIEW_VOXELS", 30_000)
    monkeypatch.setattr(lazy_image, "UNIT_SIDE", 64)


def read_all(image: LazyImage) -> int:
    return sum(1 for _ in image.work())


def test_a_view_is_coarse_at_first_and_exact_once_it_was_read(values: Any) -> None:
    image = LazyImage([values], 1)
    plane = LazyData(image)[0][:, :, 20:150, 10:90][1, 33]
    assert plane.shape == (130, 80)
    assert not np.asarray(plane).any()
    image.fill_all()
    read_all(image)
    np.testing.assert_array_equal(np.asarray(plane), values[1, 33, 20:150, 10:90])
    assert image.take_changed()
    assert not image.take_changed()


def test_looking_reads_nothing_itself(values: Any) -> None:
    source = Counted(values)
    image = LazyImage([source], 1)
    np.asarray(LazyData(image)[0][:, :, 0:100, 0:100][0, 5])
    assert source.read == []
    assert image.has_work


def test_only_what_is_looked_at_is_read_and_scrolling_nearby_reads_no_more(values: Any) -> None:
    source = Counted(values)
    image = LazyImage([source], 1)
    level = LazyData(image)[0]
    np.asarray(level[:, :, 0:64, 0:64][0, 8])
    assert read_all(image) == 1
    (index,) = source.read
    assert index == (slice(0, 1), slice(8, 16), slice(0, 64), slice(0, 64))
    for z in range(8, 16):
        seen = np.asarray(level[:, :, 0:64, 0:64][0, z])
        np.testing.assert_array_equal(seen, values[0, z, :64, :64])
    assert not image.has_work


def test_a_plane_may_be_asked_for_as_a_range_of_one(values: Any) -> None:
    source = Counted(values)
    image = LazyImage([source], 1)
    seen = LazyData(image)[0][:, :, 0:64, 0:64][(slice(0, 1), slice(33, 34))]
    assert np.asarray(seen).shape == (1, 1, 64, 64)
    read_all(image)
    assert source.read == [(slice(0, 1), slice(32, 40), slice(0, 64), slice(0, 64))]
    np.testing.assert_array_equal(np.asarray(seen), values[0:1, 33:34, 0:64, 0:64])


def test_what_is_filled_later_is_seen_without_flicker(values: Any) -> None:
    growing = np.zeros_like(values)
    image = LazyImage([Counted(growing)], 1)
    plane = LazyData(image)[0][:, :, 0:100, 0:100][0, 5]
    np.asarray(plane)
    read_all(image)
    growing[:, :20, :50] = values[:, :20, :50]
    image.fill(((0, 20), (0, 50), (0, 170)))
    read_all(image)
    before = np.asarray(plane)  # as it was read, until it is read again
    assert not before.any()
    read_all(image)
    np.testing.assert_array_equal(np.asarray(plane), growing[0, 5, :100, :100])


def test_the_overview_shows_the_middle_of_what_it_stands_for(values: Any) -> None:
    image = LazyImage([values], 1)
    image.fill_all()
    read_all(image)
    shape = image.overview.shape
    assert shape[0] == 2
    assert np.prod(shape) <= lazy_image.OVERVIEW_VOXELS
    index = [((np.arange(m) + 0.5) * n / m).astype(int) for n, m in zip(SHAPE, shape, strict=True)]
    np.testing.assert_array_equal(image.overview, values[np.ix_(*index)])
    assert LazyData(image)[-1] is image.overview


def test_blocks_fill_the_overview_whole(values: Any) -> None:
    image = LazyImage([values], 1)
    for z in range(0, 40, 7):
        for y in range(0, 150, 31):
            image.fill(((z, min(z + 7, 40)), (y, min(y + 31, 150)), (0, 170)))
    read_all(image)
    assert (image.overview > 0).all()


def test_coarser_levels_show_the_overview_until_they_are_made(values: Any) -> None:
    source = Counted(values)
    image = LazyImage([source], 1)
    levels = LazyData(image)
    assert [level.shape for level in levels][:2] == [SHAPE, (2, 20, 75, 85)]
    image.fill_all()
    read_all(image)
    number = len(source.read)
    seen = np.asarray(levels[1][0, 4])
    assert seen.all()
    assert np.isin(seen, image.overview).all()
    assert read_all(image) == 0
    assert len(source.read) == number

    made = values[:, ::2, ::2, ::2] + 10
    image.set_levels([source, made])
    level = LazyData(image)[1]
    np.asarray(level[0, 4])
    read_all(image)
    np.testing.assert_array_equal(np.asarray(level[0, 4]), made[0, 4])


def test_what_was_read_is_forgotten_where_it_is_too_much(
    values: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lazy_image, "KEPT_BYTES", 2 * 8 * 64 * 64 * 4)
    image = LazyImage([values], 1)
    level = LazyData(image)[0]
    for z in range(0, 40, 8):
        np.asarray(level[:, :, 0:64, 0:64][0, z])
        read_all(image)
    np.asarray(level[:, :, 0:64, 0:64][0, 32])
    assert not image.has_work
    np.asarray(level[:, :, 0:64, 0:64][0, 0])
    assert image.has_work


def test_old_wishes_are_dropped(values: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lazy_image, "MOST_WAITING", 2)
    source = Counted(values)
    image = LazyImage([source], 1)
    for z in range(0, 40, 8):
        np.asarray(LazyData(image)[0][:, :, 0:64, 0:64][0, z])
    assert read_all(image) == 2
    assert [index[1].start for index in source.read] == [32, 24]


def test_a_closed_image_reads_nothing(values: Any) -> None:
    image = LazyImage([values], 1)
    image.fill_all()
    image.close()
    assert not image.has_work
    assert read_all(image) == 0


def test_small_images_are_in_memory_as_a_whole(
    values: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lazy_image, "OVERVIEW_VOXELS", values.size)
    source = Counted(values)
    image = LazyImage([source], 1)
    image.fill_all()
    read_all(image)
    number = len(source.read)
    np.testing.assert_array_equal(np.asarray(LazyData(image)[0][1, 30]), values[1, 30])
    assert not image.has_work
    assert len(source.read) == number


def test_three_channels_as_colours() -> None:
    values = np.random.default_rng(0).random((5, 20, 90, 80)).astype(np.float32)
    image = LazyImage([values], 1)
    colours = LazyData(image).colours(slice(1, 4))
    assert colours.shape == (20, 90, 80, 3)
    tile = colours[0][:, 10:80, 20:60, :][7]
    np.asarray(tile)
    read_all(image)
    expected = np.moveaxis(values[1:4, 7, 10:80, 20:60], 0, -1)
    np.testing.assert_array_equal(np.asarray(tile), expected)
    assert colours[-1].shape[-1] == 3


def test_images_without_channels() -> None:
    values = np.arange(90 * 80 * 50).reshape(90, 80, 50).astype(np.uint32)
    image = LazyImage([values], 0)
    image.fill(((0, 90), (0, 80), (0, 50)))
    np.asarray(LazyData(image)[0][5])
    read_all(image)
    np.testing.assert_array_equal(np.asarray(LazyData(image)[0][5]), values[5])
    assert image.overview.any()
