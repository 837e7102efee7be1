import math

import pytest
import yaml
from funlib.geometry import Coordinate
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import BaseModel, ValidationError

from napari_dacapo_tasks.architectures import Architecture, CNNectomeUNet
from napari_dacapo_tasks.errors import ConfigError

DACAPO_FIELDS = {
    "input_shape",
    "fmaps_out",
    "fmaps_in",
    "num_fmaps",
    "fmap_inc_factor",
    "downsample_factors",
    "kernel_size_down",
    "kernel_size_up",
    "eval_shape_increase",
    "upsample_factors",
    "constant_upsample",
    "padding",
    "use_attention",
    "batch_norm",
}


def refusal(**values):
    """Field and sentence of the one refusal."""
    with pytest.raises(ValidationError) as caught:
        CNNectomeUNet(**values)
    (error,) = caught.value.errors()
    return ".".join(map(str, error["loc"])), error["msg"]


def test_names_and_defaults_are_dacapos():
    assert set(CNNectomeUNet.model_fields) == DACAPO_FIELDS | {"name"}
    unet = CNNectomeUNet()
    assert unet.constant_upsample
    assert unet.padding == "valid"
    assert not unet.use_attention
    assert not unet.batch_norm
    assert (unet.kernel_size_down, unet.kernel_size_up) == (None, None)
    assert unet.kernels_down == [[(3, 3, 3)] * 2] * 3
    assert unet.kernels_up == [[(3, 3, 3)] * 2] * 2


def test_every_field_has_a_title_and_a_help_text():
    for field in CNNectomeUNet.model_fields.values():
        assert field.title
        assert field.description
        assert field.description.endswith(".")


def test_it_is_its_own_architecture():
    unet = CNNectomeUNet(fmaps_in=2, fmaps_out=7, eval_shape_increase=[8, 0, 4])
    assert isinstance(unet, Architecture)
    assert (unet.dims, unet.num_in_channels, unet.num_out_channels) == (3, 2, 7)
    assert unet.input_shape + unet.eval_shape_increase == Coordinate(100, 92, 96)
    assert CNNectomeUNet().eval_shape_increase * 2 == Coordinate(0, 0, 0)
    assert unet.context == (40, 40, 40)
    assert unet.compute_output_shape((44, 48, 52)) == (4, 8, 12)
    assert unet.fits((44, 48, 52))
    assert not unet.fits((44, 48, 53))
    assert not unet.fits((44, 48))
    assert unet.nearest_valid_shapes((45, 44, 1)) == ((44, 44, 44), (48, 44, 44))
    with pytest.raises(ConfigError, match="nearest"):
        unet.compute_output_shape((45, 48, 52))


def test_it_is_frozen_and_forbids_what_it_does_not_know():
    with pytest.raises(ValidationError, match="frozen"):
        CNNectomeUNet().num_fmaps = 3
    assert refusal(num_fmap=3)[0] == "num_fmap"


@pytest.mark.parametrize(
    "values",
    [
        {},
        {"input_shape": (52, 48), "downsample_factors": [(2, 2), (1, 2)]},
        {
            "input_shape": (28, 92, 92),
            "downsample_factors": [(1, 2, 2), (1, 2, 2)],
            "kernel_size_down": [[(3, 3, 3), (3, 3, 3)], [(3, 3, 3)] * 2, [(3, 3, 3)] * 2],
            "eval_shape_increase": (1, 4, 8),
            "upsample_factors": [(1, 2, 2)],
        },
    ],
)
def test_it_goes_through_yaml_and_json_unchanged(values):
    unet = CNNectomeUNet(**values)
    dumped = unet.model_dump(mode="json")
    again = CNNectomeUNet.model_validate(yaml.safe_load(yaml.safe_dump(dumped)))
    assert again == unet == CNNectomeUNet.model_validate_json(unet.model_dump_json())
    assert again.model_dump(mode="json") == dumped
    assert isinstance(again.input_shape, Coordinate)
    assert isinstance(again.eval_shape_increase, Coordinate)


