"""A run that was stopped, killed or changed goes on as if nobody had touched it."""

from __future__ import annotations

import json

import pytest
import torch
from driving import all_of, changed, up_to

from napari_dacapo_tasks.errors import ConfigError, RunError
from napari_dacapo_tasks.runs.run_folder import RunFolder, Statistic
from napari_dacapo_tasks.training.events import Notice, Stepped
from napari_dacapo_tasks.training.loop import train


def crashed_at(run, iteration):
    """Train up to an iteration, and end without saving anything, as a crash does."""
    training = train(run)
    for event in training:
        if isinstance(event, Stepped) and event.iteration == iteration:
            break
    training.gi_frame.f_locals["trainer"].saved = True
    training.close()


def weights(run):
    return run.load_checkpoint()["model"]


def same(first, second):
    return all(torch.equal(tensor, second[name]) for name, tensor in first.items())


def alike(one, other):
    """Check that two runs have come to the same, to the last bit."""
    ends = [run.load_checkpoint() for run in (one, other)]
    for name in ("iteration", "class_counts", "scaler", "trained", "rate_factor"):
        assert ends[0][name] == ends[1][name], name
    for part in ("model", "ema"):
        assert same(ends[0].get(part, {}), ends[1].get(part, {})), part
    moments = [end["optimizer"]["state"] for end in ends]
    for place, state in moments[0].items():
        assert same(*({n: torch.as_tensor(v) for n, v in one[place].items()} for one in moments)), (
            place
        )
        assert state
    rows = [
        [(s.iteration, s.loss, s.learning_rate) for s in run.statistics()] for run in (one, other)
    ]
    assert rows[0] == rows[1]
    assert [row[0] for row in rows[0]] == list(range(1, ends[0]["iteration"] + 1))
    scores = [[(s.iteration, s.value, s.scores) for s in run.scores()] for run in (one, other)]
    assert repr(scores[0]) == repr(scores[1])  # by what they say, since NaN is not NaN


EVERYTHING = {
    "iterations": 24,
    "batch_size": 2,
    "checkpoint_interval": 5,
    "learning_rate": 1e-3,
    "optimizer": {
        "schedule": "cosine",
        "warm_up": 6,
        "accumulation": 2,
        "clip_norm": 1.0,
        "ema_decay": 0.9,
    },
    "augmentation": {
        "deform": 0.5,
        "rotation": 30,
        "scaling": 0.1,
        "elastic": 4,
        "elastic_spacing": 64,
        "missing_sections": 0.1,
        "dark_sections": 0.1,
    },
    "validation": {"interval": 7},
}


class TestResume:
    def test_equals_training_in_one_go_bit_for_bit(self, make_run):
        whole, parted = make_run("whole"), make_run("parted")
        all_of(whole)
        up_to(parted, 4)
        assert parted.latest_checkpoint().name == "000004.pt"
        all_of(RunFolder.open(parted.path))
        alike(whole, parted)

    @pytest.mark.parametrize("workers", [0, 2])
    def test_with_everything_on_and_a_crash(self, make_run, validated_rows, workers):
        trainer = {**EVERYTHING, "execution": {"workers": workers}}
        whole, parted = (
            make_run(name, trainer=trainer, rows=validated_rows) for name in ("whole", "parted")
        )
        all_of(whole)
        assert len(whole.scores()) == 4
        crashed_at(parted, 13)
        assert parted.load_checkpoint()["iteration"] in (7, 10)
        up_to(RunFolder.open(parted.path), 14)  # a stop where a validation is due
        all_of(RunFolder.open(parted.path))
        alike(whole, parted)

    @pytest.mark.parametrize("name", ["AdamW", "Adam", "RAdam", "NAdam", "SGD"])
    def test_every_optimizer(self, make_run, name):
        trainer = {"iterations": 6, "optimizer": {"name": name}}
        whole, parted = make_run("whole", trainer=trainer), make_run("parted", trainer=trainer)
        all_of(whole)
        up_to(parted, 3)
        all_of(RunFolder.open(parted.path))
        alike(whole, parted)

    @pytest.mark.parametrize("precision", ["bfloat16", "float16"])
    def test_half_precision(self, make_run, precision):
        trainer = {"iterations": 6, "execution": {"precision": precision}}
        whole, parted = make_run("whole", trainer=trainer), make_run("parted", trainer=trainer)
        all_of(whole)
        up_to(parted, 3)
        all_of(RunFolder.open(parted.path))
        alike(whole, parted)

    def test_statistics_have_neither_gap_nor_double(self, make_run):
        run = make_run(trainer={"iterations": 9, "checkpoint_interval": 4})
        crashed_at(run, 6)
        assert [one.iteration for one in run.statistics()] == [1, 2, 3, 4, 5, 6]
        steps = all_of(run, Stepped)
        assert steps[0].iteration == 5
        assert [one.iteration for one in run.statistics()] == list(range(1, 10))

    def test_a_run_without_checkpoint_starts_anew(self, make_run):
        run = make_run(trainer={"iterations": 2})
        run.append_statistics(Statistic(1, 0.5, 0.1))
        all_of(run)
        assert [one.iteration for one in run.statistics()] == [1, 2]

    def test_the_seed_decides_the_weights(self, make_run):
        first, again, other = (
            make_run(name, trainer={"iterations": 1, "seed": seed})
            for name, seed in (("a", 3), ("b", 3), ("c", 4))
        )
        for run in (first, again, other):
            all_of(run)
        assert same(weights(first), weights(again))
        assert not any(
            torch.equal(t, weights(other)[n]) for n, t in weights(first).items() if t.ndim > 1
        )


