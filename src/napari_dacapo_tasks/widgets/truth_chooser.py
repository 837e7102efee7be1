"""Which layers a segmentation is compared with, and how their labels are read."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import napari
from napari.layers import Layer
from qtpy.QtCore import Signal
from qtpy.QtWidgets import QVBoxLayout, QWidget

from napari_dacapo_tasks.arrays import Channel, GroundTruth, LabelsConfig
from napari_dacapo_tasks.errors import ConfigError, DataError, UserError
from napari_dacapo_tasks.tasks import TaskConfig
from napari_dacapo_tasks.widgets.ground_truth_panel import GroundTruthPanel
from napari_dacapo_tasks.widgets.layers import array_of
from napari_dacapo_tasks.widgets.lifetime import connect_while_alive
from napari_dacapo_tasks.widgets.session import Session


class TruthChooser(QWidget):
    """Chooses labels and mask, and the label ids of each channel of a task.

    It begins with what the Task dock has, and follows that until another choice is made here.

    Signals
    -------
    changed()
        Another choice.
    """

    changed = Signal()

    def __init__(self, viewer: napari.Viewer, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._session = Session.of(viewer)
        self._task: TaskConfig | None = None
        self._follows = True
        self._following = False
        self.panel = GroundTruthPanel(viewer, self._session.labels_config)
        self.panel.setChosenChannels(False)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(self.panel)
        self._follow()
        self.panel.layersChanged.connect(self._on_layers)
        self.panel.channelsChanged.connect(lambda _: self.changed.emit())
        connect_while_alive(self, self._session.changed, self._follow)

    def setTask(self, task: TaskConfig | None, run: Path | None = None) -> None:
        """Ask for the channels of a task.

        Parameters
        ----------
        task
            What the segmentation is of; None leaves everything as it is.
        run
            Folder of the run that learned it: it knows the label ids of its channels.
        """
        if task is None:
            return
        chosen = task.has_channels()
        known = [self._session.labels_config, *_of_run(run)]
        if self._task is not None and self.panel.labels_config is not None:
            known.append(self.panel.labels_config)  # what was entered here counts most
        self._task = task
        names = task.ground_truth_channels
        found = [one for one in known if not chosen or one.channel_names == names]
        config = found[-1] if found else LabelsConfig()
        if chosen and not found:
            channels = tuple(Channel(name=name) for name in names)
            config = known[-1].model_copy(update={"channels": channels})
        self.panel.channels.setValue(config)
        self.panel.setChosenChannels(chosen)
        for button in (self.panel.channels.add_button, self.panel.channels.remove_button):
            button.hide()  # the channels are those of the task

    @property
    def labels_layer(self) -> Layer | None:
        """The ground truth."""
        return self.panel.labels_layer

    def ground_truth(self) -> GroundTruth:
        """Give what is chosen, as the evaluation wants it; nothing is read yet.

        Raises
        ------
        UserError
            Where no layer is chosen, it cannot be used, or the channels are refused or not those
            of the task.
        """
        layer, mask = self.panel.labels_layer, self.panel.mask_layer
        if layer is None:
            raise DataError("Choose the layer of the ground truth first.")
        config = self.panel.labels_config
        if config is None:
            raise ConfigError("Mend what is red in the channels of the ground truth first.")
        self._require_channels(config)
        return GroundTruth(array_of(layer), config, None if mask is None else array_of(mask))

    def _require_channels(self, config: LabelsConfig) -> None:
        if self._task is None or not self._task.has_channels():
            return
        names = self._task.ground_truth_channels
        if config.channel_names != names:
            raise ConfigError(
                f"The ground truth has the channels {', '.join(config.channel_names)}, but the "
                f"task {', '.join(names)}: name the same ones, in this order."
            )
        fresh = [channel.name for channel in config.channels if not channel.labels]
        if len(names) > 1 and fresh:
            raise ConfigError(f"Give the label ids of {', '.join(fresh)} in the table of channels.")

    def _follow(self, _value: Any = None) -> None:
        """Choose the layers of the Task dock."""
        if not self._follows or self._session.labels_layer is None:
            return
        self._following = True
        self.panel.labels_combo.set_layer(self._session.labels_layer)
        self.panel.mask_combo.set_layer(self._session.mask_layer)
        self._following = False

    def _on_layers(self) -> None:
        self._follows &= self._following
        self.changed.emit()


def _of_run(run: Path | None) -> list[LabelsConfig]:
    """Give how a run reads its labels; nothing where it cannot be read."""
    if run is None:
        return []
    from napari_dacapo_tasks.runs.run_folder import RunFolder  # imports torch

    try:
        return [RunFolder.open(run).config.data.labels]
    except UserError:
        return []
