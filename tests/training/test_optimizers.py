"""Learning rates by hand, and optimizers that go on where others were."""

from __future__ import annotations

from copy import deepcopy
from itertools import pairwise

import pytest
import torch

from napari_dacapo_tasks.runs.trainer_config import OptimizerConfig, TrainerConfig
from napari_dacapo_tasks.training.optimizers import (
    KINDS,
    TENSORS_PER_WEIGHT,
    learning_rate,
    make_optimizer,
    restore,
)

EVERY_KIND = pytest.mark.parametrize("name", KINDS)


def rates(iterations=10, **optimizer):
    config = TrainerConfig(
        iterations=iterations, learning_rate=0.5, optimizer=OptimizerConfig(**optimizer)
    )
    return [learning_rate(config, iteration) for iteration in range(1, iterations + 1)]


class TestLearningRate:
    def test_constant(self):
        assert rates() == [0.5] * 10

    def test_warm_up_rises_evenly_to_the_full_rate(self):
        assert rates(warm_up=4) == [0.125, 0.25, 0.375, *[0.5] * 7]

    def test_cosine_begins_with_the_full_rate_and_ends_near_zero(self):
        found = rates(schedule="cosine", iterations=4)
        assert found == pytest.approx([0.5, 0.25 * (1 + 2**-0.5), 0.25, 0.25 * (1 - 2**-0.5)])

    def test_cosine_after_a_warm_up(self):
        found = rates(schedule="cosine", warm_up=2, iterations=6)
        assert found[:2] == [0.25, 0.5]
        assert found[2:] == pytest.approx(rates(schedule="cosine", iterations=4))

    def test_a_single_iteration_learns(self):
        assert rates(schedule="cosine", iterations=1) == [0.5]

    def test_a_warm_up_longer_than_training_only_rises(self):
        found = rates(schedule="cosine", warm_up=40)
        assert all(one < other for one, other in pairwise(found))
        assert found[-1] == 0.125


def stepped(optimizer, parameters, steps):
    for step in range(steps):
        for number, parameter in enumerate(parameters):
            parameter.grad = torch.full_like(parameter, 1.0 + number + step)
        for group in optimizer.param_groups:
            group["lr"] = 0.1
        optimizer.step()


class TestOptimizers:
    @EVERY_KIND
    def test_every_one_moves_against_the_gradient(self, name):
        parameter = torch.nn.Parameter(torch.zeros(3))
        stepped(make_optimizer(OptimizerConfig(name=name), [parameter]), [parameter], 2)
        assert (parameter < 0).all()

    @EVERY_KIND
    def test_weight_decay_draws_towards_zero(self, name):
        ends = []
        for decay in (0.0, 0.5):
            parameter = torch.nn.Parameter(torch.full((1,), 10.0))
            config = OptimizerConfig(name=name, weight_decay=decay)
            stepped(make_optimizer(config, [parameter]), [parameter], 3)
            ends.append(parameter.item())
        assert ends[1] < ends[0] < 10

    @EVERY_KIND
    def test_the_numbers_that_it_remembers(self, name):
        parameter = torch.nn.Parameter(torch.zeros(100))
        optimizer = make_optimizer(OptimizerConfig(name=name), [parameter])
        stepped(optimizer, [parameter], 1)
        numbers = [t.numel() for t in optimizer.state[parameter].values() if t is not None]
        assert sum(n for n in numbers if n > 1) == 100 * TENSORS_PER_WEIGHT[name]

    @EVERY_KIND
    def test_restored_by_name_when_fewer_are_trained(self, name):
        def fresh():
            return [torch.nn.Parameter(torch.zeros(2)) for _ in "ab"]

        config = OptimizerConfig(name=name)
        both = fresh()
        optimizer = make_optimizer(config, both)
        stepped(optimizer, both, 2)
        only = torch.nn.Parameter(both[1].detach().clone())
        other = make_optimizer(config, [only])
        restore(other, deepcopy(optimizer.state_dict()), ["a", "b"], ["b"])
        stepped(optimizer, both, 1)
        only.grad = torch.full_like(only, 2.0)
        for group in other.param_groups:
            group["lr"] = 0.1
        other.step()
        assert torch.equal(only, both[1])

    def test_values_of_the_config_win_over_those_of_the_checkpoint(self):
        parameter = torch.nn.Parameter(torch.zeros(2))
        old = make_optimizer(OptimizerConfig(weight_decay=0.1), [parameter])
        stepped(old, [parameter], 1)
        new = make_optimizer(OptimizerConfig(weight_decay=0.3), [parameter])
        restore(new, old.state_dict(), ["a"], ["a"])
        assert new.param_groups[0]["weight_decay"] == 0.3
        assert float(new.state[parameter]["step"]) == 1
