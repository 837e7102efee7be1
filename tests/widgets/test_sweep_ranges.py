"""Values that a sweep tries, as a person enters them."""

from __future__ import annotations

from typing import Any

import pytest

from napari_dacapo_tasks.tasks import (
    AffinitiesTaskConfig,
    DistanceTaskConfig,
    OneHotTaskConfig,
)
from napari_dacapo_tasks.widgets.sweep_ranges import SweepRangesEditor

NEAREST = [(1, 0, 0), (0, 1, 0), (0, 0, 1)]
DISTANCE = DistanceTaskConfig(
    name="balls", channels=["balls"], scale_factor=16, clip_distance=80, tol_distance=8
)


def method(config: Any, title: str) -> Any:
    return next(one for one in config.task_type(config).methods if one.title == title)


WATERSHED = method(DISTANCE, "Instances by watershed")
THRESHOLD = method(DISTANCE, "Threshold")


@pytest.fixture
def editor(qtbot: Any) -> SweepRangesEditor:
    editor = SweepRangesEditor()
    qtbot.addWidget(editor)
    return editor


def texts(editor: SweepRangesEditor) -> dict[str, str]:
    return {name: line.edit.text() for name, line in editor.lines.items()}


def test_it_begins_with_what_the_method_proposes(editor: SweepRangesEditor) -> None:
    editor.setMethod(WATERSHED)
    assert texts(editor) == {
        "threshold": "-0.1, 0.0, 0.1",
        "seed_depth": "0.75, 1.5, 2.5, 4.0",
        "min_size": "",
        "fill_holes": "",
    }
    assert editor.lines["min_size"].edit.placeholderText() == "0"
    assert editor.count.text() == "3 x 4 = 12 combinations"
    assert editor.ranges().number == 12


def test_values_and_steps_count(editor: SweepRangesEditor, qtbot: Any) -> None:
    editor.setMethod(WATERSHED)
    with qtbot.waitSignal(editor.changed):
        editor.lines["threshold"].edit.setText("-0.2:0.2:0.05")
    editor.lines["seed_depth"].edit.setText("")
    editor.lines["min_size"].edit.setText("0, 50")
    assert editor.count.text() == "9 x 2 = 18 combinations"
    values = editor.ranges().values
    assert values["threshold"][0] == -0.2
    assert values["threshold"][-1] == 0.2
    assert values["min_size"] == (0, 50)
    assert "seed_depth" not in values
    editor.lines["threshold"].edit.setText("0.1")
    editor.lines["min_size"].edit.setText("")
    assert editor.count.text() == "1 combination"


@pytest.mark.parametrize(
    ("name", "text", "said"),
    [
        ("threshold", "0.1,, 0.2", "no value"),
        ("threshold", "high", "high must be a valid number"),
        ("seed_depth", "1, 0", "0 must be greater than 0"),
        ("min_size", "2.5", "2.5 must be a valid integer"),
        ("threshold", "0:1:0", "0:1:0"),
    ],
)
def test_what_is_refused_is_red_with_a_sentence(
    editor: SweepRangesEditor, name: str, text: str, said: str
) -> None:
    editor.setMethod(WATERSHED)
    line = editor.lines[name]
    line.edit.setText(text)
    assert said in line.refusal
    assert line.edit.property("refused")
    assert editor.ranges() is None
    assert editor.count.text() == ""
    line.edit.setText("1")
    assert not line.edit.property("refused")
    assert editor.ranges() is not None


def test_without_any_value_there_is_nothing_to_sweep(editor: SweepRangesEditor) -> None:
    editor.setMethod(THRESHOLD)
    editor.lines["threshold"].edit.clear()
    assert editor.ranges() is None
    assert "There is nothing to sweep" in editor.count.text()


def test_far_too_much_is_refused(editor: SweepRangesEditor) -> None:
    editor.setMethod(WATERSHED)
    for name in ("threshold", "seed_depth"):
        editor.lines[name].edit.setText("1:999:1")
    assert editor.ranges() is None
    assert "give fewer values" in editor.count.text()


def test_a_method_without_parameters_has_nothing_to_sweep(editor: SweepRangesEditor) -> None:
    config = OneHotTaskConfig(name="classes", classes=["background", "a"])
    editor.setMethod(method(config, "Most probable class"))
    assert editor.ranges() is None
    assert editor.count.text().startswith("There is nothing to sweep: the method Most probable")
    editor.setMethod(None)
    assert editor.ranges() is None
    assert editor.count.text() == ""


def test_what_was_entered_stays_with_its_method(editor: SweepRangesEditor) -> None:
    editor.setMethod(WATERSHED)
    assert not editor.reset_button.isVisibleTo(editor)
    editor.lines["threshold"].edit.setText("0.3")
    editor.lines["min_size"].edit.setText("7")
    editor.setMethod(THRESHOLD)
    assert texts(editor)["threshold"] == "-0.1, 0.0, 0.1"
    editor.setMethod(WATERSHED)
    assert texts(editor)["threshold"] == "0.3"
    assert editor.reset_button.isVisibleTo(editor)
    editor.reset_button.click()
    assert texts(editor)["threshold"] == "-0.1, 0.0, 0.1"
    assert texts(editor)["min_size"] == ""
    assert not editor.reset_button.isVisibleTo(editor)


def test_a_parameter_that_follows_another_says_so(editor: SweepRangesEditor) -> None:
    config = AffinitiesTaskConfig(name="near", neighborhood=NEAREST)
    editor.setMethod(method(config, "Mutex watershed"))
    assert editor.lines["long_bias"].edit.placeholderText() == "as Bias"
    ranges = editor.ranges()
    assert ranges.with_followers({"bias": 0.25}) == {"bias": 0.25, "long_bias": 0.25}
    editor.lines["long_bias"].edit.setText("0.5")
    assert editor.ranges().values["long_bias"] == (0.5,)


def test_lengths_have_their_unit(editor: SweepRangesEditor) -> None:
    editor.setMethod(THRESHOLD, "voxels")
    labels = [editor._form.labelForField(line).text() for line in editor.lines.values()]
    assert labels == ["Threshold", "Fill holes up to (voxels)"]
