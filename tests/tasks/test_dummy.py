import numpy as np
import pytest
import torch
from funlib.geometry import Coordinate, Roi
from pydantic import ValidationError

from napari_dacapo_tasks.architectures import CNNectomeUNet
from napari_dacapo_tasks.arrays import NumpyArray
from napari_dacapo_tasks.tasks.dummy import DummyTask, DummyTaskConfig
from napari_dacapo_tasks.tasks.files import task_to_dict
from napari_dacapo_tasks.tasks.task import Measured

DACAPO = {
    "__type__": "DummyTaskConfig",
    "name": "dummy",
    "embedding_dims": 2,
    "detection_threshold": 0.25,
}
CONFIG = DummyTaskConfig(name="dummy", embedding_dims=2, detection_threshold=0.25)


def test_fields_are_dacapos_and_it_is_never_valid():
    assert task_to_dict(CONFIG) == DACAPO
    valid, reason = CONFIG.verify()
    assert not valid
    assert reason
    with pytest.raises(ValidationError, match="greater than or equal to 1"):
        DummyTaskConfig(name="d", embedding_dims=0, detection_threshold=1)
    assert DummyTaskConfig.propose(["a"], Measured((8, 8))).embedding_dims == 1


@pytest.mark.parametrize("shape", [(5, 6), (4, 5, 6)])
def test_targets_are_zeros_and_weights_ones(shape):
    predictor = DummyTask(CONFIG).predictor
    size = (8,) * len(shape)
    labels = NumpyArray(np.ones(shape, np.uint8), axes="zyx"[-len(shape) :], voxel_size=size)
    target = predictor.create_target(labels)
    assert target.data.shape == (2, *shape)
    assert not target.data.any()
    roi = Roi(size, np.array(size) * 3)
    weight, counts = predictor.create_weight(labels, target.crop(roi), labels)
    assert weight.roi == roi
    assert (weight.data == 1).all()
    assert weight.dtype == np.float32
    assert counts is None
    assert predictor.padding(Coordinate(size)) == Coordinate((0,) * len(shape))


@pytest.mark.parametrize("dims", [2, 3])
def test_a_model_answers_with_its_channels(dims):
    net = CNNectomeUNet(
        input_shape=(20,) * dims,
        num_fmaps=2,
        fmaps_out=2,
        fmap_inc_factor=2,
        downsample_factors=[(2,) * dims],
    )
    task = DummyTask(CONFIG)
    model = task.create_model(net)
    with torch.no_grad():
        assert model(torch.zeros(1, 1, *(20,) * dims)).shape == (1, 2, *(4,) * dims)
    assert task.channels == ["channel 0", "channel 1"]
    assert task.predictor.output_array_type.embedding_dims == 2
    assert task.methods == []
    assert type(task.loss).__name__ == "DummyLoss"
