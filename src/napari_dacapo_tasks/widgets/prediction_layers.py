"""A prediction as layers, which fill while it is made."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import napari
import numpy as np
from funlib.geometry import Roi
from napari.layers import Layer
from qtpy.QtCore import QObject

from napari_dacapo_tasks.arrays import Array
from napari_dacapo_tasks.arrays.array import Sliceable
from napari_dacapo_tasks.widgets.channel_layers import ChannelLayers
from napari_dacapo_tasks.widgets.colormaps import target_look
from napari_dacapo_tasks.widgets.layer_parts import Part
from napari_dacapo_tasks.widgets.lazy_image import LazyImage, bounds_of
from napari_dacapo_tasks.widgets.lazy_levels import LazyData
from napari_dacapo_tasks.widgets.live_layers import LiveLayers
from napari_dacapo_tasks.widgets.pictures import FULL_RANGE, Picture
from napari_dacapo_tasks.widgets.predict_work import SeenPrediction
from napari_dacapo_tasks.widgets.result_layers import Anchor

PREDICTION = "prediction"


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
        self._live = LiveLayers(viewer, self.present, self)

    @property
    def image(self) -> LazyImage | None:
        """What a prediction on disk is shown through."""
        return self._live.image

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
        self._shows, self._anchor = seen, anchor
        if isinstance(seen.array.data, np.ndarray):
            image, part = None, self._part(Part, seen.array, seen.pictures)
        else:
            image = LazyImage([_channels_first(seen.array)], 1)
            part = self._lazy_part(seen, image)
        self.show_parts([part], seen.channels, anchor)
        self._live.begin(image)

    def fill(self, roi: Roi) -> None:
        """Take note that a region is predicted; it is drawn soon."""
        if self.image is not None and self._shows is not None:
            self.image.fill(bounds_of(self._shows.array, roi))
        else:
            self._live.touch()

    def fill_all(self) -> None:
        """Take note that there is all of it, as in an image that was opened."""
        if self.image is not None:
            self.image.fill_all()

    def finish(self, levels: Sequence[Sliceable] = ()) -> None:
        """Draw all that there is, now that nothing more comes.

        Parameters
        ----------
        levels
            Of an image on disk, with the coarser ones that it has now, channels first.
        """
        if self.image is not None and len(levels) > 1:
            self.image.set_levels(levels)
            assert self._shows is not None
            assert self._anchor is not None
            part = self._lazy_part(self._shows, self.image)
            self.show_parts([part], self._shows.channels, self._anchor)
        self._live.finish()

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
        """Read nothing any more, and wait until that is so."""
        self._live.end()

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


def _channels_first(array: Array) -> Sliceable:
    assert array.data_axes[0] == "c", "predictions have their channels first"
    return array.data
