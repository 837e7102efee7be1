"""Editors of single values, one per kind of config field."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

from qtpy.QtCore import QEvent, QObject, Qt, Signal
from qtpy.QtWidgets import (
    QAbstractSpinBox,
    QCheckBox,
    QComboBox,
    QDoubleSpinBox,
    QHBoxLayout,
    QLineEdit,
    QSlider,
    QSpinBox,
    QWidget,
)
from typing_extensions import override

from napari_dacapo_tasks.widgets.spin_boxes import FloatSpinBox

SLIDER_STEPS = 500
SLIDER_DIGITS = 3
"""Significant digits of a value that comes from a slider."""


class FieldEditor(QWidget):
    """Edits one value; `changed` follows every change by the person, `setValue` is silent."""

    changed = Signal()

    def __init__(self, *controls: QWidget, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        layout = QHBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        for control in controls:
            layout.addWidget(control)
        self.controls = controls
        self.setFocusProxy(controls[-1])
        for control in controls:
            control.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
            control.installEventFilter(self)

    def value(self) -> Any:
        """Give what is entered; ValueError with a sentence where that can be no such value."""
        raise NotImplementedError

    def setValue(self, value: Any) -> None:
        """Show a value."""
        raise NotImplementedError

    def setRefused(self, refused: bool) -> None:
        """Frame the editor in red, or no more."""
        for control in self.controls:
            if bool(control.property("refused")) != refused:
                control.setProperty("refused", refused)
                control.style().unpolish(control)
                control.style().polish(control)

    def eventFilter(self, watched: QObject | None, event: QEvent | None) -> bool:
        """Leave the wheel to the scroll area, unless the control is being edited."""
        assert isinstance(watched, QWidget)
        assert event is not None
        if event.type() == QEvent.Type.Wheel and not watched.hasFocus():
            event.ignore()
            return True
        return False


class NumberEditor(FieldEditor):
    """A spin box."""

    def __init__(self, spin: QSpinBox | QDoubleSpinBox, *before: QWidget) -> None:
        super().__init__(*before, spin)
        self.spin = spin
        spin.valueChanged.connect(self._on_value)

    @override
    def value(self) -> float:
        self.spin.interpretText()  # typed, and not yet left with Enter or Tab
        return self.spin.value()

    @override
    def setValue(self, value: Any) -> None:
        self.spin.blockSignals(True)
        self.spin.setValue(value)
        self.spin.blockSignals(False)

    def _on_value(self) -> None:
        self.changed.emit()


class SliderEditor(NumberEditor):
    """A slider with decades and a spin box; the slider's range is set around a proposal."""

    def __init__(self, spin: FloatSpinBox) -> None:
        self.slider = QSlider(Qt.Orientation.Horizontal)
        self.slider.setRange(0, SLIDER_STEPS)
        self.slider.setPageStep(SLIDER_STEPS // 10)
        self.slider.setMinimumWidth(40)
        spin.setButtonSymbols(QAbstractSpinBox.ButtonSymbols.NoButtons)  # the slider is one
        spin.setMaximumWidth(72)
        super().__init__(spin, self.slider)
        self._range = (0.1, 10.0)
        self.slider.valueChanged.connect(self._on_slider)

    def setSliderRange(self, low: float, high: float) -> None:
        """Set what the slider's ends mean; both above 0."""
        self._range = (low, high)
        self._move_slider()

    @override
    def setValue(self, value: Any) -> None:
        super().setValue(value)
        self._move_slider()

    def _on_slider(self, position: int) -> None:
        low, high = self._range
        value = low * (high / low) ** (position / SLIDER_STEPS)
        super().setValue(float(f"{value:.{SLIDER_DIGITS}g}"))
        self.changed.emit()

    def _on_value(self) -> None:
        self._move_slider()
        super()._on_value()

    def _move_slider(self) -> None:
        low, high = self._range
        share = math.log(max(self.spin.value(), low) / low) / math.log(high / low)
        self.slider.blockSignals(True)
        self.slider.setValue(round(min(share, 1.0) * SLIDER_STEPS))
        self.slider.blockSignals(False)


class BoolEditor(FieldEditor):
    """A check box."""

    def __init__(self) -> None:
        self._box = QCheckBox()
        super().__init__(self._box)
        self._box.toggled.connect(self.changed)

    @override
    def value(self) -> bool:
        return bool(self._box.isChecked())

    @override
    def setValue(self, value: Any) -> None:
        self._box.blockSignals(True)
        self._box.setChecked(bool(value))
        self._box.blockSignals(False)


class ChoiceEditor(FieldEditor):
    """A combo box of plain values."""

    def __init__(self, choices: Sequence[Any]) -> None:
        self._box = QComboBox()
        self._choices = list(choices)
        self._box.addItems(["none" if choice is None else str(choice) for choice in choices])
        super().__init__(self._box)
        self._box.currentIndexChanged.connect(lambda _: self.changed.emit())

    @override
    def value(self) -> Any:
        return self._choices[self._box.currentIndex()]

    @override
    def setValue(self, value: Any) -> None:
        self._box.blockSignals(True)
        self._box.setCurrentIndex(self._choices.index(value))
        self._box.blockSignals(False)


class TextEditor(FieldEditor):
    """A line for a text, or for what `read` makes of one and `write` turns into one.

    Parameters
    ----------
    read, write
        From text to value (ValueError with a sentence where that fails) and back.
    optional
        Whether an empty line means None.
    placeholder
        What the empty line says.
    """

    def __init__(
        self,
        read: Callable[[str], Any] = str,
        write: Callable[[Any], str] = str,
        *,
        optional: bool = False,
        placeholder: str = "",
    ) -> None:
        self._line = QLineEdit()
        self._line.setPlaceholderText(placeholder)
        super().__init__(self._line)
        self._read, self._write, self._optional = read, write, optional
        self._line.textEdited.connect(lambda _: self.changed.emit())

    @override
    def value(self) -> Any:
        text = self._line.text().strip()
        return None if self._optional and not text else self._read(text)

    @override
    def setValue(self, value: Any) -> None:
        self._line.setText("" if value is None else self._write(value))
        self._line.setCursorPosition(0)


class OptionalEditor(FieldEditor):
    """A check box before another editor: unchecked means None."""

    def __init__(self, inner: FieldEditor) -> None:
        self._box = QCheckBox()
        super().__init__(self._box, inner)
        self._inner = inner
        inner.setEnabled(False)
        self._box.toggled.connect(inner.setEnabled)
        self._box.toggled.connect(lambda _: self.changed.emit())
        inner.changed.connect(self.changed)

    @override
    def value(self) -> Any:
        return self._inner.value() if self._box.isChecked() else None

    @override
    def setValue(self, value: Any) -> None:
        self._box.blockSignals(True)
        self._box.setChecked(value is not None)
        self._box.blockSignals(False)
        self._inner.setEnabled(value is not None)
        if value is not None:
            self._inner.setValue(value)

    @override
    def setRefused(self, refused: bool) -> None:
        self._inner.setRefused(refused)
