"""Signed distances to the interfaces between labels, and the mask of those that can be trusted.

An interface is the centre of a voxel face between two unlike labels (DaCapo's definition, kept so
that trained weights keep their meaning). Functions here take and return arrays; the passes over
the grid that do the work are in `transforms`.
"""

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_dacapo_tasks.errors import ConfigError, DataError
from napari_dacapo_tasks.numerics.labels import require_labels, require_voxel_size
from napari_dacapo_tasks.numerics.threads import map_in_threads, slices

Floats = NDArray[np.float32]

# From here on tanh is 1 in float32 (by 9.02 after rounding; NumPy's own says so from 10 on), so
# nothing needs to be measured farther than that, in scale factors.
SATURATION = 10.01
# A voxel is trusted if the unknown is farther from it than its own interface, by so much on the
# tanh scale ...
MASK_TOLERANCE = 0.05
# ... or this far on that scale, however deep the voxel is: so much of its depth is sure then.
MASK_THRESHOLD = 0.8
# What MASK_THRESHOLD asks of the distance to the unknown, in scale factors (atanh 0.8 = 1.0986).
MASK_REACH = 1.1
# Voxels that a thread squashes at a time, few enough to stay in its cache.
_BLOCK_VOXELS = 1 << 17


def signed_distance(
    labels: NDArray[Any],
    voxel_size: Sequence[float],
    max_distance: float = math.inf,
    *,
    out: Floats | None = None,
) -> Floats:
    """Measure from every voxel's centre to the nearest interface between unlike labels.

    Parameters
    ----------
    labels
        ``(z, y, x)`` or ``(y, x)``, integer or bool; 0 is background, any other value an object.
        Objects that touch have an interface between them.
    voxel_size
        World units of a voxel along each axis of ``labels``.
    max_distance
        Distances beyond it need not be measured and are returned as it. Saves time where there
        is much empty space.
    out
        Where to put the result: float32, C-contiguous, of the labels' shape.

    Returns
    -------
    Float32 world units, negative in background. Without any interface, plus or minus half the
    shortest side of the volume.

    Raises
    ------
    DataError
        For labels that are not integer or hold negative ids, and voxel sizes that do not fit.
    """
    return _signed_distance(labels, voxel_size, max_distance, None, out)


def normalize(distances: NDArray[Any], scale_factor: float, *, out: Floats | None = None) -> Floats:
    """Squash distances to ``tanh(distance / scale_factor)``, float32 of the same shape.

    ``out`` may be ``distances`` itself.
    """
    _require_scale(scale_factor)
    result = np.empty(distances.shape, np.float32) if out is None else out

    def squash(rows: slice) -> None:
        np.divide(distances[rows], float(scale_factor), out=result[rows], casting="same_kind")
        np.tanh(result[rows], out=result[rows])

    map_in_threads(squash, slices(len(distances), distances.size, _BLOCK_VOXELS))
    return result


def normalized_distance(
    labels: NDArray[Any],
    voxel_size: Sequence[float],
    scale_factor: float,
    *,
    out: Floats | None = None,
) -> Floats:
    """Return ``normalize(signed_distance(labels, voxel_size), scale_factor)``, in less time.

    The values are the same to the last bit: what is not measured is where tanh is 1 in float32.
    Parameters as there.
    """
    _require_scale(scale_factor)
    return _signed_distance(labels, voxel_size, SATURATION * scale_factor, scale_factor, out)


def distance_mask(
    target: NDArray[Any], mask: NDArray[Any], voxel_size: Sequence[float], scale_factor: float
) -> NDArray[np.uint8]:
    """Drop the voxels whose nearest interface might lie in the unknown.

    With ``b`` the normalised distance to the nearest voxel that is masked out or outside of the
    volume, a voxel is dropped where ``min(|target| + 0.05, 0.8) >= b``.

    Parameters
    ----------
    target
        Normalised signed distances, ``(z, y, x)`` or ``(y, x)``, or with channels in front.
    mask
        Nonzero where the ground truth is known: of the target's shape, or without channels for
        one that serves them all.
    voxel_size
        World units of a voxel along each spatial axis.
    scale_factor
        That of the target, in world units.

    Returns
    -------
    uint8 of the target's shape, 1 where a voxel is known and its target can be trusted.
    """
    _require_scale(scale_factor)
    dims = len(voxel_size)
    spatial = target.shape[target.ndim - dims :]
    if target.ndim - dims not in (0, 1) or mask.shape not in (target.shape, spatial):
        raise DataError(
            f"A mask of shape {mask.shape} does not fit a target of shape {target.shape} with "
            f"{dims} voxel sizes: give one mask for all channels, or one for each."
        )
    require_voxel_size(voxel_size, len(spatial))
    kept = np.empty(target.shape, np.uint8)
    if target.size == 0:
        return kept
    from napari_dacapo_tasks.numerics.transforms import Grid

    grid = Grid.of(spatial, voxel_size)
    targets = target.reshape(-1, *grid.shape)
    masks = mask.reshape(-1, *grid.shape)
    keeps = kept.view(np.bool_).reshape(-1, *grid.shape)
    for channel, channel_mask in enumerate(masks):
        nearness = _nearness_to_unknown(channel_mask, grid, scale_factor)
        served = slice(None) if len(masks) == 1 else slice(channel, channel + 1)
        _keep_trusted(targets[served], nearness, grid.planes(), keeps[served])
    return kept


