import itertools
import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy import ndimage

from napari_dacapo_tasks.errors import ConfigError, DataError
from napari_dacapo_tasks.numerics.lsds import local_shape_descriptors, warm_up

REAL_DATA = Path(__file__).parents[2].parent / "shared" / "data"
INTEGER_TYPES = ["?", "u1", "u2", "u4", "u8", "i1", "i2", "i4", "i8", ">u2", ">i8"]
# Of float32 sums of a few thousand products, and their differences.
ROUNDING = 1e-5
LEAST_VARIANCE = 1e-3

shapes = st.one_of(
    st.tuples(*[st.integers(1, 7)] * 3),
    st.tuples(*[st.integers(1, 12)] * 2),
)
label_arrays = shapes.flatmap(lambda shape: arrays(np.uint8, shape, elements=st.integers(0, 3)))
sizes = st.tuples(*[st.sampled_from([1.0, 4.0, 5.24, 8.0])] * 3)
few = settings(max_examples=40, deadline=None)


def weights_of(voxel_size, sigma):
    """Give the reach in voxels and the weights along each axis."""
    for size in voxel_size:
        reach = int(3 * sigma / size + 0.5)
        weights = np.exp(-0.5 * (np.arange(-reach, reach + 1) * size / sigma) ** 2)
        yield reach, weights / weights.sum()


def described(mean, covariance, mass, sigma):
    """Make descriptors of moments in world units, the channels last."""
    variance = np.maximum(np.diagonal(covariance, axis1=-2, axis2=-1), LEAST_VARIANCE)
    pairs = list(itertools.combinations(range(variance.shape[-1]), 2))
    correlations = [
        covariance[..., a, b] / np.sqrt(variance[..., a] * variance[..., b]) for a, b in pairs
    ]
    parts = [
        *np.moveaxis(mean / sigma * 0.5 + 0.5, -1, 0),
        *np.moveaxis(variance / sigma**2, -1, 0),
        *(correlation * 0.5 + 0.5 for correlation in correlations),
        mass,
    ]
    return np.clip(np.stack(parts, -1), 0, 1)


def brute_force(labels, voxel_size, sigma, downsample=1):
    """Sum over all voxels of the object for every voxel, in double precision."""
    voxel_size = np.multiply(voxel_size, downsample)
    axes = list(weights_of(voxel_size, sigma))
    channels = 10 if labels.ndim == 3 else 6
    result = np.zeros((*labels.shape, channels))
    sampled = labels[(slice(None, None, downsample),) * labels.ndim]
    for place in np.argwhere(labels != 0):
        steps = np.argwhere(sampled == labels[tuple(place)]) - place // downsample
        near = np.all([abs(steps[:, a]) <= axes[a][0] for a in range(labels.ndim)], axis=0)
        steps = steps[near]
        weight = np.prod([axes[a][1][steps[:, a] + axes[a][0]] for a in range(labels.ndim)], axis=0)
        mass = weight.sum()
        offsets = steps * voxel_size
        share = weight / mass if mass > 0 else weight
        mean = share @ offsets
        around = offsets - mean
        result[tuple(place)] = described(mean, (around * share[:, None]).T @ around, mass, sigma)
    return np.moveaxis(result, -1, 0)


def filtered(mask, voxel_size, sigma):
    """Do it for one object with SciPy's filters in double precision, with local coordinates."""
    sigmas = np.divide(sigma, voxel_size)
    axes = [np.arange(length) * size for length, size in zip(mask.shape, voxel_size, strict=True)]
    centre = [axis.mean() for axis in axes]
    places = [place - c for place, c in zip(np.meshgrid(*axes, indexing="ij"), centre, strict=True)]

    def smooth(values):
        return ndimage.gaussian_filter(
            values * mask.astype(float), sigmas, mode="constant", truncate=3
        )

    mass = smooth(1.0)
    share = np.where(mask, mass, 1)
    mean = np.stack([smooth(place) / share for place in places], -1)
    second = np.stack([np.stack([smooth(a * b) / share for b in places], -1) for a in places], -1)
    covariance = second - mean[..., :, None] * mean[..., None, :]
    result = described(mean - np.stack(places, -1), covariance, mass, sigma)
    return np.moveaxis(np.where(mask[..., None], result, 0), -1, 0)