def test_what_dacapo_leaves_null_and_spells_with_an_underscore_is_read():
    unet = CNNectomeUNet(
        **{
            "_eval_shape_increase": [4, 4, 4],
            "upsample_factors": None,
            "kernel_size_down": None,
        }
    )
    assert unet.eval_shape_increase == (4, 4, 4)
    assert CNNectomeUNet(**{"_eval_shape_increase": None}).eval_shape_increase == (0, 0, 0)


def test_an_input_shape_that_does_not_fit_is_refused_with_the_nearest_that_do():
    field, sentence = refusal(input_shape=(93, 92, 92))
    assert field == "input_shape"
    assert sentence == (
        "An input of shape (93, 92, 92) does not fit this U-Net; the nearest that do are "
        "(92, 92, 92) and (96, 92, 92)."
    )
    field, sentence = refusal(input_shape=(30, 32, 32), padding="same")
    assert "(28, 32, 32) and (32, 32, 32)" in sentence


def test_an_increase_that_does_not_fit_is_refused_with_the_nearest_that_do():
    field, sentence = refusal(eval_shape_increase=(5, 0, 8))
    assert field == "eval_shape_increase"
    assert "nearest increases that do are (4, 0, 8) and (8, 0, 8)" in sentence


@pytest.mark.parametrize(
    ("field", "values", "words"),
    [
        ("input_shape", {"input_shape": (92,)}, "two or three sizes"),
        ("input_shape", {"input_shape": (92, 92, 92, 92)}, "two or three sizes"),
        ("input_shape", {"input_shape": (0, 92)}, "at least 1 voxel"),
        ("downsample_factors", {"downsample_factors": []}, "at least 1 item"),
        ("downsample_factors", {"downsample_factors": [(2, 2)]}, "3 whole numbers"),
        ("downsample_factors", {"downsample_factors": [(2, 2, 0)]}, "at least 1"),
        ("upsample_factors", {"upsample_factors": [(2,)]}, "3 whole numbers"),
        ("kernel_size_down", {"kernel_size_down": [[(3, 3, 3)]] * 2}, "need 3 lists of kernels"),
        ("kernel_size_up", {"kernel_size_up": [[(3, 3, 3)], []]}, "none of them empty"),
        ("kernel_size_up", {"kernel_size_up": [[(3, 3)], [(3, 3)]]}, "3 whole numbers"),
        (
            "kernel_size_up",
            {"kernel_size_up": [[(2, 3, 3)]] * 2, "padding": "same"},
            "even size",
        ),
        (
            "input_shape",
            {"input_shape": (4, 4, 4), "padding": "same", "batch_norm": True},
            "single voxel",
        ),
        ("eval_shape_increase", {"eval_shape_increase": (4, 4)}, "3 sizes"),
        ("eval_shape_increase", {"eval_shape_increase": (-4, 0, 0)}, "at least 0"),
        ("num_fmaps", {"num_fmaps": 0}, "greater than or equal to 1"),
        ("padding", {"padding": "reflect"}, "'valid' or 'same'"),
    ],
)
def test_fields_that_make_no_network_are_refused_at_their_place(field, values, words):
    where, sentence = refusal(**values)
    assert where == field
    assert words in sentence
    assert "\n" not in sentence


def test_inside_another_model_the_place_is_kept():
    class Run(BaseModel):
        architecture: CNNectomeUNet

    with pytest.raises(ValidationError) as caught:
        Run(architecture={"input_shape": [93, 92, 92]})
    assert caught.value.errors()[0]["loc"] == ("architecture", "input_shape")


def test_scale_is_the_voxel_size_over_all_upsampling():
    unet = CNNectomeUNet(upsample_factors=[(1, 2, 2), (1, 1, 2)])
    assert unet.scale(Coordinate(40, 8, 8)) == (40, 4, 2)
    assert CNNectomeUNet().scale(Coordinate(40, 8, 8)) == (40, 8, 8)
    with pytest.raises(ConfigError, match=r"\(40, 8, 6\) cannot be upsampled by \(1, 2, 4\)"):
        unet.scale(Coordinate(40, 8, 6))


def test_isotropic_data_gets_a_cube():
    unet = CNNectomeUNet.propose((8, 8, 8), (400, 500, 600), fmaps_in=2, num_fmaps=6)
    assert unet.input_shape == (124, 124, 124)
    assert unet.downsample_factors == [(2, 2, 2)] * 2
    assert (unet.kernel_size_down, unet.padding) == (None, "valid")
    assert (unet.fmaps_in, unet.num_fmaps, unet.fmaps_out) == (2, 6, 6)


