"""Foreground with distances; what they share with others is in `test_distances.py`."""

import json
from copy import deepcopy
from pathlib import Path

import numpy as np
import pytest
import torch
from funlib.geometry import Coordinate

from napari_dacapo_tasks.architectures import CNNectomeUNet
from napari_dacapo_tasks.arrays import DistanceArray, NumpyArray, ProbabilityArray
from napari_dacapo_tasks.tasks.predictors.distance import DistancePredictor
from napari_dacapo_tasks.tasks.predictors.hot_distance import HotDistancePredictor

GOLDEN = Path(__file__).parents[2] / "golden"
INDEX = json.loads((GOLDEN / "index.json").read_text())


def placed(values, voxel_size):
    axes = "czyx" if len(voxel_size) == 3 else "cyx"
    return NumpyArray(values, axes=axes, voxel_size=voxel_size)


@pytest.mark.parametrize("name", sorted(name for name in INDEX if name.startswith("hot_")))
def test_targets_and_weights_are_dacapos(name):
    parameters = INDEX[name]
    arrays = np.load(GOLDEN / f"{name}.npz")
    gt, mask = (placed(arrays[key], parameters["voxel_size"]) for key in ("gt", "mask"))
    keys = ("channels", "scale_factor", "mask_distances", "kernel_size")
    predictor = HotDistancePredictor(*(parameters[key] for key in keys))
    target = predictor.create_target(gt)
    np.testing.assert_allclose(target.data, arrays["target"], atol=1e-6, rtol=0)
    weight, _ = predictor.create_weight(gt, target, mask)
    np.testing.assert_allclose(weight.data, arrays["weight"], rtol=1e-6)


def test_by_hand_where_dacapo_takes_ids_as_probabilities():
    gt = placed(np.array([[[0, 7, 7, 0]]], np.uint16), (100, 1))
    target = HotDistancePredictor(["a"], 1, False, 1).create_target(gt)
    half = np.tanh(0.5)
    np.testing.assert_allclose(target.data, [[[0, 1, 1, 0]], [[-half, half, half, -half]]])
    np.testing.assert_array_equal(gt.data, [[[0, 7, 7, 0]]])


def test_the_halves_are_weighted_on_their_own():
    # 1 known voxel of 3 is foreground; DaCapo's count starts at 1: shares of 1/4 and 2/4.
    gt = placed(np.array([[[1, 0, 0, 0]]], np.uint8), (100, 1))
    known = NumpyArray(np.array([[1, 1, 1, 0]], np.uint8), axes="yx", voxel_size=(100, 1))
    predictor = HotDistancePredictor(["a"], 1, True, 1)
    target = predictor.create_target(gt)
    weighting = predictor.weigh(gt, target, known)
    np.testing.assert_allclose(weighting.weight.data[0], [[2, 1, 1, 0]])
    # Depths of 0.5, 0.5 and 1.5 against a border at 1, 2 and 1 voxels:
    # tanh(.5) + .05 = .512 < tanh(1) = .762; .512 < .964; min(.955, .8) >= .762: dropped.
    np.testing.assert_array_equal(weighting.masks["distance mask"].data, [[[1, 1, 0, 0]]])
    # 1 of 3 and 1 of 3.
    np.testing.assert_allclose(weighting.weight.data[1], [[1.5, 1.5, 0, 0]])


def test_the_distance_half_is_the_distance_task():
    rng = np.random.default_rng(0)
    labels = np.kron(rng.integers(0, 3, (2, 5, 5, 5)), np.ones((1, 5, 5, 5), int))
    gt = placed(labels, (8, 8, 8))
    mask = placed((rng.random(labels.shape) > 0.01).astype(np.uint8), (8, 8, 8))
    hot, alone = HotDistancePredictor(["a", "b"], 16, True, 1), DistancePredictor("ab", 16, True)
    target, distances = hot.create_target(gt), alone.create_target(gt)
    np.testing.assert_array_equal(target.data[2:], distances.data)
    both, one = hot.weigh(gt, target, mask), alone.weigh(gt, distances, mask)
    np.testing.assert_array_equal(both.weight.data[2:], one.weight.data)
    np.testing.assert_array_equal(both.masks["distance mask"].data, one.masks["distance mask"].data)
    assert both.counts[1] == one.counts


