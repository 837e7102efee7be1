import dask.array
import numpy as np
import pytest
from funlib.geometry import Coordinate, Roi
from hypothesis import given
from hypothesis import strategies as st

from napari_dacapo_tasks.arrays import Array, NumpyArray, common_roi, on_common_grid
from napari_dacapo_tasks.errors import DataError
from napari_dacapo_tasks.units import VOXEL, WorldUnit

VALUES = np.arange(4 * 5 * 6).reshape(4, 5, 6)


def placed(values=VALUES, voxel_size=(40, 4, 4), offset=(80, 0, 8), axes="zyx", **options):
    return NumpyArray(values, axes=axes, voxel_size=voxel_size, offset=offset, **options)


def test_a_region_is_read_where_it_lies():
    array = placed()
    roi = Roi((120, 4, 12), (80, 8, 4))
    np.testing.assert_array_equal(array[roi], VALUES[1:3, 1:3, 1:2])
    assert array.dims == 3
    assert array.shape == (4, 5, 6)
    assert array.roi == Roi((80, 0, 8), (160, 20, 24))
    assert array.num_channels is None


def test_only_the_region_asked_for_is_computed():
    computed = []

    def block(info):
        computed.append(info[None]["chunk-location"])
        return np.zeros(info[None]["chunk-shape"], np.uint8)

    data = dask.array.map_blocks(
        lambda block_info: block(block_info),
        chunks=((4, 4), (4, 4)),
        dtype=np.uint8,
        meta=np.empty((0, 0), np.uint8),
    )
    array = Array(data, axes="yx", voxel_size=(2, 2))
    assert array[Roi((8, 0), (4, 4))].shape == (2, 2)
    assert computed == [(1, 0)]


@pytest.mark.parametrize(
    ("axes", "shape"), [("yxc", (5, 6, 3)), ("cyx", (3, 5, 6)), ("ycx", (5, 3, 6))]
)
def test_channels_come_first_wherever_they_stand(axes, shape):
    values = np.random.default_rng(0).random(shape)
    array = NumpyArray(values, axes=axes, voxel_size=(1, 1))
    assert array.axes == ("c", "y", "x")
    assert array.num_channels == 3
    first = np.moveaxis(values, axes.index("c"), 0)
    np.testing.assert_array_equal(array[Roi((1, 2), (3, 2))], first[:, 1:4, 2:4])
    array[Roi((1, 2), (3, 2))] = first[:, 1:4, 2:4] + 1
    np.testing.assert_array_equal(array[Roi((1, 2), (3, 2))], first[:, 1:4, 2:4])


def test_a_single_time_point_is_dropped_and_more_are_refused():
    array = NumpyArray(np.ones((1, 2, 5, 6)), axes="tcyx", voxel_size=(1, 1))
    assert array.axes == ("c", "y", "x")
    assert array[array.roi].shape == (2, 5, 6)
    with pytest.raises(DataError, match="time axis of 7 points"):
        NumpyArray(np.ones((7, 5, 6)), axes="tyx", voxel_size=(1, 1))


def test_reading_outside_is_refused():
    with pytest.raises(DataError, match="outside of the array"):
        placed()[Roi((40, 0, 8), (80, 8, 4))]


def test_a_region_shifted_by_part_of_a_voxel_is_read_from_the_nearest():
    np.testing.assert_array_equal(placed()[Roi((81, 5, 11), (40, 4, 4))], VALUES[0:1, 1:2, 1:2])


@pytest.mark.parametrize(
    ("options", "match"),
    [
        ({"axes": "yx"}, "needs 3 axis names"),
        ({"voxel_size": (4, 4)}, "one value for each of the 3"),
    ],
)
def test_numbers_of_axes_must_agree(options, match):
    with pytest.raises(DataError, match=match):
        placed(**options)


def test_only_memory_that_may_be_written_is_writable():
    values = VALUES.copy()
    array = placed(values)
    assert array.writable
    array[Roi((80, 0, 8), (40, 4, 4))] = np.full((1, 1, 1), 99)
    assert values[0, 0, 0] == 99
    values.flags.writeable = False
    assert not array.writable
    assert not Array(values, axes="zyx", voxel_size=(1, 1, 1)).writable


def test_from_np_array_keeps_roi_and_axes():
    roi = Roi((80, 0, 8), (160, 20, 24))
    array = NumpyArray.from_np_array(VALUES, roi, Coordinate(40, 4, 4), ["z", "y", "x"])
    assert array.roi == roi
    crop = array.crop(Roi((120, 4, 12), (80, 8, 4)))
    assert crop.roi == Roi((120, 4, 12), (80, 8, 4))
    np.testing.assert_array_equal(crop.data, VALUES[1:3, 1:3, 1:2])


def test_arrays_meet_on_the_finest_of_their_grids():
    coarse, fine = placed(), placed(unit=WorldUnit("nm", 10), voxel_size=(400, 40, 40))
    same, fine = on_common_grid(coarse, fine)
    assert same.unit == fine.unit == WorldUnit("nm", 10)
    assert same.voxel_size == fine.voxel_size
    assert same.roi.begin == Coordinate(800, 0, 80)
    np.testing.assert_array_equal(same[same.roi], VALUES)
    assert coarse.voxel_size == Coordinate(40, 4, 4)
    with pytest.raises(DataError, match="some has none"):
        on_common_grid(coarse, placed(unit=VOXEL))


