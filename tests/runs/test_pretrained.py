"""A run that begins with trained weights: they are checked first, and kept inside of it."""

from __future__ import annotations

import errno
import shutil
from pathlib import Path

import pytest
import torch

from napari_dacapo_tasks.errors import ConfigError, DataError, RunError
from napari_dacapo_tasks.runs.overrides import with_overrides
from napari_dacapo_tasks.runs.run_folder import RunFolder
from napari_dacapo_tasks.tasks import OneHotTaskConfig, PretrainedTaskConfig
from napari_dacapo_tasks.training.loop import train

OTHER = OneHotTaskConfig(name="classes", classes=["background", "first", "second"])


class Trap:
    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return Path.touch, (self.path,)


@pytest.fixture
def weights(tmp_path, small_task, small_net):
    """A checkpoint of the task that runs are made with."""
    model = small_task.task_type(small_task).create_model(small_net)
    path = tmp_path / "weights.pt"
    torch.save({"model": model.chain.state_dict(), "optimizer": {"state": {}}}, path)
    return path


@pytest.fixture
def task(weights, small_task):
    return PretrainedTaskConfig(name="again", sub_task_config=small_task, weights=weights)


def same(first, second):
    return all(torch.equal(tensor, second[name]) for name, tensor in first.items())


def test_keeps_the_weights_and_nothing_else_of_the_file(make_run, task, weights):
    run = make_run(task=task)
    assert run.config.task.weights == "pretrained.pt"
    assert "weights: pretrained.pt" in (run.path / "run.yaml").read_text()
    assert run.task == task.model_copy(update={"weights": str(run.path / "pretrained.pt")})
    kept = torch.load(run.path / "pretrained.pt", weights_only=True)
    assert list(kept) == ["model"]
    assert same(kept["model"], torch.load(weights, weights_only=True)["model"])


def test_a_relative_path_is_that_of_the_caller(make_run, task, monkeypatch):
    monkeypatch.chdir(Path(task.weights).parent)
    run = make_run(task=task.model_copy(update={"weights": "weights.pt"}))
    monkeypatch.chdir("/")
    list(train(run))
    assert len(run.statistics()) == 8


def test_without_its_weights_a_new_run_does_not_start_in_silence(make_run, task):
    run = make_run(task=task)
    (run.path / "pretrained.pt").unlink()
    with pytest.raises(DataError, match=r"pretrained\.pt cannot be read: No such file"):
        list(train(run))
    assert "cannot be read" in (run.path / "log.txt").read_text()


def test_the_sub_task_can_be_changed_before_training(make_run, task):
    run = make_run(task=task)
    run.save_config(with_overrides(run.config, {"task.sub_task_config.scale_factor": "32"}))
    again = RunFolder.open(run.path)
    assert again.config.task.sub_task_config.scale_factor == 32
    list(train(again))


@pytest.mark.parametrize(
    ("spoil", "sentence"),
    [
        ("no path", "cannot be trained: it has no weights to begin with"),
        ("gone", "cannot be read: No such file"),
        ("text", "is no whole checkpoint of PyTorch"),
        ("cut", "is no whole checkpoint of PyTorch"),
        ("code", "holds more than tensors and plain values"),
        ("body", r"0\.unet.*\.weight is \(4, .* and should be \(5, "),
        ("head", r"1\.weight is \(1, .*; 1\.bias is .* or start the head anew"),
    ],
)
def test_bad_weights_are_refused_before_anything_is_made(
    make_run, task, weights, small_net, tmp_path, spoil, sentence
):
    changes = {}
    sprung = tmp_path / "sprung"
    match spoil:
        case "no path":
            task = task.model_copy(update={"weights": ""})
        case "gone":
            weights.unlink()
        case "text":
            weights.write_text("notes\n" * 50)
        case "cut":
            weights.write_bytes(weights.read_bytes()[:5000])
        case "code":
            torch.save({"model": Trap(sprung)}, weights)
        case "body":
            changes["architecture"] = small_net.model_copy(update={"num_fmaps": 5})
        case "head":
            task = task.model_copy(update={"sub_task_config": OTHER})
    before = sorted(tmp_path.iterdir())
    with pytest.raises((DataError, ConfigError), match=sentence) as refused:
        make_run(task=task, **changes)
    assert "\n" not in str(refused.value)
    assert sorted(tmp_path.iterdir()) == before
    assert not sprung.exists()


def test_a_full_disk_leaves_nothing(make_run, task, tmp_path, monkeypatch):
    def full(*args, **kwargs):
        try:
            raise OSError(errno.ENOSPC, "No space left on device")
        finally:
            raise RuntimeError("unexpected pos 64 vs 0")

    monkeypatch.setattr(torch, "save", full)
    with pytest.raises(RunError, match=r"run cannot be written: No space left on device\.$"):
        make_run(task=task)
    assert [path.name for path in tmp_path.iterdir()] == ["weights.pt"]


def test_the_folder_can_move(make_run, task, weights, tmp_path):
    run = make_run(task=task)
    wanted = torch.load(weights)["model"]
    weights.unlink()
    moved = RunFolder.open(shutil.move(run.path, tmp_path / "moved"))
    training = train(moved)
    next(training)
    begun = training.gi_frame.f_locals["trainer"].learner.model.chain.state_dict()
    assert same(begun, wanted)
    training.close()
