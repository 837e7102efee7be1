"""Layers of what fills, or lies on a disk: read in the background, and drawn again now and then."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from time import perf_counter

import napari
from napari.layers import Layer
from qtpy.QtCore import QObject, QTimer

from napari_dacapo_tasks.widgets.lazy_image import LazyImage
from napari_dacapo_tasks.widgets.workers import Job

LOOK_MILLISECONDS = 100
"""From one look at what has been read to the next."""

REFRESH_SECONDS = 0.25
"""Least time from one drawing of what fills to the next."""

SHARE_OF_MAIN_THREAD = 0.05
"""Drawing what fills takes no more of the main thread than this.

In 3D the graphics card gets the whole volume again, so until it is painted counts as well: the
larger a volume is, the less often it is drawn."""


class LiveLayers(QObject):
    """Reads what layers want to show of an image on disk, and draws them again when there is more.

    Parameters
    ----------
    viewer
        Where they are shown.
    layers
        Gives those that there are.
    parent
        Owner.
    """

    def __init__(
        self, viewer: napari.Viewer, layers: Callable[[], Iterable[Layer]], parent: QObject
    ) -> None:
        super().__init__(parent)
        self._viewer, self._layers = viewer, layers
        self._image: LazyImage | None = None
        self._dirty, self._grows = False, True
        self._begun = self._drawn = 0.0
        self._costs = {2: 0.0, 3: 0.0}  # by number of axes that are displayed
        self._reader = Job(self)
        # What cannot be read stays coarse: the work itself says what is wrong with the disk.
        self._reader.failed.connect(lambda _: self.forget())
        self._timer = QTimer(self)
        self._timer.setInterval(LOOK_MILLISECONDS)
        self._timer.timeout.connect(self._look)
        self._painted = QTimer(self)
        self._painted.setSingleShot(True)
        self._painted.timeout.connect(self._note_cost)

    @property
    def image(self) -> LazyImage | None:
        """What is read; None for values in memory."""
        return self._image

    def begin(self, image: LazyImage | None = None, *, grows: bool = True) -> None:
        """Keep the layers up to date from now on.

        Parameters
        ----------
        image
            What they show; None for values in memory, of which `touch` tells that there are others.
        grows
            Whether more will come, until `finish`.
        """
        if image is not self._image:
            self.forget()
        self._image, self._dirty, self._grows = image, False, grows
        self._timer.start()

    def touch(self) -> None:
        """Take note that there is more to show; it is drawn soon."""
        self._dirty = True

    def finish(self) -> None:
        """Take note that nothing more comes, and draw what there is."""
        self._grows = False
        self._draw(thumbnails=True)
        if self._image is None:
            self._timer.stop()

    def forget(self) -> None:
        """Read nothing any more, and draw nothing again."""
        self._timer.stop()
        if self._image is not None:
            self._image.close()
        self._image = None

    def end(self) -> None:
        """Read nothing any more, and wait until that is so."""
        self.forget()
        self._reader.end()

    def _look(self) -> None:
        """Read and draw, where there is something to."""
        image, waits = self._image, self._grows
        if image is not None:
            self._dirty = image.take_changed() or self._dirty
            if image.has_work and not self._reader.running:
                self._reader.start(image.work)
            waits |= self._reader.running
        cost = self._costs[self._viewer.dims.ndisplay]
        # Once all is read, it is soon seen.
        wait = max(REFRESH_SECONDS, cost / SHARE_OF_MAIN_THREAD if waits else 0)
        if self._dirty and not self._painted.isActive() and perf_counter() - self._drawn > wait:
            self._draw(thumbnails=not waits)

    def _draw(self, *, thumbnails: bool) -> None:
        self._dirty, self._begun = False, perf_counter()
        for layer in self._layers():
            if layer.visible:
                if layer.ndim == 2 and layer.multiscale:
                    # napari keeps the coarsest level of flat images.
                    layer._reset_thumbnail_level_data()
                layer.refresh(extent=False, highlight=False, thumbnail=thumbnails)
        self._note_cost()
        if self._viewer.dims.ndisplay == 3:
            self._painted.start()  # comes after the canvas has been painted

    def _note_cost(self) -> None:
        self._drawn = perf_counter()
        self._costs[self._viewer.dims.ndisplay] = self._drawn - self._begun
