import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from napari_dacapo_tasks.architectures import CNNectomeUNet
from napari_dacapo_tasks.architectures.unet_shapes import (
    AxisSizes,
    axes_of,
    equivariant_size,
    misfit,
    nearest_shapes,
    output_shape,
)
from napari_dacapo_tasks.errors import ConfigError


@st.composite
def axis_sizes(draw):
    factors = tuple(draw(st.lists(st.integers(1, 4), min_size=1, max_size=3)))
    levels = len(factors)

    def lost(count):
        return tuple(draw(st.lists(st.integers(0, 8), min_size=count, max_size=count)))

    return AxisSizes(
        factors,
        lost_down=lost(levels + 1),
        lost_up=lost(levels),
        upsample=tuple(draw(st.lists(st.integers(1, 3), max_size=2))),
        lost_upsample=draw(st.integers(0, 4)),
    )


DACAPO = axes_of([(2, 2, 2)] * 2, [[(3, 3, 3)] * 2] * 3, [[(3, 3, 3)] * 2] * 2, padded=False)


def test_the_golden_nets_sizes():
    (axis, _, _) = DACAPO
    assert axis.output_size(92) == 52
    assert axis.context == 40
    assert axis.step == 4
    assert axis.minimum == 44
    assert axis.output_size(44) == 4
    assert axis.output_size(40) is None
    assert axis.deepest_size(44) == 4


def test_three_halvings_crop_the_uppermost_map():
    axis = AxisSizes((2, 2, 2), (4, 4, 4, 4), (4, 4, 4))
    assert equivariant_size(24, lost=4, stride=8) == 20
    assert axis.output_size(108) == 16
    assert axis.context == 92


def test_cnnectomes_own_network():
    """The network of the CNNectome paper's code: 216 voxels in, 36 out."""
    assert AxisSizes((2, 3, 3), (4, 4, 4, 4), (4, 4, 4)).output_size(216) == 36


def test_padded_nets_lose_nothing_whatever_the_depth():
    (axis,) = axes_of([(2,)] * 4, [[(3,), (5,)]] * 5, [[(3,)]] * 4, padded=True)
    assert axis.output_size(64) == 64
    assert axis.context == 0
    assert axis.minimum == 16
    assert axis.output_size(72) is None


@given(axis_sizes())
def test_context_is_the_same_for_every_size_that_fits(axis):
    finer = 1
    for factor in axis.upsample:
        finer *= factor
    fitting = [n for n in range(1, axis.minimum + 4 * axis.step + 1) if axis.output_size(n)]
    assert fitting == [axis.minimum + i * axis.step for i in range(5)]
    assert {n * finer - axis.output_size(n) for n in fitting} == {axis.context}


@given(axis_sizes(), st.integers(1, 600))
def test_the_nearest_sizes_fit_and_none_is_nearer(axis, size):
    smaller, larger = axis.at_most(size), axis.at_least(size)
    assert axis.output_size(larger) is not None
    if smaller is None:
        assert size < axis.minimum == larger
    else:
        assert axis.output_size(smaller) is not None
        assert smaller <= size <= larger
        assert larger - smaller in (0, axis.step)
        assert (smaller == larger) == (axis.output_size(size) is not None)


def test_sentences_name_the_nearest_shapes():
    assert misfit(DACAPO, (92, 96, 44)) is None
    assert misfit(DACAPO, (93, 92, 10)) == (
        "An input of shape (93, 92, 10) does not fit this U-Net; the nearest that do are "
        "(92, 92, 44) and (96, 92, 44)."
    )
    assert misfit(DACAPO, (1, 2, 3)) == (
        "An input of shape (1, 2, 3) does not fit this U-Net; the nearest that does is "
        "(44, 44, 44)."
    )
    assert "has 2 axes, but this U-Net works in 3D" in misfit(DACAPO, (92, 92))
    assert nearest_shapes(DACAPO, (93, 92, 10)) == ((92, 92, 44), (96, 92, 44))
    assert output_shape(DACAPO, (44, 48, 92)) == (4, 8, 52)
    with pytest.raises(ConfigError, match="nearest"):
        output_shape(DACAPO, (45, 48, 92))


@st.composite
def unets(draw):
    factor = st.tuples(st.integers(1, 3), st.integers(1, 3))
    factors = draw(st.lists(factor, min_size=1, max_size=2))
    padding = draw(st.sampled_from(["valid", "same"]))
    size = st.sampled_from([1, 3, 5] if padding == "same" else [1, 2, 3, 4])
    kernels = st.lists(st.tuples(size, size), min_size=1, max_size=2)
    down = draw(st.lists(kernels, min_size=len(factors) + 1, max_size=len(factors) + 1))
    up = draw(st.lists(kernels, min_size=len(factors), max_size=len(factors)))
    upsample = draw(st.lists(st.tuples(st.integers(1, 2), st.integers(1, 2)), max_size=1))
    axes = axes_of(factors, down, up, padding == "same", upsample)
    wanted = draw(st.tuples(st.integers(1, 60), st.integers(1, 60)))
    return CNNectomeUNet(
        input_shape=nearest_shapes(axes, wanted)[1],
        fmaps_out=2,
        num_fmaps=1,
        fmap_inc_factor=1,
        downsample_factors=factors,
        kernel_size_down=down,
        kernel_size_up=up,
        upsample_factors=upsample,
        padding=padding,
        constant_upsample=draw(st.booleans()),
        use_attention=draw(st.booleans()),
    )


@settings(deadline=None, max_examples=60)
@given(unets())
def test_the_arithmetic_is_what_the_layers_do(unet):
    with torch.no_grad():
        out = unet.module()(torch.zeros(1, 1, *unet.input_shape))
    assert out.shape == (1, 2, *unet.compute_output_shape(unet.input_shape))
    (finer,) = unet.upsample_factors or [(1, 1)]
    expected = [n * f - c for n, f, c in zip(unet.input_shape, finer, unet.context, strict=True)]
    assert list(out.shape[2:]) == expected
