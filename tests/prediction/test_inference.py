"""Tiles and regions of any size together are what the network answers in one go."""

from __future__ import annotations

import threading
from dataclasses import replace

import numpy as np
import pytest
import torch
from funlib.geometry import Coordinate, Roi
from hypothesis import given, settings
from hypothesis import strategies as st
from trained_models import FLAT, PADDED, SMALL, SOLID, image, in_one, trained

from napari_dacapo_tasks.architectures import CNNectomeUNet
from napari_dacapo_tasks.arrays import Array, NumpyArray
from napari_dacapo_tasks.errors import ConfigError, DataError, DeviceError
from napari_dacapo_tasks.prediction import pipeline as module
from napari_dacapo_tasks.prediction.config import PredictionConfig
from napari_dacapo_tasks.prediction.fit import PredictionPlan, plan_prediction
from napari_dacapo_tasks.prediction.inference import Inference
from napari_dacapo_tasks.tasks.post_processors.post_processor import result_of

THIRDS = CNNectomeUNet(input_shape=(60, 60), downsample_factors=[(2, 2), (3, 3)], **SMALL)
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


def config(**values: object) -> PredictionConfig:
    return PredictionConfig(device="cpu", **values)


def predicted(network, raw: Array, roi: Roi | None = None, **values: object) -> np.ndarray:
    how = config(**values)
    plan = plan_prediction(network, raw, roi, config=how)
    with Inference(network, how) as inference:
        return result_of(inference.predict_region(plan, plan.roi))


class TestWithoutPadding:
    @pytest.mark.parametrize("edges", ["mirror", "leave out"])
    @pytest.mark.parametrize(
        ("architecture", "shape", "tile"),
        [
            (FLAT, (75, 61), (44, 44)),
            (SOLID, (31, 26, 37), (24, 24, 24)),
            (THIRDS, (97, 70), (60, 66)),
            (ANISOTROPIC, (13, 61, 50), (10, 44, 44)),
            (UPSAMPLED, (50, 33), (24, 26)),
        ],
        ids=["2d", "3d", "thirds", "anisotropic", "upsampled"],
    )
    def test_tiles_give_what_one_large_one_gives(self, architecture, shape, tile, edges):
        size = tuple(2 * f * 5 for f in trained(architecture).tiles.factor)
        network = trained(architecture, voxel_size=tuple(map(float, size)))
        raw = image(*shape, size=size, offset=tuple(3 * n for n in size))
        whole = in_one(network, raw, beyond=edges == "mirror")
        tiled = predicted(network, raw, edges=edges, tile_shape=tile)
        assert tiled.shape == whole.shape
        np.testing.assert_allclose(tiled, whole, atol=1e-5)

    @settings(max_examples=25, deadline=None)
    @given(st.data())
    def test_any_region_in_any_tiles(self, data: st.DataObject):
        """Whatever is asked for is a part of the whole, at every phase of the downsampling."""
        network = trained(FLAT)
        edges = data.draw(st.sampled_from(["mirror", "leave out"]))
        shape = data.draw(st.tuples(st.integers(44, 65), st.integers(44, 65)))
        raw = image(*shape)
        how = config(edges=edges, tile_shape=data.draw(st.tuples(*[st.integers(40, 70)] * 2)))
        whole = plan_prediction(network, raw, config=how)
        begin = [data.draw(st.integers(0, n - 1)) for n in whole.shape]
        length = [data.draw(st.integers(1, n - b)) for b, n in zip(begin, whole.shape, strict=True)]
        roi = Roi(whole.roi.begin + Coordinate(begin) * 10, Coordinate(length) * 10)
        plan = plan_prediction(network, raw, roi, config=how)
        assert plan.roi == roi
        with Inference(network, how) as inference:
            found = result_of(inference.predict_region(plan, roi))
        place = (slice(None), *(slice(b, b + n) for b, n in zip(begin, length, strict=True)))
        np.testing.assert_allclose(
            found, in_one(network, raw, beyond=edges == "mirror")[place], atol=1e-5
        )

    def test_edges_left_out_see_nothing_made_up(self):
        """No voxel beyond the whole steps of the network counts, so none is needed."""
        network = trained(FLAT)
        raw = image(63, 60)
        there = predicted(network, raw, edges="leave out")
        assert there.shape == (2, 20, 20)  # 60 is the largest input that fits into 63
        shorter = NumpyArray(raw.data[:60], axes=("y", "x"), voxel_size=(10, 10))
        np.testing.assert_array_equal(there, predicted(network, shorter, edges="leave out"))

    def test_inside_both_ways_with_edges_agree(self):
        network = trained(SOLID)
        raw = image(32, 30, 28)
        mirrored = predicted(network, raw)
        inner = predicted(network, raw, edges="leave out")
        assert mirrored.shape == (2, 32, 30, 28)
        size = inner.shape[1:]
        np.testing.assert_allclose(
            mirrored[(slice(None), *(slice(8, 8 + n) for n in size))], inner, atol=1e-5
        )

    def test_a_volume_smaller_than_what_the_network_sees_is_mirrored_again_and_again(self):
        network = trained(FLAT)
        raw = image(7, 5)
        np.testing.assert_allclose(
            predicted(network, raw), in_one(network, raw, beyond=True), atol=1e-5
        )

    def test_a_head_that_looks_around_makes_no_seams(self):
        from napari_dacapo_tasks.tasks import OneHotTaskConfig

        task = OneHotTaskConfig(name="classes", classes=["a", "b"], kernel_size=3)
        network = trained(FLAT, task)
        raw = image(70, 66)
        for edges in ("mirror", "leave out"):
            whole = in_one(network, raw, beyond=edges == "mirror")
            tiled = predicted(network, raw, edges=edges, tile_shape=(44, 44))
            np.testing.assert_allclose(tiled, whole, atol=1e-5)

    def test_several_channels_of_raw_data(self):
        network = trained(FLAT.model_copy(update={"fmaps_in": 3}))
        raw = image(50, 47, channels=3)
        np.testing.assert_allclose(
            predicted(network, raw), in_one(network, raw, beyond=True), atol=1e-5
        )


