"""The command does what the docks do, and says in one sentence what it will not do."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from napari_dacapo_tasks import __version__
from napari_dacapo_tasks.arrays.ome_zarr import write_ome_zarr
from napari_dacapo_tasks.arrays.open import open_array
from napari_dacapo_tasks.cli import main
from napari_dacapo_tasks.runs.run_folder import RunFolder
from napari_dacapo_tasks.tasks import (
    AffinitiesTaskConfig,
    HotDistanceTaskConfig,
    InnerDistanceTaskConfig,
    OneHotTaskConfig,
    PretrainedTaskConfig,
)
from napari_dacapo_tasks.tasks.files import save_task
from napari_dacapo_tasks.tasks.preview import preview

FIB25 = Path(__file__).parent / "../../shared/data/fib25.ome.zarr"

SMALL = ["--set", "architecture.input_shape=[24,24,24]", "--set", "architecture.num_fmaps=4"]
SMALL += ["--set", "architecture.downsample_factors=[[2,2,2]]"]
SMALL += [
    "--set",
    "architecture.kernel_size_down=null",
    "--set",
    "architecture.kernel_size_up=null",
]
SMALL += ["--set", "trainer.device=cpu"]


@pytest.fixture
def command(monkeypatch, capsys):
    """Run the command in this process: exit code, standard output, standard error."""

    def run(*arguments):
        monkeypatch.setattr(sys, "argv", ["napari-dacapo-tasks", *map(str, arguments)])
        try:
            main()
            code = 0
        except SystemExit as end:
            code = end.code or 0
        return (code, *capsys.readouterr())

    return run


@pytest.fixture
def files(tmp_path, volume, small_task):
    """Files as people have them: raw data with labels inside of it, a mask, a task."""
    raw = tmp_path / "volume.ome.zarr"
    list(write_ome_zarr(raw, volume.array(volume.raw), "raw"))
    list(write_ome_zarr(raw / "labels/balls", volume.array(volume.labels), "balls"))
    mask = np.ones_like(volume.labels)
    mask[:10] = 0
    list(write_ome_zarr(tmp_path / "mask.zarr", volume.array(mask), "mask"))
    save_task(small_task, tmp_path / "task.yaml")
    return {
        "raw": raw,
        "gt": raw / "labels/balls",
        "mask": tmp_path / "mask.zarr",
        "task": tmp_path / "task.yaml",
        "run": tmp_path / "run",
        "out": tmp_path / "out.zarr",
    }


@pytest.fixture
def new(command, files):
    """Make a run with the small network."""

    def make(*arguments):
        options = ["--task", files["task"], "--raw", files["raw"], "--gt", files["gt"]]
        return command("new", files["run"], *options, *SMALL, *arguments)

    return make


class TestPreview:
    def test_writes_what_the_preview_shows(self, command, files, small_task, volume):
        code, said, _ = command("preview", files["task"], files["gt"], files["out"])
        assert code == 0
        assert said.startswith("balls: 15.8% foreground, 0.0% unknown, ")
        assert f"Wrote target, weight, distance_mask to {files['out']}." in said
        *_, shown = preview(small_task, volume.ground_truth())
        for name, expected in (
            ("target", shown.target),
            ("weight", shown.weight),
            ("distance_mask", shown.masks["distance mask"]),
        ):
            image = open_array(files["out"] / name)
            assert image.roi == expected.roi
            np.testing.assert_array_equal(image[image.roi], expected.data)

    def test_as_json_with_a_mask(self, command, files):
        code, said, _ = command(
            "preview", files["task"], files["gt"], files["out"], "--mask", files["mask"], "--json"
        )
        assert code == 0
        result = json.loads(said)
        assert result["images"] == ["target", "weight", "distance_mask"]
        (channel,) = result["channels"]
        assert channel["channel"] == "balls"
        assert channel["unknown"] == pytest.approx(0.25)
        assert channel["weight_range"][0] > 0
        assert len(channel["histogram"]) == 64

    def test_channels_and_unknown_labels(self, command, files, small_task):
        save_task(small_task.with_channels(["few", "rest"]), files["task"])
        given = ["--channel", "rest=", "--channel", "few=1,2", "--zero-is-unlabelled"]
        given += ["--ignore-label", "3"]
        code, said, _ = command(
            "preview", files["task"], files["gt"], files["out"], *given, "--json"
        )
        assert code == 0
        few, rest = json.loads(said)["channels"]
        assert (few["channel"], rest["channel"]) == ("few", "rest")
        assert few["foreground"] < rest["foreground"] == 1
        assert few["unknown"] > 0.84

    @pytest.mark.parametrize(
        ("given", "sentence"),
        [
            (
                [],
                "there is no --channel: say for each which label ids it has, as in --channel few",
            ),
            (
                ["--channel", "few=1"],
                "The task has the channels few, rest, but --channel names",
            ),
            (["--channel", "few=x", "--channel", "rest"], "must be a name and whole numbers"),
            (["--channel", "few=0", "--channel", "rest"], "few=0: ids of objects start at 1"),
        ],
    )
    def test_channels_that_do_not_fit_are_refused(
        self, command, files, small_task, given, sentence
    ):
        save_task(small_task.with_channels(["few", "rest"]), files["task"])
        code, _, error = command("preview", files["task"], files["gt"], files["out"], *given)
        assert code == 1
        assert sentence in error
        assert not files["out"].exists()

    def test_nothing_is_overwritten(self, command, files):
        code, _, error = command("preview", files["task"], files["gt"], files["raw"])
        assert code == 1
        assert error.count("\n") == 1
        assert "exists already" in error


class TestNew:
    def test_makes_a_run_with_the_raw_data_where_it_is(self, new, files):
        code, said, _ = new("--set", "trainer.iterations=7")
        assert code == 0
        assert "with an input of [24, 24, 24] voxels" in said
        config = RunFolder.open(files["run"]).config
        assert config.trainer.iterations == 7
        assert config.architecture.num_fmaps == 4
        assert config.data.crops[0].raw == str(files["raw"])

    def test_proposes_a_network(self, command, files):
        options = ["--task", files["task"], "--raw", files["raw"], "--gt", files["gt"], "--json"]
        code, said, _ = command("new", files["run"], *options, "--mask", files["mask"])
        assert code == 0
        result = json.loads(said)
        assert result["task"] == "balls"
        assert result["run"] == str(files["run"])
        assert all(0 < size <= 40 for size in result["input_shape"])

    @pytest.mark.parametrize(
        ("change", "sentence"),
        [
            ("trainer.iteration=7", "did you mean trainer.iterations?"),
            ("trainer.iterations=0", "iterations: Input should be greater than or equal to 1"),
            (
                "architecture.input_shape=[48,48,48]",
                "input_shape that fits is (40, 40, 40)",
            ),
            ("task.scale_factor=2", "less than a voxel"),
        ],
    )
    def test_what_is_refused_leaves_nothing(self, new, files, change, sentence):
        code, said, error = new("--set", change)
        assert (code, said) == (1, "")
        assert sentence in error
        assert not files["run"].exists()

    def test_a_missing_file_is_refused(self, command, files):
        options = ["--task", files["task"], "--raw", "gone.zarr", "--gt", files["gt"]]
        code, _, error = command("new", files["run"], *options)
        assert code == 1
        assert error == "There is nothing at gone.zarr: check the path.\n"


LENGTHS = {"scale_factor": 24, "clip_distance": 80, "tol_distance": 16}
KINDS = [
    InnerDistanceTaskConfig(name="inner", channels=["balls"], **LENGTHS),
    HotDistanceTaskConfig(name="hot", channels=["few", "rest"], **LENGTHS),
    OneHotTaskConfig(name="classes", classes=["background", "first", "second"]),
    AffinitiesTaskConfig(name="offsets", neighborhood=[(1, 0, 0), (0, -1, 0), (0, 0, 20)]),
    AffinitiesTaskConfig(
        name="shapes", neighborhood=[(1, 0, 0), (0, 1, 0)], lsds=True, num_lsd_voxels=2
    ),
]
EVERY_KIND = pytest.mark.parametrize("task", KINDS, ids=lambda task: task.name)


class TestEveryKindOfTask:
    @staticmethod
    def channels(task):
        return ["--channel", "few=1,2", "--channel", "rest"] if task.name == "hot" else []

    @EVERY_KIND
    def test_preview(self, command, files, task):
        save_task(task, files["task"])
        code, said, error = command(
            "preview", files["task"], files["gt"], files["out"], *self.channels(task), "--json"
        )
        assert code == 0, error
        result = json.loads(said)
        names = task.task_type(task).channels
        assert [one["channel"] for one in result["channels"]] == names
        target = open_array(files["out"] / "target")
        assert target.num_channels == open_array(files["out"] / "weight").num_channels == len(names)
        assert target[target.roi].max() <= 1

    @EVERY_KIND
    def test_new_and_train(self, new, command, files, task):
        save_task(task, files["task"])
        given = [*self.channels(task), "--set", "trainer.iterations=2"]
        code, _, error = new(*given)
        assert code == 0, error
        assert RunFolder.open(files["run"]).config.task == task
        code, said, error = command("train", files["run"], "--json")
        assert code == 0, error
        assert json.loads(said)["finished"] is True

    def test_a_run_begins_with_the_weights_of_another(self, new, command, files, tmp_path):
        save_task(KINDS[0], files["task"])
        new("--set", "trainer.iterations=1")
        assert command("train", files["run"])[0] == 0
        weights = files["run"] / "checkpoints/000001.pt"
        pretrained = PretrainedTaskConfig(name="p", sub_task_config=KINDS[2], weights=weights)
        save_task(pretrained, files["task"])
        files["run"] = tmp_path / "second"
        code, _, error = new()
        assert code == 1
        assert "1.weight is (1, " in error
        assert not files["run"].exists()
        code, _, error = new("--set", "task.new_head=true", "--set", "trainer.iterations=2")
        assert code == 0, error
        code, said, error = command("train", files["run"])
        assert code == 0, error
        assert said.startswith("Finished at iteration 2")
        assert "The head of the network starts anew (1.weight, 1.bias)" in error

    @pytest.mark.parametrize("wrapped", [False, True])
    def test_ids_of_channels_are_for_tasks_that_choose_them(self, command, files, wrapped):
        task = KINDS[2]
        if wrapped:
            task = PretrainedTaskConfig(name="classes", sub_task_config=task, weights="w.pt")
        save_task(task, files["task"])
        code, _, error = command(
            "preview", files["task"], files["gt"], files["out"], "--channel", "few=1"
        )
        assert code == 1
        assert error == "The task classes learns all labels at once: leave --channel few=1 out.\n"

    @pytest.mark.parametrize(
        ("change", "sentence"),
        [
            ("task.neighborhood=[[1,0],[0,1]]", "offsets of 2 axes"),
            ("task.neighborhood=[[0,0,40]]", "reaches beyond labels"),
            ("task.neighborhood=[]", "neighborhood: there is no offset"),
            ("task.neighborhood=[[1,0,0]", "task.neighborhood is no list that can be read"),
            ("task.neighbourhood=[[1,0,0]]", "did you mean task.neighborhood?"),
            (
                "task.neighborhood=[!!python/object/apply:os.abort []]",
                "is no list that can be read",
            ),
        ],
    )
    def test_offsets_that_are_refused_leave_nothing(self, new, files, change, sentence):
        save_task(KINDS[3], files["task"])
        code, said, error = new("--set", change)
        assert (code, said) == (1, "")
        assert sentence in error
        assert error.count("\n") == 1
        assert not files["run"].exists()

    def test_parameters_of_a_task_can_be_set(self, new, files):
        save_task(KINDS[3], files["task"])
        changes = ["task.neighborhood=[[1,0,0],[0,1,0]]", "task.background_as_object=true"]
        code, _, error = new(*(part for change in changes for part in ("--set", change)))
        assert code == 0, error
        task = RunFolder.open(files["run"]).config.task
        assert task.neighborhood == [(1, 0, 0), (0, 1, 0)]
        assert task.background_as_object

    def test_channels_that_are_set_are_those_of_the_ground_truth(self, new, files, small_task):
        save_task(small_task, files["task"])
        code, _, error = new(
            "--set", "task.channels=[few, rest]", "--channel", "few=1,2", "--channel", "rest"
        )
        assert code == 0, error
        config = RunFolder.open(files["run"]).config
        assert config.task.channels == config.data.labels.channel_names == ["few", "rest"]


class TestTrain:
    def test_starts_and_goes_on(self, new, command, files):
        new("--set", "trainer.iterations=2")
        code, said, error = command("train", files["run"])
        assert code == 0
        assert said.startswith("Finished at iteration 2; the weights are in ")
        assert "weights on CPU" in error
        code, said, _ = command("train", files["run"], "--set", "trainer.iterations=4", "--json")
        assert code == 0
        result = json.loads(said)
        assert result == {
            "run": str(files["run"]),
            "finished": True,
            "iteration": 4,
            "loss": RunFolder.open(files["run"]).statistics()[-1].loss,
            "checkpoint": str(files["run"] / "checkpoints/000004.pt"),
        }
        code, said, error = command("train", files["run"])
        assert code == 0
        assert "has done 4 of 4 iterations: raise their number" in error

    def test_the_task_cannot_change_any_more(self, new, command, files):
        new("--set", "trainer.iterations=1")
        assert command("train", files["run"], "--set", "task.scale_factor=40")[0] == 0
        code, _, error = command("train", files["run"], "--set", "task.scale_factor=50")
        assert code == 1
        assert "its task cannot change any more" in error

    def test_no_run_is_refused(self, command, tmp_path):
        code, _, error = command("train", tmp_path)
        assert code == 1
        assert "is no run folder" in error

    def test_a_device_that_is_not_there_is_refused(self, new, command, files):
        new()
        code, _, error = command("train", files["run"], "--set", "trainer.device=cuda:77")
        assert code == 1
        assert "no device cuda:77" in error

    @pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such signals")
    @pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
    def test_a_signal_stops_with_a_checkpoint(self, new, files, number):
        new("--set", "trainer.iterations=100000", "--set", "trainer.checkpoint_interval=100000")
        run = RunFolder.open(files["run"])
        arguments = [sys.executable, "-m", "napari_dacapo_tasks", "train", str(files["run"])]
        process = subprocess.Popen(
            arguments, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
        try:
            while len(run.statistics()) < 3 and process.poll() is None:
                time.sleep(0.05)
            process.send_signal(number)
            said, error = process.communicate(timeout=60)
        finally:
            process.kill()
        assert process.returncode == 0, error
        done = run.load_checkpoint()["iteration"]
        assert done >= 3
        assert said.startswith(f"Stopped at iteration {done}; the same command goes on from ")
        assert len(run.statistics()) == done


class TestUsage:
    def test_version(self, command):
        assert command("--version")[:2] == (0, f"{__version__}\n")

    @pytest.mark.parametrize(
        "arguments", [["nonsense"], ["train"], ["train", "run", "--set", "trainer.iterations"]]
    )
    def test_wrong_usage_is_two(self, command, arguments):
        assert command(*arguments)[0] == 2

    def test_every_verb_has_help(self, command):
        for verb in ("preview", "new", "train"):
            code, said, _ = command(verb, "--help")
            assert code == 0
            assert "--json" in said


def test_only_training_imports_torch(files, small_task, tmp_path):
    label_tasks = [task for task in KINDS if not task.has_channels()]
    pretrained = PretrainedTaskConfig(name="p", sub_task_config=small_task, weights="gone.pt")
    verbs = []
    for task in (small_task, KINDS[0], *label_tasks, pretrained):
        save_task(task, tmp_path / f"{task.name}.yaml")
        out = tmp_path / f"{task.name}.zarr"
        verbs.append(["preview", tmp_path / f"{task.name}.yaml", files["gt"], out])
    for task in (small_task, *label_tasks):
        options = ["--task", tmp_path / f"{task.name}.yaml", "--raw", files["raw"]]
        verbs.append(["new", tmp_path / task.name, *options, "--gt", files["gt"], *SMALL])
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
    found = [line for line in done.stdout.splitlines() if line.endswith(("True", "False"))]
    assert found == [f"{verb[0]} False False" for verb in verbs]


@pytest.mark.skipif(not FIB25.exists(), reason="the volume ../shared/data/fib25.ome.zarr is absent")
def test_a_real_volume(command, files, small_task):
    save_task(small_task.with_channels(["neurons"]), files["task"])
    gt = f"{FIB25}/labels/neurons"
    assert command("preview", files["task"], gt, files["out"])[0] == 0
    target = open_array(files["out"] / "target")
    assert target.describe() == "1 channels of 160 x 250 x 250 voxels of 10 x 10 x 10 nm"
    options = ["--task", files["task"], "--raw", FIB25, "--gt", gt, *SMALL]
    assert command("new", files["run"], *options, "--set", "trainer.iterations=3")[0] == 0
    code, said, error = command("train", files["run"], "--json")
    assert code == 0, error
    assert json.loads(said)["iteration"] == 3
