"""The data of a run, ready to be read."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from math import prod

import numpy as np
from funlib.geometry import Roi

from napari_dacapo_tasks.architectures import CNNectomeUNet
from napari_dacapo_tasks.arrays import Array, GroundTruth, LabelsConfig
from napari_dacapo_tasks.arrays.cached import BlockCache, cached
from napari_dacapo_tasks.arrays.open import open_array
from napari_dacapo_tasks.errors import ConfigError, DataError
from napari_dacapo_tasks.runs.blocks import block_region, boxes_beside, guard_band
from napari_dacapo_tasks.runs.crops import everything_known, scan
from napari_dacapo_tasks.runs.data_config import CropConfig
from napari_dacapo_tasks.runs.fit import by, check_fit, check_parts, check_validation, crop_grid
from napari_dacapo_tasks.runs.intensity import measure_range
from napari_dacapo_tasks.runs.rows import Row, about, named, rows_together, together
from napari_dacapo_tasks.runs.run_folder import RunFolder
from napari_dacapo_tasks.tasks import TaskConfig

__all__ = ["Row", "TrainingData", "Volume", "open_data", "together", "volumes_of"]


@dataclass(frozen=True)
class Volume:
    """A region to draw crops from, or to validate on.

    Attributes
    ----------
    name
        Of the crop in the run, with the part of it where it is only a part.
    raw
        With or without channels; all that may be seen.
    ground_truth
        Its voxels line up with those of the raw data, and its ``roi`` is the region.
    share
        Of the samples, beside the shares of the other volumes.
    crop
        Name of the crop that it is of; the same for all parts of one.
    """

    name: str
    raw: Array
    ground_truth: GroundTruth
    share: float = 1.0
    crop: str = ""


@dataclass(frozen=True)
class TrainingData:
    """All volumes of a run, on one grid and with one voxel size.

    Attributes
    ----------
    train, validate
        At least one that trains, perhaps none that validates.
    intensity_range
        Raw values that a network sees as -1 and 1.
    notices
        What a person should know of them, a sentence each.
    """

    train: tuple[Volume, ...]
    validate: tuple[Volume, ...]
    intensity_range: tuple[float, float]
    notices: tuple[str, ...] = ()


def open_data(run: RunFolder, in_memory: Mapping[str, Array] | None = None) -> TrainingData:
    """Open the data of a run; nothing of a file is read before it is needed.

    Files are read block by block, through one bounded memory for all of them.

    Parameters
    ----------
    run
        Its config says what there is. Crops that are off are not touched.
    in_memory
        Arrays by their path in the config, which are used as they are instead of opening that.

    Raises
    ------
    DataError, ConfigError
        Where a file is gone or does not fit the others; see `volumes_of`.
    """
    known = dict(in_memory or {})
    cache = BlockCache()

    def opened(path: str) -> Array:
        if path not in known:
            known[path] = cached(open_array(run.resolve(path)), cache)
        return known[path]

    crops = run.config.data.crops
    names = named([crop.name for crop in crops])
    rows = []
    for crop, name in zip(crops, names, strict=True):
        if crop.use != "off":
            with about(name, among=len(crops)):
                rows.append(_row(crop, name, opened))
    return volumes_of(
        rows,
        task=run.task,
        architecture=run.config.architecture,
        labels=run.config.data.labels,
        intensity_range=run.config.data.intensity_range,
    )


def volumes_of(
    rows: Sequence[Row],
    *,
    task: TaskConfig,
    architecture: CNNectomeUNet,
    labels: LabelsConfig,
    intensity_range: tuple[float, float] | None = None,
) -> TrainingData:
    """Bring rows together, cut validation blocks off, and check that all of it fits the network.

    Of a row with a validation block the block validates, and what lies beside it, outside of a
    guard band, trains: a `Volume` for each side of the block along each axis, with a part of the
    row's share as large as its part of the voxels. None of them can see into the block.

    Parameters
    ----------
    rows
        Those that are off are left out.
    task, architecture
        What is to be trained: the guard band depends on both.
    labels
        Channels and unknown labels of all rows.
    intensity_range
        As of `TrainingData`; measured over all raw data that trains where it is None.

    Raises
    ------
    DataError, ConfigError
        Where rows do not go together, or do not fit the task or the network; the sentence names
        the crop if there are several.
    """
    used = rows_together([row for row in rows if row.use != "off"])
    train: list[Volume] = []
    validate: list[Volume] = []
    for row in used:
        with about(row.name, among=len(used)):
            truth = GroundTruth(row.labels, labels, row.mask)
            whole = Volume(row.name, row.raw, truth, row.share, crop=row.name)
            if row.validation_block is None and row.use == "train":
                check_fit(task, architecture, whole.raw, whole.ground_truth)
                train.append(whole)
                continue
            validated = whole
            if row.validation_block is not None:
                region = block_region(row.validation_block, whole.ground_truth.labels)
                if region.intersect(whole.ground_truth.roi).empty:
                    raise DataError(
                        f"Nothing is known in the validation block {row.validation_block}, since "
                        "the mask covers none of it: choose another block."
                    )
                validated = _part(whole, region)
                if row.use == "train":
                    check_parts(task, architecture, whole.raw, whole.ground_truth)
                    train += _beside(whole, region, row.validation_block, task, architecture)
            check_validation(task, architecture, validated.raw, validated.ground_truth)
            validate.append(validated)
    if intensity_range is None:
        trained = {id(row.raw.data): row.raw for row in used if row.use == "train"}
        intensity_range = measure_range(*trained.values())
    raws = {row.name: _identity(row.raw) for row in used}
    return TrainingData(
        tuple(train), tuple(validate), intensity_range, tuple(_overlaps(train, validate, raws))
    )


def _overlaps(
    train: Sequence[Volume], validate: Sequence[Volume], raws: Mapping[str, Hashable]
) -> Iterator[str]:
    """Say where a crop validates on what another one trains on."""
    for scored in validate:
        region = scored.ground_truth.roi
        crops = {
            learned.crop: None
            for learned in train
            if raws[learned.crop] == raws[scored.crop]
            and not learned.ground_truth.roi.intersect(region).empty
        }
        if crops:
            yield (
                f"{scored.name} validates on voxels of which {', '.join(crops)} trains, so its "
                "scores will be better than on anything new: let other voxels validate, or cut "
                "them off as a validation block."
            )


def _identity(raw: Array) -> Hashable:
    if isinstance(raw.data, np.ndarray):
        return int(raw.data.__array_interface__["data"][0])
    return id(raw.data)


def _row(crop: CropConfig, name: str, opened: Callable[[str], Array]) -> Row:
    return Row(
        raw=opened(crop.raw),
        labels=opened(crop.gt),
        mask=None if crop.mask is None else opened(crop.mask),
        use=crop.use,
        share=crop.share,
        validation_block=crop.validation_block,
        name=name,
    )


def _beside(
    whole: Volume, block: Roi, text: str, task: TaskConfig, architecture: CNNectomeUNet
) -> list[Volume]:
    """Give what trains beside a validation block; ConfigError where nothing can."""
    ground_truth = whole.ground_truth
    guard = guard_band(task, architecture, whole.raw, ground_truth.labels)
    parts = []
    for box in boxes_beside(block, guard, ground_truth.roi):
        mask = ground_truth.mask
        seen = GroundTruth(
            box.of(ground_truth.labels),
            ground_truth.config,
            None if mask is None else box.of(mask),
        )
        volume = replace(whole, raw=box.of(whole.raw), ground_truth=seen)
        volume = _part(volume, box.outputs, origin=ground_truth.labels)
        if not crop_grid(architecture, volume.raw, volume.ground_truth).empty:
            parts.append(volume)
    if not everything_known(ground_truth):
        # Where labels are sparse, all of them may lie on one side.
        parts = [part for part in parts if _is_known(part, architecture)] or parts
    if not parts:
        size = ground_truth.labels.voxel_size
        answers = architecture.compute_output_shape(architecture.input_shape)
        raise ConfigError(
            f"Beside the validation block {text} no room is left to train: training stays "
            f"{by(guard / size)} voxels away from it on each side, and the network answers for "
            f"{by(answers)} voxels at a time; choose a smaller block or a smaller input_shape."
        )
    voxels = [prod(volume.ground_truth.roi.shape) for volume in parts]
    return [
        replace(volume, share=whole.share * count / sum(voxels))
        for volume, count in zip(parts, voxels, strict=True)
    ]


def _is_known(volume: Volume, architecture: CNNectomeUNet) -> bool:
    grid = crop_grid(architecture, volume.raw, volume.ground_truth)
    return any(block.known for block in scan(volume.ground_truth, grid.reachable))


def _part(volume: Volume, region: Roi, origin: Array | None = None) -> Volume:
    """Limit what is known of a volume, and say so in its name, in voxels of its labels."""
    origin = origin or volume.ground_truth.labels
    limited = volume.ground_truth.within(region)
    ranges = [
        ":" if (b, e) == (0, n) else f"{b}:{e}"
        for b, e, n in zip(
            (limited.roi.begin - origin.roi.begin) / origin.voxel_size,
            (limited.roi.end - origin.roi.begin) / origin.voxel_size,
            origin.shape,
            strict=True,
        )
    ]
    return replace(volume, name=f"{volume.name} ({','.join(ranges)})", ground_truth=limited)
