"""Labels on disk as layers that never wait for the disk."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from napari.layers import Layer
from qtpy.QtCore import QObject, QTimer

from napari_dacapo_tasks.arrays.array import Sliceable
from napari_dacapo_tasks.widgets.lazy_image import LazyImage
from napari_dacapo_tasks.widgets.lazy_levels import LazyData
from napari_dacapo_tasks.widgets.workers import Job

LOOK_MILLISECONDS = 150
"""From one look at what has been read to the next."""


class LazyLabels(QObject):
    """Reads what its layers want to show in the background, and draws them again then.

    Parameters
    ----------
    levels
        Of whole labels on disk ``(c, z, y, x)``, the finest first.
    layers
        Gives the layers that show them.
    parent
        Owner.
    """

    def __init__(
        self, levels: Sequence[Sliceable], layers: Callable[[], list[Layer]], parent: QObject
    ) -> None:
        super().__init__(parent)
        self._image = LazyImage(levels, 1)
        self._data = LazyData(self._image)
        self._layers = layers
        self._image.fill_all()
        self._reader = Job(self)
        # What cannot be read stays coarse: who works with the labels is told.
        self._reader.failed.connect(lambda _: self.close())
        self._timer = QTimer(self)
        self._timer.setInterval(LOOK_MILLISECONDS)
        self._timer.timeout.connect(self._look)
        self._timer.start()

    def channel(self, index: int) -> Any:
        """Give what the layer of a channel shows."""
        return self._data.channel(index)

    def close(self) -> None:
        """Read nothing any more."""
        self._timer.stop()
        self._image.close()
        self._reader.stop()

    def end(self) -> None:
        """Read nothing any more, and wait until that is so."""
        self.close()
        self._reader.end()

    def _look(self) -> None:
        if self._image.has_work and not self._reader.running:
            self._reader.start(self._image.work)
        if self._image.take_changed():
            for layer in self._layers():
                if layer.visible:
                    layer.refresh(extent=False, highlight=False, thumbnail=False)
