"""One-hot classes: which of several kinds a voxel is."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, ClassVar, Self

from pydantic import Field, field_validator

from napari_dacapo_tasks.tasks.fields import DEFAULT_KERNEL_SIZE, KernelSize, require_names
from napari_dacapo_tasks.tasks.predictors.one_hot import OneHotPredictor
from napari_dacapo_tasks.tasks.task import EDITOR, Measured, Method, Task, TaskConfig

if TYPE_CHECKING:
    from napari_dacapo_tasks.tasks.losses.loss import Loss


MOST_CLASSES = 32
"""That are proposed by themselves: with more labels than that they are objects of their own."""


class OneHotTask(Task):
    """Learns which class each voxel belongs to."""

    def __init__(self, config: OneHotTaskConfig) -> None:
        self.config = config
        self.predictor = OneHotPredictor(config.classes, config.kernel_size or DEFAULT_KERNEL_SIZE)

    @property
    def loss(self) -> Loss:
        """Weighted cross-entropy."""
        from napari_dacapo_tasks.tasks.losses.cross_entropy import CrossEntropyLoss

        return CrossEntropyLoss()

    @property
    def methods(self) -> Sequence[Method]:
        """The class of the highest probability."""
        from napari_dacapo_tasks.tasks.evaluators.one_hot import OneHotEvaluator
        from napari_dacapo_tasks.tasks.post_processors.argmax import ArgmaxPostProcessor

        evaluator = OneHotEvaluator(self.config.classes)
        return [Method("Most probable class", ArgmaxPostProcessor(), evaluator)]


class OneHotTaskConfig(TaskConfig):
    """Parameters of the one-hot task."""

    task_type: ClassVar[type[Task]] = OneHotTask
    title: ClassVar[str] = "One-hot classes"
    short_name: ClassVar[str] = "one_hot"
    sections: ClassVar[Mapping[str, Sequence[str]]] = {"Prediction head": ("kernel_size",)}

    classes: list[str] = Field(
        min_length=2,
        title="Classes",
        description="Names of the classes in the order of their labels, which start at 0: usually "
        "the background comes first. Voxels of other labels are left out.",
        json_schema_extra={EDITOR: "classes"},
    )
    kernel_size: KernelSize = None

    @field_validator("classes")
    @classmethod
    def _names(cls, classes: list[str]) -> list[str]:
        require_names(classes, "classes")
        return classes

    @classmethod
    def propose(cls, channels: Sequence[str], measured: Measured) -> Self:
        """Give a class to each label, or two where there are so many that they must be objects."""
        largest = measured.largest_label
        if largest is None or not 1 < largest < MOST_CLASSES:
            return cls(name=cls.short_name, classes=["background", "objects"])
        named = [f"class {label}" for label in range(1, largest + 1)]
        return cls(name=cls.short_name, classes=["background", *named])
