"""What can be done with whole runs: duplicate, delete, compare."""

from __future__ import annotations

import os
import shutil
from collections.abc import Generator, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import uuid4

from napari_dacapo_tasks.arrays.ome_zarr import PARTIAL, new_folder, refuse_taken
from napari_dacapo_tasks.errors import RunError
from napari_dacapo_tasks.runs.config import RunConfig
from napari_dacapo_tasks.runs.data_config import CropConfig
from napari_dacapo_tasks.runs.files import CONFIG, is_run, told
from napari_dacapo_tasks.runs.lock import is_locked
from napari_dacapo_tasks.runs.overrides import with_overrides
from napari_dacapo_tasks.runs.pretrained import (
    first_weights,
    keep_weights,
    task_from_folder,
    task_in_folder,
)
from napari_dacapo_tasks.runs.run_folder import LOCK, RunFolder
from napari_dacapo_tasks.tasks import PretrainedTaskConfig

ARRAYS = ("raw", "gt", "mask")
"""Fields of a crop that are paths."""


@dataclass(frozen=True)
class Difference:
    """A parameter that is not the same in all runs.

    Attributes
    ----------
    name
        With dots, as `with_overrides` takes it.
    values
        In each run, None where it has no such parameter.
    """

    name: str
    values: tuple[Any, ...]


def duplicate(
    run: RunFolder, path: str | Path, changes: Mapping[str, str] | None = None
) -> Generator[float, None, RunFolder]:
    """Make a new run of the same data, without what came of training the first.

    What the first has inside of its folder is copied: ground truth, raw data, and the weights that
    it began with. It is made beside and renamed at the end: to cancel, leave the generator.

    Parameters
    ----------
    run
        The one to begin from.
    path
        The new folder; it must not exist, or be empty.
    changes
        Parameters by dotted name, as `with_overrides` takes them; none are the same run again.

    Yields
    ------
    float
        Share that is done.

    Returns
    -------
    RunFolder
        The new run.

    Raises
    ------
    ConfigError, DataError
        Where a change is refused, first weights do not fit the changed network, or the folder is
        not empty.
    RunError
        Where something cannot be read or written.
    """
    path = Path(path).absolute()
    refuse_taken(path)
    config = with_overrides(run.config, dict(changes or {}))
    yield 0.0
    weights = first_weights(task_from_folder(config.task, run.path), config.architecture)
    crops, inside = _crops_elsewhere(run, config.data.crops)
    data = config.data.model_copy(update={"crops": crops})
    config = config.model_copy(update={"data": data, "task": task_in_folder(config.task)})
    files = [file for part in sorted(inside) for file in _files_below(run.path / part)]
    sizes = [file.stat().st_size + 1 for file in files]
    done = 0
    with told(path), new_folder(path) as folder:
        for file, size in zip(files, sizes, strict=True):
            copied = folder / file.relative_to(run.path)
            copied.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(file, copied)
            done += size
            yield done / sum(sizes)
        if weights is not None:
            keep_weights(weights, folder)
        config.save(folder / CONFIG)
    return RunFolder.open(path)


def delete(path: str | Path) -> None:
    """Delete a run, whether it can still be read or not.

    Raises
    ------
    RunError
        Where it is being trained, the folder is no run, or something of it cannot be deleted.
    """
    path = Path(path).absolute()
    if not is_run(path):
        raise RunError(f"{path} is no run folder: it has no {CONFIG}, so it is not deleted.")
    with told(path, "deleted"):
        if is_locked(path / LOCK):
            raise RunError(f"The run {path} is being trained: stop that first.")
        # First it is no run any more, so that whatever happens then leaves no half of one.
        gone = path.with_name(f".{path.name}.{uuid4().hex[:8]}{PARTIAL}")
        os.rename(path, gone)
        if gone.is_symlink():
            gone, link = gone.resolve(), gone
            link.unlink()
    with told(gone, "deleted"):
        shutil.rmtree(gone)


def differences(configs: Iterable[RunConfig]) -> list[Difference]:
    """Give the parameters in which runs differ, in the order of the first run that has them."""
    columns = [dict(_parameters(config)) for config in configs]
    names = dict.fromkeys(name for column in columns for name in column)
    rows = (Difference(name, tuple(column.get(name) for column in columns)) for name in names)
    return [row for row in rows if any(value != row.values[0] for value in row.values)]


def _parameters(config: RunConfig) -> Iterator[tuple[str, Any]]:
    for name in RunConfig.model_fields:
        part = getattr(config, name)
        task = part.sub_task_config if isinstance(part, PretrainedTaskConfig) else part
        if name == "task":
            yield "task", task.title
        yield from _flat(name, part.model_dump(mode="json"))


def _flat(name: str, value: Any) -> Iterator[tuple[str, Any]]:
    """Take nested values apart; lists of plain values stay whole."""
    if isinstance(value, dict):
        for key, inner in value.items():
            yield from _flat(f"{name}.{key}", inner)
    elif isinstance(value, list) and any(isinstance(one, dict) for one in value):
        for number, inner in enumerate(value):
            yield from _flat(f"{name}.{number}", inner)
    else:
        yield name, value


def _crops_elsewhere(
    run: RunFolder, crops: Iterable[CropConfig]
) -> tuple[tuple[CropConfig, ...], set[str]]:
    """Give crops as a run in another folder has them, and what must be copied there."""
    found, inside = [], set()
    for crop in crops:
        changed = {}
        for field in ARRAYS:
            path = getattr(crop, field)
            if path is None or Path(path).is_absolute():
                continue
            first = Path(path).parts[0]
            if first == os.pardir:
                changed[field] = os.path.abspath(run.path / path)
            else:
                inside.add(first.partition(":")[0])
        found.append(crop.model_copy(update=changed))
    return tuple(found), inside


def _files_below(path: Path) -> list[Path]:
    if path.is_file():
        return [path]
    return [file for file in sorted(path.rglob("*")) if file.is_file()]
