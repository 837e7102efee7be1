"""Labels that are found block by block, on disk until it is known which of them are one object."""

from __future__ import annotations

import shutil
import threading
from collections.abc import Iterator, Sequence
from itertools import product
from math import ceil
from pathlib import Path
from typing import Any

import numpy as np
import zarr
from numpy.typing import NDArray

from napari_dacapo_tasks.arrays.durable import put_in_place, sync
from napari_dacapo_tasks.arrays.growing_image import told
from napari_dacapo_tasks.arrays.ome_zarr import COMPRESSOR
from napari_dacapo_tasks.numerics.components import sizes_of
from napari_dacapo_tasks.numerics.regions import require_labels
from napari_dacapo_tasks.segmentation.stitching import (
    NOWHERE,
    Found,
    Groups,
    Ids,
    Pairs,
    grouped,
    overlapping,
    touching,
)
from napari_dacapo_tasks.tasks.post_processors.post_processor import Stitching

Index = tuple[int, ...]
Voxels = tuple[slice, ...]

LABELS, FOUND, EDGES = "labels", "found", "edges"


class Grid:
    """Blocks of a volume, and how far beyond a block one looks; all in voxels.

    Parameters
    ----------
    shape
        Of the volume.
    block_shape
        Those at the end are smaller.
    context
        Along each axis.
    """

    def __init__(
        self, shape: Sequence[int], block_shape: Sequence[int], context: Sequence[int]
    ) -> None:
        self.shape = tuple(shape)
        self.block_shape = tuple(block_shape)
        self.context = tuple(context)
        self.counts = tuple(ceil(n / b) for n, b in zip(self.shape, self.block_shape, strict=True))

    def indices(self) -> Iterator[Index]:
        """Give the index of each block, in order."""
        return product(*map(range, self.counts))

    def core(self, index: Index) -> Voxels:
        """Give the voxels of a block."""
        return tuple(
            slice(i * b, min((i + 1) * b, n))
            for i, b, n in zip(index, self.block_shape, self.shape, strict=True)
        )

    def seen(self, index: Index) -> Voxels:
        """Give the voxels of a block and its context, inside of the volume."""
        return tuple(
            slice(max(part.start - c, 0), min(part.stop + c, n))
            for part, c, n in zip(self.core(index), self.context, self.shape, strict=True)
        )

    def within(self, index: Index) -> Voxels:
        """Give where the block is in what is seen of it."""
        return tuple(
            slice(core.start - seen.start, core.stop - seen.start)
            for core, seen in zip(self.core(index), self.seen(index), strict=True)
        )


