"""Which part of an image is predicted."""

from __future__ import annotations

from math import ceil, floor

import napari
import numpy as np
from funlib.geometry import Coordinate, Roi
from napari.layers import Layer, Shapes
from qtpy.QtCore import Signal
from qtpy.QtWidgets import QHBoxLayout, QLabel, QLineEdit, QSpinBox, QVBoxLayout, QWidget

from napari_dacapo_tasks.arrays import Array
from napari_dacapo_tasks.errors import DataError
from napari_dacapo_tasks.runs.data_config import parsed_block
from napari_dacapo_tasks.widgets.elided_combo import ElidedCombo
from napari_dacapo_tasks.widgets.image_panel import ImageSource
from napari_dacapo_tasks.widgets.layer_combo import LayerCombo
from napari_dacapo_tasks.widgets.layers import spatial_axes
from napari_dacapo_tasks.widgets.view_place import box_around_view

WHOLE, BOX, SHAPES, VOXELS = range(4)
TITLES = ("Whole image", "Box around the view", "Drawn in a shapes layer", "From voxel to voxel")

BOX_SIZES = {2: 1024, 3: 192}
"""Side of the box that is offered first, by number of axes."""

SMALLEST_BOX, LARGEST_BOX = 16, 8192


class RegionPanel(QWidget):
    """Chooses a region of an image.

    Signals
    -------
    changed()
        Another region is chosen. A box follows the view without it.
    """

    changed = Signal()

    def __init__(self, viewer: napari.Viewer, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._viewer = viewer
        self.kind_combo = ElidedCombo()
        self.kind_combo.addItems(TITLES)
        self.size_box = QSpinBox()
        self.size_box.setRange(SMALLEST_BOX, LARGEST_BOX)
        self.size_box.setSingleStep(SMALLEST_BOX)
        self.size_box.setValue(BOX_SIZES[3])
        self.size_box.setSuffix(" voxels")
        self.size_box.setKeyboardTracking(False)
        self.size_box.setToolTip("Side of the box")
        self.shapes_combo = LayerCombo(viewer, (Shapes,))
        self.shapes_combo.setPlaceholderText("draw a rectangle")
        self.shapes_combo.setToolTip(
            "What is selected in this layer, or all of it: from its first to its last voxel along "
            "the axes in which it was drawn"
        )
        self.depth_box = QSpinBox()
        self.depth_box.setRange(0, LARGEST_BOX)
        self.depth_box.setSpecialValueText("all sections")
        self.depth_box.setSuffix(" sections")
        self.depth_box.setKeyboardTracking(False)
        self.depth_box.setToolTip("How many sections around the one in which it was drawn")
        self.voxels_line = QLineEdit()
        self.voxels_line.setPlaceholderText("z0:z1,y0:y1,x0:x1, as in 0:64,:,:")
        self.voxels_line.setToolTip(
            "A range of voxels for each axis, from its first one to the one behind its last"
        )
        row = QHBoxLayout()
        row.addWidget(QLabel("Region"))
        row.addWidget(self.kind_combo, 1)
        drawn = QHBoxLayout()
        drawn.addWidget(self.size_box, 1)
        drawn.addWidget(self.shapes_combo, 1)
        drawn.addWidget(self.depth_box)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(4)
        layout.addLayout(row)
        layout.addLayout(drawn)
        layout.addWidget(self.voxels_line)
        self._show_parts()
        self.kind_combo.currentIndexChanged.connect(self._on_kind)
        self.size_box.valueChanged.connect(lambda _: self.changed.emit())
        self.depth_box.valueChanged.connect(lambda _: self.changed.emit())
        self.shapes_combo.layerChanged.connect(lambda _: self.changed.emit())
        self.voxels_line.editingFinished.connect(self.changed)

    @property
    def kind(self) -> int:
        """Which kind of region is chosen."""
        return int(self.kind_combo.currentIndex())

    def setDims(self, dims: int) -> None:
        """Suggest a size of the box for images of so many axes."""
        blocked = self.size_box.blockSignals(True)
        if self.size_box.value() in BOX_SIZES.values():
            self.size_box.setValue(BOX_SIZES.get(dims, BOX_SIZES[3]))
        self.size_box.blockSignals(blocked)
        self.depth_box.setEnabled(dims > 2)

    def roi(self, image: ImageSource) -> Roi | None:
        """Give the region as it is now, in grid steps of the image; None for all of it.

        Raises
        ------
        DataError
            Where there is none.
        """
        if self.kind == WHOLE:
            return None
        if self.kind == VOXELS:
            return region_of_text(self.voxels_line.text(), image.array)
        if image.layer is None:
            raise DataError(
                "The image is not shown, so a region cannot be chosen by looking or drawing: "
                "choose the whole image, or enter voxels."
            )
        if self.kind == BOX:
            size = self.size_box.value()
            return box_around_view(self._viewer, image.array, image.layer, size)
        shapes = self.shapes_combo.layer()
        if shapes is None:
            raise DataError("There is no shapes layer: add one, and draw a rectangle in it.")
        return region_of_shapes(
            self._viewer, shapes, image.array, image.layer, self.depth_box.value()
        )

    def _on_kind(self, _index: int) -> None:
        self._show_parts()
        self.changed.emit()

    def _show_parts(self) -> None:
        self.size_box.setVisible(self.kind == BOX)
        self.shapes_combo.setVisible(self.kind == SHAPES)
        self.depth_box.setVisible(self.kind == SHAPES)
        self.voxels_line.setVisible(self.kind == VOXELS)


def region_of_text(text: str, array: Array) -> Roi:
    """Read a region such as ``0:64,:,:`` of an array; DataError where it is none."""
    try:
        block = parsed_block(text)
    except ValueError as error:
        raise DataError(f"The region cannot be read: {error}") from None
    if len(block) != array.dims:
        raise DataError(
            f"The region {text} has {len(block)} ranges, but the image {array.dims} axes: write "
            "one for each."
        )
    ranges = [one.indices(n) for one, n in zip(block, array.shape, strict=True)]
    begin = Coordinate(start for start, _, _ in ranges)
    shape = Coordinate(max(0, stop - start) for start, stop, _ in ranges)
    if min(shape) == 0:
        raise DataError(
            f"The region {text} holds no voxel of an image of "
            f"{' x '.join(map(str, array.shape))}: give other ranges."
        )
    return Roi(array.roi.begin + begin * array.voxel_size, shape * array.voxel_size)


def region_of_shapes(
    viewer: napari.Viewer, shapes: Layer, array: Array, layer: Layer, depth: int = 0
) -> Roi:
    """Give the region around what is drawn.

    Parameters
    ----------
    viewer
        For the place of axes that the shapes do not have.
    shapes
        Of its shapes those that are selected count, or all of them.
    array, layer
        The image.
    depth
        Voxels along axes in which what is drawn is flat; 0 for all that there are.
    """
    drawn = [shapes.data[index] for index in sorted(shapes.selected_data)] or list(shapes.data)
    if not drawn:
        raise DataError(f"The layer '{shapes.name}' is empty: draw a rectangle in it.")
    known = min(shapes.ndim, layer.ndim)
    points = []
    for vertex in np.concatenate(drawn):
        world = np.asarray(viewer.dims.point[-layer.ndim :], float)
        world[layer.ndim - known :] = shapes.data_to_world(vertex)[-known:]
        points.append(np.asarray(layer.world_to_data(world)))
    space = spatial_axes(layer)
    low, high = np.min(points, axis=0)[space], np.max(points, axis=0)[space]
    begin, end = [], []
    for axis, n in enumerate(array.shape):
        first, last = floor(low[axis] + 0.5), ceil(high[axis] + 0.5)
        if space[axis] < layer.ndim - known or high[axis] - low[axis] < 1e-6:
            middle = round(float(low[axis]))
            first, last = middle - depth // 2, middle - depth // 2 + depth
            if depth == 0:
                first, last = 0, n
        begin.append(min(max(first, 0), n))
        end.append(min(max(last, 0), n))
    shape = Coordinate(end) - Coordinate(begin)
    if min(shape) <= 0:
        raise DataError(
            f"What is drawn in '{shapes.name}' lies outside of '{layer.name}': draw it on the "
            "image."
        )
    return Roi(array.roi.begin + Coordinate(begin) * array.voxel_size, shape * array.voxel_size)
