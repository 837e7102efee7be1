"""Tiles cover an output, each voxel once or in shares, for any network."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from napari_dacapo_tasks.architectures.tile_axes import TileAxis
from napari_dacapo_tasks.architectures.unet_shapes import AxisSizes


@st.composite
def axes(draw) -> TileAxis:
    levels = draw(st.integers(0, 3))
    sizes = AxisSizes(
        factors=tuple(draw(st.integers(1, 3)) for _ in range(levels)),
        lost_down=tuple(draw(st.sampled_from([0, 2, 4])) for _ in range(levels + 1)),
        lost_up=tuple(draw(st.sampled_from([0, 2, 4])) for _ in range(levels)),
        upsample=tuple(draw(st.lists(st.integers(2, 3), max_size=1))),
        lost_upsample=draw(st.sampled_from([0, 4])),
    )
    factor = int(np.prod(sizes.upsample, initial=1))
    step = sizes.step * factor
    margin = draw(st.integers(0, 5))
    blends = draw(st.booleans())
    least = step + 2 * margin
    longest = sizes.at_least(-(-(least + sizes.context) // factor) + draw(st.integers(0, 60)))
    return TileAxis(factor, sizes.context, step, longest, margin, blends, sizes.at_least)


@given(axes(), st.integers(1, 400))
def test_every_voxel_is_answered_once_in_all(axis, length):
    size, tiles = axis.lay(length)
    assert size <= axis.longest
    assert size == axis.at_least(size)
    total = np.zeros(length)
    for tile in tiles:
        assert tile.begin * axis.factor % axis.step == 0
        assert 0 <= tile.within.start < tile.within.stop <= axis.answer(size)
        assert tile.output.start - tile.begin * axis.factor == tile.within.start
        assert tile.output.stop - tile.output.start == tile.within.stop - tile.within.start
        total[tile.output] += 1 if tile.share is None else tile.share
    np.testing.assert_allclose(total, 1, atol=1e-5)


@given(axes(), st.integers(1, 400))
def test_without_blending_nothing_made_up_is_used_between_tiles(axis, length):
    size, tiles = axis.lay(length)
    if axis.blends:
        return
    for tile in tiles:
        if tile.output.start > 0:
            assert tile.within.start >= axis.margin
        if tile.output.stop < length:
            assert tile.within.stop <= axis.answer(size) - axis.margin


@given(axes(), st.integers(1, 400))
def test_there_are_no_more_than_it_takes(axis, length):
    _, tiles = axis.lay(length)
    most = axis.answer(axis.longest)
    stride = max((most - 2 * axis.margin) // axis.step * axis.step, axis.step)
    assert len(tiles) <= max(1, -(-(length - 2 * axis.margin) // stride) + 1)
    begins = [tile.begin for tile in tiles]
    assert begins == sorted(set(begins))


def test_shares_grow_with_the_distance_from_the_end():
    axis = TileAxis(1, 0, 1, 8, 2, True, lambda size: size)
    size, (first, second) = axis.lay(12)
    assert size == 8
    assert first.share.tolist() == pytest.approx([1, 1, 1, 1, 0.875, 0.625, 0.375, 0.125])
    assert second.share.tolist() == pytest.approx(first.share.tolist()[::-1])


@st.composite
def parts(draw) -> tuple[TileAxis, int, int, int, int, bool]:
    """Give an axis, a part of all it can answer for, and whether it may see beyond the raw data."""
    axis = draw(axes())
    size = draw(st.integers(axis.at_least(1), axis.longest * 4))
    beyond = draw(st.booleans())
    before = axis.context // 2
    low, high = (-before, size * axis.factor - before) if beyond else (0, axis.answered(size))
    begin = draw(st.integers(low, high - 1))
    end = draw(st.integers(begin + 1, high))
    return axis, begin, end, low, high, beyond


@given(parts())
def test_any_part_is_covered_once_in_all_from_whole_steps_on(case):
    axis, begin, end, low, high, beyond = case
    size, tiles = axis.cover(begin, end, low, high, beyond)
    assert size == axis.at_least(size)
    total = np.zeros(end - begin)
    for tile in tiles:
        assert tile.begin * axis.factor % axis.step == 0
        assert beyond or tile.begin >= 0
        assert tile.output.start + begin - tile.begin * axis.factor == tile.within.start
        assert 0 <= tile.within.start < tile.within.stop <= axis.answer(size)
        total[tile.output] += 1 if tile.share is None else tile.share
    np.testing.assert_allclose(total, 1, atol=1e-5)


@given(parts())
def test_a_part_uses_nothing_made_up_but_at_the_end_of_the_data(case):
    axis, begin, end, low, high, beyond = case
    size, tiles = axis.cover(begin, end, low, high, beyond)
    if axis.blends:
        return
    for tile in tiles:
        first, last = begin + tile.output.start, begin + tile.output.stop
        if beyond or first - axis.margin > low:
            assert tile.within.start >= axis.margin or (not beyond and tile.begin == 0)
        if beyond or last + axis.margin <= high:
            assert tile.within.stop <= axis.answer(size) - axis.margin


@given(parts())
def test_without_padding_no_tile_sees_beyond_the_raw_data_unless_it_may(case):
    axis, begin, end, low, high, beyond = case
    if beyond or not axis.context or axis.blends:
        return
    size, tiles = axis.cover(begin, end, low, high, beyond)
    end_of_data = (high + axis.context) // axis.factor
    assert all(tile.begin + size <= end_of_data for tile in tiles)


@given(parts(), st.data())
def test_where_tiles_blend_a_smaller_part_has_the_same_tiles_and_shares(case, data):
    axis, begin, end, low, high, beyond = case
    if not axis.blends:
        return
    whole_size, whole = axis.cover(low, high, low, high, beyond)
    size, tiles = axis.cover(begin, end, low, high, beyond)
    assert size == whole_size

    def shares(laid, first):
        return {
            (tile.begin, first + at): 1.0 if tile.share is None else float(tile.share[number])
            for tile in laid
            for number, at in enumerate(range(tile.output.start, tile.output.stop))
        }

    everywhere = shares(whole, low)
    for key, share in shares(tiles, begin).items():
        assert share == pytest.approx(everywhere[key], abs=1e-6)


@given(axes(), st.integers(1, 300))
def test_what_rests_on_raw_data_alone_is_whole_steps(axis, size):
    whole = axis.whole(size)
    if whole == 0:
        assert axis.at_least(1) > size
    else:
        assert axis.at_least(whole) == whole <= size < whole + axis.step // axis.factor
    if axis.context == 0:
        assert axis.answered(size) == size * axis.factor
