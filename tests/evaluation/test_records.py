import csv
import json
from math import inf, isnan, nan

import numpy as np
import pytest

from napari_dacapo_tasks.arrays import NumpyArray
from napari_dacapo_tasks.errors import DataError, RunError
from napari_dacapo_tasks.evaluation.evaluate import evaluate
from napari_dacapo_tasks.evaluation.records import (
    load_sweep,
    save_evaluation,
    save_sweep,
    saved_sweeps,
)
from napari_dacapo_tasks.evaluation.sweep import SweepResult, SweepRow
from napari_dacapo_tasks.tasks import AffinitiesTaskConfig, DistanceTaskConfig
from napari_dacapo_tasks.tasks.post_processors.post_processor import result_of

TASK = DistanceTaskConfig(
    name="d", channels=["a", "b"], scale_factor=20, clip_distance=80, tol_distance=16
)
AFFINITIES = AffinitiesTaskConfig(name="affs", neighborhood=[(1, 0), (0, 1)])


@pytest.fixture
def run(tmp_path):
    folder = tmp_path / "run"
    folder.mkdir()
    (folder / "run.yaml").write_text("")
    return folder


@pytest.fixture
def swept():
    method = TASK.task_type(TASK).methods[0]
    default = method.post_processor.default
    scores = {
        "a": {"dice": 0.5, "hausdorff": inf, "precision": nan},
        "b": {"dice": 1.0, "hausdorff": 0.0, "precision": 0.1},
    }
    rows = (
        SweepRow(
            {"threshold": 0.1}, default.model_copy(update={"threshold": 0.1}), scores, "", 2.0
        ),
        SweepRow({"threshold": 0.2}, default.model_copy(update={"threshold": 0.2}), {}, "No, no."),
        SweepRow({"threshold": "high"}, None, {}, "No number."),
    )
    criteria = tuple(method.evaluator.criteria)
    return SweepResult(
        method.title, ("threshold",), rows, criteria, "nm", "d", "net", ("Only a part.",)
    )


@pytest.fixture
def evaluation():
    truth = np.zeros((6, 20), np.uint64)
    truth[1:5, 1:9], truth[1:5, 11:15] = 5, 2**40
    labels = np.roll(truth, 1, 1)
    labels[0, :3] = 8
    place = {"axes": "yx", "voxel_size": (80, 40), "offset": (800, 0)}
    place["unit"] = type(NumpyArray(truth, axes="yx", voxel_size=(1, 1)).unit)("nm", 10)
    arrays = (NumpyArray(values, **place) for values in (labels, truth))
    return result_of(evaluate(AFFINITIES, *arrays))


def test_a_sweep_comes_back(run, swept):
    table, values = save_sweep(run, swept)
    assert (table.parent, values.parent) == (run / "sweeps",) * 2
    found = load_sweep(values)
    assert isnan(found.rows[0].scores["a"].pop("precision"))
    swept.rows[0].scores["a"].pop("precision")
    assert found == swept
    assert found.best("dice").parameters == swept.rows[0].parameters


def test_the_table_has_a_line_for_each_combination(run, swept):
    table, _ = save_sweep(run, swept)
    lines = list(csv.DictReader(table.open(newline="")))
    assert len(lines) == 3
    assert lines[0] == {
        "threshold": "0.1",
        "a.dice": "0.5",
        "a.hausdorff": "inf",
        "a.precision": "nan",
        "b.dice": "1.0",
        "b.hausdorff": "0.0",
        "b.precision": "0.1",
        "seconds": "2.000",
        "error": "",
    }
    assert (lines[1]["a.dice"], lines[1]["error"]) == ("", "No, no.")
    assert lines[2]["threshold"] == "high"


def test_sweeps_stand_beside_each_other(run, swept):
    assert saved_sweeps(run) == []
    made = [save_sweep(run, swept)[1] for _ in range(11)]
    assert saved_sweeps(run) == made
    assert made[0].name == "0001_threshold.json"
    made[3].unlink()
    (run / "sweeps" / "²_other.json").write_text("")  # a digit, but no number
    assert save_sweep(run, swept)[1].name == "0012_threshold.json"


