"""Arrays in memory."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Self

import numpy as np
from funlib.geometry import Coordinate, Roi
from numpy.typing import NDArray

from napari_dacapo_tasks.arrays.array import CHANNEL, Array
from napari_dacapo_tasks.units import NANOMETRE, WorldUnit


class NumpyArray(Array):
    """An array in memory; regions of it can be written."""

    data: NDArray[Any]

    @classmethod
    def from_np_array(
        cls,
        array: NDArray[Any],
        roi: Roi,
        voxel_size: Coordinate,
        axes: Sequence[str],
        unit: WorldUnit = NANOMETRE,
    ) -> Self:
        """Give a NumPy array its place in the world.

        Parameters
        ----------
        array
            Values, of the shape ``roi.shape / voxel_size``, with channels where ``axes`` says.
        roi, voxel_size
            In grid steps of ``unit``.
        axes
            A name for each axis.
        """
        placed = cls(array, axes=axes, voxel_size=voxel_size, offset=roi.offset, unit=unit)
        assert placed.roi == roi, f"{array.shape} voxels of {voxel_size} do not fill {roi}"
        return placed

    @property
    def writable(self) -> bool:
        """Whether ``array[roi] = values`` is possible."""
        return bool(self.data.flags.writeable)

    def __setitem__(self, roi: Roi, values: NDArray[Any]) -> None:
        """Write a region; ``values`` has channels first where there are any."""
        values = np.asarray(values)
        if CHANNEL in self.data_axes and values.ndim == self.data.ndim:
            values = np.moveaxis(values, 0, self.data_axes.index(CHANNEL))
        self.data[self._slices(roi)] = values

    def crop(self, roi: Roi) -> NumpyArray:
        """Give a view of a region as an array of its own."""
        cropped = self[roi]
        return NumpyArray(
            cropped,
            axes=self.axes,
            voxel_size=self.voxel_size,
            offset=roi.offset,
            unit=self.unit,
            attrs=self.attrs,
        )