def tubes(length, number, radius=3, seed=0):
    """Make straight tubes from one side of a cube to another, each across most of it."""
    rng = np.random.default_rng(seed)
    labels = np.zeros((length,) * 3, np.uint16)
    for tube in range(1, number + 1):
        begin, end = rng.uniform(0, length, (2, 3))
        axis = rng.integers(3)
        begin[axis], end[axis] = 0, length - 1
        for centre in np.linspace(begin, end, 3 * length):
            low = np.maximum(np.round(centre).astype(int) - radius, 0)
            box = tuple(slice(a, a + 2 * radius + 1) for a in low)
            part = labels[box]
            grid = np.ogrid[tuple(slice(a, a + n) for a, n in zip(low, part.shape, strict=True))]
            part[sum((g - c) ** 2 for g, c in zip(grid, centre, strict=True)) <= radius**2] = tube
    return labels


@pytest.mark.parametrize(
    "name", [f"{kind}_{n}" for kind in ("iso3d", "aniso3d", "2d", "aniso2d") for n in (3, 5)]
)
def test_golden_targets(golden, name):
    parameters, golden_arrays = golden(f"affinities_lsds_{name}")
    (sigma,) = set(parameters["sigma"])
    labels = golden_arrays["gt"]
    result = local_shape_descriptors(labels, parameters["voxel_size"], sigma)
    assert result.dtype == np.float32
    expected = golden_arrays["target"][len(parameters["neighborhood"]) :]
    # DaCapo sums coordinates that grow with the distance from the origin.
    np.testing.assert_allclose(result, expected, rtol=0, atol=1e-4)


@pytest.mark.parametrize("name", ["3d", "aniso3d", "2d"])
def test_golden_downsampled_targets(golden, name):
    parameters, golden_arrays = golden(f"lsds_downsampled_{name}")
    result = local_shape_descriptors(golden_arrays.pop("gt"), **parameters)
    np.testing.assert_allclose(result, golden_arrays["target"], rtol=0, atol=1e-4)


@pytest.mark.parametrize(
    ("shape", "voxel_size", "sigma"),
    [
        ((9, 11, 13), (8, 8, 8), 16),
        ((9, 11, 13), (8, 8, 8), 60),  # reaches beyond the volume from everywhere
        ((6, 9, 40), (40, 4, 4), 40),
        ((1, 9, 12), (40, 4, 4), 20),
        ((40, 5, 3), (2, 5, 3.3), 7),
        ((9, 8, 7), (8, 8, 8), 1),  # reaches no neighbour
        ((25, 31), (4, 10), 30),
        ((1, 60), (4, 10), 30),
        ((60, 1), (4, 10), 30),
    ],
)
def test_every_voxel_against_every_voxel(shape, voxel_size, sigma):
    rng = np.random.default_rng(0)
    smooth = ndimage.gaussian_filter(rng.normal(size=shape), 1.2)
    blobs = np.digitize(smooth, np.quantile(smooth, [0.3, 0.5, 0.7]))
    for labels in (blobs, rng.integers(0, 3, shape), np.ones(shape, int)):
        expected = brute_force(labels, voxel_size, sigma)
        result = local_shape_descriptors(labels, voxel_size, sigma)
        np.testing.assert_allclose(result, expected, rtol=0, atol=ROUNDING)


@pytest.mark.parametrize(
    ("shape", "voxel_size", "downsample"),
    [
        ((8, 12, 10), (8, 8, 8), 2),
        ((9, 13, 11), (8, 8, 8), 2),  # the last blocks are cut
        ((7, 20, 17), (40, 10, 10), 3),
        ((30, 22), (4, 4), 4),
        ((5, 7), (4, 4), 100),
    ],
)
def test_downsampled_against_every_sample(shape, voxel_size, downsample):
    rng = np.random.default_rng(0)
    smooth = ndimage.gaussian_filter(rng.normal(size=shape), 2)
    blobs = np.digitize(smooth, np.quantile(smooth, [0.3, 0.5, 0.7]))
    for labels in (blobs, rng.integers(0, 4, shape)):
        expected = brute_force(labels, voxel_size, 40, downsample)
        result = local_shape_descriptors(labels, voxel_size, 40, downsample)
        # Objects that are seen from afar, with little extent, have fewer digits.
        np.testing.assert_allclose(result, expected, rtol=0, atol=5 * ROUNDING)


