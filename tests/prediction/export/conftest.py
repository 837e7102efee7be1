"""Small trained networks of all kinds to give away."""

from __future__ import annotations

import pytest
import torch

from napari_dacapo_tasks.architectures import CNNectomeUNet
from napari_dacapo_tasks.prediction.trained import TrainedModel
from napari_dacapo_tasks.tasks import (
    AffinitiesTaskConfig,
    DistanceTaskConfig,
    HotDistanceTaskConfig,
    InnerDistanceTaskConfig,
    OneHotTaskConfig,
)

LENGTHS = {"scale_factor": 50.0, "clip_distance": 80.0, "tol_distance": 16.0}
SMALL = {"num_fmaps": 2, "fmaps_out": 3, "fmap_inc_factor": 2}

TASKS = {
    "distance": DistanceTaskConfig(name="mito_dist", channels=["mito", "er"], **LENGTHS),
    "inner": InnerDistanceTaskConfig(name="inner", channels=["mito"], **LENGTHS),
    "hot": HotDistanceTaskConfig(name="hot", channels=["mito"], **LENGTHS),
    "classes": OneHotTaskConfig(name="classes", classes=["background", "mito", "er"]),
    "affinities": AffinitiesTaskConfig(
        name="affs", neighborhood=[(1, 0, 0), (0, 1, 0), (0, 0, -3)]
    ),
    "descriptors": AffinitiesTaskConfig(
        name="lsds", neighborhood=[(1, 0, 0), (0, 1, 0)], lsds=True, num_lsd_voxels=4
    ),
}

NETS = {
    "valid": CNNectomeUNet(input_shape=(24, 24, 24), downsample_factors=[(2, 2, 2)], **SMALL),
    "anisotropic": CNNectomeUNet(
        input_shape=(26, 48, 48), downsample_factors=[(1, 2, 2), (2, 2, 2)], **SMALL
    ),
    "same": CNNectomeUNet(
        input_shape=(24, 24, 24), downsample_factors=[(2, 2, 2)], padding="same", **SMALL
    ),
    "attention": CNNectomeUNet(
        input_shape=(44, 44, 44),
        downsample_factors=[(2, 2, 2), (2, 2, 2)],
        use_attention=True,
        batch_norm=True,
        **SMALL,
    ),
    "thirds": CNNectomeUNet(
        input_shape=(28, 28, 28),
        downsample_factors=[(3, 3, 3)],
        constant_upsample=False,
        eval_shape_increase=(3, 3, 3),
        **SMALL,
    ),
    "finer": CNNectomeUNet(
        input_shape=(22, 22, 22),
        downsample_factors=[(2, 2, 2)],
        upsample_factors=[(2, 2, 2)],
        **SMALL,
    ),
    "colours": CNNectomeUNet(
        input_shape=(44, 44), downsample_factors=[(2, 2), (2, 2)], fmaps_in=3, **SMALL
    ),
}


def trained_of(task, net, **changes):
    """Make a network with random weights, as if it had been trained."""
    torch.manual_seed(0)
    model = task.task_type(task).predictor.create_model(net)
    for part in model.modules():
        if isinstance(part, (torch.nn.BatchNorm2d, torch.nn.BatchNorm3d)):
            part.running_mean.uniform_(-0.5, 0.5)
            part.running_var.uniform_(0.5, 2)
    values = {
        "name": "run 7",
        "task": task,
        "architecture": net,
        "weights": model.chain.state_dict(),
        "intensity_range": (20.0, 220.0),
        "voxel_size": (40.0, 8.0, 8.0)[-net.dims :],
        "unit": "nm",
        "iteration": 300,
    }
    return TrainedModel(**{**values, **changes})


@pytest.fixture
def trained():
    """Give a network of a task, by name."""

    def make(task="distance", net="valid", **changes):
        return trained_of(TASKS[task], NETS[net], **changes)

    return make


def done(steps):
    """Go through all steps of an export; what it made."""
    while True:
        try:
            next(steps)
        except StopIteration as end:
            return end.value


@pytest.fixture
def finish():
    return done


def answers(model, raw):
    """Give what a model answers for raw data as the network sees it."""
    with torch.no_grad():
        return model(torch.as_tensor(raw)).numpy()


@pytest.fixture
def answer_of():
    return answers
