"""The verb ``train``."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from napari_dacapo_tasks.cli.common import AsJson, RunPath, Sets, overrides_of, print_json
from napari_dacapo_tasks.errors import UserError
from napari_dacapo_tasks.runs.overrides import with_overrides
from napari_dacapo_tasks.runs.run_folder import RunFolder
from napari_dacapo_tasks.terminal import ProgressLine, interrupted_softly, say
from napari_dacapo_tasks.training.world import World, started_by_torchrun

if TYPE_CHECKING:
    from napari_dacapo_tasks.training.events import Finished, Stepped, TrainingEvent, Validated

REPEATED_BY_TORCHRUN = 5.0
"""Seconds within which a signal comes a second time by way of ``torchrun``."""


def train(
    run_folder: RunPath,
    changes: Sets = None,
    tensorboard: Annotated[
        bool,
        typer.Option(
            "--tensorboard", help="Write loss, scores and snapshots for TensorBoard, too."
        ),
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Train a run from where it is.

    Ctrl-C stops it, with a checkpoint to go on from. With several graphics cards:
    torchrun --nproc-per-node 2 -m napari_dacapo_tasks train RUN_FOLDER.
    """
    overrides = overrides_of(changes)
    undo = ExitStack()
    world = World.from_environment()
    repeated = REPEATED_BY_TORCHRUN if started_by_torchrun() else 0.0
    with interrupted_softly(repeated, silent=not world.is_main) as interrupted:
        try:
            run = _opened(run_folder, overrides, world, undo)
            seen = _trained(run, world, tensorboard, interrupted, undo)
        except UserError as error:
            with suppress(UserError):
                undo.close()
            # Said while signals are still taken softly: where one process ended, torchrun ends
            # the others, which shall have said why by then.
            process = "" if world.is_main else f"Process {world.rank + 1} of {world.size}: "
            say(f"{process}{error}")
            raise typer.Exit(1) from error
        finally:
            world.close()
        if world.is_main:
            _tell(run, seen, as_json)


def _opened(
    run_folder: Path, overrides: Mapping[str, str], world: World, undo: ExitStack
) -> RunFolder:
    """Open a run after its first process has changed it; if that is refused, it alone says so.

    What does not begin shall leave the run as it was: ``undo`` gets what sees to it.
    """
    refusal: UserError | None = None
    if world.is_main:
        try:
            run = RunFolder.open(run_folder)
            config = with_overrides(run.config, overrides)
            if config != run.config:
                undo.callback(run.save_config, run.config)
                run.save_config(config)
        except UserError as error:
            refusal = error
    if world.any(refusal is not None):
        raise refusal or typer.Exit(1)
    return RunFolder.open(run_folder)


class _Seen:
    """What training said that its result needs."""

    step: Stepped | None = None
    finished: Finished | None = None


def _trained(
    run: RunFolder,
    world: World,
    tensorboard: bool,
    interrupted: Callable[[], int],
    undo: ExitStack,
) -> _Seen:
    from napari_dacapo_tasks.training import events
    from napari_dacapo_tasks.training.loop import train as trained

    seen = _Seen()
    iterations = run.config.trainer.iterations
    with ExitStack() as opened:
        board = None
        if tensorboard and world.is_main:
            from napari_dacapo_tasks.training.tensorboard import TensorBoard

            board = opened.enter_context(TensorBoard(run.path))
        line = opened.enter_context(ProgressLine(silent=not world.is_main))
        training = trained(run, world=world)
        opened.callback(training.close)  # saves a checkpoint where one is due
        answer: events.Request | None = None
        while (event := _next(training, answer)) is not None:
            if board is not None:
                board.write(event)
            match event:
                case events.Started():
                    undo.pop_all()
                    line.say(f"Training {event.parameters} weights on {event.device}.")
                case events.Stepped():
                    seen.step = event
                    line.step(event, iterations)
                case events.Validating():
                    line.show(f"validating at iteration {event.iteration}", event.share)
                case events.Validated():
                    line.say(_score(event))
                case events.Notice():
                    line.say(event.text)
                case events.Finished():
                    seen.finished = event
            answer = events.Request.STOP if interrupted() else None
    return seen


def _next(training: Any, answer: Any) -> TrainingEvent | None:
    try:
        event: TrainingEvent = training.send(answer)
    except StopIteration:
        return None
    return event


def _score(event: Validated) -> str:
    score = event.score
    text = f"Iteration {event.iteration}: validation loss {score.loss:.4g}"
    if score.criterion != "loss":
        text += f", {score.criterion} {score.value:.4g}"
    return f"{text}{', the best so far' if event.is_best else ''}."


def _best(run: RunFolder) -> dict[str, Any] | None:
    """Give the best score of all that a run has."""
    for iteration in run.best_iterations(1):
        for score in run.scores():
            if score.iteration == iteration:
                return {
                    "iteration": iteration,
                    "criterion": score.criterion,
                    "value": score.value,
                }
    return None


def _tell(run: RunFolder, seen: _Seen, as_json: bool) -> None:
    checkpoint = run.latest_checkpoint()
    done = int(checkpoint.stem) if checkpoint else 0
    if as_json:
        print_json(
            {
                "run": str(run.path),
                "finished": seen.finished is not None,
                "iteration": done,
                "loss": seen.step.loss if seen.step else None,
                "best": _best(run),
                "checkpoint": str(checkpoint) if checkpoint else None,
            }
        )
    elif seen.finished:
        print(f"Finished at iteration {done}; the weights are in {checkpoint}.")
    elif checkpoint:
        print(f"Stopped at iteration {done}; the same command goes on from {checkpoint}.")
    else:
        print("Stopped before the first step was done; the same command starts anew.")
