"""An OME-Zarr image that is written block by block, by several processes at once."""

from __future__ import annotations

import json
import shutil
from collections.abc import Generator, Iterator, Mapping, Sequence
from itertools import product
from math import ceil, prod
from pathlib import Path
from typing import Any, Self

import numpy as np
import zarr
from funlib.geometry import Coordinate, Roi
from numpy.typing import NDArray

from napari_dacapo_tasks.arrays.array import CHANNEL
from napari_dacapo_tasks.arrays.durable import sync, sync_tree
from napari_dacapo_tasks.arrays.growing_layout import (
    DONE,
    GROWING,
    SHARDED_FROM,
    DataTakenError,
    DiskFullError,
    Exists,
    clear_leftovers,
    create_level,
    describe,
    divided,
    is_growing,
    is_taken,
    lay_out,
    layout_at,
    refuse,
    same_image,
    state_of,
    stored_attrs,
    told,
)
from napari_dacapo_tasks.arrays.ome_zarr import LEVEL, new_folder
from napari_dacapo_tasks.arrays.pyramid import fill_level, levels_of
from napari_dacapo_tasks.arrays.zarr_array import ZarrArray
from napari_dacapo_tasks.errors import DataError
from napari_dacapo_tasks.units import WorldUnit

__all__ = [
    "DataTakenError",
    "DiskFullError",
    "Exists",
    "GrowingImage",
    "is_growing",
    "state_of",
    "stored_attrs",
    "told",
]


