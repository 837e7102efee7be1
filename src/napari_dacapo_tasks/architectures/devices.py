"""The devices of this machine. Importing this imports no torch; calling it does."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import psutil

from napari_dacapo_tasks.errors import DeviceError

AUTO = "auto"
GIGABYTE = 1e9


@dataclass(frozen=True)
class Device:
    """A device that can train.

    Attributes
    ----------
    name
        As torch and configs call it, such as ``"cuda:0"``.
    label
        For people.
    free_memory
        In bytes.
    """

    name: str
    label: str
    free_memory: int


def available_devices() -> list[Device]:
    """Give every CUDA device, MPS and the CPU, in the order in which ``"auto"`` prefers them."""
    return [describe() for describe in _described().values()]


def resolve_device(name: str) -> Device:
    """Find a device by its name; ``"auto"`` is the first that there is.

    The others are not looked at, which takes memory of each.

    Raises
    ------
    DeviceError
        Where this machine has no such device: nothing else is taken in its place.
    """
    described = _described()
    wanted = {AUTO: next(iter(described)), "cuda": "cuda:0"}.get(name, name)
    if wanted in described:
        return described[wanted]()
    devices = available_devices()
    there = "; ".join(f"{device.name} ({device.label})" for device in devices)
    raise DeviceError(
        f"This machine has no device {name} that PyTorch can use: choose one of {there}."
    )


def _described() -> dict[str, Callable[[], Device]]:
    """Give what describes each device, by its name, the preferred one first."""
    import torch

    found: dict[str, Callable[[], Device]] = {
        f"cuda:{index}": partial(_cuda, index) for index in range(torch.cuda.device_count())
    }
    if torch.backends.mps.is_available():
        found["mps"] = _mps
    found["cpu"] = _cpu
    return found


def _cuda(index: int) -> Device:
    import torch

    label, memory = torch.cuda.get_device_name(index), torch.cuda.mem_get_info(index)
    return _device(f"cuda:{index}", label, *memory)


def _mps() -> Device:
    import torch

    total = torch.mps.recommended_max_memory()
    return _device("mps", "Apple GPU", max(0, total - torch.mps.driver_allocated_memory()), total)


def _cpu() -> Device:
    memory = psutil.virtual_memory()
    return _device("cpu", "CPU", memory.available, memory.total)


def _device(name: str, label: str, free: int, total: int) -> Device:
    memory = f"{free / GIGABYTE:.1f} of {total / GIGABYTE:.1f} GB free"
    return Device(name, f"{label}, {memory}", free)
