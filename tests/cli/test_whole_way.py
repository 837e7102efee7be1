"""From a volume to scores, command by command, as a script would go."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from napari_dacapo_tasks.arrays.open import open_array
from napari_dacapo_tasks.tasks import AffinitiesTaskConfig
from napari_dacapo_tasks.tasks.files import save_task

FIB25 = Path(__file__).parent / "../../../shared/data/fib25.ome.zarr"

TASK = AffinitiesTaskConfig(
    name="neurons", neighborhood=[(1, 0, 0), (0, 1, 0), (0, 0, 1), (6, 0, 0), (0, 6, 0), (0, 0, 6)]
)
PART = "130:150,60:100,60:100"


@pytest.fixture
def said(command):
    """Run a command that must go well; what it printed as JSON."""

    def run(*arguments):
        code, printed, error = command(*arguments, "--json")
        assert code == 0, error
        return json.loads(printed)

    return run


@pytest.mark.skipif(not FIB25.exists(), reason="the volume ../shared/data/fib25.ome.zarr is absent")
def test_neurons(said, small_options, tmp_path):
    save_task(TASK, tmp_path / "task.yaml")
    run, gt = tmp_path / "run", f"{FIB25}/labels/neurons"
    data = ["--raw", FIB25, "--gt", gt, "--set", "trainer.iterations=3"]
    said("new", run, "--task", tmp_path / "task.yaml", *data, *small_options)
    assert said("train", run)["iteration"] == 3

    prediction = tmp_path / "affinities.zarr"
    found = said("predict", run, FIB25, prediction, "--roi", PART)
    assert found["shape"] == [20, 40, 40]
    assert found["begin"] == [1300, 600, 600]
    assert found["names"] == TASK.task_type(TASK).channels

    swept = said("sweep", run, prediction, gt, "--range", "bias=0.3,0.7")
    assert len(swept["rows"]) == 2
    best = swept["best"]["values"]["bias"]

    labels = tmp_path / "neurons.zarr"
    made = said("segment", run, prediction, labels, "--set", f"bias={best}")
    assert made["method"] == "Mutex watershed"
    ids = open_array(labels)
    assert ids.roi == open_array(prediction).roi
    assert ids[ids.roi].any()

    scores = said("evaluate", run, labels, gt, "--out", tmp_path / "scores")
    assert set(scores["scores"]) == {"objects"}
    assert scores["scores"]["objects"][swept["criterion"]] == pytest.approx(swept["best"]["score"])
    assert (tmp_path / "scores/objects.csv").exists()
