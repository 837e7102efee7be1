"""A run folder keeps what it was given, whatever happens while it is written."""

from __future__ import annotations

import errno
import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from napari_dacapo_tasks.arrays import Array
from napari_dacapo_tasks.arrays.zarr_array import ZarrArray
from napari_dacapo_tasks.errors import RunError
from napari_dacapo_tasks.runs.run_folder import RunFolder, Statistic


@pytest.fixture
def run(make_run) -> RunFolder:
    return make_run()


def state(value: float = 0.0) -> dict:
    return {"model": {"weight": torch.full((3,), value)}, "counts": [[(1, 2), (3, 2**70)]]}


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
        run.append_statistics(1, 0.5, 0.1)
        run.append_statistics(2, 0.25, 0.125)
        assert run.statistics() == [Statistic(1, 0.5, 0.1), Statistic(2, 0.25, 0.125)]
        lines = (run.path / "stats.jsonl").read_text().splitlines()
        assert json.loads(lines[1]) == {"iteration": 2, "loss": 0.25, "seconds": 0.125}

    def test_what_came_after_an_iteration_is_dropped(self, run):
        for iteration in range(1, 6):
            run.append_statistics(iteration, 0.5, 0.1)
        run.truncate_statistics(3)
        assert [one.iteration for one in run.statistics()] == [1, 2, 3]
        run.truncate_statistics(0)
        assert run.statistics() == []

    def test_a_line_that_was_cut_short_is_left_out_and_dropped(self, run):
        run.append_statistics(1, 0.5, 0.1)
        with open(run.path / "stats.jsonl", "a") as file:
            file.write('{"iteration": 2, "lo')
        assert [one.iteration for one in run.statistics()] == [1]
        run.truncate_statistics(1)
        run.append_statistics(2, 0.5, 0.1)
        assert [one.iteration for one in run.statistics()] == [1, 2]

    def test_nonsense_is_named(self, run):
        (run.path / "stats.jsonl").write_text("nonsense\n{}\n")
        with pytest.raises(RunError, match=r"Line 1 of .*stats\.jsonl"):
            run.statistics()

    def test_a_file_that_cannot_be_written_is_one_sentence(self, run):
        (run.path / "stats.jsonl").mkdir()
        with pytest.raises(RunError, match=r"stats\.jsonl cannot be written"):
            run.append_statistics(1, 0.5, 0.1)


def test_snapshots_are_images_and_replace_earlier_ones(run):
    for value in (1, 2):
        image = Array(np.full((1, 4, 4), value), axes="cyx", voxel_size=(8, 8), offset=(16, 8))
        path = run.save_snapshot(100, {"raw": image})
    assert path == run.path / "snapshots/000100.ome.zarr"
    back = ZarrArray.open(path / "raw")
    assert back.roi == image.roi
    assert (back[back.roi] == 2).all()
    assert names(run.path / "snapshots") == ["000100.ome.zarr"]


def test_the_log_has_lines_with_the_time(run):
    run.log("one")
    run.log("two")
    lines = (run.path / "log.txt").read_text().splitlines()
    assert [line.split(" ", 1)[1] for line in lines] == ["one", "two"]
    assert all(line[:2] == "20" for line in lines)


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
            with pytest.raises(RunError, match="is being trained already"), run.training():
                pass
        finally:
            other.kill()
            other.communicate()
        with run.training():
            pass

    def test_what_a_killed_program_left_is_cleared(self, run):
        (run.path / "snapshots").mkdir()
        (run.path / "checkpoints").mkdir()
        (run.path / "snapshots/.000100.ome.zarr.abc.partial").mkdir()
        (run.path / "checkpoints/.000100.pt.partial").write_bytes(b"half")
        with run.training():
            assert names(run.path / "snapshots") == names(run.path / "checkpoints") == []

    def test_errors_inside_are_not_taken_for_its_own(self, run):
        with pytest.raises(FileNotFoundError), run.training():
            raise FileNotFoundError("something else")
