"""A run folder keeps what it was given, whatever happens while it is written."""

from __future__ import annotations

import errno
import json
import os
import shutil
import subprocess
import sys
from math import inf, isnan, nan
from pathlib import Path

import numpy as np
import pytest
import torch

from napari_dacapo_tasks.arrays import Array
from napari_dacapo_tasks.arrays.zarr_array import ZarrArray
from napari_dacapo_tasks.errors import RunError
from napari_dacapo_tasks.runs import run_folder, snapshots
from napari_dacapo_tasks.runs.run_folder import RunFolder, Score, Statistic


@pytest.fixture
def run(make_run) -> RunFolder:
    return make_run()


def state(value: float = 0.0) -> dict:
    return {"model": {"weight": torch.full((3,), value)}, "counts": [[(1, 2), (3, 2**70)]]}


def statistic(iteration: int) -> Statistic:
    return Statistic(iteration, 0.5, 0.1)


def score(iteration: int, value: float, others: dict | None = None) -> Score:
    found = {"crop": {"balls": {"dice": value, **(others or {})}}}
    return Score(iteration, "dice", value, 0.25, found, "Threshold", 1.5)


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def full_disk(*args, **kwargs):
    raise OSError(errno.ENOSPC, "No space left on device")


def test_a_folder_without_a_config_is_no_run(tmp_path):
    with pytest.raises(RunError, match="is no run folder"):
        RunFolder.open(tmp_path)
    with pytest.raises(RunError, match="is no run folder"):
        RunFolder.open(tmp_path / "gone")


class TestCheckpoints:
    def test_come_back_as_they_were(self, run):
        assert run.latest_checkpoint() is None
        path = run.save_checkpoint(state(2.5), 4)
        assert path == run.latest_checkpoint()
        back = RunFolder.open(run.path).load_checkpoint()
        assert torch.equal(back["model"]["weight"], torch.full((3,), 2.5))
        assert back["counts"] == [[(1, 2), (3, 2**70)]]

    def test_the_last_two_are_kept(self, run):
        for iteration in (5, 50, 1_000_000, 2_000_000):
            run.save_checkpoint(state(), iteration)
        assert names(run.path / "checkpoints") == ["1000000.pt", "2000000.pt"]
        assert run.latest_checkpoint().name == "2000000.pt"

    def test_none_yet_is_said(self, run):
        with pytest.raises(RunError, match="has no checkpoint yet"):
            run.load_checkpoint()

    @pytest.mark.parametrize("broken", ["fsync", "replace"])
    def test_a_full_disk_keeps_the_last_one(self, run, monkeypatch, broken):
        run.save_checkpoint(state(1), 1)
        with monkeypatch.context() as patched:
            patched.setattr(os, broken, full_disk)
            with pytest.raises(RunError, match="cannot be written: No space left on device"):
                run.save_checkpoint(state(2), 2)
        assert names(run.path / "checkpoints") == ["000001.pt"]
        assert run.load_checkpoint()["model"]["weight"][0] == 1

    def test_a_disk_that_really_is_full_keeps_the_last_one(self, run, tmp_path):
        disk = tmp_path / "disk"
        disk.mkdir()
        mounted = subprocess.run(
            ["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", disk], capture_output=True
        )
        if mounted.returncode:
            pytest.skip("only root can mount a small disk")
        try:
            (run.path / "checkpoints").symlink_to(disk)
            run.save_checkpoint(state(1), 1)
            with pytest.raises(RunError, match="cannot be written: No space left on device"):
                run.save_checkpoint({"model": {"weight": torch.zeros(100_000)}}, 2)
            assert names(disk) == ["000001.pt"]
            assert run.load_checkpoint()["model"]["weight"][0] == 1
        finally:
            subprocess.run(["umount", disk], check=True)

    def test_a_failure_of_torch_itself_keeps_its_own_error(self, run):
        with pytest.raises((AttributeError, TypeError, RuntimeError), match=r"pickle|lambda|local"):
            run.save_checkpoint({"model": lambda: None}, 1)
        assert names(run.path / "checkpoints") == []

    def test_a_damaged_one_names_the_one_before(self, run):
        run.save_checkpoint(state(), 1)
        path = run.save_checkpoint(state(), 2)
        path.write_bytes(path.read_bytes()[:100])
        with pytest.raises(RunError, match=r"delete 000002\.pt to go on from 000001\.pt\.$"):
            run.load_checkpoint()
        (run.path / "checkpoints/000001.pt").write_bytes(b"")
        with pytest.raises(RunError, match=r"delete 000001\.pt to start anew\.$"):
            run.load_checkpoint(run.path / "checkpoints/000001.pt")

    def test_code_in_one_is_not_run(self, run, tmp_path):
        class Evil:
            def __reduce__(self):
                return (Path.touch, (tmp_path / "touched",))

        path = run.save_checkpoint(state(), 1)
        torch.save({"model": Evil()}, path)
        with pytest.raises(RunError, match="could run code"):
            run.load_checkpoint()
        assert not (tmp_path / "touched").exists()


