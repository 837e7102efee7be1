"""Whether a task, with these parameters, could separate the objects at all.

A network can at best answer the target. So the target is segmented as a prediction would be, and
the result is compared with the ground truth that the target was made of.
"""

from __future__ import annotations

from collections.abc import Generator, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from time import perf_counter
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from napari_dacapo_tasks.arrays import NumpyArray
from napari_dacapo_tasks.errors import ConfigError
from napari_dacapo_tasks.tasks.evaluators.evaluator import Criterion, Scores
from napari_dacapo_tasks.tasks.post_processors.post_processor import (
    Labelling,
    PostProcessorParameters,
    share_of,
)
from napari_dacapo_tasks.tasks.predictors.predictor import like
from napari_dacapo_tasks.tasks.preview import Preview, PreviewProgress
from napari_dacapo_tasks.tasks.task import Task, TaskConfig

if TYPE_CHECKING:
    from napari_dacapo_tasks.numerics.separation import Separation

SEGMENTED, COMPARED = 0.7, 0.85
"""Shares of the work: made the segmentation, compared it object by object; scores come last."""


@dataclass(frozen=True)
class TargetSegmentation:
    """What a perfect prediction is segmented to.

    Attributes
    ----------
    segmentation
        Labels of the shape ``(c, z, y, x)`` in the place of the preview.
    scores
        Of the method's evaluator.
    criteria
        What the scores say.
    seconds
        Time that it took.
    truth_objects, found_objects
        Per channel of the segmentation: the number of objects where the ground truth is known, or
        of classes where the segmentation is one of classes.
    verdict
        The answer in plain words, a sentence for each channel.
    """

    segmentation: NumpyArray
    scores: Scores
    criteria: Sequence[Criterion]
    seconds: float
    truth_objects: tuple[int, ...]
    found_objects: tuple[int, ...]
    verdict: str


@dataclass(frozen=True)
class _Compared:
    """One channel: its truth for the evaluator, the numbers of objects, and the answer."""

    truth: NDArray[Any]
    objects: int
    found: int
    sentence: str


def segment_target(
    config: TaskConfig, preview: Preview, method: int, parameters: PostProcessorParameters
) -> Iterator[PreviewProgress | TargetSegmentation]:
    """Segment and score a preview's target; the last thing that comes is the result.

    Instances are compared with the ids of the ground truth, each as far as it hangs together in
    the preview's region (see `separation`); foreground with whether there is any id; classes with
    the ids, without voxels whose id is no class. Voxels that are not known do not count. To
    cancel, leave the generator.

    Parameters
    ----------
    config
        That of the preview.
    preview
        What it is about.
    method
        Index of one of the task's methods.
    parameters
        Of its post-processor.

    Raises
    ------
    ConfigError
        Where the task knows no way to a segmentation.
    UserError
        Where the post-processor or the evaluator refuses.
    """
    begun = perf_counter()
    task = config.task_type(config.on_grid(preview.gt.unit))
    if not task.methods:
        raise ConfigError(f"The task {config.name} has no way to make a segmentation.")
    way = task.methods[method]
    segmentation = yield from _segment(
        way.post_processor.segment(preview.target, parameters), "Segmenting the target"
    )
    yield PreviewProgress(SEGMENTED, "Comparing the objects")
    known = preview.known.data != 0
    labelling = way.post_processor.labelling
    if labelling is Labelling.CLASSES:
        known &= preview.gt.data[0] < len(preview.channels)
    as_object = bool(getattr(task.predictor, "background_as_object", False))
    compared = [
        _compare(labelling, ids, labels, known, as_object)
        for ids, labels in zip(preview.gt.data, segmentation.data, strict=True)
    ]
    yield PreviewProgress(COMPARED, "Scoring")
    truth = like(segmentation, np.stack([channel.truth for channel in compared]))
    mask = NumpyArray.from_np_array(
        known.astype(np.uint8),
        preview.known.roi,
        preview.known.voxel_size,
        preview.known.axes,
        preview.known.unit,
    )
    scores = way.evaluator.evaluate(segmentation, truth, mask)
    names = config.ground_truth_channels if len(compared) > 1 else [""]
    yield TargetSegmentation(
        segmentation=segmentation,
        scores=scores,
        criteria=way.evaluator.criteria,
        seconds=perf_counter() - begun,
        truth_objects=tuple(channel.objects for channel in compared),
        found_objects=tuple(channel.found for channel in compared),
        verdict=" ".join(
            f"{name}: {channel.sentence}" if name else channel.sentence
            for name, channel in zip(names, compared, strict=True)
        ),
    )


