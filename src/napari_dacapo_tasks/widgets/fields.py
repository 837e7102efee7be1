"""Editors of single values, one per kind of config field."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any, ClassVar

from qtpy.QtCore import QEvent, QObject, Qt, Signal
from qtpy.QtWidgets import (
    QAbstractSpinBox,
    QBoxLayout,
    QCheckBox,
    QComboBox,
    QDoubleSpinBox,
    QHBoxLayout,
    QLabel,
    QLineEdit,
    QSlider,
    QSpinBox,
    QWidget,
)
from typing_extensions import override

from napari_dacapo_tasks.tasks import Measured
from napari_dacapo_tasks.widgets.refused import frame
from napari_dacapo_tasks.widgets.spin_boxes import FloatSpinBox

SLIDER_STEPS = 500
SLIDER_DIGITS = 3
"""Significant digits of a value that comes from a slider."""

SLIDER_SPAN = 10.0
"""A slider goes from the proposed value divided by this to the value times this."""


class _WheelGuard(QObject):
    """Keeps the wheel from a control that is not being edited."""

    def eventFilter(self, watched: QObject | None, event: QEvent | None) -> bool:
        """Let the wheel through to what is behind the control."""
        assert isinstance(watched, QWidget)
        assert event is not None
        if event.type() == QEvent.Type.Wheel and not watched.hasFocus():
            event.ignore()
            return True
        return False


def leave_wheel(control: QWidget) -> None:
    """Leave the wheel to the scroll area that a control is in, unless that is being edited."""
    control.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
    control.installEventFilter(_WheelGuard(control))


class FieldEditor(QWidget):
    """Edits one value; `changed` follows every change by the person, `setValue` is silent."""

    changed = Signal()

    wide: ClassVar[bool] = False
    """Whether it needs a form's whole width, with the label above."""

    titled: ClassVar[bool] = False
    """Whether it shows its title itself; it comes after the fields that do not."""

    says_why: ClassVar[bool] = False
    """Whether it says itself why it refuses what is entered."""

    def __init__(self, *controls: QWidget, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        layout = QHBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        for control in controls:
            layout.addWidget(control)
        self.controls = controls
        self.setFocusProxy(controls[-1])
        for control in controls:
            leave_wheel(control)

    def value(self) -> Any:
        """Give what is entered; ValueError with a sentence where that can be no such value."""
        raise NotImplementedError

    def setValue(self, value: Any) -> None:
        """Show a value."""
        raise NotImplementedError

    def setRefused(self, refused: bool) -> None:
        """Frame the editor in red, or no more."""
        for control in self.controls:
            frame(control, refused)

    def setProposal(self, value: Any, least: float) -> None:
        """Take note of a value that fits the data, and of the least that means anything there."""

    def setUnit(self, unit: str) -> None:
        """Take note of the unit of lengths."""

    def setMeasured(self, measured: Measured) -> None:
        """Take note of what the data are like."""


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
    def setProposal(self, value: Any, least: float) -> None:
        if value:
            self.setSliderRange(min(max(value / SLIDER_SPAN, least), value), value * SLIDER_SPAN)

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
    echo
        What to say of the value beneath the line, where the text does not show it well.
    """

    def __init__(
        self,
        read: Callable[[str], Any] = str,
        write: Callable[[Any], str] = str,
        *,
        optional: bool = False,
        placeholder: str = "",
        echo: Callable[[Any], str] | None = None,
    ) -> None:
        self._line = QLineEdit()
        self._line.setPlaceholderText(placeholder)
        super().__init__(self._line)
        self._read, self._write, self._optional = read, write, optional
        self._echo, self.echo_label = echo, QLabel()
        if echo is not None:
            self.echo_label.setWordWrap(True)
            self.layout().setDirection(QBoxLayout.Direction.TopToBottom)
            self.layout().addWidget(self.echo_label)
        self._line.textEdited.connect(self._on_text)

    @override
    def value(self) -> Any:
        text = self._line.text().strip()
        return None if self._optional and not text else self._read(text)

    @override
    def setValue(self, value: Any) -> None:
        self._line.setText("" if value is None else self._write(value))
        self._line.setCursorPosition(0)
        self._say()

    def _on_text(self, _text: str) -> None:
        self._say()
        self.changed.emit()

    def _say(self) -> None:
        if self._echo is not None:
            try:
                said = self._echo(self.value())
            except ValueError:  # the form says so
                said = ""
            self.echo_label.setText(said)


class OptionalEditor(FieldEditor):
    """A check box before another editor: unchecked means None."""

    def __init__(self, inner: FieldEditor) -> None:
        self._box = QCheckBox()
        super().__init__(self._box, inner)
        self._inner = inner
        layout = self.layout()
        assert isinstance(layout, QHBoxLayout)
        layout.setStretchFactor(inner, 1)  # the box would take half of the room
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
