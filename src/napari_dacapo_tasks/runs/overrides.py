"""Single parameters of a run, changed by name as people write them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from difflib import get_close_matches
from typing import Any

from pydantic import BaseModel

from napari_dacapo_tasks.errors import ConfigError
from napari_dacapo_tasks.runs.config import RunConfig
from napari_dacapo_tasks.tasks.files import parse_yaml
from napari_dacapo_tasks.tasks.values import validated


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
