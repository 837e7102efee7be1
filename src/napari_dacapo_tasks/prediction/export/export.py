"""Trained networks in the formats of other programs."""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from napari_dacapo_tasks.arrays import Array
from napari_dacapo_tasks.prediction.export.bioimageio_package import export_bioimageio
from napari_dacapo_tasks.prediction.export.dacapo_folder import export_dacapo
from napari_dacapo_tasks.prediction.export.details import PackageDetails
from napari_dacapo_tasks.prediction.export.exported import Exported
from napari_dacapo_tasks.prediction.export.torch_file import export_torch

if TYPE_CHECKING:
    from napari_dacapo_tasks.prediction.trained import TrainedModel

FormatName = Literal["bioimageio", "torch", "dacapo"]


@dataclass(frozen=True)
class Format:
    """A format of other programs.

    Attributes
    ----------
    title
        For people.
    description
        Who can use it, a sentence.
    suffix
        How the file's name ends; nothing for a folder.
    """

    title: str
    description: str
    suffix: str


FORMATS: dict[FormatName, Format] = {
    "bioimageio": Format(
        "bioimage.io package",
        "A file for all programs that know bioimage.io, as ilastik, deepImageJ and QuPath, and "
        "for this one.",
        ".zip",
    ),
    "torch": Format(
        "PyTorch program",
        "A file that PyTorch runs without this program, from raw values to the prediction; this "
        "program predicts with it, too.",
        ".pt2",
    ),
    "dacapo": Format(
        "DaCapo folder",
        "A folder with the task, the network and its weights, as DaCapo has them.",
        "",
    ),
}
"""Every format, the most common first."""


def export(
    trained: TrainedModel,
    path: str | Path,
    format: FormatName,
    *,
    test_raw: Array | None = None,
    details: PackageDetails | None = None,
) -> Generator[float, None, Exported]:
    """Write a network in the format of other programs; whole, or not at all.

    Parameters
    ----------
    trained
        As `open_trained` gives it.
    path
        File or folder to make, which must not exist.
    format
        One of `FORMATS`.
    test_raw
        Raw data to show what the network answers, for bioimage.io; made up where left out.
    details
        What else others should know, for bioimage.io.

    Yields
    ------
    float
        Share that is done. To cancel, leave the generator.

    Raises
    ------
    DataError
        Where the path is taken or cannot be written.
    ConfigError
        Where the format cannot hold this network, or a package that it needs is missing.
    """
    if format == "bioimageio":
        return (yield from export_bioimageio(trained, path, test_raw, details))
    if format == "torch":
        return (yield from export_torch(trained, path))
    return (yield from export_dacapo(trained, path))
