"""The verb ``segment``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from napari_dacapo_tasks.cli.common import AsJson, overrides_of, print_json, returned
from napari_dacapo_tasks.cli.trained import (
    MethodOption,
    Overwrite,
    Resume,
    RunOrFile,
    array_values,
    exists_of,
    method_named,
    options_named,
    prediction_at,
)
from napari_dacapo_tasks.terminal import ProgressLine


def segment(
    run: RunOrFile,
    prediction: Annotated[
        str, typer.Argument(metavar="PREDICTION", help="What `predict` has written.")
    ],
    out: Annotated[Path, typer.Argument(metavar="OUT.zarr", help="Folder to write.")],
    method: MethodOption = None,
    changes: Annotated[
        list[str] | None,
        typer.Option(
            "--set", metavar="NAME=VALUE", help="Change a parameter, as in threshold=0.1."
        ),
    ] = None,
    blockwise: Annotated[
        bool | None,
        typer.Option(
            "--blockwise/--whole",
            help="Block by block, with ids stitched together; by itself where it is large.",
        ),
    ] = None,
    overwrite: Overwrite = False,
    resume: Resume = False,
    as_json: AsJson = False,
) -> None:
    """Make labels of a prediction.

    OUT.zarr becomes an OME-Zarr image with a channel for each kind of object.
    """
    from napari_dacapo_tasks.segmentation.segment_to_disk import segment_to_disk

    exists = exists_of(overwrite, resume)
    parameters = overrides_of(changes)
    opened = prediction_at(run, prediction)
    with options_named(), ProgressLine() as line:
        steps = segment_to_disk(
            opened,
            out,
            method_named(method),
            parameters,
            blockwise=True if resume and blockwise is None else blockwise,
            exists=exists,
        )
        made = returned(steps, line, "segmented")
    if as_json:
        print_json(
            {
                "path": str(out.absolute()),
                "task": made.task.name,
                "method": made.method.title,
                "parameters": made.parameters.model_dump(mode="json"),
                "labelling": made.method.post_processor.labelling.value,
                **array_values(made.array),
            }
        )
        return
    values = made.parameters.model_dump(mode="json")
    said = ", ".join(f"{name} {value}" for name, value in values.items())
    print(f"{made.method.title}{f' with {said}' if said else ''}.")
    print(f"Wrote {made.array.describe()} to {out}.")
