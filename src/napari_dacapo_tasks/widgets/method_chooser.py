"""Which way from a prediction to a segmentation, and its parameters."""

from __future__ import annotations

from qtpy.QtCore import Signal
from qtpy.QtWidgets import QFormLayout, QVBoxLayout, QWidget

from napari_dacapo_tasks.tasks import TaskConfig
from napari_dacapo_tasks.tasks.post_processors.post_processor import PostProcessorParameters
from napari_dacapo_tasks.tasks.task import Method
from napari_dacapo_tasks.units import NANOMETRE
from napari_dacapo_tasks.widgets.elided_combo import ElidedCombo
from napari_dacapo_tasks.widgets.form import ConfigForm


class MethodChooser(QWidget):
    """Offers the methods of a task, each with a form for its post-processor.

    What is entered stays with its method, also while another one or another task is shown.

    Signals
    -------
    changed()
        The person has chosen another method, or entered another value.
    """

    changed = Signal()

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._config: TaskConfig | None = None
        self._methods: list[Method] = []
        self._forms: dict[tuple[type[TaskConfig], str], ConfigForm] = {}
        self._unit = NANOMETRE.name
        self._wished = ""
        self.combo = ElidedCombo()
        self.combo.setToolTip("How objects are made of the target")
        self._row = QWidget()
        row = QFormLayout(self._row)
        row.setContentsMargins(0, 0, 0, 0)
        row.setFieldGrowthPolicy(QFormLayout.FieldGrowthPolicy.AllNonFixedFieldsGrow)
        row.addRow("Method", self.combo)
        self._layout = QVBoxLayout(self)
        self._layout.setContentsMargins(0, 0, 0, 0)
        self._layout.addWidget(self._row)
        self.combo.activated.connect(self._on_chosen)

    @property
    def titles(self) -> list[str]:
        """What is offered."""
        return [method.title for method in self._methods]

    @property
    def method(self) -> Method:
        """The method that is shown, of a task that has any."""
        return self._methods[self.combo.currentIndex()]

    @property
    def form(self) -> ConfigForm | None:
        """Its parameters; None where there is no method."""
        return self._form_of(self.method) if self._methods else None

    def wish(self) -> int | None:
        """Give the number of the method that the person wants, None where any will do."""
        return self.titles.index(self._wished) if self._wished else None

    def parameters(self) -> dict[int, PostProcessorParameters | None]:
        """Give what the forms say, None where it is refused, by the number of the method."""
        return {index: self._form_of(one).value() for index, one in enumerate(self._methods)}

    def setTask(self, config: TaskConfig, unit: str) -> None:
        """Offer the methods of a task; lengths are in a unit of this name."""
        self._unit = unit
        for form in self._forms.values():
            form.setUnit(unit)
        if type(config) is not type(self._config):
            self._wished = ""
        self._config = config
        self._methods = list(config.task_type(config).methods)
        if self.titles != [self.combo.itemText(index) for index in range(self.combo.count())]:
            self.combo.clear()
            self.combo.addItems(self.titles)
        if self._wished not in self.titles:
            self._wished = ""
        self.show_method(self.wish() or max(self.combo.currentIndex(), 0))
        self._row.setVisible(len(self._methods) > 1)

    def show_method(self, index: int) -> None:
        """Show a method; it is not what the person wants for that."""
        self.combo.setCurrentIndex(index)
        shown = self.form
        for form in self._forms.values():
            form.setVisible(form is shown)

    def _on_chosen(self, index: int) -> None:
        self._wished = self.titles[index]
        self.show_method(index)
        self.changed.emit()

    def _on_form(self, _value: object) -> None:
        self._wished = self.method.title  # what is edited is what is wanted
        self.changed.emit()

    def _form_of(self, method: Method) -> ConfigForm:
        assert self._config is not None
        key = (type(self._config), method.title)
        if key not in self._forms:
            default = method.post_processor.default
            form = ConfigForm(type(default), unit=self._unit)
            form.setValue(default)
            form.valueChanged.connect(self._on_form)
            form.hide()
            self._forms[key] = form
            self._layout.addWidget(form)
        return self._forms[key]
