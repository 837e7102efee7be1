"""Coarser levels of an image, and the metadata that names them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import product
from math import ceil, prod
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_dacapo_tasks.arrays.array import CHANNEL
from napari_dacapo_tasks.units import NANOMETRE

COARSEST = 256
"""Voxels along the longest axis below which there is no coarser level."""


@dataclass(frozen=True)
class Level:
    """A level of an image.

    Attributes
    ----------
    shape
        In voxels of this level.
    scale
        Voxels of the finest level in one of this, along each axis.
    factor
        Voxels of the next finer level in one of this, along each axis: 1 or 2.
    """

    shape: tuple[int, ...]
    scale: tuple[int, ...]
    factor: tuple[int, ...]


def levels_of(shape: Sequence[int], voxel_size: Sequence[int]) -> list[Level]:
    """Give the levels of an image, the finest first.

    Each halves those axes whose voxels are not already twice as long as the shortest, so that
    coarse voxels become as good as cubes.
    """
    one = (1,) * len(shape)
    levels = [Level(tuple(shape), one, one)]
    while max(levels[-1].shape) > COARSEST:
        last = levels[-1]
        sizes = [size * s for size, s in zip(voxel_size, last.scale, strict=True)]
        long = [size for size, n in zip(sizes, last.shape, strict=True) if n > 1]
        factor = tuple(
            2 if n > 1 and size < 2 * min(long) else 1
            for size, n in zip(sizes, last.shape, strict=True)
        )
        levels.append(
            Level(
                tuple(ceil(n / f) for n, f in zip(last.shape, factor, strict=True)),
                tuple(s * f for s, f in zip(last.scale, factor, strict=True)),
                factor,
            )
        )
    return levels


def fill_level(
    finer: Any,
    coarser: Any,
    factor: Sequence[int],
    *,
    block: Sequence[int],
    nearest: bool,
    has_channels: bool,
) -> Iterator[float]:
    """Fill a level from the next finer one, block by block and channel by channel.

    Parameters
    ----------
    finer, coarser
        Arrays of zarr, or that slice like them.
    factor
        Voxels of the finer level in one of the coarser, along each spatial axis.
    block
        Voxels of the coarser level that are written at once.
    nearest
        Take one of the values, as labels need it, instead of their mean.

    Yields
    ------
    float
        Share that is done.
    """
    channels: list[tuple[int, ...]] = (
        [(c,) for c in range(finer.shape[0])] if has_channels else [()]
    )
    shape = coarser.shape[1:] if has_channels else coarser.shape
    counts = [ceil(n / b) for n, b in zip(shape, block, strict=True)]
    total = prod(counts) * len(channels)
    for done, (index, channel) in enumerate(product(_indices(counts), channels), start=1):
        begin = [i * b for i, b in zip(index, block, strict=True)]
        end = [min(b + s, n) for b, s, n in zip(begin, block, shape, strict=True)]
        # In parts, so that the finer block, 8 times as large, is never in memory as a whole.
        values = np.empty([e - b for b, e in zip(begin, end, strict=True)], coarser.dtype)
        halves = [_halves(b, e, ceil(s / 2)) for b, e, s in zip(begin, end, block, strict=True)]
        for part in product(*halves):
            fine = tuple(slice(b * f, e * f) for (b, e), f in zip(part, factor, strict=True))
            place = tuple(slice(b - o, e - o) for (b, e), o in zip(part, begin, strict=True))
            values[place] = coarse(np.asarray(finer[(*channel, *fine)]), factor, nearest=nearest)
        space = tuple(slice(b, e) for b, e in zip(begin, end, strict=True))
        coarser[(*channel, *space)] = values
        yield done / total


def coarse(values: NDArray[Any], factor: Sequence[int], *, nearest: bool) -> NDArray[Any]:
    """Give the mean, or one value, of each group of voxels; groups at the end may be smaller."""
    if nearest:
        return values[tuple(slice(None, None, f) for f in factor)]
    mean = values.astype(np.float32, copy=False) if values.dtype.itemsize < 4 else values
    for axis, f in enumerate(factor):
        if f == 1:
            continue
        even = np.take(mean, range(0, mean.shape[axis], 2), axis)
        odd = np.take(mean, range(1, mean.shape[axis], 2), axis)
        if odd.shape[axis] < even.shape[axis]:  # the last one stands alone
            odd = np.concatenate([odd, np.take(mean, [-1], axis)], axis)
        mean = (even + odd) / 2
    if values.dtype.kind in "iu":
        mean = np.rint(mean)
    return mean.astype(values.dtype, copy=False)


def ome_metadata(
    levels: Sequence[Level],
    *,
    version: str,
    name: str,
    axes: Sequence[str],
    has_channels: bool,
    voxel_size: Sequence[float],
    begin: Sequence[float],
    unit: str,
    is_labels: bool,
) -> dict[str, Any]:
    """Give the attributes of an OME-Zarr image, of version 0.4 or 0.5.

    Parameters
    ----------
    voxel_size, begin
        Of the finest level, in base units.
    unit
        Base unit: "nm", or "voxels".
    """
    lead = [0.0] if has_channels else []
    named = {"unit": "nanometer"} if unit == NANOMETRE.name else {}
    datasets = []
    for number, level in enumerate(levels):
        scale = [size * s for size, s in zip(voxel_size, level.scale, strict=True)]
        # The centre of a coarse voxel is that of the finer ones in it.
        place = [
            b + size * (s - 1) / 2
            for b, size, s in zip(begin, voxel_size, level.scale, strict=True)
        ]
        datasets.append(
            {
                "path": str(number),
                "coordinateTransformations": [
                    {"type": "scale", "scale": [*(1.0 for _ in lead), *scale]},
                    {"type": "translation", "translation": [*lead, *place]},
                ],
            }
        )
    multiscale: dict[str, Any] = {
        "name": name,
        "axes": [
            *({"name": CHANNEL, "type": "channel"} for _ in lead),
            *({"name": axis, "type": "space", **named} for axis in axes),
        ],
        "datasets": datasets,
    }
    if not is_labels:
        multiscale["type"] = "mean"
    versioned = {"version": version}
    image: dict[str, Any] = {"image-label": versioned} if is_labels else {}
    if version == "0.4":
        return {**image, "multiscales": [{**versioned, **multiscale}]}
    return {
        "ome": {
            **versioned,
            **({"image-label": {}} if is_labels else {}),
            "multiscales": [multiscale],
        }
    }


def _indices(counts: Sequence[int]) -> Iterator[tuple[int, ...]]:
    return product(*map(range, counts))


def _halves(begin: int, end: int, size: int) -> list[tuple[int, int]]:
    return [(b, min(b + size, end)) for b in range(begin, end, size)]
