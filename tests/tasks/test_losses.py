"""Losses by hand; all are sums of weight times loss over the voxels that have a weight."""

import math

import pytest
import torch

from napari_dacapo_tasks.tasks.losses.affinities import AffinitiesLoss
from napari_dacapo_tasks.tasks.losses.cross_entropy import CrossEntropyLoss
from napari_dacapo_tasks.tasks.losses.dummy import DummyLoss
from napari_dacapo_tasks.tasks.losses.hot_distance import HotDistanceLoss
from napari_dacapo_tasks.tasks.losses.mse import MSELoss

LOG_2 = math.log(2)
LOG_4 = math.log(4)


def tensor(values):
    """Give a batch of one, with channels of one line."""
    return torch.tensor([values], dtype=torch.float32)


# Loss, prediction, target, and the loss of each voxel (channels as the loss counts them).
LOSSES = {
    "squares": (MSELoss(), [[0, 1, 2, 5]], [[1, 1, 0, 0]], [[1, 0, 4, 25]]),
    "absolute": (DummyLoss(), [[0, 1, 2, 5]], [[1, 1, 0, 0]], [[1, 0, 2, 5]]),
    # Probabilities of the second class: 1/2, 1/2, 1/4, 3/4.
    "cross-entropy": (
        CrossEntropyLoss(),
        [[0, 3, math.log(3), 0], [0, 3, 0, math.log(3)]],
        [[1, 0, 0, 1], [0, 1, 1, 0]],
        [[LOG_2, LOG_2, LOG_4, LOG_4]],
    ),
}
every_loss = pytest.mark.parametrize("name", LOSSES)


def computed(name, weight):
    loss, prediction, target, _ = LOSSES[name]
    weights = tensor([weight] * len(prediction))
    return loss.compute(tensor(prediction), tensor(target), weights).item()


@every_loss
def test_the_sum_is_divided_by_the_voxels_that_count(name):
    ((one, two, three, _),) = LOSSES[name][3]
    assert computed(name, [1, 1, 1, 0]) == pytest.approx((one + two + three) / 3)
    assert computed(name, [0, 0, 1, 0]) == pytest.approx(three)


@every_loss
def test_a_weight_counts_linearly(name):
    assert computed(name, [2, 2, 2, 0]) == pytest.approx(2 * computed(name, [1, 1, 1, 0]))
    one, two = LOSSES[name][3][0][:2]
    assert computed(name, [3, 1, 0, 0]) == pytest.approx((3 * one + two) / 2)


@pytest.mark.parametrize("loss", [MSELoss(), DummyLoss(), CrossEntropyLoss(), HotDistanceLoss()])
@pytest.mark.parametrize("dims", [2, 3])
def test_nothing_known_is_no_loss_and_no_gradient(loss, dims):
    shape = (2, 4, *(3,) * dims)
    prediction = torch.randn(shape, requires_grad=True)
    value = loss.compute(prediction, torch.ones(shape), torch.zeros(shape))
    value.backward()
    assert value.item() == 0
    assert not prediction.grad.any()


def test_the_halves_of_hot_distances_are_means_of_their_own():
    # Logits 0 and log 3 are 1/2 and 3/4; two voxels count in one half and one in the other.
    prediction = tensor([[0, math.log(3), 9], [3, 0, 0]])
    target = tensor([[1, 0, 0], [1, 0, 0]])
    weight = tensor([[1, 2, 0], [5, 0, 0]])
    value = HotDistanceLoss().compute(prediction, target, weight).item()
    assert value == pytest.approx((LOG_2 + 2 * LOG_4) / 2 + 5 * 4)


def test_with_several_channels_the_first_half_is_the_one_hot_one():
    target = torch.zeros(1, 4, 2, 2)
    weight = torch.ones(1, 4, 2, 2)
    prediction = torch.zeros(1, 4, 2, 2)
    prediction[:, 2] = 2  # the first distance
    value = HotDistanceLoss().compute(prediction, target, weight).item()
    assert value == pytest.approx(LOG_2 + 2)


def test_a_voxel_of_no_class_counts_nowhere():
    target = tensor([[1, 0], [0, 0]])
    loss = CrossEntropyLoss().compute(tensor([[0, 9], [0, 0]]), target, torch.ones(1, 2, 2))
    assert loss.item() == pytest.approx(LOG_2)


def test_classes_that_are_certain_and_right_cost_nothing():
    target = tensor([[1, 0], [0, 1], [0, 0]])
    loss = CrossEntropyLoss().compute(100 * target, target, torch.ones(1, 3, 2))
    assert loss.item() == pytest.approx(0)
    wrong = CrossEntropyLoss().compute(-100 * target, target, torch.ones(1, 3, 2))
    assert wrong.item() == pytest.approx(100, rel=0.02)


@pytest.mark.parametrize(
    "loss",
    [MSELoss(), DummyLoss(), CrossEntropyLoss(), HotDistanceLoss(), AffinitiesLoss(1, 0.7)],
    ids=lambda loss: type(loss).__name__,
)
def test_parts_add_up_to_the_whole(loss):
    random = torch.Generator().manual_seed(0)
    prediction = torch.randn(5, 4, 6, 6, generator=random, requires_grad=True)
    target = torch.rand(5, 4, 6, 6, generator=random).round()
    weight = torch.rand(5, 4, 6, 6, generator=random)
    weight[torch.rand(5, 4, 6, 6, generator=random) < 0.5] = 0
    weight[1] = 0  # a part that counts nowhere
    whole = loss.compute(prediction, target, weight)
    (of_whole,) = torch.autograd.grad(whole, prediction)
    counts = loss.counts(target, weight)
    parts = [slice(0, 1), slice(1, 2), slice(2, 5)]
    of_parts = [loss.counts(target[part], weight[part]) for part in parts]
    assert [sum(one) for one in zip(*of_parts, strict=True)] == [*counts]
    losses = [loss.compute(prediction[part], target[part], weight[part], counts) for part in parts]
    torch.testing.assert_close(sum(losses), whole)
    (summed,) = torch.autograd.grad(sum(losses), prediction)
    torch.testing.assert_close(summed, of_whole)