class TestConfig:
    def test_the_trainer_may_change_at_any_time(self, run):
        run.save_checkpoint(state(), 1)
        trainer = run.config.trainer.model_copy(update={"iterations": 99})
        run.save_config(run.config.model_copy(update={"trainer": trainer}))
        assert RunFolder.open(run.path).config == run.config
        assert run.config.trainer.iterations == 99

    @pytest.mark.parametrize("section", ["task", "architecture"])
    def test_task_and_architecture_may_not_once_trained(self, run, section):
        part = getattr(run.config, section).model_copy(update={"name": "other"})
        changed = run.config.model_copy(update={section: part})
        run.save_config(changed)
        assert RunFolder.open(run.path).config == changed
        run.save_checkpoint(state(), 1)
        part = part.model_copy(update={"name": "third"})
        with pytest.raises(RunError, match=rf"up to 000001\.pt, so its {section} cannot change"):
            run.save_config(run.config.model_copy(update={section: part}))
        assert RunFolder.open(run.path).config == changed

    def test_a_full_disk_keeps_the_old_one(self, run, monkeypatch):
        before = run.config
        trainer = before.trainer.model_copy(update={"iterations": 99})
        with monkeypatch.context() as patched:
            patched.setattr(os, "replace", full_disk)
            with pytest.raises(RunError, match=r"run\.yaml cannot be written: No space left"):
                run.save_config(before.model_copy(update={"trainer": trainer}))
        assert run.config == RunFolder.open(run.path).config == before


class TestStatistics:
    def test_come_back_as_they_were(self, run):
        assert run.statistics() == []
        assert run.last_statistic() is None
        lines = [Statistic(1, 0.5, 0.1), Statistic(2, 0.25, 0.125, 0.5, 1e-4)]
        for one in lines:
            run.append_statistics(one)
        assert run.statistics() == lines
        assert run.last_statistic() == lines[1]
        written = (run.path / "stats.jsonl").read_text().splitlines()
        assert json.loads(written[1]) == {
            "iteration": 2,
            "loss": 0.25,
            "seconds": 0.125,
            "waited": 0.5,
            "learning_rate": 1e-4,
        }

    def test_lines_of_before_have_no_rate(self, run):
        line = '{"iteration": 1, "loss": 0.5, "seconds": 2}'
        (run.path / "stats.jsonl").write_text(f"{line}\n")
        assert run.statistics() == [Statistic(1, 0.5, 2.0, 0.0, 0.0)]

    def test_what_is_no_number_is_strict_json_and_comes_back(self, run):
        run.append_statistics(Statistic(1, nan, 0.1, inf))
        (line,) = (run.path / "stats.jsonl").read_text().splitlines()
        json.loads(line, parse_constant=pytest.fail)
        (back,) = run.statistics()
        assert isnan(back.loss)
        assert back.waited == inf

    def test_what_came_after_an_iteration_is_dropped(self, run):
        for iteration in range(1, 6):
            run.append_statistics(statistic(iteration))
        run.truncate(3)
        assert [one.iteration for one in run.statistics()] == [1, 2, 3]
        run.truncate(0)
        assert run.statistics() == []

    def test_a_line_that_was_cut_short_is_left_out_and_dropped(self, run):
        run.append_statistics(statistic(1))
        with open(run.path / "stats.jsonl", "a") as file:
            file.write('{"iteration": 2, "lo')
        assert [one.iteration for one in run.statistics()] == [1]
        assert run.last_statistic() == statistic(1)
        run.truncate(1)
        run.append_statistics(statistic(2))
        assert [one.iteration for one in run.statistics()] == [1, 2]

    def test_the_last_of_very_many_is_found_from_the_end(self, run):
        with open(run.path / "stats.jsonl", "w") as file:
            for iteration in range(2000):
                file.write(json.dumps({"iteration": iteration, "loss": 0.5, "seconds": 1}) + "\n")
        assert run.last_statistic().iteration == 1999
        with open(run.path / "stats.jsonl", "a") as file:
            file.write("x" * 20_000)
        assert run.last_statistic().iteration == 1999

    def test_nonsense_is_named(self, run):
        (run.path / "stats.jsonl").write_text("nonsense\n{}\n")
        with pytest.raises(RunError, match=r"Line 1 of .*stats\.jsonl"):
            run.statistics()
        assert run.last_statistic() is None

    def test_a_file_that_cannot_be_written_is_one_sentence(self, run):
        (run.path / "stats.jsonl").mkdir()
        with pytest.raises(RunError, match=r"stats\.jsonl cannot be written"):
            run.append_statistics(statistic(1))


