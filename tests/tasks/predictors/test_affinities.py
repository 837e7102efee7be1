import json
from pathlib import Path

import numpy as np
import pytest
from funlib.geometry import Coordinate, Roi
from hypothesis import given, settings
from hypothesis import strategies as st

from napari_dacapo_tasks.architectures import CNNectomeUNet
from napari_dacapo_tasks.arrays import NumpyArray
from napari_dacapo_tasks.errors import ConfigError, DataError
from napari_dacapo_tasks.numerics.balance import balance_weights
from napari_dacapo_tasks.tasks.predictors.affinities import AffinitiesPredictor

GOLDEN = Path(__file__).parents[2] / "golden"
INDEX = json.loads((GOLDEN / "index.json").read_text())
CASES = sorted(name for name in INDEX if name.startswith("affinities_"))
WITH_LSDS = [name for name in CASES if INDEX[name]["lsds"]]

NEAREST = [(1, 0, 0), (0, 1, 0), (0, 0, 1)]
SIZE = (8, 4, 4)


def placed(values, voxel_size=SIZE, begin=None, axes=None):
    size = Coordinate(voxel_size)
    axes = axes or ("c", "z", "y", "x")[4 - values.ndim :]
    return NumpyArray(values, axes=axes, voxel_size=size, offset=begin)


def load(name):
    parameters = INDEX[name]
    chosen = ("neighborhood", "lsds", "num_voxels", "downsample_lsds", "background_as_object")
    predictor = AffinitiesPredictor(**{key: parameters[key] for key in chosen if key in parameters})
    arrays = dict(np.load(GOLDEN / f"{name}.npz"))
    axes = "zyx"[-arrays["gt"].ndim :]
    return predictor, arrays, placed(arrays["gt"], parameters["voxel_size"], axes=axes)


