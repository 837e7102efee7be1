"""What the tabs of the Predict dock hand on to each other."""

from __future__ import annotations

from dataclasses import dataclass

import napari
from qtpy.QtCore import QObject, Signal
from qtpy.QtWidgets import QWidget

from napari_dacapo_tasks.arrays import Array
from napari_dacapo_tasks.prediction.prediction import Prediction
from napari_dacapo_tasks.tasks.post_processors.post_processor import PostProcessorParameters
from napari_dacapo_tasks.widgets.result_layers import Anchor


@dataclass(frozen=True)
class ShownPrediction:
    """A prediction, and the place in the viewer of what it was made of."""

    prediction: Prediction
    anchor: Anchor


@dataclass(frozen=True)
class ShownSegmentation:
    """A segmentation in labels layers.

    Attributes
    ----------
    of
        What was segmented.
    array
        Labels ``(c, z, y, x)``. The layers show the same values, so that edits of those in memory
        are in here as well.
    layers
        Names of the labels layers, one for each channel.
    method
        Index of the method, among those of the task.
    parameters
        Of its post-processor.
    """

    of: ShownPrediction
    array: Array
    layers: tuple[str, ...]
    method: int
    parameters: PostProcessorParameters


class PredictSession(QObject):
    """The prediction and the segmentation that the tabs work on.

    Signals
    -------
    predictionChanged()
        There is another prediction, or none.
    segmentationChanged()
        There is another segmentation, or none.
    parametersChosen(int, object)
        Let a method segment with these parameters, as after a click on the best of a sweep.
    """

    predictionChanged = Signal()
    segmentationChanged = Signal()
    parametersChosen = Signal(int, object)

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._prediction: ShownPrediction | None = None
        self._segmentation: ShownSegmentation | None = None

    @property
    def prediction(self) -> ShownPrediction | None:
        """What is to be segmented."""
        return self._prediction

    @property
    def segmentation(self) -> ShownSegmentation | None:
        """What is to be scored."""
        return self._segmentation

    def set_prediction(self, prediction: ShownPrediction | None) -> None:
        """Hand on a prediction; there is no segmentation of it yet."""
        self._prediction, self._segmentation = prediction, None
        self.predictionChanged.emit()
        self.segmentationChanged.emit()

    def set_segmentation(self, segmentation: ShownSegmentation | None) -> None:
        """Hand on a segmentation."""
        self._segmentation = segmentation
        self.segmentationChanged.emit()


class SessionTab(QWidget):
    """A tab that works on what the session holds.

    Signals
    -------
    failed(object)
        An exception to show.
    retried()
        Work begins anew: what failed before is over.
    """

    failed = Signal(object)
    retried = Signal()

    def __init__(
        self, viewer: napari.Viewer, session: PredictSession, parent: QWidget | None = None
    ) -> None:
        super().__init__(parent)
        self._viewer, self._session = viewer, session
