"""The command in this process, and files for it as people have them."""

from __future__ import annotations

import shutil
import sys

import numpy as np
import pytest

from napari_dacapo_tasks.arrays import Array
from napari_dacapo_tasks.arrays.ome_zarr import write_ome_zarr
from napari_dacapo_tasks.cli import main
from napari_dacapo_tasks.tasks import (
    AffinitiesTaskConfig,
    DistanceTaskConfig,
    HotDistanceTaskConfig,
    InnerDistanceTaskConfig,
    OneHotTaskConfig,
)
from napari_dacapo_tasks.tasks.files import save_task

SMALL = ["--set", "architecture.input_shape=[24,24,24]", "--set", "architecture.num_fmaps=4"]
SMALL += ["--set", "architecture.downsample_factors=[[2,2,2]]"]
SMALL += [
    "--set",
    "architecture.kernel_size_down=null",
    "--set",
    "architecture.kernel_size_up=null",
]
SMALL += ["--set", "trainer.device=cpu"]


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


@pytest.fixture
def small_options():
    """Options of `new` that make a network small."""
    return SMALL


@pytest.fixture
def kinds():
    """A task of every kind beside the distance task, by name."""
    return {task.name: task for task in KINDS}


@pytest.fixture(params=KINDS, ids=lambda task: task.name)
def task(request):
    """Each of these tasks in turn."""
    return request.param


EDGE = 32
STEPS = 3


@pytest.fixture(scope="session")
def trained_once(tmp_path_factory):
    """Train a few steps and predict, once for all who go on from there: paths by name."""
    folder = tmp_path_factory.mktemp("trained")
    axes = np.indices((EDGE,) * 3)
    labels = np.zeros((EDGE,) * 3, np.uint8)
    for number, centre in enumerate([(8, 8, 8), (22, 10, 12), (12, 22, 20), (24, 24, 24)], 1):
        labels[sum((a - c) ** 2 for a, c in zip(axes, centre, strict=True)) < 5**2] = number
    noise = np.random.default_rng(0).normal(0, 20, labels.shape)
    raw = (np.where(labels > 0, 180, 70) + noise).clip(0, 255).astype(np.uint8)
    paths = {name: folder / name for name in ("raw.zarr", "gt.zarr", "run", "prediction.zarr")}
    for name, values in (("raw.zarr", raw), ("gt.zarr", labels)):
        list(write_ome_zarr(paths[name], Array(values, axes="zyx", voxel_size=(8, 8, 8)), name))
    task = DistanceTaskConfig(name="balls", channels=["balls"], **LENGTHS)
    save_task(task, folder / "task.yaml")
    given = ["--task", folder / "task.yaml", "--raw", paths["raw.zarr"], "--gt", paths["gt.zarr"]]
    steps = ["--set", f"trainer.iterations={STEPS}"]
    with pytest.MonkeyPatch.context() as patch:
        for arguments in (
            ["new", paths["run"], *given, *SMALL, *steps],
            ["train", paths["run"]],
            ["predict", paths["run"], paths["raw.zarr"], paths["prediction.zarr"]],
        ):
            patch.setattr(sys, "argv", ["", *map(str, arguments)])
            with pytest.raises(SystemExit) as end:
                main()
            assert not end.value.code, arguments
    return {name.removesuffix(".zarr"): path for name, path in paths.items()}


@pytest.fixture
def way(trained_once, tmp_path):
    """Give a trained run of one's own, with its raw data, labels and prediction, and a place."""
    shutil.copytree(trained_once["run"], tmp_path / "run")
    return {**trained_once, "run": tmp_path / "run", "out": tmp_path / "out.zarr"}
