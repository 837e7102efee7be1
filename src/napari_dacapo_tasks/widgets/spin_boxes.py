"""Spin boxes that refuse nothing that is a number: the config does, with its reason."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from qtpy.QtCore import QLocale
from qtpy.QtGui import QValidator
from qtpy.QtWidgets import QAbstractSpinBox, QDoubleSpinBox, QSpinBox, QWidget
from typing_extensions import override

LARGEST_FLOAT = 1e12
LARGEST_INT = 2**31 - 1
DECIMALS = 12
"""Finest step of a float: learning rates and weight decays live between 1e-8 and 1."""

Steppable = Callable[[float], bool]
"""Says whether arrows may lead to a number."""


class FloatSpinBox(QDoubleSpinBox):
    """A spin box for floats over many decades: ``1e-4`` can be typed, steps fit the size.

    It refuses nothing that is a number: the config does, with its reason.
    """

    def __init__(self, can_be: Steppable = math.isfinite, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._can_be = can_be
        self.setLocale(QLocale.c())
        self.setDecimals(DECIMALS)
        self.setRange(-LARGEST_FLOAT, LARGEST_FLOAT)
        self.setStepType(QAbstractSpinBox.StepType.AdaptiveDecimalStepType)
        self.setKeyboardTracking(False)

    def textFromValue(self, value: float) -> str:
        """Write a number as short as it is exact."""
        return f"{value:.10g}"

    def valueFromText(self, text: str | None) -> float:
        """Read a number, with a decimal point or comma."""
        return float((text or "").strip().replace(",", "."))

    def validate(self, text: str | None, position: int) -> tuple[QValidator.State, str, int]:
        """Accept what `valueFromText` reads."""
        text = text or ""
        try:
            number = self.valueFromText(text)
        except ValueError:
            likely = not text.strip().lower().strip("0123456789+-.,e")
            state = QValidator.State.Intermediate if likely else QValidator.State.Invalid
        else:
            inside = abs(number) <= LARGEST_FLOAT
            state = QValidator.State.Acceptable if inside else QValidator.State.Intermediate
        return state, text, position

    def stepBy(self, steps: int) -> None:
        """Step, but not to where the config would refuse."""
        before = self.value()
        super().stepBy(steps)
        if not self._can_be(self.value()):
            self.setValue(before)

    def sizeHint(self) -> Any:
        """As wide as a usual number, not as the longest possible one."""
        hint = super().sizeHint()
        hint.setWidth(self.fontMetrics().horizontalAdvance("0" * 8))
        return hint

    @override
    def minimumSizeHint(self) -> Any:
        return self.sizeHint()


class IntSpinBox(QSpinBox):
    """A spin box for whole numbers whose steps fit their size."""

    def __init__(self, can_be: Steppable, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._can_be = can_be
        self.setRange(-LARGEST_INT, LARGEST_INT)
        self.setStepType(QAbstractSpinBox.StepType.AdaptiveDecimalStepType)
        self.setKeyboardTracking(False)

    @override
    def stepBy(self, steps: int) -> None:
        before = self.value()
        super().stepBy(steps)
        if not self._can_be(self.value()):
            self.setValue(before)
