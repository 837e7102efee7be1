"""Everything that a run is made of, as ``run.yaml`` holds it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Self

from pydantic import BaseModel, ConfigDict

from napari_dacapo_tasks.architectures import CNNectomeUNet
from napari_dacapo_tasks.errors import ConfigError
from napari_dacapo_tasks.runs.data_config import DataConfig
from napari_dacapo_tasks.runs.trainer_config import TrainerConfig
from napari_dacapo_tasks.tasks import TaskConfig
from napari_dacapo_tasks.tasks.files import (
    read_yaml,
    task_from_dict,
    task_to_dict,
    write_yaml,
)
from napari_dacapo_tasks.tasks.values import TYPE, shown, validated

ARCHITECTURES: dict[str, type[CNNectomeUNet]] = {"CNNectomeUNetConfig": CNNectomeUNet}
"""Every architecture that a run can have, by the name that it has in DaCapo's files."""


class RunConfig(BaseModel):
    """Task, architecture, data and trainer of a run."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    task: TaskConfig
    architecture: CNNectomeUNet
    data: DataConfig
    trainer: TrainerConfig = TrainerConfig()

    @classmethod
    def load(cls, path: str | Path) -> Self:
        """Read what `save` has written.

        Raises
        ------
        ConfigError
            Where the file cannot be read, or holds a type, field or value that is not known.
        """
        sections = read_yaml(path)
        parts: dict[str, Any] = {}
        for name, values in sections.items():
            source = f"{path}, {name}"
            if name not in cls.model_fields:
                break  # the config as a whole says it best, below
            if not isinstance(values, dict):
                raise ConfigError(f"{source}: these must be named values, not {shown(values)}.")
            if name == "task":
                parts[name] = task_from_dict(values, source)
            elif name == "architecture":
                parts[name] = architecture_from_dict(values, source)
            else:
                kind = DataConfig if name == "data" else TrainerConfig
                parts[name] = validated(kind, values, source)
        return validated(cls, {**sections, **parts}, str(path))

    def save(self, path: str | Path) -> None:
        """Write a YAML file of plain values; raises ConfigError where that fails."""
        write_yaml(
            {
                "task": task_to_dict(self.task),
                "architecture": architecture_to_dict(self.architecture),
                "data": self.data.model_dump(mode="json"),
                "trainer": self.trainer.model_dump(mode="json"),
            },
            path,
        )


def architecture_to_dict(architecture: CNNectomeUNet) -> dict[str, Any]:
    """Give plain values, with the type's name."""
    kind = next(name for name, kind in ARCHITECTURES.items() if kind is type(architecture))
    return {TYPE: kind, **architecture.model_dump(mode="json")}


def architecture_from_dict(values: Mapping[str, Any], source: str) -> CNNectomeUNet:
    """Build an architecture of plain values; raises ConfigError."""
    name = values.get(TYPE)
    if not isinstance(name, str) or name not in ARCHITECTURES:
        known = ", ".join(ARCHITECTURES)
        name = name if isinstance(name, str) else shown(name)
        raise ConfigError(f"{source} has the {TYPE} {name}: it must be one of {known}.")
    fields = {key: value for key, value in values.items() if key != TYPE}
    return validated(ARCHITECTURES[name], fields, source)
