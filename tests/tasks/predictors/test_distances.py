"""What all predictors of distances have in common."""

import numpy as np
import pytest
from funlib.geometry import Coordinate, Roi
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays as array_of

from napari_dacapo_tasks.arrays import NumpyArray
from napari_dacapo_tasks.errors import DataError
from napari_dacapo_tasks.tasks.predictors.distance import DistancePredictor
from napari_dacapo_tasks.tasks.predictors.hot_distance import HotDistancePredictor
from napari_dacapo_tasks.tasks.predictors.inner_distance import InnerDistancePredictor

SCALE = 16
KINDS = {
    "distance": lambda channels: DistancePredictor(channels, SCALE, True),
    "distance without mask": lambda channels: DistancePredictor(channels, SCALE, False),
    "inner distance": lambda channels: InnerDistancePredictor(channels, SCALE),
    "hot distance": lambda channels: HotDistancePredictor(channels, SCALE, False, 1),
    "hot distance with mask": lambda channels: HotDistancePredictor(channels, SCALE, True, 1),
}
every_kind = pytest.mark.parametrize("kind", KINDS)
# Squares of float32 lengths, rounded once or twice, their root and tanh.
ROUNDING = 1e-6

shapes = st.one_of(st.tuples(*[st.integers(1, 7)] * 3), st.tuples(*[st.integers(1, 12)] * 2))
two_channels = shapes.flatmap(
    lambda shape: array_of(np.uint8, (2, *shape), elements=st.integers(0, 3))
)
masks = st.sampled_from(["full", "holes", "empty"])
sizes = st.tuples(*[st.sampled_from([3, 4, 8, 15])] * 3)
few = settings(max_examples=30, deadline=None)


def placed(values, voxel_size, channels=True):
    """Put values at the origin."""
    axes = "zyx"[-len(voxel_size) :]
    return NumpyArray(values, axes="c" + axes if channels else axes, voxel_size=voxel_size)


def some_mask(name, shape):
    if name == "full":
        return np.ones(shape, np.uint8)
    if name == "empty":
        return np.zeros(shape, np.uint8)
    return (np.random.default_rng(0).random(shape) > 0.1).astype(np.uint8)


def made(kind, labels, voxel_size, mask):
    """Make target, weight and the masks on display, bare."""
    predictor = KINDS[kind]([f"channel {number}" for number in range(len(labels))])
    gt = placed(labels, voxel_size)
    target = predictor.create_target(gt)
    assert target.dtype == np.float32
    assert len(target.data) == predictor.embedding_dims == len(predictor.target_ranges)
    for values, (low, high) in zip(target.data, predictor.target_ranges, strict=True):
        assert low <= values.min()
        assert values.max() <= high
    weighting = predictor.weigh(gt, target, placed(mask, voxel_size, channels=False))
    assert weighting.weight.dtype == np.float32
    assert weighting.weight.data.shape == target.data.shape
    shown = {name: array.data for name, array in weighting.masks.items()}
    return {"target": target.data, "weight": weighting.weight.data, **shown}


def assert_alike(ours, expected, change=lambda values: values):
    assert ours.keys() == expected.keys()
    for name, values in ours.items():
        np.testing.assert_allclose(values, change(expected[name]), rtol=ROUNDING, atol=ROUNDING)


@every_kind
@few
@given(two_channels, sizes, masks, st.data())
def test_mirrored_and_turned_ground_truth_gives_mirrored_and_turned_maps(
    kind, labels, voxel_size, mask, data
):
    dims = labels.ndim - 1
    voxel_size = voxel_size[:dims]
    mask = some_mask(mask, labels.shape[1:])
    plain = made(kind, labels, voxel_size, mask)
    axes = data.draw(st.permutations(range(dims)))
    turn = (0, *[axis + 1 for axis in axes])
    turned_size = [voxel_size[axis] for axis in axes]
    turned = made(kind, labels.transpose(turn), turned_size, mask.transpose(axes))
    assert_alike(turned, plain, lambda values: values.transpose(turn))
    axis = data.draw(st.integers(0, dims - 1))
    mirrored = made(kind, np.flip(labels, axis + 1), voxel_size, np.flip(mask, axis))
    assert_alike(mirrored, plain, lambda values: np.flip(values, axis + 1))


@every_kind
@few
@given(two_channels, st.permutations([1, 2, 3]), masks)
def test_ids_may_be_permuted(kind, labels, ids, mask):
    voxel_size = (8, 4, 4)[: labels.ndim - 1]
    mask = some_mask(mask, labels.shape[1:])
    renamed = np.array([0, *ids], np.uint64)[labels] + (labels > 0) * np.uint64(2**64 - 4)
    expected = made(kind, labels, voxel_size, mask)
    for name, values in made(kind, renamed, voxel_size, mask).items():
        np.testing.assert_array_equal(values, expected[name])


