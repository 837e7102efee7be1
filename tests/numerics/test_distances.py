import itertools
import math
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from napari_dacapo_tasks.errors import ConfigError, DataError
from napari_dacapo_tasks.numerics.distances import (
    SATURATION,
    normalize,
    normalized_distance,
    signed_distance,
    warm_up,
)

INTEGER_TYPES = ["u1", "u2", "u4", "u8", "i1", "i2", "i4", "i8", ">u2", ">i8"]
# Squares of float32 lengths, rounded once or twice, and their root.
ROUNDING = 3e-7

shapes = st.one_of(
    st.tuples(*[st.integers(1, 7)] * 3),
    st.tuples(*[st.integers(1, 12)] * 2),
)
label_arrays = shapes.flatmap(lambda shape: arrays(np.uint8, shape, elements=st.integers(0, 3)))
sizes = st.tuples(*[st.sampled_from([0.5, 1.0, 4.0, 5.24, 8.0, 40.0])] * 3)
few = settings(max_examples=60, deadline=None)


def brute_force(labels, voxel_size):
    faces = []
    for axis in range(labels.ndim):
        places = np.argwhere(np.diff(labels.astype(int), axis=axis) != 0).astype(float)
        places[:, axis] += 0.5
        faces.append(places)
    faces = np.concatenate(faces)
    if len(faces) == 0:
        distance = np.full(labels.shape, min(np.multiply(labels.shape, voxel_size)) / 2)
    else:
        voxels = np.argwhere(np.ones(labels.shape, bool))
        offsets = (voxels[:, None] - faces[None]) * np.asarray(voxel_size)
        distance = np.sqrt((offsets**2).sum(2).min(1)).reshape(labels.shape)
    return np.where(labels != 0, distance, -distance)


@pytest.mark.parametrize(
    "name",
    [
        "distance_iso3d_mask1",
        "distance_aniso3d_mask1",
        "distance_2d_mask1",
        "distance_aniso2d_mask1",
        "distance_iso3d_mask0",
        "distance_all_background",
        "distance_all_foreground",
        "distance_one_voxel",
    ],
)
def test_golden_targets(golden, name):
    parameters, golden_arrays = golden(name)
    scale = parameters["scale_factor"]
    for labels, target in zip(golden_arrays["gt"], golden_arrays["target"], strict=True):
        distance = signed_distance(labels, parameters["voxel_size"])
        assert distance.dtype == np.float32
        np.testing.assert_allclose(normalize(distance, scale), target, rtol=0, atol=1e-6)
        at_once = normalized_distance(labels, parameters["voxel_size"], scale)
        np.testing.assert_allclose(at_once, target, rtol=0, atol=1e-6)


@few
@given(label_arrays, sizes)
def test_every_voxel_against_every_face(labels, voxel_size):
    voxel_size = voxel_size[: labels.ndim]
    expected = brute_force(labels, voxel_size)
    np.testing.assert_allclose(signed_distance(labels, voxel_size), expected, rtol=ROUNDING)


@pytest.mark.parametrize("voxel_size", [(8, 8, 8), (40, 4, 4), (5.24, 4.0, 4.1)])
def test_dense_cells_against_the_doubled_grid(cells, doubled_grid_distance, voxel_size):
    labels = cells((37, 50, 61), 40)
    expected = doubled_grid_distance(labels, voxel_size)
    np.testing.assert_allclose(signed_distance(labels, voxel_size), expected, rtol=ROUNDING)


@pytest.mark.parametrize("axes", list(itertools.permutations(range(3))))
def test_far_from_everything_against_the_doubled_grid(doubled_grid_distance, axes):
    # Wider than any window, so that the envelope is taken, along every axis in turn.
    labels = np.zeros((5, 40, 230), np.uint8)
    labels[1, 3, 4] = 1
    labels[3, 20:30, 150] = 2
    labels[4, 35, 90:95] = 3
    labels = labels.transpose(axes)
    voxel_size = tuple(np.array([40, 4.1, 4])[list(axes)])
    expected = doubled_grid_distance(labels, voxel_size)
    np.testing.assert_allclose(signed_distance(labels, voxel_size), expected, rtol=ROUNDING)


