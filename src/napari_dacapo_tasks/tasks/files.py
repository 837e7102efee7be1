"""Task files: DaCapo's own YAML, ``__type__`` and plain values."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from difflib import get_close_matches
from pathlib import Path
from typing import Any, TypeVar, cast

import yaml
from pydantic import BaseModel, ValidationError

from napari_dacapo_tasks.errors import ConfigError
from napari_dacapo_tasks.tasks import TASKS
from napari_dacapo_tasks.tasks.task import TaskConfig

TYPE = "__type__"

Config = TypeVar("Config", bound=BaseModel)


class _Loader(yaml.SafeLoader):
    """Plain values, and the one tag that DaCapo writes: a tuple, read as a list."""


_Loader.add_constructor(
    "tag:yaml.org,2002:python/tuple",
    lambda loader, node: loader.construct_sequence(cast(yaml.SequenceNode, node), deep=True),
)


def load_task(path: str | Path) -> TaskConfig:
    """Read a task file, ours or DaCapo's.

    Raises
    ------
    ConfigError
        Where the file cannot be read, or holds a type, field or value that is not known.
    """
    return task_from_dict(read_yaml(path), source=str(path))


def save_task(config: TaskConfig, path: str | Path) -> None:
    """Write a task file that DaCapo loads, too.

    Raises
    ------
    ConfigError
        Where the file cannot be written.
    """
    write_yaml(task_to_dict(config), path)


def task_to_dict(config: TaskConfig) -> dict[str, Any]:
    """Give plain values, with the type's name."""
    return {TYPE: type(config).__name__, **config.model_dump(mode="json")}


def task_from_dict(values: Mapping[str, Any], source: str = "The task") -> TaskConfig:
    """Build a config of plain values; raises ConfigError."""
    types = {config.__name__: config for config in TASKS}
    if TYPE not in values:
        raise ConfigError(f"{source} has no {TYPE}: it must be one of {', '.join(types)}.")
    name = str(values[TYPE])
    if name not in types:
        raise ConfigError(f"{source} is of the unknown type {name}{_nearest(name, types)}")
    fields = {key: value for key, value in values.items() if key != TYPE}
    return validated(types[name], fields, source)


def validated(config: type[Config], values: Mapping[str, Any], source: str) -> Config:
    """Build a config, or say in one sentence what is refused first."""
    try:
        return config.model_validate(values)
    except ValidationError as error:
        sentence = refusal(error, config)
        end = "" if sentence.endswith("?") else "."
        raise ConfigError(f"{source}: {sentence}{end}") from None


def refusal(error: ValidationError, config: type[BaseModel]) -> str:
    """Say the first thing that a config refuses, with its place and, for a typo, the right name."""
    first = error.errors()[0]
    place = ".".join(str(part) for part in first["loc"])
    if first["type"] == "extra_forbidden":
        return f"the field {place} is not known{_nearest(place, config.model_fields)}"
    if first["type"] == "missing":
        return f"the field {place} is missing"
    reason = first["msg"].removeprefix("Value error, ").rstrip(".")
    given = "" if isinstance(first["input"], (Mapping, list)) else f" (got {first['input']!r})"
    return f"{place}: {reason}{given}" if place else reason


def read_yaml(path: str | Path) -> dict[str, Any]:
    """Read a mapping of plain values; no tag but DaCapo's tuples is known, and no code is run.

    Raises
    ------
    ConfigError
        Where the file cannot be read or is no such mapping.
    """
    try:
        values = yaml.load(Path(path).read_text(encoding="utf-8"), _Loader)
    except OSError as error:
        raise ConfigError(f"{path} cannot be read: {error.strerror}.") from None
    except UnicodeDecodeError:
        raise ConfigError(f"{path} is no text file.") from None
    except yaml.YAMLError as error:
        said = " ".join(str(error).split())
        raise ConfigError(f"{path} is no valid YAML of plain values: {said}.") from None
    if not isinstance(values, dict):
        raise ConfigError(f"{path} does not hold named values, such as '{TYPE}: ...'.")
    return {str(key): value for key, value in values.items()}


def write_yaml(values: Mapping[str, Any], path: str | Path) -> None:
    """Write plain values; raises ConfigError where that fails."""
    text = yaml.safe_dump(dict(values), default_flow_style=None, allow_unicode=True)
    try:
        Path(path).write_text(text, encoding="utf-8")
    except OSError as error:
        raise ConfigError(f"{path} cannot be written: {error.strerror}.") from None


def _nearest(name: str, known: Iterable[str]) -> str:
    close = get_close_matches(name, list(known), n=1, cutoff=0.5)
    return f"; did you mean {close[0]}?" if close else f"; known are {', '.join(known)}"
