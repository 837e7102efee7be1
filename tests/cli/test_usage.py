"""The command as a whole, and that it is light."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from napari_dacapo_tasks import __version__
from napari_dacapo_tasks.arrays.open import open_array
from napari_dacapo_tasks.tasks import PretrainedTaskConfig
from napari_dacapo_tasks.tasks.files import save_task

VERBS = ("preview", "new", "train", "predict", "segment", "evaluate", "sweep", "export")

FIB25 = Path(__file__).parent / "../../../shared/data/fib25.ome.zarr"


class TestUsage:
    def test_version(self, command):
        assert command("--version")[:2] == (0, f"{__version__}\n")

    @pytest.mark.parametrize(
        "arguments", [["nonsense"], ["train"], ["train", "run", "--set", "trainer.iterations"]]
    )
    def test_wrong_usage_is_two(self, command, arguments):
        assert command(*arguments)[0] == 2

    def test_every_verb_has_help(self, command):
        for verb in VERBS:
            code, said, _ = command(verb, "--help")
            assert code == 0
            assert "--json" in said

    def test_help_is_whole_in_a_narrow_terminal(self, command, monkeypatch):
        monkeypatch.setenv("COLUMNS", "80")
        for verb in ([], *([verb] for verb in (*VERBS, "runs", "stop", "cluster", "demo"))):
            said = command(*verb, "--help")[1]
            assert max(map(len, said.splitlines())) <= 80
            assert "..." not in said.replace("[ARGS]...", "").replace("[FOLDERS]...", "")
            assert "…" not in said


def test_only_training_imports_torch(files, small_task, kinds, small_options, tmp_path):
    label_tasks = [task for task in kinds.values() if not task.has_channels()]
    pretrained = PretrainedTaskConfig(name="p", sub_task_config=small_task, weights="gone.pt")
    verbs = []
    for task in (small_task, kinds["inner"], *label_tasks, pretrained):
        save_task(task, tmp_path / f"{task.name}.yaml")
        out = tmp_path / f"{task.name}.zarr"
        verbs.append(["preview", tmp_path / f"{task.name}.yaml", files["gt"], out])
    for task in (small_task, *label_tasks):
        options = ["--task", tmp_path / f"{task.name}.yaml", "--raw", files["raw"]]
        verbs.append(["new", tmp_path / task.name, *options, "--gt", files["gt"], *small_options])
    assert imported_by(verbs) == [f"{verb[0]} False False" for verb in verbs]


def test_what_is_made_of_predictions_imports_no_torch(way, tmp_path):
    run, prediction, gt = way["run"], way["prediction"], way["gt"]
    verbs = [
        ["segment", run, prediction, way["out"]],
        ["segment", run, prediction, tmp_path / "blocks.zarr", "--method", "2", "--blockwise"],
        ["evaluate", run, way["out"], gt, "--out", tmp_path / "scores"],
        ["sweep", run, prediction, gt, "--range", "threshold=0,0.1"],
    ]
    assert imported_by(verbs) == [f"{verb[0]} False False" for verb in verbs]


def imported_by(verbs):
    """Run verbs in a process of their own: after each, whether torch and napari are there."""
    code = (
        "import sys\n"
        "from napari_dacapo_tasks.cli import main\n"
        f"for verb in {[[*map(str, verb)] for verb in verbs]!r}:\n"
        "    sys.argv = ['', *verb]\n"
        "    try:\n        main()\n"
        "    except SystemExit as end:\n        assert not end.code, (verb, end.code)\n"
        "    print(verb[0], 'torch' in sys.modules, 'napari' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return [line for line in done.stdout.splitlines() if line.endswith(("True", "False"))]


@pytest.mark.skipif(not FIB25.exists(), reason="the volume ../shared/data/fib25.ome.zarr is absent")
def test_a_real_volume(command, files, small_task, small_options):
    save_task(small_task.with_channels(["neurons"]), files["task"])
    gt = f"{FIB25}/labels/neurons"
    assert command("preview", files["task"], gt, files["out"])[0] == 0
    target = open_array(files["out"] / "target")
    assert target.describe() == "1 channel of 160 x 250 x 250 voxels of 10 x 10 x 10 nm"
    options = ["--task", files["task"], "--raw", FIB25, "--gt", gt, *small_options]
    assert command("new", files["run"], *options, "--set", "trainer.iterations=3")[0] == 0
    code, said, error = command("train", files["run"], "--json")
    assert code == 0, error
    assert json.loads(said)["iteration"] == 3
