"""The verb ``export``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, get_args

import typer

from napari_dacapo_tasks.arrays.open import open_array
from napari_dacapo_tasks.cli.common import AsJson, print_json, returned
from napari_dacapo_tasks.cli.trained import CheckpointOption, RunOrFile, checkpoint_of
from napari_dacapo_tasks.prediction.export.export import FormatName
from napari_dacapo_tasks.terminal import ProgressLine

ENDINGS: dict[str, FormatName] = {
    ".zip": "bioimageio",
    ".pt2": "torch",
    ".pt": "torch",
    ".pth": "torch",
    ".ts": "torch",
}
"""Formats that a name tells."""


def export(
    run: RunOrFile,
    out: Annotated[Path, typer.Argument(metavar="OUT", help="File or folder to make.")],
    kind: Annotated[
        FormatName | None,
        typer.Option(
            "--format",
            metavar="FORMAT",
            help="bioimageio: a package (.zip); torch: a program of PyTorch (.pt2, or .pt for "
            "TorchScript); dacapo: a folder. What the name of OUT says else.",
        ),
    ] = None,
    checkpoint: CheckpointOption = "best",
    raw: Annotated[
        str | None,
        typer.Option(
            metavar="PATH", help="bioimage.io: image whose middle goes into it as test data."
        ),
    ] = None,
    name: Annotated[
        str | None, typer.Option(metavar="TEXT", help="bioimage.io: name of the network.")
    ] = None,
    description: Annotated[
        str | None, typer.Option(metavar="TEXT", help="bioimage.io: what it is good for.")
    ] = None,
    author: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME", help="bioimage.io: who made it. Once for each."),
    ] = None,
    license: Annotated[
        str | None,
        typer.Option(metavar="NAME", help="bioimage.io: licence by its SPDX name, as CC-BY-4.0."),
    ] = None,
    cite: Annotated[
        str | None,
        typer.Option(metavar="TEXT", help="bioimage.io: what to cite, with a DOI or an address."),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Take a trained network to other programs."""
    from napari_dacapo_tasks.prediction.export import PackageDetails
    from napari_dacapo_tasks.prediction.export import export as exported
    from napari_dacapo_tasks.prediction.trained import open_trained
    from napari_dacapo_tasks.tasks.values import validated

    chosen = kind or ENDINGS.get(out.suffix)
    if chosen is None:
        known = ", ".join(get_args(FormatName))
        raise typer.BadParameter(f"{out.name} does not tell the format: give --format, of {known}.")
    given = {
        "name": name,
        "description": description,
        "authors": tuple(author) if author else None,
        "license": license,
        "citation": cite,
    }
    said = {field: value for field, value in given.items() if value is not None}
    if chosen != "bioimageio" and (said or raw is not None):
        raise typer.BadParameter("--raw, --name and the like are for --format bioimageio only.")
    details = validated(PackageDetails, said, "export")
    trained = open_trained(run, checkpoint_of(checkpoint))
    test_raw = None if raw is None else open_array(raw)
    with ProgressLine() as line:
        steps = exported(trained, out, chosen, test_raw=test_raw, details=details)
        made = returned(steps, line, "exported")
        notices = (*trained.notices, *made.notices)
    if as_json:
        print_json(
            {
                "path": str(made.path),
                "format": chosen,
                "iteration": trained.iteration,
                "notices": list(notices),
            }
        )
        return
    print(f"Wrote {made.path}, the network after {trained.iteration} steps.")
    for notice in notices:
        print(notice)
