"""Images in TIFF files, with the axes and voxel sizes that ImageJ and OME keep in them."""

from __future__ import annotations

import struct
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import tifffile
import zarr

from napari_dacapo_tasks.arrays.array import CHANNEL, TIME, Array
from napari_dacapo_tasks.arrays.numpy_array import SPACE
from napari_dacapo_tasks.errors import DataError
from napari_dacapo_tasks.units import nanometres_per, place

BEGINS = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")
"""First bytes of a TIFF in either byte order, and of a BigTIFF."""

IMAGEJ_DENOMINATOR = 1_000_000
"""ImageJ keeps voxels in a unit as a fraction of this, and so only six digits after the point."""

MOST_OFF = 1e-3
"""How far, as a share, a voxel size can be off by that at most."""

BROKEN = (tifffile.TiffFileError, OSError, ValueError, IndexError, KeyError, struct.error)
"""What tifffile raises for a damaged file."""

WIDEST = 15
"""Digits that a floating-point number has."""

NO_LENGTH = ("pixel", "reference frame")
"""Units of OME that say nothing of the sample."""


@dataclass(frozen=True)
class _Voxels:
    """Size and unit along z, y and x."""

    size: tuple[float, float, float] = (1.0, 1.0, 1.0)
    unit: str = ""


def is_tiff(file: str | Path) -> bool:
    """Whether a file is a TIFF, whatever it is called."""
    with open(file, "rb") as opened:
        return opened.read(4) in BEGINS


def open_tiff(file: str | Path) -> Array:
    """Open the image of a TIFF file lazily; pages that belong together are its z axis.

    Axes, voxel size and unit are those that ImageJ or OME have written; without them, voxels of
    1. Uncompressed data in one piece is mapped into memory, all else is read page by page or
    tile by tile. Sizes are rounded to picometres, since a TIFF keeps them as fractions.

    Raises
    ------
    DataError
        Where the file cannot be read, holds several images of which none is the largest, or has
        axes that are no space, channels or single times.
    """
    try:
        tiff = tifffile.TiffFile(file)
        series = tiff.series[0]
        others = [tuple(one.shape) for one in tiff.series[1:] if one.size >= series.size]
        axes, shape = str(series.axes), tuple(series.shape)
        voxels = _voxels(tiff)
        data = _data(tiff, series)
    except BROKEN as error:
        raise DataError(f"{file} cannot be read as TIFF: {error}.") from error
    if others:  # smaller ones are previews and labels of slides
        shapes = ", ".join(" x ".join(map(str, one)) for one in (shape, *others))
        raise DataError(
            f"{file} holds {1 + len(others)} images ({shapes}): save the one that is meant as a "
            "file of its own."
        )
    names = _names(file, axes, shape)
    space = [name for name in names if name not in (CHANNEL, TIME)]
    size = [_rounded(voxels.size[SPACE.index(name)], voxels.unit) for name in space]
    grid = place(space, size, [0.0] * len(space), [voxels.unit] * len(space))
    return Array(
        data,
        axes=names,
        voxel_size=grid.voxel_size,
        offset=grid.offset,
        unit=grid.unit,
        attrs={"path": str(file)},
    )


def _data(tiff: tifffile.TiffFile, series: Any) -> Any:
    """Give what slices like NumPy: a memory map, which leaves no file open, or a lazy array."""
    if series.dataoffset is not None:
        mapped = tifffile.memmap(tiff.filehandle.path, series=0, mode="r")
        tiff.close()
        if mapped.shape == tuple(series.shape):
            return mapped
        return mapped.reshape(series.shape)
    store = series.aszarr(level=0)  # reads under a lock of its own, and keeps the file open
    return zarr.open_array(store, mode="r")


def _names(file: str | Path, axes: str, shape: tuple[int, ...]) -> list[str]:
    """Name axes as arrays have them: pages without a meaning are z."""
    names = []
    for letter in axes:
        if letter in "ZYX":
            names.append(letter.lower())
        elif letter in "CS":
            names.append(CHANNEL)
        elif letter == "T":
            names.append(TIME)
        elif letter in "IQ" and "Z" not in axes:
            names.append("z")
        else:
            raise DataError(
                f"{file} has the axes {axes} of {' x '.join(map(str, shape))}, and {letter} is "
                "none that is understood: save it as a stack of z, y and x."
            )
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        what = {CHANNEL: "two axes of channels", "z": "two axes of pages"}
        raise DataError(
            f"{file} has the axes {axes} of {' x '.join(map(str, shape))}, so "
            f"{what.get(twice[0], twice[0])}: save it as a stack of z, y and x, with at most one "
            "axis of channels."
        )
    return names


def _voxels(tiff: tifffile.TiffFile) -> _Voxels:
    if tiff.is_ome and tiff.ome_metadata:
        return _ome_voxels(tiff.ome_metadata)
    if tiff.is_imagej and tiff.imagej_metadata is not None:
        return _imagej_voxels(tiff.imagej_metadata, tiff.pages.first)
    return _Voxels()  # what else is there tells of paper, not of the sample


def _ome_voxels(xml: str) -> _Voxels:
    try:
        root = ElementTree.fromstring(xml)
    except ElementTree.ParseError:
        return _Voxels()
    pixels = next((part for part in root.iter() if part.tag.rpartition("}")[2] == "Pixels"), None)
    if pixels is None or "PhysicalSizeX" not in pixels.attrib:
        return _Voxels()
    units = [pixels.get(f"PhysicalSize{axis}Unit", "micrometer") for axis in "ZYX"]
    if any(unit in NO_LENGTH for unit in units):
        return _Voxels()
    found = [
        float(pixels.get(f"PhysicalSize{axis}", 0)) * (nanometres_per(unit) or 1.0)
        for axis, unit in zip("ZYX", units, strict=True)
    ]
    z, y, x = (size or found[-1] for size in found)  # one section often has no size along z
    return _Voxels((z, y, x), "nanometer")


def _imagej_voxels(metadata: Mapping[str, Any], page: Any) -> _Voxels:
    unit = str(metadata.get("unit", "")).replace("\\u00B5", "µ").strip()
    across = [_imagej_size(page, name) for name in ("YResolution", "XResolution")]
    if nanometres_per(unit) is None and None in across:
        across = [1.0, 1.0]
    y, x = (size or 1.0 for size in across)
    return _Voxels((float(metadata.get("spacing", 0)) or x, y, x), unit)


def _imagej_size(page: Any, name: str) -> float | None:
    tag = page.tags.get(name)
    if tag is None or not all(tag.value):
        return None
    count, length = tag.value
    size = float(length / count)
    if length != IMAGEJ_DENOMINATOR:
        return size
    # The roundest number that gives this fraction.
    off = min(1 / count, MOST_OFF) * size
    rounder = (float(f"{size:.{digits}g}") for digits in range(1, WIDEST))
    return next((one for one in rounder if abs(one - size) <= off), size)


def _rounded(size: float, unit: str) -> float:
    """Round to whole picometres, or thousandths of a voxel, unless nothing would be left."""
    factor = nanometres_per(unit) or 1.0
    rounded = round(size * factor, 3)
    return rounded / factor if rounded > 0 else size
