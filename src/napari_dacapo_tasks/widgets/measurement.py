"""What a ground truth tells of itself, measured in the background."""

from __future__ import annotations

from collections.abc import Generator

from funlib.geometry import Coordinate, Roi

from napari_dacapo_tasks.arrays import Array, GroundTruth
from napari_dacapo_tasks.numerics import distances, objects
from napari_dacapo_tasks.tasks import Measured


def measure(ground_truth: GroundTruth) -> Generator[None, None, Measured]:
    """Measure voxel size and objects; of several channels, the smallest objects count."""
    # The preview comes next: its compiled loops are loaded here, away from the main thread.
    distances.warm_up()
    yield
    labels = ground_truth.labels
    voxel_size = tuple(size / labels.unit.steps for size in labels.voxel_size)
    gt, _ = ground_truth.read(_central_roi(labels))
    radii, largest = [], None
    for ids, channel in zip(gt.data, ground_truth.config.channels, strict=True):
        yield
        radii.append(objects.typical_radius(ids, voxel_size))
        if not channel.labels:  # or else they are no ids any more
            largest = int(ids.max(initial=0))
    found = [radius for radius in radii if radius is not None]
    return Measured(voxel_size, min(found, default=None), labels.unit.name, largest)


def _central_roi(array: Array) -> Roi:
    box = objects.central_box(array.shape)
    begin = array.roi.begin + Coordinate(part.start for part in box) * array.voxel_size
    return Roi(begin, Coordinate(part.stop - part.start for part in box) * array.voxel_size)
