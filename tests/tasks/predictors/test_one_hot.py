import json
from copy import deepcopy
from pathlib import Path

import numpy as np
import pytest
import torch
from funlib.geometry import Coordinate, Roi
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays as array_of

from napari_dacapo_tasks.architectures import CNNectomeUNet
from napari_dacapo_tasks.arrays import NumpyArray
from napari_dacapo_tasks.errors import DataError
from napari_dacapo_tasks.tasks.predictors.one_hot import OneHotPredictor
from napari_dacapo_tasks.tasks.predictors.predictor import Composite

GOLDEN = Path(__file__).parents[2] / "golden"
INDEX = json.loads((GOLDEN / "index.json").read_text())

shapes = st.one_of(st.tuples(*[st.integers(1, 6)] * 3), st.tuples(*[st.integers(1, 9)] * 2))
label_arrays = shapes.flatmap(lambda shape: array_of(np.uint8, shape, elements=st.integers(0, 4)))
few = settings(max_examples=40, deadline=None)


def placed(values, channels=False):
    axes = "zyx"[-(values.ndim - channels) :]
    return NumpyArray(values, axes="c" + axes if channels else axes, voxel_size=(8,) * len(axes))


def weighed(labels, mask=None, number=3, counts=None):
    gt = placed(labels)
    predictor = OneHotPredictor([f"class {label}" for label in range(number)], 1)
    mask = np.ones(labels.shape, np.uint8) if mask is None else mask
    return predictor.weigh(gt, predictor.create_target(gt), placed(mask), counts)


@pytest.mark.parametrize("name", sorted(name for name in INDEX if name.startswith("one_hot_")))
def test_targets_are_dacapos(name):
    arrays = np.load(GOLDEN / f"{name}.npz")
    target = OneHotPredictor(INDEX[name]["classes"], 1).create_target(placed(arrays["gt"]))
    assert target.dtype == np.uint8
    np.testing.assert_array_equal(target.data, arrays["target"])


@pytest.mark.parametrize("channels", [False, True])
def test_a_channel_for_each_class_in_the_place_of_the_labels(channels):
    labels = np.array([[0, 1, 2], [2, 9, 1]], np.uint16)
    gt = NumpyArray(
        labels[None] if channels else labels,
        axes="cyx" if channels else "yx",
        voxel_size=(8, 8),
        offset=(80, 0),
    )
    target = OneHotPredictor(["bg", "a", "b"], 1).create_target(gt)
    by_class = [[[1, 0, 0], [0, 0, 0]], [[0, 1, 0], [0, 0, 1]], [[0, 0, 1], [1, 0, 0]]]
    np.testing.assert_array_equal(target.data, by_class)
    assert target.roi == gt.roi
    assert target.axes == ("c", "y", "x")


def test_by_hand_the_weight_balances_where_dacapos_is_1():
    # 4 known voxels, and DaCapo's count starts at 1: shares of 3/5 and 1/5.
    first = weighed(np.array([[0, 0, 0, 1, 1]]), np.array([[1, 1, 1, 1, 0]]), number=2)
    balanced = [[5 / 6, 5 / 6, 5 / 6, 5 / 2, 0]]
    np.testing.assert_allclose(first.weight.data, [balanced, balanced], rtol=1e-6)
    assert first.counts == [{0: (3, 5), 1: (1, 5)}]
    before = deepcopy(first.counts)
    second = weighed(np.array([[1, 1]]), number=2, counts=first.counts)
    assert first.counts == before
    # 3 of the 7 so far are class 1.
    np.testing.assert_allclose(second.weight.data[0], [[7 / 6, 7 / 6]], rtol=1e-6)


def test_by_hand_a_label_beyond_the_classes_has_no_weight_and_is_told():
    # Without it there are 2 voxels: shares of 1/3 each.
    weighting = weighed(np.array([[0, 1, 5, 5, 7]]), number=2)
    np.testing.assert_allclose(weighting.weight.data[1], [[1.5, 1.5, 0, 0, 0]], rtol=1e-6)
    assert weighting.notices == (
        "3 voxels have labels of none of the 2 classes (5, 7), and so no weight.",
    )
    (notice,) = weighed(np.array([[0, 1, 5]]), number=2).notices
    assert notice == "1 voxel has a label of none of the 2 classes (5), and so no weight."


def test_of_many_labels_beyond_the_classes_the_first_are_named():
    labels = np.random.default_rng(0).permutation(4 * 300 * 300).reshape(4, 300, 300)
    (notice,) = weighed(labels).notices
    assert notice.startswith("359997 voxels have labels of none of the 3 classes (3, 4, 5, 6, 7, ")


