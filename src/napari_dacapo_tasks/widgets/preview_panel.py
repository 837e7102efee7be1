"""What is previewed and when: the region, live or on a button, progress and pins."""

from __future__ import annotations

from math import prod

from qtpy.QtCore import Signal
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

WHOLE, BOX = 0, 1
LARGEST_WHOLE = 192**3
"""Voxels up to which the whole volume is previewed unless a person chooses otherwise."""

BOX_SIZES = {2: 1024, 3: 128}
"""Side of the box that is offered first, by number of axes."""

SMALLEST_BOX, LARGEST_BOX = 16, 4096


class PreviewPanel(QWidget):
    """The controls of the preview; it makes none itself.

    Signals
    -------
    regionChanged(), asked(), cancelled(), pinned(), liveChanged(bool), channelChosen(int), \
    pictureChosen(int)
        What the person did.
    """

    regionChanged = Signal()
    asked = Signal()
    cancelled = Signal()
    pinned = Signal()
    liveChanged = Signal(bool)
    channelChosen = Signal(int)
    pictureChosen = Signal(int)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.region_combo = QComboBox()
        self.region_combo.addItems(["Whole volume", "Box around the view"])
        self.region_combo.setToolTip(
            "A box follows what you look at; around it as much is read as the target needs."
        )
        self.size_box = QSpinBox()
        self.size_box.setRange(SMALLEST_BOX, LARGEST_BOX)
        self.size_box.setSingleStep(SMALLEST_BOX)
        self.size_box.setValue(BOX_SIZES[3])
        self.size_box.setSuffix(" voxels")
        self.size_box.setKeyboardTracking(False)
        self.size_box.setToolTip("Side of the box")
        self.preview_button = QPushButton("Preview")
        self.live_box = QCheckBox("Live")
        self.live_box.setChecked(True)
        self.live_box.setToolTip("Preview again after every change, also of the painted labels")
        self.pin_button = QPushButton("Pin")
        self.pin_button.setToolTip("Keep a copy of the preview's layers, to compare parameters")
        self.pin_button.setEnabled(False)
        self.cancel_button = QPushButton("Cancel")
        self.bar = QProgressBar()
        self.bar.setRange(0, 100)
        self.channel_combo = QComboBox()
        self.channel_combo.setToolTip("The channel, or the picture of several, that is seen")
        self._pictures = 0
        self._channel_row = QWidget()
        row = QHBoxLayout(self._channel_row)
        row.setContentsMargins(0, 0, 0, 0)
        row.addWidget(QLabel("Shown"))
        row.addWidget(self.channel_combo, 1)
        self._channel_row.hide()

        region = QHBoxLayout()
        region.addWidget(self.region_combo, 1)
        region.addWidget(self.size_box)
        buttons = QHBoxLayout()
        buttons.addWidget(self.preview_button, 1)
        buttons.addWidget(self.live_box)
        buttons.addWidget(self.pin_button, 1)
        self._working = QWidget()
        working = QHBoxLayout(self._working)
        working.setContentsMargins(0, 0, 0, 0)
        working.addWidget(self.bar, 1)
        working.addWidget(self.cancel_button)
        self._working.hide()
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addLayout(region)
        layout.addLayout(buttons)
        layout.addWidget(self._working)
        layout.addWidget(self._channel_row)

        self.region_combo.currentIndexChanged.connect(self._on_region)
        self.size_box.valueChanged.connect(lambda _: self.regionChanged.emit())
        self.preview_button.clicked.connect(lambda: self.asked.emit())
        self.cancel_button.clicked.connect(lambda: self.cancelled.emit())
        self.pin_button.clicked.connect(lambda: self.pinned.emit())
        self.live_box.toggled.connect(self.liveChanged)
        self.channel_combo.activated.connect(self._on_chosen)
        self.size_box.hide()

    @property
    def live(self) -> bool:
        """Whether every change is previewed."""
        return bool(self.live_box.isChecked())

    @property
    def box_size(self) -> int | None:
        """Side of the box in voxels, None for the whole volume."""
        return int(self.size_box.value()) if self.region_combo.currentIndex() == BOX else None

    def suggest_region(self, shape: tuple[int, ...]) -> None:
        """Choose the region that suits a ground truth of this shape."""
        blocked = self.blockSignals(True)
        self.size_box.setValue(BOX_SIZES.get(len(shape), BOX_SIZES[3]))
        self.region_combo.setCurrentIndex(WHOLE if prod(shape) <= LARGEST_WHOLE else BOX)
        self.blockSignals(blocked)

    def show_progress(self, done: float, doing: str) -> None:
        """Show how far the work is."""
        self.bar.setValue(round(100 * done))
        self.bar.setFormat(doing)
        self._working.show()

    def show_idle(self) -> None:
        """Show that nothing is being made."""
        self._working.hide()

    def offer_channels(self, channels: list[str], pictures: list[str]) -> None:
        """Name the pictures and the channels of the preview, one of which is seen."""
        combo, offered = self.channel_combo, [*pictures, *channels]
        if offered != [combo.itemText(index) for index in range(combo.count())]:
            before = combo.currentText()
            # The first picture is what is seen where there has been none.
            stays = before in offered and bool(self._pictures or not pictures)
            kept = offered.index(before) if stays else 0
            combo.clear()
            combo.addItems(offered)
            combo.setCurrentIndex(kept)
        self._pictures = len(pictures)
        self._channel_row.setVisible(len(offered) > 1)

    def show_channel(self, index: int) -> None:
        """Name the channel that is seen, unless it is a picture of several."""
        if self.channel_combo.currentIndex() >= self._pictures:
            self.channel_combo.setCurrentIndex(self._pictures + index)

    def _on_chosen(self, index: int) -> None:
        if index < self._pictures:
            self.pictureChosen.emit(index)
        else:
            self.channelChosen.emit(index - self._pictures)

    def _on_region(self, index: int) -> None:
        self.size_box.setVisible(index == BOX)
        self.regionChanged.emit()
