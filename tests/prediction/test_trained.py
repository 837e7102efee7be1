"""Networks out of run folders, with what is known of them."""

from __future__ import annotations

from math import nan

import numpy as np
import pytest
import torch
import yaml

from napari_dacapo_tasks.arrays import NumpyArray
from napari_dacapo_tasks.errors import ConfigError, RunError
from napari_dacapo_tasks.prediction.export import export_dacapo
from napari_dacapo_tasks.prediction.trained import describe_trained, open_trained
from napari_dacapo_tasks.runs.run_folder import RunFolder, Score
from napari_dacapo_tasks.runs.warm_start import begin_with
from napari_dacapo_tasks.tasks.post_processors.post_processor import result_of
from napari_dacapo_tasks.units import VOXEL


def weights_of(run: RunFolder, seed: int = 0):
    torch.manual_seed(seed)
    task = run.config.task
    return task.task_type(task).predictor.create_model(run.config.architecture).chain.state_dict()


def save(run: RunFolder, iteration: int, **more) -> None:
    state = {"model": weights_of(run, iteration), **more}
    run.save_checkpoint(state, iteration, kept=10)


def score(run: RunFolder, iteration: int, value: float) -> None:
    run.append_score(Score(iteration, "dice", value, 0.1, {}, "Threshold", 1.0))


@pytest.fixture
def run(make_run) -> RunFolder:
    return make_run()


class TestOpening:
    def test_it_is_all_that_predicting_needs(self, run):
        save(run, 4)
        trained = open_trained(run.path, "latest")
        assert trained.name == run.path.name
        assert trained.run == run.path
        assert trained.task == run.config.task
        assert trained.architecture == run.config.architecture
        assert trained.intensity_range == run.config.data.intensity_range
        assert (trained.voxel_size, trained.unit) == ((8.0, 8.0, 8.0), "nm")
        assert (trained.iteration, trained.notices) == (4, ())
        model = trained.build()
        assert not model.training
        for name, tensor in weights_of(run, 4).items():
            assert torch.equal(model.chain.state_dict()[name], tensor)

    def test_the_average_of_the_weights_predicts_where_there_is_one(self, run):
        save(run, 4, ema=weights_of(run, 99))
        model = open_trained(run.path, "latest").build()
        for name, tensor in weights_of(run, 99).items():
            assert torch.equal(model.chain.state_dict()[name], tensor)

    def test_the_best_is_that_with_the_best_score(self, run):
        for iteration, value in ((2, 0.5), (4, 0.9), (6, 0.7)):
            save(run, iteration)
            score(run, iteration, value)
        assert open_trained(run.path).iteration == 4
        assert open_trained(run.path, "latest").iteration == 6
        assert open_trained(run.path, 2).iteration == 2

    def test_without_a_score_it_is_the_latest_and_that_is_said(self, run):
        save(run, 2)
        save(run, 6)
        score(run, 6, nan)
        trained = open_trained(run.path)
        assert trained.iteration == 6
        (notice,) = trained.notices
        assert notice.endswith("has a score, so this is the latest, after 6 steps.")

    def test_a_pretrained_task_is_what_it_learned(self, run, make_run):
        save(run, 4)
        second = make_run("second", task=begin_with(run.path, run.config.task))
        save(second, 2)
        trained = open_trained(second.path, "latest")
        assert trained.task == run.config.task
        trained.build()


class TestRefused:
    def test_what_is_not_there(self, run, tmp_path):
        with pytest.raises(RunError, match=r"nothing at .*: choose a run folder"):
            open_trained(tmp_path / "gone")
        with pytest.raises(RunError, match="has no checkpoint yet: train it first"):
            open_trained(run.path)
        with pytest.raises(RunError, match="has no checkpoint yet: train it first"):
            describe_trained(run.path)
        save(run, 2)
        save(run, 4)
        with pytest.raises(RunError, match="of iteration 3: choose one of 2, 4, best or latest"):
            open_trained(run.path, 3)

    def test_a_damaged_checkpoint(self, run):
        save(run, 2)
        run.latest_checkpoint().write_bytes(b"nothing")
        with pytest.raises(RunError, match="no whole checkpoint of PyTorch"):
            open_trained(run.path)

    def test_weights_of_another_network(self, run):
        run.save_checkpoint({"model": {"0.other": torch.ones(2)}}, 2)
        with pytest.raises(ConfigError, match="weights of another network"):
            open_trained(run.path).build()


