"""All verbs of the command, each one public function."""

from __future__ import annotations

from typing import Annotated

import typer

from napari_dacapo_tasks import __version__
from napari_dacapo_tasks.cli.cluster import cluster
from napari_dacapo_tasks.cli.demo import demo
from napari_dacapo_tasks.cli.evaluate import evaluate
from napari_dacapo_tasks.cli.export import export
from napari_dacapo_tasks.cli.new import new
from napari_dacapo_tasks.cli.predict import predict
from napari_dacapo_tasks.cli.preview import preview
from napari_dacapo_tasks.cli.runs import runs, stop
from napari_dacapo_tasks.cli.segment import segment
from napari_dacapo_tasks.cli.sweep import sweep
from napari_dacapo_tasks.cli.train import train
from napari_dacapo_tasks.cli.worker import worker

app = typer.Typer(
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    # Boxes around help and refusals cut names and sentences in two, and narrow terminals most.
    rich_markup_mode=None,
)


def _print_version(wanted: bool) -> None:
    if wanted:
        print(__version__)
        raise typer.Exit


@app.callback()
def options(
    version: Annotated[
        bool,
        typer.Option(
            "--version", help="Print the version.", callback=_print_version, is_eager=True
        ),
    ] = False,
) -> None:
    """See what a network will be taught, train it, and use it, without a screen."""


for verb in (
    preview,
    new,
    train,
    runs,
    stop,
    cluster,
    predict,
    segment,
    evaluate,
    sweep,
    export,
    worker,
    demo,
):
    app.command()(verb)
