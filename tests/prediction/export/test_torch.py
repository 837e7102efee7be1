"""Networks as files that PyTorch runs by itself."""

from __future__ import annotations

import errno
import json
import subprocess
import sys

import numpy as np
import pytest
import torch

from napari_dacapo_tasks.errors import ConfigError, DataError
from napari_dacapo_tasks.prediction.export import export_torch, program
from napari_dacapo_tasks.runs.intensity import normalised

ALL = ["valid", "anisotropic", "same", "attention", "thirds", "finer", "colours"]


LEAST = {"thirds": "25 x 25 x 25 voxels or more", "same": "4 x 4 x 4 voxels or more"}
"""PyTorch refuses a single voxel in the deepest level, to which 2 x 2 x 2 are brought."""


def shapes_of(architecture):
    """Give shapes that fit, none of which the export has tried, and one of a batch of 3."""
    steps = [axis.step for axis in architecture.axes]
    yield 1, [axis.minimum + axis.step for axis in architecture.axes]
    yield 1, list(architecture.input_shape)
    yield (
        3,
        [
            n + (2 + i) * s
            for i, (n, s) in enumerate(zip(architecture.input_shape, steps, strict=True))
        ],
    )


def check(stored, ours, answer_of):
    model = ours.build()
    for batch, shape in shapes_of(ours.architecture):
        size = (batch, ours.architecture.fmaps_in, *shape)
        raw = np.random.default_rng(2).uniform(0, 255, size).astype(np.float32)
        wanted = answer_of(model, normalised(raw, ours.intensity_range))
        np.testing.assert_allclose(answer_of(stored, raw), wanted, atol=1e-4)


@pytest.mark.parametrize("net", ALL)
def test_torchscript_answers_the_same_at_any_size(net, trained, finish, answer_of, tmp_path):
    ours = trained("hot", net)
    made = finish(export_torch(ours, tmp_path / "net.pt"))
    check(torch.jit.load(str(made.path)), ours, answer_of)


@pytest.mark.parametrize(("task", "net"), [("affinities", "thirds"), ("hot", "same")])
def test_torch_export_answers_the_same_at_any_size(task, net, trained, finish, answer_of, tmp_path):
    ours = trained(task, net)
    made = finish(export_torch(ours, tmp_path / "net.pt2"))
    files = {"napari_dacapo_tasks.json": ""}
    check(torch.export.load(made.path, extra_files=files).module(), ours, answer_of)
    assert LEAST[net] in made.notices[0]
    about = json.loads(files["napari_dacapo_tasks.json"])
    assert about["intensity_range"] == [20, 220]
    assert about["task"]["name"] == ours.task.name


def test_runs_without_this_program(trained, finish, tmp_path):
    made = finish(export_torch(trained(), tmp_path / "net.pt"))
    code = (
        "import sys, torch\n"
        "sys.modules['napari_dacapo_tasks'] = None\n"
        f"net = torch.jit.load({str(made.path)!r})\n"
        "print(tuple(net(torch.zeros(1, 1, 24, 24, 24)).shape))"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert run.stdout.strip() == "(1, 2, 8, 8, 8)", run.stderr


def test_says_what_it_takes(trained, finish, tmp_path):
    (notice,) = finish(export_torch(trained(net="anisotropic"), tmp_path / "net.pt")).notices
    assert "(batch, channels, z, y, x)" in notice
    assert "in steps of 2 x 4 x 4" in notice


class TestRefused:
    def test_another_ending(self, trained, finish, tmp_path):
        with pytest.raises(ConfigError, match=r"net\.onnx must end in \.pt2"):
            finish(export_torch(trained(), tmp_path / "net.onnx"))

    def test_a_name_in_use(self, trained, finish, tmp_path):
        (tmp_path / "net.pt").write_text("mine")
        with pytest.raises(DataError, match="exists already"):
            finish(export_torch(trained(), tmp_path / "net.pt"))
        assert (tmp_path / "net.pt").read_text() == "mine"

    def test_a_folder_that_cannot_be_made(self, trained, finish, tmp_path):
        (tmp_path / "file").write_text("")
        with pytest.raises(DataError, match="cannot be written"):
            finish(export_torch(trained(), tmp_path / "file/net.pt"))

    def test_a_full_disk(self, trained, finish, monkeypatch, tmp_path):
        def full(*_):
            raise OSError(errno.ENOSPC, "No space left on device")

        monkeypatch.setattr(program, "save_script", full)
        with pytest.raises(DataError, match="cannot be written: No space left on device"):
            finish(export_torch(trained(), tmp_path / "net.pt"))
        assert list(tmp_path.iterdir()) == []

    def test_what_answers_something_else_is_not_kept(self, trained, finish, monkeypatch, tmp_path):
        right = program.traced

        def wrong(made, architecture):
            made.intensity_range = (0.0, 1.0)
            try:
                return right(made, architecture)
            finally:
                made.intensity_range = (20.0, 220.0)

        monkeypatch.setattr(program, "traced", wrong)
        with pytest.raises(ConfigError, match="does not answer what the network answers"):
            finish(export_torch(trained(), tmp_path / "net.pt"))
        assert list(tmp_path.iterdir()) == []


def test_leaving_early_leaves_nothing(trained, tmp_path):
    steps = export_torch(trained(), tmp_path / "net.pt")
    for _ in range(3):
        next(steps)
    steps.close()
    assert list(tmp_path.iterdir()) == []
