import pytest
import torch
from torch.nn import functional

from napari_dacapo_tasks.tasks.losses.affinities import AffinitiesLoss


def tensors(*channels):
    """One crop of so many channels of voxels in a row."""
    return torch.tensor([channels])


def entropy(logit, target):
    return functional.binary_cross_entropy_with_logits(
        torch.tensor(float(logit)), torch.tensor(float(target))
    ).item()


def test_affinities_by_hand():
    prediction = tensors([0.0, 2.0], [-1.0, 3.0])
    target = tensors([1.0, 1.0], [0.0, 0.0])
    weight = tensors([1.0, 2.0], [0.0, 3.0])
    expected = (entropy(0, 1) + 2 * entropy(2, 1) + 3 * entropy(3, 0)) / 3
    # Over the three that count. DaCapo leaves the weights out where there are no descriptors.
    assert AffinitiesLoss(2, 1).compute(prediction, target, weight).item() == pytest.approx(
        expected
    )


def test_descriptors_are_compared_after_the_sigmoid_and_averaged_on_their_own():
    prediction = tensors([2.0, 2.0], [0.0, 0.0], [0.0, 0.0])
    target = tensors([1.0, 1.0], [0.9, 0.5], [0.0, 0.0])
    weight = tensors([1.0, 1.0], [1.0, 1.0], [2.0, 0.0])
    squares = (0.4**2 + 0 + 2 * 0.5**2) / 3
    for ratio in (0, 1, 2.5):
        loss = AffinitiesLoss(1, ratio).compute(prediction, target, weight).item()
        assert loss == pytest.approx(entropy(2, 1) + ratio * squares)


def test_a_weight_counts_linearly():
    prediction, target = torch.randn(2, 5, 3, 3), torch.rand(2, 5, 3, 3)
    weight = torch.rand(2, 5, 3, 3)
    once = AffinitiesLoss(3, 1).compute(prediction, target, weight)
    twice = AffinitiesLoss(3, 1).compute(prediction, target, 2 * weight)
    torch.testing.assert_close(twice, 2 * once)


def test_unknown_descriptors_leave_the_affinities_as_they_are():
    prediction, target = torch.randn(1, 5, 3, 3), torch.rand(1, 5, 3, 3)
    weight = torch.ones(1, 5, 3, 3)
    weight[:, 3:] = 0
    both = AffinitiesLoss(3, 1).compute(prediction, target, weight)
    alone = AffinitiesLoss(3, 1).compute(prediction[:, :3], target[:, :3], weight[:, :3])
    torch.testing.assert_close(both, alone)


def test_nothing_known_is_no_loss_and_no_gradient():
    prediction = torch.randn(1, 5, 3, 3, requires_grad=True)
    loss = AffinitiesLoss(3, 1).compute(prediction, torch.ones(1, 5, 3, 3), torch.zeros(1, 5, 3, 3))
    loss.backward()
    assert loss.item() == 0
    assert not prediction.grad.any()