def test_coarse_axes_are_left_alone_until_the_others_have_come_to_their_scale():
    unet = CNNectomeUNet.propose((40, 4, 4), (125, 1250, 1250))
    assert unet.downsample_factors == [(1, 2, 2)] * 3
    assert [level[0] for level in unet.kernels_down] == [(1, 3, 3)] * 3 + [(3, 3, 3)]
    assert [level[0] for level in unet.kernels_up] == [(1, 3, 3)] * 3
    z, y, x = unet.input_shape
    assert y == x
    assert 9 * z < y < 11 * z  # about a cube in the world
    assert CNNectomeUNet.propose((4, 4, 40), (1250, 1250, 125)).input_shape == (x, y, z)

    twice = CNNectomeUNet.propose((16, 8, 8), (200, 200, 200))
    assert twice.downsample_factors == [(1, 2, 2), (2, 2, 2), (2, 2, 2)]
    slightly = CNNectomeUNet.propose((5.24, 4, 4), (200, 200, 200))
    assert slightly.downsample_factors == [(2, 2, 2)] * 2


def test_2d_data_gets_a_2d_net():
    unet = CNNectomeUNet.propose((4, 4), (2000, 3000))
    assert unet.dims == 2
    assert unet.downsample_factors == [(2, 2)] * 3
    assert unet.input_shape == (508, 508)


def test_small_data_gets_fewer_levels_and_then_padding():
    levels = {
        n: (u.padding, len(u.downsample_factors), u.input_shape[0])
        for n in (64, 40, 20, 9, 3, 1)
        if (u := CNNectomeUNet.propose((8, 8, 8), (n, n, n)))
    }
    assert levels == {
        64: ("valid", 2, 64),
        40: ("valid", 1, 40),
        20: ("same", 2, 20),
        9: ("same", 1, 8),
        3: ("same", 1, 3),
        1: ("valid", 1, 1),
    }


def test_a_short_axis_does_not_hold_back_the_others():
    unet = CNNectomeUNet.propose((8, 8, 8), (5, 400, 400))
    assert unet.padding == "same"
    assert unet.downsample_factors == [(1, 2, 2)] * 3
    assert unet.input_shape[0] == 5


def test_the_input_can_be_kept_small():
    unet = CNNectomeUNet.propose((8, 8, 8), (128, 128, 128), max_voxels=64**3)
    assert unet.input_shape == (64, 64, 64)
    tiny = CNNectomeUNet.propose((8, 8, 8), (128, 128, 128), max_voxels=10)
    assert math.prod(tiny.input_shape) <= 10


@pytest.mark.parametrize(
    ("voxel_size", "shape"),
    [
        ((8,), (100,)),
        ((8, 8), (100, 100, 100)),
        ((8, 8, 8), (100, 0, 100)),
        ((8, 0, 8), (100, 100, 100)),
        ((8, float("nan"), 8), (100, 100, 100)),
    ],
)
def test_nothing_is_proposed_for_what_is_no_data(voxel_size, shape):
    with pytest.raises(ConfigError):
        CNNectomeUNet.propose(voxel_size, shape)


@settings(deadline=None)
@given(
    st.integers(2, 3).flatmap(
        lambda dims: st.tuples(
            st.lists(st.floats(0.5, 200), min_size=dims, max_size=dims),
            st.lists(st.integers(1, 3000), min_size=dims, max_size=dims),
        )
    )
)
def test_a_proposal_always_fits_the_data(data):
    voxel_size, shape = data
    unet = CNNectomeUNet.propose(voxel_size, shape)
    assert all(n <= size for n, size in zip(unet.input_shape, shape, strict=True))
    assert math.prod(unet.input_shape) <= (512**2 if len(shape) == 2 else 2_000_000)
    output = unet.compute_output_shape(unet.input_shape)
    assert all(3 * out >= n for out, n in zip(output, unet.input_shape, strict=True))
    assert all(context % 2 == 0 for context in unet.context)
