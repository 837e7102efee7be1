"""A run begins with what another one has learned."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from napari_dacapo_tasks.architectures import CNNectomeUNet
from napari_dacapo_tasks.errors import ConfigError, DataError, RunError
from napari_dacapo_tasks.runs.run_folder import RunFolder, Score
from napari_dacapo_tasks.runs.warm_start import begin_with, open_start
from napari_dacapo_tasks.tasks import OneHotTaskConfig

OTHER = OneHotTaskConfig(name="classes", classes=["background", "first", "second"])


def weights_of(run: RunFolder, value: float) -> dict:
    task = run.config.task
    model = task.task_type(task).predictor.create_model(run.config.architecture)
    return {name: torch.full_like(one, value) for name, one in model.chain.state_dict().items()}


def save(run: RunFolder, iteration: int, value: float, dice: float | None = None, **more) -> Path:
    if dice is not None:
        run.append_score(Score(iteration, "dice", dice, 0.5, {}, "Threshold", 1.0))
    state = {"model": weights_of(run, value), "iteration": iteration, **more}
    return run.save_checkpoint(state, iteration, best=run.best_iterations(1))


def value_in(weights) -> float:
    (value,) = {float(one.flatten()[0]) for one in weights.values()}
    return value


@pytest.fixture
def first(make_run) -> RunFolder:
    return make_run("first")


class TestSource:
    def test_of_a_run_the_best_is_taken_and_the_last_without_scores(self, first):
        save(first, 1, 0.25)
        assert value_in(open_start(first.path).weights) == 0.25
        save(first, 2, 0.5, dice=0.9)
        save(first, 3, 0.75, dice=0.1)
        start = open_start(first.path)
        assert value_in(start.weights) == 0.5
        assert start.checkpoint.name == "000002.pt"
        assert (start.architecture, start.task) == (first.config.architecture, first.config.task)

    def test_or_any_checkpoint_of_it(self, first):
        path = save(first, 1, 0.25)
        save(first, 2, 0.5, dice=0.9)
        start = open_start(path)
        assert value_in(start.weights) == 0.25
        assert start.architecture == first.config.architecture

    def test_the_average_goes_before(self, first):
        path = save(first, 1, 0.25, ema=weights_of(first, 0.75))
        assert value_in(open_start(first.path).weights) == 0.75
        assert value_in(open_start(path).weights) == 0.75

    def test_a_checkpoint_of_dacapo(self):
        golden = Path(__file__).parents[1] / "golden/unet3d_checkpoint.pt"
        start = open_start(golden)
        assert start.architecture is None
        assert all(isinstance(one, torch.Tensor) for one in start.weights.values())

    def test_what_is_none_is_said(self, first, tmp_path):
        with pytest.raises(RunError, match="has no checkpoint yet"):
            open_start(first.path)
        with pytest.raises(RunError, match="is no run folder"):
            open_start(tmp_path)
        with pytest.raises(DataError, match="cannot be read"):
            open_start(tmp_path / "gone.pt")


class TestNewRun:
    def test_keeps_the_weights_of_a_run(self, first, make_run, small_task):
        save(first, 1, 0.25)
        run = make_run("second", task=begin_with(first.path, small_task))
        assert run.config.task.weights == "pretrained.pt"
        kept = torch.load(run.path / "pretrained.pt", weights_only=True)["model"]
        assert value_in(kept) == 0.25
        task = run.task
        model = task.task_type(task).create_model(run.config.architecture)
        assert value_in(model.chain.state_dict()) == 0.25

    def test_other_weights_take_the_place_of_those_before(self, first, make_run, small_task):
        save(first, 1, 0.25)
        second = make_run("second", task=begin_with(first.path, small_task))
        save(second, 1, 0.5)
        again = begin_with(second.path, second.config.task)
        assert again.sub_task_config == small_task
        third = make_run("third", task=again)
        kept = torch.load(third.path / "pretrained.pt", weights_only=True)["model"]
        assert value_in(kept) == 0.5

    def test_with_the_head_anew_for_another_task(self, first, make_run):
        save(first, 1, 0.25)
        with pytest.raises(ConfigError, match="or start the head anew"):
            make_run("second", task=begin_with(first.path, OTHER))
        run = make_run("second", task=begin_with(first.path, OTHER, new_head=True))
        task = run.task
        made = task.task_type(task)
        state = made.create_model(run.config.architecture).chain.state_dict()
        assert value_in({n: one for n, one in state.items() if n.startswith("0.")}) == 0.25
        assert state["1.weight"].shape[0] == 3
        assert "The head of the network starts anew" in made.notices[0]

    def test_another_network_is_named_by_its_fields(self, first, make_run, small_task, small_net):
        save(first, 1, 0.25)
        wider = small_net.model_copy(update={"num_fmaps": 5, "fmaps_out": 5})
        with pytest.raises(ConfigError) as refused:
            make_run("second", task=begin_with(first.path, small_task), architecture=wider)
        assert "num_fmaps is 4 there and 5 here, fmaps_out is 4 there and 5 here" in str(
            refused.value
        )
        assert not (first.path.parent / "second").exists()

    def test_another_input_shape_is_no_other_network(self, first, make_run, small_task, small_net):
        save(first, 1, 0.25)
        larger = CNNectomeUNet(**{**small_net.model_dump(), "input_shape": (28, 28, 28)})
        run = make_run("second", task=begin_with(first.path, small_task), architecture=larger)
        assert (run.path / "pretrained.pt").exists()
