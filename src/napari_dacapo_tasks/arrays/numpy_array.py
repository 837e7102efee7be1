"""Arrays in memory."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Self

import numpy as np
from funlib.geometry import Coordinate, Roi
from numpy.typing import NDArray

from napari_dacapo_tasks.arrays.array import CHANNEL, Array
from napari_dacapo_tasks.errors import DataError
from napari_dacapo_tasks.units import NANOMETRE, WorldUnit

SPACE = ("z", "y", "x")
"""Names of spatial axes, of which an image has the last two."""


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

    @classmethod
    def from_gp_array(cls, array: Any, unit: WorldUnit = NANOMETRE) -> Self:
        """Take an array of gunpowder; its values are not copied.

        Parameters
        ----------
        array
            Anything with gunpowder's ``data`` and ``spec``. Of the axes of ``data``, the last are
            those of ``spec.roi``; one in front of them are channels, and one in front of those is
            a batch of one, which is dropped.
        unit
            Of the grid that ``spec.roi`` and ``spec.voxel_size`` count in; gunpowder does not say.

        Returns
        -------
        NumpyArray
            With the ``attrs`` of ``array``, and ``spec.interpolatable`` among them.

        Raises
        ------
        DataError
            Where the specification gives no place in the world, or one that the data does not
            fill, or there are several crops in the batch.
        """
        spec = array.spec
        begin, shape, size = _place_of(spec)
        data = np.asarray(array.data)
        in_front = data.ndim - len(shape)
        if in_front == 2 and len(data) == 1:
            data, in_front = data[0], 1
        if in_front not in (0, 1):
            raise DataError(
                f"gunpowder's array has the shape {np.shape(array.data)} over a roi of "
                f"{len(shape)} axes: in front of those only channels are understood, and a batch "
                "of one before them; take one crop of the batch."
            )
        voxels = shape / size
        if data.shape[in_front:] != tuple(voxels):
            raise DataError(
                f"gunpowder's array has {data.shape[in_front:]} voxels, but its specification "
                f"{tuple(voxels)} ({tuple(shape)} world units of {tuple(size)}): one of the two is "
                "of something else."
            )
        axes = [CHANNEL] * in_front + list(SPACE[-len(shape) :])
        attrs = {**(getattr(array, "attrs", None) or {}), "interpolatable": spec.interpolatable}
        return cls(data, axes=axes, voxel_size=size, offset=begin, unit=unit, attrs=attrs)

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


def _place_of(spec: Any) -> tuple[Coordinate, Coordinate, Coordinate]:
    """Give begin, shape and voxel size of a specification of gunpowder, whole and known."""
    roi, voxel_size = spec.roi, spec.voxel_size
    if spec.nonspatial or roi is None or voxel_size is None:
        raise DataError(
            "gunpowder's array has no place in the world: its specification needs a roi and a "
            "voxel size."
        )
    begin, shape, size = Coordinate(roi.begin), Coordinate(roi.shape), Coordinate(voxel_size)
    if not 1 <= len(shape) <= len(SPACE) or len(size) != len(shape):
        raise DataError(
            f"gunpowder's array has a roi of {len(shape)} axes and a voxel size of {len(size)}: "
            f"both need the same number, at most {len(SPACE)}."
        )
    if None in (*begin, *shape):
        raise DataError(
            f"gunpowder's array has the unbounded roi {roi}: choose a region of it first."
        )
    if any(length % step for length, step in zip((*begin, *shape), (*size, *size), strict=True)):
        raise DataError(
            f"gunpowder's array has the roi {roi}, which is no multiple of its voxel size "
            f"{tuple(size)}: snap it to the voxels first."
        )
    return begin, shape, size
