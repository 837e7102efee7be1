"""From layers or files to a run folder."""

from __future__ import annotations

from collections.abc import Generator, Hashable, Iterator, Sequence
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import Any

import numpy as np
from funlib.geometry import Coordinate, Roi
from numpy.typing import NDArray

from napari_dacapo_tasks.architectures import CNNectomeUNet
from napari_dacapo_tasks.arrays import Array, LabelsConfig, on_common_grid
from napari_dacapo_tasks.arrays.ome_zarr import fill_image, new_folder, refuse_taken
from napari_dacapo_tasks.arrays.open import open_array
from napari_dacapo_tasks.errors import DataError, RunError
from napari_dacapo_tasks.runs.config import RunConfig
from napari_dacapo_tasks.runs.content import check_content
from napari_dacapo_tasks.runs.data import volumes_of
from napari_dacapo_tasks.runs.data_config import CropConfig, DataConfig, SamplingConfig
from napari_dacapo_tasks.runs.pretrained import first_weights, keep_weights, task_in_folder
from napari_dacapo_tasks.runs.rows import Row
from napari_dacapo_tasks.runs.run_folder import CONFIG, RunFolder
from napari_dacapo_tasks.runs.trainer_config import TrainerConfig
from napari_dacapo_tasks.tasks import TaskConfig

__all__ = ["Row", "create_run", "make_self_contained", "raw_in_memory"]

COMPARED_VOXELS = 16
"""Edge of the piece that tells an image from another one of its size."""

CHECKED = 0.2
"""Share of the work that looking through the ground truth is taken for."""

ARRAYS = {"raw": "raw", "gt": "labels", "mask": "mask"}
"""What the arrays of a crop are called in a run folder, by their field in its config."""


@dataclass(frozen=True)
class _Copy:
    """An array that is to be written into a run folder."""

    path: str
    array: Array

    @property
    def name(self) -> str:
        return Path(self.path).name.partition(".")[0]

    @property
    def voxels(self) -> int:
        return prod(self.array.shape) * (self.array.num_channels or 1)

    def write(self, folder: Path) -> Iterator[float]:
        """Write it, and give the share that is done."""
        (folder / self.path).parent.mkdir(parents=True, exist_ok=True)
        is_labels = self.name != ARRAYS["raw"]
        return fill_image(folder / self.path, self.array, self.name, is_labels=is_labels)


def create_run(
    path: str | Path,
    *,
    task: TaskConfig,
    architecture: CNNectomeUNet,
    trainer: TrainerConfig,
    rows: Sequence[Row],
    labels: LabelsConfig,
    sampling: SamplingConfig | None = None,
) -> Generator[float, None, RunFolder]:
    """Make a run folder, with all that training needs, on this machine or another.

    Labels and masks are always copied, as they are now, and so are the weights that a pretrained
    task begins with. Raw data is copied, too, unless it lies at its row's ``raw_path``; what
    several rows share is copied once. The folder is made beside and renamed at the end: to
    cancel, leave the generator, and nothing is left.

    Parameters
    ----------
    path
        The folder; it must not exist, or be empty.
    task, architecture, trainer
        What is trained, and how.
    rows
        What it learns from and is validated on. Those that are off are kept, and not checked.
    labels
        Channels and unknown labels of all rows.
    sampling
        Where crops are taken from.

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
    DataError, ConfigError
        Where the folder is not empty, or the parts do not fit together; see `volumes_of`,
        `first_weights` and `check_content`.
    RunError
        Where the folder is a run already, or cannot be written.
    """
    path = Path(path).absolute()
    if (path / CONFIG).exists():
        raise RunError(f"{path} is a run already: train it, or choose another folder.")
    refuse_taken(path)
    yield 0.0
    data = volumes_of(rows, task=task, architecture=architecture, labels=labels)
    weights = first_weights(task, architecture)
    yield from _shares(check_content(data, architecture), 0.0, CHECKED)
    crops, copies = _laid_out(rows)
    seen = data.train[0].raw
    config = RunConfig(
        task=task_in_folder(task),
        architecture=architecture,
        data=DataConfig(
            crops=crops,
            labels=labels,
            intensity_range=data.intensity_range,
            sampling=sampling or SamplingConfig(),
            voxel_size=tuple(size / seen.unit.steps for size in seen.voxel_size),
            unit=seen.unit.name,
        ),
        trainer=trainer,
    )
    try:
        with new_folder(path) as folder:
            if weights is not None:
                keep_weights(weights, folder)
            yield from _shares(_write(copies, folder), CHECKED, 1.0)
            config.save(folder / CONFIG)
    except OSError as error:
        raise RunError(f"{path} cannot be written: {error.strerror or error}.") from error
    return RunFolder.open(path)


