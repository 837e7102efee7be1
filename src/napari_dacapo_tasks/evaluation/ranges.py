"""What a sweep tries: values of parameters by name, as people write them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import product
from math import floor, isfinite, prod
from typing import Any, Self

import numpy as np

from napari_dacapo_tasks.errors import ConfigError
from napari_dacapo_tasks.tasks.post_processors.post_processor import PostProcessor
from napari_dacapo_tasks.tasks.values import nearest, shown

Value = bool | int | float | str

MOST_VALUES = 1000
"""Of one parameter: more than that is a slip of the keyboard."""

MOST_COMBINATIONS = 100_000
"""More than that would take days even of the smallest volume."""

_ROUNDING = 1e-6
"""Part of a step by which the last value may miss the end of its range, as 0.1 + 0.2 does."""

_DIGITS = 10
"""Significant ones that a value in a range keeps: so 3 steps of 0.1 are 0.3."""


@dataclass(frozen=True)
class SweepRanges:
    """Values to try, every combination of them.

    Attributes
    ----------
    values
        By the name of a parameter; what is not named keeps its default.
    follows
        Parameters that take the value of another, by its name, as the long bias that of the short
        one where no offset tells them apart. Naming one in `values` ends that.
    """

    values: Mapping[str, tuple[Value, ...]]
    follows: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        # A script gives what it has at hand: one value, a list, or what np.linspace makes.
        plain = {name: _plain(values) for name, values in self.values.items()}
        object.__setattr__(self, "values", plain)

    @classmethod
    def of(cls, post_processor: PostProcessor[Any]) -> Self:
        """Give what a post-processor proposes; no values where it has nothing to choose."""
        proposed = [one.model_dump() for one in post_processor.enumerate_parameters()]
        columns = {
            name: tuple(dict.fromkeys(one[name] for one in proposed))
            for name in (proposed[0] if proposed else {})
        }
        varied = {name: values for name, values in columns.items() if len(values) > 1}
        follows: dict[str, str] = {}
        for name in varied:
            for other in varied:
                if other == name:
                    break
                if other not in follows and all(one[name] == one[other] for one in proposed):
                    follows[name] = other
                    break
        kept = {name: values for name, values in varied.items() if name not in follows}
        return cls(kept, follows)

    def with_values(self, values: Mapping[str, Sequence[Value]]) -> Self:
        """Give the same with other values of some parameters, or without those that have none."""
        changed = {**self.values, **{name: _plain(many) for name, many in values.items()}}
        return type(self)({name: many for name, many in changed.items() if many}, self.follows)

    @property
    def number(self) -> int:
        """How many combinations there are; 0 where there is nothing to sweep."""
        return prod(len(values) for values in self.values.values()) if self.values else 0

    def combinations(self) -> Iterator[dict[str, Value]]:
        """Give every combination by name, the last parameter changing first."""
        for values in product(*self.values.values()) if self.number else ():
            yield dict(zip(self.values, values, strict=True))

    def with_followers(self, combination: Mapping[str, Value]) -> dict[str, Value]:
        """Add the parameters that take the value of another."""
        more = {
            name: combination[other]
            for name, other in self.follows.items()
            if other in combination and name not in combination
        }
        return {**combination, **more}

    def require_for(self, post_processor: PostProcessor[Any], title: str) -> None:
        """Refuse what cannot be swept.

        Raises
        ------
        ConfigError
            For a parameter that the post-processor does not have, with the nearest one that it
            has, where there is nothing to try, or far too much.
        """
        known = type(post_processor.default).model_fields
        if not known:
            raise ConfigError(
                f"There is nothing to sweep: the method {title} has no parameters; score its "
                "segmentation instead."
            )
        for name, values in self.values.items():
            if name not in known:
                guess = nearest(name, known)
                ending = "" if guess.endswith("?") else "."
                raise ConfigError(f"The method {title} has no parameter {name}{guess}{ending}")
            if not values:
                raise ConfigError(f"There is nothing to sweep: {name} has no value to try.")
        if not self.values:
            raise ConfigError(
                f"There is nothing to sweep: give values of {' or '.join(known)} to try."
            )
        if self.number > MOST_COMBINATIONS:
            raise ConfigError(
                f"There are {self.number} combinations to try, more than {MOST_COMBINATIONS}: "
                "give fewer values."
            )


def parse_values(text: str) -> tuple[Value, ...]:
    """Read values as people write them: ``a, b, c``, or ``from:to:step`` with both ends.

    Numbers are numbers, ``true`` and ``false`` truths, anything else is text. Ranges and single
    values may stand together: ``0, 0.1:0.5:0.1``. A value that comes twice is tried once.

    Raises
    ------
    ConfigError
        For a range that is none, for a gap between commas, and for more than `MOST_VALUES`.
    """
    parts = [part.strip() for part in text.split(",")]
    found: list[Value] = []
    for part in parts:
        if not part:
            raise ConfigError(
                f"{shown(text)} has no value where one should be: write values as 0, 0.1, 0.2 or "
                "as 0:0.2:0.1 (from, to, step)."
            )
        found.extend(_range_of(part) if ":" in part else [_value_of(part)])
        if len(found) > MOST_VALUES:
            raise _too_many(text)
    return tuple(dict.fromkeys(found))


def format_values(values: Sequence[Value]) -> str:
    """Write values as `parse_values` reads them."""
    return ", ".join(
        str(value).lower() if isinstance(value, bool) else str(value) for value in values
    )


def _plain(values: Any) -> tuple[Value, ...]:
    """Give one value, or several of any kind, as plain ones."""
    if isinstance(values, str) or not isinstance(values, Iterable):
        values = (values,)
    return tuple(one.item() if isinstance(one, np.generic) else one for one in values)


def _range_of(text: str) -> list[Value]:
    ends = [_value_of(part.strip()) for part in text.split(":")]
    numbers = [one for one in ends if isinstance(one, (int, float)) and not isinstance(one, bool)]
    if len(ends) != 3 or len(numbers) != 3 or not all(map(isfinite, numbers)):
        raise ConfigError(
            f"{shown(text)} is no range: write it as 0:0.2:0.1, which is from, to and step."
        )
    begin, end, step = numbers
    if step == 0 or (end - begin) / step < 0:
        raise ConfigError(
            f"{shown(text)} is no range: with a step of {step:g} it does not get from {begin:g} to "
            f"{end:g}."
        )
    steps = (end - begin) / step
    if steps >= MOST_VALUES:
        raise _too_many(text)
    values = [begin + step * number for number in range(floor(steps + _ROUNDING) + 1)]
    if all(isinstance(one, int) for one in numbers):
        return list(values)
    return [
        float(f"{value:.{_DIGITS}g}") if abs(value) > abs(step) * _ROUNDING else 0.0
        for value in values
    ]


def _too_many(text: str) -> ConfigError:
    return ConfigError(f"{shown(text)} are more than {MOST_VALUES} values: give fewer.")


def _value_of(text: str) -> Value:
    if text.lower() in ("true", "false"):
        return text.lower() == "true"
    for kind in (int, float):
        with suppress(ValueError, OverflowError):  # there are whole numbers that no float holds
            value = kind(text)
            if isfinite(value):
                return value
    return text