class TestWithPadding:
    def test_one_tile_is_the_network_itself(self):
        network = trained(PADDED)
        raw = image(40, 36)
        found = predicted(network, raw, edges="leave out", tile_shape=(64, 64))
        np.testing.assert_allclose(found, in_one(network, raw), atol=1e-5)

    def test_with_room_for_all_it_sees_tiles_give_what_one_large_one_gives(self):
        network = trained(PADDED)
        raw = image(230, 90)
        found = predicted(network, raw, edges="leave out", tile_shape=(128, 128))
        np.testing.assert_allclose(found, in_one(network, raw), atol=1e-5)

    def test_beyond_the_edges_it_sees_the_volume_mirrored(self):
        network = trained(PADDED)
        raw = image(52, 44)
        around = 24  # more than it sees
        padded = NumpyArray(
            np.pad(raw.data, around, mode="reflect"), axes=("y", "x"), voxel_size=(10, 10)
        )
        found = predicted(network, raw, tile_shape=(128, 128))
        inside = slice(around, -around)
        np.testing.assert_allclose(found, in_one(network, padded)[:, inside, inside], atol=1e-5)

    @settings(max_examples=15, deadline=None)
    @given(st.data())
    def test_regions_are_parts_of_the_whole_where_tiles_blend(self, data: st.DataObject):
        network = trained(PADDED)
        raw = image(60, 50)
        edges = data.draw(st.sampled_from(["mirror", "leave out"]))
        how = config(edges=edges, tile_shape=data.draw(st.tuples(*[st.integers(16, 40)] * 2)))
        plan = plan_prediction(network, raw, config=how)
        begin = [data.draw(st.integers(0, n - 1)) for n in plan.shape]
        length = [data.draw(st.integers(1, n - b)) for b, n in zip(begin, plan.shape, strict=True)]
        roi = Roi(Coordinate(begin) * 10, Coordinate(length) * 10)
        with Inference(network, how) as inference:
            whole = result_of(inference.predict_region(plan, plan.roi))
            part = result_of(inference.predict_region(plan, roi))
        place = (slice(None), *(slice(b, b + n) for b, n in zip(begin, length, strict=True)))
        np.testing.assert_allclose(part, whole[place], atol=1e-5)

    def test_tiles_go_over_into_each_other(self):
        network = trained(PADDED)
        raw = image(200, 24)
        whole = in_one(network, raw)
        blended = predicted(network, raw, edges="leave out", tile_shape=(24, 24))
        cuts = [
            in_one(network, NumpyArray(raw.data[a : a + 20], axes="yx", voxel_size=(10, 10)))
            for a in range(0, 200, 20)
        ]
        cut = np.abs(np.concatenate(cuts, axis=1) - whole).mean()
        assert np.abs(blended - whole).mean() < 0.7 * cut


