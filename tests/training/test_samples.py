"""Crops show what the data holds there, and their targets are those of the preview."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from funlib.geometry import Coordinate

from napari_dacapo_tasks.arrays import Channel
from napari_dacapo_tasks.errors import DataError
from napari_dacapo_tasks.runs.data import TrainingData, together
from napari_dacapo_tasks.tasks import (
    AffinitiesTaskConfig,
    OneHotTaskConfig,
    PretrainedTaskConfig,
)
from napari_dacapo_tasks.tasks.preview import Preview, preview
from napari_dacapo_tasks.training.samples import Sampler

INPUT, OUTPUT = (24, 24, 24), (8, 8, 8)


@pytest.fixture
def sampler(volume, small_task):
    """Make samplers of the small volume, perhaps of other raw data, labels or task."""

    def make(raw=None, ground_truth=None, task=None, seed=0, output=OUTPUT):
        raw = volume.array(volume.raw) if raw is None else raw
        raw, truth = together(raw, ground_truth or volume.ground_truth())
        data = TrainingData(raw, truth, (0.0, 255.0))
        task = task or small_task
        built = task.task_type(task.on_grid(truth.labels.unit))
        return Sampler(data, built, INPUT, output, Coordinate(8, 8, 8), seed)

    return make


def crops_of(sampler, steps=20):
    return [sampler.batch(step, 1) for step in range(1, steps + 1)]


def positions(sampler, count=300):
    random = np.random.default_rng(0)
    return [sampler._place(random) for _ in range(count)]


def test_batches_are_float32_with_all_axes(sampler):
    batch = sampler().batch(1, 3)
    assert batch.raw.shape == (3, 1, *INPUT)
    assert batch.target.shape == batch.weight.shape == (3, 1, *OUTPUT)
    assert {t.dtype for t in (batch.raw, batch.target, batch.weight)} == {torch.float32}


def test_raw_is_brought_between_minus_one_and_one(sampler, volume):
    made = sampler()
    roi = made.grid.input_roi((3, 4, 5))
    raw = made.prepared(roi)
    expected = volume.raw[3:27, 4:28, 5:29].astype(np.float32) / 127.5 - 1
    np.testing.assert_allclose(raw.data[0], expected, atol=1e-6)
    assert raw.roi == roi
    assert raw.axes == ("c", "z", "y", "x")


def test_raw_channels_are_kept(sampler, volume):
    made = sampler(raw=volume.array(np.stack([volume.raw, 255 - volume.raw], -1), axes="zyxc"))
    raw = made.batch(1, 1).raw
    assert raw.shape == (1, 2, *INPUT)
    torch.testing.assert_close(raw[:, 0], -raw[:, 1])


@pytest.mark.parametrize(("mask_distances", "certain"), [(True, 0.8), (False, 0.95)])
def test_a_target_is_that_of_the_preview(sampler, volume, small_task, mask_distances, certain):
    task = small_task.model_copy(update={"mask_distances": mask_distances})
    made = sampler(task=task)
    shown = list(preview(task, volume.ground_truth()))[-1]
    assert isinstance(shown, Preview)
    for index in ((0, 0, 0), (3, 9, 16), (8, 8, 8)):
        roi = made.grid.output_roi(index)
        crop, _ = made._crop(Coordinate(index), None)
        assert crop.target.roi == crop.weight.roi == roi
        made_here, made_of_all = crop.target.data, shown.target[roi]
        # The context is as wide as a boundary makes itself felt: beyond, targets are saturated.
        near = np.abs(made_of_all) < certain
        assert near.any()
        np.testing.assert_allclose(made_here[near], made_of_all[near], atol=1e-6)
        assert (np.abs(made_here[~near]) >= certain).all()
        assert (np.sign(made_here) == np.sign(made_of_all)).all()


def test_input_and_output_lie_over_each_other(sampler, volume):
    """A target that shows the labels has to lie over the raw data that shows them, too."""
    made = sampler(task=None)
    (crop, _) = made._crop(Coordinate(5, 6, 7), None)
    inside = crop.raw.crop(crop.target.roi)
    begin = np.array([5, 6, 7]) + (np.array(INPUT) - OUTPUT) // 2
    window = tuple(slice(b, b + 8) for b in begin)
    np.testing.assert_allclose(inside.data[0], volume.raw[window] / 127.5 - 1, atol=1e-6)
    labels = volume.labels[window] > 0
    assert ((crop.target.data[0] > 0) == labels).all()


def test_positions_cover_everything(sampler):
    made = sampler()
    found = np.array(positions(made))
    assert (found.min(0) == 0).all()
    assert (found.max(0) == np.array(made.grid.counts) - 1).all()


def test_the_same_step_gives_the_same_crops(sampler):
    first, second, other = sampler(), sampler(), sampler(seed=1)
    assert torch.equal(first.batch(7, 2).raw, second.batch(7, 2).raw)
    assert not torch.equal(first.batch(7, 2).raw, first.batch(8, 2).raw)
    assert not torch.equal(first.batch(7, 2).raw, other.batch(7, 2).raw)


def test_counts_run_on_and_are_all_the_state(sampler):
    whole = sampler()
    batches = crops_of(whole, 6)
    parted = sampler()
    crops_of(parted, 3)
    later = sampler()
    later.class_counts = parted.class_counts
    for step in (4, 5, 6):
        assert torch.equal(later.batch(step, 1).weight, batches[step - 1].weight)
    assert later.class_counts == whole.class_counts


class TestSparse:
    def test_crops_reach_what_little_is_known(self, sampler, volume, small_task):
        mask = np.zeros_like(volume.labels)
        mask[19:22, 10:13, 28:31] = 1
        truth = volume.ground_truth(mask=volume.array(mask))
        task = small_task.model_copy(update={"mask_distances": False})
        made = sampler(ground_truth=truth, task=task)
        for batch in crops_of(made, 10):
            assert batch.weight.any()
        reached = [truth.mask[made.grid.output_roi(place)].any() for place in positions(made)]
        assert np.mean(reached) > 0.05  # of all positions it is 0.01

    def test_what_is_unknown_has_no_weight(self, sampler, volume):
        truth = volume.ground_truth(zero_is_unlabelled=True)
        for batch in crops_of(sampler(ground_truth=truth), 5):
            assert not batch.weight[batch.target < 0].any()
            assert batch.weight.any()

    def test_nothing_known_in_reach(self, sampler, volume):
        mask = np.zeros_like(volume.labels)
        mask[:5] = 1  # where the network cannot answer
        truth = volume.ground_truth(mask=volume.array(mask))
        with pytest.raises(DataError, match="Nothing is known in the ground truth"):
            sampler(ground_truth=truth)

    def test_nothing_counts(self, sampler, volume, small_task):
        task = small_task.model_copy(update={"scale_factor": 1e5})  # all near the border
        made = sampler(task=task)
        with pytest.raises(DataError, match="In 100 crops in a row no voxel has a weight"):
            made.batch(1, 1)
        with pytest.raises(DataError, match="In 100 crops in a row no voxel has a weight"):
            made.fixed()


NEAREST = [(1, 0, 0), (0, 1, 0), (0, 0, 1)]
LABEL_TASKS = [
    OneHotTaskConfig(name="classes", classes=["background", "first", "second"]),
    AffinitiesTaskConfig(name="offsets", neighborhood=[*NEAREST, (0, 0, -9), (-3, 2, 0)]),
    AffinitiesTaskConfig(name="shapes", neighborhood=NEAREST, lsds=True, num_lsd_voxels=2),
]


class TestTasksOnLabels:
    """Tasks whose target and weight are of other types and shapes than those of distances."""

    @pytest.fixture(params=LABEL_TASKS, ids=lambda task: task.name)
    def task(self, request):
        return request.param

    @pytest.fixture
    def made(self, sampler, volume, task):
        return sampler(ground_truth=volume.ground_truth(channel="labels"), task=task)

    def test_batches_are_float32_with_all_channels(self, made, task):
        batch = made.batch(1, 2)
        shape = (2, len(task.task_type(task).channels), *OUTPUT)
        assert batch.target.shape == batch.weight.shape == shape
        assert batch.target.dtype == batch.weight.dtype == torch.float32
        assert batch.target.min() >= 0
        assert batch.target.max() <= 1

    def test_a_crop_is_that_of_the_preview(self, made, task, volume):
        shown = list(preview(task, volume.ground_truth(channel="labels")))[-1]
        found = 0
        for index in ((0, 0, 0), (3, 9, 16), (8, 8, 8), (5, 2, 11)):
            crop, _ = made._crop(Coordinate(index), None)
            if crop is not None:
                found += 1
                roi = made.grid.output_roi(index)
                np.testing.assert_allclose(crop.target.data, shown.target[roi], atol=1e-5)
                np.testing.assert_array_equal(crop.weight.data > 0, shown.weight[roi] > 0)
        assert found


@pytest.mark.parametrize(
    ("changes", "remedy"),
    [
        (
            {"scale_factor": 1e5},
            "choose a smaller scale_factor, switch mask_distances off, or label a larger volume",
        ),
        ({"mask_distances": False}, "label a larger volume"),
    ],
)
def test_what_helps_where_nothing_counts_suits_the_task(
    sampler, volume, small_task, changes, remedy
):
    mask = np.zeros_like(volume.labels)
    mask[20, 20, 20] = 1
    task = small_task.model_copy(update=changes)
    for config in (
        task,
        PretrainedTaskConfig(name="p", sub_task_config=task, weights="w.pt"),
    ):
        made = sampler(ground_truth=volume.ground_truth(mask=volume.array(mask)), task=config)
        assert str(made._nothing_counts()).endswith(f"no voxel has a weight: {remedy}.")


@pytest.mark.parametrize(
    ("task", "remedy"),
    [
        (LABEL_TASKS[0], "name the classes of these labels, or label"),
        (LABEL_TASKS[1], "choose shorter offsets in the neighborhood, or label"),
    ],
)
def test_where_no_label_is_a_class_or_no_partner_is_known(sampler, volume, task, remedy):
    mask = np.zeros_like(volume.labels)
    mask[::40, ::40, ::40] = mask[20, 20, 20] = 1
    labels = np.full_like(volume.labels, 7)
    truth = volume.ground_truth(volume.array(labels), volume.array(mask), channel="labels")
    with pytest.raises(DataError, match=f"In 100 crops in a row .*: {remedy} a larger volume"):
        sampler(ground_truth=truth, task=task).batch(1, 1)


class TestFixed:
    def test_is_always_the_same_and_leaves_the_counts_alone(self, sampler):
        made = sampler()
        first = made.fixed()
        crops_of(made, 3)
        counts = made.class_counts
        second = made.fixed()
        for one, other in zip(
            (first.raw, first.target, first.weight),
            (second.raw, second.target, second.weight),
            strict=True,
        ):
            np.testing.assert_array_equal(one.data, other.data)
        assert made.class_counts == counts
        inside = first.target.data > 0
        assert 0.1 < inside.mean() < 0.9, "objects and background are to be seen"

    def test_goes_elsewhere_where_the_middle_is_unknown(self, sampler, volume):
        mask = np.ones_like(volume.labels)
        mask[10:30, 10:30, 10:30] = 0
        mask[8:10, 8:10, 8:10] = 1
        made = sampler(ground_truth=volume.ground_truth(mask=volume.array(mask)))
        assert made.fixed().weight.data.any()


def test_several_channels(sampler, volume, small_task):
    channels = (Channel(name="few", labels=(1, 2)), Channel(name="all"))
    task = small_task.with_channels(["few", "all"])
    batch = sampler(ground_truth=volume.ground_truth(channels=channels), task=task).batch(1, 2)
    assert batch.target.shape == (2, 2, *OUTPUT)


def test_bad_raw_data_that_is_read_lazily_is_found_in_its_crop(sampler, volume):
    raw = volume.raw.astype(np.float32)
    raw[20, 20, 20] = np.inf
    made = sampler(raw=volume.array(raw))
    with pytest.raises(DataError, match="NaN or infinite"):
        crops_of(made)


def test_a_network_that_does_not_fit_is_refused(sampler):
    with pytest.raises(DataError, match=r"input of \(24, 24, 24\) voxels does not fit"):
        sampler(output=(100, 8, 8))
