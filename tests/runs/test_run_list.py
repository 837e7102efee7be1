"""Runs are found, duplicated, compared and deleted."""

from __future__ import annotations

import errno
import os
import shutil
from math import nan
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml

from napari_dacapo_tasks.arrays.ome_zarr import write_ome_zarr
from napari_dacapo_tasks.errors import ConfigError, DataError, RunError
from napari_dacapo_tasks.runs import manage
from napari_dacapo_tasks.runs.data import open_data
from napari_dacapo_tasks.runs.overrides import with_overrides
from napari_dacapo_tasks.runs.run_folder import RunFolder, Score, Statistic
from napari_dacapo_tasks.runs.run_list import (
    RunState,
    delete,
    differences,
    duplicate,
    list_runs,
    summary_of,
)
from napari_dacapo_tasks.tasks import PretrainedTaskConfig
from napari_dacapo_tasks.tasks.post_processors.post_processor import result_of


@pytest.fixture
def run(make_run) -> RunFolder:
    return make_run()


def scored(iteration: int, value: float) -> Score:
    return Score(iteration, "dice", value, 0.25, {}, "Threshold", 1.5)


class TestSummary:
    def test_of_a_new_run(self, run):
        found = summary_of(run.path)
        assert (found.name, found.state, found.task) == ("run", RunState.NEW, "Signed distance")
        assert (found.iteration, found.iterations) == (0, 8)
        assert found.loss is found.score is None
        assert found.modified is not None

    def test_while_it_is_trained_and_after(self, run):
        with run.training():
            run.append_statistics(Statistic(1, 0.75, 0.1))
            run.append_statistics(Statistic(2, 0.5, 0.1))
            found = summary_of(run.path)
            assert (found.state, found.iteration, found.loss) == (RunState.TRAINING, 2, 0.5)
        assert summary_of(run.path).state is RunState.STOPPED
        run.save_checkpoint({}, 8)
        assert summary_of(run.path).state is RunState.FINISHED
        run.save_config(with_overrides(run.config, {"trainer.iterations": "1000"}))
        assert summary_of(run.path).state is RunState.STOPPED

    def test_all_iterations_without_a_checkpoint_are_not_finished(self, run):
        for iteration in range(1, 9):
            run.append_statistics(Statistic(iteration, 0.5, 0.1))
        assert summary_of(run.path).state is RunState.STOPPED

    def test_tells_the_best_score(self, run):
        for iteration, value in ((1, 0.5), (2, 0.75), (3, nan), (4, 0.25)):
            run.append_score(scored(iteration, value))
        found = summary_of(run.path)
        assert (found.criterion, found.score) == ("Dice", 0.75)

    def test_a_broken_one_says_why(self, run):
        (run.path / "run.yaml").write_text("task: [")
        found = summary_of(run.path)
        assert found.state is RunState.BROKEN
        assert "run.yaml" in found.flaw
        run.path.rename(run.path.with_name("moved"))
        assert "is no run folder" in summary_of(run.path).flaw

    def test_one_whose_statistics_are_nonsense_is_shown_all_the_same(self, run):
        (run.path / "stats.jsonl").write_bytes(b"\xff\xfe nonsense\n" * 3)
        assert summary_of(run.path).state is RunState.NEW


