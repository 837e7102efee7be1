"""What a network is worth on the volumes that are kept for that."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from contextlib import AbstractContextManager, nullcontext
from math import isfinite, nan
from time import perf_counter
from typing import TypeVar

import numpy as np
import torch
from numpy.typing import NDArray

from napari_dacapo_tasks.architectures import Model
from napari_dacapo_tasks.architectures.out_of_memory import (
    MEMORY_ERRORS,
    free_memory,
    is_out_of_memory,
)
from napari_dacapo_tasks.architectures.tiles import Tiles
from napari_dacapo_tasks.arrays import NumpyArray
from napari_dacapo_tasks.errors import UserError
from napari_dacapo_tasks.evaluation.truth import truth_for
from napari_dacapo_tasks.numerics.threads import slices
from napari_dacapo_tasks.runs.data import Volume
from napari_dacapo_tasks.runs.scores import Score, criterion_of, mean_of
from napari_dacapo_tasks.runs.trainer_config import ValidationConfig
from napari_dacapo_tasks.tasks import Task
from napari_dacapo_tasks.tasks.evaluators.evaluator import Scores
from napari_dacapo_tasks.tasks.post_processors.post_processor import share_of
from napari_dacapo_tasks.training.scored_region import (
    Aim,
    ScoredRegion,
    predicted,
    scored_region,
)

Result = TypeVar("Result")

MOST_VALUES = 2**26
"""Voxels times channels of what is scored of a volume, since all of it lies in memory: a quarter
of a gigabyte, and some times that with target, weight and segmentation."""

MOST_AFFINITIES = 2**25
"""The same for affinities alone: an early network answers with noise, of which a mutex watershed
takes 0.8 to 1.9 microseconds and 80 bytes an affinity (measured on 40 x 250 x 250 voxels: 14
seconds with 3 offsets, 18 to 38 with 9), so this is a minute and 2.7 GB at worst."""

KEPT_BYTES = 2**29
"""Targets and weights of all volumes together that are kept from one validation to the next."""

SLAB_VALUES = 2**22
"""That a loss is computed of at a time."""

PREDICTED, AIMED, COMPARED, SEGMENTED = 0.7, 0.72, 0.75, 0.95
"""Shares of the work of a volume: it is predicted, it has a target, a loss, a segmentation."""

POLL_SECONDS = 0.05
"""Between two looks at work that cannot be left in its middle."""


class Validator:
    """Scores a network on whole volumes.

    What lies in a volume beyond the sight of the network, as raw data ends too soon, is left out,
    and of a very large volume all but its middle; `notices` say so. What is unknown counts
    nowhere.

    Parameters
    ----------
    volumes
        At least one.
    task
        Built with lengths in grid steps; its usual method is scored, with default parameters.
    intensity_range
        Raw values that the network sees as -1 and 1.
    config
        Says which score decides.

    Attributes
    ----------
    criterion
        That score; it knows which of two values is better.

    Raises
    ------
    ConfigError
        Where the task has no such score.
    """

    def __init__(
        self,
        volumes: Sequence[Volume],
        task: Task,
        intensity_range: tuple[float, float],
        config: ValidationConfig,
    ) -> None:
        assert volumes, "without a volume there is no score"
        self.volumes = tuple(volumes)
        self.task = task
        self.intensity_range = intensity_range
        self.criterion = criterion_of(task, config.criterion)
        self._method = task.methods[0] if task.methods else None
        self._loss = task.loss
        self._regions: list[ScoredRegion] = []
        self._aims: dict[int, Aim] = {}
        self._small_tiles = False
        self._told: dict[str, bool] = {}

    def validate(
        self,
        model: Model,
        iteration: int = 0,
        autocast: Callable[[], AbstractContextManager[object]] = nullcontext,
    ) -> Generator[float, None, Score]:
        """Score a network; to cancel, leave the generator.

        A volume that cannot be read, segmented or scored has no scores, and a notice says why.

        Parameters
        ----------
        model
            On the device that shall do it, with the weights that count. Its mode comes back.
        iteration
            Steps done.
        autocast
            Gives the context for a forward pass.

        Yields
        ------
        float
            Share that is done.

        Returns
        -------
        Score
            Of all volumes; the value and the loss are averages of those of the volumes, and NaN
            where no volume has any.
        """
        begun = perf_counter()
        regions = self._all_regions(model)
        voxels = sum(region.voxels for region in regions)
        scores: dict[str, Scores] = {}
        losses = []
        done = 0
        yield 0.0
        for number, region in enumerate(regions):
            if region.voxels == 0:
                continue
            after = done + region.voxels
            loss, found = yield from share_of(
                self._score(number, model, autocast), done / voxels, after / voxels
            )
            done = after
            losses.append(loss)
            scores[self._name_of(number)] = found
        defined = [loss for loss in losses if isfinite(loss)]
        loss = sum(defined) / len(defined) if defined else nan
        name = self.criterion.name
        return Score(
            iteration=iteration,
            criterion=name,
            value=loss if name == "loss" else mean_of(scores, name),
            loss=loss,
            scores=scores,
            method=self._method.title if self._method is not None else "",
            seconds=perf_counter() - begun,
        )

    def notices(self) -> Iterator[str]:
        """Give what a person should know, each sentence once; new ones after each validation."""
        for text, told in self._told.items():
            if not told:
                self._told[text] = True
                yield text

    def _note(self, text: str) -> None:
        self._told.setdefault(text, False)

    def _name_of(self, number: int) -> str:
        """Give a volume's name, with a number where others have the same."""
        names = [volume.name for volume in self.volumes]
        same = names[:number].count(names[number])
        return f"{names[number]} {same + 1}" if same else names[number]

    def _all_regions(self, model: Model) -> list[ScoredRegion]:
        """Choose what is scored, once: another model of the same task sees as far."""
        if not self._regions:
            tiles = Tiles(model)
            most = self._most_voxels(model)
            self._regions = [scored_region(volume, tiles, most) for volume in self.volumes]
            for region in self._regions:
                for text in region.notices():
                    self._note(text)
        return self._regions

    def _most_voxels(self, model: Model) -> int:
        most = MOST_VALUES // model.num_out_channels
        if self._method is None:
            return most
        offsets = getattr(self._method.post_processor, "neighborhood", None)
        return most if offsets is None else min(most, MOST_AFFINITIES // len(offsets))

    def _score(
        self,
        number: int,
        model: Model,
        autocast: Callable[[], AbstractContextManager[object]],
    ) -> Generator[float, None, tuple[float, Scores]]:
        """Give loss and scores of a volume, as far as there are any."""
        region = self._regions[number]
        loss, scores = nan, {}
        try:
            answers = yield from share_of(self._predict(region, model, autocast), 0.0, PREDICTED)
            aim = yield from share_of(self._aim(number, region), PREDICTED, AIMED)
            loss = yield from share_of(self._compare(answers, aim), AIMED, COMPARED)
            if self._method is not None:
                _activate(model, answers)
                prediction = region.placed(answers)
                segmentation = yield from share_of(
                    self._method.post_processor.segment(
                        prediction, self._method.post_processor.default
                    ),
                    COMPARED,
                    SEGMENTED,
                )
                scores = yield from share_of(
                    _beside(lambda: self._evaluate(region, segmentation)), SEGMENTED, 1.0
                )
        except UserError as error:
            self._note(f"The volume {region.volume.name} is not scored: {error}")
        except MemoryError:
            self._note(
                f"The volume {region.volume.name} is not scored: the memory of this machine does "
                "not suffice; validate on a smaller volume."
            )
        return loss, scores

    def _predict(
        self,
        region: ScoredRegion,
        model: Model,
        autocast: Callable[[], AbstractContextManager[object]],
    ) -> Generator[float, None, NDArray[np.float32]]:
        """Predict in the largest tiles for which there is memory."""
        if not self._small_tiles:
            try:
                return (
                    yield from predicted(
                        region, model, Tiles(model), self.intensity_range, autocast
                    )
                )
            except MEMORY_ERRORS as error:
                if not is_out_of_memory(error) or isinstance(error, MemoryError):
                    raise
                free_memory(next(model.parameters()).device.type, error)
            self._small_tiles = True
            self._note(
                "Validation uses tiles of the training input's size, since memory does not suffice "
                "for eval_shape_increase."
            )
        tiles = Tiles(model, model.input_shape)
        return (yield from predicted(region, model, tiles, self.intensity_range, autocast))

    def _aim(self, number: int, region: ScoredRegion) -> Generator[float, None, Aim]:
        if number in self._aims:
            return self._aims[number]
        aim = yield from _beside(lambda: Aim.of(region, self.task))
        if aim.size + sum(kept.size for kept in self._aims.values()) <= KEPT_BYTES:
            self._aims[number] = aim
        return aim

    def _compare(self, answers: NDArray[np.float32], aim: Aim) -> Generator[float, None, float]:
        """Give the loss, summed up slab by slab; the same as of all at once."""
        parts = slices(answers.shape[1], answers.size, SLAB_VALUES)
        tensors = [
            [
                torch.from_numpy(values[:, part])[None]
                for values in (answers, aim.target, aim.weight)
            ]
            for part in parts
        ]
        counts = [self._loss.counts(target, weight) for _, target, weight in tensors]
        whole = tuple(torch.stack(term).sum() for term in zip(*counts, strict=True))
        loss = 0.0
        for done, (answer, target, weight) in enumerate(tensors):
            yield done / len(tensors)
            with torch.no_grad():
                loss += float(self._loss.compute(answer, target, weight, whole))
        return loss

    def _evaluate(self, region: ScoredRegion, segmentation: NumpyArray) -> Scores:
        assert self._method is not None, "there is a segmentation"
        evaluator = self._method.evaluator
        truth, mask = truth_for(
            region.volume.ground_truth, region.roi, segmentation, self._method, self.task
        )
        scores = evaluator.evaluate(segmentation, truth, mask)
        lengths = {one.name for one in evaluator.criteria if one.unit == "world"}
        steps = truth.unit.steps
        return {
            channel: {
                name: value / steps if name in lengths else value for name, value in values.items()
            }
            for channel, values in scores.items()
        }


def _beside(work: Callable[[], Result]) -> Generator[float, None, Result]:
    """Do work that takes seconds in a thread, so that whoever waits can leave at any time.

    What was left ends by itself, and nobody sees what comes of it.
    """
    pool = ThreadPoolExecutor(1)
    try:
        future = pool.submit(work)
        while not wait([future], POLL_SECONDS).done:
            yield 0.0
        return future.result()
    finally:
        pool.shutdown(wait=False)


def _activate(model: Model, answers: NDArray[np.float32]) -> None:
    """Turn what losses take into what segmentations are made of, in place."""
    if model.eval_activation is None:
        return
    device = next(model.parameters()).device
    for part in slices(answers.shape[1], answers.size, SLAB_VALUES):
        slab = torch.from_numpy(answers[:, part])[None].to(device)
        with torch.no_grad():
            answers[:, part] = model.eval_activation(slab)[0].cpu().numpy()
