"""The training loop."""

from __future__ import annotations

import traceback
from collections.abc import Generator, Iterator, Mapping
from contextlib import ExitStack, closing, contextmanager, suppress

from napari_dacapo_tasks.architectures.devices import Device, resolve_device
from napari_dacapo_tasks.architectures.out_of_memory import (
    MEMORY_ERRORS,
    free_memory,
    is_out_of_memory,
)
from napari_dacapo_tasks.arrays import Array
from napari_dacapo_tasks.errors import DeviceError, NonFiniteLossError, RunError, UserError
from napari_dacapo_tasks.runs.run_folder import RunFolder
from napari_dacapo_tasks.training.events import (
    Finished,
    Notice,
    Request,
    Started,
    Stepped,
    Stopped,
    TrainingEvent,
    Validated,
    Validating,
)
from napari_dacapo_tasks.training.trainer import Trainer, where_it_goes_on
from napari_dacapo_tasks.training.world import World

OF_ALL = (Started, Stepped, Finished, Stopped)
"""Events of every process; the others are those of the main one."""

Events = Generator[TrainingEvent, None, None]


def train(
    run: RunFolder,
    *,
    world: World | None = None,
    in_memory: Mapping[str, Array] | None = None,
) -> Generator[TrainingEvent, Request | None, None]:
    """Train a run from its latest checkpoint on, or from the start, to its last iteration.

    To stop, close the generator: that saves a checkpoint. Whoever goes on later gets the same
    weights as if nobody had stopped (on the CPU bit for bit). Where several processes train
    together, send `Request.STOP` instead, to any of them: all then end at the same step.

    Parameters
    ----------
    run
        Its ``run.yaml`` says what to do, its folder takes everything that comes of it. Other
        programs ask for a snapshot, a validation or the end by `RunFolder.request`.
    world
        The processes that train the run together, this one alone by default. Only the main one
        writes, and tells more than `Stepped` and how it ends.
    in_memory
        Arrays by their paths in the config, which are used instead of the files there.

    Yields
    ------
    TrainingEvent
        `Started`, then a `Stepped` for each iteration, with a `Snapshot` before the first one,
        at every interval and when asked for, `Validating` and `Validated` likewise, and a
        `CheckpointSaved` at every interval, at the end and for the best scores; `Notice` now and
        then; `Finished` when all iterations are done, or `Stopped` when somebody asked for it.

    Raises
    ------
    DeviceError
        Where the device is not there, or runs out of memory.
    NonFiniteLossError
        Where the loss is NaN or infinite again after training went back to the last good state,
        and on from there at half the rate.
    RunError
        Where the run is being trained already, or its folder cannot be read or written.
    DataError, ConfigError
        Where data, task and network do not fit together.
    """
    world = world or World.alone()
    wishes: set[Request] = set()
    with ExitStack() as held:
        if world.is_main:
            held.enter_context(run.training())
            held.enter_context(_logged(run))
        device = held.enter_context(_memory_of_device(run, world))
        trainer = Trainer(run, device, world, in_memory)
        course = _course(trainer, wishes)
        try:
            with closing(course):
                for event in course:
                    if world.is_main:
                        _log(run, event)
                    elif not isinstance(event, OF_ALL):
                        continue
                    wish = yield event
                    if wish is not None:
                        wishes.add(wish)
        except GeneratorExit:
            if world.is_main:
                if not trainer.saved:
                    trainer.save()
                _log(run, Stopped(trainer.iteration))
            raise
        finally:
            trainer.let_go()


def _course(trainer: Trainer, wishes: set[Request]) -> Events:
    """Go through all steps; what is wished for is done after the present one."""
    yield trainer.started()
    if trainer.world.is_main:
        yield from map(Notice, trainer.first_notices())
    if not trainer.is_done:
        wishes.add(Request.SNAPSHOT)  # a first look
    while True:
        try:
            if (yield from _between_steps(trainer, wishes)):
                return
            yield trainer.step()
            if trainer.world.is_main:
                yield from map(Notice, trainer.notices())
            continue
        except NonFiniteLossError:
            if not trainer.may_go_back:
                raise
        yield trainer.go_back()


