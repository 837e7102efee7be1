from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from napari.components import ViewerModel
from qtpy.QtWidgets import QCheckBox

from napari_dacapo_tasks.runs.scores import Score
from napari_dacapo_tasks.tasks.evaluators.evaluator import Criterion
from napari_dacapo_tasks.widgets.curves import PRESENT, Curves
from napari_dacapo_tasks.widgets.histories import (
    MOST_POINTS,
    LossHistory,
    RunHistory,
    ScoreHistory,
)

CRITERIA = {
    "dice": Criterion("dice", "Dice", "", (0.0, 1.0), higher_is_better=True),
    "voi": Criterion("voi", "VOI", "", (0.0, np.inf), higher_is_better=False),
}


@pytest.fixture
def viewer() -> ViewerModel:
    return ViewerModel()


@pytest.fixture
def plot(qtbot: Any, viewer: ViewerModel) -> Curves:
    plot = Curves(viewer)
    qtbot.addWidget(plot)
    return plot


def drawn(plot: Curves) -> list[tuple[np.ndarray, np.ndarray]]:
    return [curve.getOriginalDataset() for curve in plot._losses.listDataItems()]


def run(title: str, losses: list[float], *scores: Score) -> RunHistory:
    history = LossHistory(range(1, len(losses) + 1), losses)
    return RunHistory(title, history, ScoreHistory(scores), CRITERIA)


def score(iteration: int, dice: float, voi: float = 1.0, loss: float = 0.5) -> Score:
    scores = {"crop": {"mito": {"dice": dice, "voi": voi}}}
    return Score(iteration, "dice", dice, loss, scores, "Threshold", 1.0)


def test_many_steps_are_two_curves_and_few_redraws(qtbot: Any, plot: Curves) -> None:
    redraws = []
    plot._curves[PRESENT].raw.sigPlotChanged.connect(lambda _: redraws.append(1))
    for iteration in range(1, 301):
        plot.add(iteration, 1 / iteration)
    assert redraws == []
    qtbot.waitUntil(lambda: len(redraws) > 0)
    assert len(redraws) <= 2
    curves = drawn(plot)
    assert len(curves) == 2
    assert all(len(x) == 300 for x, _ in curves)
    assert "0.00333" in plot._last.text()


def test_another_run_in_the_dock_replaces_what_is_shown(plot: Curves) -> None:
    plot.add(7, 3.0)
    plot.set_present(run("a", [0.3, 0.2, 0.1]))
    x, y = drawn(plot)[0]
    np.testing.assert_array_equal(x, [1, 2, 3])
    np.testing.assert_array_equal(y, [0.3, 0.2, 0.1])
    plot.set_present(RunHistory())
    assert plot._last.text() == "No losses yet"
    assert not plot._losses.getAxis("left").style["showValues"]
    plot.set_others({"other": run("b", [0.4])})
    assert plot._losses.getAxis("left").style["showValues"]


def test_an_infinite_loss_is_a_gap(plot: Curves) -> None:
    plot.set_present(run("a", [0.3, np.inf, np.nan, 0.1]))
    (_, raw), (_, smoothed) = drawn(plot)
    assert np.isnan(raw).tolist() == [False, True, True, False]
    assert np.isfinite(smoothed).all()
    assert plot._curves[PRESENT].raw.opts["connect"] == "finite"


def test_a_long_run_is_drawn_with_as_many_points_as_can_be_seen(plot: Curves, qtbot: Any) -> None:
    plot.resize(320, 400)
    plot.show()
    qtbot.waitExposed(plot)
    count = 200_003
    plot.set_present(run("long", np.linspace(1, 0.1, count).tolist()))
    for curve in plot._losses.listDataItems():
        qtbot.waitUntil(lambda one=curve: 100 < len(one.getData()[0]) < 5000)
    x, y = drawn(plot)[0]
    assert len(x) <= 2 * MOST_POINTS
    assert x[0] < x[-1] == count
    np.testing.assert_allclose(y, 1 - 0.9 * (x - 1) / (count - 1))