class TestVoxelSize:
    def test_is_stored_with_the_run(self, run):
        data = yaml.safe_load((run.path / "run.yaml").read_text())["data"]
        assert (data["voxel_size"], data["unit"]) == ([8.0, 8.0, 8.0], "nm")

    def test_without_a_physical_unit(self, make_run, volume, small_task):
        raw, labels = (
            NumpyArray(values, axes="zyx", voxel_size=(1, 1, 1), unit=VOXEL)
            for values in (volume.raw, volume.labels)
        )
        run = make_run(
            raw=raw,
            ground_truth=type(volume.ground_truth())(labels, volume.ground_truth().config),
            task=small_task.model_copy(update={"scale_factor": 5.0}),
        )
        save(run, 2)
        trained = open_trained(run.path)
        assert (trained.voxel_size, trained.unit) == ((1.0, 1.0, 1.0), "voxels")

    def without(self, run):
        """Make it a run of before voxel sizes were stored."""
        path = run.path / "run.yaml"
        values = yaml.safe_load(path.read_text())
        del values["data"]["voxel_size"], values["data"]["unit"]
        path.write_text(yaml.safe_dump(values))

    def test_of_an_earlier_run_is_that_of_its_labels(self, run):
        save(run, 2)
        score(run, 2, 0.5)
        self.without(run)
        trained = open_trained(run.path)
        assert (trained.voxel_size, trained.unit, trained.notices) == ((8.0, 8.0, 8.0), "nm", ())

    def test_is_not_known_where_these_are_gone(self, run):
        save(run, 2)
        score(run, 2, 0.5)
        self.without(run)
        (run.path / run.config.data.crops[0].gt).rename(run.path / "elsewhere")
        trained = open_trained(run.path)
        assert trained.voxel_size == ()
        (notice,) = trained.notices
        assert "any is accepted" in notice


class TestSummary:
    def test_says_what_it_is_without_reading_weights(self, run, monkeypatch):
        for iteration, value in ((2, 0.5), (4, 0.9), (6, 0.7)):
            save(run, iteration)
            score(run, iteration, value)
        monkeypatch.setattr(RunFolder, "load_checkpoint", None)
        summary = describe_trained(run.path)
        assert summary.iteration == 4
        assert summary.iterations == (2, 4, 6)
        assert summary.criterion.name == "dice"
        assert summary.score == 0.9
        assert summary.voxel_size == (8.0, 8.0, 8.0)
        assert summary.task == run.config.task

    def test_without_a_score_says_so(self, run):
        save(run, 2)
        summary = describe_trained(run.path)
        assert (summary.criterion, summary.score) == (None, None)
        assert len(summary.notices) == 1


def test_weights_of_one_that_is_exported_are_those_of_the_run(run, tmp_path):
    """As far as files are concerned, a network is the same wherever it comes from."""
    save(run, 2)
    trained = open_trained(run.path)
    result_of(export_dacapo(trained, tmp_path / "dacapo"))
    again = open_trained(tmp_path / "dacapo")
    assert (again.voxel_size, again.unit) == (trained.voxel_size, trained.unit)
    assert again.intensity_range == trained.intensity_range
    for name, tensor in trained.weights.items():
        np.testing.assert_array_equal(again.weights[name], tensor)
    summary = describe_trained(tmp_path / "dacapo")
    assert (summary.task, summary.iteration, summary.score) == (trained.task, 2, None)
