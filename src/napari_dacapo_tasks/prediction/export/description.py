"""All that is known of a network beside its weights, as a file of plain values."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field

from napari_dacapo_tasks.architectures import CNNectomeUNet
from napari_dacapo_tasks.errors import ConfigError
from napari_dacapo_tasks.runs.config import architecture_from_dict, architecture_to_dict
from napari_dacapo_tasks.tasks import PretrainedTaskConfig, TaskConfig
from napari_dacapo_tasks.tasks.files import task_from_dict, task_to_dict
from napari_dacapo_tasks.tasks.values import shown, validated

if TYPE_CHECKING:
    from torch import Tensor

    from napari_dacapo_tasks.prediction.trained import TrainedModel

DESCRIPTION = "napari_dacapo_tasks.yaml"
"""Name of the file in what an export writes."""

WEIGHTS = "weights.pt"
"""Name of the file with the weights, beside it."""

FORMAT = 1
"""Of the file: one of a later version, which an earlier program would misread, has another."""


class ModelDescription(BaseModel):
    """All that is known of a network beside its weights; fields as of `TrainedModel`."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    format: int = FORMAT
    name: str
    task: TaskConfig
    architecture: CNNectomeUNet
    intensity_range: tuple[float, float]
    voxel_size: tuple[float, ...] = ()
    unit: Literal["nm", "voxels"]
    iteration: int = Field(default=0, ge=0)

    @classmethod
    def of(cls, trained: TrainedModel) -> Self:
        """Describe a network."""
        task = trained.task
        if isinstance(task, PretrainedTaskConfig):
            task = task.sub_task_config  # with what it began does not matter any more
        return cls(
            name=trained.name,
            task=task,
            architecture=trained.architecture,
            intensity_range=trained.intensity_range,
            voxel_size=tuple(trained.voxel_size),
            unit="nm" if trained.unit == "nm" else "voxels",
            iteration=trained.iteration,
        )

    @classmethod
    def from_values(cls, values: Mapping[str, Any], source: str) -> Self:
        """Read what `to_values` gave; raises ConfigError that begins with the source."""
        if values.get("format", FORMAT) != FORMAT:
            raise ConfigError(
                f"{source} is of the format {shown(values['format'])}, which this version does "
                "not know: install a later one."
            )
        parts = dict(values)
        for name, read in (("task", task_from_dict), ("architecture", architecture_from_dict)):
            if isinstance(parts.get(name), Mapping):
                parts[name] = read(parts[name], f"{source}, {name}")
        return validated(cls, parts, source)

    def to_values(self) -> dict[str, Any]:
        """Give plain values."""
        return {
            **self.model_dump(mode="json", exclude={"task", "architecture"}),
            "task": task_to_dict(self.task),
            "architecture": architecture_to_dict(self.architecture),
        }

    def with_weights(self, weights: Mapping[str, Tensor]) -> TrainedModel:
        """Give the network that this describes."""
        from napari_dacapo_tasks.prediction.trained import TrainedModel

        return TrainedModel(
            name=self.name,
            task=self.task,
            architecture=self.architecture,
            weights=weights,
            intensity_range=self.intensity_range,
            voxel_size=self.voxel_size,
            unit=self.unit,
            iteration=self.iteration,
        )
