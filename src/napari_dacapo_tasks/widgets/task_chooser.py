"""Which kind of task, and a form for each kind."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence

from qtpy.QtCore import Signal
from qtpy.QtWidgets import QComboBox, QFormLayout, QVBoxLayout, QWidget

from napari_dacapo_tasks.tasks import Measured, TaskConfig
from napari_dacapo_tasks.units import VOXEL
from napari_dacapo_tasks.widgets.fields import leave_wheel
from napari_dacapo_tasks.widgets.task_form import TaskForm

UNKNOWN_DATA = Measured((1.0, 1.0, 1.0), None, VOXEL.name)
"""What parameters are proposed for until there is a ground truth."""

NAME = "name"


class TaskChooser(QWidget):
    """Edits one of several kinds of configs; each kind keeps what was entered for it.

    Parameters that a person has not touched follow the ground truth. A name that a person has
    given goes along to kinds whose parameters are untouched.

    Parameters
    ----------
    kinds
        Those that are offered.
    channels
        Names of the channels of the ground truth.
    hidden
        Fields that no form shows.
    make_form
        Makes the form of a kind; called as `TaskForm` is.
    title
        What stands before the kinds.

    Signals
    -------
    changed()
        There is another value, or none any more.
    """

    changed = Signal()

    def __init__(
        self,
        kinds: Sequence[type[TaskConfig]],
        channels: Sequence[str],
        *,
        hidden: Collection[str] = (),
        make_form: Callable[..., TaskForm] = TaskForm,
        title: str = "Task",
        parent: QWidget | None = None,
    ) -> None:
        super().__init__(parent)
        self.kinds = list(kinds)
        self._channels = list(channels)
        self._hidden = tuple(hidden)
        self._make_form = make_form
        self._measured = UNKNOWN_DATA
        self._forms: dict[type[TaskConfig], TaskForm] = {}
        self._edited: set[type[TaskConfig]] = set()
        self._name = ""
        self._showing = False
        self.type_combo = QComboBox()
        self.type_combo.addItems([kind.title for kind in self.kinds])
        leave_wheel(self.type_combo)
        top = QFormLayout()
        top.setFieldGrowthPolicy(QFormLayout.FieldGrowthPolicy.AllNonFixedFieldsGrow)
        top.addRow(title, self.type_combo)
        self._layout = QVBoxLayout(self)
        self._layout.setContentsMargins(0, 0, 0, 0)
        self._layout.addLayout(top)
        self.type_combo.currentIndexChanged.connect(self._on_type)
        self._show_form()

    @property
    def kind(self) -> type[TaskConfig]:
        """The kind that is chosen."""
        return self.kinds[self.type_combo.currentIndex()]

    @property
    def form(self) -> TaskForm:
        """Its form."""
        return self._form_of(self.kind)

    @property
    def channels(self) -> list[str]:
        """The channels of the ground truth that kinds which choose them get."""
        return list(self._channels)

    def value(self) -> TaskConfig | None:
        """Give the config, None while it is refused."""
        config: TaskConfig | None = self.form.value()
        return None if config is None else config.with_channels(self._channels)

    def setValue(self, config: TaskConfig, *, edited: bool = True) -> None:
        """Show a config.

        Parameters
        ----------
        config
            Of one of the kinds.
        edited
            Whether it stays when the ground truth becomes another.
        """
        self.type_combo.blockSignals(True)
        self.type_combo.setCurrentIndex(self.kinds.index(type(config)))
        self.type_combo.blockSignals(False)
        self._name = ""
        self._mark(edited)
        self._show_form()
        if config.has_channels():
            self._channels = config.ground_truth_channels
        self._fill(self.form, config)
        self.changed.emit()

    def proposal(self) -> TaskConfig:
        """Give parameters that fit the ground truth."""
        return self.form.proposal(self._channels, self._measured)

    def proposes(self, config: TaskConfig) -> bool:
        """Whether a config, whatever channels it is for, is what fits the ground truth."""
        proposal = type(config).propose(config.ground_truth_channels, self._measured)
        return bool(config == proposal)

    def reset(self) -> None:
        """Go back to parameters that fit the ground truth."""
        self._name = ""
        self._mark(False)
        self._fill(self.form, self.proposal())
        self.changed.emit()

    def setChannels(self, channels: Sequence[str]) -> None:
        """Name the channels of the ground truth; a kind that chooses none leaves them as is."""
        if self.form.wants_channels:
            self._channels = list(channels)
        self.changed.emit()

    def setMeasured(self, measured: Measured) -> bool:
        """Take note of another ground truth, and say whether parameters are proposed for it."""
        self._measured = measured
        for form in self._forms.values():
            self._tell(form)
        untouched = self.kind not in self._edited
        if untouched:
            self._propose()
        self.changed.emit()
        return untouched

    def _form_of(self, kind: type[TaskConfig]) -> TaskForm:
        if kind not in self._forms:
            form = self._make_form(kind, hidden=self._hidden, unit=self._measured.unit)
            self._forms[kind] = form
            self._layout.addWidget(form)
            self._tell(form)
            self._fill(form, form.proposal(self._channels, self._measured))
            form.valueChanged.connect(self._on_form)
            if NAME not in self._hidden:
                form.editor(NAME).changed.connect(self._on_name)
        return self._forms[kind]

    def _tell(self, form: TaskForm) -> None:
        """Tell a form about the data."""
        if self._measured is not UNKNOWN_DATA:
            form.setMeasured(self._measured)
        else:
            form.setUnit(self._measured.unit)
        proposal = form.proposal(self._channels, self._measured)
        # Lengths below a voxel mean nothing.
        form.setProposal(proposal, min(self._measured.voxel_size))

    def _mark(self, edited: bool) -> None:
        if edited:
            self._edited.add(self.kind)
        else:
            self._edited.discard(self.kind)

    def _fill(self, form: TaskForm, config: TaskConfig) -> None:
        self._showing = True
        form.setValue(config)
        self._showing = False

    def _propose(self) -> None:
        """Show what is proposed, under the name that a person has given."""
        proposal = self.proposal()
        if self._name:
            proposal = proposal.model_copy(update={NAME: self._name})
        self._fill(self.form, proposal)

    def _show_form(self) -> None:
        chosen = self.form
        for form in self._forms.values():
            form.setVisible(form is chosen)

    def _on_type(self, _index: int) -> None:
        self._show_form()
        if self.kind not in self._edited:
            self._propose()
        self.changed.emit()

    def _on_form(self, _config: object) -> None:
        if not self._showing:
            self._edited.add(self.kind)
            self.changed.emit()

    def _on_name(self) -> None:
        self._name = str(self.form.editor(NAME).value())