def test_an_object_between_the_samples_has_no_mass_and_no_shape():
    labels = np.zeros((8, 8), np.uint8)
    labels[3, 1:6] = 1
    result = local_shape_descriptors(labels, (1, 1), 2.0, downsample=2)
    np.testing.assert_allclose(
        result[:, 3, 4], [0.5, 0.5, LEAST_VARIANCE / 4, LEAST_VARIANCE / 4, 0.5, 0], rtol=1e-6
    )


@few
@given(label_arrays, sizes, st.sampled_from([2.0, 9.0, 30.0]))
def test_any_labels_against_every_voxel(labels, voxel_size, sigma):
    voxel_size = voxel_size[: labels.ndim]
    expected = brute_force(labels, voxel_size, sigma)
    result = local_shape_descriptors(labels, voxel_size, sigma)
    np.testing.assert_allclose(result, expected, rtol=0, atol=ROUNDING)


@few
@given(label_arrays, sizes, st.data())
def test_mirrored_labels_have_offsets_and_correlations_mirrored(labels, voxel_size, data):
    voxel_size, sigma = voxel_size[: labels.ndim], 9.0
    axis = data.draw(st.integers(0, labels.ndim - 1))
    result = local_shape_descriptors(labels, voxel_size, sigma)
    mirrored = np.flip(local_shape_descriptors(np.flip(labels, axis), voxel_size, sigma), axis + 1)
    pairs = list(itertools.combinations(range(labels.ndim), 2))
    turned = [axis] + [2 * labels.ndim + i for i, pair in enumerate(pairs) if axis in pair]
    expected = result.copy()
    expected[turned] = np.where(labels != 0, 1 - result[turned], 0)
    np.testing.assert_allclose(mirrored, expected, rtol=0, atol=ROUNDING)


@few
@given(label_arrays, sizes, st.data())
def test_permuted_axes_permute_the_channels(labels, voxel_size, data):
    voxel_size, sigma, dims = np.array(voxel_size[: labels.ndim]), 9.0, labels.ndim
    axes = data.draw(st.permutations(range(dims)))
    result = local_shape_descriptors(labels, voxel_size, sigma)
    permuted = local_shape_descriptors(labels.transpose(axes), voxel_size[axes], sigma)
    pairs = list(itertools.combinations(range(dims), 2))
    order = [*axes, *(dims + axis for axis in axes)]
    order += [2 * dims + pairs.index(tuple(sorted((axes[a], axes[b])))) for a, b in pairs]
    order += [len(result) - 1]
    expected = result[order].transpose(0, *(axis + 1 for axis in axes))
    np.testing.assert_allclose(permuted, expected, rtol=0, atol=ROUNDING)


@few
@given(label_arrays, st.permutations([1, 2**40, 2**64 - 1]))
def test_ids_mean_nothing(labels, ids):
    renamed = np.array([0, *ids], np.uint64)[labels]
    voxel_size = (8, 5, 4)[: labels.ndim]
    np.testing.assert_array_equal(
        local_shape_descriptors(renamed, voxel_size, 12.0),
        local_shape_descriptors(labels, voxel_size, 12.0),
    )


@pytest.mark.parametrize(("voxel_size", "sigma"), [((8, 8, 8), 30.0), ((20, 8, 5), 25.0)])
def test_a_crop_with_three_sigmas_of_context_equals_the_crop_of_the_whole(cells, voxel_size, sigma):
    labels = cells((50, 55, 60), 30)
    context = [int(np.ceil(3 * sigma / size)) for size in voxel_size]
    whole = local_shape_descriptors(labels, voxel_size, sigma)
    inner = tuple(slice(20, 30) for _ in range(3))
    outer = tuple(slice(20 - c, 30 + c) for c in context)
    kept = tuple(slice(c, c + 10) for c in context)
    crop = local_shape_descriptors(np.ascontiguousarray(labels[outer]), voxel_size, sigma)
    np.testing.assert_allclose(crop[:, *kept], whole[:, *inner], rtol=0, atol=1e-6)


