"""The ground truth that a segmentation is fairly compared with."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from copy import copy
from dataclasses import dataclass
from math import prod
from typing import Any, Self

import numpy as np
from funlib.geometry import Coordinate, Roi
from numpy.typing import NDArray

from napari_dacapo_tasks.arrays import Array, Channel, GroundTruth, LabelsConfig, NumpyArray
from napari_dacapo_tasks.arrays.array import CHANNEL, on_common_grid
from napari_dacapo_tasks.errors import DataError
from napari_dacapo_tasks.evaluation.nearest import are_multiples, covered, nearest_voxels
from napari_dacapo_tasks.numerics.threads import slices
from napari_dacapo_tasks.runs.crops import everything_known
from napari_dacapo_tasks.tasks import Task
from napari_dacapo_tasks.tasks.evaluators.evaluator import require_no_negative
from napari_dacapo_tasks.tasks.post_processors.post_processor import Labelling
from napari_dacapo_tasks.tasks.predictors.predictor import like, with_channels
from napari_dacapo_tasks.tasks.task import Method
from napari_dacapo_tasks.units import WorldUnit

_SLAB_VOXELS = 1 << 24
"""That are read at a time to find out where anything is known."""


def truth_for(
    ground_truth: GroundTruth,
    roi: Roi,
    segmentation: NumpyArray,
    method: Method,
    task: Task,
) -> tuple[NumpyArray, NumpyArray]:
    """Read the ground truth that a segmentation is fairly compared with, and where it is known.

    As in a preview, foreground is any id, classes are the ids, and an object is an id as far as it
    hangs together in the region, or is found to.

    Parameters
    ----------
    ground_truth
        With the channels of the segmentation.
    roi
        The region of the segmentation, in grid steps of the ground truth.
    segmentation
        Labels with channels.
    method, task
        That made it.
    """
    gt, mask = ground_truth.read(roi)
    return comparable(gt, mask, segmentation, method, task), mask


def comparable(
    gt: NumpyArray, known: NumpyArray, segmentation: NumpyArray, method: Method, task: Task
) -> NumpyArray:
    """Make of ids what `truth_for` gives, where they are read already."""
    labelling = method.post_processor.labelling
    if labelling is Labelling.CLASSES:
        return gt
    if labelling is Labelling.FOREGROUND:
        return like(gt, (gt.data != 0).astype(np.uint8))
    from napari_dacapo_tasks.numerics.locations import renumbered  # it loads compiled loops
    from napari_dacapo_tasks.numerics.separation import separation

    as_object = bool(getattr(task.predictor, "background_as_object", False))
    masks = np.broadcast_to(known.data, gt.data.shape)
    channels = []
    for ids, labels, where in zip(gt.data, segmentation.data, masks, strict=True):
        require_no_negative(labels, "segmentation")
        found = labels
        # Labels are counted in a list, and an id may be of any size.
        if labels.dtype != np.uint32 or labels.max(initial=0) > labels.size:
            found, _ = renumbered(labels)
        channels.append(separation(ids, found, where, background_as_object=as_object).truth)
    return like(gt, stacked(channels))


def stacked(channels: Sequence[NDArray[Any]]) -> NDArray[Any]:
    """Stack channels; a single one is not copied."""
    return channels[0][np.newaxis] if len(channels) == 1 else np.stack(channels)


@dataclass(frozen=True)
class KnownTruth:
    """What is known where a segmentation lies, read into memory.

    Attributes
    ----------
    gt
        Ids, ``(c, z, y, x)``, a channel for each of the task.
    known
        uint8 ``(z, y, x)``; 1 where they are known.
    array
        What is compared, lazily, on the grid of the others.
    notices
        What a person should know of it, a sentence each.
    """

    gt: NumpyArray
    known: NumpyArray
    array: Array
    notices: tuple[str, ...]

    @classmethod
    def read(
        cls,
        truth: GroundTruth | Array,
        mask: Array | None,
        array: Array,
        channels: Sequence[str],
        what: str,
    ) -> Self:
        """Read what the truth and another array share, cut to what is known.

        Parameters
        ----------
        truth, mask
            As of `evaluate`.
        array
            The segmentation, or the prediction that it shall be made of.
        channels
            Names of the channels that are scored; those of a ground truth are found by them.
        what
            The array for people, such as "segmentation".

        Raises
        ------
        DataError
            Where they have nothing in common, or nothing is known there.
        """
        truths = _by_channel(truth, channels)
        labels, array, *masks = on_common_grid(truths[0].labels, array, *_all_there(mask))
        finer = labels.unit.steps // truths[0].labels.unit.steps
        _require_comparable(labels, array, f"The {what}")
        whole = truths[0].roi * finer
        shared = covered(whole, labels.voxel_size, array)
        if shared.empty:
            raise DataError(
                f"The {what} and the ground truth do not overlap: they cover "
                f"{_place(array, array.roi)} and {_place(labels, whole)}; check their positions "
                "and scales."
            )
        notices = list(_notices(truth, channels, labels, whole, shared, array, what))
        roi = shared
        for one in masks:
            _require_comparable(labels, one, "The mask")
            roi = covered(roi, labels.voxel_size, one)
        if masks or not everything_known(truths[0]):
            roi = _known_box(truths, masks, roi, labels.voxel_size, finer)
        if roi.empty:
            raise DataError(
                f"Nothing of the ground truth is known where the {what} lies, so there is no "
                "score: paint or choose ground truth there, or look at the mask and at the ids "
                "that stand for unknown."
            )
        return cls(*_read(truths, masks, roi, finer), array, tuple(notices))

    @property
    def roi(self) -> Roi:
        """The smallest region with all that is known, in grid steps."""
        return self.gt.roi

    def labels_of(self, segmentation: Array) -> NumpyArray:
        """Read a segmentation there, with channels: of each voxel the nearest one of its own."""
        number = len(self.gt.data)
        _, segmentation = on_common_grid(self.gt, segmentation)
        labels = nearest_voxels(segmentation, self.roi, self.gt.voxel_size)
        values = with_channels(labels.data, labels.dims)
        if len(values) != number:
            raise DataError(
                f"The segmentation has {len(values)} channels, but the task scores {number}: give "
                "one made for this task."
            )
        if values.dtype.kind not in "biu":
            raise DataError(
                f"The segmentation is {values.dtype}, but labels are whole numbers: segment a "
                "prediction first, or convert the values to an integer type."
            )
        return like(self.gt, values)


def _by_channel(truth: GroundTruth | Array, channels: Sequence[str]) -> list[GroundTruth]:
    """Give ground truths whose channels together are those that are scored, in that order."""
    number = len(channels)
    if isinstance(truth, GroundTruth):
        names = truth.config.channel_names
        if set(channels) <= set(names):
            places = [names.index(name) for name in channels]
        elif len(names) == number:
            places = list(range(number))
        else:
            raise DataError(
                f"The ground truth has the channels {', '.join(names)}, but the task scores "
                f"{', '.join(channels)}: give it a channel for each of these."
            )
        chosen = tuple(truth.config.channels[place] for place in places)
        scored = copy(truth)
        scored.config = truth.config.model_copy(update={"channels": chosen})
        return [scored]
    found = truth.num_channels
    if (found or 1) != number:
        raise DataError(
            f"The ground truth has {found or 'no'} channels, but the task scores {number} "
            f"({', '.join(channels)}): give labels with a channel for each, or say which ids "
            "belong to which channel."
        )
    parts = [truth] if found is None else [_one_channel(truth, place) for place in range(found)]
    return [
        GroundTruth(part, LabelsConfig(channels=(Channel(name=name),)))
        for part, name in zip(parts, channels, strict=True)
    ]


def _read(
    truths: Sequence[GroundTruth], masks: Sequence[Array], roi: Roi, finer: int
) -> tuple[NumpyArray, NumpyArray]:
    """Read all channels of a region that is given on a grid so many times finer."""
    own = Roi(roi.begin / finer, roi.shape / finer)
    parts = [truth.read(own) for truth in truths]
    gt, known = parts[0]
    gt = like(gt, stacked([ids for of_part, _ in parts for ids in of_part.data]))
    finest = WorldUnit(gt.unit.name, gt.unit.steps * finer)
    gt, known = gt.on_grid(finest), known.on_grid(finest)
    for mask in masks:
        inside = with_channels(nearest_voxels(mask, roi, gt.voxel_size).data, mask.dims)
        known.data[inside.min(axis=0) == 0] = 0
    return gt, known


def _known_box(
    truths: Sequence[GroundTruth],
    masks: Sequence[Array],
    roi: Roi,
    voxel_size: Coordinate,
    finer: int,
) -> Roi:
    """Give the smallest region with all that is known; empty where nothing is.

    Slab by slab, since what is painted may be little of a large volume.
    """
    shape = roi.shape / voxel_size
    along = [np.zeros(length, np.bool_) for length in shape]
    for planes in slices(shape[0], prod(shape), _SLAB_VOXELS):
        begin, length = list(roi.begin), list(roi.shape)
        begin[0] += planes.start * voxel_size[0]
        length[0] = (planes.stop - planes.start) * voxel_size[0]
        slab = Roi(Coordinate(begin), Coordinate(length))
        known = _read(truths, masks, slab, finer)[1].data != 0
        for axis, places in enumerate(along):
            others = tuple(other for other in range(known.ndim) if other != axis)
            places[planes if axis == 0 else slice(None)] |= known.any(axis=others)
    if not along[0].any():
        return Roi(roi.begin, roi.shape * 0)
    found = [np.flatnonzero(places) for places in along]
    first = Coordinate(int(places[0]) for places in found)
    last = Coordinate(int(places[-1]) + 1 for places in found)
    return Roi(roi.begin + first * voxel_size, (last - first) * voxel_size)


class _OneChannel:
    """A channel of something sliceable, which is not read before it is asked for."""

    def __init__(self, data: Any, axis: int, place: int) -> None:
        self._data, self._axis, self._place = data, axis, place
        self.shape = tuple(n for i, n in enumerate(data.shape) if i != axis)
        self.dtype = data.dtype

    def __getitem__(self, index: Any, /) -> Any:
        index = index if isinstance(index, tuple) else (index,)
        return self._data[(*index[: self._axis], self._place, *index[self._axis :])]


def _one_channel(array: Array, place: int) -> Array:
    axis = array.data_axes.index(CHANNEL)
    axes = [name for name in array.data_axes if name != CHANNEL]
    return Array(
        _OneChannel(array.data, axis, place),
        axes=axes,
        voxel_size=array.voxel_size,
        offset=array.roi.begin,
        unit=array.unit,
    )


def _all_there(array: Array | None) -> list[Array]:
    return [] if array is None else [array]


def _require_comparable(labels: Array, array: Array, what: str) -> None:
    """Refuse what has other axes than the ground truth, or voxels that are no multiples."""
    if array.dims != labels.dims:
        raise DataError(
            f"{what} has {array.dims} spatial axes and the ground truth {labels.dims}: both must "
            "be 2D or both 3D."
        )
    if not are_multiples(array.voxel_size, labels.voxel_size):
        raise DataError(
            f"{what} has voxels of {array.unit.describe(array.voxel_size)} and the ground truth "
            f"of {labels.unit.describe(labels.voxel_size)}, and neither is a whole multiple of "
            "the other: bring both to the same voxel size."
        )


def _notices(
    truth: GroundTruth | Array,
    channels: Sequence[str],
    labels: Array,
    whole: Roi,
    shared: Roi,
    array: Array,
    what: str,
) -> Iterator[str]:
    """Say which part is scored, and what is compared with what."""
    size = labels.voxel_size
    if shared != whole:
        share = 100 * prod(shared.shape / size) / prod(whole.shape / size)
        yield (
            f"Only {share:.3g} % of the known ground truth lies in the {what} "
            f"({_by(shared.shape / size)} of {_by(whole.shape / size)} voxels): the scores are of "
            "that part."
        )
    full = array.roi.shape
    if any(2 * (b - a) >= v for a, b, v in zip(shared.shape, full, size, strict=True)):
        share = 100 * prod(shared.shape) / prod(full)
        yield (
            f"The ground truth covers only {share:.3g} % of the {what}: the scores are of that "
            "part."
        )
    if array.voxel_size != size:
        yield (
            f"The {what} has voxels of {array.unit.describe(array.voxel_size)} and the ground "
            f"truth of {labels.unit.describe(size)}: each voxel of the ground truth is compared "
            "with the nearest one."
        )
    if isinstance(truth, GroundTruth) and len(channels) > 1:
        names = truth.config.channel_names
        if not set(channels) <= set(names):
            yield (
                f"The channels {', '.join(names)} of the ground truth are taken for "
                f"{', '.join(channels)} of the task, in this order."
            )


def _place(array: Array, roi: Roi) -> str:
    begin, end = array.unit.describe(roi.begin), array.unit.describe(roi.end)
    return f"{begin} to {end}"


def _by(shape: Sequence[int]) -> str:
    return " x ".join(map(str, shape))