def test_labels_beyond_the_classes_that_are_unknown_anyway_are_not_told():
    assert weighed(np.array([[0, 1, 5]]), np.array([[1, 1, 0]])).notices == ()


@pytest.mark.parametrize(
    ("dtype", "strange"),
    [("uint64", 2**64 - 1), ("uint64", 2**63), ("uint8", 255), ("int8", -1), (">i8", -(2**63))],
)
def test_ids_of_any_size_and_type(dtype, strange):
    labels = np.array([[0, 1, 2, strange]], dtype)
    target = OneHotPredictor(["bg", "a", "b"], 1).create_target(placed(labels))
    np.testing.assert_array_equal(target.data[:, 0], np.eye(3, 4))
    weighting = weighed(labels)
    assert (weighting.weight.data[0, 0] > 0).tolist() == [True, True, True, False]
    assert f"({strange})" in weighting.notices[0]


def test_bool_labels_are_the_first_two_classes():
    weighting = weighed(np.array([[True, False]]))
    assert (weighting.weight.data > 0).all()
    assert weighting.notices == ()
    target = OneHotPredictor(["bg", "a", "b"], 1).create_target(placed(np.array([[True, False]])))
    np.testing.assert_array_equal(target.data[:, 0], [[0, 1], [1, 0], [0, 0]])


def test_more_classes_than_a_byte_counts():
    labels = np.array([[0, 255, 256, 299, 300]], np.uint16)
    weighting = weighed(labels, number=300)
    assert (weighting.weight.data[299, 0] > 0).tolist() == [True] * 4 + [False]
    assert set(weighting.counts[0]) == set(range(300))
    assert weighting.counts[0][256] == (1, 5)
    target = OneHotPredictor([str(label) for label in range(300)], 1).create_target(placed(labels))
    assert [channel.nonzero()[1].tolist() for channel in target.data[[0, 255, 256, 299]]] == [
        [0],
        [1],
        [2],
        [3],
    ]
    few_classes = OneHotPredictor([str(label) for label in range(300)], 1)
    small = few_classes.create_target(placed(np.array([[255, 44]], np.uint8)))
    assert small.data.sum() == 2, "no class is taken modulo 256"


def test_the_weight_is_one_volume_for_all_channels():
    weighting = weighed(np.zeros((6, 7, 8), np.uint8))
    weight = weighting.weight
    assert weight.data.shape == (3, 6, 7, 8)
    assert weight.data.strides[0] == 0
    assert not weight.writable
    part = weight.crop(Roi((8, 16, 24), (24, 24, 24)))
    assert part.data.shape == (3, 3, 3, 3)
    assert part.data.strides[0] == 0
    stacked = np.stack([part.data, part.data])
    np.testing.assert_array_equal(stacked, np.broadcast_to(part.data, (2, 3, 3, 3, 3)))


@few
@given(label_arrays, st.data())
def test_mirrored_and_turned_labels(labels, data):
    predictor = OneHotPredictor(["bg", "a", "b"], 1)
    target = predictor.create_target(placed(labels)).data
    weight = weighed(labels).weight.data
    axes = data.draw(st.permutations(range(labels.ndim)))
    turn = (0, *[axis + 1 for axis in axes])
    turned = labels.transpose(axes)
    np.testing.assert_array_equal(
        predictor.create_target(placed(turned)).data, target.transpose(turn)
    )
    np.testing.assert_array_equal(weighed(turned).weight.data, weight.transpose(turn))
    axis = data.draw(st.integers(0, labels.ndim - 1))
    mirrored = np.flip(labels, axis)
    np.testing.assert_array_equal(
        predictor.create_target(placed(mirrored)).data, np.flip(target, axis + 1)
    )
    np.testing.assert_array_equal(weighed(mirrored).weight.data, np.flip(weight, axis + 1))


@few
@given(label_arrays, st.permutations(range(5)))
def test_classes_in_another_order(labels, order):
    predictor = OneHotPredictor("abcde", 1)
    target = predictor.create_target(placed(labels)).data
    renamed = np.array(order)[labels]
    np.testing.assert_array_equal(predictor.create_target(placed(renamed)).data[order], target)
    np.testing.assert_allclose(
        weighed(renamed, number=5).weight.data, weighed(labels, number=5).weight.data
    )
    assert (target.sum(axis=0) == 1).all()


@few
@given(label_arrays)
def test_classes_weigh_the_same_in_sum(labels):
    weight = weighed(labels).weight.data[0]
    assert (weight[labels > 2] == 0).all()
    counted = np.count_nonzero(labels <= 2)
    sums = [
        weight[labels == label].sum()
        for label in range(3)
        if 0.05 < np.count_nonzero(labels == label) / (1 + counted) < 0.95
    ]
    np.testing.assert_allclose(sums, (1 + counted) / 3, rtol=1e-5)


