"""The devices of this machine. Importing this imports no torch; calling it does."""

from __future__ import annotations

from dataclasses import dataclass

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
    import torch

    devices = []
    for index in range(torch.cuda.device_count()):
        free, total = torch.cuda.mem_get_info(index)
        devices.append(_device(f"cuda:{index}", torch.cuda.get_device_name(index), free, total))
    if torch.backends.mps.is_available():
        total = torch.mps.recommended_max_memory()
        free = max(0, total - torch.mps.driver_allocated_memory())
        devices.append(_device("mps", "Apple GPU", free, total))
    memory = psutil.virtual_memory()
    devices.append(_device("cpu", "CPU", memory.available, memory.total))
    return devices


def resolve_device(name: str) -> Device:
    """Find a device by its name; ``"auto"`` is the first that there is.

    Raises
    ------
    DeviceError
        Where this machine has no such device: nothing else is taken in its place.
    """
    devices = available_devices()
    if name == AUTO:
        return devices[0]
    wanted = "cuda:0" if name == "cuda" else name
    for device in devices:
        if device.name == wanted:
            return device
    there = "; ".join(f"{device.name} ({device.label})" for device in devices)
    raise DeviceError(
        f"This machine has no device {name} that PyTorch can use: choose one of {there}."
    )


def _device(name: str, label: str, free: int, total: int) -> Device:
    memory = f"{free / GIGABYTE:.1f} of {total / GIGABYTE:.1f} GB free"
    return Device(name, f"{label}, {memory}", free)
