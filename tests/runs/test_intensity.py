"""The range of raw values that a network sees as -1 to 1."""

from __future__ import annotations

import numpy as np
import pytest

from napari_dacapo_tasks.arrays import Array
from napari_dacapo_tasks.errors import DataError
from napari_dacapo_tasks.runs.intensity import measure_range, normalised

RANDOM = np.random.default_rng(0)


def array(values, axes="zyx") -> Array:
    return Array(values, axes=axes, voxel_size=(8,) * (len(axes) - ("c" in axes)))


def test_uint8_keeps_its_full_range():
    assert measure_range(array(RANDOM.integers(90, 110, (9, 9, 9), np.uint8))) == (0, 255)


def test_others_leave_out_the_darkest_and_brightest():
    values = np.linspace(0, 1000, 100**2, dtype=np.float32).reshape(100, 100)
    values[0, 0] = -1e6  # dust
    assert measure_range(array(values, "yx")) == pytest.approx((5, 995), abs=0.2)


def test_large_volumes_are_measured_in_blocks():
    class Volume:
        shape = (400, 400, 400)
        dtype = np.dtype(np.uint16)
        most = 0

        def __getitem__(self, index):
            shape = tuple(s.stop - s.start for s in index)
            self.most = max(self.most, int(np.prod(shape)))
            return RANDOM.integers(0, 1001, shape).astype(np.uint16)

    volume = Volume()
    assert measure_range(array(volume)) == pytest.approx((5, 995), abs=2)
    assert volume.most == 32**3


def test_padding_does_not_hide_the_signal():
    values = np.zeros((50, 50), np.uint16)
    values[:2, :2] = 300
    assert measure_range(array(values, "yx")) == (0, 300)


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_values_that_are_not_finite_are_counted(value):
    values = np.ones((4, 4), np.float32)
    values[1, 1] = value
    with pytest.raises(DataError, match=r"NaN or infinite \(1 of the 16"):
        measure_range(array(values, "yx"))


@pytest.mark.parametrize("dtype", [np.uint8, np.float32])
def test_constant_data_is_refused(dtype):
    with pytest.raises(DataError, match="All the raw data is 7"):
        measure_range(array(np.full((4, 4), 7, dtype), "yx"))


def test_numbers_without_an_order_are_refused():
    with pytest.raises(DataError, match="complex64"):
        measure_range(array(np.ones((4, 4), np.complex64), "yx"))


def test_bools_and_channels_are_measured():
    assert measure_range(array(np.eye(5, dtype=bool), "yx")) == (0, 1)
    assert measure_range(array(RANDOM.random((2, 4, 4)), "cyx"))[1] < 1


def test_the_range_becomes_minus_one_to_one_and_the_rest_goes_on():
    values = np.array([50, 100, 150, 200], np.uint8)
    np.testing.assert_allclose(normalised(values, (50, 150)), [-1, 0, 1, 2])
    assert normalised(values, (50, 150)).dtype == np.float32
    assert values.tolist() == [50, 100, 150, 200]


def test_several_volumes_are_measured_together():
    dark = array(np.linspace(0, 1, 1000, dtype=np.float32).reshape(10, 10, 10))
    bright = array(np.linspace(9, 10, 1000, dtype=np.float32).reshape(10, 10, 10))
    assert measure_range(dark, bright) == pytest.approx((0.01, 9.99), abs=0.005)
    constant = array(np.zeros((9, 9, 9), np.uint8))
    assert measure_range(constant, array(RANDOM.integers(90, 110, (9, 9, 9), np.uint8))) == (0, 255)
    with pytest.raises(DataError, match="All the raw data is 0"):
        measure_range(constant, constant)


def test_a_bad_volume_among_good_ones_is_refused():
    good = array(RANDOM.random((9, 9, 9)))
    bad = array(np.full((9, 9, 9), np.nan))
    with pytest.raises(DataError, match="NaN or infinite"):
        measure_range(good, bad)
