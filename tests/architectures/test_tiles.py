"""Tiles of a network together are what a single large tile gives."""

from __future__ import annotations

from contextlib import nullcontext

import numpy as np
import pytest
import torch
from torch import nn

from napari_dacapo_tasks.architectures import CNNectomeUNet, Model, WrappedArchitecture
from napari_dacapo_tasks.architectures.model import pointwise_head
from napari_dacapo_tasks.architectures.tiles import Tiles
from napari_dacapo_tasks.errors import DataError
from napari_dacapo_tasks.tasks.post_processors.post_processor import result_of

SMALL = {"num_fmaps": 2, "fmap_inc_factor": 2, "fmaps_out": 2}

THREE_D = CNNectomeUNet(input_shape=(24, 24, 24), downsample_factors=[(2, 2, 2)], **SMALL)
FLAT = CNNectomeUNet(input_shape=(60, 60), downsample_factors=[(2, 2), (3, 3)], **SMALL)
ANISOTROPIC = CNNectomeUNet(
    input_shape=(10, 44, 44),
    downsample_factors=[(1, 2, 2), (1, 2, 2)],
    kernel_size_down=[[(1, 3, 3), (1, 3, 3)], [(3, 3, 3), (1, 3, 3)], [(1, 3, 3), (3, 3, 3)]],
    kernel_size_up=[[(1, 3, 3), (1, 3, 3)], [(3, 3, 3), (1, 3, 3)]],
    **SMALL,
)
UPSAMPLED = CNNectomeUNet(
    input_shape=(24, 24), downsample_factors=[(2, 2)], upsample_factors=[(2, 2)], **SMALL
)
UPSAMPLED_ALONG_ONE = CNNectomeUNet(
    input_shape=(24, 24, 24),
    downsample_factors=[(2, 2, 2)],
    upsample_factors=[(3, 1, 1)],
    **SMALL,
)


def model_of(architecture, kernel_size: int = 1, channels: int = 2) -> Model:
    torch.manual_seed(0)
    head = pointwise_head(architecture, channels, kernel_size)
    model = Model(architecture, head, nn.Sigmoid())
    for parameter in model.parameters():
        nn.init.normal_(parameter, std=0.3)  # strong enough to show what a seam would do
    return model


def noise(*shape: int) -> np.ndarray:
    return np.random.default_rng(0).normal(0, 1, (1, *shape)).astype(np.float32)


def predict(model: Model, raw: np.ndarray, input_shape=None, **more) -> np.ndarray:
    return result_of(Tiles(model, input_shape).predict(model, raw, **more))


def in_one(model: Model, raw: np.ndarray) -> np.ndarray:
    with torch.no_grad():
        return model.eval()(torch.from_numpy(raw)[None])[0].numpy()


class TestWithoutPadding:
    @pytest.mark.parametrize(
        ("architecture", "shape"),
        [
            (THREE_D, (40, 24, 32)),
            (FLAT, (60 + 6 * 7, 60 + 6)),
            (ANISOTROPIC, (13, 44 + 4 * 5, 44)),
            (UPSAMPLED, (52, 30)),
            (UPSAMPLED_ALONG_ONE, (32, 28, 24)),
        ],
        ids=["3d", "thirds", "anisotropic", "upsampled", "upsampled along one axis"],
    )
    def test_tiles_give_what_one_large_one_gives(self, architecture, shape):
        model = model_of(architecture)
        raw = noise(*shape)
        whole = in_one(model, raw)
        tiled = predict(model, raw)
        assert tiled.shape == whole.shape
        np.testing.assert_allclose(tiled, whole, atol=1e-5)

    @pytest.mark.parametrize("size", [16, 17, 20, 24, 30, 44, 100])
    def test_whatever_the_size_of_tiles(self, size):
        model = model_of(FLAT.model_copy(update={"downsample_factors": [(2, 2)]}))
        raw = noise(70, 62)
        np.testing.assert_allclose(predict(model, raw, (size, size)), in_one(model, raw), atol=1e-5)

    def test_a_head_that_looks_around_makes_no_seams(self):
        model = model_of(UPSAMPLED.model_copy(update={"upsample_factors": []}), kernel_size=3)
        raw = noise(80, 80)
        np.testing.assert_allclose(predict(model, raw), in_one(model, raw), atol=1e-5)

    def test_where_steps_do_not_fit_the_end_is_mirrored(self):
        model = model_of(THREE_D)
        raw = noise(43, 39, 29)
        tiled = predict(model, raw)
        assert tiled.shape == (2, 27, 23, 13)
        larger = np.pad(raw, [(0, 0), (0, 1), (0, 1), (0, 1)], mode="reflect")
        np.testing.assert_allclose(tiled, in_one(model, larger)[:, :27, :23, :13], atol=1e-5)

    def test_a_small_region_takes_a_small_tile(self):
        model = model_of(THREE_D)
        seen = []
        model.register_forward_pre_hook(lambda _, inputs: seen.append(tuple(inputs[0].shape)))
        predict(model, noise(18, 20, 24), (64, 64, 64))
        assert seen == [(1, 1, 18, 20, 24)]

    def test_tiles_are_no_larger_than_allowed(self):
        model = model_of(THREE_D)
        seen = set()
        model.register_forward_pre_hook(lambda _, inputs: seen.add(tuple(inputs[0].shape[2:])))
        predict(model, noise(60, 24, 24))
        assert len(seen) == 1
        assert max(max(shape) for shape in seen) <= 24


