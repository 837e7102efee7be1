"""The network that learns, with everything that changes it in a step."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from typing import Any

import torch
from torch import Tensor

from napari_dacapo_tasks.architectures import Model, load_weights
from napari_dacapo_tasks.architectures.out_of_memory import (
    MEMORY_ERRORS,
    free_memory,
    is_out_of_memory,
)
from napari_dacapo_tasks.runs.trainer_config import TrainerConfig
from napari_dacapo_tasks.tasks.losses.loss import Counts, Loss
from napari_dacapo_tasks.training.averaging import Averaging
from napari_dacapo_tasks.training.execution import deterministic, without_effect
from napari_dacapo_tasks.training.frozen import frozen_encoder
from napari_dacapo_tasks.training.loader import Batch
from napari_dacapo_tasks.training.optimizers import make_optimizer, restore
from napari_dacapo_tasks.training.precision import Precision
from napari_dacapo_tasks.training.world import World

Forward = Callable[[Tensor], Tensor]


class Learner:
    """A model with optimizer, average of weights and precision: what a step changes.

    Parameters
    ----------
    model
        On the CPU; it is moved.
    loss
        What is made small.
    config
        How it learns.
    device
        Where, as torch calls it.
    world
        The processes that learn the same together, each from its own crops.

    Attributes
    ----------
    micro_batch
        Crops that go through the network at a time; fewer after memory did not suffice.
    """

    def __init__(
        self, model: Model, loss: Loss, config: TrainerConfig, device: str, world: World
    ) -> None:
        execution = config.execution
        self.model = model.place(device, execution.channels_last)
        self.loss = loss
        self.config = config
        self.device = device
        self.world = world
        self.micro_batch = config.batch_size
        self._encoder = frozen_encoder(model) if config.freeze_encoder else None
        self._trained = {n: p for n, p in model.chain.named_parameters() if p.requires_grad}
        self.optimizer = make_optimizer(config.optimizer, self._trained.values())
        decay = config.optimizer.ema_decay
        self.average = None if decay is None else Averaging(model.chain, decay)
        self.precision = Precision(execution, device)
        self._told = [*without_effect(execution, model, device)]
        if self.precision.notice is not None:
            self._told.append(self.precision.notice)
        self._compiled: Forward | None = self._compile() if execution.compile else None

    @property
    def parameters(self) -> int:
        """Number of weights that are trained."""
        return sum(parameter.numel() for parameter in self._trained.values())

    def notices(self) -> Iterator[str]:
        """Tell what a person should know and was not told yet."""
        while self._told:
            yield self._told.pop(0)

    def learn(self, batch: Batch, rate: float, iteration: int) -> float:
        """Do a step.

        Parameters
        ----------
        batch
            Crops on the device, all that this process adds to the step.
        rate
            Learning rate.
        iteration
            Number of the step.

        Returns
        -------
        float
            The loss over the crops of all processes. If that is not finite, nothing has changed.
        """
        with deterministic(self.config.execution.deterministic):
            counts = self.loss.counts(batch.target, batch.weight)
            self.world.add_up(counts)
            before = [buffer.clone() for buffer in self.model.buffers()]
            while (loss := self._tried(batch, counts)) is None:
                self._put_back(before)
            self.world.add_up([loss])
            value = loss.item()
            if math.isfinite(value):
                self._change(rate, iteration)
            else:
                self._put_back(before)
            self.optimizer.zero_grad(set_to_none=True)
        return value

    @contextmanager
    def predicting(self) -> Iterator[Model]:
        """Give the model as it predicts: in eval mode, with the average where there is one."""
        averaged = nullcontext() if self.average is None else self.average.in_place()
        training = self.model.training
        with averaged:
            self.model.eval()
            try:
                yield self.model
            finally:
                self.model.train(training)

    def is_finite(self) -> bool:
        """Say whether all weights and running statistics are finite."""
        tensors = self.model.state_dict().values()
        return all(bool(torch.isfinite(tensor).all()) for tensor in tensors)

    def state(self) -> dict[str, Any]:
        """Give all that the next step depends on, as plain values and tensors."""
        state: dict[str, Any] = {
            "model": self.model.chain.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "optimizer_name": self.config.optimizer.name,
            "trained": list(self._trained),
            "scaler": self.precision.scaler.state_dict(),
        }
        if self.average is not None:
            state["ema"] = self.average.state()
        return state

    def load(self, state: Mapping[str, Any]) -> None:
        """Go on from a state, as far as the config still has the same parts.

        Raises
        ------
        DataError, ConfigError
            Where the weights are damaged or those of another network.
        KeyError, TypeError, ValueError
            Where it is no state of a learner.
        """
        load_weights(self.model, state)
        if state["optimizer_name"] == self.config.optimizer.name:
            restore(self.optimizer, state["optimizer"], state["trained"], list(self._trained))
        else:
            self._told.append(
                f"The optimizer was {state['optimizer_name']} and is "
                f"{self.config.optimizer.name} now: it begins anew, the weights stay."
            )
        if state["scaler"] and self.precision.scaler.is_enabled():
            self.precision.scaler.load_state_dict(state["scaler"])
        if self.average is not None:
            self.average.load(state.get("ema"))

    def _tried(self, batch: Batch, counts: Counts) -> Tensor | None:
        """Find loss and gradients; None where it is to be tried again, with less at once."""
        try:
            return self._passed(batch, counts)
        except MEMORY_ERRORS as error:
            if is_out_of_memory(error):
                if self.micro_batch == 1:
                    raise
                self.micro_batch = min(self.micro_batch, len(batch.raw)) // 2 or 1
                self._told.append(
                    f"The memory of {self.device} does not suffice for so many crops at once: "
                    f"from now on {self.micro_batch} at a time go through the network, with the "
                    "same result."
                )
            elif self._compiled is not None:
                self._give_up_compiling(error)
            else:
                raise
            self.optimizer.zero_grad(set_to_none=True)
            free_memory(self.device, error)
            return None

    def _put_back(self, buffers: Sequence[Tensor]) -> None:
        """Undo what passes changed: running statistics."""
        for buffer, before in zip(self.model.buffers(), buffers, strict=True):
            buffer.copy_(before)

    def _passed(self, batch: Batch, counts: Counts) -> Tensor:
        """Add up loss and gradients of all micro-batches."""
        self.model.train()
        if self._encoder is not None:
            self._encoder.eval()  # running statistics stay, too
        self.optimizer.zero_grad(set_to_none=True)
        total = torch.zeros((), device=self.device)
        for begin in range(0, len(batch.raw), self.micro_batch):
            part = slice(begin, begin + self.micro_batch)
            with self.precision.autocast():
                prediction = self._forward(batch.raw[part])
            loss = self.loss.compute(
                prediction.float(), batch.target[part], batch.weight[part], counts
            )
            self.precision.scaler.scale(loss).backward()  # type: ignore[no-untyped-call]
            total += loss.detach()
        return total

    def _change(self, rate: float, iteration: int) -> None:
        """Let the gradients change the weights."""
        self.world.add_gradients(self.model)
        for group in self.optimizer.param_groups:
            group["lr"] = rate
        norm = self.config.optimizer.clip_norm
        if norm is not None:
            self.precision.scaler.unscale_(self.optimizer)
            torch.nn.utils.clip_grad_norm_(self._trained.values(), norm)
        self.precision.scaler.step(self.optimizer)
        self.precision.scaler.update()
        if self.average is not None:
            self.average.update(iteration)

    def _forward(self, raw: Tensor) -> Tensor:
        return self.model(raw) if self._compiled is None else self._compiled(raw)

    def _compile(self) -> Forward | None:
        try:
            compiled: Forward = torch.compile(self.model)
        except RuntimeError as error:
            self._give_up_compiling(error)
            return None
        return compiled

    def _give_up_compiling(self, error: BaseException) -> None:
        self._compiled = None
        reason = str(error).strip().splitlines()[0]
        self._told.append(
            f"PyTorch could not compile the network, so it is trained as it is ({reason})."
        )
