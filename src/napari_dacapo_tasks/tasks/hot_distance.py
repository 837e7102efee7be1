"""Hot distance: what is object (one-hot), and beside it the signed distance to the boundary."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, ClassVar

from napari_dacapo_tasks.tasks.distances import (
    DistancesTaskConfig,
    MaskDistances,
    methods_on_distances,
)
from napari_dacapo_tasks.tasks.fields import DEFAULT_KERNEL_SIZE, KernelSize
from napari_dacapo_tasks.tasks.predictors.hot_distance import HotDistancePredictor
from napari_dacapo_tasks.tasks.task import Method, Task

if TYPE_CHECKING:
    from napari_dacapo_tasks.tasks.losses.loss import Loss


class HotDistanceTask(Task):
    """Learns foreground and the signed distance to the nearest boundary, per channel."""

    def __init__(self, config: HotDistanceTaskConfig) -> None:
        self.config = config
        self.predictor = HotDistancePredictor(
            channels=config.channels,
            scale_factor=config.scale_factor,
            mask_distances=config.mask_distances,
            kernel_size=config.kernel_size or DEFAULT_KERNEL_SIZE,
        )

    @property
    def loss(self) -> Loss:
        """Cross-entropy of the one-hot half and squared error of the distances."""
        from napari_dacapo_tasks.tasks.losses.hot_distance import HotDistanceLoss

        return HotDistanceLoss()

    @property
    def methods(self) -> Sequence[Method]:
        """Threshold, and instances by watershed or as what hangs together, of the distances."""
        return methods_on_distances(self.config, first_channel=len(self.config.channels))


class HotDistanceTaskConfig(DistancesTaskConfig):
    """Parameters of the hot distance task."""

    task_type: ClassVar[type[Task]] = HotDistanceTask
    title: ClassVar[str] = "Hot distance"
    short_name: ClassVar[str] = "hot_distance"
    sections: ClassVar[Mapping[str, Sequence[str]]] = {
        "Prediction head": ("kernel_size",),
        **DistancesTaskConfig.sections,
    }

    mask_distances: MaskDistances = False
    kernel_size: KernelSize = None
