"""Weights that let rare classes count as much as frequent ones."""

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_dacapo_tasks.errors import DataError
from napari_dacapo_tasks.numerics.threads import map_in_threads, slices

# Per channel and class: how many voxels had the class, and how much mask there was, so far.
ClassCounts = list[dict[int, tuple[float, float]]]

# Voxels that a thread counts or weighs at a time: its temporary arrays stay in the cache.
_BLOCK_VOXELS = 1 << 17
# How many of the labels that are no class an error names.
_NAMED_LABELS = 5


def balance_weights(
    labels: NDArray[Any],
    num_classes: int,
    masks: Sequence[NDArray[Any]],
    moving_counts: Sequence[Mapping[int, tuple[float, float]]] | None = None,
    clipmin: float = 0.05,
    clipmax: float = 0.95,
) -> tuple[NDArray[np.float32], ClassCounts]:
    """Weigh every voxel by the inverse of how frequent its class is in the channel's mask.

    With ``e`` the product of the masks, a class that so far had ``num`` voxels where ``e`` is not
    0, out of ``den``, the sum of ``e`` so far, has the weight
    ``e / (num_classes * clip(num / den, clipmin, clipmax))``. (``den`` starts at 1, as DaCapo's.)

    Parameters
    ----------
    labels
        ``(c, z, y, x)`` or ``(c, y, x)``, integer or bool: classes 0 to ``num_classes - 1``.
        Each channel is balanced on its own.
    masks
        The factors of ``e``, of the labels' shape, or without the channel axis for one that
        serves all channels.
    moving_counts
        What the call before returned, to balance over all samples so far; not changed.

    Returns
    -------
    The weights, float32 of the labels' shape, and the counts that include this call.

    Raises
    ------
    DataError
        For labels that are no class (named in the sentence) or not integer, for masks whose
        shape does not fit, and for counts of another number of channels or classes.
    """
    if labels.dtype.kind not in "biu":
        raise DataError(
            f"The labels are {labels.dtype}, but classes are whole numbers: convert them to an "
            "integer type."
        )
    for mask in masks:
        if mask.shape not in (labels.shape, labels.shape[1:]):
            raise DataError(
                f"A mask of shape {mask.shape} does not fit labels of shape {labels.shape}: give "
                "one mask for all channels, or one for each."
            )
    before = counts_before(moving_counts, len(labels), num_classes)
    weights = np.empty(labels.shape, np.float32)
    counts = []
    for channel, channel_weights in enumerate(weights):
        channel_labels = labels[channel]
        factors = [mask[channel] if mask.ndim == labels.ndim else mask for mask in masks]
        blocks = slices(len(channel_labels), channel_labels.size, _BLOCK_VOXELS)
        count = partial(_count, channel_labels, factors, num_classes, channel_weights)
        counted = map_in_threads(count, blocks)
        numbers = sum((number for number, _ in counted), np.zeros(num_classes, np.int64))
        mask_sum = sum(total for _, total in counted)
        counts.append(
            {
                class_id: (num + int(numbers[class_id]), den + mask_sum)
                for class_id, (num, den) in before[channel].items()
            }
        )
        class_weights = weights_of(counts[-1], clipmin, clipmax)
        weigh = partial(_weigh, channel_labels, class_weights, channel_weights)
        map_in_threads(weigh, blocks)
    return weights, counts


def counts_before(
    moving_counts: Sequence[Mapping[int, tuple[float, float]]] | None,
    num_channels: int,
    num_classes: int,
) -> Sequence[Mapping[int, tuple[float, float]]]:
    """Give the counts of earlier calls, or those to start with; raises DataError for others."""
    if moving_counts is None:
        return [dict.fromkeys(range(num_classes), (0, 1))] * num_channels
    if len(moving_counts) != num_channels or any(
        list(counts) != list(range(num_classes)) for counts in moving_counts
    ):
        raise DataError(
            f"The class counts do not belong to {num_channels} channels of {num_classes} classes: "
            "pass those that a call with the same channels returned, or none to start anew."
        )
    return moving_counts


def counts_after(before: Any, alone: Any) -> Any:
    """Add the counts of one sample to those of all before.

    Parameters
    ----------
    before
        Counts, or tuples or lists of counts; None where nothing was counted.
    alone
        What a call gave for the sample with no counts before it.
    """
    if before is None or alone is None:
        return alone
    if isinstance(alone, dict):
        return {
            class_id: (before[class_id][0] + num, before[class_id][1] + den - 1)
            for class_id, (num, den) in alone.items()  # den has started at 1
        }
    parts = [counts_after(*pair) for pair in zip(before, alone, strict=True)]
    return tuple(parts) if isinstance(alone, tuple) else parts


def anything_counted(counts: Any) -> bool:
    """Say whether counts of a sample alone have any voxel, and so its weight is not 0 everywhere.

    Parameters
    ----------
    counts
        As for `counts_after`. None, of a task that counts nothing, has voxels.
    """
    if isinstance(counts, dict):
        return any(den > 1 for _, den in counts.values())  # den has started at 1
    return counts is None or any(anything_counted(part) for part in counts if part is not None)


def weights_of(
    counts: Mapping[int, tuple[float, float]], clipmin: float, clipmax: float
) -> NDArray[np.float32]:
    """Give the weight of each class of a channel, by its share of all voxels so far."""
    shares = np.clip([num / den for num, den in counts.values()], clipmin, clipmax)
    weights: NDArray[np.float32] = (1 / (len(counts) * shares)).astype(np.float32)
    return weights


def _count(
    labels: NDArray[Any],
    factors: Sequence[NDArray[Any]],
    num_classes: int,
    weights: NDArray[np.float32],
    rows: slice,
) -> tuple[NDArray[np.int64], float]:
    """Write the product of the factors into ``weights``; count the classes where it is not 0."""
    labels, weights = labels[rows], weights[rows]
    _require_classes(labels, num_classes)
    weights[...] = 1
    for factor in factors:
        np.multiply(weights, factor[rows], out=weights, casting="same_kind")
    counted = weights != 0
    numbers = [np.count_nonzero((labels == c) & counted) for c in range(num_classes)]
    return np.array(numbers), float(weights.sum(dtype=np.float64))


def _weigh(
    labels: NDArray[Any],
    class_weights: NDArray[np.float32],
    weights: NDArray[np.float32],
    rows: slice,
) -> None:
    weights[rows] *= class_weights[labels[rows].astype(np.intp, copy=False)]


def _require_classes(labels: NDArray[Any], num_classes: int) -> None:
    if labels.size == 0 or (labels.max() < num_classes and labels.min() >= 0):
        return
    strangers = np.unique(labels[(labels < 0) | (labels >= num_classes)])
    named = ", ".join(str(label) for label in strangers[:_NAMED_LABELS])
    more = ", ..." if len(strangers) > _NAMED_LABELS else ""
    raise DataError(
        f"The labels hold {named}{more}, which is none of the classes 0 to {num_classes - 1}: map "
        "every label to a class first."
    )
