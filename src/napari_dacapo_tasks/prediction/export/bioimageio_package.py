"""Packages for bioimage.io."""

from __future__ import annotations

from collections.abc import Generator
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from napari_dacapo_tasks.arrays import Array
from napari_dacapo_tasks.arrays.ome_zarr import refuse_taken
from napari_dacapo_tasks.errors import ConfigError
from napari_dacapo_tasks.prediction.export.description import (
    DESCRIPTION,
    WEIGHTS,
    ModelDescription,
)
from napari_dacapo_tasks.prediction.export.details import PackageDetails
from napari_dacapo_tasks.prediction.export.example_raw import middle_of
from napari_dacapo_tasks.prediction.export.exported import Exported
from napari_dacapo_tasks.prediction.export.files import whole_file
from napari_dacapo_tasks.prediction.export.package_files import (
    DOCUMENTATION,
    PROGRAM,
    TEST_INPUT,
    TEST_OUTPUT,
)
from napari_dacapo_tasks.prediction.export.package_text import documentation
from napari_dacapo_tasks.runs.intensity import normalised
from napari_dacapo_tasks.tasks.files import write_yaml

if TYPE_CHECKING:
    from napari_dacapo_tasks.prediction.trained import TrainedModel

SUFFIX = ".zip"


def export_bioimageio(
    trained: TrainedModel,
    path: str | Path,
    test_raw: Array | None = None,
    details: PackageDetails | None = None,
) -> Generator[float, None, Exported]:
    """Write a bioimage.io package: the network as TorchScript, with all that describes it.

    This program reads it back, too: see `read_exported`. Nothing is looked up in the network of
    computers, neither here nor when the package is checked before it takes its name.

    Parameters
    ----------
    trained
        Any.
    path
        Ends in ``.zip``; it must not exist.
    test_raw
        Raw data of which the middle is kept in the package, together with what the network
        answers for it, so that others can see whether it does the same there. Left out, it is
        noise.
    details
        What else others should know.

    Yields
    ------
    float
        Share that is done. To cancel, leave the generator.

    Raises
    ------
    DataError
        Where the path is taken or cannot be written, or the raw data has other channels or axes.
    ConfigError
        Where ``bioimageio.spec`` is not installed, or refuses what the package would say.
    """
    path = Path(path)
    if path.suffix != SUFFIX:
        raise ConfigError(f"{path.name} must end in {SUFFIX}: a bioimage.io package is a zip.")
    refuse_taken(path)
    _require_bioimageio()
    yield 0.0
    import torch

    from napari_dacapo_tasks.architectures.weights import write_checkpoint
    from napari_dacapo_tasks.prediction.export.package_zip import write_package
    from napari_dacapo_tasks.prediction.export.program import (
        Program,
        load_script,
        made_up_raw,
        require_same,
        save_script,
        traced,
        try_shapes,
    )

    description = ModelDescription.of(trained)
    details = details or PackageDetails()
    model = trained.build()
    shape = next(try_shapes(trained.architecture))
    if test_raw is None:
        raw = made_up_raw(trained.architecture, shape, trained.intensity_range)
    else:
        raw = middle_of(test_raw, trained.architecture, shape)
    with torch.no_grad():
        answer = model(torch.from_numpy(normalised(raw, trained.intensity_range))[None]).numpy()
    yield 0.2
    with whole_file(path) as partial:
        folder = partial.parent / "content"
        folder.mkdir()
        program = Program(model).eval()
        save_script(traced(program, trained.architecture), folder / PROGRAM)
        stored = load_script(folder / PROGRAM)
        require_same(stored, program, trained.architecture, "A program of TorchScript")
        yield 0.5
        with open(folder / WEIGHTS, "wb") as file:
            write_checkpoint({"model": dict(trained.weights)}, file)
        write_yaml(description.to_values(), folder / DESCRIPTION)
        np.save(folder / TEST_INPUT, raw[None])
        np.save(folder / TEST_OUTPUT, answer)
        (folder / DOCUMENTATION).write_text(documentation(description), encoding="utf-8")
        yield 0.6
        write_package(partial, folder, description, details, model)
    return Exported(path.absolute(), _notices(details, test_raw))


def _notices(details: PackageDetails, test_raw: Array | None) -> tuple[str, ...]:
    notices = []
    if test_raw is None:
        notices.append("The test data in the package is noise: give raw data to show more.")
    wished = {
        "authors": details.authors,
        "a licence": details.license,
        "a citation": details.citation,
    }
    missing = [name for name, value in wished.items() if not value]
    if missing:
        notices.append(
            "The package is valid; to publish it in the collection of bioimage.io, name "
            f"{', '.join(missing)}, too."
        )
    return tuple(notices)


def _require_bioimageio() -> None:
    from importlib.util import find_spec

    if find_spec("bioimageio") is None or find_spec("bioimageio.spec") is None:
        raise ConfigError(
            "A bioimage.io package needs bioimageio.spec, which is not installed: install "
            "napari-dacapo-tasks[bioimageio]."
        )