class TestMirroredViews:
    def test_are_averaged(self):
        network = trained(FLAT)
        raw = image(60, 56)
        plain = [
            in_one(network, NumpyArray(raw.data[::a, ::b], axes="yx", voxel_size=(10, 10)))[
                :, ::a, ::b
            ]
            for a in (1, -1)
            for b in (1, -1)
        ]
        found = predicted(network, raw, edges="leave out", mirror=True, tile_shape=(44, 44))
        np.testing.assert_allclose(found, np.mean(plain, axis=0), atol=1e-5)
        assert np.abs(found - plain[0]).max() > 0.01

    def test_axes_along_which_a_network_sees_farther_to_one_side_stay_as_they_are(self):
        uneven = CNNectomeUNet(
            input_shape=(62, 60),
            downsample_factors=[(3, 2)],
            kernel_size_down=[[(3, 3)], [(3, 3)]],
            kernel_size_up=[[(3, 3)]],
            **SMALL,
        )
        network = trained(uneven)
        assert network.tiles.context[0] % 2 == 1
        raw = image(75, 60)
        how = config(mirror=True, edges="leave out")
        plan = plan_prediction(network, raw, config=how)
        with Inference(network, how) as inference:
            found = result_of(inference.predict_region(plan, plan.roi))
            (notice,) = inference.notices()
        assert notice.startswith("Not every axis is mirrored")
        turned = NumpyArray(raw.data[:, ::-1], axes="yx", voxel_size=(10, 10))
        both = (in_one(network, raw) + in_one(network, turned)[:, :, ::-1]) / 2
        np.testing.assert_allclose(found, both, atol=1e-5)


class TestPrecision:
    @pytest.mark.parametrize("precision", ["bfloat16", "float16"])
    def test_half_gives_nearly_the_same_in_float32(self, precision):
        network = trained(FLAT)
        raw = image(60, 60)
        full, half = predicted(network, raw), predicted(network, raw, precision=precision)
        assert half.dtype == np.float32
        np.testing.assert_allclose(half, full, atol=0.1)
        assert not np.array_equal(half, full)

    def test_one_that_does_not_work_is_replaced_and_told(self, monkeypatch):
        from napari_dacapo_tasks.architectures import precision

        monkeypatch.setattr(precision, "_works", lambda dtype, device, gradients: False)
        with Inference(trained(FLAT), config(precision="float16")) as inference:
            (notice,) = inference.notices()
        assert notice == "This device (cpu) cannot calculate in float16: it uses float32."


class _Scarce:
    """A network that runs out of memory where it sees more than so many voxels."""

    def __init__(self, inference: Inference, most: int, error: Exception) -> None:
        self.seen: list[int] = []
        self.most, self.error = most, error
        inference._pipeline.model.register_forward_pre_hook(self._look)

    def _look(self, _: object, inputs: tuple[torch.Tensor, ...]) -> None:
        self.seen.append(inputs[0].numel())
        if inputs[0].numel() > self.most:
            raise self.error


