"""Evaluations and sweeps as files: JSON for programs, CSV for tables.

What is no number of JSON stands there as text, "nan", "inf" or "-inf", which ``float`` reads.
"""

from __future__ import annotations

import csv
import json
import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import asdict
from importlib import import_module
from io import StringIO
from math import isfinite
from pathlib import Path
from pkgutil import iter_modules
from typing import Any

import numpy as np
from pydantic import ValidationError

from napari_dacapo_tasks.arrays import durable
from napari_dacapo_tasks.errors import DataError
from napari_dacapo_tasks.evaluation.evaluate import Evaluation
from napari_dacapo_tasks.evaluation.mistakes import MISTAKES
from napari_dacapo_tasks.evaluation.objects import KINDS, ObjectRow
from napari_dacapo_tasks.evaluation.sweep import SweepResult, SweepRow
from napari_dacapo_tasks.runs.files import CONFIG, whole_file
from napari_dacapo_tasks.tasks import post_processors
from napari_dacapo_tasks.tasks.evaluators.evaluator import Criterion, Scores
from napari_dacapo_tasks.tasks.post_processors.post_processor import PostProcessorParameters
from napari_dacapo_tasks.tasks.values import TYPE

SWEEPS = "sweeps"
"""Folder of a run with what sweeps found."""

KIND, SWEEP, EVALUATION = "kind", "sweep", "evaluation"
"""Key of a file that says what it is, and its values."""

SCORES_FILE, OBJECTS_FILE = "scores.json", "objects.csv"
"""What a folder with an evaluation holds."""

_DIGITS = 4
"""Of the number that the names of saved sweeps begin with, so that they sort by age."""


def save_sweep(run: Path, result: SweepResult) -> tuple[Path, Path]:
    """Save a sweep into the folder of a run, or any that is there, beside earlier ones.

    Returns
    -------
    The CSV, a line for each combination, and the JSON, which `load_sweep` reads.

    Raises
    ------
    RunError
        Where the run is gone or cannot be written.
    DataError
        Where another folder cannot be written.
    """
    run = Path(run)
    numbers = [int(found.stem.split("_")[0]) for found in saved_sweeps(run)]
    title = re.sub(r"\W+", "-", result.method.lower()).strip("-")
    name = f"{SWEEPS}/{max(numbers, default=0) + 1:0{_DIGITS}}_{title}"
    written = []
    # The JSON comes last: where it is, the CSV is.
    is_run = not run.is_dir() or (run / CONFIG).is_file()
    for suffix, text in ((".csv", sweep_table(result)), (".json", _json(sweep_values(result)))):
        if is_run:
            with whole_file(run, f"{name}{suffix}") as file:
                file.write(text.encode())
        else:
            write_whole(run / f"{name}{suffix}", text)
        written.append(run / f"{name}{suffix}")
    return written[0], written[1]


def saved_sweeps(run: Path) -> list[Path]:
    """Give the JSON files of the sweeps of a run, the latest last."""
    found = (Path(run) / SWEEPS).glob("*_*.json")
    named = [path for path in found if path.stem.split("_")[0].isdecimal()]
    return sorted(named, key=lambda path: (int(path.stem.split("_")[0]), path.name))


def load_sweep(path: Path) -> SweepResult:
    """Read a sweep that was saved; raises DataError for any other file.

    Parameters that the program does not know any more, or refuses, are None in their rows.
    """
    path = Path(path)
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
        if values[KIND] != SWEEP:
            raise ValueError(f"it is of the kind {values[KIND]}")
        return SweepResult(
            method=str(values["method"]),
            names=tuple(map(str, values["names"])),
            rows=tuple(map(_row_of, values["rows"])),
            criteria=tuple(map(_criterion_of, values["criteria"])),
            unit=str(values["unit"]),
            task=str(values["task"]),
            prediction=str(values["prediction"]),
            notices=tuple(map(str, values["notices"])),
        )
    except OSError as error:
        raise DataError(
            f"The sweep {path} cannot be read: {error.strerror or error}; choose another file."
        ) from error
    except (ValueError, TypeError, KeyError, AttributeError, OverflowError) as error:
        raise DataError(
            f"{path} is no sweep that was saved by this program, or it is damaged: choose a JSON "
            f"file in the folder {SWEEPS} of a run."
        ) from error


def sweep_values(result: SweepResult) -> dict[str, Any]:
    """Give plain values of a sweep, as its JSON holds them."""
    return _plain(
        {
            KIND: SWEEP,
            "task": result.task,
            "prediction": result.prediction,
            "method": result.method,
            "unit": result.unit,
            "notices": result.notices,
            "names": result.names,
            "criteria": [asdict(one) for one in result.criteria],
            "rows": [
                {
                    "values": row.values,
                    "parameters": _parameters(row.parameters),
                    "scores": row.scores,
                    "error": row.error,
                    "seconds": row.seconds,
                }
                for row in result.rows
            ],
        }
    )


def sweep_table(result: SweepResult) -> str:
    """Give a sweep as CSV: swept values, scores as ``channel.criterion``, seconds, error."""
    scores = list(
        dict.fromkeys(
            (channel, name)
            for row in result.rows
            for channel, found in row.scores.items()
            for name in found
        )
    )
    header = [*result.names, *(f"{channel}.{name}" for channel, name in scores), "seconds", "error"]
    lines = (
        [
            *(row.values.get(name, "") for name in result.names),
            *(row.scores.get(channel, {}).get(name, "") for channel, name in scores),
            f"{row.seconds:.3f}",
            row.error,
        ]
        for row in result.rows
    )
    return _csv(header, lines)


