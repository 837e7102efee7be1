"""Arrays at another voxel size: the same place in the world, read part by part."""

from __future__ import annotations

import numpy as np
import pytest
from funlib.geometry import Coordinate, Roi
from hypothesis import given
from hypothesis import strategies as st

from napari_dacapo_tasks.arrays import NumpyArray
from napari_dacapo_tasks.arrays.resampled import ResampledArray
from napari_dacapo_tasks.errors import DataError
from napari_dacapo_tasks.units import NANOMETRE, VOXEL, WorldUnit


def placed(values, size, offset=None, axes=None, unit=NANOMETRE) -> NumpyArray:
    values = np.asarray(values)
    axes = axes or ("z", "y", "x")[-values.ndim :]
    return NumpyArray(values, axes=axes, voxel_size=size, offset=offset, unit=unit)


def read(array) -> np.ndarray:
    return array[array.roi]


def ramp(*shape: int, size, offset) -> np.ndarray:
    """Give the world position along the first axis, a different slope along the second."""
    centres = [o + (np.arange(n) + 0.5) * s for n, s, o in zip(shape, size, offset, strict=True)]
    return (centres[0][:, None] + 3 * centres[1][None]).astype(np.float32)


class TestPlace:
    def test_is_the_same_with_as_many_voxels_as_fit(self):
        array = ResampledArray(placed(np.zeros((10, 7)), (8, 8), offset=(16, -8)), (4.0, 16.0))
        assert array.voxel_size == (4, 16)
        assert array.shape == (20, 3)
        assert array.roi == Roi((16, -8), (80, 48))
        assert array.unit == WorldUnit("nm")
        assert array.dtype == np.float32

    def test_moves_onto_a_finer_grid_where_it_must(self):
        array = ResampledArray(placed(np.zeros((10, 10)), (8, 8), offset=(8, 0)), (5.24, 4.0))
        assert array.unit == WorldUnit("nm", 1000)
        assert array.voxel_size == (5240, 4000)
        assert array.roi.begin == (8000, 0)
        assert array.shape == (15, 20)

    def test_a_third_of_a_voxel_fits_as_often_as_it_should(self):
        array = ResampledArray(placed(np.zeros((9, 9)), (9, 9)), (3.0, 27.0))
        assert array.shape == (27, 3)

    def test_without_a_physical_unit(self):
        array = ResampledArray(placed(np.zeros((8, 8)), (1, 1), unit=VOXEL), (0.5, 2.0))
        assert array.unit == WorldUnit("voxels", 10)
        assert array.shape == (16, 4)

    def test_a_voxel_larger_than_all_of_it_is_refused(self):
        with pytest.raises(DataError, match="no room for a voxel of 100 x 4 nm"):
            ResampledArray(placed(np.zeros((10, 10)), (8, 8)), (100.0, 4.0))


class TestValues:
    def test_the_same_size_is_the_same_array(self):
        values = np.random.default_rng(0).integers(0, 255, (5, 6, 7), np.uint8)
        found = read(ResampledArray(placed(values, (4, 4, 4)), (4.0, 4.0, 4.0)))
        np.testing.assert_array_equal(found, values.astype(np.float32))

    @given(
        st.sampled_from([(2.0, 0), (5.0, 0), (8.0, 0), (16.0, 0), (24.0, 0), (12.0, 1), (20.0, 1)]),
        st.integers(-40, 40),
    )
    def test_what_is_linear_in_the_world_stays_that(self, case, begin):
        """Away from the border; averages over parts of voxels are a little off, by under a nm."""
        size, off = case
        old = (8, 8)
        offset = (begin, 2 * begin)
        array = placed(ramp(30, 20, size=old, offset=offset), old, offset=offset)
        resampled = ResampledArray(array, (size, 8.0))
        expected = ramp(*resampled.shape, size=(size, 8), offset=offset)
        margin = int(np.ceil(8 / size)) + 1
        inside = slice(margin, -margin)
        np.testing.assert_allclose(
            read(resampled)[inside], expected[inside], rtol=1e-5, atol=off + 1e-3
        )

    def test_coarser_voxels_are_averages(self):
        values = np.random.default_rng(0).random((12, 9)).astype(np.float32)
        found = read(ResampledArray(placed(values, (2, 2)), (4.0, 6.0)))
        expected = values.reshape(6, 2, 3, 3).mean((1, 3))
        np.testing.assert_allclose(found, expected, rtol=1e-5)

    def test_parts_of_voxels_count_in_part(self):
        found = read(ResampledArray(placed([0.0, 1.0, 2.0, 3.0], (2,)), (3.0,)))
        np.testing.assert_allclose(found, [1 / 3, 5 / 3], rtol=1e-6)

    def test_at_the_border_the_last_voxel_goes_on(self):
        found = read(ResampledArray(placed([0.0, 4.0], (4,)), (1.0,)))
        np.testing.assert_allclose(found, [0, 0, 0.5, 1.5, 2.5, 3.5, 4, 4])

    def test_channels_stay_apart_wherever_they_stand(self):
        values = np.random.default_rng(0).random((8, 6, 2)).astype(np.float32)
        array = ResampledArray(placed(values, (2, 2), axes=("y", "x", "c")), (4.0, 1.0))
        found = read(array)
        assert array.num_channels == 2
        assert found.shape == (2, 4, 12)
        for channel in range(2):
            alone = ResampledArray(placed(values[..., channel], (2, 2)), (4.0, 1.0))
            np.testing.assert_allclose(found[channel], read(alone), rtol=1e-6)

    @given(st.data())
    def test_a_part_is_what_it_is_in_the_whole(self, data):
        values = np.random.default_rng(0).integers(0, 255, (14, 11), np.uint8)
        sizes = data.draw(st.tuples(*[st.sampled_from([2.0, 3.0, 4.0, 5.0, 7.0, 11.0])] * 2))
        array = ResampledArray(placed(values, (4, 4), offset=(12, 7)), sizes)
        begin = [data.draw(st.integers(0, n - 1)) for n in array.shape]
        shape = [data.draw(st.integers(1, n - b)) for b, n in zip(begin, array.shape, strict=True)]
        roi = Roi(
            array.roi.begin + Coordinate(begin) * array.voxel_size,
            Coordinate(shape) * array.voxel_size,
        )
        place = tuple(slice(b, b + n) for b, n in zip(begin, shape, strict=True))
        np.testing.assert_allclose(array[roi], read(array)[place], rtol=1e-6, atol=1e-4)
        np.testing.assert_allclose(array.window(roi)[roi], read(array)[place], rtol=1e-6, atol=1e-4)

    def test_only_what_is_needed_is_read(self):
        class Counted:
            shape, dtype = (1000,), np.dtype(np.float32)
            seen: list[slice] = []

            def __getitem__(self, index):
                self.seen.append(index[0])
                return np.zeros(index[0].stop - index[0].start, np.float32)

        data = Counted()
        base = NumpyArray(np.zeros(1000, np.float32), axes="x", voxel_size=(4,))
        base.data = data
        array = ResampledArray(base, (8.0,))
        array[Roi((800,), (80,))]
        (seen,) = data.seen
        assert seen.start >= 198
        assert seen.stop <= 222

    def test_an_empty_region_is_empty(self):
        array = ResampledArray(placed(np.zeros((8, 8)), (4, 4)), (2.0, 8.0))
        assert array[Roi((4, 0), (0, 16))].shape == (0, 2)
