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
from napari_dacapo_tasks.widgets.predict_session import PredictSession
from napari_dacapo_tasks.widgets.section import Section
from napari_dacapo_tasks.widgets.session import Session


class TruthChooser(QWidget):
    """Chooses labels and mask, and the label ids of each channel of a task.

    The task is that of the prediction, or that of the Task dock where there is none. The choice
    begins with what the Task dock has, and follows that until another one is made here.

    Signals
    -------
    changed()
        Another choice.
    """

    changed = Signal()

    def __init__(
        self, viewer: napari.Viewer, session: PredictSession, parent: QWidget | None = None
    ) -> None:
        super().__init__(parent)
        self._docks, self._session = Session.of(viewer), session
        self._learned: list[LabelsConfig] = []
        self._entered: LabelsConfig | None = None
        self._shown: tuple[LabelsConfig, bool] | None = None
        self._showing = False
        self._follows = True
        self.panel = GroundTruthPanel(viewer, self._docks.labels_config)
        self.panel.setChosenChannels(False)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(self.panel)
        self._on_prediction()
        self._on_docks()
        self.panel.layersChanged.connect(self._on_layers)
        self.panel.channelsChanged.connect(self._on_channels)
        session.predictionChanged.connect(self._on_prediction)
        connect_while_alive(self, self._docks.changed, self._on_docks)

    @property
    def task(self) -> TaskConfig | None:
        """Says what the labels mean; None where nothing does."""
        shown = self._session.prediction
        return self._docks.task if shown is None else shown.prediction.task

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
        task = self.task
        if task is None or not task.has_channels():
            return
        names = task.ground_truth_channels
        if config.channel_names != names:
            raise ConfigError(
                f"The ground truth has the channels {', '.join(config.channel_names)}, but the "
                f"task {', '.join(names)}: name the same ones, in this order."
            )
        fresh = [channel.name for channel in config.channels if not channel.labels]
        if len(names) > 1 and fresh:
            raise ConfigError(f"Give the label ids of {', '.join(fresh)} in the table of channels.")

    def _on_prediction(self) -> None:
        """Take note of the label ids that the run of the prediction has learned."""
        shown = self._session.prediction
        self._learned = [] if shown is None else _of_run(shown.prediction.run)
        self._show_channels()

    def _on_docks(self) -> None:
        """Choose what the Task dock has, as long as that is what has been chosen until now."""
        docks = self._docks
        if docks.labels_layer is not None and self._follows:
            self._showing = True
            self.panel.labels_combo.set_layer(docks.labels_layer)
            self.panel.mask_combo.set_layer(docks.mask_layer)
            self._showing = False
        self._follows = self._follows or self._agrees()
        self._show_channels()

    def _agrees(self) -> bool:
        """Say whether the layers are those of the Task dock."""
        chosen = (self.panel.labels_layer, self.panel.mask_layer)
        return chosen in ((None, None), (self._docks.labels_layer, self._docks.mask_layer))

    def _show_channels(self) -> None:
        """Ask for the channels of the task, with the label ids that are known best."""
        task = self.task
        if task is None:
            return
        chosen, names = task.has_channels(), task.ground_truth_channels
        known = [self._docks.labels_config, *self._learned]
        if self._entered is not None:
            known.append(self._entered)  # what was entered here counts most
        found = [one for one in known if not chosen or one.channel_names == names]
        config = found[-1] if found else LabelsConfig()
        if chosen and not found:
            channels = tuple(Channel(name=name) for name in names)
            config = known[-1].model_copy(update={"channels": channels})
        if (config, chosen) == self._shown:
            return  # and what is being typed stays
        self._shown = (config, chosen)
        self._showing = True
        self.panel.channels.setValue(config)
        self.panel.setChosenChannels(chosen)
        for button in (self.panel.channels.add_button, self.panel.channels.remove_button):
            button.hide()  # the channels are those of the task
        self._showing = False
        self.changed.emit()

    def _on_layers(self) -> None:
        if not self._showing:
            self._follows = self._agrees()
        self.changed.emit()

    def _on_channels(self, config: LabelsConfig | None) -> None:
        if not self._showing:
            if config is not None:
                self._entered = config
            self.changed.emit()


class TruthSection(Section):
    """The ground truth in each of the tabs that need it: there is one choice, in all of them."""

    def __init__(self, truth: TruthChooser, parent: QWidget | None = None) -> None:
        super().__init__("Ground truth", truth, parent=parent)
        self._truth = truth

    def showEvent(self, event: Any) -> None:
        """Fetch the choice from the tab that showed it before."""
        super().showEvent(event)
        if self._truth.parentWidget() is not self:
            self.layout().addWidget(self._truth)
            self._truth.setVisible(self.heading.isChecked())


def _of_run(run: Path | None) -> list[LabelsConfig]:
    """Give how a run reads its labels; nothing where it cannot be read."""
    if run is None:
        return []
    from napari_dacapo_tasks.runs.run_folder import RunFolder  # imports torch

    try:
        return [RunFolder.open(run).config.data.labels]
    except UserError:
        return []
