import pytest
import torch
from torch import nn

from napari_dacapo_tasks.architectures import CNNectomeUNet, Model, WrappedArchitecture
from napari_dacapo_tasks.architectures.model import pointwise_head
from napari_dacapo_tasks.errors import ConfigError


def unet(**changes):
    values = {
        "input_shape": (20, 24),
        "num_fmaps": 2,
        "fmaps_out": 3,
        "fmap_inc_factor": 2,
        "downsample_factors": [(2, 2)],
    }
    return CNNectomeUNet(**{**values, **changes})


def test_channels_and_shapes():
    model = Model(unet(fmaps_in=2, eval_shape_increase=(8, 4)), nn.Conv2d(3, 5, 1))
    assert (model.num_in_channels, model.num_out_channels) == (2, 5)
    assert model.input_shape == (20, 24)
    assert model.output_shape == (4, 8)
    assert model.eval_input_shape == (28, 28)
    assert model.compute_output_shape(model.eval_input_shape) == (5, (12, 12))
    assert model(torch.zeros(3, 2, 28, 28)).shape == (3, 5, 12, 12)


def test_a_pointwise_head_fits_the_architecture():
    torch.manual_seed(0)
    model = Model(unet(fmaps_out=300), pointwise_head(unet(fmaps_out=300), 4))
    assert (model.num_out_channels, model.output_shape) == (4, (4, 8))
    assert model.prediction_head.weight.shape == (4, 300, 1, 1)
    assert model.prediction_head.weight.std().item() == pytest.approx((2 / 300) ** 0.5, rel=0.1)
    solid = unet(input_shape=(20,) * 3, downsample_factors=[(2,) * 3])
    assert pointwise_head(solid, 2).weight.shape == (2, 3, 1, 1, 1)


def test_a_head_that_takes_voxels_counts():
    assert Model(unet(), nn.Conv2d(3, 1, 3)).output_shape == (2, 6)


def test_an_output_shape_that_does_not_exist_is_refused():
    with pytest.raises(ConfigError, match=r"nearest that do are \(20, 24\) and \(22, 24\)"):
        Model(unet(), nn.Conv2d(3, 1, 1)).compute_output_shape((21, 24))


def test_the_activation_is_for_eval_only():
    model = Model(unet(), nn.Conv2d(3, 1, 1), eval_activation=nn.Sigmoid())
    x = torch.randn(1, 1, 20, 24)
    with torch.no_grad():
        logits = model.train()(x)
        probabilities = model.eval()(x)
    torch.testing.assert_close(probabilities, logits.sigmoid())
    assert not torch.equal(probabilities, logits)


def test_finding_the_shape_leaves_statistics_and_modes_alone():
    architecture = unet(batch_norm=True)
    model = Model(architecture, nn.Conv2d(3, 1, 1))
    frozen = model.chain[0].unet.l_conv[1]
    frozen.eval()
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    assert before["chain.0.unet.l_conv.0.conv_pass.1.num_batches_tracked"] == 0
    model.compute_output_shape((24, 28))
    for name, tensor in model.state_dict().items():
        assert torch.equal(tensor, before[name])
    assert model.training
    assert model.chain[1].training
    assert not frozen.training


def test_each_tensor_stands_once_in_the_state_dict():
    model = Model(unet(batch_norm=True, use_attention=True), nn.Conv2d(3, 1, 1))
    tensors = model.state_dict(keep_vars=True)
    assert len({id(tensor) for tensor in tensors.values()}) == len(tensors)
    assert all(name.startswith("chain.") for name in tensors)
    assert model.prediction_head is model.chain[1]


def test_scale_divides_by_what_the_output_is_finer():
    model = Model(unet(upsample_factors=[(1, 2)], input_shape=(24, 24)), nn.Conv2d(3, 1, 1))
    assert model.scale(model.input_shape) == (24, 12)
    assert model.output_shape == (4, 12)


def test_placed_on_the_cpu_channels_come_last_and_stay_so():
    model = Model(unet(), nn.Conv2d(3, 1, 1)).eval()
    x = torch.randn(1, 1, 20, 24)
    with torch.no_grad():
        before = model(x)
        assert model.place("cpu") is model
        torch.testing.assert_close(model(x), before, rtol=1e-5, atol=1e-5)
    weight = model.chain[0].unet.l_conv[1].conv_pass[0].weight
    assert weight.is_contiguous(memory_format=torch.channels_last)
    assert not weight.is_contiguous()
    model.load_state_dict({k: v.contiguous() for k, v in model.state_dict().items()})
    assert weight.is_contiguous(memory_format=torch.channels_last)


class Odd(nn.Module):
    """Looks at values and keeps a tensor that is neither parameter nor buffer."""

    def __init__(self):
        super().__init__()
        self.convolve = nn.Conv3d(2, 4, 3, bias=False)
        self.offset = torch.ones(1)

    def forward(self, x):
        if x.mean().item() > 1e6:
            raise AssertionError("not with zeros")
        return self.convolve(x) + self.offset


def test_a_wrapped_module_keeps_its_weights_and_finds_its_shape():
    torch.manual_seed(0)
    module = Odd()
    nn.init.constant_(module.convolve.weight, 0.25)
    architecture = WrappedArchitecture(module, 2, 4, (9, 10, 11), upsample_factor=(1, 1, 2))
    model = Model(architecture, nn.Conv3d(4, 1, 1))
    assert model.chain[0] is module
    assert torch.all(module.convolve.weight == 0.25)
    assert model.output_shape == (7, 8, 9)
    assert model.eval_input_shape == (9, 10, 11)
    assert (architecture.dims, architecture.num_in_channels) == (3, 2)
    assert architecture.num_out_channels == 4
    assert architecture.scale(model.input_shape - 1) == (8, 9, 5)


def test_a_voxel_size_that_cannot_be_upsampled_is_refused():
    architecture = WrappedArchitecture(nn.Identity(), 1, 1, (8, 8), upsample_factor=(2, 2))
    with pytest.raises(ConfigError, match=r"\(5, 4\) cannot be upsampled by \(2, 2\)"):
        architecture.scale(type(architecture.input_shape)(5, 4))


def test_wrapped_weights_survive_many_models_and_batch_norm_its_statistics():
    module = nn.Sequential(nn.Conv2d(1, 3, 3), nn.BatchNorm2d(3))
    with torch.no_grad():
        module[1].running_mean.fill_(0.5)
    before = {name: tensor.clone() for name, tensor in module.state_dict().items()}
    for _ in range(2):
        Model(WrappedArchitecture(module, 1, 3, (8, 8)), nn.Conv2d(3, 1, 1))
    for name, tensor in module.state_dict().items():
        assert torch.equal(tensor, before[name])
    assert module[1].training