@few
@given(arrays(np.uint8, (7, 9), elements=st.integers(0, 2)))
def test_an_image_is_a_volume_of_one_slice_but_for_its_mass(labels):
    sigma = 12.0
    image = local_shape_descriptors(labels, (5, 4), sigma)
    volume = local_shape_descriptors(labels[None], (8, 5, 4), sigma)[:, 0]
    np.testing.assert_allclose(volume[[1, 2, 4, 5, 8]], image[:5], rtol=0, atol=1e-6)
    ((reach, along_z),) = weights_of([8], sigma)
    np.testing.assert_allclose(volume[9], image[5] * along_z[reach], rtol=1e-5)


@pytest.mark.parametrize("place", [(0, 0, 0), (3, 4, 5), (6, 8, 10)])
def test_a_lone_voxel(place):
    labels = np.zeros((7, 9, 11), np.uint8)
    labels[place] = 9
    result = local_shape_descriptors(labels, (8, 8, 8), 16.0)
    least = LEAST_VARIANCE / 16**2
    mass = np.prod([weights[reach] for reach, weights in weights_of((8, 8, 8), 16.0)])
    expected = [*[0.5] * 3, *[least] * 3, *[0.5] * 3, mass]
    np.testing.assert_allclose(result[:, *place], expected, rtol=1e-6)
    result[:, *place] = 0
    assert not result.any()


def test_two_voxels_by_hand():
    # The own weighs 1, the other, a sigma away, e^-0.5 = 0.6065: together 1.6065.
    labels = np.array([[0, 7, 7, 0]])
    share = np.exp(-0.5) / (1 + np.exp(-0.5))
    result = local_shape_descriptors(labels, (4, 4), 4.0)
    np.testing.assert_allclose(result[:, 0, 1][:2], [0.5, 0.5 + share / 2], rtol=1e-6)
    np.testing.assert_allclose(result[:, 0, 2][:2], [0.5, 0.5 - share / 2], rtol=1e-6)
    np.testing.assert_allclose(result[3, 0, 1:3], share * (1 - share), rtol=1e-5)


def test_flat_objects_have_no_correlation():
    # DaCapo gives noise here: rounding errors over the least variance.
    labels = np.zeros((6, 20, 30), np.uint8)
    labels[:, :, 7] = 1
    result = local_shape_descriptors(labels, (8, 8, 8), 40.0)
    np.testing.assert_allclose(result[5][labels == 1], LEAST_VARIANCE / 1600, rtol=1e-6)
    np.testing.assert_array_equal(result[7:9, labels == 1], 0.5)


def test_a_diagonal_line_is_wholly_correlated():
    labels = np.eye(40, dtype=np.uint8)
    result = local_shape_descriptors(labels, (4, 4), 20.0)
    np.testing.assert_allclose(result[4][labels == 1], 1, rtol=1e-5)
    result = local_shape_descriptors(labels[::-1], (4, 4), 20.0)
    np.testing.assert_allclose(result[4][labels[::-1] == 1], 0, atol=1e-5)


def test_an_object_is_the_same_wherever_it_lies():
    rng = np.random.default_rng(0)
    ball = ndimage.gaussian_filter(rng.normal(size=(20, 24, 28)), 3) > 0
    whole = np.zeros((20, 24, 8000), np.uint8)
    whole[:, :, -28:] = ball
    near = local_shape_descriptors(ball, (8, 8, 8), 40.0)
    far = local_shape_descriptors(whole, (8, 8, 8), 40.0)[..., -28:]
    np.testing.assert_array_equal(far, near)


def test_a_large_object_is_without_seams():
    # Over several tiles along z and x, and several threads.
    shape, voxel_size, sigma = (75, 50, 61), (8, 6, 5), 40.0
    rng = np.random.default_rng(0)
    for mask in (np.ones(shape, bool), ndimage.gaussian_filter(rng.normal(size=shape), 4) > 0):
        result = local_shape_descriptors(mask, voxel_size, sigma)
        expected = filtered(mask, voxel_size, sigma)
        np.testing.assert_allclose(result, expected, rtol=0, atol=ROUNDING)


def test_a_large_image_is_without_seams():
    rng = np.random.default_rng(0)
    mask = ndimage.gaussian_filter(rng.normal(size=(300, 333)), 6) > -1
    result = local_shape_descriptors(mask, (4, 5), 30.0)
    np.testing.assert_allclose(result, filtered(mask, (4, 5), 30.0), rtol=0, atol=ROUNDING)


