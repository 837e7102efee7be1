"""Several processes train one run, as one process with all their crops would."""

from __future__ import annotations

import signal
import subprocess
import sys
import time

import psutil
import pytest
import torch

from napari_dacapo_tasks.runs.run_folder import RunFolder
from napari_dacapo_tasks.tasks import AffinitiesTaskConfig
from napari_dacapo_tasks.training.loop import train

pytestmark = pytest.mark.skipif(
    sys.platform == "win32" or not torch.distributed.is_available(),
    reason="torchrun is for systems with gloo, and its signals for POSIX",
)

TORCHRUN = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]

AFFINITIES = AffinitiesTaskConfig(
    name="affs", neighborhood=[(1, 0, 0), (0, -1, 0), (0, 0, 3)], lsds=True, num_lsd_voxels=2
)

LONG = {"iterations": 100_000, "checkpoint_interval": 100_000, "validation": {"interval": None}}


@pytest.fixture
def torchrun():
    """Start the command in two processes; all that is left of it ends with the test."""
    started = []

    def start(*arguments):
        command = [*TORCHRUN, "-m", "napari_dacapo_tasks", *map(str, arguments)]
        process = subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
        started.append(psutil.Process(process.pid))
        return process

    yield start
    for process in started:
        if process.is_running():
            for one in (*process.children(recursive=True), process):
                one.kill()


def workers(process):
    """Give the processes that train, by rank."""
    found = {}
    for child in psutil.Process(process.pid).children(recursive=True):
        rank = child.environ().get("RANK")
        if rank is not None:
            found[int(rank)] = child
    return found


def wait_for_steps(run, process, count=3):
    while len(run.statistics()) < count:
        assert process.poll() is None, process.communicate()
        time.sleep(0.05)


@pytest.mark.parametrize(
    ("task", "optimizer", "rate"),
    [(None, "SGD", 0.5), (AFFINITIES, "AdamW", 1e-3)],
    ids=["distance", "affinities"],
)
def test_two_processes_learn_what_one_with_twice_the_batch_learns(
    make_run, validated_rows, torchrun, task, optimizer, rate
):
    changes = {"rows": validated_rows, **({} if task is None else {"task": task})}
    # Sections get lost, so that crops differ in how much of them is dark, as they do in life.
    trainer = {
        "iterations": 6,
        "learning_rate": rate,
        "optimizer": {"name": optimizer, "clip_norm": 1.0, "ema_decay": 0.9},
        "augmentation": {"missing_sections": 0.1},
        "validation": {"interval": 3, "criterion": "loss"},
    }
    one = make_run("one", trainer={**trainer, "batch_size": 4}, **changes)
    for _ in train(one):
        pass
    two = make_run("two", trainer={**trainer, "batch_size": 2}, **changes)
    process = torchrun("train", two.path)
    said, error = process.communicate(timeout=300)
    assert process.returncode == 0, error
    assert said == (
        f"Finished at iteration 6; the weights are in {two.path}/checkpoints/000006.pt.\n"
    )

    losses, expected = ([s.loss for s in run.statistics()] for run in (two, one))
    assert losses == pytest.approx(expected, rel=1e-5)
    assert len(set(expected)) == 6
    found, wanted = ([(s.iteration, s.loss) for s in run.scores()] for run in (two, one))
    assert found == [(iteration, pytest.approx(loss, rel=1e-4)) for iteration, loss in wanted]
    assert len(found) == 2
    found, wanted = two.load_checkpoint(), one.load_checkpoint()
    torch.testing.assert_close(found["class_counts"], wanted["class_counts"], rtol=0, atol=0)
    for name in ("model", "ema"):
        torch.testing.assert_close(found[name], wanted[name], rtol=1e-4, atol=1e-5)


def test_one_process_writes_and_speaks(make_run, torchrun):
    run = make_run(trainer={"iterations": 2})
    process = torchrun("train", run.path, "--json", "--set", "trainer.iterations=4")
    said, error = process.communicate(timeout=300)
    assert process.returncode == 0, error
    assert said.count("\n") == 1
    assert '"finished": true, "iteration": 4' in said
    assert error.count("weights on CPU") == 1
    assert [one.iteration for one in run.statistics()] == [1, 2, 3, 4]
    assert RunFolder.open(run.path).config.trainer.iterations == 4
    log = (run.path / "log.txt").read_text()
    assert log.count("Training from iteration 0") == log.count("Finished at iteration 4") == 1


def test_what_is_refused_is_said_once(make_run, torchrun):
    run = make_run()
    process = torchrun("train", run.path, "--set", "trainer.iteration=4")
    _, error = process.communicate(timeout=300)
    assert process.returncode != 0
    assert error.count("did you mean trainer.iterations?") == 1


def test_a_signal_stops_all_at_one_step(make_run, torchrun):
    run = make_run(trainer=LONG)
    process = torchrun("train", run.path)
    wait_for_steps(run, process)
    process.send_signal(signal.SIGTERM)
    said, error = process.communicate(timeout=300)
    done = len(run.statistics())
    assert run.load_checkpoint()["iteration"] == done, error
    assert said.startswith(f"Stopped at iteration {done}; the same command goes on from ")
    assert error.count("Stopping after this step") == 1
    # It goes on from there, in another number of processes.
    arguments = [sys.executable, "-m", "napari_dacapo_tasks", "train", str(run.path)]
    changes = ["--set", f"trainer.iterations={done + 2}", "--set", "trainer.batch_size=2"]
    subprocess.run([*arguments, *changes], check=True, capture_output=True)
    assert [one.iteration for one in run.statistics()] == [*range(1, done + 3)]


def test_somebody_else_can_ask_all_to_stop(make_run, torchrun):
    run = make_run(trainer=LONG)
    process = torchrun("train", run.path)
    wait_for_steps(run, process)
    run.request("stop")
    said, error = process.communicate(timeout=300)
    assert process.returncode == 0, error
    assert run.load_checkpoint()["iteration"] == len(run.statistics())
    assert said.startswith("Stopped at iteration ")


@pytest.mark.parametrize("rank", [0, 1])
def test_where_one_is_killed_the_other_ends_with_a_sentence(make_run, torchrun, rank):
    run = make_run(trainer={**LONG, "checkpoint_interval": 2})
    process = torchrun("train", run.path)
    wait_for_steps(run, process)
    workers(process)[rank].kill()
    _, error = process.communicate(timeout=300)
    assert process.returncode != 0
    assert "Another process of this training ended" in error
    saved = run.load_checkpoint()["iteration"]
    assert saved >= 2
    assert not run.is_training()
