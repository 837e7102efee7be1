"""Trained networks for other programs, and back from there.

Importing this imports neither torch nor bioimageio; exporting does.
"""

from napari_dacapo_tasks.prediction.export.bioimageio_package import export_bioimageio
from napari_dacapo_tasks.prediction.export.dacapo_folder import export_dacapo
from napari_dacapo_tasks.prediction.export.details import PackageDetails
from napari_dacapo_tasks.prediction.export.export import FORMATS, Format, FormatName, export
from napari_dacapo_tasks.prediction.export.exported import Exported
from napari_dacapo_tasks.prediction.export.read import is_exported, read_description, read_exported
from napari_dacapo_tasks.prediction.export.torch_file import export_torch

__all__ = [
    "FORMATS",
    "Exported",
    "Format",
    "FormatName",
    "PackageDetails",
    "export",
    "export_bioimageio",
    "export_dacapo",
    "export_torch",
    "is_exported",
    "read_description",
    "read_exported",
]
