"""The demo as a command, in a process of its own, with few iterations."""

import json
import os
import subprocess
import sys

import numpy as np
import pytest
from PIL import Image

from napari_dacapo_tasks import terminal
from napari_dacapo_tasks.arrays.zarr_array import ZarrArray
from napari_dacapo_tasks.errors import UserError
from napari_dacapo_tasks.runs.run_folder import RunFolder

ITERATIONS = 8


@pytest.mark.skipif(not terminal.has_screen(), reason="there is no screen, nor Xvfb to draw one")
def test_the_demo_previews_trains_predicts_segments_and_scores(tmp_path):
    pictures = tmp_path / "pictures"
    command = [sys.executable, "-m", "napari_dacapo_tasks", "demo", "--json"]
    command += ["--iterations", str(ITERATIONS), "--screenshots", str(pictures)]
    environment = {**os.environ, "HOME": str(tmp_path), "USERPROFILE": str(tmp_path)}
    done = subprocess.run(
        command, env=environment, capture_output=True, text=True, timeout=1000, check=False
    )
    assert done.returncode == 0, done.stderr
    said = json.loads(done.stdout.splitlines()[-1])
    assert said["first_loss"] > 0
    run = RunFolder.open(said["run"])
    assert len(run.statistics()) == ITERATIONS
    assert run.latest_checkpoint().stem == f"{ITERATIONS:06d}"
    prediction = ZarrArray.open(run.snapshot_path(ITERATIONS) / "prediction")
    assert np.isfinite(prediction[prediction.roi]).all()
    assert 0 <= said["scores"]["mito"]["dice"] <= 1
    assert [os.path.basename(path) for path in said["screenshots"]] == [
        "1-preview.png",
        "2-training.png",
        "3-target.png",
        "4-prediction.png",
        "5-segmentation.png",
        "6-scores.png",
    ]
    for path in said["screenshots"]:
        with Image.open(path) as picture:
            assert picture.width > 1000
            assert np.asarray(picture.convert("L")).std() > 20, f"{path} is empty"


def test_without_a_screen_one_is_drawn_into_memory(monkeypatch):
    called = []
    monkeypatch.setattr(terminal.shutil, "which", lambda name: f"/usr/bin/{name}")
    monkeypatch.setattr(terminal.os, "execv", lambda path, arguments: called.append(arguments))
    terminal.run_without_screen(["demo", "--screenshots", "here"])
    ((first, *_, one, two, three),) = called
    assert first == "/usr/bin/xvfb-run"
    assert (one, two, three) == ("demo", "--screenshots", "here")


def test_without_a_screen_or_xvfb_one_sentence_says_what_to_install(monkeypatch):
    monkeypatch.setattr(terminal.shutil, "which", lambda name: None)
    with pytest.raises(UserError, match=r"There is no screen .* install xvfb"):
        terminal.run_without_screen(["demo"])


@pytest.mark.parametrize(
    ("platform", "variables", "there"),
    [
        ("linux", {}, False),
        ("linux", {"DISPLAY": ":0"}, True),
        ("linux", {"WAYLAND_DISPLAY": "wayland-0"}, True),
        ("darwin", {}, True),
        ("win32", {}, True),
    ],
)
def test_a_screen_is_known_by_its_variables(monkeypatch, platform, variables, there):
    monkeypatch.setattr(terminal.sys, "platform", platform)
    for name in ("DISPLAY", "WAYLAND_DISPLAY"):
        monkeypatch.delenv(name, raising=False)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    assert terminal.has_screen() is there
