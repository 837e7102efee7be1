"""Segmenting block by block, with the ids stitched together, for predictions of any size."""

from __future__ import annotations

from collections.abc import Generator, Sequence
from dataclasses import dataclass
from functools import partial
from math import prod
from pathlib import Path
from typing import Any

import numpy as np
import psutil
from funlib.geometry import Coordinate, Roi
from numpy.typing import NDArray

from napari_dacapo_tasks.arrays import Array
from napari_dacapo_tasks.arrays.growing_image import Exists, GrowingImage
from napari_dacapo_tasks.arrays.zarr_array import ZarrArray
from napari_dacapo_tasks.numerics.holes import OPEN, fill_owned, owners_of
from napari_dacapo_tasks.numerics.regions import regions_of
from napari_dacapo_tasks.numerics.threads import available_cores
from napari_dacapo_tasks.prediction.prediction import Prediction
from napari_dacapo_tasks.segmentation.labels_image import labels_image
from napari_dacapo_tasks.segmentation.patchwork import Grid, Index, Patchwork, Voxels
from napari_dacapo_tasks.segmentation.segment import (
    Parameters,
    Segmentation,
    built_task,
    chosen_parameters,
    method_of,
)
from napari_dacapo_tasks.segmentation.side_by_side import IsLeft, side_by_side, to_the_end
from napari_dacapo_tasks.segmentation.stitching import Ids, Pairs, names_of, owners_of_groups
from napari_dacapo_tasks.tasks.post_processors.post_processor import (
    PostProcessor,
    PostProcessorParameters,
    Stitching,
    share_of,
)

MEMORY = 4 * 2**30
"""Bytes that all workers together take at most, if that is less than a quarter of what is free."""

EDGE = 64
"""Edges of blocks are multiples of this, as chunks are."""

LARGEST_EDGE = {1: 2**20, 2: 4096, 3: 256}
SMALLEST_EDGE = {1: 2**12, 2: 512, 3: 128}
"""Voxels, by number of axes: blocks get no smaller than these for the sake of more workers."""

OBJECTS, BACKGROUND = "objects", "background"
FOUND, JOINED, HOLES, WRITTEN = 0.6, 0.65, 0.8, 0.95
"""Shares of the work after which that is done; coarser levels come last."""


def segment_blockwise(
    prediction: Prediction,
    out: str | Path,
    method: int | str | None = None,
    parameters: Parameters = None,
    *,
    block_shape: Sequence[int] | None = None,
    workers: int | None = None,
    exists: Exists = "refuse",
) -> Generator[float, None, Segmentation]:
    """Segment a prediction of any size into an OME-Zarr image of labels.

    What `segment` would find is found exactly, with the same numbers, for methods whose
    ``stitching`` is not `Stitching.OVERLAPPING`, leaving out small objects and filling holes
    included; of the others it is close. To cancel, leave the generator: what is written stays, and
    can be resumed with the same parameters.

    Parameters
    ----------
    prediction
        Read block by block.
    out
        Folder of the image.
    method, parameters
        As of `segment`.
    block_shape
        Voxels along each axis; left out, what fits into memory.
    workers
        Number of threads, each with a block; left out, as many as cores and memory allow.
    exists
        What to do where there is an image.

    Yields
    ------
    float
        Share that is done.

    Raises
    ------
    DataTakenError
        Where the folder is taken, and it does not say what to do.
    ConfigError
        Where there is no such method or parameter.
    DataError
        Where the prediction does not fit the task, or the folder cannot be written.
    """
    way = method_of(built_task(prediction), method)
    chosen = chosen_parameters(way.post_processor, parameters)
    array, post_processor = prediction.array, way.post_processor
    first_voxel = array.window(Roi(array.roi.begin, array.voxel_size))
    sample = post_processor.process(first_voxel, chosen)
    context = post_processor.context(array.voxel_size)
    fitting, threads = _divided(array, post_processor, context, workers)
    block_shape = fitting if block_shape is None else block_shape
    image = labels_image(out, prediction, way, chosen, sample, exists, block_shape)
    grid = Grid(array.shape, image.block_shape, context)
    work = _Work(array, post_processor, chosen, image, grid, sample.num_channels or 1, threads)
    yield from share_of(work.run(), 0.0, WRITTEN)
    yield from share_of(image.finish(), WRITTEN, 1.0)
    return Segmentation(ZarrArray.open(image.path), way, chosen, prediction.task)


