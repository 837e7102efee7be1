"""The object that was chosen in the table of objects, as a layer."""

from __future__ import annotations

from collections.abc import Generator
from functools import partial
from typing import Any

import napari
import numpy as np
from funlib.geometry import Coordinate, Roi
from napari.utils.colormaps import CyclicLabelColormap
from numpy.typing import NDArray
from qtpy.QtCore import QObject
from qtpy.QtGui import QColor
from scipy import ndimage

from napari_dacapo_tasks.arrays import NumpyArray
from napari_dacapo_tasks.evaluation.objects import ObjectRow
from napari_dacapo_tasks.tasks.post_processors.post_processor import Labelling
from napari_dacapo_tasks.widgets.colormaps import NOTHING
from napari_dacapo_tasks.widgets.result_layers import ResultLayers
from napari_dacapo_tasks.widgets.score_work import Scored
from napari_dacapo_tasks.widgets.workers import Job

KIND = "chosen object"
KEY = "object"

COLOUR = "#009e73"
"""Bluish green, which is no colour of a mistake."""


class ChosenObject(QObject):
    """Shows the voxels at the border of an object: an outline in 2D, all that is seen in 3D."""

    def __init__(self, viewer: napari.Viewer, parent: QObject) -> None:
        super().__init__(parent)
        self._layers = ResultLayers(viewer, KIND)
        self._scored: Scored | None = None
        self._job = Job(self)
        self._job.returned.connect(self._on_found)
        # To see where an object is, is an aid: who cannot is told by what is scored next.
        self._job.failed.connect(lambda _: self.clear())

    @property
    def running(self) -> bool:
        """Whether an object is being looked up."""
        return self._job.running

    def show(self, scored: Scored, row: ObjectRow) -> None:
        """Show an object in place of the one before."""
        self._scored = scored
        self._job.start(partial(_found, scored, row))

    def clear(self) -> None:
        """Show none."""
        self._job.stop()
        self._layers.keep_only([])

    def end(self) -> None:
        """Leave what is going on and wait until that has cleaned up."""
        self._job.end()

    def _on_found(self, found: NumpyArray | None) -> None:
        if found is None or self._scored is None:
            self._layers.keep_only([])
            return
        place = self._scored.request.anchor.place(found).layer_options()
        colours = [NOTHING, QColor(COLOUR).getRgbF()]
        look = {
            "colormap": CyclicLabelColormap(colors=colours, name=KIND),
            "opacity": 1.0,
            "blending": "translucent_no_depth",  # seen through what lies in front of it
        }
        layer = self._layers.show(KEY, KIND, found.data, place, look, kind="labels")
        layer.visible = True


def _found(scored: Scored, row: ObjectRow) -> Generator[None, None, NumpyArray | None]:
    """Cut the border of an object out; None where that is on another grid than the mistakes."""
    yield None
    grid = scored.evaluation.mistakes
    begin, end = (Coordinate(round(at * grid.unit.steps) for at in corner) for corner in row.box)
    roi = Roi(begin, end - begin).intersect(grid.roi)
    shape = tuple(roi.shape / grid.voxel_size)
    channel = list(scored.evaluation.scores).index(row.channel)
    values = _values(scored, row, roi, channel)
    if values is None or values.shape != shape:
        return None
    foreground = scored.evaluation.labelling is Labelling.FOREGROUND
    where: NDArray[np.bool_] = values != 0 if foreground else values == row.id
    yield None
    if foreground or not row.of_segment:
        # An object of the truth is as much of an id as hangs together.
        parts, _ = ndimage.label(where)
        first = (roi.begin - grid.roi.begin) / grid.voxel_size
        where = parts == parts[tuple(Coordinate(row.voxel) - first)]
    yield None
    # napari's own contours would be drawn anew with each step, and not in 3D.
    where &= ~ndimage.binary_erosion(where)
    space = grid.axes[1:]
    return NumpyArray.from_np_array(where.astype(np.uint8), roi, grid.voxel_size, space, grid.unit)


def _values(scored: Scored, row: ObjectRow, roi: Roi, channel: int) -> NDArray[Any] | None:
    """Read the labels of the side that an object is of."""
    request, grid = scored.request, scored.evaluation.mistakes
    array = request.segmentation if row.of_segment else request.truth.labels
    if array.unit != grid.unit or array.voxel_size != grid.voxel_size:
        return None
    if row.of_segment:
        return request.read(channel, roi)
    return np.asarray(request.truth.read(roi)[0].data[channel])