def test_sprawling_objects_against_each_on_its_own():
    labels = tubes(48, 12)
    assert len(np.unique(labels)) == 13
    result = local_shape_descriptors(labels, (8, 8, 8), 40.0)
    for tube in range(1, 13):
        mask = labels == tube
        expected = filtered(mask, (8, 8, 8), 40.0)
        np.testing.assert_allclose(result[:, mask], expected[:, mask], rtol=0, atol=ROUNDING)


def test_thousands_of_objects_with_wild_ids():
    # Each a pair of voxels on a grid: what they are is known, and ids collide in any small table.
    rng = np.random.default_rng(0)
    ids = rng.integers(1, 2**64, 20 * 20 * 20, np.uint64)
    assert len(np.unique(ids)) == len(ids)
    labels = np.repeat(ids.reshape(20, 20, 20), 2, axis=2)
    result = local_shape_descriptors(labels, (8, 8, 8), 8.0)
    alone = local_shape_descriptors(np.ones((1, 1, 2), np.uint8), (8, 8, 8), 8.0)
    np.testing.assert_allclose(result, np.tile(alone, (1, 20, 20, 20)), rtol=0, atol=1e-6)


@pytest.mark.parametrize(
    ("file", "voxel_size", "sigma"),
    [("cremi_labels.npz", (40, 4, 4), 80.0), ("fib25.ome.zarr", (10, 10, 10), 60.0)],
)
def test_real_labels_against_each_object_on_its_own(file, voxel_size, sigma):
    if not (REAL_DATA / file).exists():
        pytest.skip(f"{file} is not there")
    if file.endswith(".npz"):
        labels = np.load(REAL_DATA / file)["labels"][:20, :100, :100]
    else:
        zarr = pytest.importorskip("zarr")
        labels = zarr.open(REAL_DATA / file / "labels" / "neurons" / "0", mode="r")
        labels = labels[:30, 60:140, 60:140]
    result = local_shape_descriptors(labels, voxel_size, sigma)
    ids, sizes_of_objects = np.unique(labels[labels != 0], return_counts=True)
    for label in ids[np.argsort(-sizes_of_objects)[:5]]:
        mask = labels == label
        expected = filtered(mask, voxel_size, sigma)[:, mask]
        np.testing.assert_allclose(result[:, mask], expected, rtol=0, atol=5 * ROUNDING)


@pytest.mark.parametrize("dtype", INTEGER_TYPES)
def test_integer_types(cells, dtype):
    labels = cells((9, 20, 21), 12) % 120
    expected = local_shape_descriptors(labels != 0 if dtype == "?" else labels, (8, 4, 4), 16.0)
    result = local_shape_descriptors(labels.astype(dtype), (8, 4, 4), 16.0)
    np.testing.assert_array_equal(result, expected)


@pytest.mark.parametrize("downsample", [1, 2])
@pytest.mark.parametrize("dtype", [np.uint8, np.uint64, np.int16])
def test_background_as_object_is_one_more_id_that_never_wraps(dtype, downsample):
    labels = np.zeros((6, 8, 10), dtype)
    labels[:, :4] = np.iinfo(dtype).max
    labels[:2, 5:, 3:] = 1
    shifted = (labels != 0).astype(np.uint8) + (labels > 1) + 1
    result = local_shape_descriptors(labels, (8, 4, 4), 20.0, downsample, background_as_object=True)
    expected = local_shape_descriptors(shifted, (8, 4, 4), 20.0, downsample)
    np.testing.assert_array_equal(result, expected)
    assert (result[-1] > 0).all()


def test_memory_layouts(cells):
    labels = cells((12, 20, 30), 20)
    expected = local_shape_descriptors(labels, (8, 4, 4), 20.0)
    padded = np.zeros((24, 41, 33), np.uint16)
    strided = padded[::2, 1::2, 3:]
    strided[...] = labels
    mirrored = np.ascontiguousarray(labels[::-1, :, ::-1])[::-1, :, ::-1]
    read_only = labels.copy()
    read_only.flags.writeable = False
    for view in (np.asfortranarray(labels), strided, mirrored, read_only):
        before = view.copy()
        np.testing.assert_array_equal(local_shape_descriptors(view, (8, 4, 4), 20.0), expected)
        np.testing.assert_array_equal(view, before)


