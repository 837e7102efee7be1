"""A prediction as layers, which fill while it is made."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from time import perf_counter
from typing import Any

import napari
import numpy as np
from funlib.geometry import Roi
from napari.layers import Layer
from qtpy.QtCore import QObject, QTimer

from napari_dacapo_tasks.arrays import Array
from napari_dacapo_tasks.arrays.array import Sliceable
from napari_dacapo_tasks.widgets.channel_layers import ChannelLayers
from napari_dacapo_tasks.widgets.colormaps import target_look
from napari_dacapo_tasks.widgets.layer_parts import Part
from napari_dacapo_tasks.widgets.lazy_image import LazyImage
from napari_dacapo_tasks.widgets.lazy_levels import LazyData
from napari_dacapo_tasks.widgets.pictures import FULL_RANGE, Picture
from napari_dacapo_tasks.widgets.predict_work import SeenPrediction
from napari_dacapo_tasks.widgets.result_layers import Anchor
from napari_dacapo_tasks.widgets.workers import Job

PREDICTION = "prediction"

LOOK_MILLISECONDS = 100
"""From one look at what has been read to the next."""

REFRESH_SECONDS = 0.25
"""Least time from one drawing of what fills to the next."""

SHARE_OF_MAIN_THREAD = 0.05
"""Drawing what fills takes no more of the main thread than this."""

LIVE_VOXELS_3D = 96**3
"""In 3D the graphics card gets the whole volume again; larger ones are drawn anew at the end."""


@dataclass(frozen=True)
class _LazyPart(Part):
    """A prediction on disk."""

    def channel(self, index: int) -> Any:
        """Give the values of one channel."""
        return self.array.data.channel(index)  # type: ignore[attr-defined]


class PredictionLayers(ChannelLayers):
    """The latest prediction: every channel, and pictures of several.

    One in memory is shown as it is. One on disk is shown through a `LazyImage`, so that neither
    drawing nor scrolling waits for the disk. Either fills while the prediction is made: layers are
    drawn again now and then, which takes little of the main thread.
    """

    def __init__(self, viewer: napari.Viewer, parent: QObject) -> None:
        super().__init__(viewer, "predicted", parent=parent)
        self._shows: SeenPrediction | None = None
        self._anchor: Anchor | None = None
        self._image: LazyImage | None = None
        self._array: Array | None = None
        self._dirty = False
        self._drawn = 0.0
        self._cost = 0.0
        self._reader = Job(self)
        self._reader.failed.connect(self._on_unreadable)
        self._timer = QTimer(self)
        self._timer.setInterval(LOOK_MILLISECONDS)
        self._timer.timeout.connect(self._look)

    @property
    def image(self) -> LazyImage | None:
        """What a prediction on disk is shown through."""
        return self._image

    def present(self) -> list[Layer]:
        """Give the layers that are in the viewer now, the lowest first."""
        return [layer for _, layer in self._present()]

    def open(self, seen: SeenPrediction, anchor: Anchor) -> None:
        """Show a prediction, of which there may be nothing yet.

        Parameters
        ----------
        seen
            What to show.
        anchor
            Gives the place.
        """
        self._forget_image()
        self._shows, self._anchor = seen, anchor
        self._array = seen.array
        if isinstance(seen.array.data, np.ndarray):
            part = self._part(Part, seen.array, seen.pictures)
        else:
            self._image = LazyImage([_channels_first(seen.array)], 1)
            part = self._lazy_part(seen, self._image)
        self.show_parts([part], seen.channels, anchor)
        self._timer.start()

    def fill(self, roi: Roi) -> None:
        """Take note that a region is predicted; it is drawn soon."""
        if self._image is not None and self._array is not None:
            self._image.fill(_bounds(self._array, roi))
        else:
            self._dirty = True

    def fill_all(self) -> None:
        """Take note that there is all of it, as in an image that was opened."""
        if self._image is not None:
            self._image.fill_all()

    def finish(self, levels: Sequence[Sliceable] = ()) -> None:
        """Draw all that there is, now that nothing more comes.

        Parameters
        ----------
        levels
            Of an image on disk, with the coarser ones that it has now, channels first.
        """
        if self._image is not None and len(levels) > 1:
            self._image.set_levels(levels)
            assert self._shows is not None
            assert self._anchor is not None
            self.show_parts(
                [self._lazy_part(self._shows, self._image)],
                self._shows.channels,
                self._anchor,
            )
        self._draw(whole=True)
        if self._image is None:
            self._timer.stop()

    def reveal(self) -> None:
        """Move the sliders into the prediction where they miss it."""
        found = next((layer for _, layer in self._present()), None)
        if found is None:
            return
        dims = self._viewer.dims
        before = dims.ndim - found.ndim
        here = found.world_to_data(dims.point[before:])
        shape = found.level_shapes[0]
        middle = found.data_to_world([size // 2 for size in shape])
        for axis, size in enumerate(shape):
            inside = -0.5 <= here[axis] <= size - 0.5
            if not inside and before + axis not in dims.displayed:
                dims.set_point(before + axis, middle[axis])

    def end(self) -> None:
        """Read nothing any more."""
        self._timer.stop()
        self._forget_image()
        self._reader.end()

    def _forget_image(self) -> None:
        if self._image is not None:
            self._image.close()
        self._image = None

    def _part(self, kind: type[Part], array: Array, pictures: Sequence[Picture]) -> Part:
        seen = self._shows
        assert seen is not None
        return kind(PREDICTION, array, seen.channels, seen.ranges, target_look, pictures=pictures)

    def _lazy_part(self, seen: SeenPrediction, image: LazyImage) -> Part:
        data = LazyData(image)
        pictures = []
        for composite in seen.composites:
            first, last = composite.channels[0], composite.channels[-1]
            adjacent = composite.channels == tuple(range(first, last + 1))
            plain = all(seen.ranges[index] == FULL_RANGE for index in composite.channels)
            if adjacent and plain and len(composite.channels) == 3 and not composite.exclusive:
                colours: Any = data.colours(slice(first, last + 1))
                pictures.append(Picture(composite, colours))
        array = Array(
            data,
            axes=("c", *(axis for axis in seen.array.axes if axis != "c")),
            voxel_size=seen.array.voxel_size,
            offset=seen.array.roi.begin,
            unit=seen.array.unit,
        )
        return self._part(_LazyPart, array, pictures)

    def _look(self) -> None:
        """Read and draw, where there is something to."""
        image = self._image
        if image is not None:
            self._dirty = image.take_changed() or self._dirty
            if image.has_work and not self._reader.running:
                self._reader.start(image.work)
        wait = max(REFRESH_SECONDS, self._cost / SHARE_OF_MAIN_THREAD)
        if self._dirty and perf_counter() - self._drawn > wait:
            self._draw(whole=False)

    def _draw(self, whole: bool) -> None:
        """Draw the layers that are seen anew."""
        self._dirty = False
        begin = perf_counter()
        for _, layer in self._present():
            if layer.visible and (whole or self._is_cheap(layer)):
                if layer.ndim == 2 and layer.multiscale:
                    # napari keeps the coarsest level of flat images.
                    layer._reset_thumbnail_level_data()
                layer.refresh(extent=False, highlight=False, thumbnail=whole)
        self._drawn = perf_counter()
        self._cost = self._drawn - begin

    def _is_cheap(self, layer: Layer) -> bool:
        if self._viewer.dims.ndisplay == 2:
            return True
        shown = self._viewer.dims.ndisplay
        level = layer.level_shapes[-1]
        return int(np.prod([int(n) for n in level[-shown:]])) <= LIVE_VOXELS_3D

    def _on_unreadable(self, error: Exception) -> None:
        """What cannot be read stays coarse: the work itself says what is wrong with the disk."""
        self._forget_image()


def _bounds(array: Array, roi: Roi) -> tuple[tuple[int, int], ...]:
    """Give a region in voxels."""
    begin = (roi.begin - array.roi.begin) / array.voxel_size
    end = (roi.end - array.roi.begin) / array.voxel_size
    return tuple(
        (max(0, int(b)), min(int(e), n)) for b, e, n in zip(begin, end, array.shape, strict=True)
    )


def _channels_first(array: Array) -> Sliceable:
    assert array.data_axes[0] == "c", "predictions have their channels first"
    return array.data
