"""Counts of a channel against NumPy's own."""

from typing import Any

import numpy as np
import pytest

from napari_dacapo_tasks.numerics import channel_counts
from napari_dacapo_tasks.numerics.channel_counts import count_channel


def counts(target: np.ndarray, weight: np.ndarray, known: np.ndarray, **more: Any) -> Any:
    arguments = {"value_range": (-1.0, 1.0), "bins": 16, **more}
    return count_channel(target, weight, known, **arguments)


@pytest.mark.parametrize("shape", [(9, 10, 11), (40, 30), (50,), (1, 3, 70)])
@pytest.mark.parametrize("dtype", [np.float32, np.uint8])
def test_counts_are_those_of_numpy(
    shape: tuple[int, ...], dtype: type, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(channel_counts, "_BLOCK_VOXELS", 64)
    random = np.random.default_rng(0)
    target = np.tanh(random.normal(size=shape)).round(2).astype(np.float32)
    target = target if dtype is np.float32 else (target > 0).astype(np.uint8)
    weight = np.where(random.random(shape) < 0.3, 0, random.random(shape)).astype(np.float32)
    known = random.random(shape) < 0.8
    # Odd bins, so that no rounded value lies on an edge.
    made = counts(target, weight, known, bins=13)
    counted = weight > 0
    assert made.foreground == np.count_nonzero((target > 0) & known)
    assert made.counted == np.count_nonzero(counted)
    assert made.weight_range == (weight[counted].min(), weight.max())
    expected, _ = np.histogram(target[counted], 13, (-1, 1))
    np.testing.assert_array_equal(made.histogram, expected)


def test_arrays_may_be_views() -> None:
    whole = np.zeros((3, 8, 8, 8), np.float32)
    whole[1, 2:6] = 0.5
    weight = np.broadcast_to(np.ones((1, 8, 8), np.float32), (8, 8, 8))
    known = np.ones((8, 8, 8), bool)
    made = counts(whole[1, :, ::2, ::-1], weight[:, ::2], known[:, ::2])
    assert (made.foreground, made.counted) == (4 * 4 * 8, 8 * 4 * 8)


def test_where_nothing_counts_there_is_no_weight() -> None:
    nothing = np.zeros((2, 3), np.float32)
    made = counts(nothing, nothing, nothing > 0)
    assert (made.foreground, made.counted, made.weight_range) == (0, 0, None)
    assert made.histogram.sum() == 0


def test_the_ends_of_the_range_and_what_is_beyond_are_in_the_outermost_bins() -> None:
    target = np.array([-3, -1, 1, 1.00001], np.float32)
    made = counts(target, np.ones(4, np.float32), np.ones(4, bool))
    assert (made.histogram[0], made.histogram[-1]) == (2, 2)
