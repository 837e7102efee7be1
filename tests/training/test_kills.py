"""Runs that are killed without warning, at any moment, come to the same as those that are not."""

from __future__ import annotations

import multiprocessing
import random
import signal
import sys
import time
from contextlib import contextmanager

import pytest
import torch
from driving import up_to_and_wait

from napari_dacapo_tasks.runs.run_folder import RunFolder
from napari_dacapo_tasks.runs.trainer_config import TrainerConfig
from napari_dacapo_tasks.training.loop import train

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="Windows has no SIGKILL")

KILLS = 20
PATIENCE = 300
"""Seconds for a process to come to something."""

NEEDED = (
    "napari_dacapo_tasks.cli.train",
    "napari_dacapo_tasks.training.loop",
    "napari_dacapo_tasks.architectures.unet_module",
    "napari_dacapo_tasks.numerics.parabolas",
    "napari_dacapo_tasks.numerics.transforms",
    "napari_dacapo_tasks.tasks.evaluators.binary",
    "napari_dacapo_tasks.tasks.evaluators.instance",
    "napari_dacapo_tasks.tasks.losses.mse",
    "napari_dacapo_tasks.tasks.post_processors.threshold",
    "napari_dacapo_tasks.tasks.post_processors.watershed",
    "torch._dynamo",  # which optimizers import in their first step
    "torch.distributed",
)
"""What takes seconds to import, and is the same in all processes."""

ALL_ON = {
    "batch_size": 1,
    "checkpoint_interval": 5,
    "learning_rate": 1e-3,
    "optimizer": {"accumulation": 2, "clip_norm": 1.0, "ema_decay": 0.95, "warm_up": 10},
    "augmentation": {"deform": 0.5, "rotation": 30, "scaling": 0.1, "dark_sections": 0.1},
    "execution": {"workers": 1},
}


@pytest.fixture
def tiny_net(small_net):
    return small_net.model_copy(
        update={"input_shape": type(small_net.input_shape)(20, 20, 20), "num_fmaps": 2}
    )


@contextmanager
def training_beside(run, up_to=None):
    """Train a run in a process, which begins at once since another one has imported everything."""
    from napari_dacapo_tasks.cli.train import train as command

    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload([*NEEDED])
    if up_to is None:
        process = context.Process(target=command, args=(run.path,))
    else:
        process = context.Process(target=up_to_and_wait, args=(run.path, up_to))
    process.start()
    try:
        yield process
    finally:
        process.kill()
        process.join()
    assert process.exitcode == -signal.SIGKILL, "it was still training"


def wait_until(reached, process):
    deadline = time.monotonic() + PATIENCE
    while not reached():
        assert process.is_alive(), "training ended by itself"
        assert time.monotonic() < deadline, "training did not come so far"
        time.sleep(0.005)


def starts(run):
    log = run.path / "log.txt"
    return log.read_text().count("Training from iteration") if log.exists() else 0


def done_in(run):
    """Give the steps that the latest checkpoint has."""
    checkpoint = run.latest_checkpoint()
    return int(checkpoint.stem) if checkpoint else 0


def steps_of(run):
    last = run.last_statistic()
    return last.iteration if last else 0


def finish(run, iterations):
    trainer = TrainerConfig(**{**run.config.trainer.model_dump(), "iterations": iterations})
    run.save_config(run.config.model_copy(update={"trainer": trainer}))
    for _ in train(RunFolder.open(run.path)):
        pass


def alike(one, other):
    """Check weights, their average and statistics to the last bit, and what validation found."""
    ends = [run.load_checkpoint() for run in (one, other)]
    for part in ("model", "ema"):
        for name, tensor in ends[0][part].items():
            assert torch.equal(tensor, ends[1][part][name]), (part, name)
    assert repr(ends[0]["class_counts"]) == repr(ends[1]["class_counts"])
    rows = [
        [(s.iteration, s.loss, s.learning_rate) for s in run.statistics()] for run in (one, other)
    ]
    assert rows[0] == rows[1]
    assert [row[0] for row in rows[0]] == list(range(1, ends[0]["iteration"] + 1))
    scores = [[(s.iteration, s.value, s.loss) for s in run.scores()] for run in (one, other)]
    assert repr(scores[0]) == repr(scores[1])  # by what they say, since NaN is not NaN
    assert scores[0]


def test_a_kill_at_120_of_200_iterations(make_run, tiny_net, validated_rows):
    trainer = {
        **ALL_ON,
        "iterations": 200,
        "checkpoint_interval": 30,
        "optimizer": {**ALL_ON["optimizer"], "schedule": "cosine"},
        "validation": {"interval": 50},
    }
    whole, parted = (
        make_run(name, trainer=trainer, architecture=tiny_net, rows=validated_rows)
        for name in ("whole", "parted")
    )
    finish(whole, 200)
    with training_beside(parted, up_to=120) as process:
        wait_until(lambda: len(parted.statistics()) == 120, process)
    assert parted.load_checkpoint()["iteration"] == 100
    finish(parted, 200)
    alike(whole, parted)


def test_twenty_kills_at_random_moments(make_run, tiny_net, validated_rows):
    trainer = {
        **ALL_ON,
        "iterations": 100_000,
        "checkpoint_interval": 2,
        "snapshot_interval": 7,
        "validation": {"interval": 11},
    }
    parted = make_run("parted", trainer=trainer, architecture=tiny_net, rows=validated_rows)
    moments = random.Random(4)
    for number in range(KILLS):
        with training_beside(parted) as process:
            wait_until(lambda before=number: starts(parted) > before, process)
            wanted = done_in(parted) + moments.randint(0, 4)
            wait_until(lambda wanted=wanted: steps_of(parted) >= wanted, process)
            time.sleep(moments.uniform(0, 0.1))
        for path in parted.checkpoints():
            assert parted.load_checkpoint(path)["iteration"] == int(path.stem), "whole"
    at = done_in(parted)
    assert at > 0
    whole = make_run("whole", trainer=trainer, architecture=tiny_net, rows=validated_rows)
    iterations = max(at + 3, 12)
    finish(parted, iterations)
    finish(whole, iterations)
    alike(whole, parted)


def test_a_second_process_is_refused(make_run, tiny_net):
    from napari_dacapo_tasks.errors import RunError

    run = make_run(trainer={"iterations": 100_000}, architecture=tiny_net)
    with training_beside(run) as process:
        wait_until(lambda: starts(run) == 1, process)
        with pytest.raises(RunError, match="is being trained already"):
            next(train(RunFolder.open(run.path)))
        assert process.is_alive()
