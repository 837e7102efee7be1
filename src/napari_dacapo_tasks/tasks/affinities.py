"""Affinities: which voxels belong to the same object."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import inf
from typing import TYPE_CHECKING, Annotated, ClassVar, Self

from pydantic import Field, field_validator, model_validator

from napari_dacapo_tasks.tasks.neighborhoods import equal_reach, flaw
from napari_dacapo_tasks.tasks.predictors.affinities import AffinitiesPredictor
from napari_dacapo_tasks.tasks.task import EDITOR, NEEDS, Measured, Method, Task, TaskConfig

if TYPE_CHECKING:
    from napari_dacapo_tasks.tasks.losses.loss import Loss

OBJECTS = "objects"
"""Name of the channel of a segmentation."""

LSD_VOXELS = (2, 10)
"""Fewest and most voxels in a proposed sigma of the descriptors: under 2 their Gaussian is no
ball any more, and their context is three times as wide on each side."""

LowestShare = Annotated[
    float,
    Field(
        gt=0,
        lt=1,
        description="Both classes are weighted by the inverse of their share; a share below this "
        "counts as this, so that a rare class does not drown the other.",
    ),
]
HighestShare = Annotated[
    float,
    Field(
        gt=0,
        le=1,
        description="A share above this counts as this when both classes are weighted.",
    ),
]


class AffinitiesTask(Task):
    """Learns affinities, with local shape descriptors beside them on request."""

    def __init__(self, config: AffinitiesTaskConfig) -> None:
        self.config = config
        self.predictor = AffinitiesPredictor(
            neighborhood=config.neighborhood,
            lsds=config.lsds,
            num_voxels=config.num_lsd_voxels,
            downsample_lsds=config.downsample_lsds,
            affs_weight_clipmin=config.affs_weight_clipmin,
            affs_weight_clipmax=config.affs_weight_clipmax,
            lsd_weight_clipmin=config.lsd_weight_clipmin,
            lsd_weight_clipmax=config.lsd_weight_clipmax,
            background_as_object=config.background_as_object,
        )

    @property
    def loss(self) -> Loss:
        """Cross-entropy of the affinities, squared error of the descriptors."""
        from napari_dacapo_tasks.tasks.losses.affinities import AffinitiesLoss

        return AffinitiesLoss(len(self.config.neighborhood), self.config.lsds_to_affs_weight_ratio)

    @property
    def methods(self) -> Sequence[Method]:
        """Instances by mutex watershed, and by connected components."""
        from napari_dacapo_tasks.tasks.evaluators.instance import InstanceEvaluator
        from napari_dacapo_tasks.tasks.post_processors.affinity_components import (
            AffinityComponentsPostProcessor,
        )
        from napari_dacapo_tasks.tasks.post_processors.mutex_watershed import (
            MutexWatershedPostProcessor,
        )

        evaluator = InstanceEvaluator([OBJECTS])
        mutex_watershed = MutexWatershedPostProcessor(self.config.neighborhood)
        components = AffinityComponentsPostProcessor(self.config.neighborhood)
        return [
            Method("Mutex watershed", mutex_watershed, evaluator),
            Method("Connected components", components, evaluator),
        ]


class AffinitiesTaskConfig(TaskConfig):
    """Parameters of the affinities task."""

    task_type: ClassVar[type[Task]] = AffinitiesTask
    title: ClassVar[str] = "Affinities"
    short_name: ClassVar[str] = "affs"
    sections: ClassVar[Mapping[str, Sequence[str]]] = {
        "Local shape descriptors": (
            "lsds",
            "num_lsd_voxels",
            "downsample_lsds",
            "lsds_to_affs_weight_ratio",
        ),
        "Class balance": (
            "affs_weight_clipmin",
            "affs_weight_clipmax",
            "lsd_weight_clipmin",
            "lsd_weight_clipmax",
        ),
    }

    neighborhood: list[tuple[int, ...]] = Field(
        title="Neighbourhood",
        description="Offsets in voxels: for each, the network learns whether a voxel and the one "
        "there belong to the same object. One step along each axis finds the objects' surfaces, "
        "longer ones keep objects apart that touch at a few voxels.",
        json_schema_extra={EDITOR: "neighborhood"},
    )
    background_as_object: bool = Field(
        default=False,
        title="Background is an object",
        description="Voxels of background belong together, too. Otherwise nothing belongs to the "
        "background, itself not either.",
    )
    lsds: bool = Field(
        default=False,
        title="Descriptors",
        description="Learn for each voxel where in its object it is and how the object extends "
        "around it, too: that helps the affinities, and is not used to segment.",
    )
    num_lsd_voxels: int = Field(
        default=10,
        ge=1,
        title="Sigma (voxels)",
        description="How far around a voxel its object is described, in voxels of the coarsest "
        "axis: about the radius of the objects.",
        json_schema_extra={NEEDS: "lsds"},
    )
    downsample_lsds: int = Field(
        default=1,
        ge=1,
        title="Downsampling",
        description="Describe the objects on a grid coarser by this factor, which takes less time.",
        json_schema_extra={NEEDS: "lsds"},
    )
    lsds_to_affs_weight_ratio: float = Field(
        default=1,
        ge=0,
        title="Ratio of losses",
        description="How much the descriptors count in the loss, where the affinities count 1.",
        json_schema_extra={NEEDS: "lsds"},
    )
    affs_weight_clipmin: LowestShare = Field(default=0.05, title="Affinities: lowest share")
    affs_weight_clipmax: HighestShare = Field(default=0.95, title="Affinities: highest share")
    lsd_weight_clipmin: LowestShare = Field(
        default=0.05, title="Descriptors: lowest share", json_schema_extra={NEEDS: "lsds"}
    )
    lsd_weight_clipmax: HighestShare = Field(
        default=0.95, title="Descriptors: highest share", json_schema_extra={NEEDS: "lsds"}
    )

    @field_validator("neighborhood")
    @classmethod
    def _usable(cls, neighborhood: list[tuple[int, ...]]) -> list[tuple[int, ...]]:
        refused = flaw(neighborhood)
        if refused is not None:
            raise ValueError(refused)
        return neighborhood

    @model_validator(mode="after")
    def _shares_in_order(self) -> Self:
        for kind in ("affs_weight", "lsd_weight"):
            low, high = getattr(self, f"{kind}_clipmin"), getattr(self, f"{kind}_clipmax")
            if low >= high:
                raise ValueError(f"{kind}_clipmin {low:g} must be below {kind}_clipmax {high:g}")
        return self

    @classmethod
    def propose(cls, channels: Sequence[str], measured: Measured) -> Self:
        """Give offsets that reach as far along every axis, up to the width of the objects."""
        radius = inf if measured.radius is None else measured.radius
        fewest, most = LSD_VOXELS
        return cls(
            name="_".join([*channels[:2], cls.short_name]),
            neighborhood=equal_reach(measured.voxel_size, farthest=2 * radius),
            num_lsd_voxels=round(min(max(radius / max(measured.voxel_size), fewest), most)),
        )
