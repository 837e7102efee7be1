"""Arrays in zarr containers: OME-Zarr, and DaCapo's and funlib's own attributes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Self

import zarr

from napari_dacapo_tasks.arrays.array import CHANNEL, TIME, Array
from napari_dacapo_tasks.arrays.funlib_attributes import Metadata, funlib_metadata
from napari_dacapo_tasks.errors import DataError
from napari_dacapo_tasks.units import place

OME_AXIS_TYPES = {"channel": CHANNEL, "time": TIME}

OF_NODES = (".zarray", ".zgroup", "zarr.json")
"""Files that make a folder an array or a group."""

N5_ATTRIBUTES = "attributes.json"
"""File in a folder of N5."""

MOST_NAMED = 8
"""Arrays and groups that a sentence names."""


class ZarrArray(Array):
    """An array in a zarr container; only the region asked for is read."""

    data: zarr.Array[Any]

    @classmethod
    def open(cls, path: str | Path) -> Self:
        """Open an OME-Zarr image, a zarr array, or a group that holds a single array.

        Parameters
        ----------
        path
            Folder of the image, array or group, such as ``volume.ome.zarr`` (its finest level),
            ``volume.ome.zarr/labels/neurons`` or ``volume.zarr/raw/s0``.

        Raises
        ------
        DataError
            Where there is nothing, several arrays, or metadata that does not fit.
        """
        path = Path(path)
        node = open_node(path)
        if isinstance(node, zarr.Group):
            node, metadata = _array_of_group(path, node)
        else:
            metadata = _metadata_of_array(path, node)
        grid = place(metadata.space, metadata.scale, metadata.translate, metadata.units)
        return cls(
            node,
            axes=metadata.axes,
            voxel_size=grid.voxel_size,
            offset=grid.offset,
            unit=grid.unit,
            attrs={"path": str(path)},
        )


def arrays_in(path: str | Path) -> Iterator[tuple[str, ZarrArray]]:
    """Give every image in a container with its path in it: arrays, and OME-Zarr images once."""
    path = Path(path)
    node = open_node(path)
    if isinstance(node, zarr.Array) or _multiscales(node.attrs):
        yield path.name, ZarrArray.open(path)
        if isinstance(node, zarr.Array):
            return
        children = [name for name, _ in node.groups() if name == "labels"]
    else:
        children = sorted(name for name, _ in node.members())
    for name in children:
        for below, array in arrays_in(path / name):
            yield (below if below.startswith(name) else f"{name}/{below}"), array


def open_node(path: Path) -> zarr.Array[Any] | zarr.Group:
    """Open an array or a group to read; raises DataError where there is none."""
    if not path.exists():
        raise DataError(f"There is nothing at {path}: check the path.")
    try:
        return zarr.open(path, mode="r")
    except FileNotFoundError as error:
        raise DataError(_no_node(path)) from error
    except Exception as error:  # zarr raises many kinds for a broken container
        raise DataError(f"{path} cannot be read as zarr: {error}") from error


def _no_node(path: Path) -> str:
    """Say what to do about a folder that is no array and no group."""
    named_so = any(folder.suffix == ".n5" for folder in (path, *path.parents))
    if named_so or (path / N5_ATTRIBUTES).is_file():
        return (
            f"{path} is N5, which does not open here: convert it to OME-Zarr, as Fiji does with "
            "File > Import > HDF5/N5/Zarr/OME-NGFF and File > Save As > Export "
            "HDF5/N5/Zarr/OME-NGFF."
        )
    inside = sorted(path.iterdir()) if path.is_dir() else []
    sections = sum(one.suffix.lower() in (".tif", ".tiff") for one in inside)
    if sections:
        return (
            f"{path} is a folder with {sections} TIFF file{'s' * (sections > 1)}: choose one of "
            "them, or save sections as one stack, as Fiji does with File > Import > Image Sequence "
            "and File > Save As > Tiff."
        )
    nodes = [one for one in inside if any((one / name).is_file() for name in OF_NODES)]
    if nodes:
        return f"{path} holds {_named(nodes)}: name one of them, as in {nodes[0]}."
    return (
        f"{path} holds no image: choose the folder of an OME-Zarr image or a zarr array, or a "
        "TIFF or HDF5 file."
    )


def _named(nodes: Sequence[Path]) -> str:
    return ", ".join(node.name for node in nodes[:MOST_NAMED])


def _array_of_group(path: Path, group: zarr.Group) -> tuple[zarr.Array[Any], Metadata]:
    multiscales = _multiscales(group.attrs)
    if multiscales:
        dataset = multiscales[0]["datasets"][0]
        array = group.get(dataset["path"])
        if not isinstance(array, zarr.Array):
            raise DataError(
                f"The metadata of {path} names the array {dataset['path']}, which is not there."
            )
        return array, _ome_metadata(multiscales[0], dataset)
    names = sorted(name for name, _ in group.members())
    arrays = [(name, array) for name, array in sorted(group.arrays())]
    # s0, s1, ... are the levels of one image, the finest first.
    levels = [pair for pair in arrays if pair[0].lstrip("s").isdigit()]
    alone = len(arrays) == len(names)
    if arrays and alone and (len(arrays) == 1 or levels == arrays):
        name, array = arrays[0]
        return array, _metadata_of_array(path / name, array)
    if not names:
        raise DataError(f"{path} is an empty group: name a folder that holds an array.")
    inside = [path / name for name in names]
    raise DataError(f"{path} holds {_named(inside)}: name one of them, as in {inside[0]}.")


def _metadata_of_array(path: Path, array: zarr.Array[Any]) -> Metadata:
    parent = path.parent
    if any((parent / name).exists() for name in (".zattrs", "zarr.json")):
        for multiscale in _multiscales(open_node(parent).attrs):
            for dataset in multiscale["datasets"]:
                if dataset["path"] == path.name:
                    return _ome_metadata(multiscale, dataset)
    return funlib_metadata(path, dict(array.attrs), array.ndim)


def _multiscales(attrs: Any) -> list[dict[str, Any]]:
    ome = attrs.get("ome", {})  # version 0.5 keeps everything under one key
    return list(ome.get("multiscales", ()) or attrs.get("multiscales", ()))


def _ome_metadata(multiscale: Mapping[str, Any], dataset: Mapping[str, Any]) -> Metadata:
    described = multiscale.get("axes") or ["t", "c", "z", "y", "x"]
    axes = [a if isinstance(a, dict) else {"name": a} for a in described]
    names = [OME_AXIS_TYPES.get(axis.get("type", ""), str(axis["name"])) for axis in axes]
    scale, translate = [1.0] * len(axes), [0.0] * len(axes)
    steps = [
        *dataset.get("coordinateTransformations", ()),
        *multiscale.get("coordinateTransformations", ()),
    ]
    for step in steps:
        if step["type"] == "scale":
            scale = [s * f for s, f in zip(scale, step["scale"], strict=True)]
            translate = [t * f for t, f in zip(translate, step["scale"], strict=True)]
        elif step["type"] == "translation":
            translate = [t + f for t, f in zip(translate, step["translation"], strict=True)]
        elif step["type"] != "identity":
            raise DataError(f"The transformation '{step['type']}' of an OME-Zarr is not supported.")
    space = [i for i, name in enumerate(names) if name not in (CHANNEL, TIME)]
    return Metadata(
        axes=tuple(names),
        scale=tuple(float(scale[i]) for i in space),
        translate=tuple(float(translate[i]) for i in space),
        units=tuple(str(axes[i].get("unit", "") or "") for i in space),
    )