@pytest.mark.parametrize("shape", [(300, 1, 3), (2, 3, 700), (1, 600, 300), (900, 400), (3, 20000)])
def test_blocks_meet_without_a_seam(doubled_grid_distance, shape):
    labels = (np.random.default_rng(1).random(shape) > 0.9995).astype(np.uint8)
    voxel_size = (6, 5, 4)[: len(shape)]
    expected = doubled_grid_distance(labels, voxel_size)
    np.testing.assert_allclose(signed_distance(labels, voxel_size), expected, rtol=ROUNDING)


@few
@given(label_arrays, sizes, st.data())
def test_mirrored_and_turned_labels_give_mirrored_and_turned_distances(labels, voxel_size, data):
    voxel_size = np.array(voxel_size[: labels.ndim])
    distance = signed_distance(labels, voxel_size)
    axes = data.draw(st.permutations(range(labels.ndim)))
    turned = signed_distance(labels.transpose(axes), voxel_size[list(axes)])
    np.testing.assert_allclose(turned, distance.transpose(axes), rtol=ROUNDING)
    axis = data.draw(st.integers(0, labels.ndim - 1))
    mirrored = signed_distance(np.flip(labels, axis), voxel_size)
    np.testing.assert_allclose(mirrored, np.flip(distance, axis), rtol=ROUNDING)


@few
@given(label_arrays, st.permutations([1, 2, 3]))
def test_only_unlikeness_counts_not_the_ids(labels, ids):
    renamed = np.array([0, *ids], np.int32)[labels] * 1000
    voxel_size = (8, 5, 4)[: labels.ndim]
    np.testing.assert_array_equal(
        signed_distance(renamed, voxel_size), signed_distance(labels, voxel_size)
    )


@few
@given(arrays(np.uint8, (6, 9), elements=st.integers(0, 2)))
def test_an_image_is_a_volume_of_one_slice(labels):
    if (labels == labels[0, 0]).all():
        labels[0, 0] += 1
    image = signed_distance(labels, (5, 4))
    np.testing.assert_allclose(signed_distance(labels[None], (40, 5, 4))[0], image, rtol=ROUNDING)


def test_a_crop_with_enough_context_equals_the_crop_of_the_whole(cells):
    labels = cells((64, 70, 60), 60)
    voxel_size, scale = (4, 4, 4), 4.0
    context = math.ceil(SATURATION * scale / 4)
    whole = normalized_distance(labels, voxel_size, scale)
    crop = normalized_distance(labels[10:50, 15:60, 12:58], voxel_size, scale)
    inner = (slice(context, -context),) * 3
    np.testing.assert_array_equal(crop[inner], whole[10:50, 15:60, 12:58][inner])


def test_touching_objects_are_kept_apart_and_a_face_neighbour_is_half_a_voxel_away():
    labels = np.array([[0, 1, 1, 1, 2, 2, 2]])
    np.testing.assert_allclose(
        signed_distance(labels, (100, 4)), [[-2, 2, 6, 2, 2, 6, 10]], rtol=ROUNDING
    )


@pytest.mark.parametrize(("value", "sign"), [(0, -1), (7, 1)])
def test_without_an_interface_it_is_half_the_shortest_side(value, sign):
    labels = np.full((3, 5, 40), value, np.uint8)
    assert (signed_distance(labels, (10, 4, 1)) == sign * 10).all()
    assert (signed_distance(labels, (10, 4, 1), max_distance=6) == sign * 6).all()


@pytest.mark.parametrize("max_distance", [3.0, 20.0, 77.7, 400.0])
def test_max_distance_only_clips(cells, max_distance):
    labels = np.zeros((40, 60, 150), np.uint16)
    labels[5:25, 10:40, 20:50] = cells((20, 30, 30), 10)
    expected = np.clip(signed_distance(labels, (8, 4, 4)), -max_distance, max_distance)
    clipped = signed_distance(labels, (8, 4, 4), max_distance)
    np.testing.assert_allclose(clipped, expected, rtol=ROUNDING)


@pytest.mark.parametrize("scale", [1.0, 6.0, 50.0])
def test_normalized_distance_is_the_normalised_signed_distance(cells, scale):
    labels = np.zeros((40, 60, 150), np.uint16)
    labels[5:25, 10:40, 20:50] = cells((20, 30, 30), 10)
    expected = normalize(signed_distance(labels, (8, 4, 4)), scale)
    np.testing.assert_array_equal(normalized_distance(labels, (8, 4, 4), scale), expected)