def cells(shape, seed=0):
    rng = np.random.default_rng(seed)
    coarse = rng.integers(0, 4, [-(-length // 3) for length in shape])
    for axis in range(coarse.ndim):
        coarse = coarse.repeat(3, axis)
    return coarse[tuple(slice(length) for length in shape)].astype(np.uint16)


# The target


@pytest.mark.parametrize("name", CASES)
def test_targets_are_dacapos(name):
    predictor, arrays, gt = load(name)
    target = predictor.create_target(gt)
    assert target.axes == ("c", *gt.axes)
    assert target.dtype == (np.float32 if predictor.lsds else np.uint8)
    assert target.num_channels == len(predictor.target_channels) == len(arrays["target"])
    count = len(predictor.neighborhood)
    np.testing.assert_array_equal(target.data[:count], arrays["target"][:count])
    np.testing.assert_allclose(target.data[count:], arrays["target"][count:], atol=1e-3, rtol=0)
    assert target.data.min() >= 0
    assert target.data.max() <= 1


@pytest.mark.parametrize("name", WITH_LSDS)
def test_weights_of_descriptors_are_dacapos(name):
    predictor, arrays, gt = load(name)
    target = placed(arrays["target"], gt.voxel_size, axes=("c", *gt.axes))
    known = placed(np.ones(gt.shape, np.uint8), gt.voxel_size, axes=gt.axes)
    weight, (_, counts) = predictor.create_weight(gt, target, known)
    assert weight.dtype == np.float32
    count = len(predictor.neighborhood)
    np.testing.assert_allclose(weight.data[count:], arrays["weight"][count:], rtol=1e-6)
    assert len(counts) == 1


def test_a_channel_axis_of_one_is_the_same_as_none():
    ids = cells((6, 7, 8))
    predictor = AffinitiesPredictor(NEAREST, lsds=False)
    flat, deep = placed(ids), placed(ids[np.newaxis])
    np.testing.assert_array_equal(
        predictor.create_target(flat).data, predictor.create_target(deep).data
    )
    known = np.ones(ids.shape, np.uint8)
    target = predictor.create_target(deep)
    np.testing.assert_array_equal(
        predictor.create_weight(flat, target, placed(known))[0].data,
        predictor.create_weight(deep, target, placed(known[np.newaxis]))[0].data,
    )


# Channels


def test_channels_of_a_volume_have_names_and_ranges():
    predictor = AffinitiesPredictor([*NEAREST, (0, -3, 0), (-2, 1, 1)], lsds=True)
    assert predictor.target_channels == [
        *("z+1", "y+1", "x+1", "y-3", "z-2 y+1 x+1"),
        *("LSD offset z", "LSD offset y", "LSD offset x"),
        *("LSD variance z", "LSD variance y", "LSD variance x"),
        *("LSD correlation zy", "LSD correlation zx", "LSD correlation yx"),
        "LSD mass",
    ]
    assert predictor.target_ranges == [(0.0, 1.0)] * 15
    assert predictor.output_array_type.embedding_dims == 15
    assert {one.name: one.channels for one in predictor.composites} == {
        "nearest affinities": (0, 1, 2),
        "LSD offset": (5, 6, 7),
        "LSD variance": (8, 9, 10),
        "LSD correlation": (11, 12, 13),
    }


def test_channels_of_an_image_have_names_too():
    predictor = AffinitiesPredictor([(0, 1), (1, 0)], lsds=True)
    assert predictor.target_channels == [
        *("x+1", "y+1"),
        *("LSD offset y", "LSD offset x", "LSD variance y", "LSD variance x"),
        *("LSD correlation yx", "LSD mass"),
    ]
    assert {one.name: one.channels for one in predictor.composites} == {
        "nearest affinities": (1, 0),
        "LSD offset": (2, 3),
        "LSD variance": (4, 5),
    }


@pytest.mark.parametrize(
    ("neighborhood", "channels"),
    [
        ([(0, 0, 1), (0, 1, 0), (1, 0, 0)], (2, 1, 0)),  # z, y, x are red, green, blue
        ([(0, 9, 0), (3, 0, 0), (0, 0, -1), (0, 1, 0), (1, 0, 0)], (4, 3, 2)),
        ([(0, 9, 0), (0, 0, 1), (0, 1, 0)], (2, 1)),  # within sections only
        ([(1, 0, 0), (-1, 0, 0)], None),  # the same twice
        ([(0, 0, 1)], None),
        ([(3, 0), (0, 1), (1, 0)], (2, 1)),
    ],
)
def test_the_nearest_affinity_along_each_axis_is_seen_together(neighborhood, channels):
    found = [one.channels for one in AffinitiesPredictor(neighborhood, lsds=False).composites]
    assert found == ([] if channels is None else [channels])


# The weight


def test_by_hand_where_a_partner_is_unknown():
    gt = placed(np.array([[1, 1, 1, 2, 2]]), (4, 4), axes="yx")
    known = placed(np.array([[1, 1, 1, 1, 0]], np.uint8), (4, 4), axes="yx")
    predictor = AffinitiesPredictor([(0, 1), (0, -1)], lsds=False)
    target = predictor.create_target(gt)
    weight, _ = predictor.create_weight(gt, target, known)
    # To the right: joined, joined, apart, masked out, outside. f = 2/4 and 1/4.
    np.testing.assert_allclose(weight.data[0, 0], [1, 1, 2, 0, 0])
    # To the left: outside, joined, joined, apart; the last voxel is masked out itself.
    np.testing.assert_allclose(weight.data[1, 0], [0, 1, 1, 2, 0])


def test_partners_in_the_context_are_known():
    gt = placed(np.array([[1, 1, 1, 2, 2]]), (4, 4), axes="yx")
    known = placed(np.ones((1, 5), np.uint8), (4, 4), axes="yx")
    predictor = AffinitiesPredictor([(0, 2), (0, -2)], lsds=False)
    middle = Roi((0, 4), (4, 8))  # voxels 1 and 2
    target = predictor.create_target(gt).crop(middle)
    weight, counts = predictor.create_weight(gt, target, known)
    assert weight.roi == middle
    np.testing.assert_array_equal(target.data[:, 0], [[0, 0], [0, 1]])
    # Voxel 1 has no partner at -1; voxel 2 has both.
    np.testing.assert_array_equal(weight.data[:, 0] > 0, [[1, 1], [0, 1]])
    assert counts[0] == [{0: (2, 3), 1: (0, 3)}, {0: (0, 2), 1: (1, 2)}]
    # Without context, or where the ground truth ends, the same voxels have fewer partners.
    alone = placed(np.ones((1, 2), np.uint8), (4, 4), begin=middle.begin, axes="yx")
    weight, _ = predictor.create_weight(gt, target, alone)
    assert not weight.data.any()
    weight, _ = predictor.create_weight(gt.crop(middle), target, known)
    assert not weight.data.any()


@settings(max_examples=25, deadline=None)
@given(st.tuples(*[st.integers(1, 8)] * 3), st.integers(0, 5), st.booleans())
def test_a_crop_with_its_context_is_the_crop_of_the_whole(shape, seed, background):
    neighborhood = [(1, 0, 0), (0, -3, 0), (-2, 1, 2), (0, 0, 5)]
    predictor = AffinitiesPredictor(neighborhood, lsds=False, background_as_object=background)
    whole = cells((12, 16, 18), seed)
    rng = np.random.default_rng(seed)
    gt = placed(whole, begin=(80, 40, -8))
    mask = placed((rng.random(whole.shape) < 0.8).astype(np.uint8), begin=(80, 40, -8))
    begin = gt.roi.begin + Coordinate(SIZE) * Coordinate(rng.integers(0, 4, 3).tolist())
    roi = Roi(begin, Coordinate(SIZE) * Coordinate(shape))
    context = predictor.padding(Coordinate(SIZE))
    around = roi.grow(context, context).intersect(gt.roi)
    # Counts of so much that a crop does not change them.
    before = ([{0: (6e12, 1e13), 1: (4e12, 1e13)}] * 4, None)

    target = predictor.create_target(gt)
    expected, _ = predictor.create_weight(gt, target, mask, before)
    crop = predictor.create_target(gt.crop(around)).crop(roi)
    weight, _ = predictor.create_weight(gt.crop(around), crop, mask.crop(around), before)
    np.testing.assert_array_equal(crop.data, target[roi])
    np.testing.assert_allclose(weight.data, expected[roi], rtol=1e-6)


def test_descriptors_of_a_crop_with_its_context_are_those_of_the_whole():
    predictor = AffinitiesPredictor(NEAREST, lsds=True, num_voxels=1)
    gt = placed(cells((14, 20, 22)), begin=(80, 40, -8))
    roi = Roi(gt.roi.begin + Coordinate(40, 32, 36), Coordinate(SIZE) * Coordinate(4, 3, 5))
    context = predictor.padding(Coordinate(SIZE))
    around = roi.grow(context, context)
    assert gt.roi.contains(around), "the crop has its whole context"
    crop = predictor.create_target(gt.crop(around)).crop(roi)
    np.testing.assert_allclose(crop.data, predictor.create_target(gt)[roi], atol=1e-6)


def test_descriptors_share_a_weight_balanced_on_foreground():
    ids = cells((6, 7, 8))
    mask = (np.random.default_rng(0).random(ids.shape) < 0.7) * np.uint8(255)
    predictor = AffinitiesPredictor(
        NEAREST, lsds=True, background_as_object=True, lsd_weight_clipmin=0.3
    )
    target = placed(np.zeros((13, *ids.shape), np.float32))
    weight, (_, counts) = predictor.create_weight(placed(ids), target, placed(mask))
    expected, expected_counts = balance_weights((ids > 0)[np.newaxis], 2, [mask != 0], clipmin=0.3)
    assert counts == expected_counts
    for channel in weight.data[3:]:
        np.testing.assert_array_equal(channel, expected[0])


@pytest.mark.parametrize("lsds", [False, True])
def test_counts_passed_in_go_on_and_are_not_changed(lsds):
    ids = cells((6, 7, 8))
    predictor = AffinitiesPredictor(NEAREST, lsds=lsds)
    gt, mask = placed(ids), placed(np.ones(ids.shape, np.uint8))
    target = placed(np.zeros((predictor.embedding_dims, *ids.shape), np.float32))
    _, first = predictor.create_weight(gt, target, mask)
    said = json.dumps(first)
    _, second = predictor.create_weight(gt, target, mask, first)
    assert json.dumps(first) == said
    assert (second[1] is None) == (not lsds)
    for one, two in zip(first, second, strict=True):
        for of_one, of_two in zip(one or [], two or [], strict=True):
            for (num, den), counted in zip(of_one.values(), of_two.values(), strict=True):
                assert counted == (2 * num, 2 * den - 1)  # the denominator starts at 1


# Context and model


@pytest.mark.parametrize(
    ("neighborhood", "lsds", "voxel_size", "context"),
    [
        (NEAREST, False, (8, 4, 4), (8, 4, 4)),
        ([(-3, 0, 0), (1, 2, 0)], False, (40, 4, 4), (120, 8, 0)),  # both signs
        ([(0, -27), (0, 9)], False, (4, 4), (0, 108)),
        # 3 sigma = 3 * 2 * 40 = 240, in whole voxels of 7.
        (NEAREST, True, (40, 7, 4), (240, 245, 240)),
        ([(0, 100, 0)], True, (40, 7, 4), (240, 700, 240)),
    ],
)
def test_context_reaches_as_far_as_offsets_and_descriptors(neighborhood, lsds, voxel_size, context):
    predictor = AffinitiesPredictor(neighborhood, lsds=lsds, num_voxels=2)
    assert predictor.padding(Coordinate(voxel_size)) == Coordinate(context)


def test_the_reach_is_the_longest_step_along_each_axis():
    assert AffinitiesPredictor([(1, 0, 0), (0, 2, -9)], lsds=True).reach(3) == (1, 2, 9)


@pytest.mark.parametrize(("lsds", "channels"), [(False, 3), (True, 13)])
def test_the_model_has_a_channel_for_each_of_the_target(small_net, lsds, channels):
    import torch

    model = AffinitiesPredictor(NEAREST, lsds=lsds).create_model(small_net)
    assert model.num_out_channels == channels
    crop = torch.rand(1, 1, *small_net.input_shape)
    with torch.no_grad():
        logits = model(crop)
        answer = model.eval()(crop)
    assert answer.shape[1] == channels
    torch.testing.assert_close(answer, logits.sigmoid())


def test_a_model_of_other_axes_is_refused():
    flat = CNNectomeUNet(
        input_shape=(32, 32),
        num_fmaps=2,
        fmaps_out=2,
        fmap_inc_factor=2,
        downsample_factors=[(2, 2)],
    )
    with pytest.raises(ConfigError, match="offsets of 3 axes, but the network works on 2"):
        AffinitiesPredictor(NEAREST).create_model(flat)


# What is refused


@pytest.mark.parametrize(
    ("neighborhood", "sentence"),
    [
        ([], "there is no offset"),
        ([(0, 0, 0)], r"\[0, 0, 0\] leads from a voxel to itself"),
        ([(1, 0, 0), (0, 1)], "3 and 2 axes"),
        ([(1, 0, 0), (1, 0, 0)], "more than once"),
    ],
)
def test_bad_neighbourhoods_are_refused(neighborhood, sentence):
    with pytest.raises(ConfigError, match=sentence):
        AffinitiesPredictor(neighborhood)


def test_boundaries_that_grow_are_refused():
    with pytest.raises(ConfigError, match="grow by 2 voxels"):
        AffinitiesPredictor(NEAREST, grow_boundary_iterations=2)


@pytest.mark.parametrize(
    ("values", "axes", "neighborhood", "sentence"),
    [
        (np.ones((2, 4, 4, 4), int), "czyx", NEAREST, "2 channels, but affinities are made of one"),
        (np.ones((4, 4, 4), int), "zyx", [(0, 1)], r"offsets of 2 axes, such as \[0, 1\].*has 3"),
        (np.ones((4, 4), int), "yx", NEAREST, r"offsets of 3 axes, such as \[1, 0, 0\].*has 2"),
        (np.ones((1, 4, 4), int), "zyx", NEAREST, r"\(1, 0, 0\) reaches beyond .*\(1, 4, 4\)"),
        (np.ones((4, 4, 4)), "zyx", NEAREST, "float64"),
    ],
)
def test_ground_truth_that_does_not_fit_is_refused(values, axes, neighborhood, sentence):
    gt = placed(values, (4,) * sum(name != "c" for name in axes), axes=axes)
    with pytest.raises(DataError, match=sentence):
        AffinitiesPredictor(neighborhood, lsds=False).create_target(gt)


def test_the_context_of_other_axes_is_refused():
    with pytest.raises(DataError, match="offsets of 3 axes"):
        AffinitiesPredictor(NEAREST).padding(Coordinate(4, 4))


def test_masks_that_do_not_fit_are_refused():
    ids = cells((6, 7, 8))
    predictor = AffinitiesPredictor(NEAREST, lsds=False)
    gt = placed(ids)
    target = predictor.create_target(gt)
    with pytest.raises(DataError, match="mask has 3 channels"):
        predictor.weigh(gt, target, placed(np.ones((3, *ids.shape), np.uint8)))
    with pytest.raises(DataError, match="mask covers"):
        predictor.weigh(gt, target, placed(np.ones((5, 7, 8), np.uint8)))
