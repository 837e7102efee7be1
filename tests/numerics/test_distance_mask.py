import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy import ndimage

from napari_dacapo_tasks.errors import ConfigError, DataError
from napari_dacapo_tasks.numerics.distances import distance_mask, normalized_distance


def padded_transform(target, mask, voxel_size, scale):
    to_unknown = ndimage.distance_transform_edt(np.pad(mask != 0, 1), sampling=voxel_size)
    nearness = np.tanh(to_unknown[(slice(1, -1),) * mask.ndim] / scale)
    return np.minimum(np.abs(target) + 0.05, 0.8), nearness


def assert_equals_definition(kept, target, mask, voxel_size, scale):
    depth, nearness = padded_transform(target, mask, voxel_size, scale)
    # Float32 against float64: where the two sides are equal to rounding, both answers are right.
    decided = np.abs(depth - nearness) > 1e-6
    np.testing.assert_array_equal(kept[decided], (depth < nearness)[decided])
    assert not kept[mask == 0].any()


@pytest.mark.parametrize("dims", ["iso3d", "aniso3d", "2d", "aniso2d"])
@pytest.mark.parametrize("mask_distances", [0, 1])
def test_golden_masks_come_out_with_half_the_voxel_size(golden, dims, mask_distances):
    # DaCapo measures the mask with half the voxel size, which drops twice as much.
    parameters, golden_arrays = golden(f"distance_{dims}_mask{mask_distances}")
    half = [size / 2 for size in parameters["voxel_size"]]
    kept = distance_mask(
        golden_arrays["target"], golden_arrays["mask"], half, parameters["scale_factor"]
    )
    assert kept.dtype == np.uint8
    np.testing.assert_array_equal(kept, golden_arrays["distance_mask"])


def test_less_is_dropped_than_by_dacapo(golden):
    parameters, golden_arrays = golden("distance_iso3d_mask1")
    kept = distance_mask(
        golden_arrays["target"],
        golden_arrays["mask"],
        parameters["voxel_size"],
        parameters["scale_factor"],
    )
    assert (kept >= golden_arrays["distance_mask"]).all()
    assert kept.sum() > golden_arrays["distance_mask"].sum()


shapes = st.one_of(st.tuples(*[st.integers(1, 7)] * 3), st.tuples(*[st.integers(1, 12)] * 2))


@settings(max_examples=60, deadline=None)
@given(
    shapes.flatmap(
        lambda shape: st.tuples(
            arrays(np.float32, shape, elements=st.floats(-1, 1, width=32)),
            arrays(np.uint8, shape, elements=st.integers(0, 1)),
        )
    ),
    st.tuples(*[st.sampled_from([1.0, 4.0, 5.24, 40.0])] * 3),
    st.sampled_from([2.0, 10.0, 60.0]),
)
def test_any_small_mask_against_the_definition(pair, voxel_size, scale):
    target, mask = pair
    voxel_size = voxel_size[: mask.ndim]
    kept = distance_mask(target, mask, voxel_size, scale)
    assert_equals_definition(kept, target, mask, voxel_size, scale)


@pytest.mark.parametrize("unknown", ["nothing", "a corner", "one voxel", "sparse", "everything"])
@pytest.mark.parametrize("scale", [20.0, 900.0])
def test_larger_masks_against_the_definition(cells, unknown, scale):
    labels = cells((40, 90, 130), 30)
    mask = np.ones(labels.shape, np.uint8)
    if unknown == "a corner":
        mask[:10, 30:, :50] = 0
    elif unknown == "one voxel":
        mask[20, 45, 65] = 0
    elif unknown == "sparse":
        mask[np.random.default_rng(0).random(mask.shape) < 0.001] = 0
    elif unknown == "everything":
        mask[...] = 0
    target = normalized_distance(labels, (8, 4, 4), scale)
    kept = distance_mask(target, mask, (8, 4, 4), scale)
    assert_equals_definition(kept, target, mask, (8, 4, 4), scale)


def test_one_mask_serves_all_channels_and_each_may_have_its_own(cells):
    masks = np.ones((2, 10, 20, 30), np.uint8)
    masks[1, 4:, 5:] = 0
    target = np.stack(
        [normalized_distance(cells((10, 20, 30), 9, s), (8, 4, 4), 9) for s in (0, 1)]
    )
    shared = distance_mask(target, masks[1], (8, 4, 4), 9)
    own = distance_mask(target, masks, (8, 4, 4), 9)
    assert shared.shape == own.shape == target.shape
    for channel in range(2):
        np.testing.assert_array_equal(
            shared[channel], distance_mask(target[channel], masks[1], (8, 4, 4), 9)
        )
        np.testing.assert_array_equal(
            own[channel], distance_mask(target[channel], masks[channel], (8, 4, 4), 9)
        )


@pytest.mark.parametrize("dtype", [bool, np.int16, np.uint64, np.float32])
def test_any_mask_type_and_any_nonzero_value(cells, dtype):
    target = normalized_distance(cells((10, 20), 9), (4, 4), 9)
    mask = np.ones((10, 20), np.uint8)
    mask[3, 4:9] = 0
    many = (mask * 100).astype(dtype)
    np.testing.assert_array_equal(
        distance_mask(target, many, (4, 4), 9), distance_mask(target, mask, (4, 4), 9)
    )


def test_arrays_of_any_layout(cells):
    target = normalized_distance(cells((10, 20, 30), 9), (8, 4, 4), 9)
    mask = np.ones(target.shape, np.uint8)
    mask[3, 4:9] = 0
    np.testing.assert_array_equal(
        distance_mask(np.asfortranarray(target), mask[::-1].copy()[::-1], (8, 4, 4), 9),
        distance_mask(target, mask, (8, 4, 4), 9),
    )


@pytest.mark.parametrize(
    ("target_shape", "mask_shape", "voxel_size"),
    [
        ((4, 5, 6), (4, 5, 7), (1, 1, 1)),
        ((2, 4, 5), (3, 4, 5), (1, 1)),
        ((2, 2, 4, 5), (4, 5), (1, 1)),
        ((5,), (5,), (1, 1)),
    ],
)
def test_shapes_that_do_not_fit_are_refused(target_shape, mask_shape, voxel_size):
    with pytest.raises(DataError, match="does not fit"):
        distance_mask(np.zeros(target_shape), np.ones(mask_shape), voxel_size, 1.0)


def test_values_that_are_no_lengths_are_refused():
    with pytest.raises(DataError, match=r"\(1, -1\)"):
        distance_mask(np.zeros((3, 3)), np.ones((3, 3)), (1, -1), 1.0)
    with pytest.raises(ConfigError, match="-2"):
        distance_mask(np.zeros((3, 3)), np.ones((3, 3)), (1, 1), -2)
