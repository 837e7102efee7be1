"""Pretrained: another task, begun with the weights of a network that was trained before."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from os import PathLike, fspath
from typing import TYPE_CHECKING, Any, ClassVar, Self

from pydantic import (
    Field,
    SerializerFunctionWrapHandler,
    field_serializer,
    field_validator,
    model_serializer,
)

from napari_dacapo_tasks.errors import ConfigError
from napari_dacapo_tasks.tasks.dummy import DummyTaskConfig
from napari_dacapo_tasks.tasks.kinds import KINDS
from napari_dacapo_tasks.tasks.task import EDITOR, Measured, Method, Task, TaskConfig
from napari_dacapo_tasks.tasks.values import TYPE, config_of, values_of
from napari_dacapo_tasks.units import WorldUnit

if TYPE_CHECKING:
    from napari_dacapo_tasks.architectures import Architecture, Model
    from napari_dacapo_tasks.tasks.losses.loss import Loss

NO_WEIGHTS = "it has no weights to begin with: choose a checkpoint of DaCapo or of this program."


class PretrainedTask(Task):
    """Learns what its sub-task learns, from trained weights on.

    Attributes
    ----------
    sub_task
        All but the first weights is its own.
    """

    def __init__(self, config: PretrainedTaskConfig) -> None:
        self.config = config
        self.sub_task: Task = config.sub_task_config.task_type(config.sub_task_config)
        self.predictor = self.sub_task.predictor

    @property
    def loss(self) -> Loss:
        """That of the sub-task."""
        return self.sub_task.loss

    @property
    def methods(self) -> Sequence[Method]:
        """Those of the sub-task."""
        return self.sub_task.methods

    def create_model(self, architecture: Architecture) -> Model:
        """Make the sub-task's model and load the weights; `notices` say what of it is not trained.

        Raises
        ------
        ConfigError
            Where no weights are chosen, or they are those of another network.
        DataError
            Where the file cannot be read, is damaged or holds more than tensors and plain values.
        """
        from napari_dacapo_tasks.architectures import load_weights

        weights = self.config.weights
        if not weights:
            raise ConfigError(f"The task {self.config.name} cannot be trained: {NO_WEIGHTS}")
        model = self.sub_task.create_model(architecture)
        fresh = load_weights(model, weights, self.config.new_head)
        if fresh:
            self.notices = (
                f"The head of the network starts anew ({', '.join(fresh)}), all else with the "
                f"weights of {weights}.",
            )
        return model


class PretrainedTaskConfig(TaskConfig):
    """Parameters of a task that begins with trained weights."""

    task_type: ClassVar[type[Task]] = PretrainedTask
    title: ClassVar[str] = "Pretrained"
    short_name: ClassVar[str] = "pretrained"

    sub_task_config: TaskConfig = Field(
        title="Task",
        description="What the network is to learn.",
        json_schema_extra={EDITOR: "task"},
    )
    weights: str = Field(
        title="Weights",
        description="What to begin with: the folder of a run, of which it is the best checkpoint, "
        "or a checkpoint of DaCapo or of a run, trained with the same architecture. Only numbers "
        "are read from it.",
        json_schema_extra={EDITOR: "file"},
    )
    new_head: bool = Field(
        default=False,
        title="Start the head anew",
        description="Leave out the weights of the last layer, for a task that answers something "
        "else than the one of the checkpoint.",
    )

    @field_validator("sub_task_config", mode="before")
    @classmethod
    def _of_values(cls, value: Any) -> TaskConfig:
        nested = isinstance(value, Mapping) and value.get(TYPE) == cls.__name__
        if nested or isinstance(value, PretrainedTaskConfig):
            raise ValueError("a pretrained task cannot be inside of another: give the inner one")
        return value if isinstance(value, TaskConfig) else config_of(value, SUB_TASKS)

    @field_serializer("sub_task_config")
    def _as_values(self, config: TaskConfig) -> dict[str, Any]:
        return values_of(config)

    @field_validator("weights", mode="before")
    @classmethod
    def _as_text(cls, value: Any) -> Any:
        return fspath(value) if isinstance(value, PathLike) else value

    @model_serializer(mode="wrap")
    def _known_to_dacapo(self, serialized: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """Leave out what DaCapo does not know, unless it says something."""
        values: dict[str, Any] = serialized(self)
        if not self.new_head:
            values.pop("new_head", None)
        return values

    @classmethod
    def propose(cls, channels: Sequence[str], measured: Measured) -> Self:
        """Give the first kind of task, with parameters that fit, and no weights yet."""
        inner = KINDS[0].propose(channels, measured)
        return cls(name=f"{inner.name}_{cls.short_name}", sub_task_config=inner, weights="")

    @property
    def ground_truth_channels(self) -> list[str]:
        """Those of the sub-task."""
        return self.sub_task_config.ground_truth_channels

    def has_channels(self) -> bool:
        """Whether the sub-task's channels are chosen."""
        return self.sub_task_config.has_channels()

    def with_channels(self, channels: Sequence[str]) -> Self:
        """Give the same parameters with other channels of the sub-task."""
        inner = self.sub_task_config.with_channels(channels)
        return self.model_copy(update={"sub_task_config": inner})

    def on_grid(self, unit: WorldUnit) -> Self:
        """Give the same parameters with the sub-task's lengths in steps of a grid."""
        inner = self.sub_task_config.on_grid(unit)
        return self.model_copy(update={"sub_task_config": inner})

    def verify(self) -> tuple[bool, str]:
        """Say whether the sub-task can be trained, and weights are chosen; no file is read."""
        ok, reason = self.sub_task_config.verify()
        return (ok, reason) if self.weights or not ok else (False, NO_WEIGHTS)


SUB_TASKS: list[type[TaskConfig]] = [*KINDS, DummyTaskConfig]
"""What can be begun with trained weights."""
