"""What a sweep does away from the main thread."""

from __future__ import annotations

import json
from collections.abc import Generator
from dataclasses import dataclass
from pathlib import Path

from napari_dacapo_tasks.arrays import GroundTruth
from napari_dacapo_tasks.errors import UserError
from napari_dacapo_tasks.evaluation.ranges import SweepRanges
from napari_dacapo_tasks.evaluation.records import (
    load_sweep,
    save_sweep,
    sweep_table,
    sweep_values,
    write_whole,
)
from napari_dacapo_tasks.evaluation.sweep import SweepResult, SweepStep, sweep
from napari_dacapo_tasks.prediction.prediction import Prediction


@dataclass(frozen=True)
class Swept:
    """A sweep, and where it is kept.

    Attributes
    ----------
    result
        What was found.
    path
        Its table; None where it is not saved.
    error
        Why it could not be saved.
    run
        Folder of the run that it belongs to, if that is known.
    """

    result: SweepResult
    path: Path | None = None
    error: UserError | None = None
    run: Path | None = None


def swept(
    prediction: Prediction, truth: GroundTruth, ranges: SweepRanges, method: int
) -> Generator[SweepStep, None, Swept]:
    """Sweep, and save what was found into the run whose network predicted, if it is known."""
    result = yield from sweep(prediction, truth, None, ranges, method)
    return _kept(result, prediction.run)


def saved_in_run(result: SweepResult, run: Path) -> Generator[None, None, Swept]:
    """Save what was found into the folder of a run."""
    yield None
    return _kept(result, run)


def saved_as(result: SweepResult, path: Path) -> Generator[None, None, Swept]:
    """Save what was found as a CSV and a JSON of that name.

    Raises
    ------
    DataError
        Where they cannot be written.
    """
    yield None
    write_whole(path.with_suffix(".json"), json.dumps(sweep_values(result), indent=1) + "\n")
    table = path.with_suffix(".csv")
    write_whole(table, sweep_table(result))
    return Swept(result, table)


def opened(path: Path) -> Generator[None, None, Swept]:
    """Open a sweep that was saved."""
    yield None
    return Swept(load_sweep(path), path)


def _kept(result: SweepResult, run: Path | None) -> Swept:
    """Save; what was found is not lost where that fails."""
    if run is None:
        return Swept(result)
    try:
        return Swept(result, save_sweep(run, result)[0], run=run)
    except UserError as error:
        return Swept(result, error=error, run=run)
