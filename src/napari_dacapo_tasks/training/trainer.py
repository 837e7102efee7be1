"""A run in training: everything that lasts from one step to the next, and the steps."""

from __future__ import annotations

import math
from collections.abc import Iterator
from time import perf_counter

import torch

from napari_dacapo_tasks.architectures import Model, load_weights
from napari_dacapo_tasks.arrays import NumpyArray
from napari_dacapo_tasks.errors import NonFiniteLossError, RunError
from napari_dacapo_tasks.runs.data import open_data
from napari_dacapo_tasks.runs.run_folder import RunFolder
from napari_dacapo_tasks.tasks import Task
from napari_dacapo_tasks.training.devices import Device
from napari_dacapo_tasks.training.events import CheckpointSaved, Snapshot, Started, Stepped
from napari_dacapo_tasks.training.samples import Sampler


class Trainer:
    """What lasts from one step to the next: model, optimizer, class counts, iteration.

    Parameters
    ----------
    run
        Everything is as in its latest checkpoint, where it has one.
    device
        Where to train.

    Attributes
    ----------
    iteration
        Steps done.
    saved
        Whether a checkpoint has all of them.
    """

    model: Model
    optimizer: torch.optim.Optimizer
    sampler: Sampler

    def __init__(self, run: RunFolder, device: Device) -> None:
        self.run = run
        self.config = run.config.trainer
        self.device = device
        self.data = open_data(run)
        unit = self.data.ground_truth.labels.unit
        task = run.task
        self.task: Task = task.task_type(task.on_grid(unit))
        self.loss = self.task.loss
        self.iteration = 0
        self.saved = True
        self._stepped = False
        resumes = run.latest_checkpoint() is not None
        # A checkpoint has all weights: those that the task began with may be gone by then.
        maker = self.task.predictor if resumes else self.task
        with torch.random.fork_rng(devices=[]):  # the program's own random numbers stay
            torch.default_generator.manual_seed(self.config.seed)
            self.model = maker.create_model(run.config.architecture)
        self.model.place(device.name)
        self.sampler = Sampler(
            self.data,
            self.task,
            self.model.input_shape,
            self.model.output_shape,
            self.model.scale(self.data.raw.voxel_size),
            self.config.seed,
        )
        self.optimizer = torch.optim.Adam(self.model.parameters(), lr=self.config.learning_rate)
        if resumes:
            self._resume()
        run.truncate_statistics(self.iteration)

    def started(self) -> Started:
        """Tell where training begins."""
        return Started(
            iteration=self.iteration,
            iterations=self.config.iterations,
            device=self.device.label,
            parameters=sum(p.numel() for p in self.model.parameters() if p.requires_grad),
        )

    def notices(self) -> Iterator[str]:
        """Tell what a person should know before it begins."""
        raw, labels = self.data.raw, self.data.ground_truth.labels
        if raw.roi != labels.roi:
            used = self.sampler.grid.reachable.shape / labels.voxel_size
            yield (
                "Raw data and ground truth do not cover the same region: training uses the "
                f"{' x '.join(str(n) for n in used)} voxels of ground truth in which the network "
                "can answer."
            )
        yield from self.task.notices
        if self.iteration >= self.config.iterations:
            yield (
                f"The run has done {self.iteration} of {self.config.iterations} iterations: raise "
                "their number to train it further."
            )

    def step(self) -> Stepped:
        """Do one step of training."""
        begun = perf_counter()
        iteration = self.iteration + 1
        self.model.train()
        batch = self.sampler.batch(iteration, self.config.batch_size).to(self._device())
        loss = self.loss.compute(self.model(batch.raw), batch.target, batch.weight)
        value = loss.item()
        if not math.isfinite(value):
            raise self._non_finite(f"the loss became {value} at iteration {iteration}")
        self.optimizer.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        self.optimizer.step()
        self.iteration, self.saved, self._stepped = iteration, False, True
        seconds = perf_counter() - begun
        self.run.append_statistics(iteration, value, seconds)
        return Stepped(iteration, value, seconds)

    def snapshot_is_due(self) -> bool:
        """Whether the interval has passed, or all is done."""
        at_end = self.iteration == self.config.iterations
        return self._stepped and (at_end or self.iteration % self.config.snapshot_interval == 0)

    def snapshot(self) -> Snapshot:
        """Predict the crop that snapshots show, and keep it in the run folder."""
        crop = self.sampler.fixed()
        raw = torch.from_numpy(crop.raw.data).to(self._device())
        self.model.eval()
        with torch.no_grad():
            predicted = self.model(raw[None])[0].cpu().numpy()
        target = crop.target
        prediction = NumpyArray.from_np_array(
            predicted, target.roi, target.voxel_size, target.axes, target.unit
        )
        images = {"raw": crop.raw, "target": target, "weight": crop.weight}
        self.run.save_snapshot(self.iteration, {**images, "prediction": prediction})
        return Snapshot(
            self.iteration, self.task.channels, crop.raw, target, crop.weight, prediction
        )

    def checkpoint_is_due(self) -> bool:
        """Whether there is something to save, and the interval has passed or all is done."""
        at_end = self.iteration == self.config.iterations
        return not self.saved and (at_end or self.iteration % self.config.checkpoint_interval == 0)

    def save(self) -> CheckpointSaved:
        """Save everything that the next step depends on, if it is good."""
        if not all(bool(torch.isfinite(tensor).all()) for tensor in self.model.parameters()):
            raise self._non_finite(f"the weights became infinite at iteration {self.iteration}")
        state = {
            "iteration": self.iteration,
            "model": self.model.chain.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "class_counts": self.sampler.class_counts,
        }
        path = self.run.save_checkpoint(state, self.iteration)
        self.saved = True
        return CheckpointSaved(self.iteration, path)

    def let_go(self) -> None:
        """Drop all that takes memory, whoever still holds this object."""
        del self.model, self.optimizer, self.sampler, self.data

    def _resume(self) -> None:
        state = self.run.load_checkpoint()
        load_weights(self.model, state)
        try:
            self.optimizer.load_state_dict(state["optimizer"])
            self.sampler.class_counts = state["class_counts"]
            self.iteration = int(state["iteration"])
        except (KeyError, ValueError, TypeError) as error:
            raise RunError(
                f"The latest checkpoint of {self.run.path} was not saved by training it: delete "
                f"it to go on from an earlier one ({error})."
            ) from error
        for group in self.optimizer.param_groups:
            group["lr"] = self.config.learning_rate  # it may have been changed since

    def _device(self) -> torch.device:
        return torch.device(self.device.name)

    def _non_finite(self, what: str) -> NonFiniteLossError:
        return NonFiniteLossError(
            f"Training stopped because {what}: lower the learning rate (now "
            f"{self.config.learning_rate:g}); {where_it_goes_on(self.run)}."
        )


def where_it_goes_on(run: RunFolder) -> str:
    """Say from where training goes on after it was ended, as the rest of a sentence."""
    checkpoint = run.latest_checkpoint()
    if checkpoint is None:
        return "nothing was saved yet, so it starts anew"
    return f"it goes on from the last checkpoint, of iteration {int(checkpoint.stem)}"
