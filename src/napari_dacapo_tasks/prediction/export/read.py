"""Trained networks out of what an export has made."""

from __future__ import annotations

import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from napari_dacapo_tasks.errors import ConfigError, DataError
from napari_dacapo_tasks.prediction.export.description import (
    DESCRIPTION,
    WEIGHTS,
    ModelDescription,
)
from napari_dacapo_tasks.tasks.files import parse_yaml

if TYPE_CHECKING:
    from napari_dacapo_tasks.architectures.weights import Weights
    from napari_dacapo_tasks.prediction.trained import TrainedModel

MOST_TEXT = 1 << 22
"""Bytes of a description at most: it holds some dozens of lines."""

READ_BACK = "a package, a program of PyTorch or a folder for DaCapo that this program has exported"


def is_exported(path: str | Path) -> bool:
    """Say whether a path looks like something that `read_exported` reads; cheap."""
    try:
        with _opened(Path(path)):
            return True
    except DataError:
        return False


def read_description(path: str | Path) -> ModelDescription:
    """Read what a network is, without its weights; raises as `read_exported`."""
    with _opened(Path(path)) as files:
        return files.description()


def read_exported(path: str | Path) -> TrainedModel:
    """Read a network that `export` has written, in whichever format.

    No code in it is run: the network is built anew from its parameters, and takes the weights.

    Parameters
    ----------
    path
        A package, unpacked or not, a program of PyTorch, or a folder.

    Raises
    ------
    DataError
        Where the file cannot be read, is damaged, or is none of these.
    ConfigError
        Where its parameters are refused, or its weights are those of another network.
    """
    with _opened(Path(path)) as files:
        description = files.description()
        return description.with_weights(files.weights(description))


class _Files:
    """The files of an export, in a folder or in a zip."""

    def __init__(self, path: Path, package: zipfile.ZipFile | None, inside: str = "") -> None:
        self.path = path
        self._package = package
        self._inside = inside

    def description(self) -> ModelDescription:
        source = f"{DESCRIPTION} in {self.path}"
        with self._file(DESCRIPTION) as file:
            if file.stat().st_size > MOST_TEXT:
                raise DataError(f"{source} is far too large to say what a network is.")
            try:
                text = file.read_text(encoding="utf-8")
            except UnicodeDecodeError:
                raise DataError(f"{source} is no text: export the network again.") from None
        values = parse_yaml(text, source)
        if not isinstance(values, dict):
            raise ConfigError(f"{source} does not hold named values: export the network again.")
        return ModelDescription.from_values({str(name): values[name] for name in values}, source)

    def weights(self, description: ModelDescription) -> Weights:
        import torch

        from napari_dacapo_tasks.architectures.weights import (
            check_weights,
            read_checkpoint,
            weights_to_predict,
        )

        described = f"{WEIGHTS} in {self.path}"
        with self._file(WEIGHTS) as file:
            try:
                content = read_checkpoint(file)
            except DataError as error:
                raise DataError(str(error).replace(str(file), described)) from error
        weights = weights_to_predict(content, described)
        task = description.task
        with torch.device("meta"):  # shapes only: no memory, and no random numbers
            model = task.task_type(task).predictor.create_model(description.architecture)
        check_weights(model, {"model": weights}, described=described)
        return weights

    @contextmanager
    def _file(self, name: str) -> Iterator[Path]:
        """Give the path of a file, unpacked where it is in a zip."""
        if self._package is None:
            if not (self.path / name).is_file():
                raise DataError(f"{self.path} has no {name}: export the network again.")
            yield self.path / name
            return
        with TemporaryDirectory() as folder:
            try:
                # Under a name of ours: those in a zip can point anywhere.
                out = Path(folder) / "content"
                with self._package.open(self._inside + name) as packed, open(out, "wb") as file:
                    while block := packed.read(1 << 20):
                        file.write(block)
            except (KeyError, OSError, RuntimeError, zipfile.BadZipFile, EOFError) as error:
                raise DataError(
                    f"{name} in {self.path} cannot be read: the package is damaged or incomplete; "
                    "export the network again."
                ) from error
            yield out


@contextmanager
def _opened(path: Path) -> Iterator[_Files]:
    path = path.absolute()
    if path.is_dir():
        if not (path / DESCRIPTION).is_file():
            raise DataError(f"{path} is no exported network: choose {READ_BACK}.")
        yield _Files(path, None)
        return
    if not path.exists():
        raise DataError(f"There is nothing at {path}: choose {READ_BACK}.")
    try:
        package = zipfile.ZipFile(path)
    except (OSError, zipfile.BadZipFile) as error:
        raise DataError(f"{path} is no exported network: choose {READ_BACK}.") from error
    with package:
        for name in package.namelist():
            folder, slash, file = name.rpartition("/")
            if file == DESCRIPTION:  # PyTorch has all of its files in a folder
                yield _Files(path, package, folder + slash)
                return
        raise DataError(f"{path} does not say which task and network it holds: choose {READ_BACK}.")
