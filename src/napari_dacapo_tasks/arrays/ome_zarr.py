"""Writing arrays as OME-Zarr 0.4 (zarr format 2), which napari and most other programs open."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from itertools import product
from math import ceil, prod
from pathlib import Path
from typing import Any
from uuid import uuid4

import numpy as np
import zarr
from funlib.geometry import Coordinate, Roi

from napari_dacapo_tasks.arrays.array import CHANNEL, Array, told_when_broken
from napari_dacapo_tasks.arrays.durable import PARTIAL as PARTIAL
from napari_dacapo_tasks.arrays.durable import sync_folder, sync_tree
from napari_dacapo_tasks.errors import DataError
from napari_dacapo_tasks.units import NANOMETRE

VERSION = "0.4"
LEVEL = "0"
"""Path of the only level of an image."""

CHUNK = {1: 2**18, 2: 512, 3: 64}
"""Edge of a chunk by number of spatial axes: about a quarter of a million voxels."""

COMPRESSOR: dict[str, Any] = {"id": "blosc", "cname": "zstd", "clevel": 3, "shuffle": 1}

BLOCK = 2
"""Chunks along each axis of a block that is read and written at once."""


def write_ome_zarr(
    path: str | Path, array: Array, name: str, *, is_labels: bool = False
) -> Iterator[float]:
    """Write an array as an OME-Zarr image with a single level.

    It is written beside and renamed at the end, so that there is a whole image or none. Blocks
    are read one by one, so the array may be larger than memory. To cancel, leave the generator.

    Parameters
    ----------
    path
        Folder of the image; it must not exist, or be empty.
    array
        With its place in the world, and with channels where it has them. Bools become uint8.
    name
        Name of the image, which viewers show.
    is_labels
        Mark the image as labels.

    Yields
    ------
    float
        Share that is done, after each block.

    Raises
    ------
    DataError
        Where the folder is taken or cannot be written, or the array cannot be read.
    """
    with _told_as_data_error(path), new_folder(path) as partial:
        yield from fill_image(partial, array, name, is_labels=is_labels)


def write_ome_zarr_group(path: str | Path, images: Mapping[str, Array]) -> Iterator[float]:
    """Write several arrays as OME-Zarr images in one folder; else as `write_ome_zarr`.

    Parameters
    ----------
    path
        Folder of all images; it must not exist, or be empty.
    images
        Arrays by name: ``path/name`` is an image of its own.
    """
    with _told_as_data_error(path), new_folder(path) as partial:
        yield from fill_group(partial, images)


def fill_group(folder: Path, images: Mapping[str, Array]) -> Iterator[float]:
    """Write several images into a folder as it is; OSError is left to the caller."""
    zarr.open_group(folder, mode="w", zarr_format=2)
    voxels = [prod(array.shape) * (array.num_channels or 1) for array in images.values()]
    done = 0
    for count, (name, array) in zip(voxels, images.items(), strict=True):
        for share in fill_image(folder / name, array, name):
            yield (done + share * count) / sum(voxels)
        done += count


def fill_image(
    folder: Path, array: Array, name: str, *, is_labels: bool = False
) -> Iterator[float]:
    """Write an image into a folder as it is, for those who make a larger folder whole themselves.

    Parameters
    ----------
    folder, array, name, is_labels
        As `write_ome_zarr`.

    Raises
    ------
    OSError
        Where the folder cannot be written.
    DataError
        Where the array cannot be read.
    """
    channels = () if array.num_channels is None else (array.num_channels,)
    chunk = Coordinate(min(CHUNK[array.dims], size) for size in array.shape)
    group = zarr.open_group(folder, mode="w", zarr_format=2)
    stored = group.create_array(
        LEVEL,
        shape=(*channels, *array.shape),
        chunks=(*(1 for _ in channels), *chunk),
        dtype=_stored_type(array.dtype),
        compressors=COMPRESSOR,
        chunk_key_encoding={"name": "v2", "separator": "/"},
        fill_value=0,
    )
    counts = [ceil(n / (BLOCK * c)) for n, c in zip(array.shape, chunk, strict=True)]
    for done, index in enumerate(product(*map(range, counts)), start=1):
        begin = Coordinate(index) * chunk * BLOCK
        end = [min(b + c * BLOCK, n) for b, c, n in zip(begin, chunk, array.shape, strict=True)]
        space = tuple(slice(b, e) for b, e in zip(begin, end, strict=True))
        stored[(*(slice(None) for _ in channels), *space)] = _read(array, begin, end, name)
        yield done / prod(counts)
    # Last, so that a folder that was not finished is no image.
    group.attrs.update(_metadata(array, name, is_labels))


@contextmanager
def new_folder(path: str | Path, *, replace: bool = False, lasting: bool = True) -> Iterator[Path]:
    """Give a folder to fill, which becomes ``path`` when all went well and vanishes otherwise.

    Parameters
    ----------
    path
        Its parents are made where they are missing.
    replace
        Whether the new folder may take the place of an old one.
    lasting
        Whether all of it must be safe on the disk before it gets its name, as a power cut else
        may leave the name and lose the rest.

    Raises
    ------
    OSError
        Where it cannot be made.
    DataError
        Where ``path`` is a file, or a folder that is not empty.
    """
    path = Path(path).absolute()
    if not replace:
        refuse_taken(path)
    partial = path.with_name(f".{path.name}.{uuid4().hex[:8]}{PARTIAL}")
    partial.mkdir(parents=True)
    try:
        yield partial
        if lasting:
            sync_tree(partial)
        if path.exists():
            old = path.with_name(f".{path.name}.{uuid4().hex[:8]}{PARTIAL}")
            os.rename(path, old)
            os.rename(partial, path)
            shutil.rmtree(old, ignore_errors=True)
        else:
            os.rename(partial, path)
        if lasting:
            sync_folder(path.parent)
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def refuse_taken(path: str | Path) -> None:
    """Raise DataError where a new folder cannot take a path: at a file, or a folder in use."""
    path = Path(path)
    if path.is_file() or (path.is_dir() and any(path.iterdir())):
        raise DataError(f"{path} exists already: choose another name, or delete it first.")


@contextmanager
def _told_as_data_error(path: str | Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise DataError(f"{path} cannot be written: {error.strerror or error}.") from error


def _read(array: Array, begin: Coordinate, end: list[int], name: str) -> Any:
    size = array.voxel_size
    block = Roi(array.roi.begin + begin * size, (Coordinate(end) - begin) * size)
    with told_when_broken(name, begin):
        values = array[block]
    return values.astype(_stored_type(array.dtype), copy=False)


def _stored_type(dtype: np.dtype[Any]) -> np.dtype[Any]:
    return np.dtype(np.uint8) if dtype.kind == "b" else dtype.newbyteorder("=")


def _metadata(array: Array, name: str, is_labels: bool) -> dict[str, Any]:
    steps = array.unit.steps
    space = [axis for axis in array.axes if axis != CHANNEL]
    unit = {"unit": "nanometer"} if array.unit.name == NANOMETRE.name else {}
    lead = [] if array.num_channels is None else [{"name": CHANNEL, "type": "channel"}]
    metadata: dict[str, Any] = {
        "multiscales": [
            {
                "version": VERSION,
                "name": name,
                "axes": [*lead, *({"name": axis, "type": "space", **unit} for axis in space)],
                "datasets": [
                    {
                        "path": LEVEL,
                        "coordinateTransformations": [
                            {
                                "type": "scale",
                                "scale": [1.0] * len(lead) + [v / steps for v in array.voxel_size],
                            },
                            {
                                "type": "translation",
                                "translation": [0.0] * len(lead)
                                + [b / steps for b in array.roi.begin],
                            },
                        ],
                    }
                ],
            }
        ]
    }
    if is_labels:
        metadata["image-label"] = {"version": VERSION}
    return metadata
