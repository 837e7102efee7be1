"""Predictions in memory and on a disk, whole, left and gone on with."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from funlib.geometry import Roi
from trained_models import FLAT, PADDED, SOLID, image, in_one, trained

from napari_dacapo_tasks.arrays import NumpyArray
from napari_dacapo_tasks.arrays.growing_image import DataTakenError, DiskFullError, GrowingImage
from napari_dacapo_tasks.arrays.open import open_array
from napari_dacapo_tasks.errors import DataError
from napari_dacapo_tasks.prediction import predict as module
from napari_dacapo_tasks.prediction.config import PredictionConfig
from napari_dacapo_tasks.prediction.events import Filled, Notice, Opened
from napari_dacapo_tasks.prediction.fit import plan_prediction
from napari_dacapo_tasks.prediction.inference import Inference
from napari_dacapo_tasks.prediction.predict import predict, regions_to_predict
from napari_dacapo_tasks.prediction.stored import open_prediction
from napari_dacapo_tasks.tasks.post_processors.post_processor import result_of

CONFIG = PredictionConfig(device="cpu", tile_shape=(48, 48))


@pytest.fixture
def small_blocks(monkeypatch):
    """Let images be in blocks of 32 x 32 voxels, and regions of some of them."""
    make = GrowingImage.create.__func__

    def create(cls, path, **more):
        return make(cls, path, **{**more, "block_shape": (32,) * len(more["axes"])})

    monkeypatch.setattr(GrowingImage, "create", classmethod(create))
    monkeypatch.setattr(module, "REGION_BYTES", 4 * 32 * 32 * 2 * 4)


def whole(network, raw):
    return in_one(network, raw, beyond=True)


class TestInMemory:
    def test_gives_what_the_network_answers_in_its_place(self):
        network, raw = trained(FLAT), image(70, 90, offset=(40, 0))
        prediction = result_of(predict(plan_prediction(network, raw), CONFIG))
        array = prediction.array
        np.testing.assert_allclose(array.data, whole(network, raw), atol=1e-5)
        assert array.dtype == np.float32
        assert array.axes == ("c", "y", "x")
        assert (array.roi, array.voxel_size, array.unit) == (raw.roi, (10, 10), raw.unit)
        assert (prediction.task, prediction.name, prediction.run) == (network.task, "random", None)

    def test_opens_first_and_then_fills_all_of_it(self):
        network, raw = trained(FLAT), image(70, 90)
        events = list(predict(plan_prediction(network, raw), CONFIG))
        opened, *others = events
        assert isinstance(opened, Opened)
        assert opened.device.startswith("CPU")
        covered = np.zeros((70, 90), int)
        shares = []
        for event in others:
            assert isinstance(event, Filled)
            shares.append(event.share)
            begin, end = event.roi.begin / 10, event.roi.end / 10
            covered[begin[0] : end[0], begin[1] : end[1]] += 1
        assert (covered == 1).all()
        assert shares == sorted(shares)
        assert shares[-1] == 1
        assert others[-1].voxels_per_second > 0

    def test_what_is_filled_is_there_when_it_is_told(self):
        network, raw = trained(FLAT), image(70, 90)
        expected = whole(network, raw)
        events = predict(plan_prediction(network, raw), CONFIG)
        opened = next(events)
        for event in events:
            if event.roi.empty:
                continue
            begin, end = event.roi.begin / 10, event.roi.end / 10
            place = (slice(None), slice(begin[0], end[0]), slice(begin[1], end[1]))
            np.testing.assert_allclose(opened.array[event.roi], expected[place], atol=1e-5)

    def test_left_in_the_middle_keeps_what_there_is_and_ends_the_threads(self, threads):
        network, raw = trained(FLAT), image(200, 90)
        events = predict(plan_prediction(network, raw), CONFIG)
        opened = next(events)
        next(event for event in events if not event.roi.empty)
        events.close()
        values = opened.array.data
        assert values.any()
        assert not values.all()
        assert threads() == set()

    def test_too_little_memory_is_a_notice(self, monkeypatch):
        network, raw = trained(FLAT), image(70, 90)

        class Scarce(Inference):
            def __init__(self, *values):
                super().__init__(*values)
                self._pipeline.model.register_forward_pre_hook(self._look)

            def _look(self, _, inputs):
                if inputs[0].numel() > 48 * 60:
                    raise torch.cuda.OutOfMemoryError("CUDA out of memory.")

        monkeypatch.setattr(module, "Inference", Scarce)
        how = PredictionConfig(device="cpu", tile_shape=(70, 70))
        events = list(predict(plan_prediction(network, raw), how))
        (notice,) = [event for event in events if isinstance(event, Notice)]
        assert "took more memory than there is" in notice.text
        np.testing.assert_allclose(events[0].array.data, whole(network, raw), atol=1e-5)


class TestOnDisk:
    @pytest.mark.parametrize("architecture", [FLAT, PADDED], ids=["valid", "same"])
    def test_is_the_same_as_in_memory(self, tmp_path, small_blocks, architecture):
        network, raw = trained(architecture), image(150, 110, offset=(20, 0))
        plan = plan_prediction(network, raw)
        there = result_of(predict(plan, CONFIG, tmp_path / "out.zarr"))
        expected = result_of(predict(plan, CONFIG)).array
        np.testing.assert_allclose(there.array[plan.roi], expected.data, atol=1e-5)
        again = open_prediction(tmp_path / "out.zarr")
        assert again.task == network.task
        assert (again.array.roi, again.array.unit) == (plan.roi, plan.unit)
        np.testing.assert_array_equal(again.array[plan.roi], there.array[plan.roi])

    def test_in_three_dimensions(self, tmp_path, small_blocks):
        network, raw = trained(SOLID), image(40, 35, 33)
        plan = plan_prediction(network, raw)
        how = PredictionConfig(device="cpu")
        there = result_of(predict(plan, how, tmp_path / "out.zarr"))
        np.testing.assert_allclose(there.array[plan.roi], whole(network, raw), atol=1e-5)

    def test_fills_region_by_region(self, tmp_path, small_blocks):
        network, raw = trained(FLAT), image(150, 110)
        expected = whole(network, raw)
        events = predict(plan_prediction(network, raw), CONFIG, tmp_path / "out.zarr")
        opened = next(events)
        covered, shares = np.zeros((150, 110), int), []
        for event in events:
            shares.append(event.share)
            begin, end = event.roi.begin / 10, event.roi.end / 10
            place = (slice(begin[0], end[0]), slice(begin[1], end[1]))
            covered[place] += 1
            if not event.roi.empty:
                found = opened.array[event.roi]
                np.testing.assert_allclose(found, expected[(slice(None), *place)], atol=1e-5)
        assert (covered == 1).all()
        assert shares == sorted(shares)
        assert shares[-1] == 1

    @pytest.mark.parametrize("architecture", [FLAT, PADDED], ids=["valid", "same"])
    def test_a_region_is_written_as_it_fills_also_with_too_little_memory(
        self, tmp_path, small_blocks, monkeypatch, architecture
    ):
        class Scarce(Inference):
            def __init__(self, *values):
                super().__init__(*values)
                self._pipeline.model.register_forward_pre_hook(self._look)
                self._seen = 0

            def _look(self, *_):
                self._seen += 1
                if self._seen == 5:
                    raise torch.cuda.OutOfMemoryError("CUDA out of memory.")

        regions, written = [], []
        fill, write = Inference.fill, GrowingImage.write

        def filled(self, plan, roi, result):
            regions.append(roi)
            return fill(self, plan, roi, result)

        def noted(self, roi, values):
            written.append(roi)
            write(self, roi, values)

        monkeypatch.setattr(module, "Inference", Scarce)
        monkeypatch.setattr(Inference, "fill", filled)
        monkeypatch.setattr(GrowingImage, "write", noted)
        monkeypatch.setattr(module, "REGION_BYTES", 2**20)
        network, raw = trained(architecture), image(150, 60)
        plan = plan_prediction(network, raw)
        how = PredictionConfig(device="cpu", tile_shape=(64, 64))
        there = result_of(predict(plan, how, tmp_path / "out.zarr")).array
        assert regions == [plan.roi]
        assert [(roi.begin[0] // 10, roi.end[0] // 10) for roi in written] == [
            (0, 32),
            (32, 64),
            (64, 96),
            (96, 128),
            (128, 150),
        ]
        if architecture is FLAT:  # what blends depends on the tiles
            np.testing.assert_allclose(there[plan.roi], whole(network, raw), atol=1e-5)
        assert (np.asarray(there[plan.roi]) != 0).mean() > 0.99

    def test_small_images_are_written_chunk_by_chunk_along_the_first_axis(self, tmp_path):
        raw = image(600, 20)
        result_of(predict(plan_prediction(trained(FLAT), raw), CONFIG, tmp_path / "out.zarr"))
        growing = GrowingImage.open(tmp_path / "out.zarr")
        assert growing.grid == (2, 1)
        assert growing.block_shape[0] == 512

    def test_left_in_the_middle_can_be_read_and_resumed(
        self, tmp_path, small_blocks, monkeypatch, threads
    ):
        network, raw = trained(FLAT), image(150, 110)
        plan = plan_prediction(network, raw)
        events = predict(plan, CONFIG, tmp_path / "out.zarr")
        next(event for event in events if isinstance(event, Filled) and not event.roi.empty)
        events.close()
        assert threads() == set()
        expected = whole(network, raw)
        partial = open_array(tmp_path / "out.zarr")[plan.roi]
        assert partial.any()
        assert not partial.all()
        np.testing.assert_allclose(partial[partial != 0], expected[partial != 0], atol=1e-5)
        done = GrowingImage.open(tmp_path / "out.zarr").done

        with pytest.raises(DataTakenError) as caught:
            next(predict(plan, CONFIG, tmp_path / "out.zarr"))
        assert caught.value.can_resume
        written = []
        write = GrowingImage.write

        def noted(image, roi, values):
            written.append(roi)
            write(image, roi, values)

        monkeypatch.setattr(GrowingImage, "write", noted)
        events = list(predict(plan, CONFIG, tmp_path / "out.zarr", exists="resume"))
        assert events[1].share >= len(done) * 32 * 32 / (150 * 110) - 0.1
        assert sum(np.prod(roi.shape / 10) for roi in written) < 150 * 110
        there = open_array(tmp_path / "out.zarr")
        np.testing.assert_allclose(there[plan.roi], expected, atol=1e-5)

    def test_another_network_is_not_resumed(self, tmp_path, small_blocks):
        raw = image(60, 60)
        path = tmp_path / "out.zarr"
        events = predict(plan_prediction(trained(FLAT), raw), CONFIG, path)
        next(events)
        events.close()
        other = plan_prediction(trained(FLAT, iteration=7), raw)
        with pytest.raises(DataTakenError, match="other data or parameters"):
            next(predict(other, CONFIG, path, exists="resume"))
        result_of(predict(other, CONFIG, path, exists="overwrite"))
        assert open_prediction(path).name == "random"

    def test_a_full_disk_is_one_sentence_and_keeps_what_there_is(
        self, tmp_path, small_blocks, monkeypatch, threads
    ):
        network, raw = trained(FLAT), image(150, 110)
        plan = plan_prediction(network, raw)
        write = GrowingImage.write
        regions: list[Roi] = []

        def full(image, roi, values):
            if regions:
                raise DiskFullError("There is no space left on the disk.")
            regions.append(roi)
            write(image, roi, values)

        monkeypatch.setattr(GrowingImage, "write", full)
        with pytest.raises(DataError, match="no space left"):
            result_of(predict(plan, CONFIG, tmp_path / "out.zarr"))
        assert threads() == set()
        there = open_array(tmp_path / "out.zarr")[regions[0]]
        begin, end = regions[0].begin / 10, regions[0].end / 10
        expected = whole(network, raw)[:, begin[0] : end[0], begin[1] : end[1]]
        np.testing.assert_allclose(there, expected, atol=1e-5)

    def test_a_place_that_cannot_be_written_is_one_sentence(self, tmp_path):
        (tmp_path / "file").write_text("")
        plan = plan_prediction(trained(FLAT), image(60, 60))
        with pytest.raises(DataError, match="cannot be written"):
            next(predict(plan, CONFIG, tmp_path / "file" / "out.zarr"))

    def test_raw_data_that_breaks_in_the_middle_keeps_what_there_is(
        self, tmp_path, small_blocks, threads
    ):
        class Breaking(NumpyArray):
            def __getitem__(self, roi):
                if roi.end[0] > 1200:
                    raise OSError("the disk is gone")
                return super().__getitem__(roi)

        raw = Breaking(image(200, 60).data, axes="yx", voxel_size=(10, 10))
        plan = plan_prediction(trained(FLAT), raw)
        with pytest.raises(DataError, match="cannot be read at voxel"):
            result_of(predict(plan, CONFIG, tmp_path / "out.zarr"))
        assert threads() == set()
        there = open_array(tmp_path / "out.zarr")[plan.roi]
        assert there.shape == (2, 200, 60)


class TestRegions:
    def image(self, path: Path, shape, block):
        return GrowingImage.create(
            path,
            roi=Roi((0,) * len(shape), tuple(10 * n for n in shape)),
            voxel_size=(10,) * len(shape),
            unit=image(2, 2).unit,
            axes=("z", "y", "x")[-len(shape) :],
            num_channels=None,
            dtype=np.uint8,
            name="any",
            block_shape=block,
        )

    def test_are_as_large_as_memory_allows_and_cover_what_is_missing_once(
        self, tmp_path, monkeypatch
    ):
        monkeypatch.setattr(module, "REGION_BYTES", 4 * 16 * 16)
        growing = self.image(tmp_path / "a.zarr", (100, 70), (16, 16))
        done = [(0, 0), (3, 2)]
        for index in done:
            roi = growing.block(index)
            growing.write(roi, np.ones(roi.shape / 10, np.uint8))
        covered = np.zeros((100, 70), int)
        for roi in regions_to_predict(growing, voxel_bytes=1):
            begin, end = roi.begin / 10, roi.end / 10
            assert (end[0] - begin[0]) * (end[1] - begin[1]) <= 4 * 16 * 16
            covered[begin[0] : end[0], begin[1] : end[1]] += 1
        written = np.array(growing.array[growing.roi]).astype(int)
        np.testing.assert_array_equal(covered + written, 1)

    def test_a_block_larger_than_that_is_a_region_of_its_own(self, tmp_path, monkeypatch):
        monkeypatch.setattr(module, "REGION_BYTES", 10)
        growing = self.image(tmp_path / "a.zarr", (40, 40), (16, 16))
        assert len(list(regions_to_predict(growing, voxel_bytes=1))) == 9
