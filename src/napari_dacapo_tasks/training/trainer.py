"""A run in training: everything that lasts from one step to the next, and the steps."""

from __future__ import annotations

import gc
import math
from collections.abc import Generator, Iterator, Mapping
from contextlib import closing
from time import perf_counter
from typing import Any

import torch

from napari_dacapo_tasks.architectures.devices import GIGABYTE, Device
from napari_dacapo_tasks.arrays import Array, NumpyArray
from napari_dacapo_tasks.errors import NonFiniteLossError, RunError
from napari_dacapo_tasks.runs.data import open_data
from napari_dacapo_tasks.runs.run_folder import RunFolder
from napari_dacapo_tasks.runs.scores import Score
from napari_dacapo_tasks.runs.statistics import Statistic
from napari_dacapo_tasks.tasks import Task
from napari_dacapo_tasks.training.events import (
    CheckpointSaved,
    Notice,
    Snapshot,
    Started,
    Stepped,
    Validated,
    Validating,
)
from napari_dacapo_tasks.training.execution import deterministic
from napari_dacapo_tasks.training.learner import Learner
from napari_dacapo_tasks.training.loader import Loader
from napari_dacapo_tasks.training.memory import memory_estimate
from napari_dacapo_tasks.training.optimizers import learning_rate
from napari_dacapo_tasks.training.samples import Sampler, Shapes
from napari_dacapo_tasks.training.standing import NO_VALIDATION, Standing
from napari_dacapo_tasks.training.world import World

SECOND_TRY = 0.5
"""Factor of the learning rate after the loss became NaN or infinite."""


