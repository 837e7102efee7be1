"""Folders for DaCapo, checked by DaCapo itself where it is installed."""

from __future__ import annotations

import os
import subprocess
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml

from napari_dacapo_tasks.errors import DataError
from napari_dacapo_tasks.prediction.export import export_dacapo
from napari_dacapo_tasks.tasks import PretrainedTaskConfig
from napari_dacapo_tasks.tasks.files import load_task

DACAPO = os.environ.get("DACAPO_PYTHON")
ANSWERS = Path(__file__).with_name("dacapo_answers.py")

CASES = [
    ("distance", "valid"),
    ("inner", "anisotropic"),
    ("hot", "thirds"),
    ("classes", "valid"),
    ("affinities", "finer"),
    ("descriptors", "valid"),
]


@pytest.mark.skipif(not DACAPO, reason="DACAPO_PYTHON names no Python with DaCapo")
def test_dacapos_networks_answer_the_same(trained, finish, answer_of, tmp_path):
    made = []
    for task, net in CASES:
        ours = trained(task, net)
        folder = finish(export_dacapo(ours, tmp_path / task)).path
        shape = (1, ours.architecture.fmaps_in, *ours.architecture.input_shape)
        raw = np.random.default_rng(0).uniform(-1, 1, shape).astype(np.float32)
        np.save(folder / "raw.npy", raw)
        model = ours.build()
        # There hot distances and classes are logits, and there is no head for descriptors.
        part = {"descriptors": model.chain[0], "hot": model.chain, "classes": model.chain}
        made.append((folder, answer_of(part.get(task, model), raw)))
    # All at once, as importing DaCapo takes long.
    command = [DACAPO, ANSWERS, *(folder for folder, _ in made)]
    run = subprocess.run(command, capture_output=True, text=True, timeout=300, cwd=tmp_path)
    assert run.returncode == 0, run.stderr
    for folder, wanted in made:
        found = np.load(folder / "answer.npy")
        np.testing.assert_allclose(found, wanted, atol=1e-5, err_msg=folder.name)


class TestFiles:
    def test_are_those_that_dacapo_reads(self, trained, finish, tmp_path):
        ours = trained(net="thirds")
        made = finish(export_dacapo(ours, tmp_path / "out"))
        assert made.path == tmp_path / "out"
        assert load_task(made.path / "task.yaml") == ours.task
        values = yaml.safe_load((made.path / "architecture.yaml").read_text())
        assert values["__type__"] == "CNNectomeUNetConfig"
        assert values["_eval_shape_increase"] == [3, 3, 3]
        assert "eval_shape_increase" not in values
        assert values["upsample_factors"] is None
        weights = torch.load(made.path / "weights.pt", weights_only=True)["model"]
        assert weights.keys() == ours.weights.keys()

    def test_the_kernel_of_a_head_is_named(self, trained, finish, tmp_path):
        # DaCapo takes 3 where there is none, and this program 1.
        made = finish(export_dacapo(trained("hot"), tmp_path / "out"))
        assert load_task(made.path / "task.yaml").kernel_size == 1

    def test_the_range_of_intensities_is_said(self, trained, finish, tmp_path):
        made = finish(export_dacapo(trained(), tmp_path / "out"))
        text = (made.path / "README.md").read_text()
        assert "raw values of 20 as -1 and of 220 as 1" in text
        assert "40 x 8 x 8 nm" in text

    def test_a_pretrained_task_is_what_it_learned(self, trained, finish, tmp_path):
        ours = trained()
        begun = PretrainedTaskConfig(name="p", sub_task_config=ours.task, weights="gone.pt")
        made = finish(export_dacapo(replace(ours, task=begun), tmp_path / "out"))
        assert load_task(made.path / "task.yaml") == ours.task


@pytest.mark.parametrize(
    ("task", "net", "said"),
    [
        ("descriptors", "valid", "no head for the descriptors"),
        ("hot", "valid", "sigmoid"),
        ("classes", "valid", "softmax"),
        ("distance", "same", "answers for fewer voxels"),
    ],
)
def test_what_differs_there_is_said(task, net, said, trained, finish, tmp_path):
    made = finish(export_dacapo(trained(task, net), tmp_path / "out"))
    assert any(said in notice for notice in made.notices)
    assert said in (made.path / "README.md").read_text()


def test_nothing_differs_for_a_plain_one(trained, finish, tmp_path):
    assert finish(export_dacapo(trained(), tmp_path / "out")).notices == ()


def test_a_folder_in_use_is_refused(trained, finish, tmp_path):
    (tmp_path / "out").mkdir()
    (tmp_path / "out/mine.txt").write_text("mine")
    with pytest.raises(DataError, match="exists already"):
        finish(export_dacapo(trained(), tmp_path / "out"))
    assert [one.name for one in (tmp_path / "out").iterdir()] == ["mine.txt"]


def test_leaving_early_leaves_nothing(trained, tmp_path):
    steps = export_dacapo(trained(), tmp_path / "out")
    next(steps)
    next(steps)
    steps.close()
    assert list(tmp_path.iterdir()) == []
