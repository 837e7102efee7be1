"""What is predicted, with what, how and where to: all forms of the Predict tab."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

import napari
from qtpy.QtCore import Signal
from qtpy.QtWidgets import QFormLayout, QVBoxLayout, QWidget

from napari_dacapo_tasks.arrays.growing_image import Exists
from napari_dacapo_tasks.errors import ConfigError, UserError
from napari_dacapo_tasks.prediction.config import PredictionConfig
from napari_dacapo_tasks.runs.run_folder import CONFIG
from napari_dacapo_tasks.widgets.device_combo import DeviceCombo
from napari_dacapo_tasks.widgets.form import ConfigForm
from napari_dacapo_tasks.widgets.image_panel import ImagePanel, ImageSource
from napari_dacapo_tasks.widgets.large_prediction import FOLDER, OutputPanel
from napari_dacapo_tasks.widgets.model_panel import ModelPanel
from napari_dacapo_tasks.widgets.predict_work import Asked, Place
from napari_dacapo_tasks.widgets.refusals import first_refusal
from napari_dacapo_tasks.widgets.region_panel import RegionPanel
from napari_dacapo_tasks.widgets.section import Section, scrolled
from napari_dacapo_tasks.widgets.settings import SettingsFile

UNNAMED = "prediction"
"""Name of the output until there is an image."""


class PredictForms(QWidget):
    """Model, image and region, output, options.

    Signals
    -------
    changed()
        Something else would come out.
    inputChanged()
        Before that: model or image are others now.
    failed(object)
        An exception of what the forms do by themselves.
    """

    changed = Signal()
    inputChanged = Signal()
    failed = Signal(object)

    def __init__(
        self, viewer: napari.Viewer, settings: SettingsFile, parent: QWidget | None = None
    ) -> None:
        super().__init__(parent)
        self._settings = settings
        self.model = ModelPanel(viewer, settings)
        self.image = ImagePanel(viewer)
        self.region = RegionPanel(viewer)
        self.output = OutputPanel()
        self.device = DeviceCombo()
        self.options = ConfigForm(PredictionConfig, hidden=("device",))
        self._lay_out()
        self.show_settings()
        self.model.changed.connect(self._on_model)
        self.image.changed.connect(self._on_image)
        self.region.changed.connect(self.changed)
        self.options.valueChanged.connect(lambda _: self.changed.emit())
        self.device.valueChanged.connect(self._on_device)
        self.device.failed.connect(self.failed)
        self._on_image()

    @property
    def busy(self) -> bool:
        """Whether model or image are still being looked at."""
        return self.model.busy or self.image.busy

    def config(self) -> PredictionConfig:
        """Give how to predict; raises ConfigError while that is refused."""
        value = self.options.value()
        if value is None:
            raise ConfigError(f"Nothing can be predicted: {first_refusal(self.options)}")
        assert isinstance(value, PredictionConfig)
        return value.model_copy(update={"device": self.device.value() or value.device})

    def asked(self, *, resample: bool) -> tuple[Asked, ImageSource]:
        """Give what to predict, all of it as it is now; raises UserError."""
        model = self.model.model()
        if model is None:
            raise ConfigError(
                "There is no network: train one in the Train dock, or choose a run or an exported "
                "network."
            )
        if self.model.summary is None and not self.model.busy:
            raise ConfigError(self.model.text)
        image = self.image.source()
        roi = self.region.roi(image)
        config = self.config()
        asked = Asked(model, self.model.checkpoint(), image.array, roi, config, resample)
        return asked, image

    def place(self, exists: Exists, image: ImageSource) -> Place:
        """Give where the prediction goes; raises UserError."""
        return self.output.place(exists, image.path)

    def remember(self, asked: Asked) -> None:
        """Keep what is chosen for the next time."""
        self._settings.change(
            prediction=asked.config,
            predicted_with=str(asked.model),
            workers=self.output.workers_box.value(),
            worker_command=self.output.command_line.text().strip(),
        )

    def show_settings(self) -> None:
        """Choose what was chosen the last time."""
        settings = self._settings.value
        config = settings.prediction or PredictionConfig()
        self.options.setValue(config)
        self.device.setValue(config.device)
        self.output.workers_box.setValue(settings.workers)
        self.output.command_line.setText(settings.worker_command)
        if settings.predicted_with is not None and Path(settings.predicted_with).exists():
            self.model.offer(Path(settings.predicted_with))

    def end(self) -> None:
        """End what goes on in the background, and wait for it."""
        self.model.end()

    def _on_model(self) -> None:
        self._propose_place()
        self.inputChanged.emit()
        self.changed.emit()

    def _on_image(self) -> None:
        with suppress(UserError):
            image = self.image.source()
            self.region.setDims(image.array.dims)
            self.output.setWorkersPossible(image.path is not None)
        self._propose_place()
        self.inputChanged.emit()
        self.changed.emit()

    def _propose_place(self) -> None:
        model = self.model.model()
        if model is None:
            return
        home = model / FOLDER if (model / CONFIG).is_file() else model.parent
        name = UNNAMED
        with suppress(UserError):
            name = self.image.source().name.replace("/", "_")
        self.output.propose(home, name)

    def _on_device(self, name: str) -> None:
        if name:
            self.options.setHiddenValues(device=name)

    def _lay_out(self) -> None:
        data = QWidget()
        column = QVBoxLayout(data)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(4)
        column.addWidget(self.image)
        column.addWidget(self.region)
        more = QWidget()
        form = QVBoxLayout(more)
        form.setContentsMargins(0, 0, 0, 0)
        top = QFormLayout()
        top.setFieldGrowthPolicy(QFormLayout.FieldGrowthPolicy.AllNonFixedFieldsGrow)
        top.addRow("Device", self.device)
        form.addLayout(top)
        form.addWidget(self.options)
        self.scroll = scrolled(
            Section("Model", self.model),
            Section("Image", data),
            Section("Output", self.output),
            Section("More", more, opened=False),
        )
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(self.scroll)
