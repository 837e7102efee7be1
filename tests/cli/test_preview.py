"""The verb ``preview``."""

from __future__ import annotations

import json

import numpy as np
import pytest

from napari_dacapo_tasks.arrays.open import open_array
from napari_dacapo_tasks.tasks.files import save_task
from napari_dacapo_tasks.tasks.preview import preview


class TestPreview:
    def test_writes_what_the_preview_shows(self, command, files, small_task, volume):
        code, said, _ = command("preview", files["task"], files["gt"], files["out"])
        assert code == 0
        assert said.startswith("balls: 15.8% foreground, 0.0% unknown, ")
        assert f"Wrote target, weight, distance_mask to {files['out']}." in said
        *_, shown = preview(small_task, volume.ground_truth())
        for name, expected in (
            ("target", shown.target),
            ("weight", shown.weight),
            ("distance_mask", shown.masks["distance mask"]),
        ):
            image = open_array(files["out"] / name)
            assert image.roi == expected.roi
            np.testing.assert_array_equal(image[image.roi], expected.data)

    def test_as_json_with_a_mask(self, command, files):
        code, said, _ = command(
            "preview", files["task"], files["gt"], files["out"], "--mask", files["mask"], "--json"
        )
        assert code == 0
        result = json.loads(said)
        assert result["images"] == ["target", "weight", "distance_mask"]
        (channel,) = result["channels"]
        assert channel["channel"] == "balls"
        assert channel["unknown"] == pytest.approx(0.25)
        assert channel["weight_range"][0] > 0
        assert len(channel["histogram"]) == 64

    def test_channels_and_unknown_labels(self, command, files, small_task):
        save_task(small_task.with_channels(["few", "rest"]), files["task"])
        given = ["--channel", "rest=", "--channel", "few=1,2", "--zero-is-unlabelled"]
        given += ["--ignore-label", "3"]
        code, said, _ = command(
            "preview", files["task"], files["gt"], files["out"], *given, "--json"
        )
        assert code == 0
        few, rest = json.loads(said)["channels"]
        assert (few["channel"], rest["channel"]) == ("few", "rest")
        assert few["foreground"] < rest["foreground"] == 1
        assert few["unknown"] > 0.84

    @pytest.mark.parametrize(
        ("given", "sentence"),
        [
            (
                [],
                "there is no --channel: say for each which label ids it has, as in --channel few",
            ),
            (
                ["--channel", "few=1"],
                "The task has the channels few, rest, but --channel names",
            ),
            (["--channel", "few=x", "--channel", "rest"], "must be a name and whole numbers"),
            (["--channel", "few=0", "--channel", "rest"], "few=0: ids of objects start at 1"),
        ],
    )
    def test_channels_that_do_not_fit_are_refused(
        self, command, files, small_task, given, sentence
    ):
        save_task(small_task.with_channels(["few", "rest"]), files["task"])
        code, _, error = command("preview", files["task"], files["gt"], files["out"], *given)
        assert code == 1
        assert sentence in error
        assert not files["out"].exists()

    def test_nothing_is_overwritten(self, command, files):
        code, _, error = command("preview", files["task"], files["gt"], files["raw"])
        assert code == 1
        assert error.count("\n") == 1
        assert "exists already" in error
