"""From a path to an array."""

from __future__ import annotations

from pathlib import Path

from napari_dacapo_tasks.arrays.array import Array
from napari_dacapo_tasks.arrays.zarr_array import ZarrArray
from napari_dacapo_tasks.errors import DataError

OPENS = "OME-Zarr images, zarr arrays and groups that hold a single array"


def open_array(path: str | Path) -> Array:
    """Open the array at a path; it is read only where and when it is asked for.

    Parameters
    ----------
    path
        Folder of an OME-Zarr image, a zarr array, or a group that holds a single array; images
        inside a container have a path, too, such as ``volume.ome.zarr/labels/neurons``.

    Raises
    ------
    DataError
        Where there is nothing, a file of another kind, or an array that cannot be used.
    """
    before_colon = str(path).rpartition(":")[0]  # a data set in a file, as "file.h5:raw"
    for file in (Path(path), Path(before_colon)):
        if file.is_file():
            kind = f"a file of the kind '{file.suffix}'" if file.suffix else "a file"
            raise DataError(f"{path} is {kind}, which does not open: save it as one of {OPENS}.")
    return ZarrArray.open(path)
