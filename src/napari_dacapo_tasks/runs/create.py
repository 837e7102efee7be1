"""From layers or files to a run folder."""

from __future__ import annotations

from collections.abc import Generator, Iterator
from pathlib import Path
from typing import Any

import numpy as np
from funlib.geometry import Coordinate, Roi
from numpy.typing import NDArray

from napari_dacapo_tasks.architectures import CNNectomeUNet
from napari_dacapo_tasks.arrays import Array, GroundTruth, on_common_grid
from napari_dacapo_tasks.arrays.ome_zarr import fill_image, new_folder, refuse_taken
from napari_dacapo_tasks.arrays.open import open_array
from napari_dacapo_tasks.errors import DataError, RunError
from napari_dacapo_tasks.runs.config import RunConfig
from napari_dacapo_tasks.runs.data import together
from napari_dacapo_tasks.runs.data_config import CropConfig, DataConfig
from napari_dacapo_tasks.runs.fit import check_content, check_fit
from napari_dacapo_tasks.runs.intensity import measure_range
from napari_dacapo_tasks.runs.pretrained import first_weights, keep_weights, task_in_folder
from napari_dacapo_tasks.runs.run_folder import CONFIG, RunFolder
from napari_dacapo_tasks.runs.trainer_config import TrainerConfig
from napari_dacapo_tasks.tasks import TaskConfig

RAW, LABELS, MASK = "data/raw.ome.zarr", "data/labels.ome.zarr", "data/mask.ome.zarr"

COMPARED_VOXELS = 16
"""Edge of the piece that tells an image from another one of its size."""


def create_run(
    path: str | Path,
    *,
    task: TaskConfig,
    architecture: CNNectomeUNet,
    trainer: TrainerConfig,
    raw: Array,
    ground_truth: GroundTruth,
    raw_path: str | Path | None = None,
) -> Generator[float, None, RunFolder]:
    """Make a run folder, with all that training needs, on this machine or another.

    Labels and mask are always copied, as they are now, and so are the weights that a pretrained
    task begins with. Raw data is copied, too, unless it lies at ``raw_path``. The folder is made
    beside and renamed at the end: to cancel, leave the generator, and nothing is left.

    Parameters
    ----------
    path
        The folder; it must not exist, or be empty.
    task, architecture, trainer
        What is trained, and how.
    raw, ground_truth
        What it learns from, where they overlap.
    raw_path
        A file that may hold the same raw data. If it does, it is named in the run by its
        absolute path instead of being copied.

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
        Where the folder is not empty, or the parts do not fit together; see `check_fit`,
        `first_weights` and `check_content`.
    RunError
        Where the folder is a run already, or cannot be written.
    """
    path = Path(path).absolute()
    if (path / CONFIG).exists():
        raise RunError(f"{path} is a run already: train it, or choose another folder.")
    refuse_taken(path)
    raw, ground_truth = together(raw, ground_truth)
    grid = check_fit(task, architecture, raw, ground_truth)
    yield 0.0
    weights = first_weights(task, architecture)
    yield from _shares(check_content(ground_truth, grid.reachable), 0.0, 0.2)
    limits = measure_range(raw)
    source = _source(raw, raw_path)
    labels, mask = ground_truth.labels, ground_truth.mask
    crop = CropConfig(raw=source or RAW, gt=LABELS, mask=MASK if mask is not None else None)
    config = RunConfig(
        task=task_in_folder(task),
        architecture=architecture,
        data=DataConfig(crops=(crop,), labels=ground_truth.config, intensity_range=limits),
        trainer=trainer,
    )
    try:
        with new_folder(path) as folder:
            (folder / LABELS).parent.mkdir()
            if weights is not None:
                keep_weights(weights, folder)
            yield from _shares(
                fill_image(folder / LABELS, labels, "labels", is_labels=True), 0.2, 0.4
            )
            if mask is not None:
                yield from _shares(
                    fill_image(folder / MASK, mask, "mask", is_labels=True), 0.4, 0.6
                )
            if source is None:
                yield from _shares(fill_image(folder / RAW, raw, "raw"), 0.6, 1.0)
            config.save(folder / CONFIG)
    except OSError as error:
        raise RunError(f"{path} cannot be written: {error.strerror or error}.") from error
    return RunFolder.open(path)


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
