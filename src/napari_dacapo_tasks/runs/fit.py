"""Whether data, task and network fit together, told before anything is made or trained."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from funlib.geometry import Coordinate, Roi

from napari_dacapo_tasks.architectures import CNNectomeUNet
from napari_dacapo_tasks.arrays import Array, GroundTruth, common_roi
from napari_dacapo_tasks.errors import ConfigError, DataError
from napari_dacapo_tasks.runs.crops import CropGrid
from napari_dacapo_tasks.runs.rows import together
from napari_dacapo_tasks.tasks import TaskConfig

TRIED_VOXELS = 16
"""Edge of the piece of ground truth on which a task is tried, if its offsets are not longer."""


PROCESSOR = "cpu"

FOR_PROCESSOR: dict[str, Any] = {"num_fmaps": 8, "fmap_inc_factor": 2}
"""A network that a laptop's processor trains at about a step a second."""

MOST_VOXELS_FOR_PROCESSOR = {2: 256**2, 3: 84**3}


def propose_for_raw(raw: Array, shape: Sequence[int], device: str = "") -> CNNectomeUNet:
    """Propose a U-Net for a region of raw data that has a shape; see `CNNectomeUNet.propose`.

    For the device ``"cpu"`` it is a light one, for any other it fills a graphics card.
    """
    options: dict[str, Any] = {}
    if device == PROCESSOR:
        options = {**FOR_PROCESSOR, "max_voxels": MOST_VOXELS_FOR_PROCESSOR.get(raw.dims)}
    channels = raw.num_channels or 1
    return CNNectomeUNet.propose(raw.voxel_size, shape, fmaps_in=channels, **options)


def propose_architecture(raw: Array, ground_truth: GroundTruth, device: str = "") -> CNNectomeUNet:
    """Propose a U-Net that suits raw data, ground truth and device; see `propose_for_raw`."""
    raw, ground_truth = together(raw, ground_truth)
    shared = common_roi(
        raw, ground_truth.labels, first_name="The raw data", second_name="the ground truth"
    ).intersect(ground_truth.roi)
    # The network may look at raw data all around the ground truth, if its output still fits in.
    for shape in (raw.shape, shared.shape / raw.voxel_size):
        proposed = propose_for_raw(raw, shape, device)
        if not crop_grid(proposed, raw, ground_truth).empty:
            break
    return proposed


def check_fit(
    task: TaskConfig, architecture: CNNectomeUNet, raw: Array, ground_truth: GroundTruth
) -> CropGrid:
    """Check in no time that data, task and network fit together; little of the data is read.

    Parameters
    ----------
    task, architecture
        What is to be trained.
    raw, ground_truth
        As `together` brings them.

    Returns
    -------
    CropGrid
        Where the network fits into the data.

    Raises
    ------
    ConfigError
        Where the network is for other dimensions, channels or sizes than the data has.
    DataError
        Where voxel sizes differ, raw data and ground truth do not overlap, or the task cannot
        use the ground truth.
    """
    check_parts(task, architecture, raw, ground_truth)
    grid = crop_grid(architecture, raw, ground_truth)
    if grid.empty:
        raise ConfigError(_too_small(architecture, raw, ground_truth, grid))
    return grid