def save_evaluation(path: Path, evaluation: Evaluation) -> tuple[Path, Path]:
    """Save scores and objects.

    Parameters
    ----------
    path
        A folder, made where it is missing, which gets ``scores.json`` and ``objects.csv``; or the
        name of one of two files, which get its name and the suffixes ``.json`` and ``.csv``.

    Returns
    -------
    The JSON with scores, criteria, notices and how many objects and voxels are wrong in which way,
    and the CSV, a line for each object.

    Raises
    ------
    DataError
        Where they cannot be written.
    """
    path = Path(path)
    if path.suffix in (".json", ".csv") and not path.is_dir():
        scores, objects = path.with_suffix(".json"), path.with_suffix(".csv")
    else:
        scores, objects = path / SCORES_FILE, path / OBJECTS_FILE
    write_whole(objects, objects_table(evaluation))
    write_whole(scores, _json(evaluation_values(evaluation)))
    return scores, objects


def evaluation_values(evaluation: Evaluation) -> dict[str, Any]:
    """Give plain values of an evaluation, as its JSON holds them; the single objects are left out.

    Its ``roi`` is in ``unit``.
    """
    array, steps = evaluation.mistakes, evaluation.mistakes.unit.steps
    kinds = Counter((row.channel, row.kind) for row in evaluation.objects)
    voxels = [np.bincount(channel.ravel(), minlength=len(MISTAKES) + 1) for channel in array.data]
    return _plain(
        {
            KIND: EVALUATION,
            "method": evaluation.method,
            "labelling": evaluation.labelling.value,
            "unit": evaluation.unit,
            "notices": evaluation.notices,
            "roi": {
                "begin": [begin / steps for begin in evaluation.roi.begin],
                "end": [end / steps for end in evaluation.roi.end],
            },
            "scores": evaluation.scores,
            "criteria": [asdict(one) for one in evaluation.criteria],
            "objects": {
                channel: {kind: kinds[channel, kind] for kind in KINDS}
                for channel in evaluation.channels
            },
            "mistakes": {
                channel: {name: int(counts[label]) for label, name in MISTAKES.items()}
                for channel, counts in zip(evaluation.channels, voxels, strict=True)
            },
        }
    )


def objects_table(evaluation: Evaluation) -> str:
    """Give the objects as CSV; places are in nanometres (voxels without a unit)."""
    axes = [name for name in evaluation.mistakes.axes if name != "c"]
    header = ["channel", "kind", "label_of", "id", "iou", "voxels", "partners"]
    header += [f"{what}_{axis}" for what in ("voxel", "centre", "begin", "end") for axis in axes]
    return _csv(header, map(_line_of, evaluation.objects))


def _line_of(row: ObjectRow) -> list[Any]:
    return [
        row.channel,
        row.kind,
        "segmentation" if row.of_segment else "truth",
        row.id,
        f"{row.iou:.6g}",
        row.voxels,
        " ".join(map(str, row.partners)),
        *row.voxel,
        *row.centre,
        *row.box[0],
        *row.box[1],
    ]


def _parameters(parameters: PostProcessorParameters | None) -> dict[str, Any] | None:
    if parameters is None:
        return None
    return {TYPE: type(parameters).__name__, **parameters.model_dump(mode="json")}


def _row_of(values: dict[str, Any]) -> SweepRow:
    scores: Scores = {
        channel: {name: float(value) for name, value in found.items()}
        for channel, found in values["scores"].items()
    }
    return SweepRow(
        values=dict(values["values"]),
        parameters=_parameters_of(values["parameters"]),
        scores=scores,
        error=str(values["error"]),
        seconds=float(values["seconds"]),
    )


def _parameters_of(values: dict[str, Any] | None) -> PostProcessorParameters | None:
    if values is None:
        return None
    for kind in _kinds_of_parameters():
        if kind.__name__ == values[TYPE]:
            try:
                return kind(**{name: value for name, value in values.items() if name != TYPE})
            except ValidationError:
                return None
    return None


def _kinds_of_parameters() -> list[type[PostProcessorParameters]]:
    """Give the parameters of all post-processors, which a file each defines."""
    for module in iter_modules(post_processors.__path__):
        import_module(f"{post_processors.__name__}.{module.name}")
    found = [PostProcessorParameters]
    for kind in found:
        found.extend(kind.__subclasses__())
    return found


def _criterion_of(values: dict[str, Any]) -> Criterion:
    low, high = values["bounds"]
    return Criterion(**{**values, "bounds": (float(low), float(high))})


def _csv(header: Sequence[str], lines: Iterable[Sequence[Any]]) -> str:
    text = StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(header)
    writer.writerows(lines)
    return text.getvalue()


def _json(values: dict[str, Any]) -> str:
    return f"{json.dumps(values, allow_nan=False, indent=1)}\n"


def _plain(values: dict[str, Any]) -> dict[str, Any]:
    return {key: _strict(value) for key, value in values.items()}


def _strict(value: Any) -> Any:
    """Write what is no number of JSON as text, and tuples as lists."""
    if isinstance(value, float) and not isfinite(value):
        return str(value)
    if isinstance(value, dict):
        return _plain(value)
    if isinstance(value, (list, tuple)):
        return [_strict(inner) for inner in value]
    return value


def write_whole(path: Path, text: str) -> None:
    """Write a file as a whole or not at all; its folder is made where it is missing.

    Raises
    ------
    DataError
        Where it cannot be written.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with durable.whole_file(path) as file:
            file.write(text.encode())
    except OSError as error:
        raise DataError(
            f"{path} cannot be written: {error.strerror or error}; choose another place."
        ) from error
