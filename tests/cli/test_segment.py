"""The verb ``segment``."""

from __future__ import annotations

import json

import numpy as np
import pytest
import zarr

from napari_dacapo_tasks.arrays.open import open_array


def values(path):
    array = open_array(path)
    return array[array.roi]


@pytest.fixture
def segment(command, way):
    """Segment the prediction; code, result and what was said."""

    def run(*arguments, out=None, run=None):
        places = [run or way["run"], way["prediction"], out or way["out"]]
        code, printed, said = command("segment", *places, *arguments, "--json")
        return code, json.loads(printed) if printed else None, said

    return run


def test_by_the_usual_method(segment, way):
    code, result, said = segment("--set", "threshold=-0.1")
    assert code == 0, said
    assert result["method"] == "Threshold"
    assert result["parameters"]["threshold"] == -0.1
    assert result["labelling"] == "foreground"
    assert result["voxel_size"] == [8, 8, 8]
    np.testing.assert_array_equal(values(way["out"]), values(way["prediction"]) > -0.1)


@pytest.mark.parametrize("method", ["threshold and connected", "2"])
def test_by_another_method(segment, method):
    code, result, said = segment("--method", method, "--set", "min_size=3")
    assert code == 0, said
    assert result["method"] == "Threshold and connected components"
    assert result["parameters"]["min_size"] == 3
    assert result["labelling"] == "instances"


def test_blockwise_finds_the_same(segment, tmp_path):
    found = {}
    for way in ("--whole", "--blockwise"):
        out = tmp_path / f"{way}.zarr"
        code, _, said = segment("--method", "2", "--set", "threshold=-0.05", way, out=out)
        assert code == 0, said
        found[way] = values(out)
    assert found["--whole"].max() > 0
    np.testing.assert_array_equal(found["--whole"], found["--blockwise"])


def test_is_marked_as_labels_with_how_they_were_made(segment, way):
    segment("--set", "threshold=0.2")
    attributes = zarr.open(way["out"], mode="r").attrs.asdict()
    assert "image-label" in attributes
    assert "0.2" in json.dumps(attributes)


def test_with_a_network_taken_elsewhere(command, segment, way, tmp_path):
    assert command("export", way["run"], tmp_path / "net", "--format", "dacapo")[0] == 0
    code, _, said = segment(run=tmp_path / "net")
    assert code == 0, said


def test_for_people(command, way):
    code, printed, _ = command("segment", way["run"], way["prediction"], way["out"])
    assert code == 0
    assert printed.startswith("Threshold with threshold 0")
    assert printed.endswith(f"to {way['out']}.\n")


class TestTaken:
    def test_is_refused(self, segment, way):
        assert segment()[0] == 0
        code, _, said = segment()
        assert code == 1
        assert "exists already" in said

    @pytest.mark.parametrize("kind", ["--whole", "--blockwise"])
    def test_is_overwritten(self, segment, way, kind):
        assert segment("--set", "threshold=5")[0] == 0
        assert not values(way["out"]).any()
        assert segment("--set", "threshold=-5", "--overwrite", kind)[0] == 0
        assert values(way["out"]).all()

    def test_a_whole_one_cannot_be_resumed(self, segment):
        code, _, said = segment("--resume", "--whole")
        assert code == 1
        assert "cannot be resumed" in said

    def test_blocks_are_resumed(self, segment, way):
        assert segment("--blockwise")[0] == 0
        code, _, said = segment("--resume")
        assert code == 0, said


@pytest.mark.parametrize(
    ("refused", "sentence"),
    [
        (["--set", "treshold=0"], "did you mean threshold?"),
        (["--set", "threshold=high"], "threshold"),
        (["--method", "watershd"], "no method watershd"),
        (["--method", "9"], "no method number 9"),
    ],
)
def test_refusals_are_one_sentence(segment, way, refused, sentence):
    code, _, said = segment(*refused)
    assert code == 1
    assert sentence in said
    assert not way["out"].exists()


def test_wrong_usage_is_two(segment):
    assert segment("--set", "threshold")[0] == 2
    assert segment("--overwrite", "--resume")[0] == 2


def test_a_prediction_of_another_task(command, way):
    code, _, said = command("segment", way["run"], way["gt"], way["out"])
    assert code == 1
    assert "choose the run that it is of" in said