class Trainer:
    """What lasts from one step to the next: the learner, its batches, iteration and scores.

    Parameters
    ----------
    run
        Everything is as in its latest checkpoint, where it has one.
    device
        Where to train.
    world
        The processes that train it together; only the main one writes.
    in_memory
        Arrays by their paths in the config, which are used instead of the files there.

    Attributes
    ----------
    iteration
        Steps done.
    saved
        Whether a checkpoint has all of them.
    rate_factor
        Of the learning rate: `SECOND_TRY` after the loss was not finite.
    """

    learner: Learner
    loader: Loader
    iteration: int
    saved: bool
    rate_factor: float
    class_counts: Any

    def __init__(
        self,
        run: RunFolder,
        device: Device,
        world: World,
        in_memory: Mapping[str, Array] | None = None,
    ) -> None:
        self.run = run
        self.config = run.config.trainer
        self.device = device
        self.world = world
        data = open_data(run, in_memory)
        task = run.task
        unit = data.train[0].ground_truth.labels.unit
        self.task: Task = task.task_type(task.on_grid(unit))
        self._told: set[str] = set()
        self._set_up()
        self.sampler = Sampler(
            data,
            self.task,
            Shapes.of(self.learner.model, data.train[0].raw.voxel_size),
            self.config,
            run.config.data.sampling,
            device.name,
        )
        self.standing = Standing(data, self.task, self.config)
        self._begin()

    @property
    def is_done(self) -> bool:
        """Whether all iterations are done."""
        return self.iteration >= self.config.iterations

    def started(self) -> Started:
        """Tell where training begins."""
        return Started(
            iteration=self.iteration,
            iterations=self.config.iterations,
            device=self.device.label,
            parameters=self.learner.parameters,
        )

    def first_notices(self) -> Iterator[str]:
        """Tell what a person should know before it begins."""
        yield from self.task.notices
        yield from self.sampler.data.notices
        yield from self.notices()
        config = self.run.config
        needed = memory_estimate(config.architecture, config.task, self.config)
        if needed > self.device.free_memory:
            yield (
                f"Training needs about {needed / GIGABYTE:.1f} GB of memory, and "
                f"{self.device.free_memory / GIGABYTE:.1f} GB are free on {self.device.name}: if "
                "that does not suffice, it goes on with fewer crops at once, or stops and says so."
            )
        if self.standing.needs_validation and not self.standing.can_validate:
            yield NO_VALIDATION
        if self.is_done:
            yield (
                f"The run has done {self.iteration} of {self.config.iterations} iterations: raise "
                "their number to train it further."
            )

    def notices(self) -> Iterator[str]:
        """Tell what a person should know and was not told yet."""
        for told in (self.learner.notices(), self.sampler.notices(), self.standing.notices()):
            for text in told:
                if text not in self._told:
                    self._told.add(text)
                    yield text

    # Steps

    def step(self) -> Stepped:
        """Do one step of training.

        Raises
        ------
        NonFiniteLossError
            Where the loss is not finite; nothing has changed then.
        """
        begun = perf_counter()
        iteration = self.iteration + 1
        batch = self.loader.take(iteration)
        rate = self.rate_factor * learning_rate(self.config, iteration)
        loss = self.learner.learn(batch, rate, iteration)
        if not math.isfinite(loss):
            raise self._non_finite(f"the loss became {loss} at iteration {iteration}")
        self.class_counts = batch.class_counts
        self.iteration, self.saved, self._stepped = iteration, False, True
        seconds = perf_counter() - begun
        if self.world.is_main:
            self.run.append_statistics(Statistic(iteration, loss, seconds, batch.waited, rate))
        return Stepped(iteration, loss, seconds, batch.waited, rate)

    @property
    def may_go_back(self) -> bool:
        """Whether that was not done before."""
        return self.rate_factor == 1.0

    def go_back(self) -> Notice:
        """Go on from the last good state with a lower rate."""
        micro_batch = self.learner.micro_batch
        self._let_go_of_learner()
        self._set_up()
        self.learner.micro_batch = micro_batch
        self.rate_factor = SECOND_TRY
        self._begin()
        return Notice(
            f"The loss or the weights became NaN or infinite: training goes back to iteration "
            f"{self.iteration}, and on with {SECOND_TRY:g} of the learning rate "
            f"({SECOND_TRY * self.config.learning_rate:g})."
        )

    # Snapshots

    def snapshot_is_due(self) -> bool:
        """Whether the interval has passed, or all is done."""
        passed = self.is_done or self.iteration % self.config.snapshot_interval == 0
        return self._stepped and passed

    def snapshot(self) -> Snapshot:
        """Predict the crop that snapshots show, and keep it in the run folder."""
        crop = self.sampler.fixed()
        raw = torch.from_numpy(crop.raw.data).to(self.device.name)
        with (
            self.learner.predicting() as model,
            deterministic(self.config.execution.deterministic),
            torch.no_grad(),
            self.learner.precision.autocast(),
        ):
            predicted = model(raw[None])[0].float().cpu().numpy()
        target = crop.target
        prediction = NumpyArray.from_np_array(
            predicted, target.roi, target.voxel_size, target.axes, target.unit
        )
        images = {"raw": crop.raw, "target": target, "weight": crop.weight}
        self.run.save_snapshot(self.iteration, {**images, "prediction": prediction})
        return Snapshot(
            self.iteration, self.task.channels, crop.raw, target, crop.weight, prediction
        )

    # Validation

    def validation_is_due(self) -> bool:
        """Whether the interval has passed, or all is done, and there is no score of it yet."""
        return self.standing.is_due(self.iteration, self.is_done)

    def validate(
        self,
    ) -> Generator[Validating | Validated | CheckpointSaved | Notice, None, None]:
        """Score the network, once in an iteration; one of the best ones is kept."""
        if not self.standing.can_validate:
            yield Notice(NO_VALIDATION)
            return
        if self.standing.knows(self.iteration):
            return
        with closing(self.standing.validate(self.learner, self.iteration)) as steps:
            while True:
                try:
                    share = next(steps)
                except StopIteration as stop:
                    score: Score = stop.value
                    break
                yield Validating(self.iteration, share)
        # Their checkpoint is older than the score, or is not there when training is killed now:
        # then it goes on from before, and validates again.
        self.run.append_score(score)
        yield Validated(self.iteration, score, self.standing.add(score))
        if self.iteration in self.standing.best() and not self.saved:
            yield self.save()

    # Checkpoints

    def checkpoint_is_due(self) -> bool:
        """Whether the interval has passed, or all is done."""
        return self.is_done or self.iteration % self.config.checkpoint_interval == 0

    def check_weights(self) -> None:
        """Refuse weights that are not finite, with a NonFiniteLossError."""
        if not self.learner.is_finite():
            raise self._non_finite(f"the weights became infinite at iteration {self.iteration}")

    def save(self) -> CheckpointSaved:
        """Save everything that the next step depends on, if it is good."""
        self.check_weights()
        state = {
            "iteration": self.iteration,
            **self.learner.state(),
            "class_counts": self.class_counts,
            "learning_rate": self.config.learning_rate,
            "rate_factor": self.rate_factor,
        }
        path = self.run.save_checkpoint(
            state, self.iteration, kept=self.config.checkpoints_kept, best=self.standing.best()
        )
        self.saved = True
        return CheckpointSaved(self.iteration, path)

    def let_go(self) -> None:
        """Drop all that takes memory, whoever still holds this object."""
        self._let_go_of_learner()
        del self.sampler, self.standing

    def _let_go_of_learner(self) -> None:
        held = vars(self)  # after going back failed there is but a part of it
        if "loader" in held:
            self.loader.close()
        for name in ("learner", "loader"):
            held.pop(name, None)
        if self.config.execution.compile:
            gc.collect()  # what is compiled refers to itself

    def _set_up(self) -> None:
        """Make the learner as in the latest checkpoint, or as it is in the beginning."""
        self.iteration = 0
        self.rate_factor = 1.0
        self.class_counts = None
        self.saved, self._stepped = True, False
        resumes = self.run.latest_checkpoint() is not None
        # A checkpoint has all weights: those that the task began with may be gone by then.
        maker = self.task.predictor if resumes else self.task
        with torch.random.fork_rng(devices=[]):  # the program's own random numbers stay
            torch.default_generator.manual_seed(self.config.seed)
            model = maker.create_model(self.run.config.architecture)
        self.learner = Learner(model, self.task.loss, self.config, self.device.name, self.world)
        if resumes:
            self._resume()

    def _resume(self) -> None:
        state = self.run.load_checkpoint()
        try:
            self.learner.load(state)
            self.class_counts = state["class_counts"]
            self.iteration = int(state["iteration"])
            if state["learning_rate"] == self.config.learning_rate:  # else a better one was chosen
                self.rate_factor = float(state["rate_factor"])
        except (KeyError, ValueError, TypeError) as error:
            raise RunError(
                f"The latest checkpoint of {self.run.path} was not saved by training it: delete "
                f"it to go on from an earlier one ({error})."
            ) from error

    def _begin(self) -> None:
        """Forget what came after the present iteration, and have the next batches made."""
        self.world.barrier()  # nobody reads a checkpoint any more
        if self.world.is_main:
            self.run.truncate(self.iteration)
            self.standing.scores = self.run.scores()
        self.loader = Loader(
            self.sampler,
            self.config.batch_size * self.config.optimizer.accumulation,
            first=self.iteration + 1,
            class_counts=self.class_counts,
            world=self.world,
            workers=self.config.execution.workers,
            device=self.device.name,
            last=self.config.iterations,
        )

    def _non_finite(self, what: str) -> NonFiniteLossError:
        rate = self.rate_factor * self.config.learning_rate
        # Its largest number is 65504, and feature maps may go beyond.
        is_narrow = self.learner.precision.dtype is torch.float16
        other = ", or choose another precision than float16" if is_narrow else ""
        return NonFiniteLossError(
            f"Training stopped because {what}: lower the learning rate (now {rate:g}){other}; "
            f"{where_it_goes_on(self.run)}."
        )


def where_it_goes_on(run: RunFolder) -> str:
    """Say from where training goes on after it was ended, as the rest of a sentence."""
    checkpoint = run.latest_checkpoint()
    if checkpoint is None:
        return "nothing was saved yet, so it starts anew"
    return f"it goes on from the last checkpoint, of iteration {int(checkpoint.stem)}"
