"""The training loop."""

from __future__ import annotations

import gc
import traceback
from collections.abc import Generator, Iterator
from contextlib import contextmanager, suppress

import torch

from napari_dacapo_tasks.errors import DeviceError, RunError, UserError
from napari_dacapo_tasks.runs.run_folder import RunFolder
from napari_dacapo_tasks.training.devices import Device, resolve_device
from napari_dacapo_tasks.training.events import Finished, Notice, Request, TrainingEvent
from napari_dacapo_tasks.training.trainer import Trainer, where_it_goes_on

OUT_OF_MEMORY = ("out of memory", "can't allocate", "not enough memory", "ALLOC_FAILED")
"""What errors say of which the type says nothing: those of the CPU, MPS, cuDNN and cuBLAS."""


def train(run: RunFolder) -> Generator[TrainingEvent, Request | None, None]:
    """Train a run from its latest checkpoint on, or from the start, to its last iteration.

    To stop, close the generator: that saves a checkpoint. Whoever goes on later gets the same
    weights as if nobody had stopped (on the CPU bit for bit).

    Parameters
    ----------
    run
        Its ``run.yaml`` says what to do, its folder takes everything that comes of it.

    Yields
    ------
    TrainingEvent
        `Started`, then a `Stepped` for each iteration, with a `Snapshot` before the first one,
        at every interval and when asked for, and a `CheckpointSaved` at every interval and at
        the end; `Notice` now and then; `Finished` when all iterations are done.

    Raises
    ------
    DeviceError
        Where the device is not there, or runs out of memory.
    NonFiniteLossError
        Where the loss is NaN or infinite. The last checkpoint is from before that.
    RunError
        Where the run is being trained already, or its folder cannot be read or written.
    DataError, ConfigError
        Where data, task and network do not fit together.
    """
    config = run.config.trainer
    with run.training(), _logged(run), _memory_of_device(run) as device:
        trainer = Trainer(run, device)
        try:
            run.log(f"Training from iteration {trainer.iteration} on {device.label}")
            wanted = (yield trainer.started()) is Request.SNAPSHOT
            for text in trainer.notices():
                wanted |= (yield Notice(text)) is Request.SNAPSHOT
            wanted |= trainer.iteration < config.iterations  # a first look
            while True:
                if wanted or trainer.snapshot_is_due():
                    wanted = (yield trainer.snapshot()) is Request.SNAPSHOT
                if trainer.checkpoint_is_due():
                    wanted |= (yield trainer.save()) is Request.SNAPSHOT
                if trainer.iteration >= config.iterations:
                    break
                wanted |= (yield trainer.step()) is Request.SNAPSHOT
            run.log(f"Finished at iteration {trainer.iteration}")
            yield Finished(trainer.iteration)
        except GeneratorExit:
            if not trainer.saved:
                trainer.save()
            run.log(f"Stopped at iteration {trainer.iteration}")
            raise
        finally:
            trainer.let_go()


@contextmanager
def _memory_of_device(run: RunFolder) -> Iterator[Device]:
    """Give the device of a run, take its memory back, and say when there was too little."""
    device = resolve_device(run.config.trainer.device)
    try:
        yield device
    except (torch.cuda.OutOfMemoryError, MemoryError, RuntimeError) as error:
        if not _is_out_of_memory(error):
            raise
        # The frames that the error came through would keep their tensors as long as it is shown.
        traceback.clear_frames(error.__traceback__)
        gc.collect()
        architecture = run.config.architecture
        shape = " x ".join(str(n) for n in architecture.input_shape)
        raise DeviceError(
            f"The memory of {device.name} does not suffice ({device.label}): lower the batch size "
            f"(now {run.config.trainer.batch_size}), the input shape (now {shape}) or the number "
            f"of feature maps (now {architecture.num_fmaps}); {where_it_goes_on(run)}."
        ) from error
    finally:
        if device.name.startswith("cuda"):
            torch.cuda.empty_cache()
        elif device.name == "mps":
            torch.mps.empty_cache()


def _is_out_of_memory(error: BaseException) -> bool:
    """Tell out-of-memory from other errors, since most come as a bare RuntimeError."""
    if isinstance(error, (torch.cuda.OutOfMemoryError, MemoryError)):
        return True
    return any(said in str(error) for said in OUT_OF_MEMORY)


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
