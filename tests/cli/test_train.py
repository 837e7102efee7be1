"""The verb ``train``."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time

import pytest

from napari_dacapo_tasks.runs.create import Row
from napari_dacapo_tasks.runs.run_folder import RunFolder
from napari_dacapo_tasks.training.world import World


class TestTrain:
    def test_starts_and_goes_on(self, new, command, files):
        new("--set", "trainer.iterations=2")
        code, said, error = command("train", files["run"])
        assert code == 0
        assert said.startswith("Finished at iteration 2; the weights are in ")
        assert "weights on CPU" in error
        code, said, _ = command("train", files["run"], "--set", "trainer.iterations=4", "--json")
        assert code == 0
        result = json.loads(said)
        assert result == {
            "run": str(files["run"]),
            "finished": True,
            "iteration": 4,
            "loss": RunFolder.open(files["run"]).statistics()[-1].loss,
            "best": None,
            "checkpoint": str(files["run"] / "checkpoints/000004.pt"),
        }
        code, said, error = command("train", files["run"])
        assert code == 0
        assert "has done 4 of 4 iterations: raise their number" in error

    def test_validations_are_told_and_the_best_is_marked(self, command, make_run, volume):
        raw = volume.array(volume.raw)
        middle = volume.array(volume.labels[12:28, 12:28, 12:28], offset=(96, 96, 96))
        rows = [Row(raw, volume.array(volume.labels)), Row(raw, middle, use="validate")]
        validation = {"interval": 2, "criterion": "loss", "best_kept": 1}
        run = make_run(rows=rows, trainer={"iterations": 4, "validation": validation})
        code, said, error = command("train", run.path, "--json")
        assert code == 0, error
        scores = run.scores()
        told = [line for line in error.splitlines() if line.startswith("Iteration ")]
        assert [score.iteration for score in scores] == [2, 4]
        best = min(score.loss for score in scores)
        lowest = float("inf")
        for score, line in zip(scores, told, strict=True):
            mark = ", the best so far" if score.loss < lowest else ""
            lowest = min(lowest, score.loss)
            loss = f"{score.loss:.4g}"
            assert line == f"Iteration {score.iteration}: validation loss {loss}{mark}."
        found = json.loads(said)["best"]
        assert (found["criterion"], found["value"]) == ("loss", best)

    def test_tensorboard_goes_on_with_the_run(self, command, make_run):
        reader = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")
        run = make_run(trainer={"iterations": 2})
        assert command("train", run.path, "--tensorboard")[0] == 0
        more = ("--set", "trainer.iterations=4")
        assert command("train", run.path, "--tensorboard", *more)[0] == 0
        found = reader.EventAccumulator(str(run.path / "tensorboard"))
        found.Reload()
        losses = [(one.step, one.value) for one in found.Scalars("loss")]
        assert losses == [(one.iteration, pytest.approx(one.loss)) for one in run.statistics()]
        assert [one.step for one in found.Images("prediction/balls")] == [0, 2, 4]

    def test_without_tensorboard_nothing_begins(self, command, make_run, monkeypatch):
        monkeypatch.setitem(sys.modules, "torch.utils.tensorboard", None)
        run = make_run()
        code, said, error = command("train", run.path, "--tensorboard")
        assert (code, said) == (1, "")
        assert error.startswith("TensorBoard is not installed: pip install")
        assert run.statistics() == []

    def test_the_task_cannot_change_any_more(self, new, command, files):
        new("--set", "trainer.iterations=1")
        assert command("train", files["run"], "--set", "task.scale_factor=40")[0] == 0
        code, _, error = command("train", files["run"], "--set", "task.scale_factor=50")
        assert code == 1
        assert "its task cannot change any more" in error

    def test_no_run_is_refused(self, command, tmp_path):
        code, _, error = command("train", tmp_path)
        assert code == 1
        assert "is no run folder" in error

    def test_a_device_that_is_not_there_is_refused(self, new, command, files):
        new()
        code, _, error = command("train", files["run"], "--set", "trainer.device=cuda:77")
        assert code == 1
        assert "no device cuda:77" in error
        assert RunFolder.open(files["run"]).config.trainer.device == "cpu"  # as if never asked

    @pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such signals")
    @pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
    def test_a_signal_stops_with_a_checkpoint(self, new, files, number):
        new("--set", "trainer.iterations=100000", "--set", "trainer.checkpoint_interval=100000")
        run = RunFolder.open(files["run"])
        arguments = [sys.executable, "-m", "napari_dacapo_tasks", "train", str(files["run"])]
        process = subprocess.Popen(
            arguments, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
        try:
            while len(run.statistics()) < 3 and process.poll() is None:
                time.sleep(0.05)
            process.send_signal(number)
            said, error = process.communicate(timeout=300)
        finally:
            process.kill()
        assert process.returncode == 0, error
        done = run.load_checkpoint()["iteration"]
        assert done >= 3
        assert said.startswith(f"Stopped at iteration {done}; the same command goes on from ")
        assert len(run.statistics()) == done

    @pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such signals")
    def test_a_signal_in_its_last_moments_takes_no_sentence(self, command, tmp_path, monkeypatch):
        """Where one process ended, torchrun signals the others, which are about to say why."""
        monkeypatch.setattr(World, "close", lambda _: os.kill(os.getpid(), signal.SIGINT))
        code, _, error = command("train", tmp_path)
        assert code == 1
        assert "is no run folder" in error
