"""The devices that there are, and no other in place of one that is not."""

from __future__ import annotations

import pytest
import torch

from napari_dacapo_tasks.architectures.devices import available_devices, resolve_device
from napari_dacapo_tasks.errors import DeviceError


@pytest.fixture
def two_gpus(monkeypatch):
    """Pretend to have two CUDA devices."""
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda index: ((index + 1) * 10**9, 8 * 10**9))
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda index: f"GPU {'AB'[index]}")


@pytest.fixture
def no_gpu(monkeypatch):
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 0)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: False)


def test_the_cpu_is_always_there_with_its_memory(no_gpu):
    (cpu,) = available_devices()
    assert cpu.name == "cpu"
    assert cpu.free_memory > 0
    assert cpu.label.startswith("CPU, ")
    assert cpu.label.endswith(" GB free")


def test_every_cuda_device_is_listed_with_name_and_memory(two_gpus):
    devices = available_devices()
    assert [device.name for device in devices][:2] == ["cuda:0", "cuda:1"]
    assert devices[1].label == "GPU B, 2.0 of 8.0 GB free"
    assert devices[1].free_memory == 2 * 10**9
    assert devices[-1].name == "cpu"


def test_auto_is_the_first(two_gpus):
    assert resolve_device("auto").name == "cuda:0"


def test_auto_is_the_cpu_where_there_is_nothing_else(no_gpu):
    assert resolve_device("auto").name == "cpu"


def test_names_are_taken_at_their_word(two_gpus):
    assert resolve_device("cuda:1").name == "cuda:1"
    assert resolve_device("cuda").name == "cuda:0"
    assert resolve_device("cpu").name == "cpu"


@pytest.mark.parametrize("name", ["cuda", "cuda:0", "mps"])
def test_a_device_that_is_not_there_is_refused_with_what_is(no_gpu, name):
    with pytest.raises(DeviceError, match=rf"no device {name} .* choose one of cpu \(CPU, "):
        resolve_device(name)


def test_one_gpu_too_many(two_gpus):
    with pytest.raises(DeviceError, match=r"cuda:2 .* cuda:0 \(GPU A.*; cuda:1 \(GPU B"):
        resolve_device("cuda:2")


def test_only_the_device_that_is_asked_for_is_looked_at(two_gpus, monkeypatch):
    """A look opens a context, which takes memory, and torchrun starts a process for each device."""
    looked = []
    monkeypatch.setattr(
        torch.cuda, "mem_get_info", lambda index: (looked.append(index), 10**9)[1:] * 2
    )
    assert [resolve_device(name).name for name in ("cuda:1", "auto", "cpu")] == [
        "cuda:1",
        "cuda:0",
        "cpu",
    ]
    assert looked == [1, 0]
