"""A network that suits all crops of a run."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from napari_dacapo_tasks.architectures import CNNectomeUNet
from napari_dacapo_tasks.arrays import LabelsConfig, common_roi
from napari_dacapo_tasks.errors import ConfigError, DataError
from napari_dacapo_tasks.runs.data import volumes_of
from napari_dacapo_tasks.runs.fit import propose_for_raw
from napari_dacapo_tasks.runs.rows import Row, rows_together
from napari_dacapo_tasks.tasks import TaskConfig

SMALLER = (1.0, 0.75, 0.55, 0.4, 0.3, 0.2)
"""Shares of the ground truth's shape that are tried: a validation block may leave little of it."""


def propose_for_rows(
    rows: Sequence[Row], *, task: TaskConfig, labels: LabelsConfig, device: str = ""
) -> CNNectomeUNet:
    """Propose the largest U-Net that fits every row; see `CNNectomeUNet.propose`.

    Parameters
    ----------
    rows
        Those that are off are left out.
    task, labels
        What it is for, as of `volumes_of`.
    device
        ``"cpu"`` for a light one; for any other it fills a graphics card.

    Returns
    -------
    CNNectomeUNet
        Where none fits, one that comes near: `volumes_of` then says what is wrong.

    Raises
    ------
    DataError, ConfigError
        Where the rows do not go together.
    """
    used = rows_together([row for row in rows if row.use != "off"])
    proposed = None
    for shape in _shapes(used):
        proposed = propose_for_raw(used[0].raw, shape, device)
        try:
            volumes_of(
                used, task=task, architecture=proposed, labels=labels, intensity_range=(0, 1)
            )
        except (ConfigError, DataError):
            continue
        break
    assert proposed is not None, "there is always a shape to try"
    return proposed


def _shapes(rows: Sequence[Row]) -> Iterator[list[int]]:
    """Give what the input may fill, from the largest on: all raw data, then ground truth."""
    training = [row for row in rows if row.use == "train"]
    yield [min(sizes) for sizes in zip(*(row.raw.shape for row in training), strict=True)]
    shared = [_shared(row) for row in training]
    smallest = [min(sizes) for sizes in zip(*shared, strict=True)]
    for factor in SMALLER:
        yield [max(1, int(size * factor)) for size in smallest]


def _shared(row: Row) -> list[int]:
    try:
        region = common_roi(
            row.raw, row.labels, first_name="The raw data", second_name="the ground truth"
        )
    except DataError:
        return list(row.raw.shape)  # refused where both meet
    return list(region.shape / row.raw.voxel_size)
