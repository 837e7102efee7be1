"""Local shape descriptors: what an object looks like around each of its voxels."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_dacapo_tasks.errors import ConfigError
from napari_dacapo_tasks.numerics.kernels import (
    cumulated_offsets,
    gaussian,
    reach_of,
    weighted_offsets,
)
from napari_dacapo_tasks.numerics.labels import (
    require_labels,
    require_no_negative,
    require_voxel_size,
)
from napari_dacapo_tasks.numerics.symmetries import Symmetry
from napari_dacapo_tasks.numerics.threads import available_cores, map_in_threads, slices

Floats = NDArray[np.float32]

# Variances are at least this, in world units squared, as in DaCapo.
_LEAST_VARIANCE = 1e-3
# What float32 can still divide by and multiply with, for voxel sizes that no microscope has.
_SMALLEST, _LARGEST = 1e-30, 1e30
# Sigmas beyond, in voxels, are a mistake in the units.
_SIGMA_RANGE = 1e-6, 1e6
# Of the ten descriptors of a volume, those that an image has.
_OF_IMAGE = (1, 2, 4, 5, 8, 9)
# Parts of the work per thread: the last ones to finish are small then.
_PARTS_PER_CORE = 8
_BLOCK_VOXELS = 1 << 18


def local_shape_descriptors(
    labels: NDArray[Any],
    voxel_size: Sequence[float],
    sigma: float,
    downsample: int = 1,
    *,
    background_as_object: bool = False,
    out: Floats | None = None,
) -> Floats:
    """Describe the shape of each object in the neighbourhood of each of its voxels.

    All voxels of the same object count, weighted by a Gaussian around the voxel that ends at
    three sigmas. Nothing lies outside of the volume. The definition is that of Sheridan et al.,
    "Local shape descriptors for neuron segmentation", Nature Methods 2023. There is no origin:
    offsets are counted from the voxel itself, so that an object has the same descriptors to the
    last digits wherever it lies, which sums over world coordinates would lose.

    Parameters
    ----------
    labels
        ``(z, y, x)`` or ``(y, x)``, integer or bool; 0 is background.
    voxel_size
        World units of a voxel along each axis.
    sigma
        Of the Gaussian, in world units.
    downsample
        Look only at every so many voxels along each axis, counted from the first, and give all
        voxels of an object in a block of so many the descriptors at the block's first voxel. An
        object that has no voxel there within reach has no mass, nor offset or extent.
    background_as_object
        Whether the background is an object, too.
    out
        Where to put the result: float32, C-contiguous, of its shape.

    Returns
    -------
    Float32 from 0 to 1, ``(10, z, y, x)`` or ``(6, y, x)``, 0 in background. In this order, each
    for z, y and x or y and x: the offset of the mean of the object, in sigmas, times 0.5 plus
    0.5; its variance, in sigmas squared; its correlations (zy, zx, yx), times 0.5 plus 0.5; and
    at last its mass, the sum of the weights. Variances are at least 0.001 world units squared.

    Raises
    ------
    DataError
        For labels that are not integer or hold negative ids, and voxel sizes that do not fit.
    ConfigError
        For a sigma or a ``downsample`` that is refused.
    """
    require_labels(labels, "shape descriptors")
    require_voxel_size(voxel_size, labels.ndim)
    _require_sigma(sigma, voxel_size)
    _require_downsample(downsample)
    volume = np.ascontiguousarray(labels, labels.dtype.newbyteorder("="))
    volume = volume.reshape((1,) * (3 - labels.ndim) + labels.shape)
    grid = _Grid.of(volume.shape, labels.ndim, voxel_size, sigma, downsample)
    shape = (len(grid.channels), *labels.shape)
    # Zeros that nothing is written to cost nothing.
    result = np.zeros(shape, np.float32) if out is None else out
    assert result.shape == shape, "out has another shape"
    assert result.dtype == np.float32, "out is not float32"
    assert result.flags.c_contiguous, "out is not contiguous"
    if labels.size == 0:
        return result
    blocks = slices(len(volume), volume.size, _BLOCK_VOXELS)
    made = result.reshape(len(result), *volume.shape)

    def clear(planes: slice) -> None:
        made[:, planes] = 0

    map_in_threads(lambda planes: require_no_negative(volume[planes]), blocks)
    if out is not None:
        map_in_threads(clear, blocks)
    # Without a sign, as no id is negative: whether ids are the same is all that counts.
    _describe(volume.view(f"u{volume.itemsize}"), grid, background_as_object, made)
    return result


def descriptor_names(axes: Sequence[str]) -> dict[str, list[str]]:
    """Name the descriptors in their order, by what they describe."""
    pairs = [one + other for one, other in combinations(axes, 2)]
    parts = {"LSD offset": axes, "LSD variance": axes, "LSD correlation": pairs}
    named = {kind: [f"{kind} {part}" for part in of] for kind, of in parts.items()}
    return {**named, "LSD mass": ["LSD mass"]}


def turned_descriptors(
    descriptors: Floats,
    symmetry: Symmetry,
    inside: NDArray[np.bool_] | None = None,
    *,
    out: Floats | None = None,
) -> Floats:
    """Let descriptors whose voxels were turned point where the labels now extend.

    Offsets and variances change places with their axes, offsets also their sign where an axis
    runs backwards, and correlations theirs where one of their two axes does.

    Parameters
    ----------
    descriptors
        What `local_shape_descriptors` made of labels before they were turned, each channel turned
        by itself. Sigma is the same along all axes, and so is what it divides.
    inside
        Where there are objects, turned, too; None where the background is one.
    out
        Where to put the result: float32, of the shape of ``descriptors``.
    """
    dims = len(symmetry.order)
    pairs = list(combinations(range(dims), 2))
    assert len(descriptors) == 2 * dims + len(pairs) + 1, "other descriptors than of these axes"
    mirrored = symmetry.mirrored
    sources = [
        *symmetry.order,
        *(dims + axis for axis in symmetry.order),
        *(
            2 * dims + pairs.index((min(a, b), max(a, b)))
            for a, b in ((symmetry.order[i], symmetry.order[j]) for i, j in pairs)
        ),
        len(descriptors) - 1,
    ]
    flipped = [*mirrored, *(False,) * dims, *(mirrored[i] != mirrored[j] for i, j in pairs), False]
    turned = np.empty(descriptors.shape, np.float32) if out is None else out
    for channel, source, flip in zip(turned, sources, flipped, strict=True):
        if flip:
            # 1 minus the value in objects, and 0 in the background still.
            np.subtract(1 if inside is None else inside, descriptors[source], out=channel)
        else:
            channel[...] = descriptors[source]
    return turned


def warm_up() -> None:
    """Load the compiled loops, or compile them where this machine never has (some seconds).

    Everything else here does so when it is first called; call this earlier, off the main thread.
    """
    local_shape_descriptors(np.ones((2, 2), np.uint8), (1, 1), 1.0)


@dataclass(frozen=True)
class _Grid:
    """The grid on which objects are looked at, and what the loops need to know of it."""

    steps: tuple[int, ...]
    depth: int
    weights: tuple[NDArray[np.float64], ...]
    scales: Floats
    channels: NDArray[np.int64]

    @classmethod
    def of(
        cls,
        shape: tuple[int, ...],
        dims: int,
        voxel_size: Sequence[float],
        sigma: float,
        downsample: int,
    ) -> _Grid:
        """Lay the grid over a volume; an image has one plane, and no weights along z."""
        flat = 3 - dims
        steps = (1,) * flat + (int(downsample),) * dims
        lengths = [-(-length // step) for length, step in zip(shape, steps, strict=True)]
        sigmas = [1.0] * flat + [sigma / (size * downsample) for size in voxel_size]
        reaches = [0] * flat + [reach_of(each) for each in sigmas[flat:]]
        whole = [gaussian(*each) for each in zip(sigmas, reaches, strict=True)]
        # What reaches beyond the volume from everywhere weighs nothing, but counts in the whole.
        weights = tuple(
            table[reach - kept : reach + kept + 1]
            for table, reach, length in zip(whole, reaches, lengths, strict=True)
            for kept in [min(reach, max(length - 1, 0))]
        )
        voxels_per_sigma = np.array(sigmas)
        least = _LEAST_VARIANCE * (voxels_per_sigma / sigma) ** 2
        scales = np.concatenate(
            [
                0.5 / voxels_per_sigma,
                np.clip(least, _SMALLEST, _LARGEST),
                1 / voxels_per_sigma**2,
                [1 / math.prod(float(table.sum()) for table in whole)],
            ]
        )
        channels = np.array(range(10) if dims == 3 else _OF_IMAGE)
        return cls(steps, lengths[0], weights, scales.astype(np.float32), channels)


def _describe(volume: NDArray[Any], grid: _Grid, background_as_object: bool, made: Floats) -> None:
    # Imported here: they compile on a machine's first import, and numba itself takes 0.2 s.
    from napari_dacapo_tasks.numerics.lanes import LANES
    from napari_dacapo_tasks.numerics.lsd_loops import describe
    from napari_dacapo_tasks.numerics.object_runs import coarse_runs, runs_of
    from napari_dacapo_tasks.numerics.object_tiles import shares

    runs = shown = runs_of(volume, background_as_object)
    numbers = np.empty((0, 0, 0), np.uint32)
    if any(step > 1 for step in grid.steps):
        runs, shown, numbers = coarse_runs(runs, volume.shape, grid.steps)
    weights_z, weights_y, weights_x = grid.weights
    arguments: tuple[Any, ...] = (
        *(*shown, *runs, grid.depth),
        *(weighted_offsets(weights_z), weighted_offsets(weights_y)),
        *(cumulated_offsets(weights_x, LANES), grid.scales),
        *(grid.channels, np.array(grid.steps), numbers, made),
    )
    parts = shares(shown, _PARTS_PER_CORE * available_cores())
    map_in_threads(lambda part: describe(part, *arguments), parts)


def _require_sigma(sigma: float, voxel_size: Sequence[float]) -> None:
    if not 0 < sigma < math.inf:
        raise ConfigError(f"The sigma {sigma} is refused: give a positive number of world units.")
    least, most = _SIGMA_RANGE
    if not all(least <= sigma / size <= most for size in voxel_size):
        raise ConfigError(
            f"The sigma {sigma} is no sensible length for voxels of {tuple(voxel_size)}: give both "
            "in the same units."
        )


def _require_downsample(downsample: int) -> None:
    if not (isinstance(downsample, (int, np.integer)) and downsample >= 1):
        raise ConfigError(
            f"Downsampling by {downsample} is refused: give a whole number of voxels, 1 for none."
        )