@pytest.mark.parametrize("downsample", [1, 2])
def test_the_result_goes_where_it_is_asked_to(cells, downsample):
    labels = cells((12, 20, 30), 20)
    target = np.full((13, 12, 20, 30), np.nan, np.float32)
    result = local_shape_descriptors(labels, (8, 4, 4), 20.0, downsample, out=target[3:])
    assert np.shares_memory(result, target)
    assert np.isnan(target[:3]).all()
    expected = local_shape_descriptors(labels, (8, 4, 4), 20.0, downsample)
    np.testing.assert_array_equal(target[3:], expected)


@pytest.mark.parametrize("shape", [(0, 5, 5), (4, 0), (3, 4, 0)])
def test_no_voxels(shape):
    result = local_shape_descriptors(np.zeros(shape, np.uint8), (4,) * len(shape), 8.0)
    assert result.shape == (10 if len(shape) == 3 else 6, *shape)


@pytest.mark.parametrize("downsample", [1, 3])
def test_no_object(downsample):
    labels = np.zeros((5, 6, 7), np.uint8)
    assert not local_shape_descriptors(labels, (8, 8, 8), 20.0, downsample).any()


@pytest.mark.parametrize("sigma", [1e-5, 1e5])
def test_the_smallest_and_largest_sigmas(sigma):
    labels = np.ones((5, 6, 7), np.uint8)
    result = local_shape_descriptors(labels, (1, 1, 1), sigma)
    expected = brute_force(labels, (1, 1, 1), sigma)
    np.testing.assert_allclose(result, expected, rtol=0, atol=ROUNDING)


def test_callers_at_the_same_time_do_not_disturb_each_other(cells):
    volumes = [cells((30, 40, 50), 20, seed) for seed in range(4)]
    expected = [local_shape_descriptors(volume, (8, 8, 8), 40.0) for volume in volumes]
    results = [None] * len(volumes)

    def describe(number):
        results[number] = local_shape_descriptors(volumes[number], (8, 8, 8), 40.0)

    callers = [threading.Thread(target=describe, args=[n]) for n in range(len(volumes))]
    for caller in callers:
        caller.start()
    for caller in callers:
        caller.join()
    np.testing.assert_array_equal(results, expected)


@pytest.mark.parametrize(
    ("labels", "voxel_size", "sentence"),
    [
        (np.zeros((3, 3), np.float32), (1, 1), "float32"),
        (np.array([[0, -3]], np.int8), (1, 1), "negative id -3"),
        (np.zeros((2, 3, 3, 3), np.uint8), (1, 1, 1, 1), r"\(2, 3, 3, 3\)"),
        (np.zeros(3, np.uint8), (1,), r"\(3,\)"),
        (np.zeros((3, 3), np.uint8), (1, 1, 1), r"\(1, 1, 1\).*2 positive numbers"),
        (np.zeros((3, 3), np.uint8), (1, 0), r"\(1, 0\)"),
        (np.zeros((3, 3), np.uint8), (1, np.nan), "nan"),
    ],
)
def test_what_cannot_be_described_is_refused_in_one_sentence(labels, voxel_size, sentence):
    with pytest.raises(DataError, match=sentence):
        local_shape_descriptors(labels, voxel_size, 10.0)


@pytest.mark.parametrize("sigma", [0, -1.0, np.inf, np.nan, 1e12, 1e-12])
def test_a_sigma_that_is_no_sensible_length_is_refused(sigma):
    with pytest.raises(ConfigError, match=f"{sigma}"):
        local_shape_descriptors(np.eye(3, dtype=np.uint8), (1, 1), sigma)


@pytest.mark.parametrize("downsample", [0, -2, 1.5])
def test_a_downsampling_that_is_no_number_of_voxels_is_refused(downsample):
    with pytest.raises(ConfigError, match=f"{downsample}"):
        local_shape_descriptors(np.eye(3, dtype=np.uint8), (1, 1), 3.0, downsample)


def test_importing_is_light_and_warming_up_loads_the_loops():
    code = """if True:
        import sys
        from napari_dacapo_tasks.numerics.lsds import warm_up
        heavy = {"numba", "torch", "scipy", "napari"}
        assert not heavy & set(sys.modules), heavy & set(sys.modules)
        warm_up()
        from napari_dacapo_tasks.numerics.lsd_loops import describe
        assert describe.signatures
        assert not {"torch", "napari"} & set(sys.modules)
    """
    subprocess.run([sys.executable, "-c", code], check=True)
    warm_up()
