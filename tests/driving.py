"""Driving a training from a test: to its end, up to an iteration, with other parameters."""

from __future__ import annotations

import threading
from copy import copy
from pathlib import Path

from napari_dacapo_tasks.runs.run_folder import RunFolder
from napari_dacapo_tasks.training.events import Stepped
from napari_dacapo_tasks.training.loop import train


def all_of(run, kind=object):
    """Train to the end, and give all events of a kind."""
    return [event for event in train(run) if isinstance(event, kind)]


def up_to(run, iteration):
    """Train up to an iteration, stop there, and give what is left of the trainer."""
    training = train(run)
    for event in training:
        if isinstance(event, Stepped) and event.iteration == iteration:
            break
    trainer = copy(training.gi_frame.f_locals["trainer"])
    training.close()
    return trainer


def up_to_and_wait(path: Path, iteration: int) -> None:
    """Train up to an iteration, and stand there until somebody kills this process."""
    for event in train(RunFolder.open(path)):
        if isinstance(event, Stepped) and event.iteration == iteration:
            threading.Event().wait()


def changed(run, **trainer):
    """Change fields of the trainer; those of a section by a dictionary."""
    values = run.config.model_dump(mode="json")["trainer"]
    for name, value in trainer.items():
        values[name] = {**values[name], **value} if isinstance(value, dict) else value
    config = type(run.config.trainer).model_validate(values)
    run.save_config(run.config.model_copy(update={"trainer": config}))


def names(folder: Path) -> list[str]:
    """Give the names of what is in a folder."""
    return sorted(path.name for path in folder.iterdir())
