"""The command ``napari-dacapo-tasks``: what the docks do, without a screen.

Each verb is one public function. Refusals are one sentence on standard error and exit code 1,
wrong usage is exit code 2. Only ``train`` and ``demo`` import torch, and ``new`` where a task
begins with trained weights.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Generator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

import typer

from napari_dacapo_tasks import __version__
from napari_dacapo_tasks.arrays import Channel, GroundTruth, LabelsConfig
from napari_dacapo_tasks.arrays.ome_zarr import refuse_taken, write_ome_zarr_group
from napari_dacapo_tasks.arrays.open import open_array
from napari_dacapo_tasks.errors import ConfigError, UserError
from napari_dacapo_tasks.tasks import TaskConfig
from napari_dacapo_tasks.tasks.files import load_task
from napari_dacapo_tasks.terminal import (
    ProgressLine,
    has_screen,
    interrupted_softly,
    run_without_screen,
)

if TYPE_CHECKING:
    from napari_dacapo_tasks.tasks.preview import ChannelStatistics
    from napari_dacapo_tasks.training.events import Stepped

Result = TypeVar("Result")

DEMO_PICTURES = "demo-output"
"""Folder for the demo's pictures on a machine without a screen."""

app = typer.Typer(no_args_is_help=True, pretty_exceptions_enable=False)

TaskPath = Annotated[Path, typer.Argument(metavar="TASK.yaml", help="Task file.")]
GtPath = Annotated[str, typer.Argument(metavar="GT", help="Path of the labels.")]
Mask = Annotated[
    str | None, typer.Option(help="Path of an array that is nonzero where labels are known.")
]
ZeroIsUnlabelled = Annotated[
    bool, typer.Option("--zero-is-unlabelled", help="Voxels of label 0 are unknown.")
]
IgnoreLabel = Annotated[int | None, typer.Option(help="Voxels of this label are unknown.")]
Channels = Annotated[
    list[str] | None,
    typer.Option(
        "--channel",
        metavar="NAME=ID,ID",
        help="Label ids of a channel of the task, as in mito=1,2; a name alone means all objects. "
        "Once for each channel.",
    ),
]
Sets = Annotated[
    list[str] | None,
    typer.Option(
        "--set", metavar="NAME=VALUE", help="Change a parameter, as in trainer.iterations=500."
    ),
]
AsJson = Annotated[bool, typer.Option("--json", help="Print the result as JSON.")]


def main() -> None:
    """Run the command; the entry point of the program."""
    try:
        app()
    except UserError as error:
        print(error, file=sys.stderr)
        raise SystemExit(1) from None


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


@app.command()
def preview(
    task: TaskPath,
    gt: GtPath,
    out: Annotated[Path, typer.Argument(metavar="OUT.zarr", help="Folder to write.")],
    mask: Mask = None,
    zero_is_unlabelled: ZeroIsUnlabelled = False,
    ignore_label: IgnoreLabel = None,
    channel: Channels = None,
    as_json: AsJson = False,
) -> None:
    """Write the target, the weight and the distance mask that a task makes of labels."""
    from napari_dacapo_tasks.tasks.preview import Preview, PreviewProgress
    from napari_dacapo_tasks.tasks.preview import preview as previewed

    refuse_taken(out)
    config = load_task(task)
    truth = _ground_truth(config, gt, mask, channel, zero_is_unlabelled, ignore_label)
    with ProgressLine() as line:
        result = None
        for event in previewed(config, truth):
            if isinstance(event, PreviewProgress):
                line.show(event.doing)
            else:
                result = event
        assert isinstance(result, Preview), "a preview ends with its result"
        images = {"target": result.target, "weight": result.weight}
        for name, made in result.masks.items():
            images[name.replace(" ", "_")] = made
        for share in write_ome_zarr_group(out, images):
            line.show(f"Writing {share:.0%}")
    if as_json:
        channels = [
            {**asdict(one), "histogram": one.histogram.tolist()} for one in result.statistics
        ]
        _print_json({"path": str(out), "images": list(images), "channels": channels})
    else:
        for one in result.statistics:
            print(_sentence(one))
        for notice in result.notices:
            print(notice)
        print(f"Wrote {', '.join(images)} to {out}.")