@every_kind
@few
@given(array_of(np.uint8, (2, 6, 9), elements=st.integers(0, 2)), masks)
def test_an_image_is_a_volume_of_one_slice(kind, labels, mask):
    # A slice so thick that neither its faces nor its height are the nearest thing.
    mask = some_mask(mask, (6, 9))
    image = made(kind, labels, (5, 4), mask)
    slab = made(kind, labels[:, None], (1000, 5, 4), mask[None])
    assert_alike({name: values[:, 0] for name, values in slab.items()}, image)


@every_kind
@few
@given(two_channels)
def test_classes_weigh_the_same_in_sum(kind, labels):
    voxel_size = (8, 4, 4)[: labels.ndim - 1]
    maps = made(kind, labels, voxel_size, some_mask("full", labels.shape[1:]))
    foreground = np.concatenate([labels > 0] * (len(maps["weight"]) // len(labels)))
    for weight, inside in zip(maps["weight"], foreground, strict=True):
        share = (inside & (weight > 0)).sum() / (1 + (weight > 0).sum())
        outside_share = (~inside & (weight > 0)).sum() / (1 + (weight > 0).sum())
        if min(share, outside_share) > 0.05 and max(share, outside_share) < 0.95:
            np.testing.assert_allclose(weight[inside].sum(), weight[~inside].sum(), rtol=1e-4)


@pytest.fixture(scope="module")
def cells():
    rng = np.random.default_rng(3)
    coarse = rng.integers(0, 4, (2, 9, 8, 10)) * (rng.random((2, 9, 8, 10)) > 0.4)
    return np.kron(coarse, np.ones((1, 5, 5, 5), int)).astype(np.uint16)


@every_kind
def test_a_crop_with_its_context_is_the_crop_of_the_whole(kind, cells):
    size = (8, 8, 8)
    predictor = KINDS[kind](["a", "b"])
    known = np.ones(cells.shape[1:], np.uint8)
    known[20:24, 10:15, 20:25] = 0
    gt, mask = placed(cells, size), placed(known, size, channels=False)
    whole = predictor.create_target(gt)
    roi = Roi((96, 80, 112), (112, 120, 136))
    context = predictor.padding(Coordinate(size))
    around = roi.grow(context, context)
    part = predictor.create_target(gt.crop(around)).crop(roi)
    # What the context leaves open: a boundary that is farther than 0.8 or 0.95 on the scale.
    sure = 0.8 if "mask" in kind and "without" not in kind else 0.95
    far = np.abs(whole[roi]) > sure
    np.testing.assert_allclose(part.data[~far], whole[roi][~far], atol=ROUNDING)
    assert (np.abs(part.data[far]) > sure).all()
    assert np.abs(part.data - whole[roi]).max() <= 1 - sure
    theirs = predictor.weigh(gt, whole, mask).masks
    ours = predictor.weigh(gt.crop(around), part, mask.crop(around)).masks
    for name, values in ours.items():
        np.testing.assert_array_equal(values.data, theirs[name][roi])


@every_kind
@pytest.mark.parametrize("label", [0, 1])
@pytest.mark.parametrize("shape", [(5, 6, 7), (1, 6, 7), (6, 7)])
def test_only_background_and_only_objects(kind, label, shape):
    voxel_size = (40, 4, 4)[-len(shape) :]
    labels = np.full((1, *shape), label, np.uint8)
    maps = made(kind, labels, voxel_size, some_mask("full", shape))
    # No boundary: as far as half the shortest side.
    depth = np.tanh(min(np.multiply(shape, voxel_size)) / 2 / SCALE)
    distance = depth if label else (0 if kind == "inner distance" else -depth)
    np.testing.assert_allclose(maps["target"][-1], distance, rtol=1e-6)
    if "hot" in kind:
        assert (maps["target"][0] == label).all()
    assert np.isfinite(maps["weight"]).all()


@every_kind
def test_a_mask_of_zeros_leaves_no_weight(kind):
    labels = np.random.default_rng(0).integers(0, 3, (2, 6, 7, 8)).astype(np.uint8)
    maps = made(kind, labels, (8, 8, 8), some_mask("empty", (6, 7, 8)))
    assert not maps["weight"].any()
    assert np.isfinite(maps["target"]).all()


@every_kind
@pytest.mark.parametrize(
    ("dtype", "id_"),
    [("bool", 1), ("uint8", 255), ("int8", 127), ("uint64", 2**64 - 1), (">i4", 2**31 - 1)],
)
def test_one_object_of_any_id_and_type(kind, dtype, id_):
    labels = np.zeros((1, 6, 7, 8), dtype)
    labels[0, 2:4, 2:5, 3:6] = id_
    plain = (labels != 0).astype(np.uint8)
    full = some_mask("full", (6, 7, 8))
    expected = made(kind, plain, (8, 8, 8), full)
    for name, values in made(kind, labels, (8, 8, 8), full).items():
        np.testing.assert_array_equal(values, expected[name])


@every_kind
def test_ground_truth_and_masks_that_do_not_fit_are_refused(kind):
    predictor = KINDS[kind](["a", "b"])
    labels = np.zeros((2, 4, 5, 6), np.uint8)
    gt = placed(labels, (8, 8, 8))
    target = predictor.create_target(gt)
    with pytest.raises(DataError, match=r"has 3 channels, but the task has 2 \(a, b\)"):
        predictor.create_target(placed(np.zeros((3, 4, 5, 6), np.uint8), (8, 8, 8)))
    with pytest.raises(DataError, match="16 nm is less than a voxel of 20 x 20 x 20 nm"):
        predictor.create_target(placed(labels, (20, 20, 20)))
    with pytest.raises(DataError, match="float32, but distances need whole numbers"):
        predictor.create_target(placed(labels.astype(np.float32), (8, 8, 8)))
    with pytest.raises(DataError, match="negative id -1"):
        predictor.create_target(placed(labels.astype(np.int8) - 1, (8, 8, 8)))
    with pytest.raises(DataError, match="mask has 3 channels, but the ground truth 2"):
        predictor.weigh(gt, target, placed(np.ones((3, 4, 5, 6), np.uint8), (8, 8, 8)))


@every_kind
def test_a_mask_may_have_a_channel_for_all_or_for_each(kind):
    labels = np.random.default_rng(0).integers(0, 2, (2, 6, 7, 8)).astype(np.uint8)
    gt = placed(labels, (8, 8, 8))
    predictor = KINDS[kind](["a", "b"])
    target = predictor.create_target(gt)
    known = some_mask("holes", labels.shape)

    def weight(mask, channels=True):
        return predictor.weigh(gt, target, placed(mask, (8, 8, 8), channels)).weight.data

    shared = weight(known[0], channels=False)
    np.testing.assert_array_equal(weight(known[:1]), shared)
    each = weight(known)
    np.testing.assert_array_equal(each[::2], shared[::2])
    assert (each[1][known[1] == 0] == 0).all()
    assert (each[1] != shared[1]).any()
    assert (each[-1][known[1] == 0] == 0).all()


@pytest.mark.parametrize("shift", [(0, 0), (3, -3), (-1, 2)])
def test_what_is_unknown_far_away_changes_nothing_and_need_not_be_read(shift):
    rng = np.random.default_rng(1)
    labels = np.kron(rng.integers(0, 2, (1, 10, 10)), np.ones((1, 6, 6), int)).astype(np.uint8)
    gt = NumpyArray(labels, axes="cyx", voxel_size=(8, 8))
    predictor = KINDS["distance"](["a"])
    target = predictor.create_target(gt).crop(Roi((200, 200), (80, 80)))
    known = (rng.random((60, 60)) > 0.02).astype(np.uint8)
    # A mask that is off by part of a voxel is read from the nearest whole ones.
    mask = NumpyArray(known, axes="yx", voxel_size=(8, 8), offset=shift)
    wide = predictor.trusted(target, mask).data
    for reach in (3, 6, 12):
        inner = slice(25 - reach, 35 + reach)
        near = NumpyArray(
            known[inner, inner],
            axes="yx",
            voxel_size=(8, 8),
            offset=[(25 - reach) * 8 + part for part in shift],
        )
        np.testing.assert_array_equal(predictor.trusted(target, near).data, wide)
    read = []

    class Watched(NumpyArray):
        def __getitem__(self, roi):
            read.append(roi)
            return super().__getitem__(roi)

    predictor.trusted(target, Watched(known, axes="yx", voxel_size=(8, 8)))
    # 1.1 times 16 nm are three voxels.
    assert read == [Roi((176, 176), (128, 128))]


def test_of_a_mask_that_is_off_by_part_of_a_voxel_whole_voxels_are_read():
    # The mask covers 195 to 291, the target 200 to 280: one whole voxel more, at the end.
    rng = np.random.default_rng(1)
    labels = np.kron(rng.integers(0, 2, (1, 10, 10)), np.ones((1, 6, 6), int)).astype(np.uint8)
    predictor = KINDS["distance"](["a"])
    target = predictor.create_target(placed(labels, (8, 8))).crop(Roi((200, 200), (80, 80)))
    known = (rng.random((12, 12)) > 0.02).astype(np.uint8)
    off = NumpyArray(known, axes="yx", voxel_size=(8, 8), offset=(195, 195))
    aligned = NumpyArray(known[1:, 1:], axes="yx", voxel_size=(8, 8), offset=(200, 200))
    expected = predictor.trusted(target, aligned).data
    np.testing.assert_array_equal(predictor.trusted(target, off).data, expected)
