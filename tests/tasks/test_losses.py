import pytest
import torch

from napari_dacapo_tasks.tasks.losses.mse import MSELoss

PREDICTION = torch.tensor([0.0, 1.0, 2.0, 5.0])
TARGET = torch.tensor([1.0, 1.0, 0.0, 0.0])


def loss(weight):
    return MSELoss().compute(PREDICTION, TARGET, torch.tensor(weight)).item()


def test_the_sum_is_divided_by_the_voxels_that_count():
    assert loss([1.0, 1.0, 1.0, 0.0]) == pytest.approx((1 + 0 + 4) / 3)
    assert loss([0.0, 0.0, 1.0, 0.0]) == pytest.approx(4)


def test_a_weight_counts_linearly():
    assert loss([2.0, 2.0, 2.0, 0.0]) == pytest.approx(2 * loss([1.0, 1.0, 1.0, 0.0]))


def test_nothing_known_is_no_loss_and_no_gradient():
    prediction = PREDICTION.clone().requires_grad_()
    value = MSELoss().compute(prediction, TARGET, torch.zeros(4))
    value.backward()
    assert value.item() == 0
    assert not prediction.grad.any()
