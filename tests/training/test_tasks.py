"""Every kind of task is trained, stopped and gone on with, from a run folder alone."""

from __future__ import annotations

import shutil

import numpy as np
import pytest
import torch
from driving import all_of, up_to

from napari_dacapo_tasks.arrays import Channel
from napari_dacapo_tasks.errors import ConfigError, DataError
from napari_dacapo_tasks.runs.run_folder import RunFolder
from napari_dacapo_tasks.tasks import (
    KINDS,
    AffinitiesTaskConfig,
    DistanceTaskConfig,
    DummyTaskConfig,
    HotDistanceTaskConfig,
    InnerDistanceTaskConfig,
    OneHotTaskConfig,
    PretrainedTaskConfig,
)
from napari_dacapo_tasks.training.events import Notice, Snapshot, Started
from napari_dacapo_tasks.training.loop import train

LENGTHS = {"scale_factor": 24, "clip_distance": 80, "tol_distance": 16}
NEAREST = [(1, 0, 0), (0, 1, 0), (0, 0, 1)]
INNER = InnerDistanceTaskConfig(name="inner", channels=["balls"], **LENGTHS)
CONFIGS = [
    DistanceTaskConfig(name="distance", channels=["few", "all"], **LENGTHS),
    INNER,
    HotDistanceTaskConfig(
        name="hot", channels=["few", "all"], **LENGTHS, mask_distances=True, kernel_size=3
    ),
    OneHotTaskConfig(name="classes", classes=["background", "first", "second"]),
    AffinitiesTaskConfig(name="offsets", neighborhood=[*NEAREST, (0, 0, -20), (-3, 2, 0)]),
    AffinitiesTaskConfig(
        name="shapes",
        neighborhood=NEAREST,
        lsds=True,
        num_lsd_voxels=2,
        downsample_lsds=2,
        background_as_object=True,
    ),
]
CHANNELS = [2, 1, 4, 3, 5, 13]
EVERY_TASK = pytest.mark.parametrize("task", CONFIGS, ids=lambda task: task.name)


def first_weights(run):
    """Give the weights that training begins with."""
    training = train(run)
    assert isinstance(next(training), Started)
    model = training.gi_frame.f_locals["trainer"].learner.model
    weights = {name: tensor.clone() for name, tensor in model.chain.state_dict().items()}
    training.close()
    return weights


def same(first, second):
    return all(torch.equal(tensor, second[name]) for name, tensor in first.items())


def alike(one, other):
    """Check that two runs have come to the same."""
    ends = [run.load_checkpoint() for run in (one, other)]
    assert same(ends[0]["model"], ends[1]["model"])
    assert ends[0]["class_counts"] == ends[1]["class_counts"]
    losses = [[step.loss for step in run.statistics()] for run in (one, other)]
    assert losses[0] == losses[1]
    assert len(losses[0]) == 3


def plain(value):
    """Whether a value is of Python's own types all through."""
    if isinstance(value, dict):
        return all(plain(one) for pair in value.items() for one in pair)
    if type(value) in (list, tuple):
        return all(map(plain, value))
    return value is None or type(value) in (int, float)


@pytest.fixture
def make_task_run(make_run, volume):
    """Make a run of 3 iterations for a task of any kind."""

    def make(task, name="run", **changes):
        few = Channel(name="few", labels=(1, 2, 3, 4, 5, 6))
        channels = [
            few if name == "few" else Channel(name=name) for name in task.ground_truth_channels
        ]
        truth = volume.ground_truth(channels=tuple(channels))
        trainer = {"iterations": 3, **changes.pop("trainer", {})}
        return make_run(name, task=task, ground_truth=truth, trainer=trainer, **changes)

    return make


@pytest.fixture
def weights(tmp_path, small_net):
    """A checkpoint of the inner distance task."""
    model = INNER.task_type(INNER).create_model(small_net)
    path = tmp_path / "weights.pt"
    torch.save({"model": model.chain.state_dict(), "optimizer": {"state": {}}}, path)
    return path


