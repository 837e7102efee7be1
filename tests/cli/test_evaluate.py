"""The verb ``evaluate``."""

from __future__ import annotations

import csv
import json

import numpy as np
import pytest

from napari_dacapo_tasks.arrays import Array
from napari_dacapo_tasks.arrays.ome_zarr import write_ome_zarr
from napari_dacapo_tasks.arrays.open import open_array


@pytest.fixture
def stored(tmp_path):
    """Store labels; their path."""

    def store(name, values, voxel_size=(8, 8, 8)):
        path = tmp_path / f"{name}.zarr"
        list(write_ome_zarr(path, Array(values, axes="zyx", voxel_size=voxel_size), name))
        return path

    return store


@pytest.fixture
def labels(way):
    array = open_array(way["gt"])
    return array[array.roi]


@pytest.fixture
def evaluate(command, way):
    """Score labels against the true ones; code, result and what was said."""

    def run(segmentation, *arguments, truth=None):
        places = [way["run"], segmentation, truth or way["gt"]]
        code, printed, said = command("evaluate", *places, *arguments, "--json")
        return code, json.loads(printed) if printed else None, said

    return run


def test_the_truth_is_perfect(evaluate, stored, labels, tmp_path):
    code, result, said = evaluate(stored("same", labels), "--out", tmp_path / "scores")
    assert code == 0, said
    assert result["labelling"] == "instances"
    assert result["scores"]["balls"]["voi"] == 0
    assert result["objects"]["balls"]["matched"] == 4
    assert [path.rpartition("/")[2] for path in result["files"]] == ["scores.json", "objects.csv"]
    with open(tmp_path / "scores/objects.csv") as file:
        assert len(list(csv.DictReader(file))) == 4


def test_a_missing_ball_is_found(evaluate, stored, labels):
    code, result, _ = evaluate(stored("fewer", np.where(labels == 2, 0, labels)))
    assert code == 0
    assert result["objects"]["balls"]["missed"] == 1
    assert result["objects"]["balls"]["matched"] == 3


def test_as_foreground(evaluate, stored, labels):
    half = (labels > 0).astype(np.uint8)
    half[16:] = 0
    code, result, _ = evaluate(stored("half", half), "--method", "threshold")
    assert code == 0
    found, there = np.count_nonzero(half), np.count_nonzero(labels)
    assert result["scores"]["balls"]["recall"] == pytest.approx(found / there)
    assert result["scores"]["balls"]["precision"] == 1


def test_only_what_is_known_counts(evaluate, stored, labels):
    mask = np.zeros(labels.shape, np.uint8)
    mask[:16] = 1
    half = (labels > 0).astype(np.uint8)
    half[16:] = 0
    arguments = ["--method", "threshold", "--mask", stored("mask", mask)]
    code, result, _ = evaluate(stored("half", half), *arguments)
    assert code == 0
    assert result["scores"]["balls"]["dice"] == 1


def test_labels_mean_what_is_said(evaluate, stored, labels):
    only = (labels == 3).astype(np.uint8)
    arguments = ["--method", "threshold", "--channel", "balls=3"]
    code, result, _ = evaluate(stored("third", only), *arguments)
    assert code == 0
    assert result["scores"]["balls"]["dice"] == 1


def test_a_part_is_scored_and_said(evaluate, stored, labels):
    code, result, _ = evaluate(stored("part", labels[:16]))
    assert code == 0
    assert any("50 %" in notice for notice in result["notices"])


def test_for_people(command, way, stored, labels):
    code, printed, _ = command("evaluate", way["run"], stored("same", labels), way["gt"])
    assert code == 0
    head, *lines = printed.splitlines()
    assert head.split() == ["score", "balls", "better"]
    assert any(line.startswith("voi (bits)") and line.endswith("lower") for line in lines)


def test_refusals_are_one_sentence(evaluate, stored, labels, way):
    for path, truth, sentence in (
        (stored("far", labels, (7, 7, 7)), None, "voxels"),
        (way["out"], None, "There is nothing at"),
        (stored("floats", labels.astype(np.float32)), None, "labels"),
    ):
        code, _, said = evaluate(path, truth=truth)
        assert code == 1
        assert sentence in said
        assert "Traceback" not in said
