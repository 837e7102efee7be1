"""The verb ``sweep``."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, Any

import typer

from napari_dacapo_tasks.arrays.open import open_array
from napari_dacapo_tasks.cli.common import (
    AsJson,
    Channels,
    IgnoreLabel,
    Mask,
    ZeroIsUnlabelled,
    print_json,
)
from napari_dacapo_tasks.cli.evaluate import aligned, said
from napari_dacapo_tasks.cli.trained import (
    MethodOption,
    RunOrFile,
    method_named,
    prediction_at,
    run_at,
    truth_at,
)
from napari_dacapo_tasks.terminal import ProgressLine

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
        str | None, typer.Option(help="Score that says what is best; the task's first one else.")
    ] = None,
    mask: Mask = None,
    channel: Channels = None,
    zero_is_unlabelled: ZeroIsUnlabelled = False,
    ignore_label: IgnoreLabel = None,
    method: MethodOption = None,
    as_json: AsJson = False,
) -> None:
    """Find the parameters that make the best labels of a prediction, by scores against true ones.

    All that was tried is saved as CSV and JSON in the folder sweeps of the run.
    """
    from napari_dacapo_tasks.evaluation.ranges import SweepRanges
    from napari_dacapo_tasks.evaluation.records import save_sweep, sweep_values
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
    with ProgressLine() as line:
        steps = swept(opened, true, known, tried, method_named(method))
        result = _followed(steps, line)
    wanted = criterion or result.criteria[0].name
    best = result.best(wanted)
    folder = run_at(run)
    written = [] if folder is None else [str(path) for path in save_sweep(folder.path, result)]
    if as_json:
        found = None if best is None else _plain(best, wanted)
        print_json({**sweep_values(result), "criterion": wanted, "best": found, "files": written})
    else:
        _tell(result, wanted, best, written)


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


def _followed(steps: Generator[SweepStep, None, SweepResult], line: ProgressLine) -> SweepResult:
    done = 0
    while True:
        try:
            step = next(steps)
        except StopIteration as end:
            result: SweepResult = end.value
            return result
        if step.row is not None:
            done += 1
            if step.row.error:
                line.say(f"{_values(step.row)}: {step.row.error}")
        line.show(f"tried {done} of {step.number} combinations", step.share)


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
