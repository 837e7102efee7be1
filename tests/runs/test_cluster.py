"""A run that goes on at a cluster: its script does what it says, wherever the folder lies."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time

import pytest

from napari_dacapo_tasks.errors import ConfigError
from napari_dacapo_tasks.runs.cluster import (
    SCRIPT,
    SECONDS_TO_SAVE,
    ClusterConfig,
    slurm_script,
    take_to_cluster,
)
from napari_dacapo_tasks.runs.run_folder import RunFolder
from napari_dacapo_tasks.tasks.values import validated

BASH = shutil.which("bash")
needs_bash = pytest.mark.skipif(
    BASH is None or sys.platform == "win32", reason="there is no bash here"
)

PROGRAMS = {
    # Trains until it is asked to stop by a file, or by a signal.
    "torchrun": """
        trap 'echo terminated >> said; exit 0' TERM
        echo "torchrun $*" >> said
        echo "threads $OMP_NUM_THREADS" >> said
        until [ -e asked ]; do sleep 0.05; done
        echo saved >> said
        """,
    "napari-dacapo-tasks": 'echo "asked: $*" >> said; touch asked',
    "scontrol": 'echo "scontrol $*" >> said',
}


@pytest.fixture
def place(tmp_path):
    """A folder with a name that is hard on shells."""
    return tmp_path / "it's a $run (1)"


@pytest.fixture
def job(place, tmp_path):
    """Start the script as Slurm would, with programs that only say what they are asked."""
    place.mkdir()
    programs = tmp_path / "programs"
    programs.mkdir()
    for name, code in PROGRAMS.items():
        (programs / name).write_text(f"#!{BASH}\n{code}")
        (programs / name).chmod(0o755)
    started = []

    def start(**config):
        (place / SCRIPT).write_text(slurm_script(RunFolder(place, None), ClusterConfig(**config)))
        environment = {
            **os.environ,
            "PATH": f"{programs}{os.pathsep}{os.environ['PATH']}",
            "SLURM_SUBMIT_DIR": str(place),
            "SLURM_JOB_ID": "77",
        }
        process = subprocess.Popen([BASH, place / SCRIPT], env=environment, cwd=tmp_path)
        started.append(process)
        while "threads" not in said(place):
            assert process.poll() is None
            time.sleep(0.02)
        return process

    yield start
    (place / "asked").touch()  # ends the program that trains, whatever a test left
    for process in started:
        process.wait(timeout=300)


def said(place):
    path = place / "said"
    return path.read_text() if path.exists() else ""


def options(script):
    lines = [line.removeprefix("#SBATCH --") for line in script.splitlines() if "#SBATCH" in line]
    return dict(line.partition("=")[::2] for line in lines)


class TestScript:
    def test_asks_slurm_for_what_is_wanted(self, place):
        config = ClusterConfig(
            gpus=2, cpus=12, memory=100, time="2-12", partition="gpu_h200", account="lab"
        )
        wanted = options(slurm_script(RunFolder(place, None), config))
        assert wanted == {
            "job-name": "it_s_a_run_1",
            "nodes": "1",
            "ntasks": "1",
            "gres": "gpu:2",
            "cpus-per-task": "12",
            "mem": "100G",
            "time": "2-12",
            "partition": "gpu_h200",
            "account": "lab",
            "signal": f"B:USR1@{SECONDS_TO_SAVE}",
            "output": "slurm-%j.out",
            "open-mode": "append",
            "requeue": "",
        }

    def test_options_come_before_any_command(self, place):
        lines = slurm_script(RunFolder(place, None)).splitlines()
        assert lines[0] == "#!/bin/bash"
        commands = [n for n, line in enumerate(lines) if line and not line.startswith("#")]
        assert max(n for n, line in enumerate(lines) if "#SBATCH" in line) < min(commands)

    @needs_bash
    @pytest.mark.parametrize("name", ["run", "it's a $run (1)", 'with\na line `and` "more"'])
    def test_bash_can_read_it(self, tmp_path, name):
        script = slurm_script(RunFolder(tmp_path / name, None), ClusterConfig(gpus=0))
        subprocess.run([BASH, "-n"], input=script, text=True, check=True)
        assert "gres" not in options(script)

    @needs_bash
    def test_the_copying_that_it_tells_is_what_a_shell_reads(self, place):
        script = slurm_script(RunFolder(place, None))
        (line,) = (one for one in script.splitlines() if "1. Copy" in one)
        command = line.partition("rsync")[2]
        shown = subprocess.run(
            [BASH, "-c", f'printf "%s\\n" {command}'], capture_output=True, text=True, check=True
        )
        assert shown.stdout.splitlines()[-2:] == [f"{place}/", f"CLUSTER:{place.name}/"]

    @needs_bash
    def test_trains_in_its_folder_until_it_is_done(self, job, place):
        process = job(gpus=2, cpus=12, setup="echo ready >> said")
        (place / "asked").touch()
        assert process.wait(timeout=300) == 0
        assert said(place).splitlines() == [
            "ready",
            "torchrun --standalone --nproc-per-node 2 -m napari_dacapo_tasks train . "
            "--set trainer.device=cuda",
            "threads 6",
            "saved",
        ]

    @needs_bash
    def test_saves_and_is_queued_again_before_its_time_is_over(self, job, place):
        process = job(gpus=0)
        process.send_signal(signal.SIGUSR1)
        assert process.wait(timeout=300) == 0
        assert said(place).splitlines() == [
            "torchrun --standalone --nproc-per-node 1 -m napari_dacapo_tasks train . "
            "--set trainer.device=cpu",
            "threads 8",
            "asked: stop .",
            "saved",
            "scontrol requeue 77",
        ]

    @needs_bash
    def test_waits_for_training_to_save_where_the_job_is_cancelled(self, job, place):
        process = job()
        process.send_signal(signal.SIGTERM)
        time.sleep(0.2)
        assert process.poll() is None
        (place / "asked").touch()
        assert process.wait(timeout=300) == 0
        assert said(place).splitlines()[2:] == ["saved"]

    @needs_bash
    def test_tells_how_training_ended(self, job, place, tmp_path):
        (tmp_path / "programs/torchrun").write_text(f"#!{BASH}\necho threads >> said; exit 3")
        assert job().wait(timeout=300) == 3


class TestConfig:
    @pytest.mark.parametrize("time", ["90", "90:00", "24:00:00", "2-12", "2-12:30", "2-12:30:00"])
    def test_times_as_slurm_writes_them(self, time):
        assert ClusterConfig(time=time).time == time

    @pytest.mark.parametrize(
        ("values", "sentence"),
        [
            ({"time": "a day"}, 'time: "a day" is no time as Slurm writes it, such as 90:00'),
            ({"time": "24:00:00\n#"}, "is no time as Slurm writes it"),
            ({"partition": "gpu; reboot"}, 'partition: "gpu; reboot" is no name that Slurm knows'),
            ({"account": ""}, "is no name that Slurm knows"),
            ({"gpus": -1}, "gpus"),
        ],
    )
    def test_others_are_refused(self, values, sentence):
        with pytest.raises(ConfigError, match=r"^cluster: ") as refused:
            validated(ClusterConfig, values, "cluster")
        assert sentence in str(refused.value)


def test_a_run_is_made_ready(make_run):
    run = make_run("my run")
    *shares, last = take(take_to_cluster(run, ClusterConfig(gpus=2)))
    assert last == run.path / SCRIPT
    assert all(0 <= share <= 1 for share in shares)
    assert last.read_text() == slurm_script(run, ClusterConfig(gpus=2))
    config = RunFolder.open(run.path).config
    for crop in config.data.crops:
        assert not os.path.isabs(crop.raw)
        assert (run.path / crop.raw).exists()


def take(steps):
    while True:
        try:
            yield next(steps)
        except StopIteration as stop:
            yield stop.value
            return