def test_counts_go_on_as_a_pair_and_those_passed_in_stay():
    gt = placed(np.array([[[1, 0, 0, 0]], [[1, 1, 0, 0]]], np.uint8), (100, 1))
    known = NumpyArray(np.ones((1, 4), np.uint8), axes="yx", voxel_size=(100, 1))
    predictor = HotDistancePredictor(["a", "b"], 1, True, 1)
    target = predictor.create_target(gt)
    _, first = predictor.create_weight(gt, target, known)
    one_hot, distances = first
    assert one_hot == [{0: (3, 5), 1: (1, 5)}, {0: (2, 5), 1: (2, 5)}]
    assert [set(channel) for channel in distances] == [{0, 1}] * 2
    before = deepcopy(first)
    weight, second = predictor.create_weight(gt, target, known, first)
    assert first == before
    assert second[0] == [{0: (6, 9), 1: (2, 9)}, {0: (4, 9), 1: (4, 9)}]
    np.testing.assert_allclose(weight.data[0], [[9 / 4, 9 / 12, 9 / 12, 9 / 12]], rtol=1e-6)


def test_without_the_mask_both_halves_weigh_the_same():
    labels = np.random.default_rng(0).integers(0, 2, (2, 6, 7)).astype(np.uint8)
    gt, mask = placed(labels, (8, 8)), placed(np.ones_like(labels), (8, 8))
    predictor = HotDistancePredictor(["a", "b"], 16, False, 1)
    weighting = predictor.weigh(gt, predictor.create_target(gt), mask)
    assert weighting.masks == {}
    np.testing.assert_array_equal(weighting.weight.data[:2], weighting.weight.data[2:])


@pytest.mark.parametrize(("mask_distances", "context"), [(True, 56), (False, 96)])
def test_the_context_is_that_of_the_distances(mask_distances, context):
    predictor = HotDistancePredictor(["a"], 50, mask_distances, 1)
    assert predictor.padding(Coordinate(8, 8)) == Coordinate(context, context)


def test_what_it_says_of_its_channels():
    predictor = HotDistancePredictor(["mito", "er"], 50, True, 1)
    one_hot, distances = ["mito one-hot", "er one-hot"], ["mito distance", "er distance"]
    assert predictor.target_channels == one_hot + distances
    assert predictor.target_ranges == [(0, 1), (0, 1), (-1, 1), (-1, 1)]
    assert predictor.embedding_dims == 4
    meaning = predictor.output_array_type
    assert meaning.parts == (ProbabilityArray(["mito", "er"]), DistanceArray(["mito", "er"]))
    assert meaning.interpolatable


def net(dims):
    return CNNectomeUNet(
        input_shape=(20,) * dims,
        num_fmaps=4,
        fmaps_out=5,
        fmap_inc_factor=2,
        downsample_factors=[(2,) * dims],
    )


@pytest.mark.parametrize("dims", [2, 3])
@pytest.mark.parametrize("kernel_size", [1, 2, 3])
def test_the_head_answers_for_as_many_voxels_whatever_its_kernel(dims, kernel_size):
    # DaCapo's shrinks: its answers are then no longer where target and weight are.
    model = HotDistancePredictor(["a", "b"], 50, True, kernel_size).create_model(net(dims))
    assert model.prediction_head.weight.shape == (4, 5, *(kernel_size,) * dims)
    assert model.output_shape == (4,) * dims
    with torch.no_grad():
        assert model(torch.zeros(2, 1, *(20,) * dims)).shape == (2, 4, *(4,) * dims)


@pytest.mark.parametrize("kernel_size", [2, 3])
def test_a_kernel_lies_about_its_voxel_or_reaches_one_farther_after_it(kernel_size):
    head = HotDistancePredictor(["a"], 50, True, kernel_size).create_model(net(2)).prediction_head
    seen = torch.zeros(1, 5, 8, 8, requires_grad=True)
    torch.nn.init.ones_(head.weight)
    head(seen)[0, 0, 4, 4].backward()
    rows, columns = (seen.grad[0, 0] != 0).nonzero().unbind(dim=1)
    reached = {2: [4, 5], 3: [3, 4, 5]}[kernel_size]
    assert sorted(set(rows.tolist())) == sorted(set(columns.tolist())) == reached


@pytest.mark.parametrize("dims", [2, 3])
def test_in_eval_mode_the_one_hot_half_is_probabilities_and_the_distances_are_left(dims):
    model = HotDistancePredictor(["a", "b"], 50, True, 1).create_model(net(dims))
    x = torch.randn(2, 1, *(20,) * dims)
    with torch.no_grad():
        logits = model.train()(x)
        answer = model.eval()(x)
    torch.testing.assert_close(answer[:, :2], logits[:, :2].sigmoid())
    torch.testing.assert_close(answer[:, 2:], logits[:, 2:])
    assert not torch.equal(answer[:, :2], logits[:, :2])