@app.command()
def new(
    run_folder: Annotated[Path, typer.Argument(help="Folder to make.")],
    task: Annotated[Path, typer.Option(metavar="TASK.yaml", help="Task file.")],
    raw: Annotated[str, typer.Option(help="Path of the raw data.")],
    gt: Annotated[str, typer.Option(help="Path of the labels.")],
    mask: Mask = None,
    zero_is_unlabelled: ZeroIsUnlabelled = False,
    ignore_label: IgnoreLabel = None,
    channel: Channels = None,
    changes: Sets = None,
    as_json: AsJson = False,
) -> None:
    """Make a run: a folder with all that training needs.

    The network is proposed from the data; --set architecture.NAME=VALUE changes it.
    """
    from napari_dacapo_tasks.runs.config import RunConfig
    from napari_dacapo_tasks.runs.create import create_run
    from napari_dacapo_tasks.runs.fit import propose_architecture
    from napari_dacapo_tasks.runs.overrides import overridden
    from napari_dacapo_tasks.runs.trainer_config import TrainerConfig

    overrides = _overrides(changes)
    of_task = {name: overrides.pop(name) for name in [*overrides] if name.startswith("task.")}
    config: Any = overridden({"task": load_task(task)}, of_task)["task"]  # it names the channels
    volume = open_array(raw)
    truth = _ground_truth(config, gt, mask, channel, zero_is_unlabelled, ignore_label)
    proposed: dict[str, Any] = {
        "task": config,
        "architecture": propose_architecture(volume, truth, overrides.get("trainer.device", "")),
        "trainer": TrainerConfig(),
    }
    parts: dict[str, Any] = overridden(proposed, overrides)
    with ProgressLine() as line:
        run = _returned(
            create_run(run_folder, raw=volume, ground_truth=truth, raw_path=raw, **parts), line
        )
    made: RunConfig = run.config
    shape = list(made.architecture.input_shape)
    if as_json:
        _print_json({"run": str(run.path), "task": made.task.name, "input_shape": shape})
    else:
        print(f"Made {run.path} for {made.task.name}, with an input of {shape} voxels.")
        print(f"Train it: napari-dacapo-tasks train {run_folder}")


@app.command()
def train(
    run_folder: Annotated[Path, typer.Argument(help="A run that `new` has made.")],
    changes: Sets = None,
    as_json: AsJson = False,
) -> None:
    """Train a run from where it is. Ctrl-C stops it, with a checkpoint to go on from."""
    from napari_dacapo_tasks.runs.overrides import with_overrides
    from napari_dacapo_tasks.runs.run_folder import RunFolder

    overrides = _overrides(changes)
    run = RunFolder.open(run_folder)
    config = with_overrides(run.config, overrides)
    if config != run.config:
        run.save_config(config)

    from napari_dacapo_tasks.training import events
    from napari_dacapo_tasks.training.loop import train as trained

    last: Stepped | None = None
    finished = False
    training = trained(run)
    with ProgressLine() as line, interrupted_softly() as interrupted:
        try:
            for event in training:
                match event:
                    case events.Started():
                        line.say(f"Training {event.parameters} weights on {event.device}.")
                    case events.Stepped():
                        last = event
                        line.step(event, config.trainer.iterations)
                    case events.Notice():
                        line.say(event.text)
                    case events.Finished():
                        finished = True
                if interrupted():
                    break
        finally:
            training.close()  # saves a checkpoint where one is due
    checkpoint = run.latest_checkpoint()
    done = int(checkpoint.stem) if checkpoint else 0
    if as_json:
        _print_json(
            {
                "run": str(run.path),
                "finished": finished,
                "iteration": done,
                "loss": last.loss if last else None,
                "checkpoint": str(checkpoint) if checkpoint else None,
            }
        )
    elif finished:
        print(f"Finished at iteration {done}; the weights are in {checkpoint}.")
    elif checkpoint:
        print(f"Stopped at iteration {done}; the same command goes on from {checkpoint}.")
    else:
        print("Stopped before the first step was done; the same command starts anew.")


