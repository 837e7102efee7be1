"""A target that was made once and turned is that of the ground truth turned, for every task."""

from __future__ import annotations

from itertools import permutations, product

import numpy as np
import pytest
from funlib.geometry import Coordinate, Roi

from napari_dacapo_tasks.arrays import NumpyArray
from napari_dacapo_tasks.numerics.balance import anything_counted, counts_after
from napari_dacapo_tasks.numerics.symmetries import Symmetry
from napari_dacapo_tasks.tasks.predictors.affinities import AffinitiesPredictor
from napari_dacapo_tasks.tasks.predictors.distance import DistancePredictor
from napari_dacapo_tasks.tasks.predictors.dummy import DummyPredictor
from napari_dacapo_tasks.tasks.predictors.hot_distance import HotDistancePredictor
from napari_dacapo_tasks.tasks.predictors.inner_distance import InnerDistancePredictor
from napari_dacapo_tasks.tasks.predictors.one_hot import OneHotPredictor

NEAREST = [(1, 0, 0), (0, 1, 0), (0, 0, 1)]
OFFSETS = [*NEAREST, (0, -3, 2), (-2, 0, 1)]

PREDICTORS = {
    "distance": DistancePredictor(["x"], 20.0, mask_distances=True),
    "distance without mask": DistancePredictor(["x"], 12.0, mask_distances=False),
    "inner distance": InnerDistancePredictor(["x"], 20.0),
    "hot distance": HotDistancePredictor(["x"], 20.0, mask_distances=True, kernel_size=1),
    "one-hot": OneHotPredictor(["background", "a", "b", "c", "d"], 1),
    "affinities": AffinitiesPredictor(OFFSETS, lsds=False),
    "descriptors": AffinitiesPredictor(OFFSETS, lsds=True, num_voxels=3),
    "background is an object": AffinitiesPredictor(
        NEAREST, lsds=True, num_voxels=2, background_as_object=True
    ),
    "coarse descriptors": AffinitiesPredictor(NEAREST, lsds=True, num_voxels=3, downsample_lsds=2),
    "dummy": DummyPredictor(2),
}
VOXEL_SIZES = {"isotropic": (8, 8, 8), "anisotropic": (12, 4, 8)}
EDGE = 14
INNER = slice(4, 10)


def all_symmetries(dims):
    for order in permutations(range(dims)):
        for mirrored in product((False, True), repeat=dims):
            yield Symmetry(order, mirrored)


def objects(dims=3, seed=0):
    """Lumps of five labels that touch each other and the border."""
    random = np.random.default_rng(seed)
    coarse = random.integers(0, 5, (4,) * dims)
    labels = np.kron(coarse, np.ones((4,) * dims, int))[(slice(EDGE),) * dims]
    return np.where(random.random(labels.shape) < 0.05, 0, labels).astype(np.uint16)


def placed(values, voxel_size, dims=3):
    size = Coordinate(voxel_size)
    axes = ("c", "z", "y", "x")[-values.ndim :] if dims == 3 else ("c", "y", "x")[-values.ndim :]
    return NumpyArray(values, axes=axes, voxel_size=size)


def both_ways(predictor, symmetry, labels, voxel_size):
    """Give the target of the turned labels, and the one that is made of the lasting part."""
    dims = len(voxel_size)
    size = Coordinate(voxel_size[axis] for axis in symmetry.order)
    gt = placed(np.ascontiguousarray(symmetry.apply(labels)), size, dims)
    roi = Roi(Coordinate(INNER.start for _ in size) * size, size * (INNER.stop - INNER.start))
    expected = predictor.create_target(gt).crop(roi)
    lasting = None
    if predictor.lasting_channels:
        whole = predictor.lasting_target(placed(labels, voxel_size, dims))
        assert whole.dtype == np.float32
        assert whole.num_channels == predictor.lasting_channels
        lasting = placed(symmetry.apply(whole.data), size, dims).crop(roi)
    context = predictor.padding_beside_lasting(size)
    around = roi.grow(context, context).intersect(gt.roi)
    return predictor.turned_target(gt.crop(around), roi, lasting, symmetry), expected


