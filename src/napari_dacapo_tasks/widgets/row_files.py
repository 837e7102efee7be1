"""Opening files in the background: plain generators that never see a widget."""

from __future__ import annotations

from collections.abc import Generator, Iterator, Sequence
from dataclasses import dataclass
from itertools import zip_longest
from pathlib import Path

from napari_dacapo_tasks.arrays import Array
from napari_dacapo_tasks.arrays.open import images_at, open_array
from napari_dacapo_tasks.errors import DataError
from napari_dacapo_tasks.runs.data_config import CropConfig
from napari_dacapo_tasks.runs.datasplit import read_datasplit
from napari_dacapo_tasks.widgets.row_checks import TableRow
from napari_dacapo_tasks.widgets.row_sources import FileSource, Source

LABEL_WORDS = ("label", "gt", "ground", "truth", "seg", "neuron", "instance", "annotation")
MASK_WORDS = ("mask", "known", "valid")
"""What paths of labels and of masks usually have in them."""

WIDE_LABELS = 4
"""Bytes of whole numbers that are hardly ever raw data."""

Opened = tuple[str, Array | DataError]
"""A path, and what became of opening it."""


def open_paths(paths: Sequence[str]) -> Generator[Opened | None, None, None]:
    """Open arrays; nothing is read of them but what says where they lie."""
    yield None
    for path in paths:
        yield path, opened(path)


def opened(path: str) -> Array | DataError:
    """Give the array at a path, or why there is none."""
    try:
        return open_array(path)
    except DataError as error:
        return error


def found_rows(paths: Sequence[str]) -> Generator[None, None, list[TableRow]]:
    """Make rows of files and folders that a person has dropped: each raw with its ground truth.

    What belongs together is guessed: the arrays of one container do; of single files, the first
    raw and the first labels, and so on. Whatever is left alone makes a row that lacks the rest.
    """
    yield None
    rows: list[TableRow] = []
    single: list[tuple[str, Array]] = []
    for path in paths:
        found = list(_arrays_at(path))
        refused = [FileSource(name, array) for name, array in found if not _is_array(array)]
        rows += [TableRow(source, None) for source in refused]
        arrays = [(name, array) for name, array in found if isinstance(array, Array)]
        if len(arrays) > 1:
            rows += _paired(arrays)
        else:
            single += arrays
        yield None
    return rows + _paired(single)


def _arrays_at(path: str) -> Iterator[Opened]:
    """Give all arrays at a path: those of a container, or the only one."""
    for dataset in datasets_at(path) or [path]:
        yield dataset, opened(dataset)


def datasets_at(path: str) -> list[str]:
    """Give the paths of all arrays at a path: its own, or those of a container, if any opens."""
    try:
        return [place for place, _ in images_at(path)]
    except DataError:  # the sentence comes from opening it
        return []


def _is_array(found: Array | DataError) -> bool:
    return isinstance(found, Array)


def _paired(arrays: Sequence[tuple[str, Array]]) -> list[TableRow]:
    """Bring raw data, labels and masks together, in their order."""
    kinds: dict[str, list[Source]] = {"raw": [], "labels": [], "mask": []}
    for path, array in arrays:
        kinds[_kind(path, array)].append(FileSource(path, array))
    return [
        TableRow(raw, labels, mask)
        for raw, labels, mask in zip_longest(kinds["raw"], kinds["labels"], kinds["mask"])
    ]


def _kind(path: str, array: Array) -> str:
    """Guess from the name, and from the numbers, what an array is."""
    # Folders above may be called anything.
    name = "/".join(Path(path).parts[-2:]).lower()
    whole = array.dtype.kind in "biu" and array.num_channels is None
    if whole and any(word in name for word in MASK_WORDS):
        return "mask"
    wide = array.dtype.itemsize >= WIDE_LABELS
    if whole and (wide or any(word in name for word in LABEL_WORDS)):
        return "labels"
    return "raw"


@dataclass(frozen=True)
class Looked:
    """What is at a path.

    Attributes
    ----------
    path
        Of the array.
    datasets
        Paths of all arrays in the container there; none for a file that is one array.
    array
        The one at the path, or why there is none.
    """

    path: str
    datasets: list[str]
    array: Array | DataError


def look_at(path: str) -> Generator[None, None, Looked]:
    """Look what a person may mean by a path; of a container with a single array, that."""
    yield None
    datasets = datasets_at(path)
    if len(datasets) == 1:
        path = datasets[0]
    return Looked(path, datasets, opened(path))


def listed_rows(path: str) -> Generator[None, None, list[TableRow]]:
    """Give the rows that a CSV file of DaCapo's names; ConfigError where it cannot be read."""
    yield None
    return [row_of_crop(crop) for crop in read_datasplit(path)]


def named_only(crop: CropConfig) -> TableRow:
    """Make a row that only shows what a run in a folder has, whose files are not opened."""
    return row_of_crop(crop, DataError(f"{crop.raw} is only named here."))


def said_of(crop: CropConfig) -> str:
    """Say of a crop of a run what its row does not show otherwise."""
    if crop.validation_block:
        return f"validates on {crop.validation_block}"
    return crop.raw if Path(crop.raw).is_absolute() else "in the run folder"


def row_of_crop(crop: CropConfig, opened: DataError | None = None) -> TableRow:
    """Make a row of paths, which are opened later, or (with a reason) never."""
    return TableRow(
        FileSource(crop.raw, opened),
        FileSource(crop.gt, opened),
        None if crop.mask is None else FileSource(crop.mask, opened),
        use=crop.use,
        share=crop.share,
        block=crop.validation_block,
        title=crop.name,
    )
