"""How large tiles may be for the memory of a device."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import prod

import psutil
import torch
from funlib.geometry import Coordinate
from torch import Tensor
from torch.multiprocessing.reductions import StorageWeakRef
from torch.utils._python_dispatch import TorchDispatchMode

from napari_dacapo_tasks.architectures import Model
from napari_dacapo_tasks.architectures.tiles import Tiles

SHARE_OF_DEVICE = 0.8
"""Of the free memory of a graphics card; the rest is for the work space of its libraries."""

SHARE_OF_SHARED = 0.4
"""Of memory that a device shares with everything else, as on Apple's."""

SHARE_OF_MACHINE = 0.25
"""Of the free memory of the machine, for what computes on its processor."""

MOST_ON_PROCESSOR = 2**29
"""Bytes for a processor, which gains nothing from more, and whose tiles would take minutes."""

MOST_IN_FLIGHT = 2**30
"""Bytes of raw data and answers on their way to a device and back, tile by tile."""

GROWTH = 1.26
"""From one size that is tried to the next, along each axis: about twice the voxels in 3D."""

STEPS_BETWEEN = 3
"""Times that the distance between a size that fits and one that does not is halved."""


class _Held(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Adds up what tensors hold at a time, and keeps the most."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.most = 0
        self._storages: dict[int, tuple[StorageWeakRef, int]] = {}

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):  # type: ignore[no-untyped-def]
        result = func(*args, **(kwargs or {}))
        for tensor in result if isinstance(result, (tuple, list)) else (result,):
            if isinstance(tensor, Tensor):
                storage = tensor.untyped_storage()
                held = StorageWeakRef(storage)  # type: ignore[no-untyped-call]
                self._storages[storage._cdata] = (held, storage.nbytes())
        self._storages = {
            key: one
            for key, one in self._storages.items()
            if not one[0].expired()  # type: ignore[no-untyped-call]
        }
        self.most = max(self.most, sum(size for _, size in self._storages.values()))
        return result


def held_bytes(outline: Model, shape: Sequence[int], dtype: torch.dtype) -> int:
    """Bytes that a forward pass holds at once at most, besides weights: counted, not allocated.

    Work space of the library that convolves is not known, and not counted.

    Parameters
    ----------
    outline
        The network on the meta device, in eval mode.
    shape
        Spatial shape of its input.
    dtype
        In which it calculates.
    """
    with torch.no_grad(), _Held() as held:
        raw = torch.empty((1, outline.num_in_channels, *shape), device="meta")
        outline.chain(raw)
    return int(held.most * dtype.itemsize / torch.float32.itemsize)


def in_flight_bytes(outline: Model, tiles: Tiles, shape: Sequence[int]) -> int:
    """Bytes of a tile's raw data and answer."""
    answer = tiles.output_shape(shape)
    values = outline.num_in_channels * prod(shape) + outline.num_out_channels * prod(answer)
    return int(values) * torch.float32.itemsize


def free_bytes(device: str) -> int:
    """Bytes of a device that a tile may take."""
    kind = torch.device(device).type
    if kind == "cuda":
        free, _ = torch.cuda.mem_get_info(device)
        # What PyTorch keeps for itself is free for us.
        kept = torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device)
        return int(SHARE_OF_DEVICE * (free + kept))
    if kind == "mps":
        free = torch.mps.recommended_max_memory() - torch.mps.driver_allocated_memory()
        return int(SHARE_OF_SHARED * max(0, free))
    return min(MOST_ON_PROCESSOR, int(SHARE_OF_MACHINE * psutil.virtual_memory().available))


def largest_tiles(
    outline: Model,
    most: Sequence[int],
    device: str,
    dtype: torch.dtype,
    waiting: int,
    sharing: int = 1,
) -> Tiles:
    """Choose the largest tiles that the free memory of a device, and of the machine, allows.

    Parameters
    ----------
    outline
        The network on the meta device.
    most
        Of the output, all that could be needed of one tile.
    device
        As torch calls it; the network is there already.
    dtype
        In which it calculates.
    waiting
        Tiles whose raw data or answers are in memory at a time.
    sharing
        Processes that share the device, and choose at the same time.
    """
    usual = Tiles(outline)
    answer = usual.output_shape(outline.eval_input_shape)
    on_processor = torch.device(device).type == "cpu"
    device_bytes = free_bytes(device) // sharing
    machine_bytes = int(SHARE_OF_MACHINE * psutil.virtual_memory().available)
    flight_bytes = min(MOST_IN_FLIGHT, machine_bytes) // sharing

    def shape_of(scale: float) -> Coordinate:
        wanted = (max(1, min(int(n * scale), m)) for n, m in zip(answer, most, strict=True))
        return usual.input_shape(Coordinate(wanted))

    def fits(scale: float) -> bool:
        shape = shape_of(scale)
        flight = waiting * in_flight_bytes(outline, usual, shape)
        held = held_bytes(outline, shape, dtype)
        # Answers stay on the device until they are fetched from there.
        return held + flight <= device_bytes and (on_processor or flight <= flight_bytes)

    return Tiles(outline, shape_of(_largest(fits, shape_of)))


def halved(outline: Model, tiles: Tiles, shape: Sequence[int]) -> Tiles | None:
    """Give tiles of half as many voxels as a shape has, or as few as may be.

    None where there are none with fewer.
    """
    answer = list(tiles.output_shape(shape))
    wanted = prod(shape) / 2
    while max(answer) > 1:
        longest = answer.index(max(answer))
        answer[longest] //= 2
        smaller = Tiles(outline, tiles.input_shape(Coordinate(answer)))
        if prod(smaller.largest) <= wanted:
            return smaller
    smallest = Tiles(outline, tiles.input_shape(Coordinate((1,) * len(answer))))
    return smallest if prod(smallest.largest) < prod(shape) else None


def _largest(fits: Callable[[float], bool], shape: Callable[[float], Coordinate]) -> float:
    """Search the largest scale that fits, from 1 on upwards or downwards."""
    low, high = 1.0, 1.0
    if fits(low):
        while True:
            high = low * GROWTH
            if shape(high) == shape(low * 1e6):  # nothing more is needed
                return high if fits(high) else low
            if not fits(high):
                break
            low = high
    else:
        while not fits(low):
            high, low = low, low / GROWTH
            if shape(low) == shape(0):
                return low
    for _ in range(STEPS_BETWEEN):
        middle = (low + high) / 2
        low, high = (middle, high) if fits(middle) else (low, middle)
    return low
