"""What the Segment tab shows beside the method: the prediction, the buttons, and how it goes."""

from __future__ import annotations

from qtpy.QtCore import Qt, Signal
from qtpy.QtWidgets import (
    QCheckBox,
    QComboBox,
    QHBoxLayout,
    QLabel,
    QProgressBar,
    QPushButton,
    QSpinBox,
    QVBoxLayout,
    QWidget,
)

from napari_dacapo_tasks.prediction.fit import IN_MEMORY_BYTES
from napari_dacapo_tasks.prediction.prediction import Prediction
from napari_dacapo_tasks.widgets.preview_panel import BOX_SIZES, LARGEST_BOX, SMALLEST_BOX
from napari_dacapo_tasks.widgets.segment_work import Segmented

MEMORY, FOLDER = 0, 1
NO_PREDICTION = "There is no prediction yet: make one in the Predict tab, or open one."
BYTES_PER_LABEL = 4


class SegmentControls(QWidget):
    """The controls; it segments nothing itself. `source` stands elsewhere in the tab.

    Signals
    -------
    opened(), asked(), stopped(), saved(), previewChanged()
        What the person did.
    """

    opened = Signal()
    asked = Signal()
    stopped = Signal()
    saved = Signal()
    previewChanged = Signal()

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.source = QWidget()
        self.source_label = _sentence(NO_PREDICTION)
        self.open_button = QPushButton("Open…")
        self.open_button.setToolTip("Take a prediction that was saved as OME-Zarr")
        self.live_box = QCheckBox("Live preview")
        self.live_box.setChecked(True)
        self.live_box.setToolTip("Segment a box around what you look at after every change")
        self.size_box = QSpinBox()
        self.size_box.setRange(SMALLEST_BOX, LARGEST_BOX)
        self.size_box.setSingleStep(SMALLEST_BOX)
        self.size_box.setValue(BOX_SIZES[3])
        self.size_box.setSuffix(" voxels")
        self.size_box.setKeyboardTracking(False)
        self.size_box.setToolTip("Side of the box")
        self.into_combo = QComboBox()
        self.into_combo.addItems(["Keep in memory", "Write to a folder"])
        self.into_combo.setToolTip(
            "Labels in memory can be edited. In a folder they are made block by block, so that "
            "they may be larger than memory."
        )
        self.segment_button = QPushButton("Segment all")
        self.save_button = QPushButton("Save…")
        self.save_button.setToolTip("Save the labels as they are now, edits included, as OME-Zarr")
        self.stop_button = QPushButton("Stop")
        self.bar = QProgressBar()
        self.bar.setRange(0, 100)
        self.preview_label = _sentence()
        self.result_label = _sentence()
        self._methods = False
        self._can_save = False
        self._lay_out()

        self.open_button.clicked.connect(lambda: self.opened.emit())
        self.segment_button.clicked.connect(lambda: self.asked.emit())
        self.stop_button.clicked.connect(lambda: self.stopped.emit())
        self.save_button.clicked.connect(lambda: self.saved.emit())
        self.live_box.toggled.connect(lambda _: self.previewChanged.emit())
        self.size_box.valueChanged.connect(lambda _: self.previewChanged.emit())
        self.show_prediction(None)

    @property
    def live(self) -> bool:
        """Whether every change is previewed."""
        return bool(self.live_box.isChecked())

    @property
    def box_size(self) -> int:
        """Side of the box that is previewed, in voxels."""
        return int(self.size_box.value())

    @property
    def into_folder(self) -> bool:
        """Whether the segmentation goes into a folder."""
        return bool(self.into_combo.currentIndex() == FOLDER)

    def show_prediction(self, prediction: Prediction | None) -> None:
        """Say what is to be segmented; nothing of it is segmented yet."""
        self.result_label.hide()
        self.preview_label.hide()
        self._can_save = False
        if prediction is None:
            self.source_label.setText(NO_PREDICTION)
        else:
            array = prediction.array
            name = prediction.name or prediction.task.name
            self.source_label.setText(f"{name}: {array.describe()}")
            self.size_box.setValue(BOX_SIZES.get(array.dims, BOX_SIZES[3]))
            voxels = 1
            for length in array.shape:
                voxels *= length
            channels = len(prediction.task.ground_truth_channels)
            size = voxels * max(
                (array.num_channels or 1) * array.dtype.itemsize, channels * BYTES_PER_LABEL
            )
            self.into_combo.setCurrentIndex(FOLDER if size > IN_MEMORY_BYTES else MEMORY)
        self.setMethods(False)

    def setMethods(self, some: bool) -> None:
        """Take note whether there is any way to a segmentation."""
        self._methods = some
        self.show_idle()

    def show_busy(self) -> None:
        """Show that the whole is being segmented."""
        self.bar.setValue(0)
        self._working.show()
        self.segment_button.setEnabled(False)
        self.save_button.setEnabled(False)
        self.result_label.hide()

    def show_share(self, share: float) -> None:
        """Show how far that is."""
        self.bar.setValue(round(100 * share))

    def forget_result(self) -> None:
        """Take note that there is no whole segmentation any more."""
        self._can_save = False

    def show_idle(self) -> None:
        """Show that nothing is being made."""
        self._working.hide()
        self.segment_button.setEnabled(self._methods)
        self.save_button.setEnabled(self._can_save)

    def say_preview(self, result: Segmented | None) -> None:
        """Say what is in the preview; nothing without one."""
        self.preview_label.setVisible(result is not None)
        if result is not None:
            what = "the box" if result.request.roi is not None else "all of it"
            self.preview_label.setText(f"Preview: {_told(result)} in {what}.")

    def say_result(self, result: Segmented, remark: str) -> None:
        """Say what came of the whole; it can be saved now, unless it is on disk already."""
        out = result.request.out
        self._can_save = out is None
        self.save_button.setEnabled(self._can_save)
        said = f"{_told(result)}, in {result.seconds:.2g} s."
        if out is not None:
            said = f"Written to {out}, in {result.seconds:.2g} s."
        self.say(f"{said[0].upper()}{said[1:]} {remark}".strip())

    def say_edited(self) -> None:
        """Say that the labels are not as they were made any more."""
        text = self.result_label.text()
        if not text.endswith("edited since."):
            self.say(f"{text.rstrip('.')}; edited since.")

    def say(self, text: str) -> None:
        """Say something of the segmentation."""
        self.result_label.setText(text)
        self.result_label.setVisible(bool(text))

    def _lay_out(self) -> None:
        source = QVBoxLayout(self.source)
        source.setContentsMargins(0, 0, 0, 0)
        source.addWidget(self.source_label)
        line = QHBoxLayout()
        line.addStretch(1)
        line.addWidget(self.open_button)
        source.addLayout(line)
        preview = QHBoxLayout()
        preview.addWidget(self.live_box, 1)
        preview.addWidget(self.size_box)
        whole = QHBoxLayout()
        whole.addWidget(self.segment_button, 1)
        whole.addWidget(self.save_button)
        self._working = QWidget()
        working = QHBoxLayout(self._working)
        working.setContentsMargins(0, 0, 0, 0)
        working.addWidget(self.bar, 1)
        working.addWidget(self.stop_button)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addLayout(preview)
        layout.addWidget(self.preview_label)
        layout.addWidget(self.into_combo)
        layout.addLayout(whole)
        layout.addWidget(self._working)
        layout.addWidget(self.result_label)
        self._working.hide()


def _sentence(text: str = "") -> QLabel:
    label = QLabel(text)
    label.setWordWrap(True)
    label.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
    return label


def _told(result: Segmented) -> str:
    """Say how many objects there are, as ``"3 mito and 12 er"``."""
    if result.objects is None:
        return "segmented"
    names = result.segmentation.task.ground_truth_channels
    if len(result.objects) == 1:
        number = result.objects[0]
        return "1 object" if number == 1 else f"{number:,} objects"
    pairs = zip(result.objects, names, strict=True)
    return "objects: " + ", ".join(f"{number:,} {name}" for number, name in pairs)
