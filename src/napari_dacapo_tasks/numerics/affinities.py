"""Affinities: whether a voxel and the one an offset away belong to one object."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_dacapo_tasks.errors import DataError
from napari_dacapo_tasks.numerics.balance import ClassCounts, counts_before, weights_of
from napari_dacapo_tasks.numerics.labels import require_labels, require_no_negative
from napari_dacapo_tasks.numerics.threads import map_in_threads, slices

# Voxels that a thread compares or weighs at a time: the labels of a block stay in the cache while
# all offsets go over them.
_BLOCK_VOXELS = 1 << 17
# Apart (0) and joined (1).
_NUM_CLASSES = 2


def affinities(
    labels: NDArray[Any],
    neighborhood: Sequence[Sequence[int]],
    *,
    background_as_object: bool = False,
    out: NDArray[Any] | None = None,
) -> NDArray[Any]:
    """Say for every voxel and offset whether the voxel there has the same label.

    Parameters
    ----------
    labels
        ``(z, y, x)`` or ``(y, x)``, integer or bool; 0 is background.
    neighborhood
        The offsets, in voxels, one value for each axis.
    background_as_object
        Whether two voxels of background belong together, too.
    out
        Where to put the result: uint8 or float32, C-contiguous, of its shape.

    Returns
    -------
    0 or 1, of the shape ``(offsets, z, y, x)``; uint8 unless ``out`` is float32. 0 where the voxel
    at the offset lies outside of the labels, and where one of both is background.

    Raises
    ------
    DataError
        For labels that are not integer or hold negative ids, and offsets of another number of
        axes or that reach beyond the labels from everywhere.
    """
    require_labels(labels, "affinities")
    _require_offsets(neighborhood, labels.shape)
    shape = (len(neighborhood), *labels.shape)
    result = np.empty(shape, np.uint8) if out is None else out
    assert result.shape == shape, "out has another shape"
    assert result.dtype in (np.uint8, np.float32), "out is neither uint8 nor float32"
    assert result.flags.c_contiguous, "out is not contiguous"
    # Imported here: it compiles on a machine's first import, and numba itself takes 0.2 s.
    from napari_dacapo_tasks.numerics.affinity_loops import compare

    volume = _as_volume(np.ascontiguousarray(labels, labels.dtype.newbyteorder("=")), labels.ndim)
    # Without a sign, as no id is negative: whether ids are the same is all that counts.
    ids = volume.view(f"u{volume.itemsize}")
    made = _as_volume(result, labels.ndim)
    loop = compare[ids.dtype]
    offsets = [_in_volume(offset) for offset in neighborhood]

    def fill(planes: slice) -> None:
        require_no_negative(volume[planes])
        for offset, channel in zip(offsets, made, strict=True):
            block = channel[planes]
            flags = block if block.dtype == np.uint8 else np.empty(block.shape, np.uint8)
            loop(ids, planes.start, *offset, background_as_object, flags)
            if flags is not block:
                block[...] = flags

    map_in_threads(fill, slices(len(volume), volume.size, _BLOCK_VOXELS))
    return result


def affinity_weights(
    target: NDArray[Any],
    known: NDArray[Any],
    neighborhood: Sequence[Sequence[int]],
    begin: Sequence[int] | None = None,
    moving_counts: Sequence[Mapping[int, tuple[float, float]]] | None = None,
    clipmin: float = 0.05,
    clipmax: float = 0.95,
    *,
    out: NDArray[np.float32] | None = None,
) -> tuple[NDArray[np.float32], ClassCounts]:
    """Weigh affinities so that joined and separate pairs count as much, each channel on its own.

    The rule is that of `balance.balance_weights` with two classes, where a voxel is in the mask
    of a channel if both it and its partner are known. What lies outside of ``known`` is not.

    Parameters
    ----------
    target
        Affinities, of the shape ``(offsets, z, y, x)`` or ``(offsets, y, x)``.
    known
        Nonzero where the labels are known; without channels. It may be larger than the target,
        so that partners outside of that are known, too.
    neighborhood
        The offsets of the channels.
    begin
        Where in ``known`` the first voxel of the target is; its first voxel by default.
    moving_counts
        What the call before returned, to balance over all samples so far; not changed.
    clipmin, clipmax
        Bounds of a class's share.
    out
        Where to put the weights: float32, C-contiguous, of the target's shape.

    Returns
    -------
    The weights, float32 of the target's shape, and the counts that include this call.

    Raises
    ------
    DataError
        For counts of another number of channels.
    """
    pairs = _Pairs.of(target, known, neighborhood, begin)
    weights = np.empty(target.shape, np.float32) if out is None else out
    assert weights.shape == target.shape, "out has another shape"
    assert weights.dtype == np.float32, "out is not float32"
    assert weights.flags.c_contiguous, "out is not contiguous"
    from napari_dacapo_tasks.numerics.affinity_loops import weigh

    counts = pairs.counted(moving_counts)
    class_weights = [weights_of(each, clipmin, clipmax) for each in counts]
    made = _as_volume(weights, target.ndim - 1)

    def weigh_block(planes: slice) -> None:
        for channel, offset, (apart, together), out_channel in zip(
            pairs.joined, pairs.offsets, class_weights, made, strict=True
        ):
            flags = _as_flags(channel[planes])
            place = pairs.place(planes)
            weigh(flags, pairs.known, *place, *offset, apart, together, out_channel[planes])

    map_in_threads(weigh_block, pairs.blocks)
    return weights, counts


def count_affinities(
    target: NDArray[Any],
    known: NDArray[Any],
    neighborhood: Sequence[Sequence[int]],
    begin: Sequence[int] | None = None,
) -> ClassCounts:
    """Count joined and separate pairs: the counts of `affinity_weights`, without the weights."""
    return _Pairs.of(target, known, neighborhood, begin).counted(None)


def warm_up() -> None:
    """Load the compiled loops, or compile them where this machine never has (some seconds).

    Everything else here does so when it is first called; call this earlier, off the main thread.
    """
    labels = np.ones((2, 2), np.uint8)
    affinity_weights(affinities(labels, [(0, 1)]), labels, [(0, 1)])


@dataclass(frozen=True)
class _Pairs:
    """Affinities and what is known, as the loops take them, and the blocks of a thread."""

    joined: NDArray[Any]
    known: NDArray[np.uint8]
    begin: tuple[int, int, int]
    offsets: list[tuple[int, int, int]]
    blocks: list[slice]

    @classmethod
    def of(
        cls,
        target: NDArray[Any],
        known: NDArray[Any],
        neighborhood: Sequence[Sequence[int]],
        begin: Sequence[int] | None,
    ) -> _Pairs:
        """Take arguments of `affinity_weights`."""
        dims = target.ndim - 1
        begin = (0,) * dims if begin is None else begin
        assert len(target) == len(neighborhood), "one offset for each channel"
        assert known.ndim == dims, "known has other axes than the target"
        assert all(
            0 <= start <= there - length
            for start, length, there in zip(begin, target.shape[1:], known.shape, strict=True)
        ), "the target is not inside of known"
        joined = _as_volume(target, dims)
        return cls(
            joined,
            _as_volume(_as_flags(known), dims),
            _in_volume(begin),
            [_in_volume(offset) for offset in neighborhood],
            slices(joined.shape[1], math.prod(joined.shape[1:]), _BLOCK_VOXELS),
        )

    def place(self, planes: slice) -> tuple[int, int, int]:
        """Give where in ``known`` a block begins."""
        z, y, x = self.begin
        return z + planes.start, y, x

    def counted(
        self, moving_counts: Sequence[Mapping[int, tuple[float, float]]] | None
    ) -> ClassCounts:
        """Count known and joined pairs of each channel, after those of earlier calls."""
        from napari_dacapo_tasks.numerics.affinity_loops import count

        before = counts_before(moving_counts, len(self.offsets), _NUM_CLASSES)

        def count_block(planes: slice) -> NDArray[np.int64]:
            numbers = [
                count(_as_flags(channel[planes]), self.known, *self.place(planes), *offset)
                for channel, offset in zip(self.joined, self.offsets, strict=True)
            ]
            return np.array(numbers, np.int64)

        none = np.zeros((len(self.offsets), 2), np.int64)
        numbers = sum(map_in_threads(count_block, self.blocks), none)
        return [
            _counts_after(earlier, int(known_pairs), int(joined_pairs))
            for earlier, (known_pairs, joined_pairs) in zip(before, numbers, strict=True)
        ]


def _as_volume(values: NDArray[Any], dims: int) -> NDArray[Any]:
    """Take an image ``(..., y, x)`` as ``(..., y, 1, x)``, to be cut into blocks of lines."""
    return values if dims == 3 else values[..., np.newaxis, :]


def _in_volume(offset: Sequence[int]) -> tuple[int, int, int]:
    """Give an offset, or a place, in what `_as_volume` gives."""
    first, *second, last = (int(step) for step in offset)
    return first, second[0] if second else 0, last


def _as_flags(values: NDArray[Any]) -> NDArray[np.uint8]:
    """Give contiguous bytes that are 0 where the values are; a copy only where they must be."""
    if values.dtype.kind == "b" or values.dtype == np.uint8:
        flags: NDArray[Any] = np.ascontiguousarray(values)
    else:
        flags = np.not_equal(values, 0, order="C")
    return flags.view(np.uint8)


def _counts_after(
    before: Mapping[int, tuple[float, float]], known_pairs: int, joined_pairs: int
) -> dict[int, tuple[float, float]]:
    numbers = known_pairs - joined_pairs, joined_pairs
    return {
        class_id: (num + numbers[class_id], den + known_pairs)
        for class_id, (num, den) in before.items()
    }


def _require_offsets(neighborhood: Sequence[Sequence[int]], shape: tuple[int, ...]) -> None:
    for offset in neighborhood:
        named = tuple(int(step) for step in offset)
        if len(named) != len(shape):
            raise DataError(
                f"The offset {named} has {len(named)} axes, but the labels of shape {shape} have "
                f"{len(shape)}: give one step for each axis."
            )
        if any(abs(step) >= length for step, length in zip(named, shape, strict=True)):
            raise DataError(
                f"The offset {named} reaches beyond labels of shape {shape} from every voxel: take "
                "it out of the neighbourhood, or use a larger volume."
            )
