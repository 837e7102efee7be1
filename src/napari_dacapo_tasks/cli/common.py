"""What several verbs share: options, and how they are read."""

from __future__ import annotations

import json
from collections.abc import Callable, Generator, Sequence
from contextlib import closing
from pathlib import Path
from typing import Annotated, Any, TypeVar

import typer

from napari_dacapo_tasks.arrays import Channel, GroundTruth, LabelsConfig
from napari_dacapo_tasks.arrays.open import open_array
from napari_dacapo_tasks.errors import ConfigError, UserError
from napari_dacapo_tasks.tasks import TaskConfig
from napari_dacapo_tasks.terminal import ProgressLine, Stopped, interrupted_softly

Event = TypeVar("Event")
Result = TypeVar("Result")

TaskPath = Annotated[Path, typer.Argument(metavar="TASK.yaml", help="Task file.")]
GtPath = Annotated[str, typer.Argument(metavar="GT", help="Path of the labels.")]
RunPath = Annotated[
    Path, typer.Argument(metavar="RUN_FOLDER", help="A run, as `new` or the Train dock makes it.")
]
Mask = Annotated[
    str | None,
    typer.Option(metavar="PATH", help="Path of an array that is nonzero where labels are known."),
]
ZeroIsUnlabelled = Annotated[
    bool, typer.Option("--zero-is-unlabelled", help="Voxels of label 0 are unknown.")
]
IgnoreLabel = Annotated[
    int | None, typer.Option(metavar="ID", help="Voxels of this label are unknown.")
]
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


def ground_truth(
    task: TaskConfig,
    gt: str,
    mask: str | None,
    channels: Sequence[str] | None,
    zero_is_unlabelled: bool,
    ignore_label: int | None,
) -> GroundTruth:
    """Open labels and mask as the ground truth of a task."""
    config = labels_of(task, channels, zero_is_unlabelled, ignore_label)
    return GroundTruth(open_array(gt), config, None if mask is None else open_array(mask))


def labels_of(
    task: TaskConfig,
    channels: Sequence[str] | None,
    zero_is_unlabelled: bool,
    ignore_label: int | None,
) -> LabelsConfig:
    """Read how the labels of a task are meant."""
    return LabelsConfig(
        channels=_channels(task, channels or ()),
        zero_is_unlabelled=zero_is_unlabelled,
        ignore_label=ignore_label,
    )


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


def overrides_of(changes: Sequence[str] | None) -> dict[str, str]:
    """Read ``--set NAME=VALUE``; values stay text."""
    overrides = {}
    for text in changes or ():
        name, equals, value = text.partition("=")
        if not equals:
            raise typer.BadParameter(f"--set {text} must be as in trainer.iterations=500.")
        overrides[name.strip()] = value.strip()
    return overrides


def followed(steps: Generator[Event, None, Result], show: Callable[[Event], None]) -> Result:
    """Go through all steps of something, and give what it returns.

    Raises
    ------
    Stopped
        After the step in which a signal came, when what was half made is cleared away.
    """
    with interrupted_softly() as interrupted, closing(steps):
        while not (number := interrupted()):
            try:
                event = next(steps)
            except StopIteration as end:
                result: Result = end.value
                return result
            except UserError as error:
                if number := interrupted():  # which reaches what was started for the work, too
                    raise Stopped(number) from error
                raise
            show(event)
    raise Stopped(number)


def returned(steps: Generator[float, None, Result], line: ProgressLine, doing: str) -> Result:
    """Show how far something is until it is done, and give what it returns; as `followed`."""

    def show(share: float) -> None:
        if share > 0:  # what is refused at once was never begun
            line.show(f"{doing} {share:.0%}", share)

    return followed(steps, show)


def print_json(values: dict[str, Any]) -> None:
    """Print a result for programs: one line of JSON."""
    print(json.dumps(values))