def usual_method(task: Task, gt: NumpyArray) -> int:
    """Choose the method to begin with: instances where a channel holds more than one id.

    Parameters
    ----------
    task
        Any.
    gt
        Ids, with a channel axis.
    """
    for index, method in enumerate(task.methods):
        if method.post_processor.labelling is Labelling.INSTANCES:
            several = any(bool(((ids != 0) & (ids != ids.max())).any()) for ids in gt.data)
            return index if several else 0
    return 0


def _segment(
    steps: Generator[float, None, NumpyArray], doing: str
) -> Generator[PreviewProgress, None, NumpyArray]:
    scaled = share_of(steps, 0.0, SEGMENTED)
    with closing(scaled):
        while True:
            try:
                yield PreviewProgress(next(scaled), doing)
            except StopIteration as end:
                segmentation: NumpyArray = end.value
                return segmentation


def _compare(
    labelling: Labelling,
    ids: NDArray[Any],
    labels: NDArray[Any],
    known: NDArray[np.bool_],
    background_as_object: bool,
) -> _Compared:
    """Compare one channel."""
    # They load compiled loops.
    from napari_dacapo_tasks.numerics.components import connected_components
    from napari_dacapo_tasks.numerics.separation import separation

    if labelling is Labelling.CLASSES:
        truth = np.where(known, ids, ids.dtype.type(0))  # what is no class is not known
        highest = int(max(truth.max(initial=0), labels.max(initial=0)))
        present, found = (
            sum(bool(((which == one) & known).any()) for one in range(highest + 1))
            for which in (truth, labels)
        )
        return _Compared(truth, present, found, _voxels_right(truth, labels, known))
    if labelling is Labelling.FOREGROUND:
        truth = (ids != 0).astype(np.uint8)
        apart = separation(ids, connected_components(labels)[0], known)
        said = _voxels_right(truth, labels, known)
        if apart.merged:
            said += (
                f" But {apart.merged} of {apart.objects} objects touch others and are one with "
                "them: only a method that finds instances tells them apart."
            )
        return _Compared(truth, apart.objects, apart.found, said)
    apart = separation(ids, labels, known, background_as_object=background_as_object)
    return _Compared(apart.truth, apart.objects, apart.found, _objects_apart(apart))


def _voxels_right(truth: NDArray[Any], labels: NDArray[Any], known: NDArray[np.bool_]) -> str:
    wrong = np.count_nonzero((truth != labels) & known)
    if not wrong:
        return "Every voxel comes out right."
    return f"{100 * wrong / np.count_nonzero(known):.2g} % of the voxels come out wrong."


def _objects_apart(apart: Separation) -> str:
    if not apart.objects:
        return "There is no object in this region."
    if not apart.wrong:
        if apart.objects == 1:
            return "The only object comes out whole."
        return f"All {apart.objects} objects come apart."
    flaws = [
        f"{number} {'is' if number == 1 else 'are'} {what}"
        for number, what in (
            (apart.merged, "merged with others"),
            (apart.split, "split"),
            (apart.lost, "lost"),
        )
        if number
    ]
    if apart.objects == 1:
        return f"The only object does not come out whole: it {flaws[0][2:]}."
    do, largest = ("does", "it has") if apart.wrong == 1 else ("do", "the largest of them has")
    voxels = "1 voxel" if apart.largest_wrong == 1 else f"{apart.largest_wrong} voxels"
    return (
        f"{apart.wrong} of {apart.objects} objects {do} not come apart: {', '.join(flaws)}; "
        f"{largest} {voxels}."
    )
