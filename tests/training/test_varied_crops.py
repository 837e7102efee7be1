"""Crops that are turned or deformed: raw, target and weight stay together and are right."""

from __future__ import annotations

from itertools import permutations, product

import numpy as np
import pytest
from funlib.geometry import Coordinate

from napari_dacapo_tasks.numerics.symmetries import Symmetry
from napari_dacapo_tasks.runs.augmentation import AugmentationConfig
from napari_dacapo_tasks.tasks import (
    AffinitiesTaskConfig,
    DistanceTaskConfig,
    HotDistanceTaskConfig,
    InnerDistanceTaskConfig,
    OneHotTaskConfig,
)
from napari_dacapo_tasks.training.augmentation import Augmentation
from napari_dacapo_tasks.training.places import Place
from napari_dacapo_tasks.training.samples import Draft
from napari_dacapo_tasks.training.target_cache import turned


def made_at(sampler, index, symmetry=None):
    """Make the crop of a position, perhaps turned; None where it cannot be used."""
    augmentation = Augmentation(symmetry or Symmetry.identity(len(index)))
    found = sampler.made(Place(0, Coordinate(index)), augmentation)
    return found if isinstance(found, Draft) else None


def weight_of(sampler, draft):
    return sampler.weigh(draft, None)[0].weight.data


class TestTurned:
    """Raw, target and weight of a turned crop are those of the turned volume."""

    NEAR = ((1, 0, 0), (0, 1, 0), (0, 0, 1))
    DISTANCES = {"channels": ["balls"], "scale_factor": 24, "clip_distance": 80}
    TASKS = (
        DistanceTaskConfig(name="distance", tol_distance=16, **DISTANCES),
        InnerDistanceTaskConfig(name="inner", tol_distance=16, **DISTANCES),
        HotDistanceTaskConfig(name="hot", tol_distance=16, mask_distances=True, **DISTANCES),
        OneHotTaskConfig(name="classes", classes=[str(n) for n in range(13)]),
        AffinitiesTaskConfig(name="offsets", neighborhood=[*NEAR, (0, 0, -9), (-3, 2, 0)]),
        AffinitiesTaskConfig(name="shapes", neighborhood=NEAR, lsds=True, num_lsd_voxels=2),
    )
    SYMMETRIES = tuple(
        Symmetry(order, mirrored)
        for order in permutations(range(3))
        for mirrored in product((False, True), repeat=3)
    )

    @pytest.fixture(params=TASKS, ids=lambda task: task.name)
    def made(self, sampler, volume, request):
        channel = "balls" if "channels" in request.param.model_fields_set else "labels"
        known = np.ones_like(volume.labels)
        known[12:15, 20:, :18] = 0
        truth = volume.ground_truth(channel=channel, mask=volume.array(known))
        return sampler(ground_truth=truth, task=request.param)

    def test_is_that_of_the_turned_volume(self, made, volume):
        index = (5, 9, 3)
        plain = made_at(made, index)
        truth = made.data.train[0].ground_truth
        whole, known = truth.read(truth.labels.roi)
        for symmetry in self.SYMMETRIES:
            crop = made_at(made, index, symmetry)
            np.testing.assert_array_equal(crop.raw.data, symmetry.apply(plain.raw.data))
            roi = crop.target.roi
            gt, mask = turned(whole, symmetry, roi), turned(known, symmetry, roi)
            target = made.predictor.create_target(gt).crop(roi)
            tolerance = 1e-5 if made.predictor.embedding_dims == 13 else 1e-6
            np.testing.assert_allclose(crop.target.data, target.data, rtol=0, atol=tolerance)
            weight = made.predictor.weigh(gt, crop.target, mask).weight
            found, _ = made.weigh(crop, None)
            np.testing.assert_array_equal(found.weight.data, weight.data)

    def test_without_the_cache_it_is_the_same(self, made):
        index = (2, 8, 11)
        for symmetry in self.SYMMETRIES[::5]:
            quick = made_at(made, index, symmetry)
            (cache,) = made._caches
            lasts, cache.lasts = cache.lasts, False
            plain = made_at(made, index, symmetry)
            cache.lasts = lasts
            near = np.abs(plain.target.data) < 0.8  # beyond, boundaries are too far to be seen
            np.testing.assert_allclose(
                quick.target.data[near], plain.target.data[near], rtol=0, atol=1e-5
            )
            np.testing.assert_array_equal(weight_of(made, quick), weight_of(made, plain))

    def test_where_the_network_answers_with_finer_voxels(self, sampler, volume):
        fine = np.kron(volume.labels, np.ones((2, 2, 2), np.uint8))
        truth = volume.ground_truth(volume.array(fine, (4, 4, 4)))
        made = sampler(ground_truth=truth, output=(16, 16, 16))
        labels = made.data.train[0].ground_truth.labels
        whole, _ = made.data.train[0].ground_truth.read(labels.roi)
        for symmetry in self.SYMMETRIES[::3]:
            crop = made_at(made, (5, 9, 3), symmetry)
            assert crop.target.shape == (16, 16, 16)
            target = made.predictor.create_target(turned(whole, symmetry, crop.target.roi))
            np.testing.assert_allclose(crop.target.data, target[crop.target.roi], atol=1e-6)
            bright = crop.raw.crop(crop.target.roi).data[0] > 0
            objects = crop.target.data[0, ::2, ::2, ::2] > 0
            assert (bright == objects).mean() > 0.9

    def test_only_what_is_alike_is_exchanged(self, sampler, volume):
        turns = AugmentationConfig(intensity=0.0)
        size = (16, 8, 8)
        raw, labels = (volume.array(values, size) for values in (volume.raw, volume.labels))
        made = sampler(raw, volume.ground_truth(labels), augmentation=turns)
        orders = {made.first_draft(step, 0).augmentation.symmetry.order for step in range(40)}
        assert orders == {(0, 1, 2), (0, 2, 1)}

    def test_an_output_beside_the_middle_is_not_mirrored_away(self, sampler):
        turns = AugmentationConfig(intensity=0.0)
        made = sampler(augmentation=turns, output=(8, 8, 7))  # 8 before it, 9 after it
        mirrored = [made.first_draft(s, 0).augmentation.symmetry.mirrored for s in range(40)]
        assert not any(one[2] for one in mirrored)
        assert any(one[0] for one in mirrored)