class TestWithPadding:
    PADDED = CNNectomeUNet(
        input_shape=(32, 32, 32), downsample_factors=[(2, 2, 2)], padding="same", **SMALL
    )

    def test_the_shape_stays_whatever_it_is(self):
        model = model_of(self.PADDED)
        assert predict(model, noise(5, 37, 70)).shape == (2, 5, 37, 70)

    def test_one_tile_is_the_network_itself(self):
        model = model_of(self.PADDED)
        raw = noise(32, 30, 16)
        np.testing.assert_allclose(predict(model, raw), in_one(model, raw), atol=1e-5)

    def test_with_room_for_all_it_sees_tiles_give_what_one_large_one_gives(self):
        flat = CNNectomeUNet(
            input_shape=(128, 128), downsample_factors=[(2, 2)], padding="same", **SMALL
        )
        model = model_of(flat)
        raw = noise(300, 128)
        np.testing.assert_allclose(predict(model, raw), in_one(model, raw), atol=1e-5)

    def test_without_that_they_go_over_into_each_other(self):
        model = model_of(self.PADDED)
        raw = noise(90, 32, 32)
        tiled, whole = predict(model, raw), in_one(model, raw)
        edge = np.concatenate([in_one(model, raw[:, a : a + 30]) for a in (0, 30, 60)], axis=1)
        inner = slice(8, -8)
        assert np.abs(tiled - whole)[:, inner].mean() < 0.6 * np.abs(edge - whole)[:, inner].mean()

    def test_what_is_even_stays_even(self):
        """Shares of tiles add up to one everywhere."""
        module = nn.Conv2d(1, 1, 1)
        nn.init.ones_(module.weight), nn.init.zeros_(module.bias)
        wrapped = WrappedArchitecture(module, 1, 1, (16, 16))
        model = Model(wrapped, nn.Identity())
        raw = noise(50, 33)
        np.testing.assert_allclose(predict(model, raw), raw, atol=1e-6)

    def test_gates_that_pad_count_as_padding(self):
        model = model_of(THREE_D.model_copy(update={"use_attention": True}))
        assert predict(model, noise(48, 40, 40)).shape == (2, 32, 24, 24)
        assert max(Tiles(model).margin) > 0


class TestWrapped:
    def test_unpadded_ones_of_a_fixed_shape(self):
        torch.manual_seed(0)
        wrapped = WrappedArchitecture(nn.Conv3d(1, 3, 5), 1, 3, (12, 12, 12))
        model = Model(wrapped, pointwise_head(wrapped, 2))
        seen = set()
        model.register_forward_pre_hook(lambda _, inputs: seen.add(tuple(inputs[0].shape[2:])))
        raw = noise(31, 12, 9)
        tiled = predict(model, raw)
        assert tiled.shape == (2, 27, 8, 5)
        assert seen == {(12, 12, 12)}
        np.testing.assert_allclose(tiled, in_one(model, raw), atol=1e-5)


class TestSteps:
    def test_shares_rise_and_the_generator_can_be_left(self):
        model = model_of(THREE_D)
        steps = Tiles(model).predict(model, noise(32, 32, 24))
        shares = [next(steps) for _ in range(4)]
        assert shares == [0, 0.25, 0.5, 0.75]
        steps.close()
        assert model.training

    def test_modes_are_those_of_the_forward_pass_alone(self):
        model = model_of(THREE_D).train()
        model.chain[1].eval()
        entered = []

        def autocast():
            entered.append(torch.is_grad_enabled())
            return nullcontext()

        for _ in Tiles(model).predict(model, noise(32, 24, 24), autocast=autocast):
            assert torch.is_grad_enabled()
            assert model.training
            assert not model.chain[1].training
        assert entered == [False, False]

    def test_logits_for_losses(self):
        model = model_of(THREE_D)
        raw = noise(32, 24, 24)
        logits = predict(model, raw, activate=False)
        np.testing.assert_allclose(1 / (1 + np.exp(-logits)), predict(model, raw), atol=1e-5)

    def test_half_precision_comes_back_as_float32(self):
        model = model_of(THREE_D)
        raw = noise(32, 24, 24)
        found = predict(model, raw, autocast=lambda: torch.autocast("cpu", torch.bfloat16))
        assert found.dtype == np.float32
        np.testing.assert_allclose(found, predict(model, raw), atol=0.1)


def test_too_little_raw_data_and_other_channels_are_refused():
    model = model_of(THREE_D)
    with pytest.raises(DataError, match=r"16 x 30 x 30 voxels is too small .* 16 x 16 x 16 voxels"):
        predict(model, noise(16, 30, 30))
    with pytest.raises(DataError, match="has 2 channels, but the network takes 1"):
        predict(model, np.zeros((2, 24, 24, 24), np.float32))
