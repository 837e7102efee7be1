"""How much memory training needs."""

from __future__ import annotations

from math import prod

import torch
from torch import Tensor

from napari_dacapo_tasks.architectures import Architecture
from napari_dacapo_tasks.architectures.precision import HALF
from napari_dacapo_tasks.runs.trainer_config import TrainerConfig
from napari_dacapo_tasks.tasks import TaskConfig
from napari_dacapo_tasks.training.optimizers import TENSORS_PER_WEIGHT

FLOAT = 4
"""Bytes of a float32."""

BATCHES_ON_DEVICE = 2
"""The one that is learned from, and the next one."""

IN_FLIGHT = 2
"""Gradients of the largest feature maps that a backward pass holds at a time: of an operation's
output and of its input."""


def memory_estimate(architecture: Architecture, task: TaskConfig, trainer: TrainerConfig) -> int:
    """Estimate how many bytes a step of training takes on the device, without taking them.

    Counted are weights, gradients, the optimizer's memory and the average of the weights; what
    the forward pass keeps for the backward pass (found by running it on tensors without data);
    the gradients that are under way; and the crops. Work space of the library that convolves is
    not known, and not counted.

    Parameters
    ----------
    architecture, task, trainer
        What is to be trained, and how.

    Raises
    ------
    ConfigError
        Where the architecture's input shape does not fit.
    """
    dtype = HALF.get(trainer.execution.precision, torch.float32)
    built = task.task_type(task)
    with torch.device("meta"):  # shapes only: no memory, and no random numbers
        model = built.predictor.create_model(architecture)
    weights = sum(tensor.numel() for tensor in model.state_dict().values())
    copies = 2 + TENSORS_PER_WEIGHT[trainer.optimizer.name]  # themselves and their gradients
    copies += trainer.optimizer.ema_decay is not None
    half = 0 if dtype is torch.float32 else dtype.itemsize
    lasting: int = weights * (FLOAT * copies + half)

    stand_ins = {
        name: torch.empty_like(
            tensor,
            device="meta",
            dtype=dtype if tensor.is_floating_point() else None,
            requires_grad=isinstance(tensor, torch.nn.Parameter),
        )
        for name, tensor in model.chain.state_dict(keep_vars=True).items()
    }
    raw_shape = (1, model.num_in_channels, *model.input_shape)
    raw = torch.empty(raw_shape, device="meta", dtype=dtype)
    own = {_storage(tensor) for tensor in (*stand_ins.values(), raw)}
    kept: dict[int, Tensor] = {}

    def keep(tensor: Tensor) -> Tensor:
        if _storage(tensor) not in own:
            kept[_storage(tensor)] = tensor
        return tensor

    model.chain.train()
    with torch.enable_grad(), torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        prediction: Tensor = torch.func.functional_call(model.chain, stand_ins, (raw,)).float()
        target = torch.empty_like(prediction, requires_grad=False)
        terms = built.loss.terms(prediction, target)
        for term, weight in zip(terms, built.loss.weights(target, target), strict=True):
            (weight * term).sum()
    sizes: list[int] = [tensor.untyped_storage().nbytes() for tensor in kept.values()]
    per_crop = sum(sizes) + IN_FLIGHT * max(sizes, default=0)

    crops = trainer.batch_size * trainer.optimizer.accumulation
    voxels: int = prod(raw_shape) + 2 * prediction.numel()
    return lasting + trainer.batch_size * per_crop + BATCHES_ON_DEVICE * crops * voxels * FLOAT


def _storage(tensor: Tensor) -> int:
    """Give what is the same for all views of one piece of memory."""
    place: int = tensor.untyped_storage()._cdata
    return place
