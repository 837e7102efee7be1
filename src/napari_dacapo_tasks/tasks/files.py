"""Task files: DaCapo's own YAML, ``__type__`` and plain values."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, cast

import yaml

from napari_dacapo_tasks.errors import ConfigError
from napari_dacapo_tasks.tasks import ALL
from napari_dacapo_tasks.tasks.task import TaskConfig
from napari_dacapo_tasks.tasks.values import TYPE, config_of, refused, values_of


class _Loader(yaml.SafeLoader):
    """Plain values, and the one tag that DaCapo writes: a tuple, read as a list."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        names = [key.value for key, _ in node.value if isinstance(key, yaml.ScalarNode)]
        twice = [name for number, name in enumerate(names) if name in names[:number]]
        if twice:  # YAML itself would take the last one in silence
            raise yaml.constructor.ConstructorError(
                None, None, f"{twice[0]} stands there twice", node.start_mark
            )
        return super().construct_mapping(node, deep)


_Loader.add_constructor(
    "tag:yaml.org,2002:python/tuple",
    lambda loader, node: loader.construct_sequence(cast(yaml.SequenceNode, node), deep=True),
)


class _Dumper(yaml.SafeDumper):
    """Writes a line for each field, and texts so that they are read the same."""

    def represent_mapping(
        self, tag: str, mapping: Any, flow_style: bool | None = None
    ) -> yaml.MappingNode:
        return super().represent_mapping(tag, mapping, flow_style=False)


def _text(dumper: _Dumper, text: str) -> yaml.ScalarNode:
    quoted = any(line_break in text for line_break in "\x85\u2028\u2029")
    style = '"' if quoted else None
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style)


_Dumper.add_representer(str, _text)


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
    return values_of(config)


def task_from_dict(values: Mapping[str, Any], source: str = "The task") -> TaskConfig:
    """Build a config of plain values; raises ConfigError."""
    try:
        return config_of(values, ALL)
    except ValueError as error:
        raise refused(source, str(error)) from None


def read_yaml(path: str | Path) -> dict[str, Any]:
    """Read a mapping of plain values; no tag but DaCapo's tuples is known, and no code is run.

    Raises
    ------
    ConfigError
        Where the file cannot be read or is no such mapping.
    """
    try:
        text = Path(path).read_text(encoding="utf-8")
    except OSError as error:
        raise ConfigError(f"{path} cannot be read: {error.strerror}.") from None
    except UnicodeDecodeError:
        raise ConfigError(f"{path} is no text file.") from None
    values = parse_yaml(text, str(path))
    if not isinstance(values, dict):
        raise ConfigError(f"{path} does not hold named values, such as '{TYPE}: ...'.")
    return {str(key): value for key, value in values.items()}


def parse_yaml(text: str, source: str) -> Any:
    """Read plain values as `read_yaml` does; raises ConfigError that begins with the source."""
    try:
        return yaml.load(text, _Loader)
    except yaml.YAMLError as error:
        raise ConfigError(
            f"{source} is no valid YAML of plain values: {_problem(error)}."
        ) from None
    except ValueError as error:  # dates and numbers that cannot be
        said = " ".join(str(error).split())
        raise ConfigError(f"{source} holds a value that cannot be read: {said}.") from None
    except RecursionError:
        raise ConfigError(f"{source} holds lists that are nested too deep.") from None


def _problem(error: yaml.YAMLError) -> str:
    """Say what is wrong and in which line; the library shows the text around it as well."""
    if isinstance(error, yaml.MarkedYAMLError) and error.problem and error.problem_mark:
        return f"line {error.problem_mark.line + 1}: {error.problem}"
    return " ".join(str(error).split())


def write_yaml(values: Mapping[str, Any], path: str | Path) -> None:
    """Write plain values; raises ConfigError where that fails."""
    text = yaml.dump(dict(values), Dumper=_Dumper, default_flow_style=None, allow_unicode=True)
    try:
        Path(path).write_text(text, encoding="utf-8")
    except OSError as error:
        raise ConfigError(f"{path} cannot be written: {error.strerror}.") from None
