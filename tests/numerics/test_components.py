import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from scipy import ndimage

from napari_dacapo_tasks.errors import DataError
from napari_dacapo_tasks.numerics.components import (
    append_components,
    connected_components,
    one_of_each,
    remove_small,
    rename,
    require_countable,
    sizes_of,
)

SHAPES = arrays.array_shapes(min_dims=2, max_dims=3, min_side=1, max_side=7)


def same_regions(first, second):
    pairs = set(zip(first.ravel().tolist(), second.ravel().tolist(), strict=True))
    return len(pairs) == len({a for a, _ in pairs}) == len({b for _, b in pairs})


def id_by_id(ids):
    """Label each id on its own, with SciPy."""
    labels, number = np.zeros(ids.shape, int), 0
    for one in set(ids.ravel().tolist()) - {0}:
        regions, more = ndimage.label(ids == one)
        labels[regions > 0] = regions[regions > 0] + number
        number += more
    return labels, number


def test_by_hand():
    ids = np.array(
        [
            [7, 7, 0, 7],
            [0, 7, 9, 7],
            [9, 0, 9, 9],
        ]
    )
    labels, number = connected_components(ids)
    assert number == 4
    assert labels.dtype == np.uint32
    np.testing.assert_array_equal(labels, [[1, 1, 0, 2], [0, 1, 3, 2], [4, 0, 3, 3]])


def test_regions_that_meet_late_are_one():
    comb = np.array([[1, 0, 1, 0, 1], [1, 0, 1, 0, 1], [1, 1, 1, 1, 1]], np.uint8)
    labels, number = connected_components(comb)
    assert number == 1
    np.testing.assert_array_equal(labels, comb)


@settings(max_examples=60, deadline=None)
@given(arrays.arrays(np.uint8, SHAPES, elements=st.integers(0, 3)))
def test_as_id_by_id_in_the_order_of_first_voxels(ids):
    labels, number = connected_components(ids)
    expected, expected_number = id_by_id(ids)
    assert number == expected_number
    assert same_regions(labels, expected)
    assert ((labels == 0) == (ids == 0)).all()
    firsts = [np.flatnonzero(labels == label)[0] for label in range(1, number + 1)]
    assert firsts == sorted(firsts)


def test_a_volume_of_many_blocks(cells):
    ids = cells((40, 90, 100), 60)
    labels, number = connected_components(ids)
    expected, expected_number = id_by_id(ids)
    assert number == expected_number
    assert same_regions(labels, expected)


@pytest.mark.parametrize(
    "ids",
    [
        np.array([[True, False], [True, True]]),
        np.array([[2**64 - 1, 0], [2**64 - 1, 2**64 - 2]], np.uint64),
        np.array([[-5, 0], [-5, 3]], np.int16),
        np.zeros((4, 5), int),
        np.arange(48).reshape(4, 12)[:, ::2],
    ],
    ids=["bool", "near 2^64", "negative", "nothing", "not contiguous"],
)
def test_any_integers(ids):
    labels, number = connected_components(ids)
    expected, expected_number = id_by_id(ids)
    assert number == expected_number
    assert same_regions(labels, expected)


def test_no_voxels():
    labels, number = connected_components(np.zeros((0, 3, 4), int))
    assert (labels.shape, number) == ((0, 3, 4), 0)


def test_too_many_voxels_are_refused():
    with pytest.raises(DataError, match="1300 x 1300 x 1300 voxels, too many"):
        require_countable((1300, 1300, 1300))


def test_more_components_follow():
    labels = np.array([[1, 0, 2], [0, 0, 0]], np.uint32)
    number = append_components(labels, 2, np.array([[0, 1, 0], [1, 0, 1]], bool))
    assert number == 5
    np.testing.assert_array_equal(labels, [[1, 3, 2], [4, 0, 5]])


def test_small_ones_go_and_the_others_close_up():
    labels = np.array([[1, 2, 2], [3, 3, 3], [5, 0, 0]], np.uint32)
    np.testing.assert_array_equal(sizes_of(labels, 5), [2, 1, 2, 3, 0, 1])
    assert remove_small(labels, 5, 2) == 2
    np.testing.assert_array_equal(labels, [[0, 1, 1], [2, 2, 2], [0, 0, 0]])


def test_a_least_size_of_nothing_keeps_all():
    labels = np.array([[1, 2], [0, 4]], np.uint32)
    assert remove_small(labels, 4, 0) == 3
    np.testing.assert_array_equal(labels, [[1, 2], [0, 3]])


def test_names_and_values_of_labels():
    labels = np.array([[0, 1], [2, 1]], np.uint32)
    np.testing.assert_array_equal(one_of_each(labels, 2, np.array([[9, 8], [7, 6]])), [8, 7])
    rename(labels, np.array([0, 5, 4]))
    np.testing.assert_array_equal(labels, [[0, 5], [4, 5]])


def test_the_interpreter_is_left_to_others(turns_beside):
    ids = np.random.default_rng(0).integers(0, 2, (160, 200, 200), np.uint8)
    connected_components(ids[:2])
    assert turns_beside(connected_components, ids) > 5
