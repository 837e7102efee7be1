"""Targets that are made once for all crops, however these are turned."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import product
from math import ceil, prod
from threading import Lock
from typing import Any

import numpy as np
from funlib.geometry import Coordinate, Roi
from numpy.typing import NDArray

from napari_dacapo_tasks.arrays import GroundTruth, NumpyArray
from napari_dacapo_tasks.numerics.symmetries import Symmetry
from napari_dacapo_tasks.tasks.predictors.predictor import Predictor

MOST_AT_ONCE = 256 * 2**20
"""Bytes of a target up to which it is made as a whole, as the preview makes it."""

MOST_KEPT = 3 * 2**30
"""Bytes of the targets of all volumes that are kept; what is more is made anew for each crop."""

EDGE = 128
"""Voxels along each axis of the pieces in which a larger target is made."""

BYTES = 4
"""Of a voxel in a channel."""


class TargetCache:
    """The lasting part of a target, made when it is first wanted; for any number of threads.

    Parameters
    ----------
    ground_truth
        What targets are made of.
    predictor
        Makes them, and says what of them lasts.
    region
        All that crops can cover.
    spots
        Where crops lie, if not all over the region: each touches at least one of these.
    reach
        How far crops extend around their spot; of spots only.
    at_once
        Bytes, as `MOST_AT_ONCE`.
    kept
        Bytes of this target up to which it is kept.

    Attributes
    ----------
    lasts
        Whether anything is kept; else `read` gives None.
    size
        Bytes that it takes when all of it is made.
    """

    def __init__(
        self,
        ground_truth: GroundTruth,
        predictor: Predictor[Any],
        region: Roi,
        spots: Sequence[Roi] | None = None,
        reach: Coordinate | None = None,
        *,
        at_once: int = MOST_AT_ONCE,
        kept: int = MOST_KEPT,
    ) -> None:
        self._ground_truth = ground_truth
        self._predictor = predictor
        self._region = region
        voxel_size = ground_truth.labels.voxel_size
        shape = region.shape / voxel_size
        per_voxel = BYTES * predictor.lasting_channels
        whole = per_voxel * prod(shape) <= at_once
        self._edge = Coordinate(shape if whole else (min(EDGE, n) for n in shape)) * voxel_size
        self._counts = [ceil(n / e) for n, e in zip(region.shape, self._edge, strict=True)]
        most = prod(self._counts)
        if not whole and spots is not None and reach is not None:
            most = len({at for spot in spots for at in self._touched(spot.grow(reach, reach))})
        size = most * per_voxel * prod(self._edge / voxel_size)
        self.lasts = 0 < size <= kept
        self.size = size if self.lasts else 0
        self._lock = Lock()
        self._pieces: dict[tuple[int, ...], _Piece] = {}

    def read(self, roi: Roi) -> NumpyArray | None:
        """Give the lasting part of a target in a region, None where nothing is kept.

        It is not to be written to. Threads that want what another one is making wait for it.
        """
        if not self.lasts:
            return None
        touched = list(self._touched(roi))
        if len(touched) == 1:
            return self._piece(touched[0]).crop(roi)
        values: NDArray[np.float32] | None = None
        for at in touched:
            piece = self._piece(at)
            if values is None:
                shape = roi.shape / piece.voxel_size
                values = np.empty((len(piece.data), *shape), np.float32)
                made = NumpyArray.from_np_array(
                    values, roi, piece.voxel_size, piece.axes, piece.unit
                )
            shared = roi.intersect(piece.roi)
            made[shared] = piece[shared]
        return made

    def _touched(self, roi: Roi) -> list[tuple[int, ...]]:
        """Give the numbers of the pieces of which a part of the region is made."""
        roi = roi.intersect(self._region)
        first = (roi.begin - self._region.begin) // self._edge
        last = (roi.end - self._region.begin - 1) // self._edge
        return list(product(*(range(a, b + 1) for a, b in zip(first, last, strict=True))))

    def _piece(self, at: tuple[int, ...]) -> NumpyArray:
        with self._lock:
            piece = self._pieces.setdefault(at, _Piece())
        with piece.lock:  # of this piece only: others can be made meanwhile
            if piece.target is None:
                piece.target = self._made(at)
            return piece.target

    def _made(self, at: tuple[int, ...]) -> NumpyArray:
        labels = self._ground_truth.labels
        begin = self._region.begin + Coordinate(at) * self._edge
        roi = Roi(begin, self._edge).intersect(self._region)
        context = self._predictor.padding(labels.voxel_size)
        gt, _ = self._ground_truth.read(roi.grow(context, context).intersect(labels.roi))
        target = self._predictor.lasting_target(gt)
        if target.roi == roi:
            return target
        kept = target.crop(roi)
        return NumpyArray.from_np_array(  # without what is around it
            kept.data.copy(), roi, kept.voxel_size, kept.axes, kept.unit
        )


class _Piece:
    """A part of a target, None until it is made."""

    def __init__(self) -> None:
        self.lock = Lock()
        self.target: NumpyArray | None = None


def turned(array: NumpyArray, symmetry: Symmetry, around: Roi) -> NumpyArray:
    """Turn an array about a region that thereby comes to lie on itself, as a view.

    Only axes along which the region is as long as along each other, and voxels too, may be
    exchanged.
    """
    if symmetry.changes_nothing:
        return array
    before = around.begin - array.roi.begin
    after = array.roi.end - around.end
    ends = [
        (after[axis], before[axis]) if back else (before[axis], after[axis])
        for axis, back in zip(symmetry.order, symmetry.mirrored, strict=True)
    ]
    lower, upper = (Coordinate(side) for side in zip(*ends, strict=True))
    return NumpyArray.from_np_array(
        symmetry.apply(array.data),
        around.grow(lower, upper),
        array.voxel_size,
        array.axes,
        array.unit,
    )
