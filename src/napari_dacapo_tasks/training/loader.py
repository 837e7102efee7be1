"""Batches that are prepared in threads beside the training step."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from threading import Thread
from time import perf_counter
from typing import Any

import torch

from napari_dacapo_tasks.arrays import NumpyArray
from napari_dacapo_tasks.errors import UserError
from napari_dacapo_tasks.numerics.balance import counts_after
from napari_dacapo_tasks.numerics.threads import available_cores, work_alone
from napari_dacapo_tasks.training.ahead import Ahead
from napari_dacapo_tasks.training.samples import Draft, Sampler
from napari_dacapo_tasks.training.world import World

AHEAD = 2
"""Batches that are ready at most, beside the one that is trained on."""

MOST_WORKERS = 8
"""Threads at most, unless more are asked for: they share the interpreter lock."""

CORES_PER_WORKER = 4
"""Where the processor trains, one core of so many prepares crops."""


@dataclass(frozen=True)
class Batch:
    """Crops as float32 tensors of the shape ``(batch, channels, z, y, x)``.

    Attributes
    ----------
    raw, target, weight
        On the device of training.
    class_counts
        What was counted in all crops so far, these included: what a checkpoint keeps.
    waited
        Seconds from asking for it to having it.
    """

    raw: torch.Tensor
    target: torch.Tensor
    weight: torch.Tensor
    class_counts: Any
    waited: float = 0.0

    def to(self, device: torch.device) -> Batch:
        """Give the same batch on a device; on CUDA, whose memory is pinned, without waiting."""
        # Not on MPS: it may copy after the memory was given back.
        raw, target, weight = (
            tensor.to(device, non_blocking=device.type == "cuda")
            for tensor in (self.raw, self.target, self.weight)
        )
        return replace(self, raw=raw, target=target, weight=weight)


class Loader:
    """Prepares the batches of one iteration after the other.

    They are the same for any number of workers, as crops depend on nothing but their number, and
    weights are balanced in the order of crops. Of several processes each makes its own part of
    the world's batch; the weights are those of one process that makes it all.

    Parameters
    ----------
    sampler
        Makes crops; its methods are called from several threads.
    crops
        Number of crops in a batch of this process.
    first
        Iteration of the first batch.
    class_counts
        What was counted before, None at the beginning.
    world
        The processes that train together; None for this one alone.
    workers
        Number of threads; 0 makes each batch when it is asked for, None suits the machine.
    device
        Where the batches go.
    last
        Last iteration: nothing is made for those after it.
    """

    def __init__(
        self,
        sampler: Sampler,
        crops: int,
        first: int,
        class_counts: Any = None,
        world: World | None = None,
        workers: int | None = None,
        device: torch.device | str = "cpu",
        last: int | None = None,
    ) -> None:
        self._sampler = sampler
        self._crops = crops
        self._counts = class_counts
        self._world = world or World.alone()
        self._device = torch.device(device)
        self._pins = self._device.type == "cuda"
        if workers is None:
            workers = default_workers(self._device.type, self._world.size)
        end = None if last is None else (last + 1) * crops - 1
        alone = partial(_on_one_core, torch.get_num_threads(), workers > 1)
        self._drafts = Ahead(self._draft, first * crops, end, workers, crops + workers, alone)
        # Several processes tell each other what they counted, which is done by the thread that
        # trains: another one could wait for a process that is at its end.
        beside = int(workers > 0 and self._world.size == 1)
        self._batches = Ahead(self._batch, first, last, beside, AHEAD)

    def take(self, iteration: int) -> Batch:
        """Give the batch of an iteration; they are taken one after the other.

        Done by all processes.

        Raises
        ------
        UserError
            What went wrong with a crop of this batch, in whichever process.
        """
        begun = perf_counter()
        batch = self._batches.take(iteration).to(self._device)
        return replace(batch, waited=perf_counter() - begun)

    def close(self) -> None:
        """End the threads; each finishes its crop. Nothing can be taken any more."""
        self._drafts.stop()
        self._batches.close()
        self._drafts.close()

    def _draft(self, number: int) -> Draft:
        """Make a crop by its number among all crops of this process."""
        iteration, index = divmod(number, self._crops)
        return self._sampler.first_draft(iteration, self._world.rank * self._crops + index)

    def _batch(self, iteration: int) -> Batch:
        drafts, counts, after = self._counted(iteration)
        shapes = [(part.data.shape) for part in (drafts[0].raw, drafts[0].target)]
        raw, target, weight = (self._empty(shape) for shape in (*shapes, shapes[1]))
        for number, draft in enumerate(drafts):
            crop, counts = self._sampler.weigh(draft, counts)
            _copy(crop.raw, raw[number])
            _copy(crop.target, target[number])
            _copy(crop.weight, weight[number])
        self._counts = after if self._world.size > 1 else counts
        return Batch(raw, target, weight, self._counts)

    def _counted(self, iteration: int) -> tuple[list[Draft], Any, Any]:
        """Give the drafts of a batch, the counts of all crops before them and after the batch."""
        begin = iteration * self._crops
        numbers = range(begin, begin + self._crops)
        if self._world.size == 1:
            return [self._drafts.take(number) for number in numbers], self._counts, None
        drafts: list[Draft] = []
        failure: UserError | None = None
        try:
            drafts = [self._drafts.take(number) for number in numbers]
        except UserError as error:  # the others are to stop with the same sentence
            failure = error
        own = failure or [draft.counts for draft in drafts]
        before = after = self._counts
        for rank, theirs in enumerate(self._world.gather(own)):
            if isinstance(theirs, UserError):
                raise theirs
            if rank == self._world.rank:
                before = after
            for counts in theirs:
                after = counts_after(after, counts)
        return drafts, before, after

    def _empty(self, shape: Sequence[int]) -> torch.Tensor:
        return torch.empty((self._crops, *shape), dtype=torch.float32, pin_memory=self._pins)


def default_workers(device_type: str, processes: int = 1) -> int:
    """Choose a number of threads that suits this machine.

    Where the processor trains, too, its time is the same whoever spends it; a graphics card is
    not to wait.
    """
    here = int(os.environ.get("LOCAL_WORLD_SIZE", processes)) if processes > 1 else 1
    cores = available_cores() // here
    wanted = cores // CORES_PER_WORKER if device_type == "cpu" else cores - 1
    return min(max(wanted, 1), MOST_WORKERS)


def _copy(array: NumpyArray, tensor: torch.Tensor) -> None:
    """Copy values of any type and layout, such as turned ones."""
    tensor.numpy()[...] = array.data


def _on_one_core(usual: int, has_others: bool) -> None:
    """Let PyTorch, and our loops if there are others like it, use no threads but this one.

    The number of PyTorch is one of the calling thread, but a thread begins with the one that was
    set last by any, when it first looks. So this one looks before it sets its own, and another
    one sets the usual one again.
    """
    if has_others:
        work_alone()
    torch.get_num_threads()
    torch.set_num_threads(1)
    thread = Thread(target=torch.set_num_threads, args=(usual,))
    thread.start()
    thread.join()
