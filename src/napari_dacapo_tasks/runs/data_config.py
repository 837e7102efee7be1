"""What a run learns from."""

from __future__ import annotations

import re
from math import isfinite
from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from napari_dacapo_tasks.arrays import LabelsConfig

Use = Literal["train", "validate", "off"]


def parsed_block(text: str) -> tuple[slice, ...]:
    """Read a block such as ``120:160,:,:``; raises ValueError where it is none."""
    found = []
    for part in text.split(","):
        match = re.fullmatch(r"\s*(-?\d+)?\s*:\s*(-?\d+)?\s*", part)
        if match is None:
            raise ValueError(
                f"{text!r} is no block: write a range of voxels for each axis, as in 120:160,:,:"
            )
        found.append(slice(*(None if end is None else int(end) for end in match.groups())))
    return tuple(found)


def _readable_block(text: str | None) -> str | None:
    if text is not None:
        parsed_block(text)
    return text


class CropConfig(BaseModel):
    """One volume with its ground truth; relative paths begin at the run folder."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    raw: str = Field(
        min_length=1,
        title="Raw",
        description="Path of the raw data, which may be far larger than the ground truth.",
    )
    gt: str = Field(min_length=1, title="Ground truth", description="Path of the labels.")
    mask: str | None = Field(
        default=None,
        title="Mask",
        description="Path of an array that is nonzero where the labels are known; left out, they "
        "are known everywhere.",
    )
    use: Use = Field(
        default="train", title="Use", description="Whether it trains, validates or is left out."
    )
    share: float = Field(
        default=1.0,
        gt=0,
        title="Share",
        description="How many of the samples come from here, beside the shares of the others.",
    )
    validation_block: Annotated[str | None, AfterValidator(_readable_block)] = Field(
        default=None,
        title="Validation block",
        description="Part of the ground truth that validates instead of training, in its voxels, "
        "such as 120:160,:,: for 40 sections from 120 on. A band around it, as wide as the network "
        "looks beyond its output, is left out of training, too.",
    )
    name: str = Field(
        default="",
        title="Name",
        description="What this crop is called in messages and scores. Left out: its number.",
    )


class SamplingConfig(BaseModel):
    """Where crops are taken from."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    rare_labels: float = Field(
        default=0.0,
        ge=0,
        le=1,
        title="Rare labels",
        description="Share of the crops that are laid around a voxel of a label that is chosen "
        "first, each label as often as any other.",
    )
    least_known: float = Field(
        default=0.0,
        ge=0,
        le=1,
        title="Least known",
        description="Share of a crop's voxels that must be known; crops with less are not used.",
    )


def _rising(limits: tuple[float, float]) -> tuple[float, float]:
    low, high = limits
    if not (isfinite(low) and isfinite(high) and low < high):
        raise ValueError(f"({low:g}, {high:g}) must be two numbers, the lower one first")
    return limits


def _positive(sizes: tuple[float, ...] | None) -> tuple[float, ...] | None:
    if sizes is not None and not all(isfinite(size) and size > 0 for size in sizes):
        raise ValueError(f"{sizes} must be numbers above 0, one for each axis")
    return sizes


def _one_trains(crops: tuple[CropConfig, ...]) -> tuple[CropConfig, ...]:
    if not any(crop.use == "train" for crop in crops):
        raise ValueError("no crop trains: set the use of at least one to train")
    return crops


class DataConfig(BaseModel):
    """What a run learns from."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    crops: Annotated[tuple[CropConfig, ...], AfterValidator(_one_trains)] = Field(
        title="Crops", description="Volumes with ground truth."
    )
    labels: LabelsConfig = Field(
        default=LabelsConfig(),
        title="Labels",
        description="Channels of the ground truth, and labels that stand for unknown.",
    )
    intensity_range: Annotated[tuple[float, float], AfterValidator(_rising)] = Field(
        title="Intensity range",
        description="Raw values that the network sees as -1 and 1; others in proportion.",
    )
    sampling: SamplingConfig = Field(default=SamplingConfig(), title="Sampling")
    voxel_size: Annotated[tuple[float, ...] | None, AfterValidator(_positive)] = Field(
        default=None,
        title="Voxel size",
        description="Of the raw data, for each axis: what the network sees in prediction must have "
        "the same. Left out: not known.",
    )
    unit: Literal["nm", "voxels"] = Field(
        default="nm",
        title="Unit",
        description="Of the voxel size: nanometres, or voxels for data without a physical unit.",
    )
