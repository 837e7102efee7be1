"""Where an array of a row comes from: a layer of the viewer, or a file."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from napari.layers import Layer

from napari_dacapo_tasks.arrays import Array
from napari_dacapo_tasks.arrays.open import split_path
from napari_dacapo_tasks.errors import DataError
from napari_dacapo_tasks.widgets.layers import array_of


@dataclass(frozen=True, eq=False)
class LayerSource:
    """A layer, and the layers of its viewer, which it may leave.

    Attributes
    ----------
    layer
        As it is when it is read: it may be painted in and moved until then.
    layers
        Those of the viewer.
    """

    layer: Layer
    layers: Sequence[Layer]

    @property
    def name(self) -> str:
        """What it is called."""
        return str(self.layer.name)

    @property
    def path(self) -> str | None:
        """The file that the layer was opened from, which may hold just that."""
        path = self.layer.source.path
        return None if path is None else str(path)

    def array(self) -> Array:
        """Give the array, without a copy; raises DataError where the layer cannot be used."""
        if self.layer not in self.layers:
            raise DataError(
                f"The layer '{self.name}' was removed: choose another one, or remove the row."
            )
        return array_of(self.layer)


@dataclass(frozen=True, eq=False)
class FileSource:
    """A file or folder, perhaps with the path of an array in it, as `open_array` takes it.

    Attributes
    ----------
    path
        Such as ``volume.ome.zarr/labels/neurons`` or ``file.h5:raw``.
    opened
        What became of opening it; None while that goes on.
    """

    path: str
    opened: Array | DataError | None = None

    @property
    def name(self) -> str:
        """What it is called: its file, or within a container the last two parts of its path."""
        path = Path(self.path)
        return path.name if path.suffix else "/".join(path.parts[-2:])

    @property
    def gone(self) -> bool:
        """Whether the file is there no more."""
        return not split_path(self.path)[0].exists()

    def array(self) -> Array:
        """Give the array; raises DataError where it could not be opened, or is there no more."""
        if self.opened is None:
            raise DataError(f"{self.path} is being opened: wait a moment.")
        if isinstance(self.opened, DataError):
            raise self.opened
        if self.gone:
            raise DataError(f"{self.path} is there no more: bring it back, or remove the row.")
        return self.opened


Source = LayerSource | FileSource
