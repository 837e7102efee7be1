"""Crops with too little that is known are not used; when these are too many, a person is told."""

from __future__ import annotations

import numpy as np
import pytest

from napari_dacapo_tasks.errors import DataError
from napari_dacapo_tasks.training.rejections import WINDOW, Reason, Rejections


@pytest.fixture
def half_known(volume):
    """Only where z < 20 labels are known."""
    mask = np.zeros_like(volume.labels)
    mask[:20] = 1
    return volume.ground_truth(mask=volume.array(mask))


def test_crops_with_too_little_that_is_known_are_not_used(sampler, half_known, small_task):
    task = small_task.model_copy(update={"mask_distances": False})
    plain = sampler(ground_truth=half_known, task=task)
    made = sampler(ground_truth=half_known, task=task, least_known=0.9)
    shares = []
    for step in range(30):
        one, other = plain.draft(step, 0), made.draft(step, 0)
        known = (one.mask[one.target.roi] != 0).mean()
        shares.append(known)
        assert (other is None) == (known < 0.9)
        first = made.first_draft(step, 0)
        assert (first.mask[first.target.roi] != 0).mean() >= 0.9
    assert min(shares) < 0.9 < max(shares)


def test_a_person_is_told_once_when_that_starves_training(sampler, volume, small_task):
    mask = np.zeros_like(volume.labels)
    mask[8:16, 8:16, 8:16] = 1  # a single crop is wholly known, and many others in part
    task = small_task.model_copy(update={"mask_distances": False})
    truth = volume.ground_truth(mask=volume.array(mask))
    made = sampler(ground_truth=truth, task=task, least_known=1.0)
    assert made.notices() == []
    step = 0
    while not (said := made.notices()):
        made.draft(step, 0)
        step += 1
        assert step < 3000
    assert step >= WINDOW
    (sentence,) = said
    assert "Training waits for crops, as 1" in sentence
    assert "less than 100% of the voxels are known: lower least_known" in sentence
    for more in range(step, step + WINDOW):
        made.draft(more, 0)
    assert made.notices() == []


def test_where_no_crop_can_be_used_training_ends(sampler, volume, small_task):
    mask = np.zeros_like(volume.labels)
    mask[::2] = 1
    truth = volume.ground_truth(mask=volume.array(mask))
    made = sampler(ground_truth=truth, least_known=0.8)
    with pytest.raises(
        DataError, match=r"In 100 crops in a row less than 80% .*: lower least_known"
    ):
        made.first_draft(1, 0)


def test_some_that_are_rejected_are_no_news():
    seen = Rejections(None, 0.0)
    for _ in range(3 * WINDOW // 10):
        for reason in [Reason.WEIGHTLESS] * 9 + [None]:
            seen.note(reason)
    assert seen.notices() == []
    for _ in range(WINDOW):
        seen.note(Reason.WEIGHTLESS)
    assert "no voxel has a weight: label a larger volume" in seen.notices()[0]


def test_labels_beyond_the_reach_of_raw_data_are_told_once(sampler, volume):
    raw = volume.array(volume.raw[:30])
    made = sampler(raw=raw)
    (sentence,) = made.notices()
    assert "training uses the 14 x 24 x 24 voxels of ground truth" in sentence
    assert made.notices() == []
    everywhere = volume.array(np.pad(volume.raw, 8), offset=(-64,) * 3)
    assert sampler(raw=everywhere).notices() == [], "raw all around leaves nothing out"
