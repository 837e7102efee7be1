"""The box around the view, which does not move with every step."""

from __future__ import annotations

import napari
from funlib.geometry import Roi
from napari.layers import Layer

from napari_dacapo_tasks.arrays import Array
from napari_dacapo_tasks.widgets.view_place import box_around_view

STAY = 1 / 8
"""A box stays until the view's middle has gone farther than this share of its side."""


def box_near_view(
    viewer: napari.Viewer, array: Array, layer: Layer, size: int, before: Roi | None
) -> Roi:
    """Give the box to preview, in steps of the array's grid.

    Parameters
    ----------
    viewer, array, layer, size
        As in `box_around_view`.
    before
        The box so far: it stays while the view is near its middle.
    """
    box = box_around_view(viewer, array, layer, size)
    if before is None or before.shape != box.shape:
        return box
    for axis in range(array.dims):
        strayed = abs(box.begin[axis] - before.begin[axis])
        if strayed > STAY * size * array.voxel_size[axis]:
            return box
        # At the border a box cannot follow the view, which may go on, out of the box before.
        for new, old, edge in (
            (box.begin, before.begin, array.roi.begin),
            (box.end, before.end, array.roi.end),
        ):
            if (new[axis] == edge[axis]) != (old[axis] == edge[axis]):
                return box
    return before
