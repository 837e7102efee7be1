import numpy as np
import pytest

from napari_dacapo_tasks.numerics.distances import normalized_distance, signed_distance
from napari_dacapo_tasks.numerics.watershed import watershed

SAFE = 0.75
"""Voxels: unlike neighbours are 0.5 deep, those beyond them 1.1 or more."""


def finish(steps):
    shares = []
    while True:
        try:
            shares.append(next(steps))
        except StopIteration as end:
            assert shares == sorted(shares)
            assert all(0 <= share <= 1 for share in shares)
            return end.value


def objects_in(depth, threshold=0.0, seed_depths=None, min_size=1):
    seed_depths = [SAFE] * depth.ndim if seed_depths is None else seed_depths
    labels, number = finish(watershed(depth, threshold, seed_depths, min_size))
    assert labels.dtype == np.uint32
    assert set(np.unique(labels)) - {0} == set(range(1, number + 1))
    return labels


def line(*values):
    return np.array([values], np.float32)


def test_a_line_by_hand():
    labels = objects_in(line(-1, 0.5, 1.5, 0.5, 0.5, 1.5, 2.5, 0.5, -1))
    np.testing.assert_array_equal(labels, [[0, 1, 1, 1, 2, 2, 2, 2, 0]])


def test_a_deep_neck_does_not_split():
    labels = objects_in(line(0.5, 1.5, 2.5, 1.5, 1.5, 2.5, 0.5))
    assert labels.max() == 1


def test_seeds_grow_downhill_and_share_a_plain():
    labels = objects_in(line(3, 0.6, 0.6, 0.6, 0.6, 3), seed_depths=(2, 2))
    np.testing.assert_array_equal(labels, [[1, 1, 1, 2, 2, 2]])
    labels = objects_in(line(3, 0.1, 0.2, 0.3, 0.4, 3), seed_depths=(5, 2))
    np.testing.assert_array_equal(labels, [[1, 1, 2, 2, 2, 2]])


def test_what_holds_no_seed_is_an_object_by_itself():
    labels = objects_in(line(0.5, 0.5, -1, 0.5, 1.5, 0.5, -1, 0.5))
    np.testing.assert_array_equal(labels, [[2, 2, 0, 1, 1, 1, 0, 3]])


def test_small_objects_go_on_request():
    labels = objects_in(line(0.5, 0.5, -1, 0.5, 1.5, 0.5, -1, 0.5), min_size=2)
    np.testing.assert_array_equal(labels, [[2, 2, 0, 1, 1, 1, 0, 0]])
    labels = objects_in(line(0.5, 0.5, -1, 0.5, 1.5, 0.5, -1, 0.5), min_size=3)
    np.testing.assert_array_equal(labels, [[0, 0, 0, 1, 1, 1, 0, 0]])


def test_the_threshold_itself_is_background():
    np.testing.assert_array_equal(objects_in(line(0, 0.1, 1, 0)), [[0, 1, 1, 0]])
    np.testing.assert_array_equal(objects_in(line(0, 0.1, 1, 0), threshold=0.1), [[0, 0, 1, 0]])


def test_nan_belongs_to_no_object_and_infinity_is_deep():
    labels = objects_in(line(1, np.nan, 2, np.inf, 1, -np.inf, 1))
    np.testing.assert_array_equal(labels, [[1, 0, 2, 2, 2, 0, 3]])
    assert not objects_in(np.full((3, 4, 5), np.nan, np.float32)).any()


def test_each_axis_has_its_own_depth():
    # Two sections, thin in themselves: what joins within a section does not join across them.
    depth = np.array([[1, 1.5, 1], [1, 1.5, 1]], np.float32)
    np.testing.assert_array_equal(
        objects_in(depth, seed_depths=(7.5, 0.75)), [[1, 1, 1], [2, 2, 2]]
    )
    assert objects_in(depth, seed_depths=(0.75, 0.75)).max() == 1


@pytest.mark.parametrize("voxel_size", [(8, 8, 8), (40, 4, 4)])
def test_a_seed_is_never_of_two_objects(cells, voxel_size):
    ids = cells((20, 40, 44), 25)
    distance = signed_distance(ids, voxel_size)
    # So deep that nothing is left to grow: every voxel of a seed, or alone.
    levels = [0.51 * size for size in voxel_size]
    labels = objects_in(np.where(distance > max(levels), distance, -1), seed_depths=levels)
    for label in range(1, labels.max() + 1):
        assert len(np.unique(ids[labels == label])) == 1


def test_touching_cells_come_apart(cells):
    ids = cells((48, 50, 52), 12, seed=3)
    target = normalized_distance(ids, (8, 8, 8), 24.0)
    labels = objects_in(target, seed_depths=[np.tanh(SAFE * 8 / 24)] * 3)
    np.testing.assert_array_equal(labels > 0, ids > 0)
    for one in set(np.unique(ids).tolist()) - {0}:
        largest = np.bincount(labels[ids == one]).argmax()
        assert (labels[ids == one] == largest).mean() > 0.95
        assert (ids[labels == largest] == one).mean() > 0.95


def test_two_dimensions_are_one_section():
    rng = np.random.default_rng(0)
    depth = rng.normal(0.5, 1, (30, 40)).astype(np.float32)
    flat = objects_in(depth)
    np.testing.assert_array_equal(flat, objects_in(depth[None])[0])
    assert flat.max() > 5


def test_any_layout_and_type_of_numbers():
    depth = np.random.default_rng(0).normal(0.5, 1, (10, 20, 30)).astype(np.float32)
    expected = objects_in(depth)
    np.testing.assert_array_equal(objects_in(np.asfortranarray(depth)), expected)
    np.testing.assert_array_equal(objects_in(depth.astype(np.float64)), expected)
    depth.setflags(write=False)  # as a file that is mapped
    np.testing.assert_array_equal(objects_in(depth), expected)
    assert objects_in(np.ones((2, 2, 2), np.uint8)).max() == 1
    assert objects_in(np.zeros((0, 2, 2), np.float32)).size == 0


def test_all_one_value_above_the_threshold():
    np.testing.assert_array_equal(objects_in(np.full((3, 3), 1e-30, np.float32)), np.ones((3, 3)))


def test_leaving_cancels_before_all_is_done():
    depth = np.random.default_rng(0).random((60, 60, 60)).astype(np.float32)
    steps = watershed(depth, 0.0, (0.9, 0.9, 0.9))
    next(steps)
    steps.close()
    assert list(steps) == []


def test_the_interpreter_is_left_to_others(turns_beside):
    depth = np.random.default_rng(0).random((100, 160, 160)).astype(np.float32)
    objects_in(depth[:2])
    assert turns_beside(objects_in, depth, 0.0, (0.95,) * 3) > 5
