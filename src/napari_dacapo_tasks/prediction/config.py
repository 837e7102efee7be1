"""How a network predicts."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from napari_dacapo_tasks.runs.trainer_config import known_device


class PredictionConfig(BaseModel):
    """How a network predicts."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    device: Annotated[str, AfterValidator(known_device)] = Field(
        default="auto",
        title="Device",
        description='Where to predict: "cpu", "mps", "cuda:0" and so on. "auto" takes the first of '
        "CUDA, MPS and CPU that this machine has.",
    )
    precision: Literal["float32", "bfloat16", "float16"] = Field(
        default="float32",
        title="Precision",
        description="Numbers that a graphics card multiplies. bfloat16 and float16 take half the "
        "memory and are faster on most of them.",
    )
    tile_shape: tuple[int, ...] | None = Field(
        default=None,
        title="Tile (voxels)",
        description="Raw data that the network sees at once. Left out: as large as the memory of "
        "the device allows; it becomes smaller where that was too much.",
    )
    mirror: bool = Field(
        default=False,
        title="Average over mirrored views",
        description="Predict every tile in all its mirrored views and average what the network "
        "answers: often a little better, and 4 times the work in 2D, 8 times in 3D. Not for "
        "affinities, which have a direction.",
    )
    edges: Literal["mirror", "leave out"] = Field(
        default="mirror",
        title="Edges of the volume",
        description="The network sees farther than it answers. Beyond the edge of the volume it "
        "sees the volume mirrored, or else what lies too near to the edge is left out.",
    )
