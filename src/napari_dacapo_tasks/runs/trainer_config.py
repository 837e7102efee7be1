"""How a run is trained, and where."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Annotated, ClassVar, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from napari_dacapo_tasks.runs.augmentation import AugmentationConfig


def known_device(name: str) -> str:
    """Refuse what is no name of a device, with ValueError."""
    if not re.fullmatch(r"auto|cpu|mps|cuda(:\d+)?", name):
        raise ValueError('a device is called "auto", "cpu", "mps" or as "cuda:0"')
    return name


class OptimizerConfig(BaseModel):
    """How the weights are changed in a step."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: Literal["AdamW", "Adam", "RAdam", "NAdam", "SGD"] = Field(
        default="AdamW",
        title="Optimizer",
        description="Rule by which gradients change the weights. AdamW suits nearly everything; "
        "RAdam is DaCapo's.",
    )
    weight_decay: float = Field(
        default=0.01,
        ge=0,
        le=1,
        title="Weight decay",
        description="How strongly weights are drawn towards 0, which keeps a network from learning "
        "its few crops by heart.",
    )
    schedule: Literal["constant", "cosine"] = Field(
        default="constant",
        title="Schedule",
        description="constant: the learning rate stays. cosine: it falls to 0 at the last "
        "iteration, which often ends a little better, but then more iterations make a new curve.",
    )
    warm_up: int = Field(
        default=0,
        ge=0,
        title="Warm-up",
        description="Iterations over which the learning rate rises from 0 at the beginning.",
    )
    accumulation: int = Field(
        default=1,
        ge=1,
        le=1024,
        title="Accumulation",
        description="Batches that go into each iteration one after the other: as a larger batch, "
        "in the memory of a small one.",
    )
    clip_norm: float | None = Field(
        default=None,
        examples=[1.0],
        gt=0,
        title="Clip gradients at",
        description="Largest norm of the gradient; longer ones are shortened, so that a bad crop "
        "does no harm. Left out: any.",
    )
    ema_decay: float | None = Field(
        default=None,
        examples=[0.999],
        ge=0.5,
        lt=1,
        title="Average of weights",
        description="Share of the past in a running average of the weights, such as 0.999, which "
        "is what validates, predicts and is saved beside them. Left out: no average.",
    )


class ValidationConfig(BaseModel):
    """How a run is scored while it is trained, on the crops that are kept for that."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    interval: int | None = Field(
        default=500,
        ge=1,
        title="Validate every",
        description="Iterations from one validation to the next. Left out: never.",
    )
    criterion: str | None = Field(
        default=None,
        title="Score",
        description="Which of the task's scores says what is best, by its name, such as voi or "
        "f1_score. Left out: the first one of the task.",
    )
    best_kept: int = Field(
        default=1,
        ge=0,
        title="Best kept",
        description="Number of checkpoints with the best scores that are kept.",
    )
    patience: int | None = Field(
        default=None,
        examples=[10],
        ge=1,
        title="Stop early after",
        description="Validations in a row without a better score after which training stops. Left "
        "out: it goes on to its last iteration.",
    )


class ExecutionConfig(BaseModel):
    """What makes training faster or exactly repeatable; the result is to be the same."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    precision: Literal["float32", "bfloat16", "float16"] = Field(
        default="float32",
        title="Precision",
        description="Numbers that a graphics card multiplies. bfloat16 and float16 take half the "
        "memory and are faster on most of them.",
    )
    channels_last: bool = Field(
        default=False,
        title="Channels last",
        description="Lay tensors out with channels last, which is faster on some graphics cards. "
        "The processor always does.",
    )
    compile: bool = Field(
        default=False,
        title="Compile",
        description="Let PyTorch compile the network: the first steps take minutes, the later ones "
        "less time. It needs a C++ compiler, on a graphics card Triton.",
    )
    deterministic: bool = Field(
        default=False,
        title="Deterministic",
        description="Use only algorithms that give the same bits every time; slower on a graphics "
        "card. On the processor they always do.",
    )
    workers: int | None = Field(
        default=None,
        examples=[2],
        ge=0,
        le=64,
        title="Workers",
        description="Threads that prepare crops beside the training step; 0 prepares them in "
        "between. Left out: as many as suit the machine.",
    )
    deform_on_device: bool = Field(
        default=False,
        title="Deform on the device",
        description="Resample crops on the training device instead of the processor.",
    )


class TrainerConfig(BaseModel):
    """How a run is trained."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    sections: ClassVar[Mapping[str, Sequence[str]]] = {
        "Checkpoints and snapshots": (
            "checkpoint_interval",
            "checkpoints_kept",
            "snapshot_interval",
        ),
    }
    """Fields of the form that stand together, by heading; the others come first."""

    iterations: int = Field(
        default=2000,
        ge=1,
        title="Iterations",
        description="Number of steps in the end. A finished run goes on when this is raised.",
    )
    batch_size: int = Field(
        default=1,
        ge=1,
        le=1024,
        title="Batch size",
        description="Number of crops in each step. More of them train more evenly and need more "
        "memory and time.",
    )
    learning_rate: float = Field(
        default=1e-4,
        gt=0,
        le=1,
        title="Learning rate",
        description="Size of a step. Lower it where the loss jumps or becomes NaN; raise it "
        "where the loss hardly falls.",
    )
    device: Annotated[str, AfterValidator(known_device)] = Field(
        default="auto",
        title="Device",
        description='Where to train: "cpu", "mps", "cuda:0" and so on. "auto" takes the first of '
        "CUDA, MPS and CPU that this machine has.",
    )
    checkpoint_interval: int = Field(
        default=500,
        ge=1,
        title="Checkpoint every",
        description="Iterations from one checkpoint to the next. Stopping and finishing save one "
        "in any case.",
    )
    snapshot_interval: int = Field(
        default=100,
        ge=1,
        title="Snapshot every",
        description="Iterations from one snapshot to the next: raw, target, weight and prediction "
        "of one crop.",
    )
    seed: int = Field(
        default=0,
        ge=0,
        lt=2**32,
        title="Seed",
        description="Decides the first weights and the crops. Two runs with all the same values "
        "are the same on the same machine.",
    )
    checkpoints_kept: int = Field(
        default=2,
        ge=1,
        title="Checkpoints kept",
        description="Number of the last checkpoints that are kept, beside the best ones.",
    )
    freeze_encoder: bool = Field(
        default=False,
        title="Freeze the encoder",
        description="Leave the weights of the way down as they are, as for a network that begins "
        "with trained ones and learns from little data.",
    )
    optimizer: OptimizerConfig = Field(default=OptimizerConfig(), title="Optimizer")
    augmentation: AugmentationConfig = Field(default=AugmentationConfig(), title="Augmentation")
    validation: ValidationConfig = Field(default=ValidationConfig(), title="Validation")
    execution: ExecutionConfig = Field(default=ExecutionConfig(), title="Execution")
