"""The verbs ``runs`` and ``stop``: what other programs train."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from napari_dacapo_tasks.cli.common import AsJson, RunPath, print_json
from napari_dacapo_tasks.errors import RunError

if TYPE_CHECKING:
    from napari_dacapo_tasks.runs.run_list import RunSummary

COLUMNS = ("run", "state", "task", "iteration", "loss", "best score")


def runs(
    folders: Annotated[
        list[Path] | None,
        typer.Argument(metavar="FOLDERS", help="Runs, or folders of runs; the present one else."),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """List runs: how far they are, their loss and their best score."""
    from napari_dacapo_tasks.runs.run_list import list_runs

    for folder in folders or ():
        if not folder.exists():
            raise RunError(f"There is nothing at {folder}: choose runs, or folders of runs.")
    found = list_runs(folders or [Path()])
    if as_json:
        print_json({"runs": [_plain(one) for one in found]})
        return
    if not found:
        print("There is no run here: napari-dacapo-tasks new makes one.")
        return
    rows = [COLUMNS, *map(_row, found)]
    widths = [max(len(row[column]) for row in rows) for column in range(len(COLUMNS))]
    for row in rows:
        cells = (f"{text:<{width}}" for text, width in zip(row, widths, strict=True))
        print("  ".join(cells).rstrip())
    for one in found:
        if one.flaw:
            print(f"{_shown(one.path)}: {one.flaw}")


def stop(
    run_folder: RunPath,
    as_json: AsJson = False,
) -> None:
    """Ask whoever trains a run to save and stop.

    That may be another program, on this machine or another one that sees the folder.
    """
    from napari_dacapo_tasks.runs.run_folder import RunFolder

    run = RunFolder.open(run_folder)
    training = run.is_training()
    run.request("stop")
    if as_json:
        print_json({"run": str(run.path), "training": training})
    elif training:
        print(f"{run.path} is asked to stop; it saves after its present step.")
    else:
        print(f"Nobody is seen to train {run.path}; on another machine it stops if it is trained.")


def _row(one: RunSummary) -> tuple[str, ...]:
    loss = "" if one.loss is None else f"{one.loss:.4g}"
    score = "" if one.score is None else f"{one.criterion} {one.score:.4g}"
    iterations = f"{one.iteration}/{one.iterations}" if one.iterations else ""
    return (_shown(one.path), one.state.value, one.task, iterations, loss, score)


def _shown(path: Path) -> str:
    """Give a path as it is typed here."""
    here = Path.cwd()
    return str(path.relative_to(here)) if path.is_relative_to(here) else str(path)


def _plain(one: RunSummary) -> dict[str, object]:
    modified = None if one.modified is None else one.modified.isoformat()
    return {**asdict(one), "path": str(one.path), "state": one.state.value, "modified": modified}
