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
