"""The verb ``evaluate``."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from napari_dacapo_tasks.arrays.open import open_array
from napari_dacapo_tasks.cli.common import (
    AsJson,
    Channels,
    IgnoreLabel,
    Mask,
    ZeroIsUnlabelled,
    print_json,
    returned,
)
from napari_dacapo_tasks.cli.trained import MethodOption, RunOrFile, method_named, task_at, truth_at
from napari_dacapo_tasks.terminal import ProgressLine

if TYPE_CHECKING:
    from napari_dacapo_tasks.evaluation.evaluate import Evaluation
    from napari_dacapo_tasks.tasks.evaluators.evaluator import Criterion


def evaluate(
    run: RunOrFile,
    segmentation: Annotated[
        str, typer.Argument(metavar="SEGMENTATION", help="Labels, as `segment` writes them.")
    ],
    truth: Annotated[str, typer.Argument(metavar="TRUTH", help="Path of the true labels.")],
    mask: Mask = None,
    channel: Channels = None,
    zero_is_unlabelled: ZeroIsUnlabelled = False,
    ignore_label: IgnoreLabel = None,
    method: MethodOption = None,
    out: Annotated[
        Path | None,
        typer.Option(metavar="FOLDER", help="Folder for scores.json and objects.csv."),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Score labels against true ones, where both are known.

    What the true labels mean is what they meant in the run, unless options say otherwise.
    """
    from napari_dacapo_tasks.evaluation.evaluate import evaluate as evaluated
    from napari_dacapo_tasks.evaluation.records import evaluation_values, save_evaluation

    task = task_at(run)
    labels = open_array(segmentation)
    true = truth_at(run, truth, channel, zero_is_unlabelled, ignore_label)
    known = None if mask is None else open_array(mask)
    with ProgressLine() as line:
        steps = evaluated(task, labels, true, known, method=method_named(method))
        found = returned(steps, line, "scored")
    written = [] if out is None else [str(path) for path in save_evaluation(out, found)]
    if as_json:
        print_json({**evaluation_values(found), "files": written})
        return
    for line_of_text in score_lines(found):
        print(line_of_text)
    for notice in found.notices:
        print(notice)
    if written:
        print(f"Wrote {' and '.join(written)}.")


def score_lines(found: Evaluation) -> list[str]:
    """Give a table of scores for people: a line for each score, a column for each channel."""
    channels = list(found.scores)
    rows = [["score", *channels, "better"]]
    rows += [
        [
            said(one, found.unit),
            *(_number(found.scores[channel].get(one.name)) for channel in channels),
            "higher" if one.higher_is_better else "lower",
        ]
        for one in found.criteria
    ]
    return aligned(rows)


def said(criterion: Criterion, unit: str) -> str:
    """Give the name of a score with its unit."""
    unit = unit if criterion.unit == "world" else criterion.unit
    return f"{criterion.name} ({unit})" if unit else criterion.name


def aligned(rows: Sequence[Sequence[str]]) -> list[str]:
    """Give rows of texts as lines whose columns stand under each other."""
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    return [
        "  ".join(f"{text:<{width}}" for text, width in zip(row, widths, strict=True)).rstrip()
        for row in rows
    ]


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:.4g}"