class GrowingImage:
    """An OME-Zarr image that fills block by block, and can be read at every moment.

    Blocks never share a file, so threads and processes, also of several machines, may write
    different ones at the same time. A block counts as done when all of it is on disk; after a
    kill the others are written again. Small images are OME-Zarr 0.4, large ones 0.5 with shards.

    Use `create` or `open`.

    Attributes
    ----------
    path
        Folder of the image.
    roi
        What it covers, in grid steps.
    voxel_size, unit
        Of the finest level.
    block_shape
        Voxels of a block; those at the end of the image are smaller.
    grid
        Number of blocks along each axis.
    """

    def __init__(self, path: Path, plan: Mapping[str, Any]) -> None:
        self.path = path
        self._plan = dict(plan)
        self.voxel_size = Coordinate(plan["voxel_size"])
        self.roi = Roi(Coordinate(plan["begin"]), Coordinate(plan["shape"]) * self.voxel_size)
        self.unit = WorldUnit(plan["unit"], plan["steps"])
        self.block_shape = Coordinate(plan["block_shape"])
        self.grid = tuple(ceil(n / b) for n, b in zip(plan["shape"], self.block_shape, strict=True))
        self._written = zarr.open_array(path / LEVEL, mode="r+")
        self._array: ZarrArray | None = None

    @classmethod
    def create(
        cls,
        path: str | Path,
        *,
        roi: Roi,
        voxel_size: Coordinate,
        unit: WorldUnit,
        axes: Sequence[str],
        num_channels: int | None,
        dtype: Any,
        name: str,
        is_labels: bool = False,
        attrs: Mapping[str, Any] | None = None,
        exists: Exists = "refuse",
        block_shape: Sequence[int] | None = None,
        sharded: bool | None = None,
    ) -> Self:
        """Make an image that is 0 everywhere.

        Parameters
        ----------
        path
            Its folder; folders above it are made where they are missing.
        roi, voxel_size, unit
            Place in the world: whole voxels.
        axes
            Names of the spatial axes (a leading ``"c"`` is the same with or without).
        num_channels
            None for an image without a channel axis.
        dtype
            Type of the values.
        name
            Which viewers show.
        is_labels
            Mark the image as labels; coarser levels then take the nearest label.
        attrs
            Plain values to store with the image, which `attrs` gives again.
        exists
            What to do where there is an image: refuse, begin anew, or go on with the same one.
        block_shape
            Voxels of a block; left out, what fits into memory many times over.
        sharded
            Whether the chunks of a block share a file; left out, where the image is large.

        Raises
        ------
        DataTakenError
            Where the folder is taken and ``exists`` does not say what to do, it is another image
            that cannot be resumed, or no image that could be overwritten.
        DataError
            Where the folder cannot be written.
        """
        path = Path(path).absolute()
        shape = Coordinate(roi.shape) / Coordinate(voxel_size)
        assert shape * Coordinate(voxel_size) == roi.shape, "the region is in whole voxels"
        space = [axis for axis in axes if axis != CHANNEL]
        dtype = np.dtype(dtype)
        item_bytes = (num_channels or 1) * dtype.itemsize
        if sharded is None:
            sharded = prod(shape) * item_bytes >= SHARDED_FROM
        chunk, block = divided(tuple(shape), item_bytes, block_shape)
        plan = {
            "begin": list(roi.begin),
            "shape": list(shape),
            "voxel_size": list(voxel_size),
            "unit": unit.name,
            "steps": unit.steps,
            "axes": space,
            "channels": num_channels,
            "dtype": dtype.str,
            "name": name,
            "is_labels": is_labels,
            "chunk": list(chunk),
            "block_shape": list(block),
            "sharded": sharded,
            "attrs": json.loads(json.dumps(dict(attrs or {}))),
        }
        if is_taken(path):
            there = layout_at(path)
            same = there is not None and same_image(there, plan)
            if exists == "resume" and same:
                clear_leftovers(path)
                return cls.open(path)
            refuse(path, exists, there, same=same)
        with told(path), new_folder(path, replace=True) as partial:
            lay_out(partial, plan)
        return cls.open(path)

    @classmethod
    def open(cls, path: str | Path) -> Self:
        """Open an image that `create` has made, to go on with it if it is not whole.

        Raises
        ------
        DataError
            Where there is none.
        """
        path = Path(path).absolute()
        plan = layout_at(path)
        if plan is None:
            raise DataError(f"{path} is no image that was begun here: give the folder of one.")
        return cls(path, plan)

    @property
    def array(self) -> ZarrArray:
        """What is written so far; 0 elsewhere."""
        if self._array is None:
            self._array = ZarrArray.open(self.path)
        return self._array

    @property
    def attrs(self) -> dict[str, Any]:
        """What was given to `create`."""
        return dict(self._plan["attrs"])

    @property
    def state(self) -> Path:
        """Folder for whatever is needed to go on; it goes when the image is finished."""
        return state_of(self.path)

    @property
    def is_finished(self) -> bool:
        """Whether `finish` made it whole."""
        return not is_growing(self.path)

    @property
    def done(self) -> frozenset[tuple[int, ...]]:
        """Indices of the blocks that are written."""
        try:
            with told(self.path, "read"):
                names = [file.name for file in (self.state / DONE).iterdir()]
        except DataError:
            if self.is_finished:  # meanwhile, perhaps
                return frozenset(self.indices())
            raise
        # Systems leave files of their own, such as .DS_Store.
        found = (name.split(".") for name in names)
        return frozenset(tuple(map(int, parts)) for parts in found if all(map(str.isdigit, parts)))

    @property
    def missing(self) -> list[tuple[int, ...]]:
        """Indices of the blocks that are not written yet, in order."""
        done = self.done
        return [index for index in self.indices() if index not in done]

    def indices(self) -> Iterator[tuple[int, ...]]:
        """Give the index of every block, in order."""
        return product(*map(range, self.grid))

    def block(self, index: Sequence[int]) -> Roi:
        """Give the region of a block, in grid steps."""
        size = self.block_shape * self.voxel_size
        whole = Roi(self.roi.begin + Coordinate(index) * size, size)
        return whole.intersect(self.roi)

    def is_done(self, index: Sequence[int]) -> bool:
        """Whether a block is written."""
        return self._marker(index).exists() or self.is_finished

    def write(self, roi: Roi, values: NDArray[Any]) -> None:
        """Write one or several whole blocks.

        Parameters
        ----------
        roi
            In grid steps; begins where a block begins, ends where one ends.
        values
            Channels first where the image has any, then space.

        Raises
        ------
        DataError
            Where the disk is full, or the folder cannot be written or is gone. What was written
            before stays.
        """
        if not (self.state / DONE).is_dir():  # or else half a folder would be made anew
            raise DataError(
                f"{self.path} is gone: it was deleted, moved or renamed while it was written."
            )
        begin = (roi.begin - self.roi.begin) / self.voxel_size
        end = (roi.end - self.roi.begin) / self.voxel_size
        lead = () if self._plan["channels"] is None else (slice(None),)
        # One by one, since packing takes twice the memory of what is packed at once.
        for index in self._blocks_in(begin, end):
            block = self.block(index)
            low = (block.begin - self.roi.begin) / self.voxel_size
            high = (block.end - self.roi.begin) / self.voxel_size
            place = tuple(slice(b, e) for b, e in zip(low, high, strict=True))
            within = tuple(slice(b, e) for b, e in zip(low - begin, high - begin, strict=True))
            with told(self.path):
                self._written[(*lead, *place)] = values[(*lead, *within)]
                sync(self._files_of(low, high), self.path)
                self._marker(index).touch()

    def finish(self) -> Generator[float, None, None]:
        """Make the coarser levels, and mark the image as whole.

        It may be left and begun again, and does nothing where the image is whole already.

        Yields
        ------
        float
            Share that is done.

        Raises
        ------
        DataError
            Where the folder cannot be written.
        """
        if self.is_finished:
            return
        assert not self.missing, "all blocks are written"
        plan = self._plan
        levels = levels_of(plan["shape"], plan["voxel_size"])
        voxels = [prod(level.shape) for level in levels[1:]]
        done = 0
        for number, level in enumerate(levels[1:], start=1):
            with told(self.path):
                finer = zarr.open_array(self.path / str(number - 1), mode="r")
                coarser = create_level(self.path, str(number), plan, level)
                filled = fill_level(
                    finer,
                    coarser,
                    level.factor,
                    block=plan["block_shape"],
                    nearest=plan["is_labels"],
                    has_channels=plan["channels"] is not None,
                )
                for share in filled:
                    yield (done + share * voxels[number - 1]) / sum(voxels)
                sync_tree(self.path / str(number))
            done += voxels[number - 1]
        with told(self.path):
            describe(self.path, plan, levels)
            sync([file for file in self.path.iterdir() if file.is_file()], self.path)
            (self.state / GROWING).unlink(missing_ok=True)
            shutil.rmtree(self.state, ignore_errors=True)

    def _files_of(self, low: Coordinate, high: Coordinate) -> Iterator[Path]:
        """Give the files that may hold voxels of a block; those of nothing but 0 are not there."""
        written = self._written
        edges = (written.shards or written.chunks)[-len(low) :]
        ranges = [range(b // s, ceil(e / s)) for b, e, s in zip(low, high, edges, strict=True)]
        channels = self._plan["channels"]
        lead = [] if channels is None else [range(channels)]
        for key in product(*lead, *ranges):
            yield self.path / LEVEL / written.metadata.encode_chunk_key(key)

    def _marker(self, index: Sequence[int]) -> Path:
        return self.state / DONE / ".".join(map(str, index))

    def _blocks_in(self, begin: Coordinate, end: Coordinate) -> list[tuple[int, ...]]:
        ranges = []
        for b, e, n, size in zip(begin, end, self._plan["shape"], self.block_shape, strict=True):
            assert b % size == 0, "what is written begins where a block begins"
            assert e % size == 0 or e == n, "what is written ends where a block ends"
            ranges.append(range(b // size, ceil(e / size)))
        return list(product(*ranges))