def test_a_folder_that_is_no_run_will_do(tmp_path, swept):
    made = save_sweep(tmp_path, swept)
    assert all(path.parent == tmp_path / "sweeps" for path in made)
    assert saved_sweeps(tmp_path) == [made[1]]
    assert load_sweep(made[1]).rows[1] == swept.rows[1]


def test_a_run_that_is_gone_gets_no_sweep(tmp_path, swept):
    with pytest.raises(RunError, match="is gone"):
        save_sweep(tmp_path / "run", swept)
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    "text", ["", "[]", "{}", '{"kind": "evaluation"}', '{"kind": "sweep"}', "\x00", "null"]
)
def test_other_files_are_no_sweeps(tmp_path, text):
    path = tmp_path / "sweep.json"
    path.write_text(text)
    with pytest.raises(DataError, match="is no sweep that was saved"):
        load_sweep(path)
    with pytest.raises(DataError, match="cannot be read"):
        load_sweep(tmp_path / "none.json")


@pytest.mark.parametrize("key", ["rows", "criteria", "names", "method", "notices"])
def test_damaged_sweeps_are_refused(run, swept, key):
    _, path = save_sweep(run, swept)
    values = json.loads(path.read_text())
    values[key] = 5 if key != "method" else None
    if key == "method":
        del values[key]
    path.write_text(json.dumps(values))
    with pytest.raises(DataError, match="is no sweep that was saved"):
        load_sweep(path)


def test_parameters_of_another_version_are_left_out(run, swept):
    _, path = save_sweep(run, swept)
    values = json.loads(path.read_text())
    values["rows"][0]["parameters"]["threshold"] = "much"
    values["rows"][1]["parameters"]["__type__"] = "Unheard"
    path.write_text(json.dumps(values))
    found = load_sweep(path)
    assert [row.parameters for row in found.rows] == [None, None, None]
    assert found.rows[0].scores["a"]["dice"] == 0.5


def test_an_evaluation_is_two_files(tmp_path, evaluation):
    scores, objects = save_evaluation(tmp_path / "new" / "folder", evaluation)
    assert [scores.name, objects.name] == ["scores.json", "objects.csv"]
    values = json.loads(scores.read_text())
    assert values["scores"]["objects"]["f1_score"] == evaluation.scores["objects"]["f1_score"]
    assert values["roi"] == {"begin": [80, 0], "end": [128, 80]}
    assert values["unit"] == "nm"
    assert values["objects"]["objects"] == {
        "matched": 2,
        "missed": 0,
        "split": 0,
        "merged": 0,
        "false": 1,
    }
    assert values["mistakes"]["objects"]["false positive"] == 4 + 4 + 3
    assert {one["name"] for one in values["criteria"]} == set(values["scores"]["objects"])
    lines = list(csv.DictReader(objects.open(newline="")))
    assert [line["id"] for line in lines] == ["5", str(2**40), "8"]
    assert [line["label_of"] for line in lines] == ["truth", "truth", "segmentation"]
    last = lines[-1]
    assert (last["kind"], last["voxel_y"], last["voxel_x"]) == ("false", "0", "1")
    assert (last["centre_y"], last["centre_x"]) == ("80.0", "4.0")
    assert (last["end_y"], last["end_x"]) == ("88.0", "12.0")
    assert lines[0]["partners"] == "5"


def test_an_evaluation_beside_a_name(tmp_path, evaluation):
    for name in ("mine.csv", "mine.json"):
        assert save_evaluation(tmp_path / name, evaluation) == (
            tmp_path / "mine.json",
            tmp_path / "mine.csv",
        )
    assert sorted(path.name for path in tmp_path.iterdir()) == ["mine.csv", "mine.json"]


def test_a_place_that_cannot_be_written(tmp_path, evaluation):
    (tmp_path / "file").write_text("")
    with pytest.raises(DataError, match="cannot be written: Not a directory; choose another place"):
        save_evaluation(tmp_path / "file" / "scores", evaluation)
    assert [path.name for path in tmp_path.iterdir()] == ["file"]