class TestMemory:
    @pytest.mark.parametrize(
        "error",
        [
            torch.cuda.OutOfMemoryError("CUDA out of memory."),
            RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory"),
            MemoryError(),
        ],
        ids=["cuda", "cpu", "numpy"],
    )
    @pytest.mark.parametrize(
        ("architecture", "most"), [(FLAT, 6000), (PADDED, 4000)], ids=["valid", "same"]
    )
    def test_tiles_become_half_as_large_where_it_does_not_suffice(self, architecture, most, error):
        network = trained(architecture)
        raw = image(120, 110)
        how = config(tile_shape=(100, 100))
        plan = plan_prediction(network, raw, config=how)
        with Inference(network, how) as inference:
            scarce = _Scarce(inference, most, error)
            found = result_of(inference.predict_region(plan, plan.roi))
            (notice,) = inference.notices()
            assert "took more memory than there is" in notice
            again = len(scarce.seen)
            result_of(inference.predict_region(plan, plan.roi))
            assert max(scarce.seen[again:]) <= scarce.most  # it is remembered
            assert [*inference.notices()] == []
        too_large = [n for n in scarce.seen if n > most]
        assert 1 <= len(too_large) <= module.AHEAD
        smaller = inference.tile_shape
        assert np.prod(smaller) <= too_large[0] / 2
        np.testing.assert_allclose(
            found, predicted(network, raw, tile_shape=tuple(smaller)), atol=1e-5
        )
        if architecture is FLAT:
            np.testing.assert_allclose(found, in_one(network, raw, beyond=True), atol=1e-5)

    def test_not_even_enough_for_the_smallest_is_said(self):
        network = trained(FLAT)
        plan = plan_prediction(network, image(80, 80), config=config())
        with Inference(network, config()) as inference:
            _Scarce(inference, 0, torch.cuda.OutOfMemoryError("CUDA out of memory."))
            with pytest.raises(DeviceError, match="does not suffice even for a tile of 44 x 44"):
                result_of(inference.predict_region(plan, plan.roi))
            assert len([*inference.notices()]) >= 1

    def test_other_errors_stay_what_they_are(self):
        network = trained(FLAT)
        plan = plan_prediction(network, image(80, 80), config=config())
        with Inference(network, config()) as inference:
            scarce = _Scarce(inference, 0, RuntimeError("shapes do not match"))
            with pytest.raises(RuntimeError, match="shapes do not match"):
                result_of(inference.predict_region(plan, plan.roi))
            scarce.most = 10**9
            found = result_of(inference.predict_region(plan, plan.roi))  # it works again
        np.testing.assert_allclose(found, in_one(network, image(80, 80), beyond=True), atol=1e-5)


class _Breaking(NumpyArray):
    """An image whose file is broken from some row on."""

    broken_from = 100

    def __getitem__(self, roi: Roi) -> np.ndarray:
        if roi.end[0] > self.broken_from * 10:
            raise OSError("the disk is gone")
        return super().__getitem__(roi)


class TestRawData:
    def test_nan_is_refused(self):
        raw = image(80, 80)
        raw = NumpyArray(raw.data.astype(np.float32), axes="yx", voxel_size=(10, 10))
        raw.data[70, 70] = np.nan
        with pytest.raises(DataError, match=r"NaN or infinite \(1 of the"):
            predicted(trained(FLAT), raw)

    def test_one_that_cannot_be_read_in_its_middle_is_named(self):
        raw = _Breaking(
            image(200, 50).data, axes="yx", voxel_size=(10, 10), attrs={"path": "raw.zarr"}
        )
        with pytest.raises(DataError, match=r"raw.zarr cannot be read at voxel .*: the disk is"):
            predicted(trained(FLAT), raw, tile_shape=(48, 48))

    def test_values_unlike_those_in_training_are_told_once(self):
        network = trained(FLAT)
        raw = image(100, 60)
        brighter = NumpyArray(raw.data.astype(np.uint16) * 257, axes="yx", voxel_size=(10, 10))
        how = config(tile_shape=(44, 44))
        for array, expected in ((raw, 0), (brighter, 1)):
            plan = plan_prediction(network, array, config=how)
            with Inference(network, how) as inference:
                result_of(inference.predict_region(plan, plan.roi))
                notices = [*inference.notices()]
            assert len(notices) == expected
        assert "but the network was trained on about 0 to 255" in notices[0]

    def test_the_last_voxel_of_every_type_of_number(self):
        network = trained(FLAT)
        raw = image(60, 60)
        expected = predicted(network, raw)
        for dtype in (np.uint16, np.int32, np.float64, ">u2"):
            other = NumpyArray(raw.data.astype(dtype), axes="yx", voxel_size=(10, 10))
            np.testing.assert_allclose(predicted(network, other), expected, atol=1e-5)