class TestScores:
    def test_come_back_as_they_were(self, run):
        assert run.scores() == []
        scores = [score(10, 0.5), score(20, 0.75)]
        for one in scores:
            run.append_score(one)
        assert run.scores() == scores

    def test_what_is_no_number_is_strict_json_and_comes_back(self, run):
        run.append_score(score(10, nan, {"hausdorff": inf, "lowest": -inf, "recall": nan}))
        (line,) = (run.path / "scores.jsonl").read_text().splitlines()
        json.loads(line, parse_constant=pytest.fail)
        (back,) = run.scores()
        found = back.scores["crop"]["balls"]
        assert isnan(back.value)
        assert isnan(found["recall"])
        assert (found["hausdorff"], found["lowest"]) == (inf, -inf)

    def test_are_cut_off_with_the_statistics(self, run):
        for iteration in (10, 20, 30):
            run.append_score(score(iteration, 0.5))
        run.truncate(20)
        assert [one.iteration for one in run.scores()] == [10, 20]

    def test_a_line_that_was_cut_short_is_left_out(self, run):
        run.append_score(score(10, 0.5))
        with open(run.path / "scores.jsonl", "a") as file:
            file.write('{"iteration": 20, "crit')
        assert [one.iteration for one in run.scores()] == [10]
        run.truncate(10)
        run.append_score(score(20, 0.5))
        assert [one.iteration for one in run.scores()] == [10, 20]


class TestBest:
    def test_best_checkpoints_stay_beside_the_last(self, run):
        for iteration, value in ((1, 0.2), (2, 0.9), (3, nan), (4, 0.5), (5, 0.9), (6, 0.1)):
            run.append_score(score(iteration, value))
            run.save_checkpoint(state(), iteration, kept=2, best=run.best_iterations(1))
        assert names(run.path / "checkpoints") == ["000002.pt", "000005.pt", "000006.pt"]
        assert run.best_iterations() == [2, 5, 4, 1, 6]  # of equal ones the first
        assert run.best_checkpoint().name == "000002.pt"
        run.best_checkpoint().unlink()
        assert run.best_checkpoint().name == "000005.pt"

    def test_the_direction_is_that_of_the_score(self, run):
        validation = {"criterion": "hausdorff"}
        trainer = run.config.trainer.model_copy(
            update={"validation": run.config.trainer.validation.model_copy(update=validation)}
        )
        run.save_config(run.config.model_copy(update={"trainer": trainer}))
        # Scored by another one before: the values are looked up.
        run.append_score(score(1, 0.9, {"hausdorff": 80.0}))
        run.append_score(score(2, 0.1, {"hausdorff": 24.0}))
        run.append_score(score(3, 0.1, {"hausdorff": inf}))
        assert run.best_iterations() == [2, 1, 3]

    def test_there_is_none_without_scores(self, run):
        run.save_checkpoint(state(), 1)
        assert run.best_checkpoint() is None
        run.append_score(score(1, nan))
        assert run.best_checkpoint() is None

    def test_the_last_one_stays_whatever_is_kept(self, run):
        run.save_checkpoint(state(), 9)
        path = run.save_checkpoint(state(), 3, kept=1)  # gone back to
        assert path.exists()


