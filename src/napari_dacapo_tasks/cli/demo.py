"""The verb ``demo``."""

from __future__ import annotations

import signal
from pathlib import Path
from typing import Annotated

import typer

from napari_dacapo_tasks.cli.common import AsJson, print_json
from napari_dacapo_tasks.terminal import has_screen, run_without_screen, stopped_at_once

DEMO_PICTURES = "demo-output"
"""Folder for the demo's pictures on a machine without a screen."""


def demo(
    screenshots: Annotated[
        Path | None,
        typer.Option(
            metavar="FOLDER", help="Folder for pictures of the window, which is then closed."
        ),
    ] = None,
    iterations: Annotated[
        int | None,
        typer.Option(min=1, metavar="N", help="Steps of training; by default about 2 minutes."),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Open napari on the built-in sample.

    A task is previewed and trained; then the network predicts, and that is segmented and scored.
    """
    if not has_screen():
        arguments = ["demo", "--screenshots", str(screenshots or DEMO_PICTURES)]
        arguments += ["--iterations", str(iterations)] if iterations else []
        run_without_screen([*arguments, *(["--json"] if as_json else [])])

    from napari_dacapo_tasks.widgets.demo import ITERATIONS, run_demo

    with stopped_at_once(signal.SIG_DFL):  # a window has no place for what is raised
        result = run_demo(screenshots, iterations or ITERATIONS)
    if as_json:
        print_json(
            {
                "run": str(result.run_folder),
                "first_loss": result.first_loss,
                "last_loss": result.last_loss,
                "scores": result.scores,
                "screenshots": [str(path) for path in result.screenshots],
            }
        )
        return
    print(f"The loss went from {result.first_loss:.3g} to {result.last_loss:.3g}.")
    for channel, scores in result.scores.items():
        print(f"The segmentation of {channel} has a Dice score of {scores['dice']:.2f}.")
    print(f"The run lies in {result.run_folder}.")
    if result.screenshots:
        print(f"Screenshots: {', '.join(str(path) for path in result.screenshots)}")
