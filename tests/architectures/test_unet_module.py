import json
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from napari_dacapo_tasks.architectures import CNNectomeUNet, Model, load_weights
from napari_dacapo_tasks.architectures.unet_layers import initialise
from napari_dacapo_tasks.errors import ConfigError

GOLDEN = Path(__file__).parents[1] / "golden"
SMALL = {"fmaps_out": 6, "fmaps_in": 1, "num_fmaps": 2, "fmap_inc_factor": 2}
ARCHITECTURES = {
    "unet3d": {
        **SMALL,
        "input_shape": [92, 92, 92],
        "downsample_factors": [[2, 2, 2], [2, 2, 2]],
        "constant_upsample": True,
    },
    "unet2d_transposed": {
        **SMALL,
        "input_shape": [92, 92],
        "downsample_factors": [[2, 2], [2, 2]],
        "constant_upsample": False,
        "batch_norm": False,
    },
    "unet3d_aniso": {
        **SMALL,
        "input_shape": [28, 92, 92],
        "downsample_factors": [[1, 2, 2], [1, 2, 2]],
        "kernel_size_down": [[[3, 3, 3], [3, 3, 3]]] * 3,
        "kernel_size_up": [[[3, 3, 3], [3, 3, 3]]] * 2,
        "constant_upsample": True,
        "batch_norm": True,
    },
}
EQUAL_TO_DACAPO = [*ARCHITECTURES, "unet2d_attention", "unet2d_upsampled", "unet2d_thirds"]


def golden(name):
    """Model with the golden weights, and its input and output."""
    io = np.load(GOLDEN / f"{name}_io.npz")
    parameters = ARCHITECTURES.get(name) or json.loads(str(io["architecture"]))
    unet = CNNectomeUNet(**parameters)
    model = Model(unet, {2: nn.Conv2d, 3: nn.Conv3d}[unet.dims](unet.fmaps_out, 1, 1)).eval()
    load_weights(model, GOLDEN / f"{name}_checkpoint.pt")
    return model, torch.from_numpy(io["x"]), io["y_eval"]


@pytest.mark.parametrize("name", EQUAL_TO_DACAPO)
@pytest.mark.parametrize("placed", [False, True])
def test_dacapos_checkpoints_answer_dacapos_outputs(name, placed):
    model, x, wanted = golden(name)
    if placed:
        model.place("cpu")
    with torch.no_grad():
        found = model(x).numpy()
    np.testing.assert_allclose(found, wanted, rtol=0, atol=1e-5)
    assert wanted.shape[2:] == model.output_shape
    assert np.abs(wanted).max() > 100 * 1e-5  # else the comparison says nothing


@pytest.mark.parametrize("name", EQUAL_TO_DACAPO)
def test_the_state_dict_has_dacapos_names_in_dacapos_order(name):
    model, _, _ = golden(name)
    checkpoint = torch.load(GOLDEN / f"{name}_checkpoint.pt", weights_only=True)
    assert list(model.chain.state_dict()) == list(checkpoint["model"])


def test_same_padding_keeps_the_size_and_dacapos_answer_off_the_border():
    """DaCapo crops here, as if nothing had been padded, and pads the cropped map with zeros."""
    model, x, wanted = golden("unet2d_same")
    with torch.no_grad():
        found = model(x).numpy()
    assert found.shape == x.shape
    assert wanted.shape[2:] == (60, 68)
    cropped, last_convolutions = 2, 2
    off = cropped + last_convolutions
    np.testing.assert_allclose(
        found[..., off:-off, off:-off],
        wanted[..., last_convolutions:-last_convolutions, last_convolutions:-last_convolutions],
        rtol=0,
        atol=1e-5,
    )