def test_snapshots_are_images_and_replace_earlier_ones(run):
    for value in (1, 2):
        image = Array(np.full((1, 4, 4), value), axes="cyx", voxel_size=(8, 8), offset=(16, 8))
        path = run.save_snapshot(100, {"raw": image})
    assert path == run.path / "snapshots/000100.ome.zarr"
    back = ZarrArray.open(path / "raw")
    assert back.roi == image.roi
    assert (back[back.roi] == 2).all()
    assert names(run.path / "snapshots") == ["000100.ome.zarr"]


class TestSnapshots:
    IMAGE = Array(np.zeros((1, 4, 4)), axes="cyx", voxel_size=(8, 8))

    def test_a_long_series_is_thinned_out(self, run):
        for iteration in range(0, 1000, 10):
            run.save_snapshot(iteration, {"raw": self.IMAGE})
        kept = [int(path.name.split(".")[0]) for path in run.snapshots()]
        assert len(kept) == 20
        assert kept[-5:] == [950, 960, 970, 980, 990]
        assert kept[0] == 0
        steps = np.diff(kept[:-5])
        assert steps.max() <= 4 * steps.min()
        assert steps.max() <= 4 * 950 / 15

    def test_none_comes_back_from_a_run_that_is_gone(self, run):
        shutil.rmtree(run.path)
        with pytest.raises(RunError, match="is gone"):
            run.save_snapshot(1, {"raw": self.IMAGE})
        assert not run.path.exists()

    def test_nor_from_one_that_goes_meanwhile(self, run, monkeypatch):
        def fill(*args):
            shutil.rmtree(run.path)
            yield 0.5

        monkeypatch.setattr(snapshots, "fill_group", fill)
        with pytest.raises(RunError, match="is gone"):
            run.save_snapshot(1, {"raw": self.IMAGE})
        assert not run.path.exists()


def test_the_log_has_lines_with_the_time(run):
    run.log("one")
    run.log("two")
    lines = (run.path / "log.txt").read_text().splitlines()
    assert [line.split(" ", 1)[1] for line in lines] == ["one", "two"]
    assert all(line[:2] == "20" for line in lines)


def test_the_log_is_read_from_where_it_was_left(run):
    assert run.log_lines() == ([], 0)
    run.log("one")
    (line,), place = run.log_lines()
    assert line.endswith(" one")
    assert run.log_lines(place) == ([], place)
    with open(run.path / "log.txt", "a") as file:
        file.write("half")
    assert run.log_lines(place) == ([], place)
    with open(run.path / "log.txt", "a") as file:
        file.write(" is whole\n")
    assert run.log_lines(place)[0] == ["half is whole"]
    (run.path / "log.txt").write_text("anew\n")
    assert run.log_lines(place)[0] == ["anew"]


class TestGone:
    """A run that was deleted while it is trained gets one sentence, and is not made anew."""

    WAYS = {
        "statistics": lambda run: run.append_statistics(statistic(1)),
        "score": lambda run: run.append_score(score(1, 0.5)),
        "log": lambda run: run.log("text"),
        "checkpoint": lambda run: run.save_checkpoint(state(), 1),
        "config": lambda run: run.save_config(run.config),
        "truncate": lambda run: run.truncate(0),
        "request": lambda run: run.request("stop"),
        "training": lambda run: run.training().__enter__(),
    }

    @pytest.mark.parametrize("way", WAYS)
    @pytest.mark.parametrize("half", [False, True], ids=["deleted", "half deleted"])
    def test_nothing_comes_back(self, run, way, half):
        shutil.rmtree(run.path)
        if half:
            run.path.mkdir()
        with pytest.raises(RunError, match=r"^The run .* is gone: .* open it where it is now\.$"):
            self.WAYS[way](run)
        assert not run.path.exists() or names(run.path) == []

    def test_looking_at_it_finds_nothing(self, run):
        shutil.rmtree(run.path)
        assert not run.is_training()
        assert run.requested() == set()
        assert run.statistics() == run.scores() == run.checkpoints() == run.snapshots() == []

    def test_a_moved_one_is_gone_from_its_old_place(self, run, tmp_path):
        with run.training():
            run.path.rename(tmp_path / "moved")
            with pytest.raises(RunError, match="is gone"):
                run.append_statistics(statistic(1))


