"""Everything that a run is made of, as ``run.yaml`` holds it."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from difflib import get_close_matches
from math import isfinite
from pathlib import Path
from typing import Annotated, Any, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from napari_dacapo_tasks.architectures import CNNectomeUNet
from napari_dacapo_tasks.arrays import LabelsConfig
from napari_dacapo_tasks.errors import ConfigError
from napari_dacapo_tasks.tasks import TaskConfig
from napari_dacapo_tasks.tasks.files import (
    parse_yaml,
    read_yaml,
    task_from_dict,
    task_to_dict,
    write_yaml,
)
from napari_dacapo_tasks.tasks.values import TYPE, shown, validated

ARCHITECTURES: dict[str, type[CNNectomeUNet]] = {"CNNectomeUNetConfig": CNNectomeUNet}
"""Every architecture that a run can have, by the name that it has in DaCapo's files."""


def _known_device(name: str) -> str:
    if not re.fullmatch(r"auto|cpu|mps|cuda(:\d+)?", name):
        raise ValueError('a device is called "auto", "cpu", "mps" or as "cuda:0"')
    return name


class TrainerConfig(BaseModel):
    """How a run is trained."""

    model_config = ConfigDict(frozen=True, extra="forbid")

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
    device: Annotated[str, AfterValidator(_known_device)] = Field(
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


class CropConfig(BaseModel):
    """One volume with its ground truth; relative paths begin at the run folder."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    raw: str = Field(min_length=1, title="Raw", description="Path of the raw data.")
    gt: str = Field(min_length=1, title="Ground truth", description="Path of the labels.")
    mask: str | None = Field(
        default=None,
        title="Mask",
        description="Path of an array that is nonzero where the labels are known; left out, they "
        "are known everywhere.",
    )


def _one_crop(crops: tuple[CropConfig, ...]) -> tuple[CropConfig, ...]:
    if len(crops) != 1:
        raise ValueError(f"a run has exactly one crop today, not {len(crops)}: keep one of them")
    return crops


def _rising(limits: tuple[float, float]) -> tuple[float, float]:
    low, high = limits
    if not (isfinite(low) and isfinite(high) and low < high):
        raise ValueError(f"({low:g}, {high:g}) must be two numbers, the lower one first")
    return limits


class DataConfig(BaseModel):
    """What a run learns from."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    crops: Annotated[tuple[CropConfig, ...], AfterValidator(_one_crop)] = Field(
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
                parts[name] = _architecture_from_dict(values, source)
            else:
                kind = DataConfig if name == "data" else TrainerConfig
                parts[name] = validated(kind, values, source)
        return validated(cls, {**sections, **parts}, str(path))

    def save(self, path: str | Path) -> None:
        """Write a YAML file of plain values; raises ConfigError where that fails."""
        architecture = {
            TYPE: _type_name(self.architecture),
            **self.architecture.model_dump(mode="json"),
        }
        write_yaml(
            {
                "task": task_to_dict(self.task),
                "architecture": architecture,
                "data": self.data.model_dump(mode="json"),
                "trainer": self.trainer.model_dump(mode="json"),
            },
            path,
        )


def with_overrides(config: RunConfig, overrides: Mapping[str, str]) -> RunConfig:
    """Change single parameters; as `overridden`."""
    sections = {name: getattr(config, name) for name in RunConfig.model_fields}
    return config.model_copy(update=overridden(sections, overrides))


def overridden(
    sections: Mapping[str, BaseModel], overrides: Mapping[str, str]
) -> dict[str, BaseModel]:
    """Change single parameters in some sections of a run.

    Parameters
    ----------
    sections
        Configs by the name of their section, such as ``trainer``.
    overrides
        Values by name, as people write them: ``{"trainer.iterations": "500"}``, for a config
        inside of another ``"task.sub_task_config.scale_factor"``. Lists and nothing are written
        as in YAML: ``[[1, 0, 0], [0, 1, 0]]``, ``null``.

    Raises
    ------
    ConfigError
        For a name that is not known, with the nearest that is, and for values that are refused.
    """
    known = [f"{name}.{field}" for name, part in sections.items() for field in _fields(part)]
    begins = " or ".join(f"{name}." for name in sections)
    changed = {name: part.model_dump() for name, part in sections.items()}
    for name, text in overrides.items():
        if name not in known:
            close = _nearest(name, known)
            hint = f"did you mean {close}?" if close else f"it begins with {begins}."
            raise ConfigError(f"There is no parameter {name}; {hint}")
        *outer, field = name.split(".")
        values: Any = changed
        for part in outer:
            values = values[part]
            if not isinstance(values, dict):  # it was given as a whole, and as nonsense
                raise ConfigError(f"{name} cannot be set beside {name.rpartition('.')[0]}.")
        values[field] = _plain(name, text)
    touched = {name.partition(".")[0] for name in overrides}
    return {
        name: validated(type(part), changed[name], name) if name in touched else part
        for name, part in sections.items()
    }


def _fields(config: BaseModel) -> Iterator[str]:
    """Give the names of all fields, those of configs inside of it as ``outer.inner``."""
    for name in type(config).model_fields:
        yield name
        value = getattr(config, name)
        if isinstance(value, BaseModel):
            yield from (f"{name}.{inner}" for inner in _fields(value))


def _nearest(name: str, known: Sequence[str]) -> str | None:
    """Find the name that was meant: first in the same config, where there is that."""
    outer, _, field = name.rpartition(".")
    beside = [one.removeprefix(f"{outer}.") for one in known if one.rpartition(".")[0] == outer]
    if close := get_close_matches(field, beside, n=1, cutoff=0.5):
        return f"{outer}.{close[0]}"
    return next(iter(get_close_matches(name, known, n=1, cutoff=0.5)), None)


def _plain(name: str, text: str) -> Any:
    """Read lists, mappings and null as YAML; the config reads all else from its text."""
    if text[:1] not in ("[", "{") and text != "null":
        return text
    try:
        return parse_yaml(text, name)
    except ConfigError:
        raise ConfigError(f"{name} is no list that can be read: {text}.") from None


def _type_name(architecture: CNNectomeUNet) -> str:
    return next(name for name, kind in ARCHITECTURES.items() if kind is type(architecture))


def _architecture_from_dict(values: Mapping[str, Any], source: str) -> CNNectomeUNet:
    name = values.get(TYPE)
    if not isinstance(name, str) or name not in ARCHITECTURES:
        known = ", ".join(ARCHITECTURES)
        name = name if isinstance(name, str) else shown(name)
        raise ConfigError(f"{source} has the {TYPE} {name}: it must be one of {known}.")
    fields = {key: value for key, value in values.items() if key != TYPE}
    return validated(ARCHITECTURES[name], fields, source)
