"""From the type of a config field to its editor, and numbers in nested lists as text."""

from __future__ import annotations

import operator
import types
from collections.abc import Callable, Sequence
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from pydantic.fields import FieldInfo

from napari_dacapo_tasks.tasks.task import EDITOR, extra_of
from napari_dacapo_tasks.widgets.fields import (
    BoolEditor,
    ChoiceEditor,
    FieldEditor,
    NumberEditor,
    OptionalEditor,
    SliderEditor,
    TextEditor,
)
from napari_dacapo_tasks.widgets.neighborhood_editor import NeighborhoodEditor
from napari_dacapo_tasks.widgets.spin_boxes import FloatSpinBox, IntSpinBox, Steppable

ITEM, ROW, LEVEL = ",", ";", "|"
"""What parts the numbers of a row, the rows of a level, and levels: ``3, 3; 3, 3 | 1, 1``."""

EXAMPLES = ("1, 2, 2", "1, 2, 2; 1, 2, 2", "3, 3; 3, 3 | 3, 3")
"""What empty lines for numbers show, by depth."""

BOUNDS: dict[str, Callable[[float, float], bool]] = {
    "gt": operator.gt,
    "ge": operator.ge,
    "lt": operator.lt,
    "le": operator.le,
}
"""The rules that pydantic's fields have for numbers, by the name of what they compare with."""

SPECIAL: dict[str, Callable[[], FieldEditor]] = {
    "classes": lambda: TextEditor(read_names, ", ".join, echo=write_numbered),
    "neighborhood": NeighborhoodEditor,
}
"""Editors of fields that name theirs, as `EDITOR`."""


def editor_for(field: FieldInfo, *, slider: bool = False) -> FieldEditor:
    """Choose the editor for a field: the one that it names, or else by its type.

    Known are int, float, bool, str, Literal, lists and tuples of texts or whole numbers nested up
    to three deep, and None besides any of them.

    Parameters
    ----------
    field
        A pydantic field.
    slider
        Whether a float gets a slider, too.
    """
    special = SPECIAL.get(str(extra_of(field).get(EDITOR)))
    if special is not None:
        return special()
    kind, optional = _plain(field.annotation)
    if get_origin(kind) is Literal:
        choices = get_args(kind)
        return ChoiceEditor([None, *choices] if optional else choices)
    if kind in (int, float, bool):
        editor: FieldEditor
        if kind is bool:
            editor = BoolEditor()
        elif kind is int:
            within = _within(field)
            editor = NumberEditor(IntSpinBox(within))
            editor.setValue(int(not within(0)))
        elif slider:
            editor = SliderEditor(FloatSpinBox(_within(field)))
        else:
            editor = NumberEditor(FloatSpinBox(_within(field)))
        if optional and field.examples:
            editor.setValue(field.examples[0])  # what is first seen of a number that may be None
        return OptionalEditor(editor) if optional else editor
    if get_origin(kind) in (list, tuple):
        depth, item = _depth(kind)
        if item is str:
            return TextEditor(read_names, ", ".join, optional=optional, placeholder="a, b")
        assert item is int, f"no editor for {field.annotation}"
        assert depth <= len(EXAMPLES), f"no editor for {field.annotation}"
        return TextEditor(
            lambda text: read_numbers(text, depth),
            lambda value: write_numbers(value, depth),
            optional=optional,
            placeholder="none" if optional else EXAMPLES[depth - 1],
        )
    return TextEditor(optional=optional, placeholder="none" if optional else "")


def read_names(text: str) -> list[str]:
    """Read ``"mito, er"``."""
    return [name.strip() for name in text.split(ITEM) if name.strip()]


def write_numbered(names: Sequence[str]) -> str:
    """Write names with the labels that they stand for: ``"0 background · 1 mito"``."""
    return " · ".join(f"{label}\N{NO-BREAK SPACE}{name}" for label, name in enumerate(names))


def read_numbers(text: str, depth: int = 1) -> list[Any]:
    """Read whole numbers: ``"1, 2"`` at depth 1, ``"1, 2; 1, 2"`` at 2, with ``|`` at 3.

    Raises
    ------
    ValueError
        With a sentence, where there is something else.
    """
    parts = [part.strip() for part in text.split((ITEM, ROW, LEVEL)[depth - 1])]
    if parts == [""]:
        return []
    if depth > 1:
        return [read_numbers(part, depth - 1) for part in parts]
    try:
        return [int(part) for part in parts]
    except ValueError:
        wrong = next(part for part in parts if not part.lstrip("+-").isdigit())
        shown = f"'{wrong}' is no whole number" if wrong else "a number is missing"
        raise ValueError(f"{shown}: give whole numbers with commas between them") from None


def write_numbers(value: Sequence[Any], depth: int = 1) -> str:
    """Write what `read_numbers` reads."""
    if depth == 1:
        return ", ".join(str(number) for number in value)
    between = f" {LEVEL} " if depth == 3 else f"{ROW} "
    return between.join(write_numbers(part, depth - 1) for part in value)


def _plain(annotation: Any) -> tuple[Any, bool]:
    """Take Annotated and None off a type; say whether None was there."""
    if get_origin(annotation) is Annotated:
        return _plain(get_args(annotation)[0])
    if get_origin(annotation) in (Union, types.UnionType):
        kinds = [kind for kind in get_args(annotation) if kind is not type(None)]
        assert len(kinds) == 1, f"no editor for {annotation}"
        return _plain(kinds[0])[0], True
    return annotation, False


def _depth(kind: Any) -> tuple[int, Any]:
    """Give how deep lists are nested, and what is in them."""
    depth = 0
    while get_origin(kind) in (list, tuple):
        depth += 1
        kind = _plain(get_args(kind)[0])[0]
    return depth, kind


def _within(field: FieldInfo) -> Steppable:
    """Give a test of a number against the bounds of a field."""

    def can_be(number: float) -> bool:
        return all(
            holds(number, getattr(rule, name))
            for rule in field.metadata
            for name, holds in BOUNDS.items()
            if hasattr(rule, name)
        )

    return can_be
