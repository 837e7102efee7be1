import json
from pathlib import Path

import numpy as np
import pytest
from funlib.geometry import Coordinate, Roi

from napari_dacapo_tasks.arrays import NumpyArray
from napari_dacapo_tasks.tasks.predictors.distance import DistancePredictor

GOLDEN = Path(__file__).parents[2] / "golden"
INDEX = json.loads((GOLDEN / "index.json").read_text())
CASES = sorted(name for name in INDEX if name.startswith("distance_"))
MASKED = [name for name in CASES if INDEX[name]["mask_distances"]]
WITH_MASK_ARRAY = [name for name in MASKED if "distance_mask" in np.load(GOLDEN / f"{name}.npz")]


class DaCaposMask(DistancePredictor):
    """DaCapo measures to the border of the known volume with half the voxel size."""

    def create_distance_mask(
        self, distances, mask, voxel_size, normalize=None, normalize_args=None
    ):
        half = tuple(size / 2 for size in voxel_size)
        return super().create_distance_mask(distances, mask, half, normalize, normalize_args)


def load(name, kind=DistancePredictor):
    parameters = INDEX[name]
    arrays = dict(np.load(GOLDEN / f"{name}.npz"))
    arrays.setdefault("mask", np.ones_like(arrays["gt"]))
    voxel_size = Coordinate(parameters["voxel_size"])
    predictor = kind(
        parameters["channels"], parameters["scale_factor"], parameters["mask_distances"]
    )

    def place(values):
        axes = ("c", "z", "y", "x") if voxel_size.dims == 3 else ("c", "y", "x")
        roi = Roi((0,) * voxel_size.dims, Coordinate(values.shape[1:]) * voxel_size)
        return NumpyArray.from_np_array(values, roi, voxel_size, axes)

    return predictor, arrays, place


@pytest.mark.parametrize("name", CASES)
def test_targets_are_dacapos(name):
    predictor, arrays, place = load(name)
    target = predictor.create_target(place(arrays["gt"]))
    assert target.dtype == np.float32
    np.testing.assert_allclose(target.data, arrays["target"], atol=1e-6, rtol=0)


@pytest.mark.parametrize("name", MASKED)
def test_masks_and_weights_are_dacapos_with_its_halved_voxels(name):
    predictor, arrays, place = load(name, DaCaposMask)
    gt, mask = place(arrays["gt"]), place(arrays["mask"])
    first = predictor.weigh(gt, predictor.create_target(gt), mask)
    if "distance_mask" in arrays:
        kept = first.masks["distance mask"].data
        np.testing.assert_array_equal(kept != 0, arrays["distance_mask"] != 0)
    np.testing.assert_allclose(first.weight.data, arrays["weight"], rtol=1e-6)
    if "weight_second_call" in arrays:
        before = json.dumps(first.counts)
        second, _ = predictor.create_weight(gt, place(arrays["target"]), mask, first.counts)
        np.testing.assert_allclose(second.data, arrays["weight_second_call"], rtol=1e-6)
        assert json.dumps(first.counts) == before, "the counts passed in are not changed"


@pytest.mark.parametrize("name", WITH_MASK_ARRAY)
def test_whole_voxels_keep_more_than_dacapo_and_lose_nothing(name):
    predictor, arrays, place = load(name)
    gt = place(arrays["gt"])
    masks = predictor.weigh(gt, predictor.create_target(gt), place(arrays["mask"])).masks
    ours, theirs = masks["distance mask"].data != 0, arrays["distance_mask"] != 0
    assert (ours | ~theirs).all()
    assert ours.sum() >= theirs.sum()


