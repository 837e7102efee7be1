"""The form of one kind of task."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

from qtpy.QtWidgets import QWidget

from napari_dacapo_tasks.tasks import Measured, TaskConfig
from napari_dacapo_tasks.tasks.task import LABELS
from napari_dacapo_tasks.units import NANOMETRE
from napari_dacapo_tasks.widgets.fields import FieldEditor
from napari_dacapo_tasks.widgets.form import ConfigForm

CHANNELS = "channels"
"""This field is edited with the ground truth."""


class TaskForm(ConfigForm):
    """Edits the config of a task, its channels apart; parameters as of `ConfigForm`."""

    def __init__(
        self,
        model_type: type[TaskConfig],
        *,
        hidden: Collection[str] = (),
        unit: str = NANOMETRE.name,
        editors: Mapping[str, FieldEditor] | None = None,
        parent: QWidget | None = None,
    ) -> None:
        hidden = [name for name in (CHANNELS, *hidden) if name in model_type.model_fields]
        super().__init__(model_type, hidden=hidden, unit=unit, editors=editors, parent=parent)
        self.task_type = model_type

    @property
    def wants_channels(self) -> bool:
        """Whether the channels of the ground truth are chosen for this task."""
        return CHANNELS in self.task_type.model_fields

    def proposal(self, channels: Sequence[str], measured: Measured) -> TaskConfig:
        """Give parameters that fit the data."""
        return self.task_type.propose(channels if self.wants_channels else [LABELS], measured)
