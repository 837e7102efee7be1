"""Whether there is something to learn in the ground truth of a run."""

from __future__ import annotations

from collections.abc import Iterator
from math import prod

from napari_dacapo_tasks.architectures import CNNectomeUNet
from napari_dacapo_tasks.arrays import LabelsConfig
from napari_dacapo_tasks.errors import DataError
from napari_dacapo_tasks.runs.crops import scan
from napari_dacapo_tasks.runs.data import TrainingData
from napari_dacapo_tasks.runs.fit import answered, crop_grid
from napari_dacapo_tasks.runs.rows import about
from napari_dacapo_tasks.tasks.task import LABELS


def check_content(data: TrainingData, architecture: CNNectomeUNet) -> Iterator[float]:
    """Look through the ground truth that training and validation can reach.

    Yields
    ------
    float
        Share that is done.

    Raises
    ------
    DataError
        For negative labels, where nothing is known in a crop, and where there is no object in
        what is known of all that train.
    """
    looks = [
        (one, crop_grid(architecture, one.raw, one.ground_truth).reachable) for one in data.train
    ]
    looks += [(one, answered(architecture, one.raw, one.ground_truth)) for one in data.validate]
    crops = {volume.crop for volume, _ in looks}
    size = sum(prod(region.shape) for _, region in looks)
    done = 0
    objects = False
    known: dict[tuple[str, bool], bool] = {}
    for number, (volume, region) in enumerate(looks):
        trains = number < len(data.train)
        key = (volume.crop, trains)
        known.setdefault(key, False)
        with about(volume.crop, among=len(crops)):
            for block in scan(volume.ground_truth, region):
                known[key] |= block.known
                objects |= block.objects and trains
                done += prod(block.roi.shape)
                yield done / size
    for (crop, trains), some in known.items():
        if not some:
            with about(crop, among=len(crops)):
                raise DataError(
                    "Nothing is known in the ground truth where the network could "
                    f"{'learn from it' if trains else 'be scored by it'}: the mask and the labels "
                    "that stand for unknown leave no voxel."
                )
    if not objects:
        raise _no_objects(data.train[0].ground_truth.config)


def _no_objects(config: LabelsConfig) -> DataError:
    chosen = any(channel.labels or channel.name != LABELS for channel in config.channels)
    names = ", ".join(config.channel_names)
    return DataError(
        f"The ground truth holds no object{f' of {names}' if chosen else ''} where the "
        "network could learn from it: paint or load some"
        f"{', or correct the label ids of the channels' if chosen else ''}."
    )
