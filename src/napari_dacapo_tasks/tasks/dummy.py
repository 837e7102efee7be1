"""A task that teaches nothing: for tests of what surrounds tasks, not offered in the form."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, ClassVar, Self

from pydantic import Field

from napari_dacapo_tasks.tasks.predictors.dummy import DummyPredictor
from napari_dacapo_tasks.tasks.task import Measured, Method, Task, TaskConfig

if TYPE_CHECKING:
    from napari_dacapo_tasks.tasks.losses.loss import Loss


class DummyTask(Task):
    """Learns to answer 0."""

    def __init__(self, config: DummyTaskConfig) -> None:
        self.config = config
        self.predictor = DummyPredictor(config.embedding_dims)

    @property
    def loss(self) -> Loss:
        """Weighted mean absolute error."""
        from napari_dacapo_tasks.tasks.losses.dummy import DummyLoss

        return DummyLoss()

    @property
    def methods(self) -> Sequence[Method]:
        """None: there is nothing to segment."""
        return []


class DummyTaskConfig(TaskConfig):
    """Parameters of the dummy task."""

    task_type: ClassVar[type[Task]] = DummyTask
    title: ClassVar[str] = "Dummy"
    short_name: ClassVar[str] = "dummy"

    embedding_dims: int = Field(
        ge=1, title="Channels", description="Number of channels of the target."
    )
    detection_threshold: float = Field(
        title="Threshold", description="Has no meaning; DaCapo's files hold it."
    )

    @classmethod
    def propose(cls, channels: Sequence[str], measured: Measured) -> Self:
        """Give one channel."""
        return cls(name=cls.short_name, embedding_dims=1, detection_threshold=0.5)

    def verify(self) -> tuple[bool, str]:
        """Say that it cannot be trained."""
        return False, "A dummy task is for tests: it has nothing to learn."
