"""Labels on a disk, whole or block by block."""

from __future__ import annotations

import numpy as np
import pytest

from napari_dacapo_tasks.arrays import NumpyArray
from napari_dacapo_tasks.arrays.growing_image import DataTakenError
from napari_dacapo_tasks.arrays.open import open_array
from napari_dacapo_tasks.errors import ConfigError
from napari_dacapo_tasks.prediction.prediction import Prediction
from napari_dacapo_tasks.segmentation import segment_to_disk as module
from napari_dacapo_tasks.segmentation.segment import segment
from napari_dacapo_tasks.segmentation.segment_to_disk import is_large, segment_to_disk
from napari_dacapo_tasks.tasks.post_processors.post_processor import result_of

METHOD = "Threshold and connected components"


@pytest.fixture
def prediction(small_task):
    values = np.random.default_rng(0).normal(-0.3, 0.5, (1, 20, 24, 28)).astype(np.float32)
    array = NumpyArray(values, axes="czyx", voxel_size=(8, 8, 8), offset=(16, 0, 80))
    return Prediction(array, small_task, "balls")


def values(array):
    return array[array.roi]


@pytest.mark.parametrize("blockwise", [False, True])
def test_lies_where_the_prediction_lies(prediction, blockwise, tmp_path):
    out = tmp_path / "labels.zarr"
    made = result_of(segment_to_disk(prediction, out, METHOD, blockwise=blockwise))
    stored = open_array(out)
    assert stored.roi == prediction.array.roi
    whole = result_of(segment(prediction, METHOD)).array
    assert values(whole).max() > 1
    np.testing.assert_array_equal(values(stored), values(whole))
    np.testing.assert_array_equal(values(made.array), values(whole))
    assert made.method.title == METHOD


def test_a_large_one_goes_block_by_block(prediction, monkeypatch, tmp_path):
    assert not is_large(prediction.array)
    monkeypatch.setattr(module, "IN_MEMORY_BYTES", 20 * 24 * 28 * 4 - 1)
    assert is_large(prediction.array)
    monkeypatch.setattr(module, "segment", None)  # nothing is segmented as a whole
    result_of(segment_to_disk(prediction, tmp_path / "labels.zarr"))
    assert open_array(tmp_path / "labels.zarr").shape == (20, 24, 28)


class TestTaken:
    def test_is_refused_before_the_work(self, prediction, tmp_path):
        (tmp_path / "mine.txt").write_text("mine")
        for exists in ("refuse", "overwrite"):
            steps = segment_to_disk(prediction, tmp_path, exists=exists)
            with pytest.raises(DataTakenError, match="no image that could be overwritten"):
                next(steps)
        assert (tmp_path / "mine.txt").read_text() == "mine"

    def test_what_is_whole_cannot_be_resumed(self, prediction, tmp_path):
        with pytest.raises(ConfigError, match="cannot be resumed"):
            result_of(segment_to_disk(prediction, tmp_path / "labels.zarr", exists="resume"))


def test_leaving_early_leaves_nothing(prediction, tmp_path):
    steps = segment_to_disk(prediction, tmp_path / "labels.zarr", METHOD)
    next(steps)
    steps.close()
    assert list(tmp_path.iterdir()) == []