def warm_up() -> None:
    """Load the compiled loops, or compile them where this machine never has (some seconds).

    Everything else here does so when it is first called; call this earlier, off the main thread.
    """
    labels = np.zeros((3, 3, 3), np.uint8)
    labels[1, 1, 1] = 1
    target = normalized_distance(labels, (1, 1, 1), 1.0)
    distance_mask(target, labels, (1, 1, 1), 1.0)


def _signed_distance(
    labels: NDArray[Any],
    voxel_size: Sequence[float],
    max_distance: float,
    scale_factor: float | None,
    out: Floats | None,
) -> Floats:
    require_labels(labels, "distances")
    require_voxel_size(voxel_size, labels.ndim)
    result = np.empty(labels.shape, np.float32) if out is None else out
    assert result.shape == labels.shape, "out has another shape"
    assert result.dtype == np.float32, "out is not float32"
    assert result.flags.c_contiguous, "out is not contiguous"
    if labels.size == 0:
        return result
    # Imported here: it compiles on a machine's first import, and numba itself takes 0.2 s.
    from napari_dacapo_tasks.numerics.transforms import Grid, square_to_interfaces

    grid = Grid.of(labels.shape, voxel_size)
    labels = labels.reshape(grid.shape)
    squares = result.reshape(grid.shape)
    if not square_to_interfaces(labels, grid, max_distance, squares):
        sides = (length * size for length, size in zip(result.shape, voxel_size, strict=True))
        squares[...] = (min(sides) / 2) ** 2
    farthest = np.float32(max_distance) ** 2

    def finish(planes: slice) -> None:
        part = squares[planes]
        np.minimum(part, farthest, out=part)
        np.sqrt(part, out=part)
        if scale_factor is not None:
            np.divide(part, np.float32(scale_factor), out=part)
            np.tanh(part, out=part)
        np.negative(part, out=part, where=labels[planes] == 0)

    map_in_threads(finish, grid.planes())
    return result


def _nearness_to_unknown(
    mask: NDArray[Any], grid: Any, scale_factor: float
) -> Callable[[slice], Floats]:
    """Return a function that gives planes of the normalised distance to what is not known."""
    from napari_dacapo_tasks.numerics.transforms import square_to_unknown

    def squash(squares: Floats) -> Floats:
        distances = np.sqrt(squares)
        distances /= np.float32(scale_factor)
        return np.tanh(distances, out=distances)

    if all(map_in_threads(lambda planes: bool(mask[planes].all()), grid.planes())):
        # Only the outside is unknown, and that is as far as the nearest side of the box.
        near_z, near_y, near_x = (squash(grid.squares_to_border(axis)) for axis in range(3))
        near_side = np.minimum(near_y[:, np.newaxis], near_x)
        return lambda planes: np.minimum(near_z[planes, np.newaxis, np.newaxis], near_side)
    squares = square_to_unknown(mask, grid, MASK_REACH * scale_factor)
    return lambda planes: squash(squares[planes])


def _keep_trusted(
    targets: NDArray[Any],
    nearness: Callable[[slice], Floats],
    blocks: list[slice],
    kept: NDArray[np.bool_],
) -> None:
    """Fill ``kept`` (c, z, y, x) for channels that share what is known."""

    def keep(planes: slice) -> None:
        near = nearness(planes)
        for target, kept_channel in zip(targets, kept, strict=True):
            depth = np.abs(target[planes])
            depth += MASK_TOLERANCE
            np.minimum(depth, MASK_THRESHOLD, out=depth)
            np.less(depth, near, out=kept_channel[planes])

    map_in_threads(keep, blocks)


def _require_scale(scale_factor: float) -> None:
    if not 0 < scale_factor < math.inf:
        raise ConfigError(
            f"The scale factor {scale_factor} is refused: give a positive number of world units."
        )
