"""Inner distances; what they share with other distances is in `test_distances.py`."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from funlib.geometry import Coordinate

from napari_dacapo_tasks.architectures import CNNectomeUNet
from napari_dacapo_tasks.arrays import NumpyArray
from napari_dacapo_tasks.tasks.predictors.distance import DistancePredictor
from napari_dacapo_tasks.tasks.predictors.inner_distance import InnerDistancePredictor

GOLDEN = Path(__file__).parents[2] / "golden"
INDEX = json.loads((GOLDEN / "index.json").read_text())


def placed(values, voxel_size):
    axes = "czyx" if len(voxel_size) == 3 else "cyx"
    return NumpyArray(values, axes=axes, voxel_size=voxel_size)


@pytest.mark.parametrize("name", sorted(name for name in INDEX if name.startswith("inner_")))
def test_targets_and_weights_are_dacapos(name):
    parameters = INDEX[name]
    arrays = np.load(GOLDEN / f"{name}.npz")
    gt, mask = (placed(arrays[key], parameters["voxel_size"]) for key in ("gt", "mask"))
    predictor = InnerDistancePredictor(parameters["channels"], parameters["scale_factor"])
    target = predictor.create_target(gt)
    np.testing.assert_allclose(target.data, arrays["target"], atol=1e-6, rtol=0)
    weighting = predictor.weigh(gt, target, mask)
    np.testing.assert_allclose(weighting.weight.data, arrays["weight"], rtol=1e-6)
    assert weighting.masks == {}


@pytest.mark.parametrize("labels", [[False, True, True, False], [0, 5, 5, 0]])
def test_by_hand_where_dacapo_multiplies_by_ids_and_fails_on_bool(labels):
    # Both objects' voxels lie half a voxel from a face; DaCapo's target is five times that.
    inside = np.tanh(0.5)
    target = InnerDistancePredictor(["a"], 1).create_target(placed(np.array([[labels]]), (100, 1)))
    np.testing.assert_allclose(target.data, [[[0, inside, inside, 0]]], rtol=1e-6)


def test_touching_objects_are_kept_apart():
    # 2.5, 1.5 and 0.5 voxels from the face between them, of 4 nm, at a scale of 8 nm.
    target = InnerDistancePredictor(["a"], 8).create_target(
        placed(np.array([[[1, 1, 1, 2, 2, 2]]], np.uint16), (100, 4))
    )
    depths = np.tanh([1.25, 0.75, 0.25, 0.25, 0.75, 1.25])
    np.testing.assert_allclose(target.data, [[depths]], rtol=1e-6)


def test_it_is_the_signed_distance_without_the_outside():
    rng = np.random.default_rng(0)
    labels = np.kron(rng.integers(0, 3, (2, 4, 4, 4)), np.ones((1, 3, 4, 5), int))
    gt = placed(labels, (8, 8, 8))
    inner = InnerDistancePredictor(["a", "b"], 20).create_target(gt).data
    signed = DistancePredictor(["a", "b"], 20, False).create_target(gt).data
    np.testing.assert_array_equal(inner, np.where(labels > 0, signed, 0))
    bare = InnerDistancePredictor(["a", "b"], 20).process(labels, (8, 8, 8))
    np.testing.assert_allclose(np.tanh(bare / 20), inner, rtol=1e-6)


def test_it_has_a_context_where_dacapo_fails():
    # 1.83 * 50 nm = 91.5 nm.
    context = InnerDistancePredictor(["a"], 50).padding(Coordinate(40, 8, 8))
    assert context == Coordinate(120, 96, 96)


@pytest.mark.parametrize("dims", [2, 3])
def test_the_head_has_a_channel_each_and_answers_plainly(dims):
    net = CNNectomeUNet(
        input_shape=(20,) * dims,
        num_fmaps=4,
        fmaps_out=5,
        fmap_inc_factor=2,
        downsample_factors=[(2,) * dims],
    )
    model = InnerDistancePredictor(["a", "b", "c"], 50).create_model(net)
    assert model.prediction_head.weight.shape == (3, 5, *(1,) * dims)
    assert model.eval_activation is None
    with torch.no_grad():
        assert model.eval()(torch.zeros(2, 1, *(20,) * dims)).shape == (2, 3, *model.output_shape)


def test_what_it_says_of_its_channels():
    predictor = InnerDistancePredictor(["a", "b"], 50)
    assert predictor.target_channels == ["a", "b"]
    assert predictor.target_ranges == [(0, 1)] * 2
    assert predictor.output_array_type.classes == ["a", "b"]
    assert predictor.composites == []
