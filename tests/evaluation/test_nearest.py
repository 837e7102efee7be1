import numpy as np
from funlib.geometry import Coordinate, Roi
from hypothesis import given, settings
from hypothesis import strategies as st

from napari_dacapo_tasks.arrays import NumpyArray
from napari_dacapo_tasks.evaluation.nearest import are_multiples, covered, nearest_voxels

few = settings(max_examples=200, deadline=None)
small = st.integers(1, 6)


@given(st.integers(-30, 30), small, st.integers(1, 9), st.integers(-30, 30), small, small)
@few
def test_each_voxel_is_that_which_its_middle_lies_in(begin, step, count, low, size, number):
    values = np.arange(10, 10 + number)
    array = NumpyArray(values, axes="x", voxel_size=(size,), offset=(low,))
    voxel = Coordinate((step,))
    shared = covered(Roi((begin,), (step * count,)), voxel, array)
    middles = [begin + (index + 0.5) * step for index in range(count)]
    inside = [middle for middle in middles if low <= middle < low + size * number]
    assert tuple(shared.shape) == (step * len(inside),)
    if not inside:
        return
    assert shared.begin[0] == inside[0] - step / 2
    read = nearest_voxels(array, shared, voxel)
    assert read.roi == shared
    assert read.data.tolist() == [values[int((middle - low) // size)] for middle in inside]


def test_channels_stay_in_front():
    values = np.arange(2 * 3 * 4).reshape(2, 3, 4)
    array = NumpyArray(values, axes="cyx", voxel_size=(4, 4))
    roi = Roi((0, 0), (12, 16))
    fine = nearest_voxels(array, roi, Coordinate(2, 4))
    assert fine.axes == ("c", "y", "x")
    np.testing.assert_array_equal(fine.data, values.repeat(2, axis=1))
    last = NumpyArray(np.moveaxis(values, 0, -1), axes="yxc", voxel_size=(4, 4))
    same = nearest_voxels(last, roi, Coordinate(4, 4))
    np.testing.assert_array_equal(same.data, values)


def test_multiples_per_axis():
    assert are_multiples(Coordinate(8, 4), Coordinate(4, 12))
    assert not are_multiples(Coordinate(8, 4), Coordinate(4, 6))
