from math import inf

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy import ndimage

from napari_dacapo_tasks.numerics.false_voxels import FalseVoxels, compare
from napari_dacapo_tasks.numerics.transforms import Grid, square_to_members

few = settings(max_examples=60, deadline=None)
shapes = st.one_of(st.tuples(*[st.integers(1, 7)] * 3), st.tuples(*[st.integers(1, 12)] * 2))
sets = shapes.flatmap(lambda shape: st.tuples(*[arrays(np.bool_, shape)] * 3))
sizes = st.tuples(*[st.sampled_from([1, 4, 5, 40])] * 3)
CLIP, TOLERANCE = 9.0, 5.0


def plainly(voxels, others, voxel_size):
    if not voxels.any():
        return FalseVoxels()
    if not others.any():
        return FalseVoxels(voxels.sum(), voxels.sum(), inf, inf, CLIP * voxels.sum())
    distances = ndimage.distance_transform_edt(~others, voxel_size)[voxels]
    clipped = np.minimum(distances, CLIP)
    beyond = (distances > TOLERANCE).sum()
    return FalseVoxels(voxels.sum(), beyond, distances.max(), distances.sum(), clipped.sum())


def assert_alike(made, expected):
    assert (made.count, made.beyond) == (expected.count, expected.beyond)
    for name in ("farthest", "distances", "clipped_distances"):
        assert getattr(made, name) == pytest.approx(getattr(expected, name), rel=1e-6)


def assert_equals_definition(segmentation, truth, known, voxel_size):
    made = compare(segmentation, truth, known, voxel_size, CLIP, TOLERANCE)
    known = np.ones(truth.shape, bool) if known is None else known != 0
    found, true = (segmentation != 0) & known, (truth != 0) & known
    assert made.true_positives == (found & true).sum()
    assert made.true_negatives == (~found & ~true & known).sum()
    assert_alike(made.false_positives, plainly(found & ~true, true, voxel_size))
    assert_alike(made.false_negatives, plainly(true & ~found, found, voxel_size))


@few
@given(sets, sizes)
def test_any_small_sets_against_the_definition(volumes, voxel_size):
    segmentation, truth, known = volumes
    voxel_size = voxel_size[: truth.ndim]
    assert_equals_definition(segmentation, truth, None, voxel_size)
    assert_equals_definition(segmentation, truth, known, voxel_size)


@pytest.mark.parametrize("shape", [(30, 150, 170), (400, 500)])
@pytest.mark.parametrize("lonely", [False, True])
def test_larger_sets_against_the_definition(cells, shape, lonely):
    truth = cells(shape, 30)
    segmentation = np.roll(truth, 3, 0)
    if lonely:  # farther than any window of the transform is wide
        truth = np.zeros_like(truth)
        truth[(2,) * truth.ndim] = 7
    assert_equals_definition(segmentation, truth, None, (40, 4, 4)[-len(shape) :])


@pytest.mark.parametrize("dtype", ["?", "u1", "u2", "u8", "i4", "i8"])
def test_types_and_layouts(cells, dtype):
    truth = cells((20, 30, 40), 20).astype(dtype)
    segmentation = np.asfortranarray(np.roll(truth, 2, 1))
    known = np.broadcast_to(np.arange(40) > 3, truth.shape)
    assert_equals_definition(segmentation, truth, known, (8, 4, 4))


@pytest.mark.parametrize("side", [4000, 4001, 5243, 6007])
def test_a_distance_that_is_the_tolerance_is_tolerated(side):
    # In picometres, whose squares float32 cannot hold: of 6007, 5^2 + 12^2 come out over 13^2.
    size = (5240, side, side)
    truth = np.zeros((1, 20, 30), np.uint8)
    truth[0, 0, 0] = 1
    for distance, place in (5, (3, 4)), (13, (5, 12)), (17, (8, 15)), (25, (7, 24)):
        segmentation = truth.copy()
        segmentation[(0, *place)] = 1
        made = compare(segmentation, truth, None, size, 1e6, distance * side)
        assert made.false_positives.beyond == 0
        made = compare(segmentation, truth, None, size, 1e6, distance * side - 1)
        assert made.false_positives.beyond == 1


def test_what_is_unknown_is_no_place_to_measure_to():
    truth = np.array([[0, 0, 1, 0, 0, 0, 1]])
    segmentation = np.array([[1, 0, 0, 0, 0, 0, 1]])
    known = np.array([[1, 1, 0, 1, 1, 1, 1]])
    made = compare(segmentation, truth, known, (1, 1), 100, 1)
    assert made.false_positives == FalseVoxels(1, 1, 6.0, 6.0, 6.0)
    assert made.false_negatives == FalseVoxels()


def test_only_who_asks_is_told_and_the_border_is_no_member():
    members = np.zeros((1, 1, 6), bool)
    members[..., 1] = True
    asked = np.array([[[1, 1, 0, 1, 0, 1]]], bool)
    squares = square_to_members(members, Grid.of((1, 1, 6), (1, 1, 3)), asked)
    assert squares.ravel().tolist() == [9, 0, 0, 36, 0, 144]
    assert (square_to_members(~members, Grid.of((1, 1, 6), (1, 1, 3)), ~members) == 0).all()
