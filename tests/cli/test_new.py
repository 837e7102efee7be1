"""The verb ``new``."""

from __future__ import annotations

import json
import shlex

import pytest

from napari_dacapo_tasks.runs.augmentation import AugmentationConfig
from napari_dacapo_tasks.runs.run_folder import RunFolder
from napari_dacapo_tasks.tasks import PretrainedTaskConfig


class TestNew:
    def test_makes_a_run_with_the_raw_data_where_it_is(self, new, files):
        code, said, _ = new("--set", "trainer.iterations=7")
        assert code == 0
        assert "with an input of [24, 24, 24] voxels" in said
        config = RunFolder.open(files["run"]).config
        assert config.trainer.iterations == 7
        assert config.architecture.num_fmaps == 4
        assert config.data.crops[0].raw == str(files["raw"])

    def test_proposes_a_network(self, command, files):
        options = ["--task", files["task"], "--raw", files["raw"], "--gt", files["gt"], "--json"]
        code, said, _ = command("new", files["run"], *options, "--mask", files["mask"])
        assert code == 0
        result = json.loads(said)
        assert result["task"] == "balls"
        assert result["run"] == str(files["run"])
        assert all(0 < size <= 40 for size in result["input_shape"])

    @pytest.mark.parametrize(
        ("change", "sentence"),
        [
            ("trainer.iteration=7", "did you mean trainer.iterations?"),
            ("trainer.iterations=0", "iterations: Input should be greater than or equal to 1"),
            (
                "architecture.input_shape=[48,48,48]",
                "input_shape that fits is (40, 40, 40)",
            ),
            ("task.scale_factor=2", "less than a voxel"),
        ],
    )
    def test_what_is_refused_leaves_nothing(self, new, files, change, sentence):
        code, said, error = new("--set", change)
        assert (code, said) == (1, "")
        assert sentence in error
        assert not files["run"].exists()

    def test_a_missing_file_is_refused(self, command, files):
        options = ["--task", files["task"], "--raw", "gone.zarr", "--gt", files["gt"]]
        code, _, error = command("new", files["run"], *options)
        assert code == 1
        assert error == "There is nothing at gone.zarr: check the path.\n"


class TestCrops:
    def test_many_crops_inside_of_one_raw(self, command, files, small_options):
        options = ["--task", files["task"], "--raw", files["raw"]]
        options += ["--gt", files["gt"], "--validate-on", "30:,:,:", "--mask", files["mask"]]
        options += ["--gt", files["gt"], "--validate-on", "all", "--mask", files["mask"]]
        options += ["--gt", files["gt"], "--validate-on", "none", "--mask", files["mask"]]
        code, said, _ = command("new", files["run"], *options, *small_options)
        assert code == 0
        assert "of 3 crops" in said
        crops = RunFolder.open(files["run"]).config.data.crops
        assert [(one.use, one.validation_block) for one in crops] == [
            ("train", "30:,:,:"),
            ("validate", None),
            ("train", None),
        ]
        assert {one.raw for one in crops} == {str(files["raw"])}
        assert {one.mask for one in crops} == {"data/0/mask.ome.zarr"}

    def test_a_table(self, command, files, small_options):
        table = files["run"].with_name("split.csv")
        raw, gt = files["raw"], files["gt"]
        table.write_text(f"train,{raw},,{raw},labels/balls\nval,{raw},,{gt},\n")
        options = ["--task", files["task"], "--csv", table, "--json"]
        code, said, _ = command("new", files["run"], *options, *small_options)
        assert code == 0
        assert json.loads(said)["crops"] == 2
        uses = [one.use for one in RunFolder.open(files["run"]).config.data.crops]
        assert uses == ["train", "validate"]

    def test_a_block_that_is_none_is_refused(self, new, files):
        code, _, error = new("--validate-on", "30-40")
        assert code == 1
        assert "'30-40' is no block: write a range of voxels for each axis" in error
        assert not files["run"].exists()

    @pytest.mark.parametrize(
        ("options", "sentence"),
        [
            ([], "give --raw and --gt, or --csv"),
            (["--raw", "a"], "--raw stands 1 times and --gt 0 times"),
            (["--gt", "a"], "--raw stands 0 times and --gt 1 times: give it once for all, or"),
            (["--raw", "a", "--gt", "b", "--gt", "c", "--mask", "d"], "--mask stands 1 times"),
            (["--raw", "a", "--gt", "b", "--new-head"], "--new-head needs --from"),
        ],
    )
    def test_options_that_do_not_go_together_are_wrong_usage(
        self, command, files, options, sentence
    ):
        code, _, error = command("new", files["run"], "--task", files["task"], *options)
        assert code == 2
        said = " ".join(error.replace("│", " ").split())
        assert sentence in said

    def test_how_crops_are_varied_and_where_they_are_taken_from(self, new, files):
        code, _, _ = new(
            "--augment", "em", "--set", "data.sampling.rare_labels=0.25", "--set",
            "trainer.augmentation.mirror=false",
        )  # fmt: skip
        assert code == 0
        config = RunFolder.open(files["run"]).config
        preset = AugmentationConfig.preset("em", (8, 8, 8))
        assert config.trainer.augmentation == preset.model_copy(update={"mirror": False})
        assert config.data.sampling.rare_labels == 0.25


class TestFrom:
    @pytest.fixture
    def trained(self, make_run, small_task):
        """Make a run with a checkpoint."""
        run = make_run("first")
        model = small_task.task_type(small_task).create_model(run.config.architecture)
        state = {"iteration": 1, "model": model.chain.state_dict()}
        return run, run.save_checkpoint(state, 1, kept=2, best=())

    @pytest.fixture
    def begin(self, command, files):
        def make(*options):
            paths = ["--task", files["task"], "--raw", files["raw"], "--gt", files["gt"]]
            return command("new", files["run"], *paths, *options)

        return make

    def test_a_run_begins_with_the_weights_and_the_network_of_another(self, begin, files, trained):
        code, _, _ = begin("--from", trained[0].path, "--new-head")
        assert code == 0
        made = RunFolder.open(files["run"])
        assert made.config.architecture == trained[0].config.architecture
        assert made.config.task == PretrainedTaskConfig(
            name="balls",
            sub_task_config=trained[0].config.task,
            weights="pretrained.pt",
            new_head=True,
        )
        assert (made.path / "pretrained.pt").is_file()

    def test_or_with_those_of_a_checkpoint(self, begin, files, trained):
        code, _, _ = begin("--from", trained[1])
        assert code == 0
        made = RunFolder.open(files["run"]).config
        assert made.architecture == trained[0].config.architecture

    def test_a_file_says_nothing_of_its_network(self, begin, files, trained, small_options):
        elsewhere = trained[1].rename(files["run"].with_name("weights.pt"))
        code, _, error = begin("--from", elsewhere, *small_options)
        assert code == 1
        assert "weights.pt" in error
        assert not files["run"].exists()
        code, _, _ = begin("--from", elsewhere, *small_options, "--set", "architecture.fmaps_out=4")
        assert code == 0

    def test_a_run_without_a_checkpoint_is_refused(self, begin, make_run):
        code, _, error = begin("--from", make_run("first").path)
        assert code == 1
        assert "has no checkpoint yet: train it first" in error


def test_the_command_that_comes_next_can_be_copied(command, files, small_options, tmp_path):
    run = tmp_path / "my run"
    given = ["--task", files["task"], "--raw", files["raw"], "--gt", files["gt"], *small_options]
    code, said, error = command("new", run, *given)
    assert code == 0, error
    assert shlex.split(said.splitlines()[-1])[-1] == str(run)