def raw_in_memory(rows: Sequence[Row], run: RunFolder) -> dict[str, Array]:
    """Give the raw data of rows that lies in memory, for `open_data` to use instead of its copy.

    Parameters
    ----------
    rows
        Those that the run was made of, in the same order.
    run
        What `create_run` made of them.
    """
    crops = run.config.data.crops
    return {
        crop.raw: row.raw
        for row, crop in zip(rows, crops, strict=True)
        if isinstance(row.raw.data, np.ndarray)
    }


def make_self_contained(run: RunFolder) -> Generator[float, None, None]:
    """Copy what a run uses outside of its folder into it, so that the folder alone can go on.

    It can be done before the first step or after, and again: then there is nothing to do.

    Yields
    ------
    float
        Share that is done. The config names the copies when all are whole.

    Raises
    ------
    DataError
        Where a file is gone or cannot be read.
    RunError
        Where the folder cannot be written.
    """
    config = run.config
    crops = list(config.data.crops)
    copies: dict[str, _Copy] = {}
    for number, crop in enumerate(crops):
        inside = {}
        for field, name in ARRAYS.items():
            path = getattr(crop, field)
            if path is None or run.resolve(path).resolve().is_relative_to(run.path.resolve()):
                continue
            if path not in copies:
                place = f"data/{number}/{name}.ome.zarr"
                copies[path] = _Copy(place, open_array(run.resolve(path)))
            inside[field] = copies[path].path
        crops[number] = crop.model_copy(update=inside)
    if not copies:
        yield 1.0
        return
    voxels = [copy.voxels for copy in copies.values()]
    done = 0
    for copy, count in zip(copies.values(), voxels, strict=True):
        try:
            with new_folder(run.path / copy.path, replace=True) as folder:
                is_labels = copy.name != ARRAYS["raw"]
                for share in fill_image(folder, copy.array, copy.name, is_labels=is_labels):
                    yield (done + share * count) / sum(voxels)
        except OSError as error:
            raise RunError(
                f"{run.path / copy.path} cannot be written: {error.strerror or error}."
            ) from error
        done += count
    data = config.data.model_copy(update={"crops": tuple(crops)})
    run.save_config(config.model_copy(update={"data": data}))


def _laid_out(rows: Sequence[Row]) -> tuple[list[CropConfig], list[_Copy]]:
    """Say where the arrays of rows lie, and which of them have to be copied there."""
    crops, copies = [], []
    places: dict[Hashable, str] = {}
    for number, row in enumerate(rows):
        found: dict[str, str | None] = {}
        for field, array in (("raw", row.raw), ("gt", row.labels), ("mask", row.mask)):
            if array is None:
                continue
            key = (field, *_identity(array))
            if key not in places:
                source = _source(array, row.raw_path) if field == "raw" else None
                places[key] = source or f"data/{number}/{ARRAYS[field]}.ome.zarr"
                if source is None:
                    copies.append(_Copy(places[key], array))
            found[field] = places[key]
        crops.append(
            CropConfig(
                **found,
                use=row.use,
                share=row.share,
                validation_block=row.validation_block,
                name=row.name,
            )
        )
    return crops, copies


def _identity(array: Array) -> tuple[Hashable, ...]:
    """Give what is the same for two arrays of the same values in the same place."""
    place = (*array.roi.begin, *array.voxel_size, array.unit, array.data_axes)
    if isinstance(array.data, np.ndarray):
        seen = array.data.__array_interface__
        return (seen["data"][0], seen["strides"], seen["typestr"], array.data.shape, *place)
    return (id(array.data), *place)


def _write(copies: Sequence[_Copy], folder: Path) -> Iterator[float]:
    whole = sum(copy.voxels for copy in copies)
    done = 0
    for copy in copies:
        for share in copy.write(folder):
            yield (done + share * copy.voxels) / whole
        done += copy.voxels


def _source(raw: Array, path: str | Path | None) -> str | None:
    """Give the absolute path of the raw data if the same data opens there."""
    if path is None:
        return None
    path = Path(path).absolute()
    try:
        stored, wanted = on_common_grid(open_array(path), raw)
    except DataError:
        return None
    same = (
        stored.roi == wanted.roi
        and stored.voxel_size == wanted.voxel_size
        and stored.num_channels == wanted.num_channels
        and stored.dtype == wanted.dtype
    )
    return str(path) if same and np.array_equal(_middle(stored), _middle(wanted)) else None


def _middle(array: Array) -> NDArray[Any]:
    size = array.voxel_size
    begin = Coordinate(max(0, n // 2 - COMPARED_VOXELS // 2) for n in array.shape)
    shape = Coordinate(min(COMPARED_VOXELS, n) for n in array.shape)
    return array[Roi(array.roi.begin + begin * size, shape * size)]


def _shares(steps: Iterator[float], begin: float, end: float) -> Iterator[float]:
    for share in steps:
        yield begin + share * (end - begin)
