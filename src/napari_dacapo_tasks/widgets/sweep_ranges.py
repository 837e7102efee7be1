"""Which values of which parameters a sweep tries, as text to edit."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from pydantic import ValidationError
from pydantic.fields import FieldInfo
from qtpy.QtCore import Qt, Signal
from qtpy.QtWidgets import (
    QFormLayout,
    QHBoxLayout,
    QLabel,
    QLineEdit,
    QPushButton,
    QVBoxLayout,
    QWidget,
)

from napari_dacapo_tasks.errors import ConfigError
from napari_dacapo_tasks.evaluation.ranges import SweepRanges, Value, format_values, parse_values
from napari_dacapo_tasks.tasks.post_processors.post_processor import PostProcessorParameters
from napari_dacapo_tasks.tasks.task import Method, is_length
from napari_dacapo_tasks.units import NANOMETRE
from napari_dacapo_tasks.widgets.refused import STYLE, RefusalLabel, frame

HOW_TO = "Values to try, as in 0.1, 0.2, 0.5 or -0.2:0.2:0.1 (from, to and step). Empty: only {}."


class SweepRangesEditor(QWidget):
    """A line for each parameter of a method, and how many combinations that makes.

    What was entered stays with its method, also while another one is shown.

    Signals
    -------
    changed()
        Other values, or another method.
    """

    changed = Signal()

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.lines: dict[str, _Line] = {}
        self._method: Method | None = None
        self._proposed = SweepRanges({})
        self._entered: dict[tuple[type[PostProcessorParameters], str], dict[str, str]] = {}
        self._mine: dict[str, str] = {}
        self.count = QLabel()
        self.count.setWordWrap(True)
        self.reset_button = QPushButton("Reset")
        self.reset_button.setToolTip("Try what the method proposes")
        self.reset_button.clicked.connect(self.reset)
        self.setStyleSheet(STYLE)
        self._form = QFormLayout()
        self._form.setFieldGrowthPolicy(QFormLayout.FieldGrowthPolicy.AllNonFixedFieldsGrow)
        below = QHBoxLayout()
        below.addWidget(self.count, 1)
        below.addWidget(self.reset_button, 0, Qt.AlignmentFlag.AlignTop)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addLayout(self._form)
        layout.addLayout(below)
        self._tell()

    def setMethod(self, method: Method | None, unit: str = NANOMETRE.name) -> None:
        """Show the parameters of a method, lengths in a unit of this name."""
        for line in self.lines.values():
            self._form.removeRow(line)
        self.lines, self._method = {}, method
        if method is not None:
            default = method.post_processor.default
            self._proposed = SweepRanges.of(method.post_processor)
            self._mine = self._entered.setdefault((type(default), method.title), {})
            for name, field in type(default).model_fields.items():
                self._add(name, field, default, unit)
        self._tell()
        self.changed.emit()

    def ranges(self) -> SweepRanges | None:
        """Give what is to be tried, None while something is refused or there is nothing to try."""
        try:
            return self._checked()
        except ConfigError:
            return None

    def _checked(self) -> SweepRanges:
        """Give what is to be tried; ConfigError where that is not possible."""
        if self._method is None:
            raise ConfigError("")
        for line in self.lines.values():
            if line.refusal:
                raise ConfigError("")  # which is said below the line
        values = {name: line.values for name, line in self.lines.items() if line.values}
        ranges = replace(self._proposed, values=values)
        ranges.require_for(self._method.post_processor, self._method.title)
        return ranges

    def reset(self) -> None:
        """Propose again."""
        self._mine.clear()
        for name, line in self.lines.items():
            line.edit.setText(self._text_proposed(name))

    def _add(
        self, name: str, field: FieldInfo, default: PostProcessorParameters, unit: str
    ) -> None:
        title = field.title or name
        followed = self._proposed.follows.get(name)
        if followed is not None:
            other = type(default).model_fields[followed].title or followed
            empty, otherwise = f"as {other}", f"the same as {other}"
        else:
            empty = otherwise = format_values((getattr(default, name),))
        line = _Line(name, type(default), empty)
        line.edit.setText(self._mine.get(name, self._text_proposed(name)))
        tip = f"<p>{field.description or title}</p><p>{HOW_TO.format(otherwise)}</p>"
        line.edit.setToolTip(tip)
        self._form.addRow(f"{title} ({unit})" if is_length(field) else title, line)
        self._form.labelForField(line).setToolTip(tip)
        line.edit.textChanged.connect(self._on_text)
        self.lines[name] = line

    def _text_proposed(self, name: str) -> str:
        values = self._proposed.values.get(name)
        return format_values(values) if values else ""

    def _on_text(self) -> None:
        for name, line in self.lines.items():
            if line.edit.text() == self._text_proposed(name):
                self._mine.pop(name, None)
            else:
                self._mine[name] = line.edit.text()
        self._tell()
        self.changed.emit()

    def _tell(self) -> None:
        """Say how many combinations there are, or why there are none."""
        self.reset_button.setVisible(bool(self._mine and self.lines))
        try:
            ranges = self._checked()
        except ConfigError as error:
            self.count.setText(str(error))
            return
        factors = [str(len(many)) for many in ranges.values.values() if len(many) > 1]
        product = f"{' x '.join(factors)} = " if len(factors) > 1 else ""
        plural = "" if ranges.number == 1 else "s"
        self.count.setText(f"{product}{ranges.number:,} combination{plural}")


class _Line(QWidget):
    """The values of one parameter."""

    def __init__(self, name: str, kind: type[PostProcessorParameters], empty: str) -> None:
        super().__init__()
        self._name, self._kind = name, kind
        self.values: tuple[Value, ...] = ()
        self.refusal = ""
        self.edit = QLineEdit()
        self.edit.setPlaceholderText(empty)
        self._said = RefusalLabel()
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(2)
        layout.addWidget(self.edit)
        layout.addWidget(self._said)
        self.edit.textChanged.connect(self._on_text)

    def _on_text(self, text: str) -> None:
        self.values, self.refusal = (), ""
        try:
            self.values = parse_values(text) if text.strip() else ()
            for value in self.values:
                self._require(value)
        except ConfigError as error:
            self.refusal = str(error)
        frame(self.edit, bool(self.refusal))
        self._said.say(self.refusal)

    def _require(self, value: Any) -> None:
        """Refuse what the parameter cannot be."""
        try:
            self._kind.model_validate({self._name: value})
        except ValidationError as error:
            reason = error.errors()[0]["msg"].removeprefix("Value error, ")
            reason = reason.replace("Input should be", "must be")
            raise ConfigError(f"{format_values((value,))} {reason}") from None
