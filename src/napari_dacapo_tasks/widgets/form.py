"""A form made from a config: one editor per field, and the reason where a value is refused."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from typing import Any

from pydantic import BaseModel, ValidationError
from pydantic.fields import FieldInfo
from qtpy.QtCore import Qt, Signal
from qtpy.QtWidgets import QFormLayout, QLabel, QVBoxLayout, QWidget

from napari_dacapo_tasks.tasks import Measured
from napari_dacapo_tasks.tasks.task import NEEDS, extra_of, is_length
from napari_dacapo_tasks.units import NANOMETRE
from napari_dacapo_tasks.widgets.field_kinds import editor_for
from napari_dacapo_tasks.widgets.fields import FieldEditor
from napari_dacapo_tasks.widgets.refused import STYLE, RefusalLabel
from napari_dacapo_tasks.widgets.section import Section


class ConfigForm(QWidget):
    """Edits one config.

    Titles, help texts, bounds, units and sections (the class attribute ``sections`` of the config,
    a mapping of a title to names of fields) are those of the config; fields in no section come
    first. While anything is refused, the value is None and the fields say why. A field that means
    nothing while another one is off (`NEEDS`) is grey then.

    Parameters
    ----------
    model_type
        A pydantic model.
    hidden
        Fields that are not shown; they keep what `setValue` or `setHiddenValues` gave them.
    collapsed
        Titles of sections that are closed at first.
    unit
        Name of the unit of lengths, for the labels.
    editors
        Editors of fields, by name, whose type does not say how they are edited.

    Signals
    -------
    valueChanged(object)
        The new config, or None where it is refused.
    """

    valueChanged = Signal(object)

    def __init__(
        self,
        model_type: type[BaseModel],
        *,
        hidden: Collection[str] = (),
        collapsed: Collection[str] = (),
        unit: str = NANOMETRE.name,
        editors: Mapping[str, FieldEditor] | None = None,
        parent: QWidget | None = None,
    ) -> None:
        super().__init__(parent)
        self.model_type = model_type
        self._hidden: dict[str, Any] = {
            name: model_type.model_fields[name].get_default(call_default_factory=True)
            for name in hidden
            if not model_type.model_fields[name].is_required()
        }
        self._hidden_names = frozenset(hidden)
        self._unit = unit
        self._rows: dict[str, _Row] = {}
        self._last: BaseModel | None = None
        self._elsewhere = RefusalLabel()
        self._refusals: dict[str, str] = {}
        self.setStyleSheet(STYLE)
        self._build(collapsed, editors or {})

    def value(self) -> Any:
        """Give the config as entered, None where it is refused."""
        config = self._check()
        if config != self._last:
            self._last = config
            self.valueChanged.emit(config)
        return config

    def setValue(self, config: BaseModel) -> None:
        """Show a config."""
        for name in self._hidden_names:
            self._hidden[name] = getattr(config, name)
        for name, row in self._rows.items():
            row.editor.setValue(getattr(config, name))
        self.value()

    def setHiddenValues(self, **values: Any) -> None:
        """Set fields that are not shown."""
        assert self._hidden_names.issuperset(values), values
        self._hidden.update(values)
        self.value()

    def setProposal(self, config: BaseModel, least: float = 0.0) -> None:
        """Let sliders range around the values of a config, but not below ``least``.

        The form's own values stay, and what is typed may be anything.
        """
        for name, row in self._rows.items():
            row.editor.setProposal(getattr(config, name), least)

    def setUnit(self, unit: str) -> None:
        """Name the unit of lengths in the labels."""
        self._unit = unit
        for row in self._rows.values():
            row.label.setText(self._title(row.field))
            row.editor.setUnit(unit)

    def setMeasured(self, measured: Measured) -> None:
        """Take note of what the data are like; the form's own values stay."""
        self.setUnit(measured.unit)
        for row in self._rows.values():
            row.editor.setMeasured(measured)

    @property
    def refusals(self) -> dict[str, str]:
        """Why fields are refused, by name; under ``""`` what belongs to no field that is shown."""
        return dict(self._refusals)

    def editor(self, name: str) -> FieldEditor:
        """Give the editor of a field."""
        return self._rows[name].editor

    def _build(self, collapsed: Collection[str], editors: Mapping[str, FieldEditor]) -> None:
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(4)
        sections: Mapping[str, Collection[str]] = getattr(self.model_type, "sections", {})
        shown = [name for name in self.model_type.model_fields if name not in self._hidden_names]
        placed = {name for names in sections.values() for name in names}
        alone = [name for name in shown if name not in placed]
        alone.sort(key=lambda name: name in editors and editors[name].titled)
        layout.addWidget(self._section(alone, editors))
        for title, names in sections.items():
            names = [name for name in names if name in shown]
            if names:
                content = self._section(names, editors)
                layout.addWidget(Section(title, content, opened=title not in collapsed))
        layout.addWidget(self._elsewhere)

    def _section(self, names: Collection[str], editors: Mapping[str, FieldEditor]) -> QWidget:
        widget = QWidget()
        layout = QFormLayout(widget)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setFieldGrowthPolicy(QFormLayout.FieldGrowthPolicy.AllNonFixedFieldsGrow)
        layout.setRowWrapPolicy(QFormLayout.RowWrapPolicy.WrapLongRows)
        layout.setLabelAlignment(Qt.AlignmentFlag.AlignLeft)
        for name in names:
            row = _Row(name, self.model_type.model_fields[name], editors.get(name))
            row.label.setText(self._title(row.field))
            row.editor.setUnit(self._unit)
            row.editor.changed.connect(self.value)
            self._rows[name] = row
            if not row.editor.wide:
                layout.addRow(row.label, row.editor)
            else:
                if not row.editor.titled:
                    layout.addRow(row.label)
                layout.addRow(row.editor)
            layout.addRow(row.refusal)
        return widget

    def _title(self, field: FieldInfo) -> str:
        title = field.title or ""
        return f"{title} ({self._unit})" if is_length(field) else title

    def _check(self) -> BaseModel | None:
        values = dict(self._hidden)
        refusals: dict[str, str] = {}
        config = None
        for name, row in self._rows.items():
            try:
                values[name] = row.editor.value()
            except ValueError as error:
                refusals[name] = str(error)
        red = set(refusals)
        if not refusals:
            try:
                config = self.model_type.model_validate(values)
            except ValidationError as error:
                for one in error.errors():
                    reason = one["msg"].removeprefix("Value error, ")
                    reason = reason.replace("Input should be", "must be")
                    place = str(one["loc"][0]) if one["loc"] else ""
                    if place in self._rows:
                        red.add(place)
                    elif place:
                        place, reason = "", f"{place}: {reason}"
                    else:  # a rule over several fields: said under the last one that it names
                        named = self._named_in(reason)
                        red.update(named)
                        place = named[-1] if named else ""
                    refusals.setdefault(place, reason)
        self._show(refusals, red)
        for row in self._rows.values():
            # What is red must be mended first, and so stays in reach.
            row.setEnabled(row.name in red or values.get(row.needs, True))
        return config

    def _named_in(self, sentence: str) -> list[str]:
        """Give the fields that a sentence names; a name that is a usual word proves nothing."""
        return [
            name
            for name, row in self._rows.items()
            if name != (row.field.title or "").lower() and re.search(rf"\b{name}\b", sentence)
        ]

    def _show(self, refusals: dict[str, str], red: Collection[str]) -> None:
        self._refusals = refusals
        for name, row in self._rows.items():
            row.editor.setRefused(name in red)
            said = "" if row.editor.says_why else refusals.get(name, "")
            row.refusal.say(self._readable(said))
        self._elsewhere.say(self._readable(refusals.get("", "")))

    def _readable(self, sentence: str) -> str:
        """Put titles in place of the names of fields, which are not to be seen in the form."""
        for name in self._named_in(sentence):
            title = self._rows[name].field.title
            sentence = re.sub(rf"\b{name}\b", f"'{title}'", sentence)
        return sentence


class _Row:
    """Label, editor and the reason of a refusal."""

    def __init__(self, name: str, field: FieldInfo, editor: FieldEditor | None = None) -> None:
        self.name = name
        self.field = field
        self.needs = str(extra_of(field).get(NEEDS, ""))
        self.editor = editor or editor_for(field, slider=is_length(field))
        self.editor.setObjectName(name)
        self.label = QLabel()
        self.label.setBuddy(self.editor)
        self.refusal = RefusalLabel()
        tip = f"<p>{field.description or field.title}</p><p><code>{name}</code></p>"
        self.label.setToolTip(tip)
        self.editor.setToolTip(tip)

    def setEnabled(self, enabled: object) -> None:
        """Make it grey, or no more."""
        for widget in (self.label, self.editor):
            widget.setEnabled(bool(enabled))
