"""Data sets in HDF5 files, with DaCapo's and funlib's attributes where they have them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from napari_dacapo_tasks.arrays.array import Array
from napari_dacapo_tasks.arrays.funlib_attributes import funlib_metadata
from napari_dacapo_tasks.errors import DataError
from napari_dacapo_tasks.units import place

MOST_NAMED = 8
"""Data sets that a sentence names."""

ELEMENT_SIZE = "element_size_um"
"""Attribute in which ImageJ's HDF5 plugin and PlantSeg keep voxel sizes, in micrometres."""


class Dataset:
    """Slices a data set in a file, which is open only while something is read.

    So the file can be changed or moved by others in between, it can be read from several threads
    and processes, and nobody is kept from writing to it.
    """

    def __init__(self, file: str, name: str) -> None:
        self.file = file
        self.name = name
        with opened(file) as content:
            found = content[name]
            self.shape: tuple[int, ...] = tuple(found.shape)
            self.dtype: np.dtype[Any] = found.dtype
            self.chunks: tuple[int, ...] | None = found.chunks

    def __getitem__(self, index: Any) -> Any:
        with opened(self.file) as content:
            return content[self.name][index]


def opened(file: str | Path) -> h5py.File:
    """Open a file for reading, without a lock; raises OSError where it cannot be."""
    return h5py.File(file, "r", locking=False)


def is_hdf5(file: str | Path) -> bool:
    """Whether a file is one of HDF5, whatever it is called."""
    return bool(h5py.is_hdf5(file))


def open_hdf5(file: str | Path, name: str | None = None) -> Array:
    """Open a data set of an HDF5 file lazily.

    Its attributes ``voxel_size`` or ``resolution``, ``offset``, ``axis_names`` and ``units`` say
    where it lies, in nanometres where no unit is named; without them in voxels of 1.

    Parameters
    ----------
    file
        The file.
    name
        Path of the data set in it; None where there is only one.

    Raises
    ------
    DataError
        Where the file cannot be read, has no such data set, or has several and none is named.
    """
    try:
        with opened(file) as content:
            name = _chosen(file, content, name)
            found = content[name]
            attrs = _plain(found.attrs)
            axes = len(found.shape)
        data = Dataset(str(file), name)
    except (OSError, RuntimeError) as error:
        raise DataError(f"{file} cannot be read as HDF5: {error}.") from error
    path = f"{file}:{name}"
    metadata = funlib_metadata(path, attrs, axes)
    grid = place(metadata.space, metadata.scale, metadata.translate, metadata.units)
    return Array(
        data,
        axes=metadata.axes,
        voxel_size=grid.voxel_size,
        offset=grid.offset,
        unit=grid.unit,
        attrs={"path": path},
    )


def datasets_in(file: str | Path) -> list[str]:
    """Give the paths of all data sets with axes in a file; raises DataError as `open_hdf5`."""
    try:
        with opened(file) as content:
            return list(_datasets(content))
    except (OSError, RuntimeError) as error:
        raise DataError(f"{file} cannot be read as HDF5: {error}.") from error


def _datasets(group: h5py.Group) -> Iterator[str]:
    for name in group:
        # A link may lead to a file that is not there.
        found = group.get(name)
        if isinstance(found, h5py.Dataset):
            if found.shape:
                yield found.name.lstrip("/")
        elif isinstance(found, h5py.Group):
            yield from _datasets(found)


def _chosen(file: str | Path, content: h5py.File, name: str | None) -> str:
    names = list(_datasets(content))
    if not names:
        raise DataError(f"{file} holds no data set: choose another file.")
    wanted = (name or "").strip("/")
    if wanted in names:
        return wanted
    if not wanted and len(names) == 1:
        return names[0]
    more = f" and {len(names) - MOST_NAMED} more" if len(names) > MOST_NAMED else ""
    said = f"no data set {wanted}, but" if wanted else "several data sets,"
    raise DataError(
        f"{file} has {said} {', '.join(names[:MOST_NAMED])}{more}: name one of them, as in "
        f"{file}:{names[0]}."
    )


def _plain(attrs: Mapping[str, Any]) -> dict[str, Any]:
    """Give attributes as lists, numbers and texts instead of arrays and bytes."""
    plain = {name: _value(value) for name, value in attrs.items()}
    if ELEMENT_SIZE in plain and "voxel_size" not in plain and "resolution" not in plain:
        plain |= {"voxel_size": plain[ELEMENT_SIZE], "units": "micrometer"}
    return plain


def _value(value: Any) -> Any:
    if isinstance(value, np.ndarray):
        return [_value(one) for one in value.tolist()]
    if isinstance(value, bytes):
        return value.decode("utf-8", "replace")
    return value.item() if isinstance(value, np.generic) else value