def test_axes_in_another_order_never_meet():
    """They would be taken for each other wherever the lengths allow it."""
    first, other = (
        Array(np.zeros((4, 4, 4)), axes=a, voxel_size=(8, 8, 8)) for a in ("zyx", "xyz")
    )
    with pytest.raises(DataError, match=r"has the axes z, y, x and some x, y, z: save all of it"):
        on_common_grid(first, other)
    channels = Array(np.zeros((4, 4, 4, 2)), axes="zyxc", voxel_size=(8, 8, 8))
    named = Array(np.zeros((4, 4, 4)), axes=("plane", "row", "column"), voxel_size=(8, 8, 8))
    assert len(on_common_grid(first, channels, named)) == 3


@given(st.tuples(*[st.integers(-8, 8)] * 2), st.tuples(*[st.integers(1, 6)] * 2))
def test_the_common_region_holds_the_voxels_that_both_cover(shift, shape):
    first = NumpyArray(np.zeros((4, 5)), axes="yx", voxel_size=(3, 7), offset=(30, 70))
    offset = [30 + 3 * shift[0], 70 + 7 * shift[1]]
    second = NumpyArray(np.zeros(shape), axes="yx", voxel_size=(3, 7), offset=offset)
    expected = first.roi.intersect(second.roi)
    if expected.empty:
        with pytest.raises(DataError, match="The raw data and the labels do not overlap"):
            common_roi(first, second, first_name="The raw data", second_name="the labels")
    else:
        assert common_roi(first, second, first_name="A", second_name="b") == expected


def test_other_voxel_sizes_or_dimensions_have_no_common_region():
    names = {"first_name": "The raw data", "second_name": "the labels"}
    with pytest.raises(DataError, match=r"40 x 4 x 4 nm and the labels of 8 x 8 x 8 nm"):
        common_roi(placed(), placed(voxel_size=(8, 8, 8)), **names)
    flat = NumpyArray(np.zeros((4, 5)), axes="yx", voxel_size=(4, 4))
    with pytest.raises(DataError, match="3 spatial axes and the labels 2"):
        common_roi(placed(), flat, **names)


def test_describe_says_shape_and_voxel_size():
    assert placed().describe() == "4 x 5 x 6 voxels of 40 x 4 x 4 nm"


@given(st.integers(-20, 20), st.integers(2, 4))
def test_any_shift_by_part_of_a_voxel_can_be_read_from_both(shift, size):
    first = NumpyArray(np.arange(6), axes="x", voxel_size=(size,))
    second = NumpyArray(np.arange(5), axes="x", voxel_size=(size,), offset=(shift,))
    try:
        shared = common_roi(first, second, first_name="A", second_name="b")
    except DataError:
        return
    ours, theirs = first[shared], second[shared]
    assert len(ours) == len(theirs)
    read_as_if_at = (int(ours[0]) - int(theirs[0])) * size
    assert abs(read_as_if_at - shift) <= size / 2, "off by at most half a voxel"


def test_moved_elsewhere():
    moved = placed().moved_to((0, 0, 0))
    assert moved.roi == Roi((0, 0, 0), (160, 20, 24))
    assert placed().roi.begin == (80, 0, 8)


@given(st.data())
def test_a_window_holds_the_whole_voxels_of_a_region(data):
    shape = data.draw(st.tuples(st.integers(1, 6), st.integers(1, 6)))
    values = np.arange(np.prod(shape)).reshape(shape)
    source = dask.array.from_array(values, chunks=2) if data.draw(st.booleans()) else values
    array = Array(source, axes="yx", voxel_size=(4, 3), offset=(-8, 6))
    begin = Coordinate(data.draw(st.tuples(st.integers(-20, 20), st.integers(-9, 30))))
    size = Coordinate(data.draw(st.tuples(st.integers(0, 30), st.integers(0, 30))))
    seen = array.window(Roi(begin, size))
    kept = [
        [o + i * v for i in range(n) if b <= o + i * v and o + (i + 1) * v <= e]
        for o, v, n, b, e in zip(
            array.roi.begin, array.voxel_size, shape, begin, begin + size, strict=True
        )
    ]
    assert seen.shape == tuple(map(len, kept))
    if all(kept):
        assert seen.roi.begin == tuple(places[0] for places in kept)
        np.testing.assert_array_equal(seen[seen.roi], array[seen.roi])
        if source is values:
            assert np.shares_memory(seen[seen.roi], values)


def test_a_window_refuses_what_lies_outside_of_it():
    array = Array(np.zeros((10, 10)), axes="yx", voxel_size=(1, 1))
    seen = array.window(Roi((0, 0), (5, 10)))
    with pytest.raises(DataError, match="lies outside"):
        seen[Roi((4, 0), (2, 10))]


def test_a_window_of_channels_and_of_a_window():
    values = np.arange(5 * 6 * 3 * 2).reshape(1, 5, 6, 3, 2)
    array = Array(
        dask.array.from_array(values), axes=("t", "z", "y", "c", "x"), voxel_size=(1, 1, 1)
    )
    seen = array.window(Roi((1, 0, 0), (4, 6, 1))).window(Roi((2, 3, 0), (9, 2, 9)))
    assert (seen.num_channels, seen.shape) == (3, (3, 2, 1))
    np.testing.assert_array_equal(seen[seen.roi], np.moveaxis(values[0, 2:5, 3:5, :, :1], 2, 0))


def test_values_come_in_the_byte_order_of_this_machine():
    swapped = np.arange(4).astype(np.dtype(np.uint16).newbyteorder())
    array = Array(swapped, axes="x", voxel_size=(1,))
    assert array.dtype == array[array.roi].dtype == np.dtype(np.uint16)
    np.testing.assert_array_equal(array[array.roi], np.arange(4))