class TestChanges:
    """What is changed between two parts of a run counts, and the rest stays."""

    def test_a_new_learning_rate(self, make_run):
        slow, fast = make_run("slow"), make_run("fast")
        for run in (slow, fast):
            up_to(run, 4)
        changed(fast, learning_rate=0.01)
        for run in (slow, fast):
            all_of(run)
        rates = [one.learning_rate for one in fast.statistics()]
        assert rates == [1e-4] * 4 + [0.01] * 4
        assert not same(weights(slow), weights(fast))

    def test_more_iterations_stretch_the_cosine(self, make_run):
        run = make_run(trainer={"iterations": 4, "optimizer": {"schedule": "cosine"}})
        all_of(run)
        changed(run, iterations=8)
        all_of(run)
        rates = [one.learning_rate / 1e-4 for one in run.statistics()]
        assert rates[:3] == pytest.approx([1, (1 + 2**-0.5) / 2, 0.5])
        assert rates[4:6] == pytest.approx([0.5, (1 - 0.38268343) / 2])

    def test_another_optimizer_begins_anew_and_says_so(self, make_run):
        run = make_run(trainer={"iterations": 4})
        up_to(run, 2)
        changed(run, optimizer={"name": "SGD"})
        (notice,) = all_of(run, Notice)
        assert "The optimizer was AdamW and is SGD now" in notice.text
        assert run.load_checkpoint()["optimizer_name"] == "SGD"

    def test_an_average_that_is_switched_on_begins_with_the_weights(self, make_run):
        run = make_run(trainer={"iterations": 4})
        up_to(run, 3)
        before = weights(run)
        changed(run, optimizer={"ema_decay": 0.999})
        all_of(run)
        state = run.load_checkpoint()
        share = (1 + 4) / (10 + 4)
        for name, average in state["ema"].items():
            expected = share * before[name] + (1 - share) * state["model"][name]
            torch.testing.assert_close(average, expected)
            assert not average.requires_grad  # or it would keep what it was averaged of

    def test_an_encoder_that_is_frozen_keeps_its_weights(self, make_run):
        run = make_run(trainer={"iterations": 6})
        up_to(run, 2)
        before = weights(run)
        changed(run, freeze_encoder=True)
        up_to(run, 4)
        frozen = weights(run)
        for name, tensor in before.items():
            assert torch.equal(tensor, frozen[name]) == (".l_conv." in name), name
        moments = run.load_checkpoint()["optimizer"]["state"]
        assert {float(one["step"]) for one in moments.values()} == {4.0}, "the others went on"
        changed(run, freeze_encoder=False)
        all_of(run)
        assert not any(torch.equal(t, weights(run)[n]) for n, t in before.items())


class TestRefusals:
    def test_weights_of_another_network_are_refused_with_the_layers(self, make_run, small_net):
        run = make_run(trainer={"iterations": 1})
        all_of(run)
        net = small_net.model_copy(update={"num_fmaps": 5})
        run._config = run.config.model_copy(update={"architecture": net})
        with pytest.raises(ConfigError, match=r"weights of another network: 0\.unet"):
            all_of(run)

    @pytest.mark.parametrize("missing", ["iteration", "optimizer", "class_counts", "scaler"])
    def test_a_checkpoint_of_something_else_is_refused(self, make_run, missing):
        run = make_run(trainer={"iterations": 1})
        all_of(run)
        state = run.load_checkpoint()
        del state[missing]
        run.save_checkpoint(state, 2)
        with pytest.raises(RunError, match="was not saved by training"):
            all_of(run)

    def test_a_checkpoint_says_where_it_comes_from_in_plain_values(self, make_run):
        run = make_run(trainer={"iterations": 1})
        all_of(run)
        state = run.load_checkpoint()
        tensors = ("model", "optimizer", "ema")
        json.dumps({name: value for name, value in state.items() if name not in tensors})
        assert state["learning_rate"] == 1e-4
