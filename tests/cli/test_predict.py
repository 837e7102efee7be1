"""The verb ``predict``."""

from __future__ import annotations

import json
import sys
from contextlib import contextmanager

import numpy as np
import pytest

from napari_dacapo_tasks.arrays import Array
from napari_dacapo_tasks.arrays.ome_zarr import write_ome_zarr
from napari_dacapo_tasks.arrays.open import open_array

ROI = ["--roi", "4:20,:16,-12:"]


def values(path):
    array = open_array(path)
    return array[array.roi]


@pytest.fixture
def predict(command, way):
    """Predict the raw data; code, result and what was said."""

    def run(*arguments, out=None, raw=None, run=None):
        places = [run or way["run"], raw or way["raw"], out or way["out"]]
        code, printed, said = command("predict", *places, *arguments, "--json")
        return code, json.loads(printed) if printed else None, said

    return run


class TestResult:
    def test_a_whole_image(self, predict, way):
        code, result, said = predict()
        assert code == 0, said
        assert result["finished"]
        assert result["shape"] == [32, 32, 32]
        assert result["voxel_size"] == [8, 8, 8]
        assert result["unit"] == "nm"
        assert result["names"] == ["balls"]
        assert result["path"] == str(way["out"])
        assert result["voxels_per_second"] > 0
        np.testing.assert_allclose(values(way["out"]), values(way["prediction"]), atol=1e-6)

    def test_a_part(self, predict, way):
        code, result, said = predict(*ROI)
        assert code == 0, said
        assert result["shape"] == [16, 16, 12]
        assert result["begin"] == [32, 0, 160]
        whole = values(way["prediction"])[:, 4:20, :16, -12:]
        np.testing.assert_allclose(values(way["out"]), whole, atol=1e-5)

    def test_in_small_tiles(self, predict, way):
        assert predict("--tile", "20,20,20")[0] == 0
        np.testing.assert_allclose(values(way["out"]), values(way["prediction"]), atol=1e-5)

    def test_without_what_is_too_near_to_the_edge(self, predict, way):
        code, result, _ = predict("--edges", "leave-out")
        assert code == 0
        margin = (32 - result["shape"][0]) // 2
        assert margin > 0
        inner = slice(margin, -margin)
        whole = values(way["prediction"])[:, inner, inner, inner]
        np.testing.assert_allclose(values(way["out"]), whole, atol=1e-5)

    def test_for_people(self, command, way):
        code, printed, said = command("predict", way["run"], way["raw"], way["out"])
        assert code == 0
        assert printed == f"Wrote {open_array(way['out']).describe()} to {way['out']}.\n"
        assert "Predicting on CPU" in said

    def test_of_a_network_taken_elsewhere(self, command, predict, way, tmp_path):
        assert command("export", way["run"], tmp_path / "net", "--format", "dacapo")[0] == 0
        code, _, said = predict(run=tmp_path / "net")
        assert code == 0, said
        np.testing.assert_array_equal(values(way["out"]), values(way["prediction"]))

    def test_by_workers(self, predict, way):
        code, result, said = predict("--workers", "1", *ROI)
        assert code == 0, said
        assert result["finished"]
        whole = values(way["prediction"])[:, 4:20, :16, -12:]
        np.testing.assert_allclose(values(way["out"]), whole, atol=1e-5)


class TestCheckpoint:
    @pytest.mark.parametrize("which", ["latest", "3", "best"])
    def test_is_chosen(self, predict, which):
        assert predict("--checkpoint", which, "--roi", ":8,:8,:8")[0] == 0

    def test_that_is_not_kept(self, predict):
        code, _, said = predict("--checkpoint", "2")
        assert code == 1
        assert "keeps no checkpoint of iteration 2" in said

    def test_that_is_none(self, predict):
        assert predict("--checkpoint", "newest")[0] == 2


class TestTaken:
    def test_is_refused_with_the_options_that_there_are(self, predict, way):
        assert predict("--roi", ":8,:8,:8")[0] == 0
        code, _, said = predict("--roi", ":8,:8,:8")
        assert code == 1
        assert "exists already" in said
        assert "--overwrite" in said

    def test_is_overwritten(self, predict, way):
        assert predict("--roi", ":8,:8,:8")[0] == 0
        code, result, _ = predict("--roi", ":9,:8,:8", "--overwrite")
        assert (code, result["shape"]) == (0, [9, 8, 8])

    def test_is_not_both(self, predict):
        assert predict("--overwrite", "--resume")[0] == 2

    def test_what_is_no_image_is_kept(self, predict, way):
        way["out"].mkdir()
        (way["out"] / "mine.txt").write_text("mine")
        code, _, said = predict("--overwrite")
        assert code == 1
        assert "no image that could be overwritten" in said
        assert (way["out"] / "mine.txt").read_text() == "mine"


def test_stopped_it_can_be_read_and_resumed(predict, way, monkeypatch):
    asked = iter([False, False, True])

    @contextmanager
    def at_once():
        yield lambda: next(asked, True)

    with monkeypatch.context() as patch:
        # The package has the function under the name of its module.
        module = sys.modules["napari_dacapo_tasks.cli.predict"]
        patch.setattr(module, "interrupted_softly", at_once)
        code, result, _ = predict()
    assert code == 1
    assert not result["finished"]
    assert open_array(way["out"]).shape == (32, 32, 32)
    code, result, said = predict("--resume")
    assert code == 0, said
    assert result["finished"]
    np.testing.assert_allclose(values(way["out"]), values(way["prediction"]), atol=1e-5)


class TestOtherVoxels:
    @pytest.fixture
    def coarse(self, way, tmp_path):
        raw = values(way["raw"])[::2, ::2, ::2]
        path = tmp_path / "coarse.zarr"
        list(write_ome_zarr(path, Array(raw, axes="zyx", voxel_size=(16, 16, 16)), "coarse"))
        return path

    def test_are_refused_with_the_option(self, predict, coarse):
        code, _, said = predict(raw=coarse)
        assert code == 1
        assert "16 x 16 x 16 nm" in said
        assert said.strip().endswith("(--resample).")

    def test_are_resampled(self, predict, coarse):
        code, result, said = predict("--resample", raw=coarse)
        assert code == 0, said
        assert result["voxel_size"] == [8, 8, 8]
        assert any("resampled" in notice for notice in result["notices"])


@pytest.mark.parametrize(
    "wrong",
    [
        ["--roi", "0:8,0:8"],
        ["--roi", "8:8,:,:"],
        ["--roi", "all"],
        ["--tile", "large"],
        ["--workers", "0"],
    ],
)
def test_wrong_usage_is_two(predict, way, wrong):
    assert predict(*wrong)[0] == 2
    assert not way["out"].exists()


@pytest.mark.parametrize(
    ("refused", "sentence"),
    [
        (["--precision", "float8"], "precision"),
        (["--tile", "8,8"], "The tile (8, 8) does not suit"),
        (["--device", "cuda:77"], "no device cuda:77"),
        (["--roi", "100:110,:,:"], "choose another region"),
        (["--worker-command", "ssh host"], "does not say where the worker goes"),
    ],
)
def test_refusals_are_one_sentence(predict, way, refused, sentence):
    code, _, said = predict(*refused)
    assert code == 1
    assert sentence in said
    assert not said.startswith("Traceback")


def test_no_run(predict, tmp_path):
    code, _, said = predict(run=tmp_path / "nothing")
    assert code == 1
    assert "There is nothing at" in said
