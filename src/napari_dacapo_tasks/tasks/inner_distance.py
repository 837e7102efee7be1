"""Inner distance: how deep inside of an object one is, and 0 outside."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, ClassVar

from napari_dacapo_tasks.tasks.distances import DistancesTaskConfig, methods_on_distances
from napari_dacapo_tasks.tasks.predictors.inner_distance import InnerDistancePredictor
from napari_dacapo_tasks.tasks.task import Method, Task

if TYPE_CHECKING:
    from napari_dacapo_tasks.tasks.losses.loss import Loss

THRESHOLDS = (0.0, 0.05, 0.1, 0.2)
"""What a sweep tries: a prediction wavers around 0 outside, and is 0.06 to 0.24 in an object's
outermost voxel, with 8 to 2 voxels in a scale factor."""


class InnerDistanceTask(Task):
    """Learns the distance to the nearest boundary inside of objects, per channel."""

    def __init__(self, config: InnerDistanceTaskConfig) -> None:
        self.config = config
        self.predictor = InnerDistancePredictor(config.channels, config.scale_factor)

    @property
    def loss(self) -> Loss:
        """Weighted mean squared error."""
        from napari_dacapo_tasks.tasks.losses.mse import MSELoss

        return MSELoss()

    @property
    def methods(self) -> Sequence[Method]:
        """Threshold, and instances by watershed or as what hangs together."""
        return methods_on_distances(self.config, thresholds=THRESHOLDS)


class InnerDistanceTaskConfig(DistancesTaskConfig):
    """Parameters of the inner distance task."""

    task_type: ClassVar[type[Task]] = InnerDistanceTask
    title: ClassVar[str] = "Inner distance"
    short_name: ClassVar[str] = "inner_distance"
