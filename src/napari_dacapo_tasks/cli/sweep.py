"""The verb ``sweep``."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from napari_dacapo_tasks.arrays.open import open_array
from napari_dacapo_tasks.cli.common import (
    AsJson,
    Channels,
    IgnoreLabel,
    Mask,
    ZeroIsUnlabelled,
    followed,
    print_json,
)
from napari_dacapo_tasks.cli.evaluate import aligned, said
from napari_dacapo_tasks.cli.trained import (
    STOPPED,
    MethodOption,
    RunOrFile,
    method_named,
    prediction_at,
    run_at,
    truth_at,
)
from napari_dacapo_tasks.errors import DataError
from napari_dacapo_tasks.terminal import ProgressLine, Stopped

if TYPE_CHECKING:
    from collections.abc import Generator

    from napari_dacapo_tasks.evaluation.ranges import Value
    from napari_dacapo_tasks.evaluation.sweep import SweepResult, SweepRow, SweepStep

SHOWN = 10
"""Of the best combinations, for people; the files have all."""


def sweep(
    run: RunOrFile,
    prediction: Annotated[
        str, typer.Argument(metavar="PREDICTION", help="What `predict` has written.")
    ],
    truth: Annotated[str, typer.Argument(metavar="TRUTH", help="Path of the true labels.")],
    ranges: Annotated[
        list[str] | None,
        typer.Option(
            "--range",
            metavar="NAME=VALUES",
            help="Values to try, as in threshold=-0.2:0.2:0.05 or min_size=0,100. Once for each "
            "parameter; all that the method proposes else.",
        ),
    ] = None,
    criterion: Annotated[
        str | None,
        typer.Option(metavar="SCORE", help="What says what is best; the task's first score else."),
    ] = None,
    mask: Mask = None,
    channel: Channels = None,
    zero_is_unlabelled: ZeroIsUnlabelled = False,
    ignore_label: IgnoreLabel = None,
    method: MethodOption = None,
    out: Annotated[
        Path | None,
        typer.Option(metavar="FOLDER", help="Where to save it in place of the folder of the run."),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Find the parameters that make the best labels.

    Scores against true labels say which are best. All that was tried is saved as CSV and JSON in
    the folder sweeps of the run; Ctrl-C ends it with what was tried by then, and exit code 1.
    """
    from napari_dacapo_tasks.evaluation.ranges import SweepRanges
    from napari_dacapo_tasks.evaluation.records import save_sweep, sweep_values
    from napari_dacapo_tasks.evaluation.sweep import SweepResult
    from napari_dacapo_tasks.evaluation.sweep import sweep as swept
    from napari_dacapo_tasks.segmentation.segment import built_task, method_of

    values = ranges_of(ranges or ())
    opened = prediction_at(run, prediction)
    way = method_of(built_task(opened), method_named(method))
    if criterion is not None:
        _require_criterion(criterion, [one.name for one in way.evaluator.criteria])
    tried = SweepRanges.of(way.post_processor)
    if values:
        # What is named is tried, and nothing else beside it.
        tried = SweepRanges(values, tried.follows)
    true = truth_at(run, truth, channel, zero_is_unlabelled, ignore_label)
    known = None if mask is None else open_array(mask)
    folder = _folder(run, out)  # refused now, and not after the work
    begun = SweepResult(
        way.title,
        tuple(tried.values),
        (),
        tuple(way.evaluator.criteria),
        opened.array.unit.name,
        opened.task.name,
        opened.name,
    )
    with ProgressLine() as line:
        steps = swept(opened, true, known, tried, method_named(method))
        result, finished = _followed(steps, line, begun)
    wanted = criterion or result.criteria[0].name
    best = result.best(wanted)
    written: list[str] = []
    if folder is not None and result.rows:
        written = [str(path) for path in save_sweep(folder, result)]
    if as_json:
        found = None if best is None else _plain(best, wanted)
        more = {"criterion": wanted, "best": found, "finished": finished, "files": written}
        print_json({**sweep_values(result), **more})
    else:
        _tell(result, wanted, best, written)
    if not finished:
        raise typer.Exit(STOPPED)


def _folder(run: Path, out: Path | None) -> Path | None:
    """Give where a sweep is saved, made where it is missing; None where nothing is said."""
    if out is None:
        opened = run_at(run)
        return None if opened is None else opened.path
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise DataError(
            f"{out} cannot be written: {error.strerror or error}; choose another --out."
        ) from error
    return out


def ranges_of(texts: Sequence[str]) -> dict[str, tuple[Value, ...]]:
    """Read ``--range NAME=VALUES``."""
    from napari_dacapo_tasks.evaluation.ranges import parse_values

    found = {}
    for text in texts:
        name, equals, values = text.partition("=")
        if not equals:
            raise typer.BadParameter(f"--range {text} must be as in threshold=-0.2:0.2:0.05.")
        found[name.strip()] = parse_values(values)
    return found


def _followed(
    steps: Generator[SweepStep, None, SweepResult], line: ProgressLine, begun: SweepResult
) -> tuple[SweepResult, bool]:
    """Give what a sweep found and whether it came to its end: what was tried is not lost."""
    rows: list[SweepRow] = []
    number = 0

    def show(step: SweepStep) -> None:
        nonlocal number
        number = step.number
        if step.row is not None:
            rows.append(step.row)
            if step.row.error:
                line.say(f"{_values(step.row)}: {step.row.error}")
        line.show(f"tried {len(rows)} of {step.number} combinations", step.share)

    try:
        return followed(steps, show), True
    except Stopped:
        notice = f"Stopped after {len(rows)} of {number} combinations."
        return replace(begun, rows=tuple(rows), notices=(notice,)), False


def _require_criterion(name: str, known: Sequence[str]) -> None:
    """Refuse an unknown score now, and not after the work."""
    from napari_dacapo_tasks.errors import ConfigError
    from napari_dacapo_tasks.tasks.values import nearest

    if name not in known:
        guess = nearest(name, known)
        raise ConfigError(f"There is no score {name}{guess}{'' if guess.endswith('?') else '.'}")


def _plain(row: SweepRow, criterion: str) -> dict[str, Any]:
    parameters = None if row.parameters is None else row.parameters.model_dump(mode="json")
    return {
        "values": dict(row.values),
        "parameters": parameters,
        "score": row.score(criterion),
    }


def _values(row: SweepRow) -> str:
    return ", ".join(f"{name} {value}" for name, value in row.values.items())


def _tell(result: SweepResult, wanted: str, best: SweepRow | None, written: Sequence[str]) -> None:
    criterion = result.criterion(wanted)
    sign = -1 if criterion.higher_is_better else 1
    scored = [(row.score(wanted), row) for row in result.rows]
    defined = sorted(
        ((score, row) for score, row in scored if score == score), key=lambda one: sign * one[0]
    )
    rows = [[*result.names, said(criterion, result.unit)]]
    for score, row in defined[:SHOWN]:
        rows.append([*(str(row.values[name]) for name in result.names), f"{score:.4g}"])
    for text in aligned(rows):
        print(text)
    if len(defined) > SHOWN:
        print(f"and {len(defined) - SHOWN} more")
    for notice in result.notices:
        print(notice)
    if best is None:
        print(f"No combination has a {wanted}.")
    else:
        options = " ".join(f"--set {name}={value}" for name, value in best.values.items())
        print(f"The best: {options}")
    if written:
        print(f"Wrote {' and '.join(written)}.")
    elif result.rows:
        print("Nothing is saved: an exported network has no folder for that, so give --out.")
