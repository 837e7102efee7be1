"""A look at what training would see, before there is a run."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from napari_dacapo_tasks.architectures import CNNectomeUNet
from napari_dacapo_tasks.errors import DataError
from napari_dacapo_tasks.runs.data import TrainingData, Volume
from napari_dacapo_tasks.runs.data_config import SamplingConfig
from napari_dacapo_tasks.runs.intensity import measure_range
from napari_dacapo_tasks.runs.trainer_config import TrainerConfig
from napari_dacapo_tasks.tasks import TaskConfig
from napari_dacapo_tasks.training.samples import Crop, Sampler, Shapes


def show_batches(
    volumes: Sequence[Volume],
    task: TaskConfig,
    architecture: CNNectomeUNet,
    trainer: TrainerConfig,
    sampling: SamplingConfig,
    count: int,
    *,
    intensity_range: tuple[float, float] | None = None,
    first: int = 1,
) -> Iterator[Crop]:
    """Make the first crops of a run that there is not yet, as it would see them.

    Parameters
    ----------
    volumes
        Regions to draw from, as `runs.data.volumes_of` makes them of arrays.
    task, architecture, trainer, sampling
        Of the run.
    count
        Number of crops.
    intensity_range
        Raw values that the network sees as -1 and 1; measured in the first volume if left out.
    first
        Iteration to begin with: with others come other crops.

    Yields
    ------
    Crop
        With the place that it is from and what was done to it.

    Raises
    ------
    DataError, ConfigError
        Where data, task and network do not fit together.
    """
    volumes = tuple(volumes)
    if not volumes:
        raise DataError("No row of the data trains: set the use of at least one to train.")
    labels = volumes[0].ground_truth.labels
    built = task.task_type(task.on_grid(labels.unit))
    limits = intensity_range or measure_range(volumes[0].raw)
    shapes = Shapes.of_architecture(architecture, volumes[0].raw.voxel_size)
    sampler = Sampler(TrainingData(volumes, (), limits), built, shapes, trainer, sampling)
    counts = None
    for number in range(count):
        iteration, index = divmod(number, trainer.batch_size)
        crop, counts = sampler.weigh(sampler.first_draft(first + iteration, index), counts)
        yield crop
