"""Crops show what the data holds there, and their targets are those of the preview."""

from __future__ import annotations

import numpy as np
import pytest
from funlib.geometry import Coordinate

from napari_dacapo_tasks.arrays import Channel
from napari_dacapo_tasks.errors import DataError
from napari_dacapo_tasks.numerics.symmetries import Symmetry
from napari_dacapo_tasks.runs.augmentation import AugmentationConfig
from napari_dacapo_tasks.tasks import (
    AffinitiesTaskConfig,
    OneHotTaskConfig,
    PretrainedTaskConfig,
)
from napari_dacapo_tasks.tasks.preview import Preview, preview
from napari_dacapo_tasks.training.augmentation import Augmentation
from napari_dacapo_tasks.training.places import Place
from napari_dacapo_tasks.training.rejections import Reason
from napari_dacapo_tasks.training.samples import Draft

INPUT, OUTPUT = (24, 24, 24), (8, 8, 8)


def made_at(sampler, index, symmetry=None):
    """Make the crop of a position, perhaps turned; None where it cannot be used."""
    augmentation = Augmentation(symmetry or Symmetry.identity(len(index)))
    found = sampler.made(Place(0, Coordinate(index)), augmentation)
    return found if isinstance(found, Draft) else None


def crop_at(sampler, index):
    return sampler.weigh(made_at(sampler, index), None)[0]


def weight_of(sampler, draft):
    return sampler.weigh(draft, None)[0].weight.data


def crops_of(sampler, steps=20, counts=None):
    """Make the crops of the first steps, one each, and the counts after them."""
    crops = []
    for step in range(1, steps + 1):
        crop, counts = sampler.weigh(sampler.first_draft(step, 0), counts)
        crops.append(crop)
    return crops, counts


def values_of(crop):
    return crop.raw.data, crop.target.data, crop.weight.data


def same(one, other):
    return all(np.array_equal(*pair) for pair in zip(values_of(one), values_of(other), strict=True))


def test_raw_is_brought_between_minus_one_and_one(sampler, volume):
    made = sampler()
    roi = made.places.volumes[0].grid.input_roi((3, 4, 5))
    raw = made.prepared(made.data.train[0], roi)
    expected = volume.raw[3:27, 4:28, 5:29].astype(np.float32) / 127.5 - 1
    np.testing.assert_allclose(raw.data[0], expected, atol=1e-6)
    assert raw.roi == roi
    assert raw.axes == ("c", "z", "y", "x")


def test_raw_channels_are_kept(sampler, volume):
    made = sampler(raw=volume.array(np.stack([volume.raw, 255 - volume.raw], -1), axes="zyxc"))
    raw = made.first_draft(1, 0).raw.data
    assert raw.shape == (2, *INPUT)
    np.testing.assert_allclose(raw[0], -raw[1], atol=1e-6)


@pytest.mark.parametrize(("mask_distances", "certain"), [(True, 0.8), (False, 0.95)])
def test_a_target_is_that_of_the_preview(sampler, volume, small_task, mask_distances, certain):
    task = small_task.model_copy(update={"mask_distances": mask_distances})
    made = sampler(task=task)
    shown = list(preview(task, volume.ground_truth()))[-1]
    assert isinstance(shown, Preview)
    for index in ((0, 0, 0), (3, 9, 16), (8, 8, 8)):
        roi = made.places.volumes[0].grid.output_roi(index)
        crop = crop_at(made, index)
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
    crop = crop_at(sampler(), (5, 6, 7))
    inside = crop.raw.crop(crop.target.roi)
    begin = np.array([5, 6, 7]) + (np.array(INPUT) - OUTPUT) // 2
    window = tuple(slice(b, b + 8) for b in begin)
    np.testing.assert_allclose(inside.data[0], volume.raw[window] / 127.5 - 1, atol=1e-6)
    labels = volume.labels[window] > 0
    assert ((crop.target.data[0] > 0) == labels).all()


def test_the_same_step_gives_the_same_crops(sampler):
    first, second, other = sampler(), sampler(), sampler(seed=1)
    one = first.first_draft(7, 1).raw.data
    np.testing.assert_array_equal(one, second.first_draft(7, 1).raw.data)
    for differs in (first.first_draft(8, 1), first.first_draft(7, 0), other.first_draft(7, 1)):
        assert not np.array_equal(one, differs.raw.data)


def test_another_attempt_is_another_crop(sampler):
    made = sampler()
    first, second = made.draft(1, 0), made.draft(1, 0, attempt=1)
    assert first.place != second.place
    assert made.first_draft(1, 0).place == first.place