def check_validation(
    task: TaskConfig, architecture: CNNectomeUNet, raw: Array, ground_truth: GroundTruth
) -> None:
    """Check that a network can answer somewhere in ground truth that validates; as `check_fit`."""
    check_parts(task, architecture, raw, ground_truth)
    if not answered(architecture, raw, ground_truth).empty:
        return
    known = ground_truth.roi.shape / ground_truth.labels.voxel_size
    smallest, _ = architecture.nearest_valid_shapes([1] * raw.dims)
    beyond = [-(-n // 2) for n in architecture.context]
    raise ConfigError(
        f"The network cannot answer for any of these {by(known)} voxels that are to validate: it "
        f"takes raw data of at least {by(smallest)} voxels and looks {by(beyond)} voxels beyond "
        f"what it answers for, and the raw data has {by(raw.shape)}; choose a larger volume, or a "
        "network that sees less."
    )


def check_parts(
    task: TaskConfig, architecture: CNNectomeUNet, raw: Array, ground_truth: GroundTruth
) -> None:
    """Check all that `check_fit` does, but for where the network fits in."""
    labels = ground_truth.labels
    say = raw.unit.describe
    if raw.dims != architecture.dims:
        raise ConfigError(
            f"The network is for {architecture.dims}D data, but the raw data is {raw.dims}D: set "
            f"input_shape and downsample_factors for {raw.dims} axes."
        )
    if (raw.num_channels or 1) != architecture.num_in_channels:
        raise ConfigError(
            f"The raw data has {raw.num_channels or 1} channels, but the network takes "
            f"{architecture.num_in_channels}: set fmaps_in to {raw.num_channels or 1}."
        )
    answered = architecture.scale(raw.voxel_size)
    if answered != raw.voxel_size and labels.dims == raw.dims and answered != labels.voxel_size:
        raise DataError(
            f"The ground truth has voxels of {say(labels.voxel_size)}, but a network that "
            f"upsamples the raw data answers with voxels of {say(answered)}: choose other "
            "upsample_factors, or bring the ground truth to that voxel size."
        )
    if answered == raw.voxel_size:
        common_roi(raw, labels, first_name="The raw data", second_name="the ground truth")
    _check_task(task, ground_truth)


def _check_task(task: TaskConfig, ground_truth: GroundTruth) -> None:
    """Make a target of a small piece: the task refuses what it cannot use."""
    ok, reason = task.verify()
    if not ok:
        raise ConfigError(f"The task {task.name} cannot be trained: {reason}")
    labels = ground_truth.labels
    predictor = task.task_type(task.on_grid(labels.unit)).predictor
    shape = [
        min(max(TRIED_VOXELS, reach + 1), size)
        for reach, size in zip(predictor.reach(labels.dims), labels.shape, strict=True)
    ]
    size = Coordinate(shape) * labels.voxel_size
    gt, _ = ground_truth.read(Roi(labels.roi.begin, size))
    predictor.create_target(gt)


def answered(architecture: CNNectomeUNet, raw: Array, ground_truth: GroundTruth) -> Roi:
    """Give the part of ground truth for which a network can answer, in tiles of any size.

    It is empty where there is none.
    """
    shape, _ = architecture.nearest_valid_shapes(raw.shape)
    grid = _grid_of(architecture, shape, raw, raw.roi)
    if grid.empty:
        return Roi(ground_truth.roi.begin, ground_truth.roi.shape * 0)
    return grid.reachable.intersect(ground_truth.roi)


def crop_grid(architecture: CNNectomeUNet, raw: Array, ground_truth: GroundTruth) -> CropGrid:
    """Lay a network's training input over its data."""
    return _grid_of(architecture, architecture.input_shape, raw, ground_truth.roi)


def _grid_of(architecture: CNNectomeUNet, shape: Sequence[int], raw: Array, known: Roi) -> CropGrid:
    answers = architecture.compute_output_shape(shape)
    return CropGrid.of(raw, known, shape, answers, architecture.scale(raw.voxel_size))


def _too_small(
    architecture: CNNectomeUNet, raw: Array, ground_truth: GroundTruth, grid: CropGrid
) -> str:
    wanted = architecture.input_shape
    sentence = (
        f"The network's input of {by(wanted)} voxels is larger than the data allows: the raw data "
        f"has {by(raw.shape)} voxels and the known ground truth "
        f"{by(ground_truth.roi.shape / ground_truth.labels.voxel_size)}"
    )
    room = grid.largest_input
    fitting, _ = architecture.nearest_valid_shapes(room)
    if all(size <= most for size, most in zip(fitting, room, strict=True)):
        return f"{sentence}; the largest input_shape that fits is {tuple(fitting)}."
    return (
        f"{sentence}, and this network needs an input of at least {by(fitting)}: choose fewer "
        'downsample_factors or padding "same".'
    )


def by(shape: Sequence[int]) -> str:
    """Say a shape, as ``"24 x 24 x 24"``."""
    return " x ".join(str(size) for size in shape)
