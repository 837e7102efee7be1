"""Signed distance: how far it is to the nearest boundary, and on which side of it one is."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, ClassVar, Self

from pydantic import Field, field_validator, model_validator

from napari_dacapo_tasks.tasks.predictors.distance import DistancePredictor
from napari_dacapo_tasks.tasks.task import WORLD, Measured, Task, TaskConfig

if TYPE_CHECKING:
    from napari_dacapo_tasks.tasks.losses.loss import Loss

VOXELS_PER_SCALE = (2.0, 8.0)
"""Fewest and most voxels in a proposed ``scale_factor``: a softer edge than one voxel, and one
that a network's context still sees across."""


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
    def channels(self) -> list[str]:
        """Names of the channels of target and prediction."""
        return list(self.config.channels)


class DistanceTaskConfig(TaskConfig):
    """Parameters of the Distance task."""

    task_type: ClassVar[type[Task]] = DistanceTask
    title: ClassVar[str] = "Signed distance"
    sections: ClassVar[Mapping[str, Sequence[str]]] = {
        "Class balance": ("clipmin", "clipmax"),
        "Scores": ("clip_distance", "tol_distance"),
    }

    channels: list[str] = Field(
        min_length=1, title="Channels", description="A name for each kind of object to learn."
    )
    scale_factor: float = Field(
        default=1,
        gt=0,
        title="Scale factor",
        description="Distances are divided by this and squashed with tanh: at this distance from "
        "a boundary the target is 0.76, at twice of it 0.96. Choose about half the radius of "
        "the objects; less than a voxel leaves a hard edge.",
        json_schema_extra=WORLD,
    )
    mask_distances: bool = Field(
        default=True,
        title="Mask distances",
        description="Leave out voxels that are nearer to the border of the known volume than to "
        "a boundary: an unseen object might be closer.",
    )
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
    clip_distance: float = Field(
        gt=0,
        title="Clip distance",
        description="Scores only: false positives and negatives farther away than this count as "
        "this far.",
        json_schema_extra=WORLD,
    )
    tol_distance: float = Field(
        gt=0,
        title="Tolerated distance",
        description="Scores only: a boundary that is off by less than this counts as right.",
        json_schema_extra=WORLD,
    )

    @field_validator("channels")
    @classmethod
    def _names_differ(cls, channels: list[str]) -> list[str]:
        twice = sorted({name for name in channels if channels.count(name) > 1})
        if twice:
            raise ValueError(f"two channels are named {twice[0]}: give each its own name")
        return channels

    @model_validator(mode="after")
    def _shares_in_order(self) -> Self:
        if self.clipmin >= self.clipmax:
            raise ValueError(f"clipmin {self.clipmin:g} must be below clipmax {self.clipmax:g}")
        return self

    @classmethod
    def propose(cls, channels: Sequence[str], measured: Measured) -> Self:
        """Give parameters that fit the voxel size and the objects."""
        voxel = max(measured.voxel_size)
        low, high = (count * voxel for count in VOXELS_PER_SCALE)
        wanted = measured.radius / 2 if measured.radius else high / 2
        scale = float(f"{min(max(wanted, low), high):.2g}")
        return cls(
            name="_".join([*channels[:2], "distance"]),
            channels=list(channels),
            scale_factor=scale,
            clip_distance=4 * scale,
            tol_distance=2 * voxel,
        )

    def with_channels(self, channels: Sequence[str]) -> Self:
        """Give the same parameters for other channels."""
        return self.model_copy(update={"channels": list(channels)})