def _between_steps(trainer: Trainer, wishes: set[Request]) -> Generator[TrainingEvent, None, bool]:
    """Do what is due or wished for, and say whether that was the end."""
    is_main = trainer.world.is_main
    wished = _agreed(trainer, wishes)
    if Request.VALIDATE in wished:
        trainer.check_weights()
    if is_main and Request.SNAPSHOT in wished:
        yield trainer.snapshot()
    if is_main and Request.VALIDATE in wished:
        yield from _validated(trainer, wishes)
        yield from map(Notice, trainer.notices())
    # Only a validation, or a run that stopped early before, can have come to its end by it.
    early = None
    if wished:
        early = trainer.standing.no_longer_better(trainer.iteration)
        early, stops = trainer.world.gather((early, Request.STOP in wishes))[0]
        wished |= {Request.STOP} if stops else set()
    ends = trainer.is_done or early is not None or Request.STOP in wished
    if ends or trainer.checkpoint_is_due():
        trainer.check_weights()
        if is_main and not trainer.saved:
            yield trainer.save()
    if not ends:
        return False
    if early is not None:
        yield Notice(early)
    if Request.STOP in wished and early is None and not trainer.is_done:
        yield Stopped(trainer.iteration)
    else:
        yield Finished(trainer.iteration)
    return True


def _validated(trainer: Trainer, wishes: set[Request]) -> Events:
    """Validate; where somebody asks for the end meanwhile, that is left for when it goes on."""
    with closing(trainer.validate()) as events:
        for event in events:
            yield event
            if isinstance(event, Validating):
                wishes |= {Request(name) for name in trainer.run.requested()}
                if Request.STOP in wishes:
                    return


def _agreed(trainer: Trainer, wishes: set[Request]) -> set[Request]:
    """Give what is to be done now, the same in all processes, and forget the wishes."""
    wanted = set(wishes)
    wishes.clear()
    if trainer.world.is_main:
        wanted |= {Request(name) for name in trainer.run.requested()}
        if trainer.snapshot_is_due():
            wanted.add(Request.SNAPSHOT)
        if trainer.validation_is_due():
            wanted.add(Request.VALIDATE)
    return set().union(*trainer.world.gather(wanted))


@contextmanager
def _memory_of_device(run: RunFolder, world: World) -> Iterator[Device]:
    """Give the device of a run, take its memory back, and say when there was too little."""
    device = resolve_device(world.device(run.config.trainer.device))
    try:
        yield device
    except NotImplementedError as error:  # of MPS, which knows not all operations in 3D
        if device.name == "cpu":
            raise
        said = str(error).strip().partition(". ")[0]
        raise DeviceError(
            f"{device.name} cannot train this network ({said}): set trainer.device to cpu."
        ) from error
    except MEMORY_ERRORS as error:
        if not is_out_of_memory(error):
            raise
        free_memory(device.name, error)
        architecture = run.config.architecture
        shape = " x ".join(str(n) for n in architecture.input_shape)
        raise DeviceError(
            f"The memory of {device.name} does not suffice ({device.label}): lower the batch size "
            f"(now {run.config.trainer.batch_size}), the input shape (now {shape}) or the number "
            f"of feature maps (now {architecture.num_fmaps}); {where_it_goes_on(run)}."
        ) from error
    finally:
        free_memory(device.name)


def _log(run: RunFolder, event: TrainingEvent) -> None:
    """Write what a person may want to read later into the log of the run."""
    match event:
        case Started():
            run.log(f"Training from iteration {event.iteration} on {event.device}")
        case Notice():
            run.log(event.text)
        case Validated():
            best = ", the best so far" if event.is_best else ""
            score = event.score
            run.log(f"Iteration {event.iteration}: {score.criterion} {score.value:.4g}{best}")
        case Finished():
            run.log(f"Finished at iteration {event.iteration}")
        case Stopped():
            run.log(f"Stopped at iteration {event.iteration}")


@contextmanager
def _logged(run: RunFolder) -> Iterator[None]:
    """Write what goes wrong into the log of the run."""
    try:
        yield
    except UserError as error:
        with suppress(RunError):
            run.log(str(error))
        raise
    except Exception:
        with suppress(RunError):
            run.log(traceback.format_exc())
        raise