@few
@given(array_of(np.uint8, (6, 9), elements=st.integers(0, 4)))
def test_an_image_is_a_volume_of_one_slice(labels):
    predictor = OneHotPredictor(["bg", "a", "b"], 1)
    image, slab = (predictor.create_target(placed(one)).data for one in (labels, labels[None]))
    np.testing.assert_array_equal(slab[:, 0], image)
    np.testing.assert_array_equal(
        weighed(labels[None]).weight.data[:, 0], weighed(labels).weight.data
    )


def test_a_crop_needs_no_context():
    labels = np.random.default_rng(0).integers(0, 4, (9, 10, 11))
    predictor = OneHotPredictor(["bg", "a", "b"], 1)
    assert predictor.padding(Coordinate(40, 4, 4)) == Coordinate(0, 0, 0)
    gt, mask, roi = placed(labels), placed(np.ones_like(labels)), Roi((16, 8, 24), (40, 48, 32))
    whole = predictor.create_target(gt)
    part = predictor.create_target(gt.crop(roi))
    np.testing.assert_array_equal(part.data, whole[roi])
    # Ground truth and mask may reach beyond the target.
    wide = predictor.weigh(gt, part, mask).weight
    assert wide.roi == roi
    np.testing.assert_array_equal(wide.data, predictor.weigh(gt.crop(roi), part, mask).weight.data)


def test_one_class_alone_and_nothing_known():
    only = weighed(np.full((2, 3, 4), 1))
    # 24 of 25 voxels count as the highest share of 0.95.
    np.testing.assert_allclose(only.weight.data, 1 / (3 * 0.95), rtol=1e-6)
    assert not weighed(np.full((2, 3, 4), 1), np.zeros((2, 3, 4), np.uint8)).weight.data.any()
    strange = weighed(np.full((2, 3, 4), 9))
    assert not strange.weight.data.any()
    assert "24 voxels" in strange.notices[0]


def test_any_mask_value_but_zero_is_known_and_weighs_the_same():
    labels = np.array([[0, 1, 1]])
    ones = weighed(labels, np.array([[1, 1, 0]]))
    others = weighed(labels, np.array([[255, 7, 0]]))
    np.testing.assert_array_equal(ones.weight.data, others.weight.data)


def test_what_is_no_labels_volume_is_refused():
    predictor = OneHotPredictor(["bg", "a"], 1)
    with pytest.raises(DataError, match="has 2 channels, but all classes come from one volume"):
        predictor.create_target(placed(np.zeros((2, 4, 4), np.uint8), channels=True))
    with pytest.raises(DataError, match="float32, but classes are whole numbers"):
        predictor.create_target(placed(np.zeros((4, 4), np.float32)))
    gt = placed(np.zeros((4, 4), np.uint8))
    with pytest.raises(DataError, match="mask has 2 channels"):
        predictor.weigh(
            gt, predictor.create_target(gt), placed(np.ones((2, 4, 4), np.uint8), channels=True)
        )


@pytest.mark.parametrize("dims", [2, 3])
@pytest.mark.parametrize("kernel_size", [1, 3])
def test_the_head_answers_logits_and_in_eval_mode_probabilities(dims, kernel_size):
    net = CNNectomeUNet(
        input_shape=(20,) * dims,
        num_fmaps=4,
        fmaps_out=5,
        fmap_inc_factor=2,
        downsample_factors=[(2,) * dims],
    )
    model = OneHotPredictor(["bg", "a", "b"], kernel_size).create_model(net)
    assert model.prediction_head.weight.shape == (3, 5, *(kernel_size,) * dims)
    x = torch.randn(2, 1, *(20,) * dims)
    with torch.no_grad():
        logits = model.train()(x)
        answer = model.eval()(x)
    assert answer.shape == (2, 3, *(4,) * dims)
    torch.testing.assert_close(answer, logits.softmax(dim=1))
    torch.testing.assert_close(answer.sum(dim=1), torch.ones(2, *(4,) * dims))


def test_what_it_says_of_its_channels():
    predictor = OneHotPredictor(["bg", "a", "b"], 1)
    assert predictor.target_channels == ["bg", "a", "b"]
    assert predictor.target_ranges == [(0, 1)] * 3
    assert predictor.composites == [Composite("classes", (0, 1, 2), exclusive=True)]
    assert predictor.output_array_type.classes == ["bg", "a", "b"]
    assert predictor.output_array_type.interpolatable