@app.command()
def demo(
    screenshots: Annotated[
        Path | None,
        typer.Option(help="Folder for pictures of the window, which is then closed."),
    ] = None,
    iterations: Annotated[
        int | None, typer.Option(min=1, help="Steps of training; by default about 2 minutes.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Open napari on the built-in sample, preview a task, train it, and show its prediction."""
    if not has_screen():
        arguments = ["demo", "--screenshots", str(screenshots or DEMO_PICTURES)]
        arguments += ["--iterations", str(iterations)] if iterations else []
        run_without_screen([*arguments, *(["--json"] if as_json else [])])

    from napari_dacapo_tasks.widgets.demo import ITERATIONS, run_demo

    result = run_demo(screenshots, iterations or ITERATIONS)
    if as_json:
        _print_json(
            {
                "run": str(result.run_folder),
                "first_loss": result.first_loss,
                "last_loss": result.last_loss,
                "screenshots": [str(path) for path in result.screenshots],
            }
        )
        return
    print(f"The loss went from {result.first_loss:.3g} to {result.last_loss:.3g}.")
    print(f"The run lies in {result.run_folder}.")
    if result.screenshots:
        print(f"Screenshots: {', '.join(str(path) for path in result.screenshots)}")


def _ground_truth(
    task: TaskConfig,
    gt: str,
    mask: str | None,
    channels: Sequence[str] | None,
    zero_is_unlabelled: bool,
    ignore_label: int | None,
) -> GroundTruth:
    config = LabelsConfig(
        channels=_channels(task, channels or ()),
        zero_is_unlabelled=zero_is_unlabelled,
        ignore_label=ignore_label,
    )
    return GroundTruth(open_array(gt), config, None if mask is None else open_array(mask))


def _channels(task: TaskConfig, given: Sequence[str]) -> tuple[Channel, ...]:
    """Read which label ids each channel of the task has."""
    names = task.ground_truth_channels
    if not task.has_channels() and given:
        raise ConfigError(
            f"The task {task.name} learns all labels at once: leave --channel {given[0]} out."
        )
    if not given and len(names) == 1:
        return (Channel(name=names[0]),)
    ids: dict[str, tuple[int, ...]] = {}
    for text in given:
        name, _, listed = text.partition("=")
        try:
            ids[name] = tuple(int(one) for one in listed.split(",") if one.strip())
        except ValueError:
            raise ConfigError(
                f"--channel {text} must be a name and whole numbers, as in mito=1,2."
            ) from None
        if any(one < 1 for one in ids[name]):
            raise ConfigError(f"--channel {text}: ids of objects start at 1.")
    if set(ids) != set(names):
        said = f"--channel names {', '.join(ids)}" if ids else "there is no --channel"
        raise ConfigError(
            f"The task has the channels {', '.join(names)}, but {said}: say for each which label "
            f"ids it has, as in --channel {names[0]}=1,2."
        )
    return tuple(Channel(name=name, labels=ids[name]) for name in names)


def _overrides(changes: Sequence[str] | None) -> dict[str, str]:
    overrides = {}
    for text in changes or ():
        name, equals, value = text.partition("=")
        if not equals:
            raise typer.BadParameter(f"--set {text} must be as in trainer.iterations=500.")
        overrides[name.strip()] = value.strip()
    return overrides


def _returned(steps: Generator[float, None, Result], line: ProgressLine) -> Result:
    while True:
        try:
            line.show(f"Making the run {next(steps):.0%}")
        except StopIteration as stop:
            result: Result = stop.value
            return result


def _sentence(one: ChannelStatistics) -> str:
    text = (
        f"{one.channel}: {one.foreground:.1%} foreground, {one.unknown:.1%} unknown, "
        f"{one.dropped:.1%} left out"
    )
    if one.weight_range is not None:
        text += ", weights {:.3g} to {:.3g}".format(*one.weight_range)
    return text


def _print_json(values: dict[str, Any]) -> None:
    print(json.dumps(values))
