"""Networks as files that PyTorch runs by itself."""

from __future__ import annotations

import json
import zipfile
from collections.abc import Generator, Mapping
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING

from napari_dacapo_tasks.arrays.ome_zarr import refuse_taken
from napari_dacapo_tasks.errors import ConfigError
from napari_dacapo_tasks.prediction.export.description import (
    DESCRIPTION,
    WEIGHTS,
    ModelDescription,
)
from napari_dacapo_tasks.prediction.export.exported import Exported
from napari_dacapo_tasks.prediction.export.files import whole_file
from napari_dacapo_tasks.runs.fit import by

if TYPE_CHECKING:
    from torch import Tensor

    from napari_dacapo_tasks.prediction.trained import TrainedModel

EXPORT = ".pt2"
"""How the name of a program of ``torch.export`` ends."""

SCRIPT = (".pt", ".pth", ".ts")
"""How the name of a program of TorchScript may end."""

INSIDE = "napari_dacapo_tasks.json"
"""Extra file in both that says what the network is."""


def export_torch(trained: TrainedModel, path: str | Path) -> Generator[float, None, Exported]:
    """Write a file that PyTorch runs without this program, from raw values to the prediction.

    It takes float32 ``(batch, channels, *shape)`` of any shape that fits the network, in the
    values of the raw data, and gives ``(batch, channels, *shape)``. What is written is read and
    tried before it takes its name. This program reads it back, too: see `read_exported`.

    Parameters
    ----------
    trained
        Any.
    path
        Ends in ``.pt2`` for a program of ``torch.export``, or in ``.pt``, ``.pth`` or ``.ts`` for
        one of TorchScript. It must not exist.

    Yields
    ------
    float
        Share that is done. To cancel, leave the generator.

    Raises
    ------
    DataError
        Where the path is taken or cannot be written.
    ConfigError
        Where the name ends otherwise, or the network cannot be stored so.
    """
    path = Path(path)
    if path.suffix not in (EXPORT, *SCRIPT):
        raise ConfigError(
            f"{path.name} must end in {EXPORT}, for torch.export, or in {SCRIPT[0]}, for "
            "TorchScript."
        )
    refuse_taken(path)
    yield 0.0
    import torch

    from napari_dacapo_tasks.prediction.export.program import (
        Program,
        exported,
        least_shape,
        load_script,
        require_same,
        save_exported,
        save_script,
        traced,
    )

    model = trained.build()
    program = Program(model, trained.intensity_range).eval()
    description = json.dumps(ModelDescription.of(trained).to_values())
    about = {INSIDE: description}
    yield 0.1
    with whole_file(path) as partial:
        if path.suffix == EXPORT:
            made = exported(program, trained.architecture)
            yield 0.7
            save_exported(made, partial, about)
            _attach(partial, description, trained.weights)
            yield 0.8
            stored = torch.export.load(partial).module()
            what = "A program of torch.export"
        else:
            made = traced(program, trained.architecture)
            yield 0.7
            save_script(made, partial, about)
            _attach(partial, description, trained.weights)
            yield 0.8
            stored = load_script(partial)
            what = "A program of TorchScript"
        require_same(stored, program, trained.architecture, what)
        least = by(least_shape(stored, program, trained.architecture))
    axes = ", ".join(["batch", "channels", *"zyx"[-trained.architecture.dims :]])
    steps = by([axis.step for axis in trained.architecture.axes])
    usage = f"It takes raw values as float32 ({axes}), {least} voxels or more in steps of {steps}."
    return Exported(path.absolute(), (usage,))


def _attach(program: Path, description: str, weights: Mapping[str, Tensor]) -> None:
    """Add what `read_exported` takes, so that it need not run what stands in a file.

    Programs of both kinds are zips, of which PyTorch reads only what it knows. Its own way to add
    files takes text only.
    """
    from napari_dacapo_tasks.architectures.weights import write_checkpoint

    content = BytesIO()
    write_checkpoint({"model": dict(weights)}, content)
    with zipfile.ZipFile(program, "a") as package:
        folder, slash, _ = package.namelist()[0].partition("/")
        folder = folder + slash if slash else ""
        package.writestr(f"{folder}{DESCRIPTION}", description)  # what is JSON is YAML
        package.writestr(f"{folder}{WEIGHTS}", content.getvalue())
