"""How crops are varied from one time to the next."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from napari_dacapo_tasks.tasks.task import WORLD

Preset = Literal["none", "light", "em", "strong"]


class AugmentationConfig(BaseModel):
    """How crops are varied; lengths are in nanometres (voxels without a unit).

    The default is the preset ``light``.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    mirror: bool = Field(
        default=True,
        title="Mirror",
        description="Mirror crops along each axis, every other time.",
    )
    transpose: bool = Field(
        default=True,
        title="Transpose",
        description="Exchange axes that have the same voxel size and extent.",
    )
    intensity: float = Field(
        default=0.15,
        ge=0,
        le=1,
        title="Intensity",
        description="Probability of each change of brightness, contrast, gamma, noise and blur.",
    )
    deform: float = Field(
        default=0.0,
        ge=0,
        le=1,
        title="Deform",
        description="Probability that a crop is turned, scaled and bent.",
    )
    rotation: float = Field(
        default=0.0,
        ge=0,
        le=180,
        title="Rotation",
        description="Largest angle in degrees: in the plane of sections where voxels are "
        "anisotropic, about any axis elsewhere.",
    )
    scaling: float = Field(
        default=0.0,
        ge=0,
        lt=1,
        title="Scaling",
        description="Largest change of size, as a share.",
    )
    elastic: float = Field(
        default=0.0,
        ge=0,
        title="Bending",
        description="Standard deviation by which points of the bent grid are moved.",
        json_schema_extra=WORLD,
    )
    elastic_spacing: float = Field(
        default=0.0,
        ge=0,
        title="Spacing of bends",
        description="From one point of the bent grid to the next.",
        json_schema_extra=WORLD,
    )
    missing_sections: float = Field(
        default=0.0,
        ge=0,
        le=1,
        title="Missing sections",
        description="Probability that a section is blank, as where one was lost.",
    )
    dark_sections: float = Field(
        default=0.0,
        ge=0,
        le=1,
        title="Dark sections",
        description="Probability that a section has little contrast.",
    )
    shifted_sections: float = Field(
        default=0.0,
        ge=0,
        le=1,
        title="Shifted sections",
        description="Probability that a section, or all from one on, lie beside their place.",
    )
    shift: float = Field(
        default=0.0,
        ge=0,
        title="Shift",
        description="How far they lie beside it at most.",
        json_schema_extra=WORLD,
    )

    @classmethod
    def preset(cls, name: Preset, voxel_size: Sequence[float]) -> AugmentationConfig:
        """Give a preset for a voxel size, in nanometres (or voxels)."""
        raise NotImplementedError
