"""Signed distance: how far it is to the nearest boundary, and on which side of it one is."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, ClassVar, Self

from pydantic import Field, model_validator

from napari_dacapo_tasks.tasks.distances import (
    DistancesTaskConfig,
    MaskDistances,
    methods_on_distances,
)
from napari_dacapo_tasks.tasks.predictors.distance import DistancePredictor
from napari_dacapo_tasks.tasks.task import Method, Task

if TYPE_CHECKING:
    from napari_dacapo_tasks.tasks.losses.loss import Loss


class DistanceTask(Task):
    """Learns the signed distance to the nearest boundary, per channel."""

    def __init__(self, config: DistanceTaskConfig) -> None:
        self.config = config
        self.predictor = DistancePredictor(
            channels=config.channels,
            scale_factor=config.scale_factor,
            mask_distances=config.mask_distances,
            clipmin=config.clipmin,
            clipmax=config.clipmax,
        )

    @property
    def loss(self) -> Loss:
        """Weighted mean squared error."""
        from napari_dacapo_tasks.tasks.losses.mse import MSELoss

        return MSELoss()

    @property
    def methods(self) -> Sequence[Method]:
        """Threshold, and instances by watershed or as what hangs together."""
        return methods_on_distances(self.config)


class DistanceTaskConfig(DistancesTaskConfig):
    """Parameters of the Distance task."""

    task_type: ClassVar[type[Task]] = DistanceTask
    title: ClassVar[str] = "Signed distance"
    short_name: ClassVar[str] = "distance"
    sections: ClassVar[Mapping[str, Sequence[str]]] = {
        "Class balance": ("clipmin", "clipmax"),
        **DistancesTaskConfig.sections,
    }

    mask_distances: MaskDistances = True
    clipmin: float = Field(
        default=0.05,
        gt=0,
        lt=1,
        title="Lowest class share",
        description="Foreground and background are weighted by the inverse of their share; a "
        "share below this counts as this, so that a rare class does not drown the rest.",
    )
    clipmax: float = Field(
        default=0.95,
        gt=0,
        le=1,
        title="Highest class share",
        description="A share above this counts as this when classes are weighted.",
    )

    @model_validator(mode="after")
    def _shares_in_order(self) -> Self:
        if self.clipmin >= self.clipmax:
            raise ValueError(f"clipmin {self.clipmin:g} must be below clipmax {self.clipmax:g}")
        return self
