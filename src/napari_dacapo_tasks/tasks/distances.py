"""What the tasks share that learn a distance to the boundaries of channels."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, ClassVar, Self

from pydantic import Field, field_validator

from napari_dacapo_tasks.tasks.fields import require_names
from napari_dacapo_tasks.tasks.task import WORLD, Measured, Method, TaskConfig

VOXELS_PER_SCALE = (2.0, 8.0)
"""Fewest and most voxels in a proposed ``scale_factor``: a softer edge than one voxel, and one
that a network's context still sees across."""

SIGNED_THRESHOLDS = (-0.1, 0.0, 0.1)
"""Around the boundary of a signed distance, which is at 0."""

MaskDistances = Annotated[
    bool,
    Field(
        title="Mask distances",
        description="Leave out voxels that are nearer to the border of the known volume than to "
        "a boundary: an unseen object might be closer.",
    ),
]
"""The field of that name; the tasks differ in its default."""


class DistancesTaskConfig(TaskConfig):
    """Parameters of a task that learns distances, per channel."""

    short_name: ClassVar[str]
    """Ends the name that is proposed for a task."""

    sections: ClassVar[Mapping[str, Sequence[str]]] = {"Scores": ("clip_distance", "tol_distance")}

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
    def _names(cls, channels: list[str]) -> list[str]:
        require_names(channels, "channels")
        return channels

    @property
    def ground_truth_channels(self) -> list[str]:
        """The channels."""
        return list(self.channels)

    @classmethod
    def propose(cls, channels: Sequence[str], measured: Measured) -> Self:
        """Give parameters that fit the voxel size and the objects."""
        voxel = max(measured.voxel_size)
        low, high = (count * voxel for count in VOXELS_PER_SCALE)
        wanted = measured.radius / 2 if measured.radius else high / 2
        scale = float(f"{min(max(wanted, low), high):.2g}")
        return cls(
            name="_".join([*channels[:2], cls.short_name]),
            channels=list(channels),
            scale_factor=scale,
            clip_distance=4 * scale,
            tol_distance=2 * voxel,
        )

    def with_channels(self, channels: Sequence[str]) -> Self:
        """Give the same parameters for other channels."""
        return self.model_copy(update={"channels": list(channels)})


def methods_on_distances(
    config: DistancesTaskConfig,
    first_channel: int = 0,
    thresholds: Sequence[float] = SIGNED_THRESHOLDS,
) -> list[Method]:
    """Give the ways from predicted distances to segmentations.

    Parameters
    ----------
    config
        Names the channels, and holds lengths in the unit of the arrays.
    first_channel
        Of the prediction's channels, the first one that is a distance.
    thresholds
        What a sweep tries.
    """
    from napari_dacapo_tasks.tasks.evaluators.binary import BinaryEvaluator
    from napari_dacapo_tasks.tasks.evaluators.instance import InstanceEvaluator
    from napari_dacapo_tasks.tasks.post_processors.components import ComponentsPostProcessor
    from napari_dacapo_tasks.tasks.post_processors.threshold import ThresholdPostProcessor
    from napari_dacapo_tasks.tasks.post_processors.watershed import WatershedPostProcessor

    channels = config.channels
    return [
        Method(
            "Threshold",
            ThresholdPostProcessor(channels, first_channel, thresholds),
            BinaryEvaluator(channels, config.clip_distance, config.tol_distance),
        ),
        Method(
            "Instances by watershed",
            WatershedPostProcessor(channels, first_channel, config.scale_factor),
            InstanceEvaluator(channels),
        ),
        Method(
            "Threshold and connected components",
            ComponentsPostProcessor(channels, first_channel, thresholds),
            InstanceEvaluator(channels),
        ),
    ]
