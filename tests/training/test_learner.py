"""One step: what changes the weights, what does not, and what is said of it."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from napari_dacapo_tasks.architectures import Model, WrappedArchitecture
from napari_dacapo_tasks.architectures.model import pointwise_head
from napari_dacapo_tasks.architectures.weights import load_weights, weights_to_predict
from napari_dacapo_tasks.errors import ConfigError
from napari_dacapo_tasks.runs.trainer_config import TrainerConfig
from napari_dacapo_tasks.tasks.losses.mse import MSELoss
from napari_dacapo_tasks.training.averaging import Averaging, share_of_past
from napari_dacapo_tasks.training.frozen import frozen_encoder
from napari_dacapo_tasks.training.learner import Learner
from napari_dacapo_tasks.training.loader import Batch
from napari_dacapo_tasks.training.world import World

SEED = 1


def model_of(net):
    torch.manual_seed(SEED)
    return Model(net, pointwise_head(net, 1))


def learner_of(net, **config):
    config = TrainerConfig(**{"batch_size": 4, **config})
    return Learner(model_of(net), MSELoss(), config, "cpu", World.alone())


def batch_of(crops=4, seed=2):
    random = torch.Generator().manual_seed(seed)
    raw = torch.randn(crops, 1, 24, 24, 24, generator=random)
    target = torch.randn(crops, 1, 8, 8, 8, generator=random)
    weight = torch.rand(crops, 1, 8, 8, 8, generator=random)
    weight[torch.rand(weight.shape, generator=random) < 0.4] = 0
    weight[0, :, :6] = 0  # parts that count for different numbers of voxels
    return Batch(raw, target, weight, None)


def weights(learner):
    return {name: one.clone() for name, one in learner.model.chain.state_dict().items()}


def same(first, second):
    return all(torch.equal(tensor, second[name]) for name, tensor in first.items())


@pytest.fixture
def batch_norm_net(small_net):
    return small_net.model_copy(update={"batch_norm": True})


class TestStep:
    @pytest.mark.parametrize("micro_batch", [1, 3])
    def test_passes_add_up_to_the_whole_batch(self, small_net, micro_batch):
        # Rates of Adam depend on signs of tiny gradients: SGD tells how far they are apart.
        one, other = (
            learner_of(small_net, optimizer={"name": "SGD", "accumulation": 2}) for _ in "ab"
        )
        one.micro_batch, other.micro_batch = 8, micro_batch
        batch = batch_of(8)
        losses = [learner.learn(batch, 0.1, 1) for learner in (one, other)]
        assert losses[0] == pytest.approx(losses[1], rel=1e-6)
        for name, tensor in weights(one).items():
            torch.testing.assert_close(weights(other)[name], tensor, rtol=1e-5, atol=1e-7)

    def test_the_loss_is_that_before_the_step(self, small_net):
        learner, batch = learner_of(small_net), batch_of()
        expected = MSELoss().compute(learner.model(batch.raw), batch.target, batch.weight)
        assert learner.learn(batch, 0.1, 1) == pytest.approx(expected.item())

    def test_gradients_are_clipped_by_their_norm(self, small_net):
        moved = []
        for norm in (None, 1e-3, 1e-5):
            options = {"name": "SGD", "weight_decay": 0, "clip_norm": norm}
            learner = learner_of(small_net, optimizer=options)
            before = weights(learner)
            learner.learn(batch_of(), 1.0, 1)
            squares = [((weights(learner)[n] - t) ** 2).sum() for n, t in before.items()]
            moved.append(sum(squares).sqrt().item())
        assert moved[0] > 1e-3
        assert moved[1:] == pytest.approx([1e-3, 1e-5], rel=1e-3)

    def test_a_loss_that_is_not_finite_changes_nothing(self, batch_norm_net):
        learner, batch = learner_of(batch_norm_net, optimizer={"ema_decay": 0.9}), batch_of()
        before, state = weights(learner), learner.state()["ema"]
        state = {name: tensor.clone() for name, tensor in state.items()}
        batch.raw[0] = float("inf")
        assert not torch.isfinite(torch.tensor(learner.learn(batch, 0.1, 1)))
        assert same(before, weights(learner))
        assert same(state, learner.state()["ema"])
        assert learner.state()["optimizer"]["state"] == {}


class TestPrecision:
    @pytest.mark.parametrize("precision", ["bfloat16", "float16"])
    def test_half_precision_learns_nearly_the_same(self, small_net, precision):
        full = learner_of(small_net)
        half = learner_of(small_net, execution={"precision": precision})
        (notice,) = half.notices()
        assert f"On the processor {precision} takes less memory" in notice
        for step in range(1, 4):
            losses = [one.learn(batch_of(seed=step), 1e-3, step) for one in (full, half)]
            assert losses[0] == pytest.approx(losses[1], rel=0.03)
            assert losses[0] != losses[1]
        assert all(tensor.dtype == torch.float32 for tensor in weights(half).values())
        assert half.precision.scaler.is_enabled() == (precision == "float16")

    def test_one_that_does_not_work_is_replaced_and_told(self, small_net, monkeypatch):
        from napari_dacapo_tasks.architectures import precision

        monkeypatch.setattr(precision, "_works", lambda dtype, device, gradients: False)
        learner = learner_of(small_net, execution={"precision": "bfloat16"})
        assert [*learner.notices()] == [
            "This device (cpu) cannot train in bfloat16: training uses float32."
        ]
        plain = learner_of(small_net)
        assert learner.learn(batch_of(), 0.1, 1) == plain.learn(batch_of(), 0.1, 1)


class TestOptions:
    def test_without_effect_are_told_once(self, small_net):
        options = {"channels_last": True, "deterministic": True}
        learner = learner_of(small_net, execution=options)
        first, second = learner.notices()
        assert first.startswith("Channels last changes nothing here")
        assert second.startswith("Deterministic changes nothing here")
        assert [*learner.notices()] == []
        assert [*learner_of(small_net).notices()] == []

    @pytest.mark.parametrize("fails", [False, True])
    def test_deterministic_is_on_in_a_step_and_off_after_it(self, small_net, fails, monkeypatch):
        learner = learner_of(small_net, execution={"deterministic": True})
        seen = []

        def look(*args):
            seen.append(torch.are_deterministic_algorithms_enabled())
            if fails:
                raise ValueError
            return torch.zeros((), requires_grad=True)

        monkeypatch.setattr(learner.loss, "compute", look)
        settings = torch.backends.cudnn.deterministic, torch.backends.cudnn.benchmark
        try:
            learner.learn(batch_of(), 0.1, 1)
        except ValueError:
            assert fails
        assert seen == [True]
        assert not torch.are_deterministic_algorithms_enabled()
        assert not torch.is_deterministic_algorithms_warn_only_enabled()
        assert settings == (torch.backends.cudnn.deterministic, torch.backends.cudnn.benchmark)

    @pytest.mark.parametrize("when", ["made", "used"])
    def test_what_cannot_be_compiled_is_trained_as_it_is(self, small_net, monkeypatch, when):
        def broken(*args):
            raise RuntimeError("no compiler found\nand much more")

        monkeypatch.setattr(torch, "compile", broken if when == "made" else lambda model: broken)
        learner = learner_of(small_net, execution={"compile": True})
        loss = learner.learn(batch_of(), 0.1, 1)
        (notice,) = learner.notices()
        assert "could not compile the network, so it is trained as it is (no compiler" in notice
        assert "\n" not in notice
        assert loss == learner_of(small_net).learn(batch_of(), 0.1, 1)


class TestAverage:
    def test_by_hand(self):
        layer = nn.Linear(1, 1, bias=False)
        layer.weight.data.fill_(0.0)
        average = Averaging(layer, 0.5)
        for iteration, value in enumerate([1.0, 3.0], start=1):
            layer.weight.data.fill_(value)
            average.update(iteration)
        # The share of the past is 2/11, then 3/12.
        assert average.state()["weight"].item() == pytest.approx((9 / 11) * 0.25 + 3 * 0.75)
        assert share_of_past(0.5, 100) == 0.5

    def test_predicts_and_leaves_the_weights_as_they_are(self, small_net):
        learner = learner_of(small_net, optimizer={"ema_decay": 0.9})
        for step in range(1, 4):
            learner.learn(batch_of(seed=step), 1e-2, step)
        before = weights(learner)
        raw = batch_of().raw[:1]
        with learner.predicting() as model, torch.no_grad():
            assert not model.training
            averaged = model(raw)
        assert same(before, weights(learner))
        state = learner.state()
        other = model_of(small_net).eval()
        load_weights(other, {"model": weights_to_predict(state)})
        with torch.no_grad():
            torch.testing.assert_close(other(raw), averaged)
            load_weights(other, state)
            assert not torch.equal(other(raw), averaged)

    def test_comes_back_when_predicting_fails(self, small_net):
        learner = learner_of(small_net, optimizer={"ema_decay": 0.9})
        learner.learn(batch_of(), 1e-2, 1)
        before = weights(learner)
        with pytest.raises(ValueError, match="broken"), learner.predicting():
            raise ValueError("broken")
        assert same(before, weights(learner))

    def test_running_statistics_are_averaged_and_counts_are_not(self, batch_norm_net):
        learner = learner_of(batch_norm_net, optimizer={"ema_decay": 0.9})
        learner.learn(batch_of(), 1e-2, 1)
        learner.learn(batch_of(), 1e-2, 2)
        state = learner.state()
        counts = [n for n in state["ema"] if n.endswith("num_batches_tracked")]
        assert {int(state["ema"][name]) for name in counts} == {2}
        means = [n for n in state["ema"] if n.endswith("running_mean")]
        assert not any(torch.equal(state["ema"][n], state["model"][n]) for n in means)

    def test_without_one_the_weights_predict(self, small_net):
        state = learner_of(small_net).state()
        assert same(state["model"], weights_to_predict(state))


class TestFrozen:
    def test_the_way_down_keeps_weights_and_statistics(self, batch_norm_net):
        learner = learner_of(batch_norm_net, freeze_encoder=True)
        every = sum(parameter.numel() for parameter in learner.model.parameters())
        down = [n for n in weights(learner) if ".l_conv." in n]
        assert 0 < learner.parameters < every
        before = weights(learner)
        learner.learn(batch_of(), 1e-2, 1)
        after = weights(learner)
        assert down
        assert all(torch.equal(before[name], after[name]) for name in down)
        assert not any(torch.equal(t, after[n]) for n, t in before.items() if n not in down)

    def test_below_a_network_that_upsamples(self, small_net):
        net = small_net.model_copy(
            update={"upsample_factors": [(2, 2, 2)], "input_shape": small_net.input_shape + 8}
        )
        model = model_of(net)
        frozen_encoder(model)
        frozen = {n for n, p in model.named_parameters() if not p.requires_grad}
        assert frozen
        assert all(".l_conv." in name for name in frozen)

    def test_a_wrapped_network_has_to_name_its_own(self):
        class Net(nn.Sequential):
            encoder: nn.Module

        net = Net(nn.Conv3d(1, 4, 3), nn.Conv3d(4, 4, 1))
        wrapped = WrappedArchitecture(net, 1, 4, (10, 10, 10))
        model = Model(wrapped, pointwise_head(wrapped, 1))
        with pytest.raises(ConfigError, match=r"freeze_encoder is on, but a Net does not say"):
            frozen_encoder(model)
        net.encoder = net[0]
        assert frozen_encoder(model) is net[0]
        assert not net[0].weight.requires_grad
        assert net[1].weight.requires_grad