def test_the_axes_are_labelled_and_logarithmic_on_request(qtbot: Any, plot: Curves) -> None:
    assert plot._losses.getAxis("bottom").labelText == "iteration"
    assert plot._losses.getAxis("left").labelText == "loss"
    plot.set_present(run("a", [1.0, 0.1, 0.01]))
    with qtbot.waitSignal(plot.chosen):
        plot.findChild(QCheckBox).click()
    assert plot.log_scale
    _, y = plot._losses.listDataItems()[0].getData()
    np.testing.assert_allclose(y, [0, -1, -2])


def test_scores_are_shown_from_the_first_validation_on(plot: Curves) -> None:
    plot.set_present(run("a", [0.3, 0.2]))
    assert not plot._scores.isVisibleTo(plot)
    plot.add_score(score(2, 0.7))
    plot.redraw()
    assert plot._scores.isVisibleTo(plot)
    assert plot.score_combo.currentText() == "Dice"
    x, y = plot._curves[PRESENT].score.getOriginalDataset()
    assert (x.tolist(), y.tolist()) == ([2], [0.7])


def test_the_best_validation_of_the_chosen_score_is_marked(qtbot: Any, plot: Curves) -> None:
    made = [score(100, 0.5, voi=0.2), score(200, 0.8, voi=0.6), score(300, np.nan, voi=0.4)]
    plot.set_present(run("a", [], *made))
    curves = plot._curves[PRESENT]
    assert [values.tolist() for values in curves.best.getOriginalDataset()] == [[200], [0.8]]
    assert curves.score.getOriginalDataset()[0].tolist() == [100, 200]
    assert plot._best.text() == "best 0.8 at 200"

    names = [plot.score_combo.itemData(i) for i in range(plot.score_combo.count())]
    assert names == ["dice", "voi", "loss"]
    plot.score_combo.setCurrentIndex(1)
    with qtbot.waitSignal(plot.chosen):
        plot.score_combo.activated.emit(1)
    assert plot.score == "voi"
    assert [values.tolist() for values in curves.best.getOriginalDataset()] == [[100], [0.2]]
    assert plot.score_combo.currentText() == "VOI"


def test_a_choice_that_a_run_does_not_have_waits_for_one_that_has(plot: Curves) -> None:
    plot.setChoices(log_scale=True, score="voi")
    plot.set_present(run("a", [0.1], Score(1, "f1", 0.2, 0.1, {}, "Threshold", 1.0)))
    assert plot.score_combo.currentData() == "f1"
    plot.set_present(run("b", [0.1], score(1, 0.3, voi=0.6)))
    assert plot.score_combo.currentData() == "voi"
    assert plot.log_scale


def test_runs_lie_over_each_other_with_colours_and_a_legend(plot: Curves) -> None:
    plot.set_present(run("mine", [0.3, 0.2], score(1, 0.4)))
    assert not plot._legend.isVisibleTo(plot)
    first, second = run("a <b>", [0.5]), run("c", [0.6], score(1, 0.7))
    plot.set_others({"a": first, "c": second})
    assert len(plot._losses.listDataItems()) == 6
    colours = {plot.colour_of(key) for key in (PRESENT, "a", "c")}
    assert len(colours) == 3
    legend = plot._legend.text()
    assert plot._legend.isVisibleTo(plot)
    assert "a &lt;b&gt;" in legend
    assert all(colour in legend for colour in colours)

    kept = plot._curves["c"]
    colour = plot.colour_of("c")
    plot.set_others({"c": second})
    assert plot._curves["c"] is kept
    assert plot.colour_of("c") == colour
    assert plot.colour_of("a") == ""
    assert len(plot._losses.listDataItems()) == 4
    assert len(plot._scores.listDataItems()) == 4


def test_colours_follow_the_theme(plot: Curves, viewer: ViewerModel) -> None:
    plot.set_others({"a": run("a", [0.5])})
    for theme, background, text in (("dark", (0, 0.3), (0.6, 1)), ("light", (0.7, 1), (0, 0.4))):
        viewer.theme = theme
        assert plot.colour_of("a") in plot._legend.text()
        for one in (plot._losses, plot._scores):
            low, high = background
            assert low <= one.backgroundBrush().color().lightnessF() <= high
            low, high = text
            for side in ("bottom", "left"):
                assert low <= one.getAxis(side).textPen().color().lightnessF() <= high