def test_by_hand_where_dacapo_drops_too_much():
    # One face at 2.5 voxels from voxel 0's centre; scale 2, voxel size 1. Voxel 4 lies 1.5 from
    # the face and 4 from the zero voxel that pads the volume's end at index 8.
    # (The other axis has voxels of 100, so nothing is near its borders.)
    labels = np.array([[[1, 1, 1, 0, 0, 0, 0, 0]]], np.uint8)
    predictor = DistancePredictor(["a"], 2, True)
    target = predictor.process(labels, (100, 1), "tanh", 2)
    np.testing.assert_allclose(target[0, 0, 4], -np.tanh(0.75), rtol=1e-6)
    full = np.ones_like(labels)
    # min(tanh(.75) + .05, .8) = 0.685 < tanh(4 / 2) = 0.964: kept, and so would be by DaCapo;
    # voxel 6: min(tanh(1.75) + .05, .8) = 0.8 < tanh(2 / 2) = 0.762 is false: dropped by both;
    # voxel 5: 0.8 < tanh(3 / 2) = 0.905: kept, while DaCapo sees tanh(1.5 / 2) = 0.635: dropped.
    kept = predictor.create_distance_mask(target, full, (100, 1), "tanh", 2)
    assert kept[0, 0, 4:7].tolist() == [1, 1, 0]
    theirs = predictor.create_distance_mask(target, full, (50, 0.5), "tanh", 2)
    assert theirs[0, 0, 4:7].tolist() == [1, 0, 0]


def test_without_the_mask_the_weight_is_still_balanced():
    labels = NumpyArray(np.array([[[1, 0, 0, 0]]], np.uint8), axes="cyx", voxel_size=(1, 1))
    predictor = DistancePredictor(["a"], 1, mask_distances=False)
    known = NumpyArray(np.array([[1, 1, 1, 0]], np.uint8), axes="yx", voxel_size=(1, 1))
    weight, counts = predictor.create_weight(labels, predictor.create_target(labels), known)
    # Three known voxels and DaCapo's one to start with: 1 / (2 * 1/4) and 1 / (2 * 2/4).
    np.testing.assert_allclose(weight.data, [[[2, 1, 1, 0]]])
    again, _ = predictor.create_weight(labels, predictor.create_target(labels), known, counts)
    # 2 of 7 and 4 of 7.
    np.testing.assert_allclose(again.data, [[[7 / 4, 7 / 8, 7 / 8, 0]]], rtol=1e-6)


def test_a_mask_reaching_beyond_the_target_is_used():
    rng = np.random.default_rng(0)
    ids = np.kron(rng.integers(0, 3, (4, 4, 4)), np.ones((4, 4, 4), int)).astype(np.uint8)
    labels = NumpyArray(ids[None], axes="czyx", voxel_size=(8, 8, 8))
    known = NumpyArray(
        (rng.random((16, 16, 16)) > 0.002).astype(np.uint8), axes="zyx", voxel_size=(8, 8, 8)
    )
    predictor = DistancePredictor(["a"], 16, True)
    target = predictor.create_target(labels)
    whole = predictor.weigh(labels, target, known).masks["distance mask"]
    roi = Roi((40, 24, 32), (48, 64, 40))
    part = predictor.weigh(labels, target.crop(roi), known)
    np.testing.assert_array_equal(part.masks["distance mask"].data, whole[roi])
    assert part.weight.roi == roi


def test_labels_without_a_channel_axis_and_bool_labels_work():
    ids = np.zeros((6, 6), bool)
    ids[2:4, 2:4] = True
    flat = NumpyArray(ids, axes="yx", voxel_size=(4, 4))
    predictor = DistancePredictor(["a"], 8, True)
    target = predictor.create_target(flat)
    assert target.data.shape == (1, 6, 6)
    assert target.axes == ("c", "y", "x")
    np.testing.assert_allclose(target.data[0, 2, 2], np.tanh(2 / 8), rtol=1e-6)
    known = NumpyArray(np.ones((6, 6), np.uint8), axes="yx", voxel_size=(4, 4))
    assert predictor.create_weight(flat, target, known)[0].data.shape == (1, 6, 6)


def test_any_mask_value_but_zero_is_known_and_weighs_the_same():
    labels = NumpyArray(np.array([[[1, 0, 0, 0]]], np.uint8), axes="cyx", voxel_size=(1, 1))
    predictor = DistancePredictor(["a"], 1, mask_distances=False)
    target = predictor.create_target(labels)

    def weight(values):
        mask = NumpyArray(np.array([values], np.uint8), axes="yx", voxel_size=(1, 1))
        return predictor.create_weight(labels, target, mask)[0].data

    np.testing.assert_array_equal(weight([255, 7, 2, 0]), weight([1, 1, 1, 0]))
