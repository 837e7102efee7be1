"""The rows of the data table, and what does not fit in them; no widget is seen here."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from math import prod

from napari_dacapo_tasks.arrays import Array, GroundTruth, LabelsConfig
from napari_dacapo_tasks.arrays.array import common_roi
from napari_dacapo_tasks.errors import DataError, UserError
from napari_dacapo_tasks.runs.blocks import block_region, boxes_beside
from napari_dacapo_tasks.runs.data_config import Use, parsed_block
from napari_dacapo_tasks.runs.rows import Row, rows_together, together
from napari_dacapo_tasks.tasks import TaskConfig
from napari_dacapo_tasks.widgets.row_sources import FileSource, Source

USES: tuple[Use, ...] = ("train", "validate", "off")


@dataclass(frozen=True, eq=False)
class TableRow:
    """One crop of the table; a copy with the same values is another row.

    Attributes
    ----------
    raw, labels, mask
        Where its arrays come from; None where there is none (yet).
    use, share, block
        As `CropConfig` has them.
    follows
        Whether it is the one that follows the raw layer chosen, and the Task dock.
    title
        Its name, where a file gave one.
    """

    raw: Source | None
    labels: Source | None
    mask: Source | None = None
    use: Use = "train"
    share: float = 1.0
    block: str | None = None
    follows: bool = False
    title: str = ""

    @property
    def sources(self) -> list[Source]:
        """All that there are."""
        return [one for one in (self.raw, self.labels, self.mask) if one is not None]

    @property
    def name(self) -> str:
        """What it is called in the table and in sentences."""
        return self.title or " + ".join(one.name for one in (self.raw, self.labels) if one) or "—"

    @property
    def is_opening(self) -> bool:
        """Whether one of its files is being opened."""
        return any(isinstance(one, FileSource) and one.opened is None for one in self.sources)

    def arrays(self) -> tuple[Array, Array, Array | None]:
        """Give raw data, labels and mask; raises DataError for what cannot be used."""
        if self.raw is None:
            where = "open an image layer and choose it as raw" if self.follows else "choose it"
            raise DataError(f"There is no raw data: {where}.")
        raw = self.raw.array()
        if self.labels is None:
            where = "choose its layer in the Task dock" if self.follows else "choose it"
            raise DataError(f"There is no ground truth: {where}.")
        mask = None if self.mask is None else self.mask.array()
        return raw, self.labels.array(), mask


def described(row: TableRow) -> str:
    """Say shape and voxel size of the ground truth, and of raw data where it is another one."""
    try:
        raw, labels, _ = row.arrays()
    except UserError:
        return ""
    said = _spaced(labels)
    return said if _spaced(raw) == said else f"{said} in {_spaced(raw)}"


def trained_part(
    row: TableRow, config: LabelsConfig, task: TaskConfig | None
) -> tuple[Array, GroundTruth]:
    """Give raw data and ground truth that a network can learn from, to propose one for.

    Of a row with a validation block it is the larger side, and the ground truth there as far as
    targets know nothing of the block.
    """
    raw, labels, mask = row.arrays()
    raw, truth = together(raw, GroundTruth(labels, config, mask))
    if row.block is None or row.use != "train":
        return raw, truth
    labels = truth.labels
    guard = labels.voxel_size * 0
    if task is not None:
        guard = task.task_type(task.on_grid(labels.unit)).predictor.padding(labels.voxel_size)
    boxes = boxes_beside(block_region(row.block, labels), guard, truth.roi)
    box = max(boxes, key=lambda one: prod(one.outputs.shape), default=None)
    return (raw, truth) if box is None else (box.of(raw), truth.within(box.outputs))


def problems(rows: Sequence[TableRow], config: LabelsConfig) -> list[str]:
    """Say for each row in one sentence what does not fit, empty where nothing does not.

    Rows that are used are compared with the first of them that fits in itself.
    """
    alone = [problem_alone(row, config) for row in rows]
    fine = [row for row, said in zip(rows, alone, strict=True) if not said]
    first = next((row for row in fine if row.use != "off"), None)
    return [
        said or ("" if row.use == "off" or row is first or first is None else _against(first, row))
        for row, said in zip(rows, alone, strict=True)
    ]


def problem_alone(row: TableRow, config: LabelsConfig) -> str:
    """Say what does not fit within a row."""
    try:
        raw, labels, mask = row.arrays()
        truth = GroundTruth(labels, config, mask)
        _check_voxels(raw, truth.labels)
        raw, truth = together(raw, truth)
        if raw.voxel_size == truth.labels.voxel_size:
            common_roi(raw, truth.labels, first_name="The raw data", second_name="the ground truth")
        if row.block is not None and row.use == "train":
            parsed_block(row.block)
            block_region(row.block, truth.labels)
    except UserError as error:
        return str(error)
    except ValueError as error:  # of a block that is none
        return f"The validation block {error}."
    return ""


def _check_voxels(raw: Array, labels: Array) -> None:
    """Refuse what no network could bring together; the chosen one may yet refuse more."""
    if raw.dims != labels.dims:
        raise DataError(
            f"The raw data has {raw.dims} spatial axes and the ground truth {labels.dims}: both "
            "must be 2D or both 3D."
        )
    if raw.unit.name != labels.unit.name:
        raise DataError(
            f"The raw data is measured in {raw.unit.name} and the ground truth in "
            f"{labels.unit.name}: give both the same units."
        )
    coarse, fine = _in_base_units(raw), _in_base_units(labels)
    ratios = [a / b for a, b in zip(coarse, fine, strict=True)]
    # A network that upsamples answers for a whole number of voxels in each voxel of its input.
    if any(ratio < 0.999 or abs(ratio - round(ratio)) > 1e-3 for ratio in ratios):
        raise DataError(
            f"The raw data has voxels of {raw.unit.describe(raw.voxel_size)} and the ground truth "
            f"of {labels.unit.describe(labels.voxel_size)}: bring both to the same voxel size."
        )


def _against(first: TableRow, row: TableRow) -> str:
    """Say why two rows, each fine in itself, cannot be of one run."""
    try:
        # Whether one of all rows trains is another question.
        rows_together([replace(row_of(first), use="train"), row_of(row)])
    except UserError as error:
        return str(error)
    return ""


def row_of(row: TableRow) -> Row:
    """Give the arrays of a row with what is to be done with them; raises DataError as it does."""
    raw, labels, mask = row.arrays()
    assert row.raw is not None  # its array was just given
    return Row(
        raw=raw,
        labels=labels,
        mask=mask,
        raw_path=row.raw.path,
        use=row.use,
        share=row.share,
        validation_block=row.block if row.use == "train" else None,
        name=row.name,
    )


def _in_base_units(array: Array) -> tuple[float, ...]:
    return tuple(size / array.unit.steps for size in array.voxel_size)


def _spaced(array: Array) -> str:
    shape = " × ".join(str(size) for size in array.shape)
    sizes = _in_base_units(array)
    # A cube is said with one number: a dock is narrow.
    voxel = f"{sizes[0]:g}" if len(set(sizes)) == 1 else " × ".join(f"{one:g}" for one in sizes)
    return f"{shape}, {voxel} {array.unit.name}"
