"""How crops are varied from one time to the next."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, Self, get_args

from pydantic import BaseModel, ConfigDict, Field, model_validator

from napari_dacapo_tasks.tasks.task import MOST, WORLD

Preset = Literal["none", "light", "em", "strong"]

PRESETS: tuple[Preset, ...] = get_args(Preset)
"""Names of the presets, from nothing to much."""

MOST_BENDING = 0.08
"""Largest ``elastic`` for an ``elastic_spacing`` of 1. Cubic B-splines cannot fold as long as no
coefficient is above 1 / 2.48 of their spacing (Choi and Lee, 2000; 1 / 2.05 in two dimensions);
coefficients drawn evenly up to there have the standard deviation 0.082 at the points of the
grid."""

THICK = 1.5
"""How many times as large as in their plane voxels are along an axis where sections count as thick:
nothing is turned or bent out of their plane, since they differ so much from their side view."""

SPACING_OF_BENDS = 64
"""Voxels, of the smallest edge, from one point to the next in presets that bend."""


class AugmentationConfig(BaseModel):
    """How crops are varied; lengths are in nanometres (voxels without a unit).

    The default is the preset ``light``.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

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
        description="Probability that a crop is turned, scaled and bent. Its target is then made "
        "anew, which takes longer than mirroring.",
    )
    rotation: float = Field(
        default=0.0,
        ge=0,
        le=180,
        title="Rotation",
        description="Largest angle in degrees: in the plane of sections where they are 1.5 times "
        "as thick as their voxels are wide, about any axis elsewhere.",
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
        le=MOST,
        description="Standard deviation by which points of the bent grid are moved, at most 0.08 "
        "of their spacing.",
        json_schema_extra=WORLD,
    )
    elastic_spacing: float = Field(
        default=0.0,
        ge=0,
        title="Spacing of bends",
        le=MOST,
        description="From one point of the bent grid to the next.",
        json_schema_extra=WORLD,
    )
    missing_sections: float = Field(
        default=0.0,
        ge=0,
        le=1,
        title="Missing sections",
        description="For each section, probability that it is blank, as where one was lost.",
    )
    dark_sections: float = Field(
        default=0.0,
        ge=0,
        le=1,
        title="Dark sections",
        description="For each section, probability that it is dark and has little contrast.",
    )
    shifted_sections: float = Field(
        default=0.0,
        ge=0,
        le=1,
        title="Shifted sections",
        description="For each section, probability that it lies beside its place: alone, and then "
        "its labels stay, or with all that follow, and then their labels go with them.",
    )
    shift: float = Field(
        default=0.0,
        ge=0,
        title="Shift",
        le=MOST,
        description="How far they lie beside it at most.",
        json_schema_extra=WORLD,
    )

    @model_validator(mode="after")
    def _makes_sense(self) -> Self:
        if self.elastic > MOST_BENDING * self.elastic_spacing * (1 + 1e-9):
            least = self.elastic / MOST_BENDING
            raise ValueError(
                f"an elastic of {self.elastic:g} needs an elastic_spacing of at least {least:.6g}, "
                f"not {self.elastic_spacing:g}, or the bent grid could fold over itself"
            )
        if self.deform and not (self.rotation or self.scaling or self.elastic):
            raise ValueError(
                f"deform is {self.deform:g}, but there is nothing to do: give a rotation, a "
                "scaling or an elastic with its elastic_spacing, or set deform to 0"
            )
        if self.shifted_sections and not self.shift:
            raise ValueError(
                f"shifted_sections is {self.shifted_sections:g}, but shift is 0: say how far "
                "sections lie beside their place, or set shifted_sections to 0"
            )
        return self

    @classmethod
    def preset(cls, name: Preset, voxel_size: Sequence[float]) -> AugmentationConfig:
        """Give a preset.

        Parameters
        ----------
        name
            ``none``; ``light``: what costs no time; ``em``: what sections under an electron
            microscope differ by, more defects where they are cut one by one (thick voxels);
            ``strong``: the same and more of it.
        voxel_size
            Per spatial axis, in nanometres (or voxels).
        """
        if name == "none":
            return cls(mirror=False, transpose=False, intensity=0)
        if name == "light":
            return cls()
        strong = name == "strong"
        fine, thick = min(voxel_size), max(voxel_size)
        defects = 0.0
        if len(voxel_size) == 3:
            defects = (0.02 if thick >= THICK * fine else 0.003) * (2 if strong else 1)
        return cls(
            intensity=0.4 if strong else 0.25,
            deform=0.75 if strong else 0.5,
            rotation=45,  # mirroring and transposing do the rest
            scaling=0.25 if strong else 0.1,
            elastic=(5 if strong else 3) * fine,
            elastic_spacing=SPACING_OF_BENDS * fine,
            missing_sections=defects,
            dark_sections=defects,
            shifted_sections=defects,
            shift=(10 if strong else 5) * fine if defects else 0,
        )

    def preset_name(self, voxel_size: Sequence[float]) -> Preset | None:
        """Tell which preset this is for a voxel size, None for one of a person's own."""
        return next((n for n in PRESETS if self == self.preset(n, voxel_size)), None)
