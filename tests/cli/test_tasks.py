"""Every kind of task through the verbs."""

from __future__ import annotations

import json

import pytest

from napari_dacapo_tasks.arrays.open import open_array
from napari_dacapo_tasks.runs.run_folder import RunFolder
from napari_dacapo_tasks.tasks import PretrainedTaskConfig
from napari_dacapo_tasks.tasks.files import save_task


class TestEveryKindOfTask:
    @staticmethod
    def channels(task):
        return ["--channel", "few=1,2", "--channel", "rest"] if task.name == "hot" else []

    def test_preview(self, command, files, task):
        save_task(task, files["task"])
        code, said, error = command(
            "preview", files["task"], files["gt"], files["out"], *self.channels(task), "--json"
        )
        assert code == 0, error
        result = json.loads(said)
        names = task.task_type(task).channels
        assert [one["channel"] for one in result["channels"]] == names
        target = open_array(files["out"] / "target")
        assert target.num_channels == open_array(files["out"] / "weight").num_channels == len(names)
        assert target[target.roi].max() <= 1

    def test_new_and_train(self, new, command, files, task):
        save_task(task, files["task"])
        given = [*self.channels(task), "--set", "trainer.iterations=2"]
        code, _, error = new(*given)
        assert code == 0, error
        assert RunFolder.open(files["run"]).config.task == task
        code, said, error = command("train", files["run"], "--json")
        assert code == 0, error
        assert json.loads(said)["finished"] is True

    def test_a_run_begins_with_the_weights_of_another(self, new, command, files, kinds, tmp_path):
        save_task(kinds["inner"], files["task"])
        new("--set", "trainer.iterations=1")
        assert command("train", files["run"])[0] == 0
        weights = files["run"] / "checkpoints/000001.pt"
        pretrained = PretrainedTaskConfig(
            name="p", sub_task_config=kinds["classes"], weights=weights
        )
        save_task(pretrained, files["task"])
        files["run"] = tmp_path / "second"
        code, _, error = new()
        assert code == 1
        assert "1.weight is (1, " in error
        assert not files["run"].exists()
        code, _, error = new("--set", "task.new_head=true", "--set", "trainer.iterations=2")
        assert code == 0, error
        code, said, error = command("train", files["run"])
        assert code == 0, error
        assert said.startswith("Finished at iteration 2")
        assert "The head of the network starts anew (1.weight, 1.bias)" in error

    @pytest.mark.parametrize("wrapped", [False, True])
    def test_ids_of_channels_are_for_tasks_that_choose_them(self, command, files, kinds, wrapped):
        task = kinds["classes"]
        if wrapped:
            task = PretrainedTaskConfig(name="classes", sub_task_config=task, weights="w.pt")
        save_task(task, files["task"])
        code, _, error = command(
            "preview", files["task"], files["gt"], files["out"], "--channel", "few=1"
        )
        assert code == 1
        assert error == "The task classes learns all labels at once: leave --channel few=1 out.\n"

    @pytest.mark.parametrize(
        ("change", "sentence"),
        [
            ("task.neighborhood=[[1,0],[0,1]]", "offsets of 2 axes"),
            ("task.neighborhood=[[0,0,40]]", "reaches beyond labels"),
            ("task.neighborhood=[]", "neighborhood: there is no offset"),
            ("task.neighborhood=[[1,0,0]", "task.neighborhood is no list that can be read"),
            ("task.neighbourhood=[[1,0,0]]", "did you mean task.neighborhood?"),
            (
                "task.neighborhood=[!!python/object/apply:os.abort []]",
                "is no list that can be read",
            ),
        ],
    )
    def test_offsets_that_are_refused_leave_nothing(self, new, files, kinds, change, sentence):
        save_task(kinds["offsets"], files["task"])
        code, said, error = new("--set", change)
        assert (code, said) == (1, "")
        assert sentence in error
        assert error.count("\n") == 1
        assert not files["run"].exists()

    def test_parameters_of_a_task_can_be_set(self, new, files, kinds):
        save_task(kinds["offsets"], files["task"])
        changes = ["task.neighborhood=[[1,0,0],[0,1,0]]", "task.background_as_object=true"]
        code, _, error = new(*(part for change in changes for part in ("--set", change)))
        assert code == 0, error
        task = RunFolder.open(files["run"]).config.task
        assert task.neighborhood == [(1, 0, 0), (0, 1, 0)]
        assert task.background_as_object

    def test_channels_that_are_set_are_those_of_the_ground_truth(self, new, files, small_task):
        save_task(small_task, files["task"])
        code, _, error = new(
            "--set", "task.channels=[few, rest]", "--channel", "few=1,2", "--channel", "rest"
        )
        assert code == 0, error
        config = RunFolder.open(files["run"]).config
        assert config.task.channels == config.data.labels.channel_names == ["few", "rest"]
