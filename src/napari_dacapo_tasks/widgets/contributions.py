"""What napari's menus call: sample data and the reader of zarr containers."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import zarr

from napari_dacapo_tasks import samples
from napari_dacapo_tasks.arrays.array import CHANNEL
from napari_dacapo_tasks.arrays.zarr_array import ZarrArray, arrays_in
from napari_dacapo_tasks.errors import DataError

LayerData = tuple[Any, dict[str, Any], str]

LABEL_WORDS = ("label", "segmentation", "_seg", "gt", "mask", "instance")
"""A whole-number array with one of these in its name opens as labels."""


def sample_3d() -> list[LayerData]:
    """Give the synthetic volume: raw, organelles, cells."""
    return _sample_layers(samples.cells_3d())


def sample_2d() -> list[LayerData]:
    """Give the synthetic section: raw, organelles, cells."""
    return _sample_layers(samples.cells_2d())


def get_reader(path: str | list[str]) -> Callable[[str], list[LayerData]] | None:
    """Offer to open a zarr container whose arrays carry DaCapo's or funlib's attributes.

    OME-Zarr is left to readers made for it; what this reader is asked for all the same, it opens.
    """
    if not isinstance(path, str) or not Path(path).is_dir():
        return None
    try:
        zarr.open(path, mode="r")
    except Exception:  # whatever zarr says, it is not ours to open
        return None
    return read_zarr


def read_zarr(path: str) -> list[LayerData]:
    """Open every array of a container as a layer of its own, lazily.

    Raises
    ------
    DataError
        Where there is no array, or attributes do not fit.
    """
    layers = [_layer_data(name, array) for name, array in arrays_in(path)]
    if not layers:
        raise DataError(f"{path} holds no array.")
    return layers


def _layer_data(name: str, array: ZarrArray) -> LayerData:
    import dask.array

    axes = array.data_axes
    values = dask.array.from_array(array.data, chunks=array.data.chunks, name=False)
    steps = array.unit.steps
    unit = "nanometer" if array.unit.name == "nm" else "pixel"
    space = iter(zip(array.voxel_size, array.roi.begin, strict=True))
    places = [(1.0, 0.0, "pixel")] * len(axes)
    for index, axis in enumerate(axes):
        if axis in array.axes and axis != CHANNEL:
            size, begin = next(space)
            places[index] = (size / steps, begin / steps, unit)
    scale, translate, units = zip(*places, strict=True)
    options = {
        "name": name,
        "scale": scale,
        "translate": translate,
        "units": units,
        "axis_labels": axes,
    }
    is_whole = array.dtype.kind in "iub" and array.num_channels is None
    is_labels = is_whole and any(word in name.lower() for word in LABEL_WORDS)
    return values, options, "labels" if is_labels else "image"


def _sample_layers(sample: samples.Sample) -> list[LayerData]:
    dims = len(sample.voxel_size)
    place = {
        "scale": sample.voxel_size,
        "units": (sample.unit,) * dims,
        "axis_labels": ("z", "y", "x")[-dims:],
    }
    return [
        (sample.raw, {"name": "raw", **place}, "image"),
        (sample.cells, {"name": "cells", "visible": False, **place}, "labels"),
        (sample.organelles, {"name": "organelles", **place}, "labels"),
    ]
