"""What every task shares: its config, and the parts that it brings together."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator
from pydantic.config import JsonDict
from pydantic.fields import FieldInfo

from napari_dacapo_tasks.units import NANOMETRE, WorldUnit

if TYPE_CHECKING:
    from napari_dacapo_tasks.architectures import Architecture, Model
    from napari_dacapo_tasks.tasks.evaluators.evaluator import Evaluator
    from napari_dacapo_tasks.tasks.losses.loss import Loss
    from napari_dacapo_tasks.tasks.post_processors.post_processor import (
        PostProcessor,
        PostProcessorParameters,
    )
    from napari_dacapo_tasks.tasks.predictors.predictor import Predictor

WORLD: JsonDict = {"unit": "world"}
"""``json_schema_extra`` of a field that is a length in nanometres (voxels without a unit)."""

EDITOR = "editor"
"""Key in ``json_schema_extra`` of a field whose type does not say how it is edited."""

NEEDS = "needs"
"""Key in ``json_schema_extra`` of a field that means nothing unless another one, the field of this
name, is on."""

MOST = 1e12
"""Largest number that a field takes: a kilometre in nanometres. Much larger ones overflow."""

LABELS = "labels"
"""Name of the only channel of a ground truth whose labels are one volume of ids or classes."""


def extra_of(field: FieldInfo) -> JsonDict:
    """Give what a field says of itself beyond its type: `WORLD`, `EDITOR`, `NEEDS`."""
    extra = field.json_schema_extra
    return extra if isinstance(extra, dict) else {}


def is_length(field: FieldInfo) -> bool:
    """Whether a field is a length in world units; see `WORLD`."""
    return extra_of(field).items() >= WORLD.items()


@dataclass(frozen=True)
class Method:
    """A way from predictions of a task to segmentations.

    Attributes
    ----------
    title
        Name for people.
    post_processor
        Makes the segmentation.
    evaluator
        Scores it.
    """

    title: str
    post_processor: PostProcessor[Any]
    evaluator: Evaluator


@dataclass(frozen=True)
class Measured:
    """What the data tells of itself, to propose parameters from; lengths in one base unit.

    Attributes
    ----------
    voxel_size
        Per spatial axis.
    radius
        Typical radius of the objects, None where there is no object.
    unit
        ``"nm"`` or ``"voxels"``.
    largest_label
        Of those that were looked at, None where that is not known.
    """

    voxel_size: tuple[float, ...]
    radius: float | None = None
    unit: str = NANOMETRE.name
    largest_label: int | None = None


class TaskConfig(BaseModel, ABC):
    """Parameters of a task; ``config.task_type(config)`` builds it.

    Lengths are in nanometres, or in voxels for data without a physical unit.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    task_type: ClassVar[type[Task]]
    title: ClassVar[str]
    """Name for people."""

    sections: ClassVar[Mapping[str, Sequence[str]]] = {}
    """Fields of the form that stand together, by heading; the others come first."""

    name: str = Field(
        min_length=1,
        title="Name",
        description="A unique name for this task: short, without special characters. "
        "Runs and files carry it.",
    )

    @model_validator(mode="after")
    def _within_reason(self) -> Self:
        for name in type(self).model_fields:
            value = getattr(self, name)
            if isinstance(value, (int, float)) and abs(value) > MOST:
                raise ValueError(f"{name} is beyond {MOST:g}, which no data needs: give less")
        return self

    @classmethod
    @abstractmethod
    def propose(cls, channels: Sequence[str], measured: Measured) -> Self:
        """Give parameters that fit the data: what the form starts from and resets to."""

    @property
    def ground_truth_channels(self) -> list[str]:
        """Names of the channels of the ground truth: one of all labels, unless they are chosen."""
        return [LABELS]

    def has_channels(self) -> bool:
        """Whether the channels of the ground truth are chosen, each with label ids of its own."""
        return "channels" in type(self).model_fields

    def with_channels(self, channels: Sequence[str]) -> Self:
        """Give the same parameters for other channels, where these are chosen."""
        return self

    def verify(self) -> tuple[bool, str]:
        """Say whether the task can be trained, and why not."""
        return True, "No validation for this Task"

    def on_grid(self, unit: WorldUnit) -> Self:
        """Give the same parameters with lengths in steps of a grid, as predictors want them."""
        lengths = {
            name: getattr(self, name) * unit.steps
            for name, field in type(self).model_fields.items()
            if is_length(field)
        }
        return self.model_copy(update=lengths)


class Task(ABC):
    """A predictor with its loss, and the ways from predictions to segmentations and scores.

    Parameters
    ----------
    config
        Its parameters, with lengths in the unit of the arrays that it will see.
    """

    predictor: Predictor[Any]

    notices: tuple[str, ...] = ()
    """What a person should know of the model that was made, a sentence each."""

    def __init__(self, config: Any) -> None:
        self.config = config

    @property
    @abstractmethod
    def loss(self) -> Loss:
        """What training makes small; imports torch."""

    @property
    @abstractmethod
    def methods(self) -> Sequence[Method]:
        """Ways from a prediction to a scored segmentation, the usual one first."""

    @property
    def post_processor(self) -> PostProcessor[Any]:
        """That of the usual method."""
        return self.methods[0].post_processor

    @property
    def evaluator(self) -> Evaluator:
        """That of the usual method."""
        return self.methods[0].evaluator

    @property
    def parameters(self) -> list[PostProcessorParameters]:
        """What a sweep of the post-processor tries."""
        return list(self.post_processor.enumerate_parameters())

    @property
    def channels(self) -> list[str]:
        """Names of the channels of target and prediction."""
        return self.predictor.target_channels

    def create_model(self, architecture: Architecture) -> Model:
        """Put the head of this task on an architecture; imports torch."""
        return self.predictor.create_model(architecture)