class TestDeformed:
    DEFORMED = AugmentationConfig(
        mirror=False,
        transpose=False,
        intensity=0.0,
        deform=1.0,
        rotation=30,
        scaling=0.1,
        elastic=8,
        elastic_spacing=100,
    )

    def test_target_and_raw_stay_together(self, sampler, volume):
        """Balls are bright: wherever they were moved, the target is there, too."""
        raw = volume.array((volume.labels > 0).astype(np.uint8) * 255)
        made = sampler(raw=raw, augmentation=self.DEFORMED)
        agree, compared = 0, 0
        for step in range(10):
            draft = made.first_draft(step, 0)
            assert draft.augmentation.deformation is not None
            bright = draft.raw.crop(draft.target.roi).data
            certain = (np.abs(bright) > 0.5) & (weight_of(made, draft) > 0)
            agree += ((bright > 0) == (draft.target.data > 0))[certain].sum()
            compared += certain.sum()
        assert compared > 1000
        assert agree / compared > 0.99

    def test_the_target_is_that_of_the_deformed_labels(self, sampler):
        made = sampler(augmentation=self.DEFORMED)
        draft = made.first_draft(3, 0)
        again = made.predictor.create_target(draft.gt).crop(draft.target.roi)
        np.testing.assert_array_equal(draft.target.data, again.data)
        plain = made_at(made, draft.place.index)
        assert not np.array_equal(plain.target.data, draft.target.data)

    def test_places_are_those_without_it(self, sampler):
        deformed, plain = sampler(augmentation=self.DEFORMED), sampler()
        for step in range(10):
            one, other = deformed.draft(step, 0), plain.draft(step, 0)
            if one is not None and other is not None:
                assert one.place == other.place

    def test_beyond_the_labels_nothing_is_known(self, sampler, volume, small_task):
        # Labels that fill just one crop: when it is turned, its corners come from elsewhere.
        inner = volume.array(volume.labels[16:24, 16:24, 16:24], offset=(128,) * 3)
        task = small_task.model_copy(update={"mask_distances": False})
        truth = volume.ground_truth(inner)
        made = sampler(ground_truth=truth, task=task, augmentation=self.DEFORMED)
        for step in range(5):
            draft = made.first_draft(step, 0)
            unknown = draft.mask[draft.target.roi] == 0
            assert unknown.any()
            assert not weight_of(made, draft)[0][unknown].any()
