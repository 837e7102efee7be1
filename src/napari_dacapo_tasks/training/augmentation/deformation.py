"""Crops that are rotated, scaled and bent, by one resampling for raw and labels together."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil, floor
from typing import Any

import numpy as np
import torch
from funlib.geometry import Coordinate, Roi
from numpy.typing import NDArray

from napari_dacapo_tasks.arrays import NumpyArray
from napari_dacapo_tasks.numerics.resampling import interpolated
from napari_dacapo_tasks.training.augmentation.bending import Bending

SLACK = 1e-3
"""Voxels that rounding may reach beyond what is needed."""

Table = NDArray[np.float64]


@dataclass(frozen=True)
class Slip:
    """All sections from one on lie beside their place.

    Attributes
    ----------
    start
        Where they begin, from the middle of the crop.
    move
        How far beside it, per axis; it replaces that of the slip before.
    """

    start: float
    move: tuple[float, ...]


@dataclass(frozen=True)
class Deformation:
    """A way to resample a crop; all lengths in grid steps, from the middle of the crop.

    What is found at ``p`` of the result was at ``matrix @ (p + bending(p) + slip(p))``.

    Attributes
    ----------
    matrix
        Rotation and scaling.
    bending
        None for none.
    section_axis
        Along which sections follow each other.
    slips
        In the order of their starts.
    """

    matrix: tuple[tuple[float, ...], ...]
    bending: Bending | None = None
    section_axis: int = 0
    slips: tuple[Slip, ...] = ()

    def source(self, roi: Roi, about: Roi, voxel_size: Coordinate) -> Roi:
        """Tell what a result is made of; see `Augmenter.source`."""
        return Places(self, roi, about, voxel_size).bounds()

    def slipped(self, places: Table) -> Table:
        """Give the move of each place along the section axis, as ``(axes, places)``."""
        moves = np.zeros((len(self.matrix), len(places)))
        for slip in self.slips:
            moves[:, places >= slip.start] = np.array(slip.move)[:, None]
        return moves


def deformed_raw(
    deformation: Deformation, raw: NumpyArray, roi: Roi, about: Roi, device: str = "cpu"
) -> NumpyArray:
    """Resample raw data linearly; see `Augmenter.deform_raw`."""
    places = Places(deformation, roi, about, raw.voxel_size)
    source = places.bounds()
    values = _extended(raw, source, mode="reflect")
    found = interpolate(values, places, source, torch.device(device))
    return _placed(found, raw, roi)


def deformed_labels(
    deformation: Deformation,
    arrays: Sequence[NumpyArray],
    roi: Roi,
    about: Roi,
    device: str = "cpu",
) -> list[NumpyArray]:
    """Resample ids and masks to the nearest voxel; see `Augmenter.deform_labels`.

    Ids are picked by their index and never become floats, which end at 2^24.
    """
    places = Places(deformation, roi, about, arrays[0].voxel_size)
    source = places.bounds()
    shape = tuple(source.shape / places.voxel_size)
    on = torch.device(device)
    grid = places.grid(source, on, [1.0] * len(shape), [0.0] * len(shape))
    fits = torch.int32 if np.prod(shape, dtype=float) < 2**31 else torch.int64
    nearest = grid.round_().to(fits)
    index = nearest[0]
    for axis in range(1, len(shape)):
        index = index.mul_(shape[axis]).add_(nearest[axis])
    results = []
    for array in arrays:
        values = _extended(array, source, mode="constant")
        plain = np.ascontiguousarray(values).view(f"i{values.dtype.itemsize}")
        channels = plain.reshape(-1, int(np.prod(shape)))
        chosen = np.empty((len(channels), index.numel()), plain.dtype)
        for channel, into in zip(channels, chosen, strict=True):
            picked = torch.from_numpy(channel).to(on).index_select(0, index.view(-1))
            into[:] = picked.cpu().numpy()
        result_shape = (*values.shape[: values.ndim - len(shape)], *index.shape)
        results.append(_placed(chosen.view(values.dtype).reshape(result_shape), array, roi))
    return results


class Places:
    """Where the voxels of a result are read."""

    def __init__(
        self, deformation: Deformation, roi: Roi, about: Roi, voxel_size: Coordinate
    ) -> None:
        self.deformation = deformation
        self.voxel_size = voxel_size
        self._roi = roi
        self._matrix = np.array(deformation.matrix)
        self._middle = np.array(about.begin) + np.array(about.shape) / 2
        # Middles of the result's voxels along each axis, from the middle of the crop.
        self._axes = [
            begin - middle + (np.arange(length // size) + 0.5) * size
            for begin, middle, length, size in zip(
                roi.begin, self._middle, roi.shape, voxel_size, strict=True
            )
        ]
        self._slips = deformation.slipped(self._axes[deformation.section_axis])

    def bounds(self) -> Roi:
        """Give the least whole voxels that hold all that is read."""
        slips = self._matrix @ self._slips
        low, high = slips.min(1) + self._middle, slips.max(1) + self._middle
        bending = self.deformation.bending
        if bending is None:
            # A box stays one under a matrix, with its corners where the corners go.
            corners = [axis[[0, -1]] for axis in self._axes]
            places = self._turned(corners)
        else:
            coarse = [bending.coarse(axis[0], axis[-1]) for axis in self._axes]
            bent = bending.spread_out(coarse, self._matrix, torch.device("cpu"))
            places = self._turned(coarse) + bent.numpy()
            between = np.abs(self._matrix) @ bending.between()
            low, high = low - between, high + between
        flat = places.reshape(len(places), -1)
        low, high = low + flat.min(1), high + flat.max(1)
        size, begin = np.array(self.voxel_size), np.array(self._roi.begin)
        first = (low - begin) / size - 0.5
        last = (high - begin) / size - 0.5
        indices = [
            (floor(one + SLACK), ceil(other - SLACK))
            for one, other in zip(first, last, strict=True)
        ]
        corner = Coordinate(one for one, _ in indices)
        shape = Coordinate(other - one + 1 for one, other in indices)
        return Roi(self._roi.begin + corner * self.voxel_size, shape * self.voxel_size)

    def _turned(self, axes: Sequence[Table]) -> Table:
        """Give where the matrix takes all places of a grid, ``(axes, z, y, x)``."""
        places = np.stack(np.meshgrid(*axes, indexing="ij"))
        return np.asarray(np.einsum("ab,b...->a...", self._matrix, places))

    def grid(
        self,
        source: Roi,
        device: torch.device,
        scale: Sequence[float],
        shift: Sequence[float],
        *,
        x_first: bool = False,
    ) -> torch.Tensor:
        """Give for each voxel of the result where it is read, ``(axes, z, y, x)``, in float32.

        Parameters
        ----------
        source
            Places are counted in its voxels; 0 is the middle of the first one.
        scale, shift
            What these are multiplied by, and what is added to that, per axis.
        x_first
            Whether coordinates come as x, y, z.
        """
        dims = len(self._axes)
        factors = np.array(scale) / np.array(self.voxel_size)
        origin = (self._middle - np.array(source.begin)) * factors - 0.5 * np.array(scale)
        matrix = self._matrix * factors[:, None]
        begin = origin + np.array(shift)
        if x_first:
            matrix, begin = matrix[::-1], begin[::-1]
        parts = [matrix[:, [axis]] * self._axes[axis] for axis in range(dims)]
        parts[self.deformation.section_axis] += matrix @ self._slips
        parts[-1] += begin[:, None]
        bending = self.deformation.bending
        if bending is None:
            lengths = [len(axis) for axis in self._axes]
            places = torch.zeros((dims, *lengths), dtype=torch.float32, device=device)
        else:
            places = bending.spread_out(self._axes, matrix, device)
        # The two last axes together first: one pass over all of it less.
        plane = _along(parts[-1], -1, dims, device)
        if dims > 2:
            plane = plane + _along(parts[-2], -2, dims, device)
        places += plane
        for axis in range(dims - 2 if dims > 2 else dims - 1):
            places += _along(parts[axis], axis - dims, dims, device)
        return places


def interpolate(
    values: NDArray[np.float32], places: Places, source: Roi, device: torch.device
) -> NDArray[np.float32]:
    """Read the values of a region ``source`` at all places, linearly between voxels."""
    shape = values.shape[1:]
    if device.type == "cpu":
        grid = places.grid(source, device, [1.0] * len(shape), [0.0] * len(shape))
        return interpolated(values, grid.numpy())
    return sampled(values, places, source, device)


def sampled(
    values: NDArray[np.float32], places: Places, source: Roi, device: torch.device
) -> NDArray[np.float32]:
    """Do the same with PyTorch on its device."""
    shape = values.shape[1:]
    # From voxels to what grid_sample counts in: -1 and 1 are the first and the last one.
    scale = [2 / max(length - 1, 1) for length in shape]
    shift = [-1.0 if length > 1 else 0.0 for length in shape]
    # grid_sample wants x first, and reads the axes of a grid in any order of memory.
    points = places.grid(source, device, scale, shift, x_first=True).movedim(0, -1)[None]
    image = torch.from_numpy(values).to(device)[None]
    # Nothing lies outside of the source: "border" is only the fastest of its ways.
    found = torch.nn.functional.grid_sample(
        image, points, mode="bilinear", padding_mode="border", align_corners=True
    )
    result: NDArray[np.float32] = found[0].cpu().numpy()
    return result


def _along(values: Table, axis: int, dims: int, device: torch.device) -> torch.Tensor:
    """Lay ``(axes, n)`` along one axis of ``(axes, z, y, x)``."""
    shape = [values.shape[0]] + [1] * dims
    shape[axis] = values.shape[1]
    return torch.as_tensor(values, dtype=torch.float32, device=device).view(shape)


def _extended(array: NumpyArray, source: Roi, mode: Any) -> NDArray[Any]:
    """Give the values of a region, of which only a part may be there; writable for torch."""
    there = source.intersect(array.roi)
    assert not there.empty, f"{array.roi} holds nothing of {source}"
    values = array[there]
    if there != source:
        size = array.voxel_size
        before, after = (there.begin - source.begin) / size, (source.end - there.end) / size
        channels = [(0, 0)] * (values.ndim - len(size))
        values = np.pad(values, channels + list(zip(before, after, strict=True)), mode=mode)
    return values if values.flags.writeable else values.copy()


def _placed(values: NDArray[Any], like: NumpyArray, roi: Roi) -> NumpyArray:
    return NumpyArray.from_np_array(values, roi, like.voxel_size, like.axes, like.unit)