class Patchwork:
    """Labels of a volume that are found block by block; threads may put and read at once.

    Parameters
    ----------
    folder
        Where it is kept; one that is there already is gone on with.
    grid
        Of the blocks.
    channels
        Number of channels; the ids of each are its own.
    stitching
        How ids of two blocks are joined.
    """

    def __init__(self, folder: Path, grid: Grid, channels: int, stitching: Stitching) -> None:
        self.folder = folder
        self.grid = grid
        self.channels = channels
        self.stitching = stitching
        self._lock = threading.Lock()
        with told(folder):
            for name in (FOUND, EDGES):
                (folder / name).mkdir(parents=True, exist_ok=True)
            if not (folder / LABELS).exists():
                self._make_labels()
            self._labels = zarr.open_array(folder / LABELS, mode="r+")
        # Those of a block that was being written when the work ended are not used again.
        self._used = [0] * channels
        for index in grid.indices():
            if self.has(index):
                for channel, (first, number) in enumerate(self._numbers(index)):
                    self._used[channel] = max(self._used[channel], first + number)

    def has(self, index: Index) -> bool:
        """Whether a block was put."""
        return self._file(index).exists()

    def put(self, index: Index, labels: Ids) -> list[int]:
        """Keep what was found in a block.

        Parameters
        ----------
        index
            Of the block.
        labels
            ``(c, z, y, x)`` or ``(c, y, x)`` of the block and its context, in each channel 1, 2,
            ... in any order; 0 is nothing.

        Returns
        -------
        For each channel what was added to its labels to make them ids.
        """
        grid = self.grid
        numbers = [int(channel.max(initial=0)) for channel in labels]
        with self._lock:
            begins = list(self._used)
            self._used = [used + more for used, more in zip(begins, numbers, strict=True)]
        for used in self._used:
            require_labels(used)
        core = np.ascontiguousarray(labels[(slice(None), *grid.within(index))])
        kept: dict[str, Any] = {"begins": np.array([begins, numbers])}
        for channel, number in enumerate(numbers):
            kept[f"sizes{channel}"] = sizes_of(core[channel], number)[1:]
            kept[f"firsts{channel}"] = self._firsts(index, core[channel], number)
        added = np.array(begins, np.uint32).reshape(-1, *(1 for _ in grid.shape))
        ids = np.where(labels > 0, labels + added, np.uint32(0))
        written = [self._chunk(channel, index) for channel in range(self.channels)]
        with told(self.folder):
            self._labels[(slice(None), *grid.core(index))] = ids[(slice(None), *grid.within(index))]
            for axis in range(len(grid.shape)):
                here, _ = self._shared(index, axis)
                if here is not None:
                    written.append(self._edge(index, axis))
                    np.save(written[-1], ids[(slice(None), *here)])
            # Last, at once, and after all else is on the disk: what has this file is whole.
            partial = self._file(index).with_suffix(".partial.npz")
            np.savez(partial, **kept)
            sync([*written, partial], self.folder)
            put_in_place(partial, self._file(index))
        return begins

    def read(self, voxels: Voxels) -> Ids:
        """Give the ids ``(c, z, y, x)`` of a part of the volume; 0 where nothing was put."""
        with told(self.folder, "read"):
            ids: Ids = np.asarray(self._labels[(slice(None), *voxels)])
        return ids

    def pairs(self, index: Index) -> list[Pairs]:
        """Give for each channel the ids of a block that are one with ids of later blocks."""
        found: list[list[Pairs]] = [[] for _ in range(self.channels)]
        meet = touching if self.stitching is Stitching.TOUCHING else overlapping
        for axis in range(len(self.grid.shape)):
            _, there = self._shared(index, axis)
            if there is not None:
                with told(self.folder, "read"):
                    seen = np.load(self._edge(index, axis))
                for channel, (first, second) in enumerate(zip(seen, self.read(there), strict=True)):
                    found[channel].append(meet(first, second))
        return [np.concatenate([np.empty(0, np.uint64), *of_channel]) for of_channel in found]

    def groups(self, pairs: Sequence[Sequence[Pairs]]) -> list[Groups]:
        """Join ids, for each channel; ``pairs`` are those of all blocks."""
        made = []
        for channel, used in enumerate(self._used):
            sizes = np.zeros(used + 1, np.int64)
            firsts = np.full(used + 1, NOWHERE, np.int64)
            for index in self.grid.indices():
                with told(self.folder, "read"), np.load(self._file(index)) as kept:
                    begin, number = kept["begins"][:, channel]
                    ids = slice(begin + 1, begin + number + 1)
                    sizes[ids] = kept[f"sizes{channel}"]
                    firsts[ids] = kept[f"firsts{channel}"]
            made.append(grouped(Found(sizes, firsts), [of_block[channel] for of_block in pairs]))
        return made

    def forget(self) -> None:
        """Remove it from the disk."""
        shutil.rmtree(self.folder, ignore_errors=True)

    def _make_labels(self) -> None:
        partial = self.folder / f"{LABELS}.partial"
        zarr.create_array(
            partial,
            shape=(self.channels, *self.grid.shape),
            chunks=(1, *map(min, self.grid.block_shape, self.grid.shape)),
            dtype=np.uint32,
            compressors={**COMPRESSOR, "clevel": 1},
            fill_value=0,
            zarr_format=2,
            overwrite=True,
        )
        put_in_place(partial, self.folder / LABELS)

    def _numbers(self, index: Index) -> list[tuple[int, int]]:
        with told(self.folder, "read"), np.load(self._file(index)) as kept:
            return [(int(begin), int(number)) for begin, number in kept["begins"].T]

    def _firsts(self, index: Index, core: Ids, number: int) -> NDArray[np.int64]:
        """Give the number in the volume of the first voxel in the block of each label."""
        from napari_dacapo_tasks.numerics.linking import find_first

        firsts = np.full(number + 1, -1, np.int64)
        find_first(core.reshape(-1), firsts)
        firsts = firsts[1:]
        local = np.unravel_index(np.maximum(firsts, 0), core.shape)
        begins = [part.start for part in self.grid.core(index)]
        places = [one + begin for one, begin in zip(local, begins, strict=True)]
        whole = np.ravel_multi_index(places, self.grid.shape)
        return np.where(firsts < 0, NOWHERE, whole)

    def _shared(self, index: Index, axis: int) -> tuple[Voxels | None, Voxels | None]:
        """Give what this block and the next one along an axis both see: in what is put, and where.

        That is what the block sees of the next; across, its context counts where it is exact.
        """
        grid = self.grid
        if index[axis] + 1 == grid.counts[axis]:
            return None, None
        exact = self.stitching is Stitching.TOUCHING
        seen, core = grid.seen(index), grid.core(index)
        across = seen if exact else core
        # The outer half of a context has little of its own around it.
        depth = grid.context[axis] if exact else max(grid.context[axis] // 2, 1)
        end = core[axis].stop
        there = list(across)
        there[axis] = slice(end, min(end + depth, grid.shape[axis]))
        here = tuple(
            slice(part.start - whole.start, part.stop - whole.start)
            for part, whole in zip(there, seen, strict=True)
        )
        return here, tuple(there)

    def _chunk(self, channel: int, index: Index) -> Path:
        return self.folder / LABELS / ".".join(map(str, (channel, *index)))

    def _file(self, index: Index) -> Path:
        return self.folder / FOUND / (".".join(map(str, index)) + ".npz")

    def _edge(self, index: Index, axis: int) -> Path:
        return self.folder / EDGES / f"{'.'.join(map(str, index))}-{axis}.npy"
