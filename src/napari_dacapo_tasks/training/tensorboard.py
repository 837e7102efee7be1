"""What training tells, written for TensorBoard. Importing this imports no torch."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from napari_dacapo_tasks.errors import ConfigError, RunError
from napari_dacapo_tasks.runs.scores import Score
from napari_dacapo_tasks.training.events import (
    Snapshot,
    Started,
    Stepped,
    TrainingEvent,
    Validated,
)

FOLDER = "tensorboard"
"""Inside of a run folder."""


class TensorBoard:
    """Writes events into the folder ``tensorboard`` of a run; to be used in a ``with``.

    Where a run goes on, what was written after its checkpoint is hidden, so that no iteration
    is there twice.

    Parameters
    ----------
    run_folder
        Of the run.

    Raises
    ------
    ConfigError
        Where TensorBoard is not installed.
    """

    def __init__(self, run_folder: Path) -> None:
        try:
            from torch.utils.tensorboard import SummaryWriter
        except ImportError as error:
            raise ConfigError(
                "TensorBoard is not installed: pip install napari-dacapo-tasks[tensorboard], or "
                "train without it."
            ) from error
        self._writer_type: Any = SummaryWriter
        self._writer: Any = None
        self._path = run_folder / FOLDER
        self._began = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._writer is not None:
            with suppress(OSError):  # the run folder may be gone
                self._writer.close()

    def write(self, event: TrainingEvent) -> None:
        """Write one event; `Started` comes first, and what has no number or picture is left out.

        Raises
        ------
        RunError
            Where the folder cannot be written.
        """
        try:
            self._write(event)
        except OSError as error:
            raise RunError(
                f"{self._path} cannot be written: {error.strerror or error}; see to that, or "
                "train without TensorBoard."
            ) from error

    def _write(self, event: TrainingEvent) -> None:
        match event:
            case Started():
                self._began = event.iteration
                self._writer = self._writer_type(str(self._path), purge_step=event.iteration + 1)
            case Stepped():
                numbers = {
                    "loss": event.loss,
                    "learning rate": event.learning_rate,
                    "time/seconds a step": event.seconds,
                    "time/share spent waiting": event.waited / max(event.seconds, 1e-9),
                }
                for name, value in numbers.items():
                    self._writer.add_scalar(name, value, event.iteration)
            case Validated():
                for name, value in _scores(event.score):
                    self._writer.add_scalar(name, value, event.iteration)
                self._writer.flush()
            case Snapshot():
                # The last one before a stop has the same iteration, and stays.
                if event.iteration > self._began or not self._began:
                    for name, picture in _pictures(event):
                        self._writer.add_image(name, picture, event.iteration, dataformats="HW")
                    self._writer.flush()


def _scores(score: Score) -> Iterator[tuple[str, float]]:
    """Give every criterion, averaged over crops and channels where it is defined."""
    yield "validation/loss", score.loss
    found: dict[str, list[float]] = {}
    for channels in score.scores.values():
        for criteria in channels.values():
            for name, value in criteria.items():
                if math.isfinite(value):
                    found.setdefault(name, []).append(value)
    if math.isfinite(score.value):
        found[score.criterion] = [score.value]
    for name, values in found.items():
        yield f"validation/{name}", sum(values) / len(values)


def _pictures(snapshot: Snapshot) -> Iterator[tuple[str, NDArray[np.float32]]]:
    """Give the middle slice of each channel, between 0 and 1."""
    for number, channel in enumerate(snapshot.raw.data):
        name = "raw" if len(snapshot.raw.data) == 1 else f"raw/{number}"
        yield name, _between(_middle(channel), -1.0, 1.0)
    for number, name in enumerate(snapshot.channels):
        tag = re.sub(r"[^\w.\- ]", "_", name)
        target = _middle(snapshot.target.data[number])
        least = -1.0 if snapshot.target.data[number].min() < 0 else 0.0
        yield f"target/{tag}", _between(target, least, 1.0)
        weight = _middle(snapshot.weight.data[number])
        most = float(snapshot.weight.data[number].max())
        yield f"weight/{tag}", _between(weight, 0.0, most or 1.0)
        yield f"prediction/{tag}", _between(_middle(snapshot.prediction.data[number]), least, 1.0)


def _middle(volume: NDArray[Any]) -> NDArray[Any]:
    while volume.ndim > 2:
        volume = volume[len(volume) // 2]
    return volume


def _between(values: NDArray[Any], low: float, high: float) -> NDArray[np.float32]:
    scaled: NDArray[np.float32] = ((values - low) / (high - low)).clip(0, 1).astype(np.float32)
    return scaled
