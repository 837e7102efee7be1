"""The checkpoints of a run: which of them stay, and what is safe on the disk with them."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
import torch
from driving import names

from napari_dacapo_tasks.runs.run_folder import Statistic

STATE = {"model": {"weight": torch.ones(3)}}


@pytest.fixture
def run(make_run):
    return make_run()


def test_statistics_are_safe_before_the_checkpoint_and_no_step_waits_for_that(run, monkeypatch):
    fsync, synced = os.fsync, []

    def noted(handle):
        synced.append(os.fstat(handle).st_ino)
        fsync(handle)

    monkeypatch.setattr(os, "fsync", noted)
    for iteration in (1, 2, 3):
        run.append_statistics(Statistic(iteration, 0.5, 0.1))
    assert synced == []
    path = run.save_checkpoint(STATE, 3)
    statistics = (run.path / "stats.jsonl").stat().st_ino
    assert synced.index(statistics) < synced.index(path.stat().st_ino)


def test_an_old_one_that_is_open_elsewhere_goes_the_next_time(run, monkeypatch):
    """As Windows minds: a run of weeks is not to end for that."""
    for iteration in (1, 2):
        run.save_checkpoint(STATE, iteration)
    unlink = Path.unlink

    def refused(path, missing_ok=False):
        if path.name == "000001.pt":
            raise PermissionError("it is open elsewhere")
        unlink(path, missing_ok)

    with monkeypatch.context() as patched:
        patched.setattr(Path, "unlink", refused)
        run.save_checkpoint(STATE, 3)
    assert names(run.path / "checkpoints") == ["000001.pt", "000002.pt", "000003.pt"]
    run.save_checkpoint(STATE, 4)
    assert names(run.path / "checkpoints") == ["000003.pt", "000004.pt"]
