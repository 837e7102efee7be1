"""A network in the words of bioimage.io: the plain values of its ``bioimageio.yaml``."""

from __future__ import annotations

import re
from hashlib import sha256
from math import ceil
from pathlib import Path
from typing import Any

import numpy as np
import torch

from napari_dacapo_tasks.architectures import Model
from napari_dacapo_tasks.architectures.tiles import Tiles
from napari_dacapo_tasks.prediction.export.description import ModelDescription
from napari_dacapo_tasks.prediction.export.details import ADDRESS, DOI, PackageDetails
from napari_dacapo_tasks.prediction.export.package_files import (
    ATTACHED,
    DOCUMENTATION,
    PROGRAM,
    TEST_INPUT,
    TEST_OUTPUT,
)
from napari_dacapo_tasks.prediction.export.package_text import summary

RAW, PREDICTION = "raw", "prediction"
"""Ids of the tensors."""

NAME_LENGTHS = (5, 64)
"""Of a name: fewer characters are refused, more are warned of."""

TOLERANCE = 1e-3
"""Of a test, absolute and relative: other machines sum in another order."""

TOLERATED_SHARE = 0.005
"""Of the largest value of the test: the specification refuses an absolute tolerance over 0.01."""


def model_values(
    folder: Path,
    description: ModelDescription,
    details: PackageDetails,
    model: Model,
    format_version: str,
) -> dict[str, Any]:
    """Give the content of a package's ``bioimageio.yaml``.

    Parameters
    ----------
    folder
        Holds the other files, those that `package_files` names.
    description, details
        What is said of the network.
    model
        The network.
    format_version
        Of the specification.
    """
    task = description.task
    channels = description.architecture.fmaps_in
    raw_names = ["raw"] if channels == 1 else [f"raw_{number}" for number in range(channels)]
    low, high = description.intensity_range
    gain = 2 / (high - low)
    values: dict[str, Any] = {
        "format_version": format_version,
        "type": "model",
        "name": _name(description, details),
        "description": details.description or summary(description),
        "documentation": _file(folder, DOCUMENTATION),
        "tags": ["dacapo", "napari", "unet", f"{model.architecture.dims}d"],
        "inputs": [
            {
                "id": RAW,
                "axes": [
                    {"type": "batch"},
                    {"type": "channel", "channel_names": raw_names},
                    *_input_axes(description, model),
                ],
                "test_tensor": _file(folder, TEST_INPUT),
                "data": {"type": "float32"},
                "preprocessing": [
                    {"id": "ensure_dtype", "kwargs": {"dtype": "float32"}},
                    {"id": "scale_linear", "kwargs": {"gain": gain, "offset": -1 - low * gain}},
                    {"id": "ensure_dtype", "kwargs": {"dtype": "float32"}},
                ],
            }
        ],
        "outputs": [
            {
                "id": PREDICTION,
                "axes": [
                    {"type": "batch"},
                    {"type": "channel", "channel_names": list(task.task_type(task).channels)},
                    *_output_axes(description, model),
                ],
                "test_tensor": _file(folder, TEST_OUTPUT),
                "data": {"type": "float32"},
            }
        ],
        "weights": {
            "torchscript": {
                **_file(folder, PROGRAM),
                "pytorch_version": torch.__version__.partition("+")[0],
            }
        },
        "attachments": [_file(folder, name) for name in ATTACHED],
        "config": {"bioimageio": {"reproducibility_tolerance": [_tolerance(folder)]}},
    }
    if details.authors:
        values["authors"] = [{"name": name} for name in details.authors]
    if details.license:
        values["license"] = details.license
    if details.citation:
        values["cite"] = [{"text": details.citation, **_leading_to(details.citation)}]
    return values


def _file(folder: Path, name: str) -> dict[str, str]:
    return {"source": name, "sha256": sha256((folder / name).read_bytes()).hexdigest()}


def _tolerance(folder: Path) -> dict[str, float]:
    highest = float(np.load(folder / TEST_OUTPUT).max())
    absolute = min(TOLERANCE, TOLERATED_SHARE * max(highest, 0.0))
    return {"relative_tolerance": TOLERANCE, "absolute_tolerance": absolute}


def _input_axes(description: ModelDescription, model: Model) -> list[dict[str, Any]]:
    tiles = Tiles(model)
    axes = []
    for place, axis in enumerate(description.architecture.axes):
        # At least a voxel must be left of an answer whose border is not trusted.
        trusted = 1 + 2 * _halo(tiles, place)
        least = axis.at_least(ceil((trusted + axis.context) / tiles.factor[place]))
        size = {"min": least, "step": axis.step}
        axes.append({**_axis(description, place, 1), "size": size})
    return axes


def _output_axes(description: ModelDescription, model: Model) -> list[dict[str, Any]]:
    tiles = Tiles(model)
    axes = []
    for place, axis in enumerate(description.architecture.axes):
        values = _axis(description, place, tiles.factor[place])
        size = {"tensor_id": RAW, "axis_id": values["id"], "offset": -axis.context}
        halo = _halo(tiles, place)
        axes.append({**values, "size": size, **({"halo": halo} if halo else {})})
    return axes


def _halo(tiles: Tiles, place: int) -> int:
    """Give the voxels at each end of an output that rest on made-up surroundings."""
    factor = int(
        tiles.factor[place]
    )  # in whole voxels of the raw data, as the specification wants it
    return -(-int(tiles.margin[place]) // factor) * factor


def _axis(description: ModelDescription, place: int, factor: int) -> dict[str, Any]:
    """Give an axis that is finer than the raw data by a factor."""
    size = description.voxel_size[place] if description.voxel_size else 1.0
    physical = description.voxel_size and description.unit == "nm"
    return {
        "type": "space",
        "id": "zyx"[-description.architecture.dims :][place],
        "scale": size / factor,
        **({"unit": "nanometer"} if physical else {}),
    }


def _name(description: ModelDescription, details: PackageDetails) -> str:
    """Give a name of the characters that a package may have."""
    least, most = NAME_LENGTHS
    name = re.sub(r"[^A-Za-z0-9_+\- ()]", "_", details.name or description.name).strip()
    if len(name) < least:
        name = f"{name} (network for {re.sub(r'[^A-Za-z0-9_]', '_', description.task.name)})"
    return name[:most].strip()


def _leading_to(citation: str) -> dict[str, str]:
    """Give where a citation leads, which `PackageDetails` has seen to be there."""
    for kind, pattern in (("doi", DOI), ("url", ADDRESS)):
        if found := re.search(pattern, citation):
            return {kind: found.group().rstrip(".,;)")}
    raise AssertionError("the details were checked")
