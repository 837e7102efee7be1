"""Packages of bioimage.io as files, checked by ``bioimageio.spec``; importing this imports it."""

from __future__ import annotations

import zipfile
from difflib import get_close_matches
from pathlib import Path
from typing import Any, get_args

import bioimageio.spec
import pydantic
from bioimageio.spec import InvalidDescr, ValidationContext, build_description
from bioimageio.spec.model import v0_5
from loguru import logger
from pydantic_core import PydanticSerializationError

from napari_dacapo_tasks.architectures import Model
from napari_dacapo_tasks.errors import ConfigError
from napari_dacapo_tasks.prediction.export.description import ModelDescription
from napari_dacapo_tasks.prediction.export.details import PackageDetails
from napari_dacapo_tasks.prediction.export.package_model import model_values
from napari_dacapo_tasks.tasks.files import write_yaml

YAML = "bioimageio.yaml"

COMPRESSION = 1
"""Weights hardly become smaller, however long one tries."""


def write_package(
    path: Path,
    folder: Path,
    description: ModelDescription,
    details: PackageDetails,
    model: Model,
) -> None:
    """Write the zip of a folder's files, and let ``bioimageio.spec`` check it.

    Parameters
    ----------
    path
        Of the zip.
    folder
        Holds the files that `package_files` names.
    description, details
        What is said of the network.
    model
        The network.

    Raises
    ------
    ConfigError
        Where ``bioimageio.spec`` refuses it.
    """
    if not works_here():
        raise ConfigError(
            f"bioimageio.spec {bioimageio.spec.__version__} does not work with pydantic "
            f"{pydantic.VERSION}: install another version of one of them, such as pydantic 2.13."
        )
    _check_licence(details.license)
    version = v0_5.ModelDescr.implemented_format_version
    values = model_values(folder, description, details, model, version)
    without_citation = {name: value for name, value in values.items() if name != "cite"}
    # An address would be looked up where files are checked, and this must work offline.
    _check(without_citation, folder, files=True)
    _check(values, folder, files=False)
    write_yaml(values, folder / YAML)
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=COMPRESSION) as package:
        for file in sorted(folder.iterdir()):
            package.write(file, file.name)


def _check(values: dict[str, Any], folder: Path, *, files: bool) -> None:
    """Raise ConfigError where ``bioimageio.spec`` refuses a description; it prints nothing."""
    context = ValidationContext(
        root=folder, perform_io_checks=files, log_warnings=False, progressbar=False
    )
    logger.disable("bioimageio")
    try:
        found = build_description(values, context=context)
    finally:
        logger.enable("bioimageio")
    if isinstance(found, InvalidDescr):
        reason = " ".join(str(found.get_reason() or "it gives no reason").split())
        raise ConfigError(f"bioimageio.spec refuses the package: {reason.rstrip('.')}.")


def works_here() -> bool:
    """Whether ``bioimageio.spec`` can read any package with the pydantic that is installed.

    Version 0.5.12 gives what pydantic calls the info of a serialiser in the place of a key, which
    pydantic refuses from 2.14 on.
    """
    weights = v0_5.TorchscriptWeightsDescr(
        source=Path(__file__), pytorch_version=v0_5.Version("2.0")
    )
    try:
        weights.model_dump(mode="json")
    except PydanticSerializationError:
        return False
    return True


def _check_licence(name: str) -> None:
    known = get_args(v0_5.LicenseId.root_model.model_fields["root"].annotation)
    if not name or name in known:
        return
    close = get_close_matches(name, known, n=1)
    hint = f"did you mean {close[0]}?" if close else "take the name that SPDX has for it."
    raise ConfigError(f"The licence {name} is not known; {hint}")
