"""From a path to an array."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from napari_dacapo_tasks.arrays.array import Array
from napari_dacapo_tasks.arrays.zarr_array import ZarrArray, arrays_in
from napari_dacapo_tasks.errors import DataError, UserError

OPENS = "OME-Zarr, zarr, TIFF or HDF5"


def open_array(path: str | Path) -> Array:
    """Open the array at a path; it is read only where and when it is asked for.

    Parameters
    ----------
    path
        Folder of an OME-Zarr image, a zarr array, or a group that holds a single array; images
        inside a container have a path, too, such as ``volume.ome.zarr/labels/neurons``. Or a
        TIFF file, or an HDF5 file with the path of a data set, as ``volume.h5:raw/s0``, which is
        left out where there is only one.

    Raises
    ------
    DataError
        Where there is nothing, a file of another kind, a broken one, or an array that cannot be
        used.
    """
    with _said(path):
        return _opened(path)


@contextmanager
def _said(path: str | Path) -> Iterator[None]:
    """Make one sentence of whatever the libraries raise on a broken file."""
    try:
        yield
    except (UserError, MemoryError):
        raise
    except Exception as error:
        told = " ".join(str(error).split()).rstrip(".")
        what = f"{type(error).__name__}: {told}" if told else type(error).__name__
        raise DataError(f"{path} cannot be opened ({what}): it may be damaged.") from error


def _opened(path: str | Path) -> Array:
    file, dataset = split_path(path)
    if not file.is_file():
        return ZarrArray.open(file)
    from napari_dacapo_tasks.arrays.hdf5 import is_hdf5, open_hdf5
    from napari_dacapo_tasks.arrays.tiff import is_tiff, open_tiff

    try:
        if is_hdf5(file):
            return open_hdf5(file, dataset)
        tiff = is_tiff(file)
    except OSError as error:
        raise DataError(f"{file} cannot be read: {error.strerror or error}.") from error
    if not tiff:
        raise DataError(f"{file} is no file that opens: save it as {OPENS}.")
    if dataset:
        raise DataError(f"{file} is a TIFF, which has no data sets: leave :{dataset} out.")
    return open_tiff(file)


def images_at(path: str | Path) -> Iterator[tuple[str, Array]]:
    """Give all images at a path: its own, or those in its container, each with what opens it.

    Raises
    ------
    DataError
        As `open_array`.
    """
    with _said(path):
        yield from _images_at(path)


def _images_at(path: str | Path) -> Iterator[tuple[str, Array]]:
    file, dataset = split_path(path)
    if file.is_file():
        from napari_dacapo_tasks.arrays.hdf5 import datasets_in, is_hdf5

        names = datasets_in(file) if not dataset and is_hdf5(file) else [dataset]
        for name in names:
            place = f"{file}:{name}" if name else str(file)
            yield place, open_array(place)
        return
    for name, array in arrays_in(file):
        yield str(array.attrs.get("path", file / name)), array


def split_path(path: str | Path) -> tuple[Path, str | None]:
    """Split ``file.h5:dataset`` at the colon behind a file that is there, and at no other one.

    So drives of Windows, and colons in names, stay what they are.
    """
    text = str(path)
    end = len(text)
    while not Path(text[:end]).is_file():
        end = text.rfind(":", 0, end)
        if end < 0:
            return Path(text), None
    dataset = text[end + 1 :].replace("\\", "/").strip("/")
    return Path(text[:end]), dataset or None