class TestList:
    def test_finds_runs_at_any_of_a_few_levels(self, make_run, tmp_path):
        paths = {}
        for name in ("a", "group/b", "group/inner/c", "1/2/3/4/d"):
            (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
            paths[name] = make_run(name).path
        hidden = tmp_path / ".hidden.partial"
        shutil.copytree(paths["a"], hidden)
        found = {summary.path for summary in list_runs([tmp_path])}
        assert found == {paths[name] for name in ("a", "group/b", "group/inner/c")}
        assert [one.path for one in list_runs([paths["a"], tmp_path / "group", paths["a"]])].count(
            paths["a"]
        ) == 1

    def test_the_last_written_comes_first(self, make_run, tmp_path):
        runs = {name: make_run(name) for name in "abc"}
        for seconds, name in enumerate("bca"):
            for file in (runs[name].path / "run.yaml",):
                os.utime(file, (1e9 + seconds, 1e9 + seconds))
        assert [one.name for one in list_runs([tmp_path])] == ["a", "c", "b"]

    def test_folders_that_are_gone_hold_none(self, tmp_path):
        assert list_runs([tmp_path / "gone", tmp_path]) == []

    def test_folders_that_are_closed_to_us_hide_no_others(self, run, tmp_path, monkeypatch):
        closed = tmp_path / "closed"
        shutil.copytree(run.path, closed)
        stat = os.stat

        def refused(path, *args, **kwargs):
            if str(path).startswith(f"{closed}{os.sep}"):
                raise PermissionError(errno.EACCES, "Permission denied")
            return stat(path, *args, **kwargs)

        monkeypatch.setattr(os, "stat", refused)
        assert [one.path for one in list_runs([tmp_path])] == [run.path]
        with pytest.raises(RunError, match="closed cannot be read: Permission denied"):
            RunFolder.open(closed)
        with pytest.raises(RunError, match="closed cannot be read: Permission denied"):
            RunFolder(closed, run.config).log("anything")

    def test_a_changed_config_is_seen(self, run):
        assert summary_of(run.path).iterations == 8
        run.save_config(with_overrides(run.config, {"trainer.iterations": "12345"}))
        assert summary_of(run.path).iterations == 12345

    def test_reads_no_statistics_but_the_last(self, run, monkeypatch):
        run.append_statistics(Statistic(1, 0.5, 0.1))
        monkeypatch.setattr(RunFolder, "statistics", lambda self: pytest.fail("all were read"))
        assert list_runs([run.path])[0].loss == 0.5


class TestDuplicate:
    def test_has_the_data_and_nothing_of_training(self, run, tmp_path):
        run.save_checkpoint({}, 1)
        run.append_statistics(Statistic(1, 0.5, 0.1))
        run.log("text")
        run.request("stop")
        again = result_of(duplicate(run, tmp_path / "again", {"trainer.seed": "7"}))
        assert again.config.trainer.seed == 7
        assert again.config.data == run.config.data
        assert {path.name for path in again.path.iterdir()} == {"run.yaml", "data"}
        first, second = (open_data(one).train[0] for one in (run, again))
        np.testing.assert_array_equal(first.raw[first.raw.roi], second.raw[second.raw.roi])
        roi = first.ground_truth.roi
        np.testing.assert_array_equal(
            first.ground_truth.read(roi)[0].data, second.ground_truth.read(roi)[0].data
        )
        shutil.rmtree(run.path)
        open_data(again).train[0].raw[first.raw.roi]  # it does not need the first any more

    def test_task_and_network_may_change(self, run, tmp_path):
        run.save_checkpoint({}, 1)
        changes = {"task.scale_factor": "32", "architecture.num_fmaps": "6"}
        again = result_of(duplicate(run, tmp_path / "again", changes))
        assert again.config.task.scale_factor == 32
        assert again.config.architecture.num_fmaps == 6

    def test_relative_paths_that_lead_out_lead_to_the_same(self, run, tmp_path, volume):
        list(write_ome_zarr(tmp_path / "raw.ome.zarr", volume.array(volume.raw), "raw"))
        plain = yaml.safe_load((run.path / "run.yaml").read_text())
        plain["data"]["crops"][0]["raw"] = "../raw.ome.zarr"
        (run.path / "run.yaml").write_text(yaml.safe_dump(plain))
        (tmp_path / "deep/er").mkdir(parents=True)
        again = result_of(duplicate(RunFolder.open(run.path), tmp_path / "deep/er/again"))
        assert again.config.data.crops[0].raw == str(tmp_path / "raw.ome.zarr")
        assert open_data(again).train[0].raw.shape == (40, 40, 40)

    def test_begins_with_the_same_weights(self, make_run, small_task, small_net, tmp_path):
        model = small_task.task_type(small_task).create_model(small_net)
        torch.save({"model": model.chain.state_dict()}, tmp_path / "weights.pt")
        task = PretrainedTaskConfig(
            name="again", sub_task_config=small_task, weights=str(tmp_path / "weights.pt")
        )
        run = make_run(task=task)
        again = result_of(duplicate(run, tmp_path / "again"))
        assert again.config.task.weights == "pretrained.pt"
        kept = torch.load(again.path / "pretrained.pt", weights_only=True)["model"]
        assert all(torch.equal(kept[name], one) for name, one in model.chain.state_dict().items())
        with pytest.raises(ConfigError, match="weights of another network"):
            result_of(duplicate(run, tmp_path / "other", {"architecture.num_fmaps": "6"}))
        assert not (tmp_path / "other").exists()

    def test_can_be_left_and_leaves_nothing(self, run, tmp_path):
        steps = duplicate(run, tmp_path / "again")
        shares = [next(steps), next(steps), next(steps)]
        assert shares == sorted(shares)
        steps.close()
        assert [path.name for path in tmp_path.iterdir()] == ["run"]

    def test_refuses_what_is_there_and_wrong_names(self, run, tmp_path):
        with pytest.raises(DataError, match="exists already"):
            result_of(duplicate(run, run.path))
        with pytest.raises(ConfigError, match=r"did you mean trainer\.seed"):
            result_of(duplicate(run, tmp_path / "again", {"trainer.sead": "7"}))
        assert [path.name for path in tmp_path.iterdir()] == ["run"]


class TestDelete:
    def test_takes_all_of_it(self, run, tmp_path):
        run.save_checkpoint({}, 1)
        delete(run.path)
        assert list(tmp_path.iterdir()) == []

    def test_a_broken_one_too(self, run, tmp_path):
        (run.path / "run.yaml").write_text("nonsense: [")
        delete(run.path)
        assert list(tmp_path.iterdir()) == []

    def test_not_while_it_is_trained(self, run):
        with run.training():
            with pytest.raises(RunError, match="is being trained: stop that first"):
                delete(run.path)
            assert summary_of(run.path).state is RunState.TRAINING

    def test_nothing_that_is_no_run(self, tmp_path):
        (tmp_path / "precious").mkdir()
        with pytest.raises(RunError, match="is no run folder"):
            delete(tmp_path / "precious")
        assert (tmp_path / "precious").exists()

    def test_a_failure_leaves_no_half_of_a_run(self, run, tmp_path, monkeypatch):
        def fail(path):
            (Path(path) / "log.txt").unlink(missing_ok=True)
            raise PermissionError(13, "Permission denied")

        run.log("text")
        with monkeypatch.context() as patched:
            patched.setattr(manage.shutil, "rmtree", fail)
            with pytest.raises(RunError, match=r"\.partial cannot be deleted: Permission denied"):
                delete(run.path)
        assert not run.path.exists()
        assert list_runs([tmp_path]) == []

    def test_a_link_goes_with_what_it_leads_to(self, run, tmp_path):
        link = tmp_path / "link"
        link.symlink_to(run.path)
        delete(link)
        assert not link.is_symlink()
        assert not run.path.exists()


class TestDifferences:
    def test_are_those_that_differ(self, run):
        changes = {"trainer.seed": "7", "task.scale_factor": "32", "trainer.optimizer.name": "SGD"}
        other = with_overrides(run.config, changes)
        assert differences([run.config, run.config]) == []
        found = {one.name: one.values for one in differences([run.config, other, run.config])}
        assert found == {
            "task.scale_factor": (24, 32, 24),
            "trainer.seed": (0, 7, 0),
            "trainer.optimizer.name": ("AdamW", "SGD", "AdamW"),
        }

    def test_other_tasks_and_more_crops(self, run):
        inner = run.config.task
        pretrained = PretrainedTaskConfig(name="balls", sub_task_config=inner, weights="w.pt")
        crops = (*run.config.data.crops, run.config.data.crops[0])
        other = run.config.model_copy(
            update={
                "task": pretrained,
                "data": run.config.data.model_copy(update={"crops": crops}),
            }
        )
        found = {one.name: one.values for one in differences([run.config, other])}
        assert found["task.weights"] == (None, "w.pt")
        assert found["data.crops.1.raw"] == (None, run.config.data.crops[0].raw)
        assert "data.crops.0.raw" not in found
