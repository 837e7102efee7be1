"""Tables of crops: DaCapo's CSV of a data split, and the same with a header and more columns."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from napari_dacapo_tasks.arrays import Array
from napari_dacapo_tasks.arrays.open import open_array
from napari_dacapo_tasks.errors import ConfigError
from napari_dacapo_tasks.runs.data_config import CropConfig
from napari_dacapo_tasks.runs.rows import Row, about, named
from napari_dacapo_tasks.tasks.values import validated

DACAPO = ("dataset_type", "raw_container", "raw_dataset", "gt_container", "gt_dataset")
"""Columns of a table without a header."""

COLUMNS = {
    **dict.fromkeys(("use", "dataset_type", "type", "split"), "use"),
    **dict.fromkeys(("gt", "labels", "ground_truth"), "gt"),
    **{name: name for name in ("raw", "mask", "share", "validation_block", "name")},
    **{
        f"{array}_{part}": f"{array}_{part}"
        for array in ("raw", "gt", "mask")
        for part in ("container", "dataset")
    },
}
"""What a header can name, in small letters, and what that is."""

USES = {
    **dict.fromkeys(("train", "training"), "train"),
    **dict.fromkeys(("val", "validate", "validation"), "validate"),
    "off": "off",
}

FILES = (".h5", ".hdf5", ".hdf")
"""Containers in which a data set stands after a colon."""


def read_datasplit(path: str | Path) -> list[CropConfig]:
    """Read a table of crops.

    Without a header its lines are as DaCapo writes them: ``train`` or ``val``, container and data
    set of the raw data, container and data set of the labels. A header can name these columns
    (`DACAPO`), or ``use``, ``raw``, ``gt``, ``mask``, ``share``, ``validation_block`` and
    ``name``, in any order. Empty lines and those that begin with ``#`` are passed over.

    Parameters
    ----------
    path
        Of the CSV file; relative paths in it begin at its folder.

    Returns
    -------
    list of CropConfig
        With absolute paths, which are not opened.

    Raises
    ------
    ConfigError
        Where the file cannot be read, and for lines that are not understood, with their number.
    """
    path = Path(path).absolute()
    try:
        with open(path, newline="", encoding="utf-8-sig") as file:
            reader = csv.reader(file, skipinitialspace=True)
            lines = [(reader.line_num, [cell.strip() for cell in cells]) for cells in reader]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        reason = getattr(error, "strerror", None) or error
        raise ConfigError(f"{path} cannot be read as a table: {reason}.") from error
    lines = [
        (number, cells) for number, cells in lines if any(cells) and not cells[0].startswith("#")
    ]
    if not lines:
        raise ConfigError(f"{path} holds no crop: write a line for each.")
    columns = _header(path, *lines[0])
    if columns is None:
        columns = [COLUMNS[name] for name in DACAPO]
    else:
        del lines[0]
    if not lines:
        raise ConfigError(f"{path} holds no crop below its header: write a line for each.")
    return [_crop(path, number, columns, cells) for number, cells in lines]


def open_rows(crops: Iterable[CropConfig]) -> list[Row]:
    """Open crops by their paths, each file once; raises DataError with the name of the crop."""
    crops = list(crops)
    opened: dict[str, Array] = {}

    def array(path: str) -> Array:
        if path not in opened:
            opened[path] = open_array(path)
        return opened[path]

    rows = []
    names = named([crop.name for crop in crops])
    for crop, name in zip(crops, names, strict=True):
        with about(name, among=len(crops)):
            rows.append(
                Row(
                    raw=array(crop.raw),
                    labels=array(crop.gt),
                    mask=None if crop.mask is None else array(crop.mask),
                    raw_path=crop.raw,
                    use=crop.use,
                    share=crop.share,
                    validation_block=crop.validation_block,
                    name=crop.name,
                )
            )
    return rows


def _header(path: Path, number: int, cells: Sequence[str]) -> list[str] | None:
    """Give what the columns are; None where the line is no header."""
    names = [cell.lower().replace(" ", "_") for cell in cells]
    if names[0] in USES or not any(name in COLUMNS for name in names):
        return None
    for name in names:
        if name not in COLUMNS:
            raise ConfigError(
                f"Line {number} of {path} names a column {name or 'without a name'}: known are "
                f"{', '.join(dict.fromkeys(COLUMNS.values()))}."
            )
    columns = [COLUMNS[name] for name in names]
    for array in ("raw", "gt"):
        if array not in columns and f"{array}_container" not in columns:
            raise ConfigError(
                f"Line {number} of {path} names no column {array} or {array}_container: each crop "
                "needs raw data and ground truth."
            )
    return columns


def _crop(path: Path, number: int, columns: Sequence[str], cells: Sequence[str]) -> CropConfig:
    source = f"Line {number} of {path}"
    if len(cells) != len(columns):
        raise ConfigError(
            f"{source} has {len(cells)} values, but there are {len(columns)} columns: "
            f"{', '.join(columns)}."
        )
    given = {name: cell for name, cell in zip(columns, cells, strict=True) if cell}
    use = given.pop("use", "train")
    if use.lower() not in USES:
        raise ConfigError(f"{source} is to be used as {use}: write train, val or off.")
    values = {"use": USES[use.lower()]}
    for array in ("raw", "gt", "mask"):
        place = _place(path, source, array, given)
        if place is not None:
            values[array] = place
        elif array != "mask":
            raise ConfigError(f"{source} has no {array}: each crop needs raw data and labels.")
    for name in ("share", "validation_block", "name"):
        if name in given:
            values[name] = given[name]
    return validated(CropConfig, values, source)


def _place(path: Path, source: str, array: str, given: Mapping[str, str]) -> str | None:
    """Give the absolute path of an array, of its container and data set or as it is written."""
    container = given.get(f"{array}_container") or given.get(array)
    if container is None:
        return None
    dataset = given.get(f"{array}_dataset", "").strip("/")
    before, bracket, classes = dataset.partition("[")
    if bracket:
        names = [name.strip() for name in classes.partition("]")[0].split("&")]
        if len(names) > 1:
            ids = ", ".join(f"{number} {name}" for number, name in enumerate(names, 1))
            raise ConfigError(
                f"{source} names an array for each of the classes {', '.join(names)}, but the "
                f"labels of a crop are one array here: merge them into one ({ids}), write its path "
                f"in the place of {dataset}, and give the task's channels these ids (on the "
                f"command line: --channel {names[0]}=1 --channel {names[1]}=2 and so on)."
            )
        dataset = f"{before}{names[0]}"
    place = str(path.parent / container)
    if not dataset:
        return place
    return f"{place}{':' if Path(container).suffix.lower() in FILES else '/'}{dataset}"