class TestRequests:
    def test_are_taken_once(self, run):
        assert run.requested() == set()
        run.request("stop")
        RunFolder.open(run.path).request("snapshot")
        run.request("stop")
        assert run.requested() == {"stop", "snapshot"}
        assert run.requested() == set()

    def test_those_for_somebody_else_are_forgotten(self, run):
        run.request("stop")
        with run.training():
            assert run.requested() == set()
            run.request("validate")
            assert run.requested() == {"validate"}

    def test_what_else_lies_there_is_left_alone(self, run):
        run.request("stop")
        (run.path / "requests/notes.txt").write_text("mine")
        assert run.requested() == {"stop"}
        assert names(run.path / "requests") == ["notes.txt"]

    def test_what_cannot_be_taken_away_does_not_count(self, run, monkeypatch):
        def fail(path, missing_ok=False):
            raise PermissionError(13, "Permission denied")

        run.request("snapshot")
        with monkeypatch.context() as patched:
            patched.setattr(Path, "unlink", fail)
            assert run.requested() == set()
        assert run.requested() == {"snapshot"}

    def test_another_program_asks(self, run):
        code = (
            "from napari_dacapo_tasks.runs.run_folder import RunFolder\n"
            f"RunFolder.open({str(run.path)!r}).request('stop')\n"
        )
        with run.training():
            subprocess.run([sys.executable, "-c", code], check=True)
            assert run.requested() == {"stop"}


class TestTraining:
    def test_only_one_at_a_time(self, run):
        with (
            run.training(),
            pytest.raises(RunError, match="is being trained already"),
            RunFolder.open(run.path).training(),
        ):
            pass
        with run.training():
            pass  # free again

    def test_another_program_counts_until_it_is_killed(self, run):
        code = (
            "import sys, time\n"
            "from napari_dacapo_tasks.runs.run_folder import RunFolder\n"
            f"with RunFolder.open({str(run.path)!r}).training():\n"
            "    print('holds', flush=True)\n"
            "    time.sleep(60)\n"
        )
        other = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)
        try:
            assert other.stdout.readline() == "holds\n"
            assert run.is_training()
            with pytest.raises(RunError, match="is being trained already"), run.training():
                pass
        finally:
            other.kill()
            other.communicate()
        assert not run.is_training()
        with run.training():
            pass

    def test_what_a_killed_program_left_is_cleared(self, run):
        (run.path / "snapshots").mkdir()
        (run.path / "checkpoints").mkdir()
        (run.path / "snapshots/.000100.ome.zarr.abc.partial").mkdir()
        (run.path / "checkpoints/.000100.pt.partial").write_bytes(b"half")
        with run.training():
            assert names(run.path / "snapshots") == names(run.path / "checkpoints") == []

    def test_looking_whether_it_is_trained(self, run):
        assert not run.is_training()
        assert not (run.path / ".lock").exists()
        with run.training():
            assert run.is_training()
            assert RunFolder.open(run.path).is_training()
        assert not run.is_training()

    @pytest.mark.skipif(sys.platform == "win32", reason="locks are not shared there")
    def test_whoever_looks_at_the_wrong_moment_is_waited_for(self, run, monkeypatch):
        import fcntl

        with run.training():
            pass
        handle = os.open(run.path / ".lock", os.O_RDONLY)
        fcntl.flock(handle, fcntl.LOCK_SH)
        assert not run.is_training()  # two can look at once
        waits = [lambda: os.close(handle), lambda: None]
        monkeypatch.setattr(run_folder, "sleep", lambda _: waits.pop()())
        with run.training():
            assert waits == []

    def test_errors_inside_are_not_taken_for_its_own(self, run):
        with pytest.raises(FileNotFoundError), run.training():
            raise FileNotFoundError("something else")