class TestEveryTask:
    def test_is_here(self):
        assert {type(config) for config in CONFIGS} == set(KINDS)

    @pytest.mark.parametrize(("task", "channels"), [*zip(CONFIGS, CHANNELS, strict=True)])
    def test_trains_from_its_folder_and_goes_on_bit_for_bit(self, make_task_run, task, channels):
        whole, parted = make_task_run(task, "whole"), make_task_run(task, "parted")
        assert RunFolder.open(whole.path).config.task == task
        first, last = all_of(whole, Snapshot)
        for shown in (first, last):
            assert len(shown.channels) == channels
            for part in (shown.target, shown.weight, shown.prediction):
                assert part.data.shape == (channels, 8, 8, 8)
            assert shown.weight.data.any()
            assert np.isfinite(shown.prediction.data).all()
        assert not np.array_equal(first.prediction.data, last.prediction.data)

        counts = up_to(parted, 2).class_counts
        kept = parted.load_checkpoint()["class_counts"]
        assert repr(kept) == repr(counts), "a list must not come back as a tuple"
        assert plain(kept)
        parted = RunFolder.open(shutil.move(parted.path, parted.path.with_name("moved")))
        all_of(parted)
        alike(whole, parted)

    @EVERY_TASK
    def test_begins_with_the_weights_of_a_run(self, make_task_run, task):
        source = make_task_run(task, "source", trainer={"iterations": 1})
        all_of(source)
        trained = source.load_checkpoint()["model"]
        pretrained = PretrainedTaskConfig(
            name="again", sub_task_config=task, weights=source.latest_checkpoint()
        )
        whole, parted = (make_task_run(pretrained, name) for name in ("whole", "parted"))
        shutil.rmtree(source.path)  # each has all that it needs
        assert same(first_weights(whole), trained)
        up_to(parted, 2)
        (parted.path / "pretrained.pt").unlink()
        all_of(whole)
        assert all_of(parted, Notice) == []
        alike(whole, parted)

    @EVERY_TASK
    def test_begins_with_the_weights_of_another_task(self, make_task_run, weights, task):
        pretrained = PretrainedTaskConfig(
            name="again", sub_task_config=task, weights=weights, new_head=True
        )
        run = make_task_run(pretrained)
        trained = torch.load(weights)["model"]
        begun = first_weights(run)
        for name, tensor in begun.items():
            if not name.startswith("1."):
                assert torch.equal(tensor, trained[name]), name
        assert not torch.equal(begun["1.weight"].ravel()[:4], trained["1.weight"].ravel())
        (notice,) = all_of(run, Notice)
        assert "head of the network starts anew (1.weight, 1.bias)" in notice.text
        assert len(run.statistics()) == 3

    def test_but_the_dummy(self, make_task_run, tmp_path):
        dummy = DummyTaskConfig(name="dummy", embedding_dims=1, detection_threshold=0.5)
        for task in (dummy, PretrainedTaskConfig(name="p", sub_task_config=dummy, weights="w.pt")):
            with pytest.raises(ConfigError, match=f"{task.name} cannot be trained: A dummy task"):
                make_task_run(task)
        assert list(tmp_path.iterdir()) == []


class TestRefusals:
    @pytest.mark.parametrize(
        ("task", "sentence"),
        [
            (
                AffinitiesTaskConfig(name="a", neighborhood=[(1, 0), (0, 1)]),
                "offsets of 2 axes, such as [1, 0], but the ground truth has 3",
            ),
            (
                AffinitiesTaskConfig(name="a", neighborhood=[(0, 0, 40)]),
                "(0, 0, 40) reaches beyond labels of shape (16, 16, 40)",
            ),
            (
                AffinitiesTaskConfig(name="a", neighborhood=[(0, -(2**70), 0)]),
                "reaches beyond labels",
            ),
            (
                InnerDistanceTaskConfig(name="i", channels=["a"], **{**LENGTHS, "scale_factor": 7}),
                "scale factor of 7 nm is less than a voxel",
            ),
        ],
    )
    def test_what_does_not_fit_the_data_is_told_by_the_task(
        self, make_task_run, tmp_path, task, sentence
    ):
        for config in (task, PretrainedTaskConfig(name="p", sub_task_config=task, weights="w.pt")):
            with pytest.raises(DataError) as refused:
                make_task_run(config)
            assert sentence in str(refused.value)
            assert "\n" not in str(refused.value)
        assert list(tmp_path.iterdir()) == []

    def test_offsets_longer_than_the_piece_that_is_tried_are_fine(self, make_task_run):
        make_task_run(AffinitiesTaskConfig(name="a", neighborhood=[(0, 0, 39), (-30, 0, 0)]))

    @pytest.mark.parametrize("task", [CONFIGS[3], CONFIGS[4]], ids=lambda task: task.name)
    def test_several_channels_where_there_is_one_volume_of_labels(self, make_run, volume, task):
        channels = (Channel(name="a"), Channel(name="b", labels=(1,)))
        with pytest.raises(DataError, match="The ground truth has 2 channels, but"):
            make_run(task=task, ground_truth=volume.ground_truth(channels=channels))

    def test_labels_without_an_object_are_told_without_a_channel(self, make_run, volume):
        truth = volume.ground_truth(volume.array(volume.labels * 0), channel="labels")
        with pytest.raises(
            DataError, match=r"holds no object where the network .*: paint or load some\.$"
        ):
            make_run(task=CONFIGS[3], ground_truth=truth)