def test_the_result_goes_where_it_is_asked_to():
    labels = np.eye(6, dtype=np.uint8)
    channels = np.zeros((2, 6, 6), np.float32)
    result = normalized_distance(labels, (1, 1), 2.0, out=channels[1])
    assert np.shares_memory(result, channels)
    np.testing.assert_array_equal(channels[1], normalized_distance(labels, (1, 1), 2.0))
    distances = signed_distance(labels, (1, 1))
    in_place = normalize(distances, 2.0, out=distances)
    assert in_place is distances
    np.testing.assert_array_equal(distances, channels[1])


@pytest.mark.parametrize("dtype", ["?", *INTEGER_TYPES])
def test_integer_types(cells, dtype):
    labels = cells((9, 20, 21), 12) % 120
    expected = signed_distance(labels != 0 if dtype == "?" else labels, (8, 4, 4))
    np.testing.assert_array_equal(signed_distance(labels.astype(dtype), (8, 4, 4)), expected)


@pytest.mark.parametrize("dtype", [np.uint64, np.int64])
def test_large_ids_that_differ_by_one_are_unlike(dtype):
    labels = np.full((3, 8), np.iinfo(dtype).max, dtype)
    labels[:, 4:] -= 1
    np.testing.assert_array_equal(signed_distance(labels, (9, 2))[1], [7, 5, 3, 1, 1, 3, 5, 7])


def test_memory_layouts(cells):
    labels = cells((12, 20, 30), 20)
    expected = signed_distance(labels, (8, 4, 4))
    padded = np.zeros((24, 41, 33), np.uint16)
    strided = padded[::2, 1::2, 3:]
    strided[...] = labels
    mirrored = np.ascontiguousarray(labels[::-1, :, ::-1])[::-1, :, ::-1]
    read_only = labels.copy()
    read_only.flags.writeable = False
    for view in (np.asfortranarray(labels), strided, mirrored, read_only):
        np.testing.assert_array_equal(signed_distance(view, (8, 4, 4)), expected)
    wide = np.broadcast_to(labels[:, :1], (12, 20, 30))
    np.testing.assert_array_equal(
        signed_distance(wide, (8, 4, 4)), signed_distance(wide.copy(), (8, 4, 4))
    )


def test_labels_are_not_changed(cells):
    labels = cells((12, 20, 30), 20)
    before = labels.copy()
    normalized_distance(labels, (8, 4, 4), 50.0)
    np.testing.assert_array_equal(labels, before)


@pytest.mark.parametrize(
    ("labels", "voxel_size", "sentence"),
    [
        (np.zeros((3, 3), np.float32), (1, 1), "float32"),
        (np.array([[0, -3]], np.int8), (1, 1), "negative id -3"),
        (np.zeros((2, 3, 3, 3), np.uint8), (1, 1, 1, 1), r"\(2, 3, 3, 3\)"),
        (np.zeros((3, 3), np.uint8), (1, 1, 1), r"\(1, 1, 1\).*2 positive numbers"),
        (np.zeros((3, 3), np.uint8), (1, 0), r"\(1, 0\)"),
        (np.zeros((3, 3), np.uint8), (1, math.nan), "nan"),
    ],
)
def test_what_cannot_be_measured_is_refused_in_one_sentence(labels, voxel_size, sentence):
    with pytest.raises(DataError, match=sentence):
        signed_distance(labels, voxel_size)


@pytest.mark.parametrize("scale", [0, -1.0, math.inf, math.nan])
def test_a_scale_that_is_no_length_is_refused(scale):
    with pytest.raises(ConfigError, match=f"{scale}"):
        normalized_distance(np.eye(3, dtype=np.uint8), (1, 1), scale)
    with pytest.raises(ConfigError, match=f"{scale}"):
        normalize(np.ones(3), scale)


def test_importing_is_light_and_warming_up_loads_the_loops():
    code = """if True:
        import sys
        import napari_dacapo_tasks.numerics.balance
        from napari_dacapo_tasks.numerics.distances import warm_up
        heavy = {"numba", "torch", "scipy", "napari"}
        assert not heavy & set(sys.modules), heavy & set(sys.modules)
        warm_up()
        from napari_dacapo_tasks.numerics.parabolas import lower_across
        assert lower_across.signatures
        assert not {"torch", "napari"} & set(sys.modules)
    """
    subprocess.run([sys.executable, "-c", code], check=True)


def test_warming_up_twice_does_no_harm():
    warm_up()
    warm_up()
    assert signed_distance(np.eye(2, dtype=np.uint8), (2, 2))[0, 0] == 1
