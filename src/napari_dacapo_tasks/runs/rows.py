"""The crops that a run learns from, and whether they go together."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from napari_dacapo_tasks.arrays import Array, GroundTruth, on_common_grid
from napari_dacapo_tasks.arrays.array import require_same_order
from napari_dacapo_tasks.errors import ConfigError, DataError
from napari_dacapo_tasks.runs.data_config import Use
from napari_dacapo_tasks.units import VOXEL, WorldUnit

MOST_NAMED = 3
"""Crops that a sentence names; of more it gives the number."""

KINDS = {
    "b": "values that are true or false",
    "u": "whole numbers without a sign",
    "i": "whole numbers with a sign",
    "f": "floating-point numbers",
}


@dataclass(frozen=True)
class Row:
    """A crop that a run learns from, as arrays; see `CropConfig`.

    Attributes
    ----------
    raw
        May be far larger than the labels.
    labels, mask
        Ids, and where they are known; without a mask they are known everywhere.
    raw_path
        A file that may hold the same raw data. If it does, a run names it instead of copying it.
    use, share, validation_block, name
        As of `CropConfig`.
    """

    raw: Array
    labels: Array
    mask: Array | None = None
    raw_path: str | Path | None = None
    use: Use = "train"
    share: float = 1.0
    validation_block: str | None = None
    name: str = ""


def named(names: Sequence[str]) -> list[str]:
    """Give every crop a name of its own: its number where it has none."""
    found: list[str] = []
    for number, name in enumerate(names, start=1):
        wanted = name = name or f"crop {number}"
        again = 1
        while name in found:
            again += 1
            name = f"{wanted} ({again})"
        found.append(name)
    return found


def rows_together(rows: Sequence[Row]) -> list[Row]:
    """Bring rows onto one grid, the arrays of each in line, and give each a name of its own.

    Raises
    ------
    ConfigError
        Where none of them trains.
    DataError
        Where their units, axes, voxel sizes, channels or kinds of numbers differ.
    """
    if not any(row.use == "train" for row in rows):
        raise ConfigError("No crop trains: set the use of at least one of them to train.")
    names = named([row.name for row in rows])
    placed = []
    for row, name in zip(rows, names, strict=True):
        with about(name, among=len(rows)):
            masks = [] if row.mask is None else [row.mask]
            raw, labels, *masks = lined_up(row.raw, row.labels, *masks)
        placed.append(replace(row, name=name, raw=raw, labels=labels, mask=next(iter(masks), None)))
    raws = {row.name: row.raw for row in placed}
    require_same_order(*raws.values())
    _agree(raws, _kind_of_unit, "give all of it the same units")
    finest = max((raw.unit for raw in raws.values()), key=lambda unit: unit.steps)
    placed = [_on_grid(row, finest) for row in placed]
    raws = {row.name: row.raw for row in placed}
    _agree(raws, lambda raw: f"{raw.dims} axes", "leave those out that have others")
    _agree(
        raws,
        lambda raw: f"voxels of {raw.unit.describe(raw.voxel_size)}",
        "a network learns from one voxel size, so bring all of it to the same",
    )
    _agree(
        raws,
        lambda raw: f"{raw.num_channels or 1} channel{'s' * ((raw.num_channels or 1) > 1)}",
        "a network sees the same channels everywhere, so leave those out that have others",
    )
    _agree(
        raws,
        lambda raw: KINDS.get(raw.dtype.kind, str(raw.dtype)),
        "convert all of it to the same type, so that the same value means the same",
    )
    return placed


@contextmanager
def about(name: str, among: int) -> Iterator[None]:
    """Say of which crop an error is, if there are several."""
    try:
        yield
    except (ConfigError, DataError) as error:
        if among == 1:
            raise
        raise type(error)(f"{name}: {error}") from error


def _agree(raws: Mapping[str, Array], fact: Callable[[Array], str], remedy: str) -> None:
    """Refuse raw data that differs in something, with the names of the crops."""
    crops: dict[str, list[str]] = {}
    for name, raw in raws.items():
        crops.setdefault(fact(raw), []).append(name)
    if len(crops) > 1:
        said = ", that of ".join(f"{_and(names)} has {value}" for value, names in crops.items())
        raise DataError(f"The raw data of {said}: {remedy}.")


def _and(names: Sequence[str]) -> str:
    if len(names) > MOST_NAMED:
        return f"{', '.join(names[:MOST_NAMED])} and {len(names) - MOST_NAMED} more"
    return " and ".join(filter(None, (", ".join(names[:-1]), names[-1])))


def _kind_of_unit(raw: Array) -> str:
    return "no physical unit" if raw.unit.name == VOXEL.name else "a physical unit"


def _on_grid(row: Row, unit: WorldUnit) -> Row:
    return replace(
        row,
        raw=row.raw.on_grid(unit),
        labels=row.labels.on_grid(unit),
        mask=None if row.mask is None else row.mask.on_grid(unit),
    )


def together(raw: Array, ground_truth: GroundTruth) -> tuple[Array, GroundTruth]:
    """Line up raw data and ground truth; raises DataError where that cannot be."""
    masks = [] if ground_truth.mask is None else [ground_truth.mask]
    raw, labels, *masks = lined_up(raw, ground_truth.labels, *masks)
    return raw, GroundTruth(labels, ground_truth.config, *masks)


def lined_up(raw: Array, *others: Array) -> tuple[Array, ...]:
    """Bring arrays onto one grid, and their voxels onto those of the raw data.

    What is off by part of a voxel moves to the nearest place where it is not, so that a crop
    begins with the same voxel however it is read.
    """
    raw, *others_on_grid = on_common_grid(raw, *others)
    return (raw, *(_moved_onto(raw, array) for array in others_on_grid))


def _moved_onto(raw: Array, array: Array) -> Array:
    if array.dims != raw.dims:
        return array  # refused where both meet
    size, origin = array.voxel_size, raw.roi.begin
    place = origin + (array.roi.begin - origin + size // 2) // size * size
    return array.moved_to(place)
