"""What changes the weights in a step, and by how much."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any

import torch

from napari_dacapo_tasks.runs.trainer_config import OptimizerConfig, TrainerConfig

MOMENTUM = 0.9
"""Of SGD: the usual one, with which it moves about ten times as far as one gradient says."""

KINDS: dict[str, tuple[type[torch.optim.Optimizer], dict[str, Any]]] = {
    "AdamW": (torch.optim.AdamW, {}),
    "Adam": (torch.optim.Adam, {}),
    # Decoupled as in AdamW: the decay is then no part of the gradients that are averaged.
    "RAdam": (torch.optim.RAdam, {"decoupled_weight_decay": True}),
    "NAdam": (torch.optim.NAdam, {"decoupled_weight_decay": True}),
    "SGD": (torch.optim.SGD, {"momentum": MOMENTUM}),
}

TENSORS_PER_WEIGHT = {"AdamW": 2, "Adam": 2, "RAdam": 2, "NAdam": 2, "SGD": 1}
"""Numbers that an optimizer remembers for each weight."""


def make_optimizer(
    config: OptimizerConfig, parameters: Iterable[torch.nn.Parameter]
) -> torch.optim.Optimizer:
    """Make an optimizer; its learning rate is set in each step, to what `learning_rate` gives."""
    kind, options = KINDS[config.name]
    make: Any = kind
    optimizer: torch.optim.Optimizer = make(
        parameters, lr=1.0, weight_decay=config.weight_decay, **options
    )
    return optimizer


def learning_rate(config: TrainerConfig, iteration: int) -> float:
    """Give the learning rate of an iteration, the first of which is 1.

    It depends on nothing else, so that a run that goes on, perhaps with another rate or another
    number of iterations, has that of the curve as it is now. After the warm-up a cosine begins
    with the full rate, and ends with a last iteration that still learns a little.
    """
    schedule, warm_up = config.optimizer.schedule, config.optimizer.warm_up
    if iteration <= warm_up:
        return config.learning_rate * iteration / warm_up
    if schedule == "constant":
        return config.learning_rate
    length = config.iterations - warm_up
    share = min(1.0, (iteration - warm_up - 1) / length)
    return config.learning_rate * (1 + math.cos(math.pi * share)) / 2


def restore(
    optimizer: torch.optim.Optimizer,
    saved: dict[str, Any],
    saved_names: list[str],
    names: list[str],
) -> None:
    """Give an optimizer what another one of its kind remembered, weight by weight.

    Parameters
    ----------
    optimizer
        Fresh.
    saved
        The other's state dict.
    saved_names, names
        Of the parameters that the other one changed and that this one does, in order. They differ
        where a part of the network was frozen or is so now.
    """
    remembered = saved["state"]
    places = {name: place for place, name in enumerate(saved_names)}
    state = {
        place: remembered[places[name]]
        for place, name in enumerate(names)
        if places.get(name) in remembered
    }
    groups = optimizer.state_dict()["param_groups"]  # the values of the config as it is now
    optimizer.load_state_dict({"state": state, "param_groups": groups})