@pytest.mark.parametrize("voxel_size", VOXEL_SIZES.values(), ids=VOXEL_SIZES)
@pytest.mark.parametrize("name", PREDICTORS)
def test_turned_targets_are_those_of_turned_labels(name, voxel_size):
    predictor = PREDICTORS[name]
    labels = objects()
    exact = predictor.lasting_channels == 0
    tolerance = 0.0 if exact else 1e-5 if isinstance(predictor, AffinitiesPredictor) else 1e-6
    tried = 0
    for symmetry in all_symmetries(3):
        if name == "coarse descriptors" and not symmetry.changes_nothing:
            continue  # their grid begins with the crop; what a crop gets is tested with crops
        made, expected = both_ways(predictor, symmetry, labels, voxel_size)
        assert made.roi == expected.roi
        assert made.axes == expected.axes
        np.testing.assert_allclose(made.data, expected.data, rtol=0, atol=tolerance)
        if isinstance(predictor, AffinitiesPredictor):
            count = len(predictor.neighborhood)
            np.testing.assert_array_equal(made.data[:count], expected.data[:count])
        tried += 1
    assert tried == (1 if name == "coarse descriptors" else 48)


@pytest.mark.parametrize("symmetry", list(all_symmetries(2)), ids=str)
def test_images(symmetry):
    predictor = AffinitiesPredictor([(1, 0), (0, 1)], lsds=True, num_voxels=3)
    made, expected = both_ways(predictor, symmetry, objects(2), (8, 4))
    np.testing.assert_allclose(made.data, expected.data, rtol=0, atol=1e-5)


def test_descriptors_that_only_turn_their_voxels_would_be_wrong():
    """The lasting part alone is not the target, so the test above says something."""
    predictor = PREDICTORS["descriptors"]
    mirrored = Symmetry((0, 1, 2), (True, False, False))
    labels = objects()
    lasting = predictor.lasting_target(placed(labels, (8, 8, 8))).data
    turned = predictor.lasting_target(
        placed(np.ascontiguousarray(mirrored.apply(labels)), (8, 8, 8))
    ).data
    assert np.abs(mirrored.apply(lasting) - turned).max() > 0.1


@pytest.mark.parametrize("name", PREDICTORS)
def test_a_weight_with_masks_of_an_earlier_call_is_the_same(name):
    predictor = PREDICTORS[name]
    gt = placed(objects(), (8, 8, 8))
    known = np.ones(gt.shape, np.uint8)
    known[:5, :6] = 0
    mask = placed(known, (8, 8, 8))
    target = predictor.create_target(gt)
    alone = predictor.weigh(gt, target, mask)
    counts, masks = predictor.count(gt, target, mask)
    assert counts == alone.counts
    assert masks.keys() == alone.masks.keys()
    assert anything_counted(counts)
    if predictor.padding(gt.voxel_size) != gt.voxel_size * 0 or name == "one-hot":
        nothing = predictor.count(gt, target, placed(known * 0, (8, 8, 8)))[0]
        assert not anything_counted(nothing)
    again = predictor.weigh(gt, target, mask, alone.counts)
    assert again.counts == counts_after(alone.counts, counts)
    quick = predictor.weigh(gt, target, mask, alone.counts, alone.masks)
    np.testing.assert_array_equal(quick.weight.data, again.weight.data)
    assert quick.counts == again.counts
    assert quick.masks.keys() == again.masks.keys()


@pytest.mark.parametrize("name", ["one-hot", "dummy"])
def test_where_nothing_lasts_that_is_a_target_of_no_channels(name):
    gt = placed(objects(), (8, 8, 8))
    lasting = PREDICTORS[name].lasting_target(gt)
    assert PREDICTORS[name].lasting_channels == lasting.num_channels == 0
    assert (lasting.roi, lasting.shape, lasting.dtype) == (gt.roi, gt.shape, np.float32)