@pytest.mark.parametrize("name", ["unet2d_transposed", "unet2d_thirds", "unet2d_upsampled"])
def test_a_shifted_input_gives_a_shifted_output(name):
    """Tiles agree where they overlap: what the cropping is for."""
    model, x, _ = golden(name)
    architecture = model.architecture
    step = architecture.axes[1].step
    finer = int(np.prod(architecture.axes[1].upsample, dtype=int))
    wide = torch.cat([x, x[..., :step]], dim=-1)
    with torch.no_grad():
        left, right = model(wide[..., :-step]), model(wide[..., step:])
    torch.testing.assert_close(
        left[..., step * finer :], right[..., : -step * finer], rtol=0, atol=1e-5
    )


@pytest.mark.parametrize("name", ["unet2d_transposed", "unet2d_thirds"])
def test_the_output_begins_half_the_context_into_the_input(name):
    """With weights that only hand the input on through the skip connection."""
    model, x, _ = golden(name)
    unet = model.chain[0].unet
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.zero_()
        for level in (unet.l_conv[0], unet.r_conv[0][0]):
            for layer in level.conv_pass:
                if isinstance(layer, nn.Conv2d):
                    layer.weight[0, 0, layer.kernel_size[0] // 2, layer.kernel_size[1] // 2] = 1
        model.prediction_head.weight[0, 0] = 1
        found = model(x.abs())
    begin = model.architecture.context // 2
    height, width = model.output_shape
    expected = x.abs()[..., begin[0] : begin[0] + height, begin[1] : begin[1] + width]
    torch.testing.assert_close(found, expected)


def test_an_input_of_another_shape_is_refused_with_the_nearest_that_fit():
    model, _, _ = golden("unet2d_transposed")
    with pytest.raises(ConfigError, match=r"\(93, 10\) .* are \(92, 44\) and \(96, 44\)"):
        model(torch.zeros(1, 1, 93, 10))


def test_larger_inputs_that_fit_are_answered_in_their_size():
    model, _, _ = golden("unet2d_transposed")
    with torch.no_grad():
        assert model(torch.zeros(2, 1, 100, 92)).shape == (2, 1, 60, 52)


@pytest.mark.parametrize("constant_upsample", [True, False])
def test_fresh_weights_keep_the_scale_of_what_goes_through(constant_upsample):
    torch.manual_seed(0)
    unet = CNNectomeUNet(
        input_shape=(108, 108),
        num_fmaps=16,
        fmaps_out=16,
        fmap_inc_factor=2,
        downsample_factors=[(2, 2)] * 3,
        constant_upsample=constant_upsample,
    )
    with torch.no_grad():
        out = unet.module()(torch.randn(1, 1, 108, 108))
    assert 0.2 < out.square().mean() < 20


def test_kaiming_weights_have_the_deviation_of_their_fan_in():
    torch.manual_seed(0)
    layers = nn.Sequential(
        nn.Conv3d(40, 50, 3),
        nn.ConvTranspose3d(60, 50, 2, stride=2),
        nn.Conv3d(4, 4, 1, bias=False),
    )
    initialise(layers)
    assert layers[0].weight.std().item() == pytest.approx((2 / (40 * 27)) ** 0.5, rel=0.05)
    assert layers[1].weight.std().item() == pytest.approx((2 / 60) ** 0.5, rel=0.05)
    assert not layers[0].bias.any()
    assert not layers[1].bias.any()


@pytest.mark.parametrize("use_attention", [True, False])
@pytest.mark.parametrize("constant_upsample", [True, False])
def test_every_weight_learns(use_attention, constant_upsample):
    torch.manual_seed(0)
    unet = CNNectomeUNet(
        input_shape=(20, 20, 20),
        num_fmaps=4,
        fmaps_out=4,
        fmap_inc_factor=2,
        downsample_factors=[(2, 2, 2)],
        use_attention=use_attention,
        constant_upsample=constant_upsample,
    )
    module = unet.module()
    module(torch.randn(1, 1, 20, 20, 20)).square().mean().backward()
    still = [name for name, tensor in module.named_parameters() if not tensor.grad.any()]
    assert still == []
