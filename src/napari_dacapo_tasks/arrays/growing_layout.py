"""How an image that grows lies on the disk, and whether there is one already."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from math import ceil, prod
from pathlib import Path
from typing import Any, Literal

import numpy as np
import zarr
import zarr.codecs

from napari_dacapo_tasks.arrays.array import CHANNEL
from napari_dacapo_tasks.arrays.ome_zarr import CHUNK, COMPRESSOR, LEVEL, PARTIAL
from napari_dacapo_tasks.arrays.pyramid import Level, ome_metadata
from napari_dacapo_tasks.arrays.zarr_array import open_node
from napari_dacapo_tasks.errors import DataError

Exists = Literal["refuse", "overwrite", "resume"]
"""What to do with an image that is there already."""

ATTRIBUTES = "napari_dacapo_tasks"
"""Key of what is our own in the attributes of an image."""

DIVISION = "napari_dacapo_tasks_image"
"""Key of how an image is laid out, by which it is known again."""

STATE = ".napari-dacapo-tasks"
"""Folder beside the chunks with what is needed to go on; it is gone when the image is whole."""

DONE = "done"
"""Folder in it with an empty file for each block that is written."""

GROWING = "growing"
"""Empty file in it, as long as the image is not whole."""

SHARDED_FROM = 2**30
"""Bytes from which the chunks of a block share one file: file systems suffer from millions."""

CHUNKS_OF_BLOCK = 4
"""Chunks along each axis of a block."""

LARGEST_BLOCK = 2**28
"""Bytes of a block with all its channels: what every worker holds once or twice."""

V2_SEPARATOR: Any = {"name": "v2", "separator": "/"}


class DataTakenError(DataError):
    """A folder has something in it already.

    Attributes
    ----------
    path
        The folder.
    can_resume
        Whether it is the same image, so that work can go on there (or is done already).
    can_overwrite
        Whether it is an image or array that may be overwritten, and nothing else.
    """

    def __init__(self, path: Path, sentence: str, *, can_resume: bool, can_overwrite: bool) -> None:
        super().__init__(sentence)
        self.path = path
        self.can_resume = can_resume
        self.can_overwrite = can_overwrite


class DiskFullError(DataError):
    """There is no space left to write."""


@contextmanager
def told(path: Path, doing: str = "written") -> Iterator[None]:
    """Say in one sentence what cannot be read or written, raising DataError for any OSError."""
    try:
        yield
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise DiskFullError(
                f"There is no space left on the disk of {path}: make some and resume; what was "
                "written before is kept."
            ) from error
        raise DataError(f"{path} cannot be {doing}: {error.strerror or error}.") from error


def state_of(path: str | Path) -> Path:
    """Give the folder with what is needed to go on: in an array, where nobody looks for images."""
    return Path(path) / LEVEL / STATE


def is_growing(path: str | Path) -> bool:
    """Whether an image was begun at a path, and not finished."""
    return (state_of(path) / GROWING).exists()


def stored_attrs(path: str | Path) -> dict[str, Any]:
    """Give what was stored with an image, begun or whole; empty for images of others.

    Raises
    ------
    DataError
        Where there is nothing, or no zarr.
    """
    found = open_node(Path(path)).attrs.asdict().get(ATTRIBUTES, {})
    return dict(found) if isinstance(found, Mapping) else {}


def divided(
    shape: Sequence[int], item_bytes: int, wanted: Sequence[int] | None
) -> tuple[list[int], list[int]]:
    """Give the shape of chunks, and of blocks of whole chunks."""
    edge = CHUNK[len(shape)]
    if wanted is not None:
        chunk = [min(edge, size, n) for size, n in zip(wanted, shape, strict=True)]
        counts = [ceil(min(b, n) / c) for b, n, c in zip(wanted, shape, chunk, strict=True)]
    else:
        chunk = [min(edge, n) for n in shape]
        counts = [min(CHUNKS_OF_BLOCK, ceil(n / c)) for n, c in zip(shape, chunk, strict=True)]
        while prod(counts) * prod(chunk) * item_bytes > LARGEST_BLOCK and max(counts) > 1:
            widest = counts.index(max(counts))
            counts[widest] = ceil(counts[widest] / 2)
    return chunk, [n * c for n, c in zip(counts, chunk, strict=True)]


def is_taken(path: Path) -> bool:
    """Whether there is a file, or a folder with something in it."""
    return path.is_file() or (path.is_dir() and any(path.iterdir()))


def layout_at(path: Path) -> dict[str, Any] | None:
    """Give how an image of ours is laid out, with what is stored with it; None for others."""
    try:
        attributes: dict[str, Any] = open_node(path).attrs.asdict()
    except DataError:
        return None
    plan = attributes.get(DIVISION)
    return None if plan is None else {**plan, "attrs": attributes.get(ATTRIBUTES, {})}


def clear_leftovers(path: Path) -> None:
    """Delete what was being written when somebody was killed."""
    for folder, _, names in os.walk(path / LEVEL):
        for name in names:
            if name.endswith(PARTIAL):
                Path(folder, name).unlink(missing_ok=True)


def same_image(there: Mapping[str, Any], wanted: Mapping[str, Any]) -> bool:
    """Whether two plans are of one image; how it was divided the first time stays."""
    division = ("chunk", "block_shape", "sharded")
    return all(there.get(key) == value for key, value in wanted.items() if key not in division)


def refuse(path: Path, exists: Exists, there: Mapping[str, Any] | None, *, same: bool) -> None:
    """Raise DataTakenError unless what is there may be overwritten."""
    is_image = _is_image(path)
    if exists == "overwrite" and is_image:
        return
    if not is_image:
        sentence = f"{path} is no image that could be overwritten: choose another name."
    elif exists == "resume":
        sentence = f"{path} is of other data or parameters, so it cannot be resumed: "
        sentence += "overwrite it, or choose another name."
    elif same and is_growing(path):
        sentence = f"{path} was begun and not finished: resume it, overwrite it, or choose another "
        sentence += "name."
    else:
        sentence = f"{path} exists already: overwrite it, or choose another name."
    raise DataTakenError(path, sentence, can_resume=same, can_overwrite=is_image)


def _is_image(path: Path) -> bool:
    """Whether there is one image or array, and not a folder of many things."""
    try:
        node = open_node(path)
    except DataError:
        return False
    attributes: dict[str, Any] = node.attrs.asdict()
    return isinstance(node, zarr.Array) or "multiscales" in attributes.get("ome", attributes)


def lay_out(folder: Path, plan: Mapping[str, Any]) -> None:
    """Make an image without any values in a folder."""
    zarr.open_group(folder, mode="w", zarr_format=3 if plan["sharded"] else 2)
    finest = Level(tuple(plan["shape"]), (1,) * len(plan["shape"]), (1,) * len(plan["shape"]))
    create_level(folder, LEVEL, plan, finest)
    describe(folder, plan, [finest])
    (state_of(folder) / DONE).mkdir(parents=True)
    (state_of(folder) / GROWING).touch()


def create_level(folder: Path, name: str, plan: Mapping[str, Any], level: Level) -> zarr.Array[Any]:
    """Make the array of a level, in the place of what there was of it."""
    lead = [] if plan["channels"] is None else [plan["channels"]]
    ones = [1 for _ in lead]
    axes = [*(CHANNEL for _ in lead), *plan["axes"]]
    group = zarr.open_group(folder, mode="r+")
    shared: dict[str, Any] = {
        "shape": (*lead, *level.shape),
        "chunks": (*ones, *plan["chunk"]),
        "dtype": np.dtype(plan["dtype"]),
        "fill_value": 0,
        "overwrite": True,
    }
    if not plan["sharded"]:
        return group.create_array(
            name, **shared, compressors=COMPRESSOR, chunk_key_encoding=V2_SEPARATOR
        )
    codec = zarr.codecs.BloscCodec(
        cname=COMPRESSOR["cname"], clevel=COMPRESSOR["clevel"], shuffle="shuffle"
    )
    return group.create_array(
        name,
        **shared,
        shards=(*ones, *plan["block_shape"]),
        compressors=codec,
        dimension_names=axes,
    )


def describe(folder: Path, plan: Mapping[str, Any], levels: Sequence[Level]) -> None:
    """Write the attributes of an image that has these levels."""
    attrs = ome_metadata(
        levels,
        version="0.5" if plan["sharded"] else "0.4",
        name=plan["name"],
        axes=plan["axes"],
        has_channels=plan["channels"] is not None,
        voxel_size=[size / plan["steps"] for size in plan["voxel_size"]],
        begin=[begin / plan["steps"] for begin in plan["begin"]],
        unit=plan["unit"],
        is_labels=plan["is_labels"],
    )
    group = zarr.open_group(folder, mode="r+")
    division = {key: value for key, value in plan.items() if key != "attrs"}
    group.attrs.update({**attrs, ATTRIBUTES: plan["attrs"], DIVISION: division})
