"""The form of a task that starts from trained weights: another task's form inside of it."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any

from qtpy.QtCore import Qt
from qtpy.QtWidgets import QVBoxLayout, QWidget
from typing_extensions import override

from napari_dacapo_tasks.tasks import Measured, TaskConfig
from napari_dacapo_tasks.tasks.pretrained import PretrainedTaskConfig
from napari_dacapo_tasks.units import NANOMETRE
from napari_dacapo_tasks.widgets.checkpoint_editor import CheckpointEditor
from napari_dacapo_tasks.widgets.fields import FieldEditor
from napari_dacapo_tasks.widgets.refusals import first_refusal
from napari_dacapo_tasks.widgets.task_chooser import NAME, TaskChooser
from napari_dacapo_tasks.widgets.task_form import TaskForm

SUB_TASK, WEIGHTS = "sub_task_config", "weights"

OBJECTS = "objects"
"""Name of the channel until the channels of the ground truth are known."""

INDENT = 8
"""Pixels by which the inner form stands back."""


class PretrainedForm(TaskForm):
    """Edits a `PretrainedTaskConfig`.

    Parameters
    ----------
    model_type, hidden, unit
        As of `TaskForm`.
    kinds
        Kinds of tasks that can be inside.
    """

    def __init__(
        self,
        model_type: type[PretrainedTaskConfig],
        *,
        kinds: Sequence[type[TaskConfig]],
        hidden: Collection[str] = (),
        unit: str = NANOMETRE.name,
        parent: QWidget | None = None,
    ) -> None:
        self.sub_task = SubTaskEditor(kinds)
        self.checkpoint = CheckpointEditor()
        super().__init__(
            model_type,
            hidden=hidden,
            unit=unit,
            editors={SUB_TASK: self.sub_task, WEIGHTS: self.checkpoint},
            parent=parent,
        )

    @property
    def wants_channels(self) -> bool:
        """Whether the inner task chooses channels."""
        return self.sub_task.chooser.form.wants_channels

    @override
    def proposal(self, channels: Sequence[str], measured: Measured) -> TaskConfig:
        """Give parameters that fit the data: of the inner task that is chosen, from its weights."""
        proposal = self.task_type.propose(channels, measured)
        inner = self.sub_task.chooser.form.proposal(channels, measured)
        return proposal.model_copy(
            update={
                NAME: f"{inner.name}_{PretrainedTaskConfig.short_name}",
                SUB_TASK: inner,
                WEIGHTS: self.checkpoint.line.text().strip() or getattr(proposal, WEIGHTS),
            }
        )


class SubTaskEditor(FieldEditor):
    """Edits the task inside of another one."""

    wide = True
    titled = True
    says_why = True

    def __init__(self, kinds: Sequence[type[TaskConfig]]) -> None:
        # Its name is not shown: files carry that of the task around it.
        self.chooser = TaskChooser(kinds, [OBJECTS], hidden=[NAME], title="Learns")
        content = QWidget()
        super().__init__(content)
        self.setFocusProxy(self.chooser.type_combo)
        content.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        column = QVBoxLayout(content)
        column.setContentsMargins(INDENT, 0, 0, 0)
        column.addWidget(self.chooser)
        self.chooser.changed.connect(self.changed)

    @override
    def value(self) -> TaskConfig:
        config = self.chooser.value()
        if config is None:
            raise ValueError(first_refusal(self.chooser.form).rstrip("."))
        return config

    @override
    def setValue(self, value: Any) -> None:
        blocked = self.chooser.blockSignals(True)
        self.chooser.setValue(value, edited=not self.chooser.proposes(value))
        self.chooser.blockSignals(blocked)

    @override
    def setRefused(self, refused: bool) -> None:
        """Leave it to the form inside."""

    @override
    def setProposal(self, value: Any, least: float) -> None:
        form = self.chooser.form
        if isinstance(value, form.task_type):
            form.setProposal(value, least)

    @override
    def setUnit(self, unit: str) -> None:
        self.chooser.form.setUnit(unit)

    @override
    def setMeasured(self, measured: Measured) -> None:
        # A task inside that nobody has touched follows the data, whatever was entered around it.
        blocked = self.chooser.blockSignals(True)
        self.chooser.setMeasured(measured)
        self.chooser.blockSignals(blocked)