def test_counts_run_on_and_are_all_the_state(sampler):
    whole, counts_of_whole = crops_of(sampler(), 6)
    made = sampler()
    _, counts = crops_of(made, 3)
    for step in (4, 5, 6):
        crop, counts = sampler().weigh(made.first_draft(step, 0), counts)
        np.testing.assert_array_equal(crop.weight.data, whole[step - 1].weight.data)
    assert counts == counts_of_whole


def test_a_crop_says_where_it_is_from_and_what_was_done(sampler):
    made = sampler(augmentation=AugmentationConfig(intensity=0.0))
    mirrored = made.weigh(made_at(made, (1, 2, 3), MIRRORED_IN_Y), None)[0]
    assert (mirrored.volume, mirrored.done) == ("balls", "mirrored in y")
    assert crop_at(made, (1, 2, 3)).done == "as it is"


MIRRORED_IN_Y = Symmetry((0, 1, 2), (False, True, False))


def test_intensity_changes_raw_only(sampler):
    varied = sampler(augmentation=AugmentationConfig(mirror=False, transpose=False, intensity=1.0))
    plain = sampler()
    for step in range(3):
        one, other = varied.first_draft(step, 0), plain.first_draft(step, 0)
        assert not np.array_equal(one.raw.data, other.raw.data)
        np.testing.assert_array_equal(one.target.data, other.target.data)
        np.testing.assert_array_equal(weight_of(varied, one), weight_of(plain, other))


class TestSparse:
    def test_crops_reach_what_little_is_known(self, sampler, volume, small_task):
        mask = np.zeros_like(volume.labels)
        mask[19:22, 10:13, 28:31] = 1
        truth = volume.ground_truth(mask=volume.array(mask))
        task = small_task.model_copy(update={"mask_distances": False})
        for crop in crops_of(sampler(ground_truth=truth, task=task), 10)[0]:
            assert crop.weight.data.any()

    def test_what_is_unknown_has_no_weight(self, sampler, volume):
        truth = volume.ground_truth(zero_is_unlabelled=True)
        for crop in crops_of(sampler(ground_truth=truth), 5)[0]:
            assert not crop.weight.data[crop.target.data < 0].any()
            assert crop.weight.data.any()

    def test_an_ignored_label_has_no_weight(self, sampler, volume):
        truth = volume.ground_truth(ignore_label=3)
        (z, y, x) = (int(n) for n in np.argwhere(volume.labels == 3).mean(0))
        made = sampler(ground_truth=truth)
        index = [min(max(n - 12, 0), 16) for n in (z, y, x)]
        crop = crop_at(made, index)
        ignored = made.data.train[0].ground_truth.labels[crop.target.roi] == 3
        assert ignored.any()
        assert not crop.weight.data[0][ignored].any()

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
            made.first_draft(1, 0)
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

    def test_a_crop_is_that_of_the_preview(self, made, task, volume):
        shown = list(preview(task, volume.ground_truth(channel="labels")))[-1]
        found = 0
        for index in ((0, 0, 0), (3, 9, 16), (8, 8, 8), (5, 2, 11)):
            draft = made_at(made, index)
            if draft is not None:
                found += 1
                crop, _ = made.weigh(draft, None)
                roi = crop.target.roi
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
        assert str(made.rejections.error(Reason.WEIGHTLESS)).endswith(
            f"no voxel has a weight: {remedy}."
        )


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
        sampler(ground_truth=truth, task=task).first_draft(1, 0)


class TestFixed:
    def test_is_always_the_same_whatever_is_done_to_others(self, sampler):
        made = sampler()
        first = made.fixed()
        crops_of(made, 3)
        assert same(first, made.fixed())
        assert same(first, sampler(augmentation=AugmentationConfig(intensity=1.0)).fixed())
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
    made = sampler(ground_truth=volume.ground_truth(channels=channels), task=task)
    assert made.first_draft(1, 0).target.data.shape == (2, *OUTPUT)


def test_bad_raw_data_that_is_read_lazily_is_found_in_its_crop(sampler, volume):
    raw = volume.raw.astype(np.float32)
    raw[20, 20, 20] = np.inf
    made = sampler(raw=volume.array(raw))
    with pytest.raises(DataError, match="NaN or infinite"):
        crops_of(made)


def test_a_network_that_does_not_fit_is_refused(sampler):
    with pytest.raises(DataError, match=r"input of \(24, 24, 24\) voxels does not fit"):
        sampler(output=(100, 8, 8))
