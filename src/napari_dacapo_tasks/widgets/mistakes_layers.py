"""The mistakes of a segmentation as coloured layers, and what the colours mean."""

from __future__ import annotations

from collections.abc import Sequence

import napari
from napari.layers import Layer
from napari.utils.colormaps import CyclicLabelColormap
from qtpy.QtCore import QSize, Qt
from qtpy.QtGui import QColor, QPixmap
from qtpy.QtWidgets import QGridLayout, QLabel, QWidget

from napari_dacapo_tasks.arrays import NumpyArray
from napari_dacapo_tasks.evaluation.mistakes import MISTAKES, WRONG_CLASS
from napari_dacapo_tasks.tasks.post_processors.post_processor import Labelling
from napari_dacapo_tasks.widgets.colormaps import NOTHING
from napari_dacapo_tasks.widgets.result_layers import Anchor, ResultLayers

KIND = "mistakes"
OPACITY = 0.85

COLOURS = ("#d55e00", "#56b4e9", "#f0e442", "#cc79a7", "#e69f00")
"""In the order of `MISTAKES`: vermilion, sky blue, yellow, reddish purple, and orange, which is of
classes alone. Okabe and Ito chose them for people of any colour vision."""

OF_OBJECT = {"false": COLOURS[0], "missed": COLOURS[1], "split": COLOURS[2], "merged": COLOURS[3]}
"""Colours of the objects that such mistakes are of."""

MEANINGS = (
    "In a segment, but in no object of the ground truth.",
    "In an object of the ground truth, but in no segment.",
    "In a segment of an object that has a larger one.",
    "In a segment that is mainly another object's.",
    "Of another class than in the ground truth.",
)

SWATCH = 12


class MistakesLayers:
    """A labels layer per channel of mistakes, of which one is seen at first."""

    def __init__(self, viewer: napari.Viewer) -> None:
        self._layers = ResultLayers(viewer, KIND)

    def show(self, mistakes: NumpyArray, channels: Sequence[str], anchor: Anchor) -> None:
        """Put mistakes ``(c, z, y, x)`` into the layers; an only channel is not named."""
        place = anchor.place(mistakes).layer_options()
        keys = [str(index) for index in range(len(channels))]
        self._layers.keep_only(keys)
        features = {"index": range(len(MISTAKES) + 1), "mistake": ["none", *MISTAKES.values()]}
        for index, (key, name) in enumerate(zip(keys, channels, strict=True)):
            look = {
                "colormap": _colormap(),
                "features": features,
                "opacity": OPACITY,
                "visible": index == 0,
            }
            full = f"{KIND}: {name}" if len(channels) > 1 else KIND
            values = mistakes.data[index]
            above = keys[index - 1] if index else None
            self._layers.show(key, full, values, place, look, kind="labels", above=above)

    def layers(self) -> list[Layer]:
        """Give the layers that are in the viewer now."""
        return list(self._layers.present().values())

    def show_channel(self, index: int) -> None:
        """Let the mistakes of a channel be seen in place of the others, where any are seen."""
        present = self._layers.present()
        if any(layer.visible for layer in present.values()):
            for key, layer in present.items():
                if layer.visible != (key == str(index)):
                    layer.visible = not layer.visible

    def clear(self) -> None:
        """Remove the layers."""
        self._layers.keep_only([])


class MistakesLegend(QWidget):
    """Says what the colours of the mistakes mean, and how many voxels there are of each."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        layout = QGridLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setHorizontalSpacing(6)
        self._rows: list[tuple[QLabel, QLabel, QLabel]] = []
        for row, (name, colour, meaning) in enumerate(
            zip(MISTAKES.values(), COLOURS, MEANINGS, strict=True)
        ):
            swatch, text, count = QLabel(), QLabel(name.capitalize()), QLabel()
            picture = QPixmap(QSize(SWATCH, SWATCH))
            picture.fill(QColor(colour))
            swatch.setPixmap(picture)
            for column, label in enumerate((swatch, text, count)):
                label.setToolTip(meaning)
                layout.addWidget(label, row, column)
            count.setAlignment(Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter)
            self._rows.append((swatch, text, count))
        layout.setColumnStretch(1, 1)

    def show_counts(self, labelling: Labelling, voxels: Sequence[int]) -> None:
        """Show what can be wrong, and how many voxels are.

        Parameters
        ----------
        labelling
            What the labels say.
        voxels
            For each of `MISTAKES`.
        """
        of_classes = labelling is Labelling.CLASSES
        for mistake, labels, number in zip(MISTAKES, self._rows, voxels, strict=True):
            for label in labels:
                label.setVisible((mistake == WRONG_CLASS) == of_classes)
            labels[-1].setText("1 voxel" if number == 1 else f"{number:,} voxels")

    def texts(self) -> dict[str, str]:
        """Give what is shown, by the mistake."""
        return {text.text(): count.text() for _, text, count in self._rows if not text.isHidden()}


def _colormap() -> CyclicLabelColormap:
    # A cycle of just these colours: napari would first compile code for a table of them.
    colours = [NOTHING, *(QColor(one).getRgbF() for one in COLOURS)]
    return CyclicLabelColormap(colors=colours, name=KIND)
