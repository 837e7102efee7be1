"""The checkpoints of a run: the last ones and the best ones."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from napari_dacapo_tasks.errors import DataError, RunError
from napari_dacapo_tasks.runs.files import whole_file

CHECKPOINTS = "checkpoints"

KEPT = 2
"""The last one, and one to go back to."""


def checkpoint_path(folder: Path, iteration: int) -> Path:
    """Give the place of the checkpoint of an iteration."""
    return folder / CHECKPOINTS / f"{iteration:06d}.pt"


def checkpoints_in(folder: Path) -> list[Path]:
    """Give the checkpoints of a run folder, the latest last."""
    found = [p for p in (folder / CHECKPOINTS).glob("*.pt") if p.stem.isdigit()]
    return sorted(found, key=iteration_of)


def iteration_of(path: Path) -> int:
    """Give the number of steps that a checkpoint has behind it."""
    return int(path.stem)


def write_checkpoint_of(
    folder: Path, state: Mapping[str, Any], iteration: int, *, kept: int, best: Collection[int]
) -> Path:
    """Write a checkpoint, whole or not at all, then delete those that are not to be kept.

    Parameters
    ----------
    folder
        The run.
    state
        Tensors and plain values.
    iteration
        Steps done.
    kept
        Number of the last checkpoints that stay.
    best
        Iterations of others that stay.
    """
    from napari_dacapo_tasks.architectures.weights import write_checkpoint

    path = checkpoint_path(folder, iteration)
    with whole_file(folder, f"{CHECKPOINTS}/{path.name}") as file:
        write_checkpoint(state, file)
    for old in checkpoints_in(folder)[: -max(kept, 1)]:
        if iteration_of(old) not in best and old != path:
            with suppress(OSError):  # one that is open elsewhere, as Windows minds: next time
                old.unlink()
    return path


def read_checkpoint_of(folder: Path, path: Path | None) -> dict[str, Any]:
    """Read a checkpoint, the latest where none is named; see `RunFolder.load_checkpoint`."""
    from napari_dacapo_tasks.architectures.weights import read_checkpoint

    path = path or next(reversed(checkpoints_in(folder)), None)
    if path is None:
        raise RunError(f"The run {folder} has no checkpoint yet: train it first.")
    try:
        return read_checkpoint(path)
    except DataError as error:
        older = [p.name for p in checkpoints_in(folder) if iteration_of(p) < iteration_of(path)]
        then = f"go on from {older[-1]}" if older else "start anew"
        reason = str(error).rstrip(".")
        raise RunError(f"{reason}; delete {path.name} to {then}.") from error