@dataclass(frozen=True)
class _Work:
    """One segmentation; what its steps need."""

    array: Array
    post_processor: PostProcessor[Any]
    parameters: PostProcessorParameters
    image: GrowingImage
    grid: Grid
    channels: int
    threads: int

    def run(self) -> Generator[float, None, None]:
        if not self.image.missing:
            return
        objects: _Objects = _Objects(self)
        if self.post_processor.stitching is not Stitching.NONE:
            objects = yield from share_of(self._find_objects(), 0.0, JOINED)
        holes: _Holes | None = None
        if self.parameters.largest_hole:
            holes = yield from share_of(self._find_holes(objects), JOINED, HOLES)
        begin = 0.0 if holes is None and objects.patches is None else HOLES

        def write(index: Index, is_left: IsLeft) -> None:
            core = self.grid.core(index)
            labels = objects.labels(core, is_left)
            if holes is not None:
                holes.fill(labels, core)
            self.image.write(self.image.block(index), labels)

        yield from share_of(side_by_side(write, self.image.missing, self.threads), begin, 1.0)

    def roi(self, voxels: Voxels) -> Roi:
        """Give a part of the volume in grid steps."""
        size = self.array.voxel_size
        begin = Coordinate(part.start for part in voxels) * size
        shape = Coordinate(part.stop - part.start for part in voxels) * size
        return Roi(self.array.roi.begin + begin, shape)

    def segmented(self, voxels: Voxels, is_left: IsLeft) -> NDArray[Any]:
        """Segment a part by itself, without leaving out or filling anything."""
        part = self.array.window(self.roi(voxels))
        steps = self.post_processor.segment(part, self.parameters.without_clean_up())
        return to_the_end(steps, is_left).data

    def _find_objects(self) -> Generator[float, None, _Objects]:
        folder = self.image.state / OBJECTS
        patches = Patchwork(folder, self.grid, self.channels, self.post_processor.stitching)

        def find(index: Index, is_left: IsLeft) -> None:
            patches.put(index, self.segmented(self.grid.seen(index), is_left))

        missing = [index for index in self.grid.indices() if not patches.has(index)]
        yield from share_of(side_by_side(find, missing, self.threads), 0.0, FOUND / JOINED)
        pairs = yield from share_of(self._pairs(patches), FOUND / JOINED, 1.0)
        smallest = self.parameters.smallest_object
        names = [names_of(groups, smallest) for groups in patches.groups(pairs)]
        return _Objects(self, patches, names)

    def _find_holes(self, objects: _Objects) -> Generator[float, None, _Holes]:
        # One voxel: what is background beside a block belongs to background in it.
        grid = Grid(self.grid.shape, self.grid.block_shape, [1] * self.array.dims)
        folder = self.image.state / BACKGROUND
        patches = Patchwork(folder, grid, self.channels, Stitching.TOUCHING)
        patches.forget()
        patches = Patchwork(folder, grid, self.channels, Stitching.TOUCHING)
        most = self.parameters.largest_hole

        def look(index: Index, is_left: IsLeft) -> list[tuple[int, Ids]]:
            seen = grid.seen(index)
            labels = np.ascontiguousarray(objects.labels(seen, is_left))
            sides = [
                length > 1 and at_border
                for part, length in zip(seen, grid.shape, strict=True)
                for at_border in (part.start == 0, part.stop == length)
            ]
            background, owners = [], []
            for channel in labels:
                outside = partial(_is_background, channel)
                regions, sizes = to_the_end(regions_of(channel.shape, outside), is_left)
                around = np.where(sizes <= most, np.uint32(0), OPEN)
                to_the_end(owners_of(channel, regions, sides, around), is_left)
                background.append(regions)
                owners.append(around)
            begins = patches.put(index, np.stack(background))
            return list(zip(begins, owners, strict=True))

        looked = yield from share_of(
            side_by_side(look, list(grid.indices()), self.threads), 0.0, 0.8
        )
        pairs = yield from share_of(self._pairs(patches), 0.8, 1.0)
        owned = []
        for channel, groups in enumerate(patches.groups(pairs)):
            owners = np.full(len(groups.of), OPEN, np.uint32)
            for block in looked:
                begin, around = block[channel]
                owners[begin + 1 : begin + len(around)] = around[1:]
            owned.append(owners_of_groups(groups, owners, most))
        return _Holes(patches, owned)

    def _pairs(self, patches: Patchwork) -> Generator[float, None, list[list[Pairs]]]:
        return (
            yield from side_by_side(
                lambda index, _: patches.pairs(index), patches.grid.indices(), self.threads
            )
        )


@dataclass(frozen=True)
class _Objects:
    """Objects of the volume, part by part; what is not stitched is segmented when asked for."""

    work: _Work
    patches: Patchwork | None = None
    names: Sequence[Ids] = ()

    def labels(self, voxels: Voxels, is_left: IsLeft) -> NDArray[Any]:
        """Give the labels ``(c, z, y, x)`` of a part, small objects left out."""
        if self.patches is None:
            return self.work.segmented(voxels, is_left)
        ids = self.patches.read(voxels)
        return np.stack([names[part] for names, part in zip(self.names, ids, strict=True)])


@dataclass(frozen=True)
class _Holes:
    """Regions of background of the volume, and the object that each is a hole of."""

    patches: Patchwork
    owners: Sequence[Ids]

    def fill(self, labels: NDArray[Any], voxels: Voxels) -> None:
        """Fill the holes in the labels of a part, in place."""
        for channel, regions, owners in zip(
            labels, self.patches.read(voxels), self.owners, strict=True
        ):
            fill_owned(channel, np.ascontiguousarray(regions), owners)


def _is_background(labels: NDArray[Any], planes: slice) -> NDArray[np.bool_]:
    is_background: NDArray[np.bool_] = labels[planes] == 0
    return is_background


def _divided(
    array: Array, post_processor: PostProcessor[Any], context: Sequence[int], workers: int | None
) -> tuple[list[int], int]:
    """Give the shape of blocks that fit into memory, and the number of threads for them."""
    choices = [workers] if workers is not None else range(available_cores(), 0, -1)
    free = min(MEMORY, psutil.virtual_memory().available // 4)
    bytes_per_voxel = post_processor.bytes_per_voxel(array)
    for threads in choices:
        edge = LARGEST_EDGE[array.dims]
        while edge > EDGE and _voxels(array, edge, context) * bytes_per_voxel > free // threads:
            edge -= EDGE
        if edge >= SMALLEST_EDGE[array.dims]:
            break
    return [edge] * array.dims, threads


def _voxels(array: Array, edge: int, context: Sequence[int]) -> int:
    return prod(min(edge + 2 * c, n) for n, c in zip(array.shape, context, strict=True))
