"""Configs as plain values, and what is said of values that are refused."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from difflib import get_close_matches
from reprlib import Repr
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from napari_dacapo_tasks.errors import ConfigError
from napari_dacapo_tasks.tasks.task import TaskConfig

TYPE = "__type__"

Config = TypeVar("Config", bound=BaseModel)

_SHORT = Repr()
_SHORT.maxstring = _SHORT.maxother = 60
_SHORT.maxlevel = 2


def values_of(config: TaskConfig) -> dict[str, Any]:
    """Give plain values, with the type's name."""
    return {TYPE: type(config).__name__, **config.model_dump(mode="json")}


def config_of(values: Any, kinds: Sequence[type[TaskConfig]]) -> TaskConfig:
    """Build a config of plain values.

    Parameters
    ----------
    values
        A mapping with the type's name, as `values_of` gives it.
    kinds
        What it may be.

    Raises
    ------
    ValueError
        With the end of a sentence that says first what these values are.
    """
    types = {kind.__name__: kind for kind in kinds}
    if not isinstance(values, Mapping):
        raise ValueError(f"these must be named values, such as '{TYPE}: ...'")
    if TYPE not in values:
        raise ValueError(f"it has no {TYPE}: it must be one of {', '.join(types)}")
    name = values[TYPE]
    if not isinstance(name, str) or name not in types:
        name = name if isinstance(name, str) else shown(name)
        raise ValueError(f"it is of the unknown type {name}{nearest(name, types)}")
    fields = {str(key): value for key, value in values.items() if key != TYPE}
    try:
        return types[name].model_validate(fields)
    except ValidationError as error:
        raise ValueError(refusal(error, types[name])) from None


def validated(config: type[Config], values: Mapping[str, Any], source: str) -> Config:
    """Build a config, or say in one sentence what is refused first."""
    try:
        return config.model_validate(values)
    except ValidationError as error:
        raise refused(source, refusal(error, config)) from None


def refused(source: str, reason: str) -> ConfigError:
    """Make the error that says where something is refused, and why."""
    return ConfigError(f"{source}: {reason}{'' if reason.endswith('?') else '.'}")


def refusal(error: ValidationError, config: type[BaseModel]) -> str:
    """Say the first thing that a config refuses, with its place and, for a typo, the right name."""
    # A field that is misspelt is missing, too, and that alone would not tell what is wrong.
    first = min(error.errors(), key=lambda one: one["type"] == "missing")
    place = ".".join(str(part) for part in first["loc"])
    if first["type"] == "extra_forbidden":
        return f"the field {place} is not known{nearest(place, config.model_fields)}"
    if first["type"] == "missing":
        return f"the field {place} is missing"
    reason = first["msg"].removeprefix("Value error, ").rstrip(".")
    said = isinstance(first["input"], (Mapping, Sequence)) and not isinstance(first["input"], str)
    given = "" if said else f" (got {shown(first['input'])})"
    return f"{place}: {reason}{given}" if place else reason


def nearest(name: str, known: Iterable[str]) -> str:
    """Name the known name that is most like an unknown one, or all, as the rest of a sentence."""
    close = get_close_matches(name, list(known), n=1, cutoff=0.5)
    return f"; did you mean {close[0]}?" if close else f"; known are {', '.join(known)}"


def shown(value: Any) -> str:
    """Show a value of any size in a few words."""
    try:
        return _SHORT.repr(value)
    except ValueError:  # Python writes no number of more than some thousand digits
        return "a number of very many digits"
