"""A network that goes over raw data tile by tile.

Three things go on side by side, each in threads of its own: raw data of the next tiles is read,
the network computes a tile, and the answer to the last one comes back from the device.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Generator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from threading import Event
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from napari_dacapo_tasks.architectures import Model
from napari_dacapo_tasks.architectures.precision import Autocast
from napari_dacapo_tasks.architectures.tile_axes import AxisTile
from napari_dacapo_tasks.prediction.mirrored import mirrored_mean

READERS = 2
"""Threads that read: one tile is often fetched while another is unpacked."""

AHEAD = 3
"""Tiles under way at a time: one is read, one computed, one comes back."""

POLL_SECONDS = 0.2
"""Between two signs of life of a tile that takes long."""

Laid = tuple[AxisTile, ...]
"""A tile along every axis."""


@dataclass(frozen=True)
class _Answer:
    """What a network answered, on its device, and when it will be there."""

    values: Tensor
    ready: torch.cuda.Event | None = None


@dataclass(frozen=True)
class _Tile:
    """A tile that is under way: it is read, computed and written."""

    parts: Laid
    futures: tuple[Future[NDArray[np.float32]], Future[_Answer], Future[None]]


class LeftError(Exception):
    """Nobody waits for the answer any more."""


class Pipeline:
    """A network on its device that goes over raw data, for one caller at a time.

    Parameters
    ----------
    build
        Gives the model on the device, in eval mode, and the context for a forward pass; what it
        raises is raised here. It is called in the thread that computes, where all that calculates
        belongs: OpenMP keeps helpers for every thread that ever did, and where they are more than
        the cores they fall asleep after each layer, which makes small ones a fifth slower.
    device
        As torch calls it.
    mirrored
        Spatial axes along which answers are averaged over mirrored views.
    """

    def __init__(
        self,
        build: Callable[[], tuple[Model, Autocast]],
        device: str,
        mirrored: Sequence[int] = (),
    ) -> None:
        self._device = device
        self._mirrored = tuple(mirrored)
        self._left = Event()
        cuda = device.startswith("cuda")
        self._returning = (
            torch.cuda.Stream(device) if cuda else None  # type: ignore[no-untyped-call]
        )
        self._readers = ThreadPoolExecutor(READERS, thread_name_prefix="reading")
        self._computer = ThreadPoolExecutor(1, thread_name_prefix="computing")
        self._writer = ThreadPoolExecutor(1, thread_name_prefix="writing")
        try:
            self.model, self.autocast = self._computer.submit(build).result()
        except BaseException:
            self._end_threads()
            raise
        for part in self.model.modules():
            part.register_forward_pre_hook(self._leave)

    def close(self) -> None:
        """End the threads, and let go of the weights."""
        self._left.set()
        self._end_threads()
        self.model.to("meta")

    def fill(
        self,
        laid: Sequence[Laid],
        read: Callable[[Sequence[int]], NDArray[np.float32]],
        result: NDArray[np.float32],
    ) -> Generator[Laid | None, None, None]:
        """Compute tiles into an array of zeros; to cancel, leave the generator.

        What any of the threads raises is raised here, and then nothing is under way any more.

        Parameters
        ----------
        laid
            The tiles.
        read
            Reads a tile's raw data ``(channels, *shape)`` from its begin on; called by several
            threads.
        result
            ``(channels, *shape)``; where tiles blend, they are added up.

        Yields
        ------
        Laid or None
            Each tile that is done, in order; None now and then while one takes long.
        """
        under_way: deque[_Tile] = deque()
        try:
            for parts in laid:
                under_way.append(self._begin(parts, read, result))
                if len(under_way) == AHEAD:
                    yield from self._end(under_way)
            while under_way:
                yield from self._end(under_way)
        finally:
            # Left or failed: what is under way ends soon, and nothing is written after that.
            self._left.set()
            futures: list[Future[Any]] = [one for tile in under_way for one in tile.futures]
            for future in futures:
                future.cancel()
            wait(futures)
            self._left.clear()

    def _begin(
        self,
        parts: Laid,
        read: Callable[[Sequence[int]], NDArray[np.float32]],
        result: NDArray[np.float32],
    ) -> _Tile:
        inside = (slice(None), *(part.within for part in parts))
        raw = self._readers.submit(read, [part.begin for part in parts])
        answer = self._computer.submit(self._compute, raw, inside)
        written = self._writer.submit(self._write, answer, parts, result)
        return _Tile(parts, (raw, answer, written))

    def _end(self, under_way: deque[_Tile]) -> Generator[Laid | None, None, None]:
        """Wait for the oldest tile that is under way."""
        oldest = under_way[0]
        futures: tuple[Future[Any], ...] = oldest.futures
        while wait(futures, POLL_SECONDS).not_done:
            yield None
        for future in futures:
            future.result()
        under_way.popleft()
        yield oldest.parts

    def _compute(self, read: Future[NDArray[np.float32]], inside: tuple[slice, ...]) -> _Answer:
        raw = read.result()
        # Modes are those of the thread, so they must not outlast a tile.
        with torch.inference_mode(), self.autocast():
            # Others than CUDA do not promise that they are done with raw data that is let go of.
            cuda = self._returning is not None
            batch = torch.from_numpy(raw)[None].to(self._device, non_blocking=cuda)
            if self._mirrored:
                answer = mirrored_mean(self.model, batch, self._mirrored)
            else:
                answer = self.model(batch)
            values = answer[0][inside].float()
        if self._returning is None:
            return _Answer(values)
        ready = torch.cuda.Event()  # type: ignore[no-untyped-call]
        ready.record(torch.cuda.current_stream(self._device))
        return _Answer(values, ready)

    def _write(
        self,
        answer: Future[_Answer],
        parts: Laid,
        result: NDArray[np.float32],
    ) -> None:
        values = self._returned(answer.result())
        place = (slice(None), *(part.output for part in parts))
        shares = [part.share for part in parts]
        if all(share is None for share in shares):
            result[place] = values
            return
        for axis, share in enumerate(shares):
            if share is not None:
                values = values * share.reshape(-1, *(1,) * (len(shares) - 1 - axis))
        result[place] += values

    def _returned(self, answer: _Answer) -> NDArray[np.float32]:
        """Bring an answer back from its device, beside what that computes next."""
        if answer.ready is None or self._returning is None:
            values: NDArray[np.float32] = answer.values.cpu().numpy()
            return values
        with torch.cuda.stream(self._returning):
            self._returning.wait_event(answer.ready)
            host = torch.empty(answer.values.shape, dtype=torch.float32, pin_memory=True)
            host.copy_(answer.values, non_blocking=True)
            self._returning.synchronize()
        found: NDArray[np.float32] = host.numpy()
        return found

    def _end_threads(self) -> None:
        for pool in (self._readers, self._computer, self._writer):
            pool.shutdown(cancel_futures=True)

    def _leave(self, *_: object) -> None:
        """End a forward pass in its middle, between two layers."""
        if self._left.is_set():
            raise LeftError
