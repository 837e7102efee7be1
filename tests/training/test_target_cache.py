"""Targets that are made once: the same in one piece or several, made once, and never too many."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

import numpy as np
import pytest
from funlib.geometry import Coordinate, Roi

from napari_dacapo_tasks.numerics.symmetries import Symmetry
from napari_dacapo_tasks.runs.data import TrainingData, Volume, together
from napari_dacapo_tasks.runs.data_config import SamplingConfig
from napari_dacapo_tasks.runs.trainer_config import TrainerConfig
from napari_dacapo_tasks.tasks.predictors.affinities import AffinitiesPredictor
from napari_dacapo_tasks.tasks.predictors.distance import DistancePredictor
from napari_dacapo_tasks.tasks.predictors.one_hot import OneHotPredictor
from napari_dacapo_tasks.training import samples, target_cache
from napari_dacapo_tasks.training.places import Place
from napari_dacapo_tasks.training.samples import Draft, Sampler, Shapes
from napari_dacapo_tasks.training.target_cache import TargetCache, turned

SIZE = Coordinate(8, 8, 8)
REGION = Roi((64, 64, 64), (192, 192, 192))
DESCRIPTORS = AffinitiesPredictor([(0, 0, 1)], lsds=True, num_voxels=2)
BYTES = 10 * 4 * 24**3
"""Of the descriptors in the region."""


class Counting(DistancePredictor):
    """Counts how often something is made."""

    made = 0

    def lasting_target(self, gt):
        self.made += 1
        return super().lasting_target(gt)


@pytest.fixture
def small_pieces(monkeypatch):
    monkeypatch.setattr(target_cache, "EDGE", 10)


def rois():
    random = np.random.default_rng(0)
    for _ in range(10):
        size = Coordinate(random.integers(1, 16, 3))
        begin = Coordinate(random.integers(0, 25 - np.array(size)))
        yield Roi(REGION.begin + begin * SIZE, size * SIZE)


def test_pieces_make_up_the_whole(volume, small_pieces):
    truth = volume.ground_truth()
    whole = TargetCache(truth, DESCRIPTORS, REGION)
    pieces = TargetCache(truth, DESCRIPTORS, REGION, at_once=0)
    gt, _ = truth.read(truth.labels.roi)
    expected = DESCRIPTORS.lasting_target(gt)
    for roi in rois():
        assert whole.read(roi).roi == pieces.read(roi).roi == roi
        assert pieces.read(roi).axes == ("c", "z", "y", "x")
        np.testing.assert_allclose(whole.read(roi).data, expected[roi], atol=1e-6)
        np.testing.assert_allclose(pieces.read(roi).data, expected[roi], atol=1e-6)


def test_nothing_is_kept_where_nothing_lasts_or_it_is_too_much(volume, small_pieces):
    truth = volume.ground_truth()
    nothing = TargetCache(truth, OneHotPredictor(["a", "b"], 1), REGION)
    too_much = TargetCache(truth, DESCRIPTORS, REGION, at_once=BYTES - 1, kept=BYTES - 1)
    for cache in (nothing, too_much):
        assert not cache.lasts
        assert cache.read(REGION) is None
    assert TargetCache(truth, DESCRIPTORS, REGION, at_once=BYTES, kept=BYTES).size == BYTES
    assert not TargetCache(truth, DESCRIPTORS, REGION, at_once=BYTES, kept=BYTES - 1).lasts


@pytest.mark.parametrize(("room", "lasting"), [(2, [True, True]), (1.5, [True, False])])
def test_all_volumes_share_one_bounded_memory(volume, small_task, monkeypatch, room, lasting):
    raw, truth = together(volume.array(volume.raw), volume.ground_truth())
    data = TrainingData(tuple(Volume(name, raw, truth) for name in "ab"), (), (0.0, 255.0))
    task = small_task.task_type(small_task.on_grid(truth.labels.unit))
    shapes = Shapes(Coordinate(24, 24, 24), Coordinate(8, 8, 8), truth.labels.voxel_size)
    monkeypatch.setattr(samples, "MOST_KEPT", room * 4 * 24**3)
    sampler = Sampler(data, task, shapes, TrainerConfig(), SamplingConfig())
    assert [cache.lasts for cache in sampler._caches] == lasting
    for place in (Place(0, Coordinate(3, 3, 3)), Place(1, Coordinate(3, 3, 3))):
        assert isinstance(sampler.made(place, sampler._identity), Draft)


def test_only_what_crops_can_reach_counts(volume, small_pieces):
    spots = [Roi((64, 64, 64), (16, 16, 16))]
    kept = 8 * 10 * 4 * 10**3
    for reach, lasts in ((72, True), (160, False)):  # 11 voxels touch 8 pieces, 22 of them 27
        cache = TargetCache(
            volume.ground_truth(),
            DESCRIPTORS,
            REGION,
            spots,
            Coordinate((reach,) * 3),
            at_once=0,
            kept=kept,
        )
        assert cache.lasts == lasts


def test_threads_that_want_the_same_make_it_once(volume):
    predictor = Counting(["balls"], 24.0, mask_distances=True)
    cache = TargetCache(volume.ground_truth(), predictor, REGION)
    threads = 4
    together = Barrier(threads)

    def read(_):
        together.wait()
        return cache.read(REGION).data

    with ThreadPoolExecutor(threads) as pool:
        found = list(pool.map(read, range(threads)))
    assert predictor.made == 1
    for one in found[1:]:
        np.testing.assert_array_equal(one, found[0])


def test_nothing_is_made_before_it_is_wanted(volume, small_pieces):
    predictor = Counting(["balls"], 24.0, mask_distances=True)
    cache = TargetCache(volume.ground_truth(), predictor, REGION, at_once=0)
    assert predictor.made == 0
    cache.read(Roi(REGION.begin, SIZE * 3))
    assert predictor.made == 1


def test_turning_about_a_region_brings_it_onto_itself(volume):
    truth = volume.ground_truth()
    gt, _ = truth.read(truth.labels.roi)
    around = Roi((80, 64, 160), (64, 64, 64))
    symmetry = Symmetry((2, 0, 1), (True, False, True))
    found = turned(gt, symmetry, around)
    np.testing.assert_array_equal(found[around], symmetry.apply(gt[around]))
    assert found.roi.shape == gt.roi.shape
    # The first axis was the last: what lay before the region there lies after it now.
    assert found.roi.end[0] - around.end[0] == around.begin[2] - gt.roi.begin[2]
