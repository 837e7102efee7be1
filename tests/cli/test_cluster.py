"""The verb ``cluster``."""

from __future__ import annotations

import json

import numpy as np

from napari_dacapo_tasks.arrays.ome_zarr import write_ome_zarr
from napari_dacapo_tasks.arrays.open import open_array
from napari_dacapo_tasks.runs.run_folder import RunFolder


def test_writes_the_script_and_takes_the_raw_data_along(command, make_run, volume, tmp_path):
    raw = tmp_path / "raw.ome.zarr"
    list(write_ome_zarr(raw, volume.array(volume.raw), "raw"))
    run = make_run("my run", raw_path=raw)
    assert run.config.data.crops[0].raw == str(raw)
    options = ["--gpus", 2, "--cpus", 12, "--memory", 64, "--time", "2-12", "--account", "lab"]
    code, said, error = command("cluster", run.path, *options, "--partition", "gpu")
    assert (code, error.count("\n")) == (0, 1), error
    script = run.path / "train.slurm"
    assert said == f"Wrote {script}, which says how to copy and to start it.\n"
    text = script.read_text()
    for wanted in ("gres=gpu:2", "cpus-per-task=12", "mem=64G", "time=2-12", "account=lab"):
        assert f"#SBATCH --{wanted}\n" in text
    inside = run.path / RunFolder.open(run.path).config.data.crops[0].raw
    assert inside.is_relative_to(run.path)
    copied = open_array(inside)
    np.testing.assert_array_equal(copied[copied.roi], volume.raw)


def test_as_json(command, make_run):
    run = make_run()
    code, said, _ = command("cluster", run.path, "--json", "--setup", "source env/bin/activate")
    assert code == 0
    assert json.loads(said) == {"run": str(run.path), "script": str(run.path / "train.slurm")}
    assert "\nsource env/bin/activate\n" in (run.path / "train.slurm").read_text()


def test_what_slurm_would_not_take_is_refused(command, make_run):
    run = make_run()
    code, _, error = command("cluster", run.path, "--time", "a day")
    assert code == 1
    assert error.startswith('cluster: time: "a day" is no time as Slurm writes it')
    assert not (run.path / "train.slurm").exists()


def test_a_run_in_training_is_refused(command, make_run):
    run = make_run()
    with run.training():
        code, _, error = command("cluster", run.path)
    assert code == 1
    assert "is being trained: stop that first" in error