class TestLeaving:
    def test_in_the_middle_ends_the_threads_work_and_it_can_go_on(self):
        network = trained(FLAT)
        raw = image(200, 60)
        how = config(tile_shape=(44, 44))
        plan = plan_prediction(network, raw, config=how)
        with Inference(network, how) as inference:
            values = np.zeros((2, *plan.shape), np.float32)
            steps = inference.fill(plan, plan.roi, values)
            step = next(one for one in steps if one.roi is not None)
            assert 0 < step.share < 1
            steps.close()
            there = values.copy()
            found = result_of(inference.predict_region(plan, plan.roi))
            np.testing.assert_array_equal(values, there)  # nobody writes any more
        np.testing.assert_allclose(found, in_one(network, raw, beyond=True), atol=1e-5)

    def test_a_forward_pass_ends_between_two_layers(self):
        network = trained(FLAT)
        how = config()
        plan = plan_prediction(network, image(100, 100), config=how)
        with Inference(network, how) as inference:
            layers = 0

            def count(*_: object) -> None:
                nonlocal layers
                layers += 1
                inference._pipeline._left.set()  # as when the generator is left at this moment

            next(iter(inference._pipeline.model.modules())).register_forward_pre_hook(count)
            with pytest.raises(module.LeftError):
                result_of(inference.predict_region(plan, plan.roi))
            assert layers == 1

    def test_what_is_final_does_not_change_any_more(self):
        for architecture in (FLAT, PADDED):
            network = trained(architecture)
            how = config(tile_shape=(44, 44))
            plan = plan_prediction(network, image(150, 70), config=how)
            values = np.zeros((2, *plan.shape), np.float32)
            there = [(0, values[:, :0].copy())]
            with Inference(network, how) as inference:
                for step in inference.fill(plan, plan.roi, values):
                    there.append((step.final, values[:, : step.final].copy()))
            finals = [final for final, _ in there]
            assert finals == sorted(finals)
            assert finals[-1] == 150
            assert len(set(finals)) > 2
            for final, found in there:
                np.testing.assert_array_equal(found, values[:, :final])

    def test_all_that_calculates_does_so_in_one_thread(self, monkeypatch):
        network = trained(FLAT)
        names = []
        build = type(network).build

        def noted(self):
            names.append(threading.current_thread().name)
            return build(self)

        monkeypatch.setattr(type(network), "build", noted)
        how = config(precision="bfloat16")
        plan = plan_prediction(network, image(50, 50), config=how)
        with Inference(network, how) as inference:
            inference._pipeline.model.register_forward_pre_hook(
                lambda *_: names.append(threading.current_thread().name)
            )
            result_of(inference.predict_region(plan, plan.roi))
        assert len(names) > 1
        assert set(names) == {"computing_0"}

    def test_weights_of_another_network_end_the_threads(self, threads):
        with pytest.raises(ConfigError):
            Inference(replace(trained(FLAT), architecture=SOLID), config())
        assert threads() == set()

    def test_closing_gives_the_weights_back(self):
        inference = Inference(trained(FLAT), config())
        inference.close()
        assert all(p.device.type == "meta" for p in inference._pipeline.model.parameters())


def test_shares_rise_to_one() -> None:
    network = trained(FLAT)
    how = config(tile_shape=(44, 44))
    plan: PredictionPlan = plan_prediction(network, image(90, 90), config=how)
    with Inference(network, how) as inference:
        shares = list(inference.predict_region(plan, plan.roi))
    assert shares == sorted(shares)
    assert shares[-1] == 1
