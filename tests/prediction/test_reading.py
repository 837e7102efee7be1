"""What a network sees of an image, inside and beyond its edges."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from trained_models import image

from napari_dacapo_tasks.arrays import NumpyArray
from napari_dacapo_tasks.prediction.reading import mirrored_places, read_seen


@given(st.integers(2, 12), st.integers(0, 40), st.integers(0, 40), st.data())
def test_beyond_the_edges_an_axis_is_mirrored(length, before, after, data):
    padded = np.pad(np.arange(length), (before, after), mode="reflect")
    begin = data.draw(st.integers(-before, length + after - 1))
    end = data.draw(st.integers(begin + 1, length + after))
    expected = padded[begin + before : end + before]
    np.testing.assert_array_equal(mirrored_places(begin, end, length), expected)


def test_an_axis_of_one_voxel_goes_on_as_it_is():
    np.testing.assert_array_equal(mirrored_places(-3, 4, 1), [0] * 7)


@given(st.integers(-30, 40), st.integers(-30, 40), st.integers(1, 30), st.integers(1, 30))
def test_any_part_is_that_of_the_padded_image(y, x, height, width):
    raw = image(17, 13, offset=(50, 70))
    padded = np.pad(raw.data, 90, mode="reflect").astype(np.float32) / 127.5 - 1
    expected = padded[90 + y :, 90 + x :][:height, :width]
    found = read_seen(raw, (y, x), (height, width), (0.0, 255.0))
    assert found.shape == (1, height, width)
    assert found.flags.c_contiguous
    np.testing.assert_allclose(found[0], expected, atol=1e-6)


def test_channels_come_first_wherever_they_stand():
    values = np.random.default_rng(0).integers(0, 256, (9, 8, 2), np.uint8)
    raw = NumpyArray(values, axes=("y", "x", "c"), voxel_size=(10, 10))
    found = read_seen(raw, (-2, 1), (5, 4), (0.0, 255.0))
    padded = np.pad(values, [(2, 0), (0, 0), (0, 0)], mode="reflect")[:5, 1:5]
    np.testing.assert_allclose(found, np.moveaxis(padded, -1, 0) / 127.5 - 1, atol=1e-6)
