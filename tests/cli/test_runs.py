"""The verbs ``runs`` and ``stop``."""

from __future__ import annotations

import json

from napari_dacapo_tasks.runs.run_folder import RunFolder
from napari_dacapo_tasks.training.loop import train


class TestRuns:
    def test_lists_runs_in_folders(self, command, make_run, tmp_path, monkeypatch):
        make_run("new", trainer={"iterations": 3})
        done = make_run("done", trainer={"iterations": 1})
        for _ in train(done):
            pass
        monkeypatch.chdir(tmp_path)
        code, said, error = command("runs")
        assert (code, error) == (0, "")
        title, *rows = said.splitlines()
        assert title.split() == ["run", "state", "task", "iteration", "loss", "best", "score"]
        first, second = sorted(row.split() for row in rows)
        loss = f"{done.statistics()[-1].loss:.4g}"
        assert (first[:2], first[-2:]) == (["done", "finished"], ["1/1", loss])
        assert (second[:2], second[-1]) == (["new", "new"], "0/3")
        columns = {row.index(done.config.task.title) for row in rows}
        assert columns == {title.index("task")}

    def test_as_json(self, command, make_run, tmp_path):
        run = make_run("one")
        code, said, _ = command("runs", run.path, tmp_path, "--json")
        assert code == 0
        (found,) = json.loads(said)["runs"]
        assert found["path"] == str(run.path)
        assert (found["state"], found["iteration"], found["loss"]) == ("new", 0, None)
        assert found["modified"].startswith("20")

    def test_a_folder_that_is_not_there_is_refused(self, command, tmp_path):
        code, said, error = command("runs", tmp_path / "gone")
        assert (code, said) == (1, "")
        assert error.startswith(f"There is nothing at {tmp_path / 'gone'}: ")

    def test_a_broken_run_says_why(self, command, make_run, tmp_path):
        run = make_run("one")
        (run.path / "run.yaml").write_text("task: 3")
        code, said, _ = command("runs", tmp_path)
        assert code == 0
        assert "broken" in said
        assert said.splitlines()[-1].startswith(f"{run.path}: ")

    def test_no_run_is_told(self, command, tmp_path):
        code, said, _ = command("runs", tmp_path)
        assert code == 0
        assert said == "There is no run here: napari-dacapo-tasks new makes one.\n"


class TestStop:
    def test_whoever_trains_it_stops(self, command, make_run):
        run = make_run(trainer={"iterations": 1000})
        training = train(run)
        events = iter(training)
        assert type(next(events)).__name__ == "Started"
        code, said, _ = command("stop", run.path)
        assert code == 0
        assert said == f"{run.path} is asked to stop; it saves after its present step.\n"
        *_, last = events
        assert type(last).__name__ == "Stopped"
        assert RunFolder.open(run.path).latest_checkpoint() is None or last.iteration <= 1

    def test_nobody_trains_it(self, command, make_run):
        run = make_run(trainer={"iterations": 2})
        code, said, _ = command("stop", run.path, "--json")
        assert code == 0
        assert json.loads(said) == {"run": str(run.path), "training": False}
        assert command("stop", run.path)[1].startswith(f"Nobody is seen to train {run.path}")
        *_, last = train(run)  # what was asked before was for somebody else
        assert (type(last).__name__, last.iteration) == ("Finished", 2)

    def test_no_run_is_refused(self, command, tmp_path):
        code, _, error = command("stop", tmp_path)
        assert code == 1
        assert "is no run folder" in error
