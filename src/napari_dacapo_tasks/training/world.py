"""The processes that train one run together, as ``torchrun`` starts them.

Gradients and counts are added up by NCCL between graphics cards and by gloo between processors;
Python values go by gloo in any case. That is done once a step, in plain sight, rather than in
each backward pass by `DistributedDataParallel`: so each process may cut its crops into as many
micro-batches as its memory takes, and a step that failed can be tried again by one of them alone.
Importing this imports no torch.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Self, TypeVar

from napari_dacapo_tasks.architectures.devices import AUTO
from napari_dacapo_tasks.errors import DeviceError, RunError

if TYPE_CHECKING:
    import torch

Value = TypeVar("Value")

VARIABLES = ("RANK", "WORLD_SIZE", "LOCAL_RANK", "MASTER_ADDR", "MASTER_PORT")
"""What ``torchrun`` tells each process."""

START = timedelta(minutes=10)
"""For all processes to find each other, and for gradients of others within a step."""

PATIENCE = timedelta(hours=24)
"""For others that are busy, as the first process is in a validation.

A process that ends is noticed at once, since its connections close; this is for a machine that
is cut off.
"""


class World:
    """All processes that train a run, as seen from one of them.

    What is said to be done by all must be called by all of them, in the same order and by the
    thread that made this.

    Attributes
    ----------
    rank
        Number of this process, from 0.
    size
        Number of processes.
    local_rank
        Number of this process among those on this machine.
    """

    def __init__(self, rank: int = 0, size: int = 1, local_rank: int = 0) -> None:
        self.rank = rank
        self.size = size
        self.local_rank = local_rank
        self._values: Any = None  # group for Python values; None where nothing is joined

    @classmethod
    def alone(cls) -> Self:
        """Give the world of a process that trains by itself: nothing is ever sent."""
        return cls()

    @classmethod
    def from_environment(cls, environment: Mapping[str, str] | None = None) -> Self:
        """Join the other processes where ``torchrun`` started this one, else be alone.

        Done by all.

        Raises
        ------
        RunError
            Where the others cannot be reached, or this PyTorch cannot reach any.
        """
        given = os.environ if environment is None else environment
        if not started_by_torchrun(given) or int(given["WORLD_SIZE"]) == 1:
            return cls.alone()
        world = cls(int(given["RANK"]), int(given["WORLD_SIZE"]), int(given["LOCAL_RANK"]))
        world._join()
        return world

    @property
    def is_main(self) -> bool:
        """Whether this process is the one that writes and speaks."""
        return self.rank == 0

    def device(self, name: str) -> str:
        """Give the device of this process, for the one that a config names.

        Where several processes train, each takes the CUDA device of its number.

        Raises
        ------
        DeviceError
            Where this machine has fewer of them than processes, or the device cannot be shared.
        """
        if self.size == 1:
            return name
        import torch

        count = torch.cuda.device_count()
        if name == "cpu" or (name == AUTO and count == 0):
            return "cpu"
        if name == "mps":
            raise DeviceError(
                "The device mps cannot be shared by several processes: start one, without "
                "torchrun, or set trainer.device to cpu."
            )
        if self.local_rank >= count:
            raise DeviceError(
                f"torchrun started a process of the number {self.local_rank} on this machine, "
                f"which has {count} CUDA devices: start at most as many processes as it has "
                "devices (--nproc-per-node), or set trainer.device to cpu."
            )
        torch.cuda.set_device(self.local_rank)
        return f"cuda:{self.local_rank}"

    def gather(self, value: Value) -> list[Value]:
        """Give what every process has here, by rank. Done by all.

        Raises
        ------
        RunError
            Where another process ended; so do all others here.
        """
        if self.size == 1:
            return [value]
        import torch.distributed as dist

        values: list[Any] = [None] * self.size
        with _others_needed():
            dist.all_gather_object(values, value, group=self._values)
        return values

    def any(self, value: bool) -> bool:
        """Say whether it is so in any process. Done by all."""
        return any(self.gather(value))

    def barrier(self) -> None:
        """Wait until every process is here. Done by all."""
        self.gather(None)

    def add_up(self, tensors: Iterable[torch.Tensor]) -> None:
        """Replace each tensor by its sum over all processes, in place. Done by all.

        The order of the sum is fixed, so that all get the same bits.
        """
        if self.size == 1:
            return
        import torch
        import torch.distributed as dist

        by_kind: dict[tuple[torch.dtype, torch.device], list[torch.Tensor]] = {}
        for tensor in tensors:
            by_kind.setdefault((tensor.dtype, tensor.device), []).append(tensor)
        for parts in by_kind.values():
            joined = torch.cat([part.detach().reshape(-1) for part in parts])
            with _others_needed():
                dist.all_reduce(joined)
            sizes = [part.numel() for part in parts]
            for part, summed in zip(parts, torch.split(joined, sizes), strict=True):
                part.detach().copy_(summed.view(part.shape))

    def add_gradients(self, module: torch.nn.Module) -> None:
        """Replace the gradients of a module by their sums over all processes. Done by all.

        Once after all micro-batches of a step, of which each process may have another number.
        """
        found = (p.grad for p in module.parameters() if p.requires_grad)
        self.add_up(gradient for gradient in found if gradient is not None)

    def close(self) -> None:
        """Leave the other processes; nothing may be asked of this world any more."""
        if self._values is None:
            return
        import torch.distributed as dist

        self._values = None
        with suppress(RuntimeError):  # the others may be gone
            dist.destroy_process_group()

    def _join(self) -> None:
        import torch.distributed as dist

        if not dist.is_available():
            raise RunError(
                "This PyTorch cannot train in several processes: install one that can, or start "
                "a single process, without torchrun."
            )
        try:
            dist.init_process_group(_backend(), rank=self.rank, world_size=self.size, timeout=START)
            self._values = dist.new_group(backend="gloo", timeout=PATIENCE)
        except (RuntimeError, ValueError) as error:
            raise RunError(
                f"The {self.size} processes of this training did not find each other: see that "
                f"all were started and reach {os.environ['MASTER_ADDR']} ({error})."
            ) from error


def _backend() -> str:
    import torch
    import torch.distributed as dist

    with_cards = torch.cuda.is_available() and dist.is_nccl_available()
    return "cpu:gloo,cuda:nccl" if with_cards else "gloo"


def started_by_torchrun(environment: Mapping[str, str] | None = None) -> bool:
    """Say whether ``torchrun`` started this process, be it the only one."""
    given = os.environ if environment is None else environment
    return all(name in given for name in VARIABLES)


@contextmanager
def _others_needed() -> Iterator[None]:
    """Say it in a sentence where another process is gone."""
    try:
        yield
    except RuntimeError as error:
        raise RunError(
            "Another process of this training ended, so this one did, too: what it wrote last "
            "says why; the same command goes on from the last checkpoint."
        ) from error
