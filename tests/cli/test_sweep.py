"""The verb ``sweep``."""

from __future__ import annotations

import csv
import json
import signal
import sys

import pytest

from napari_dacapo_tasks.evaluation.records import load_sweep
from napari_dacapo_tasks.terminal import Stopped


@pytest.fixture
def sweep(command, way):
    """Sweep the prediction against the true labels; code, result and what was said."""

    def run(*arguments, run=None):
        places = [run or way["run"], way["prediction"], way["gt"]]
        code, printed, said = command("sweep", *places, *arguments, "--json")
        return code, json.loads(printed) if printed else None, said

    return run


def test_tries_what_is_named(sweep, way):
    code, result, said = sweep("--range", "threshold=-0.4:0.4:0.2")
    assert code == 0, said
    tried = [row["values"]["threshold"] for row in result["rows"]]
    assert tried == [-0.4, -0.2, 0, 0.2, 0.4]
    assert result["criterion"] == "dice"
    scores = [row["scores"]["balls"]["dice"] for row in result["rows"]]
    defined = [score for score in scores if score != "nan"]
    assert result["best"]["score"] == max(defined)
    assert result["best"]["values"]["threshold"] == tried[scores.index(max(defined))]


def test_every_combination_is_tried(sweep):
    arguments = ["--method", "2", "--range", "threshold=0,0.1", "--range", "min_size=0,5,50"]
    code, result, said = sweep(*arguments)
    assert code == 0, said
    assert len(result["rows"]) == 6


def test_what_the_method_proposes_is_tried_else(sweep):
    code, result, _ = sweep()
    assert code == 0
    assert len(result["rows"]) > 1


def test_is_saved_in_the_run(sweep, way):
    _, result, _ = sweep("--range", "threshold=0,0.1")
    table, kept = result["files"]
    assert table.startswith(str(way["run"] / "sweeps"))
    with open(table) as file:
        assert [row["threshold"] for row in csv.DictReader(file)] == ["0", "0.1"]
    assert len(load_sweep(kept).rows) == 2


def test_is_saved_elsewhere(sweep, way, tmp_path):
    _, result, _ = sweep("--range", "threshold=0", "--out", tmp_path / "of/mine")
    assert all(name.startswith(str(tmp_path / "of/mine/sweeps")) for name in result["files"])
    assert not (way["run"] / "sweeps").exists()
    (tmp_path / "file").touch()
    code, _, said = sweep("--range", "threshold=0", "--out", tmp_path / "file")
    assert code == 1
    assert said.rstrip().endswith("choose another --out.")


def test_stopped_it_keeps_what_was_tried(sweep, monkeypatch):
    def stopped(steps, show):
        for step in steps:
            show(step)
            if step.row is not None:
                steps.close()
                raise Stopped(signal.SIGTERM)

    module = "napari_dacapo_tasks.cli.sweep"
    monkeypatch.setattr(sys.modules[module], "followed", stopped)
    code, result, _ = sweep("--range", "threshold=0,0.1,0.2")
    assert code == 1
    assert not result["finished"]
    assert result["notices"] == ["Stopped after 1 of 3 combinations."]
    assert result["best"]["values"] == {"threshold": 0}
    kept = load_sweep(result["files"][1])
    assert (kept.names, kept.unit, len(kept.rows)) == (("threshold",), "nm", 1)


def test_by_another_score(sweep):
    code, result, _ = sweep("--range", "threshold=-0.2,0.2", "--criterion", "recall")
    assert code == 0
    assert result["criterion"] == "recall"
    assert result["best"]["values"]["threshold"] == -0.2


def test_of_a_network_taken_elsewhere(command, sweep, way, tmp_path):
    assert command("export", way["run"], tmp_path / "net", "--format", "dacapo")[0] == 0
    code, result, said = sweep("--range", "threshold=0", run=tmp_path / "net")
    assert code == 0, said
    assert result["files"] == []


def test_for_people(command, way):
    arguments = [way["run"], way["prediction"], way["gt"], "--range", "threshold=-0.5,0.5"]
    code, printed, _ = command("sweep", *arguments)
    assert code == 0
    assert printed.splitlines()[0].split() == ["threshold", "dice"]
    assert "The best: --set threshold=" in printed


@pytest.mark.parametrize(
    ("refused", "sentence"),
    [
        (["--criterion", "dize"], "did you mean dice?"),
        (["--range", "treshold=0"], "did you mean threshold?"),
        (["--range", "threshold=0:1"], "is no range"),
        (["--method", "9"], "no method number 9"),
    ],
)
def test_refusals_are_one_sentence(sweep, way, refused, sentence):
    code, _, said = sweep(*refused)
    assert code == 1
    assert sentence in said
    assert not (way["run"] / "sweeps").exists()


def test_wrong_usage_is_two(sweep):
    assert sweep("--range", "threshold")[0] == 2
