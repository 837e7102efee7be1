from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from napari.components import ViewerModel
from qtpy.QtWidgets import QCheckBox, QLabel

from napari_dacapo_tasks.widgets.loss_plot import LossHistory, LossPlot


@pytest.fixture
def viewer() -> ViewerModel:
    return ViewerModel()


@pytest.fixture
def plot(qtbot: Any, viewer: ViewerModel) -> LossPlot:
    plot = LossPlot(viewer)
    qtbot.addWidget(plot)
    return plot


def drawn(plot: LossPlot) -> list[tuple[np.ndarray, np.ndarray]]:
    return [curve.getOriginalDataset() for curve in plot._plot.listDataItems()]


def test_a_steady_loss_is_its_own_smoothed_loss() -> None:
    history = LossHistory()
    for iteration in range(1, 50):
        history.add(iteration, 0.25)
    np.testing.assert_allclose(history.smoothed, 0.25)


def test_smoothing_follows_a_step_within_some_twenty_iterations() -> None:
    history = LossHistory()
    for iteration in range(1, 201):
        history.add(iteration, 1.0 if iteration <= 100 else 0.0)
    assert history.smoothed[100] > 0.9
    assert history.smoothed[120] < 0.4
    assert history.smoothed[199] < 0.01


def test_a_long_history_is_kept_whole() -> None:
    history = LossHistory()
    for iteration in range(1, 5001):
        history.add(iteration, 1 / iteration)
    np.testing.assert_array_equal(history.iterations, np.arange(1, 5001))
    np.testing.assert_allclose(history.losses, 1 / np.arange(1, 5001))


def test_an_infinite_loss_leaves_a_gap_and_does_not_spoil_the_rest() -> None:
    history = LossHistory()
    for iteration, loss in enumerate([0.5, float("nan"), float("inf"), 0.5]):
        history.add(iteration, loss)
    assert history.smoothed[-1] == pytest.approx(0.5)


def test_going_back_to_a_checkpoint_replaces_what_came_after_it() -> None:
    history = LossHistory()
    for iteration in range(1, 11):
        history.add(iteration, 1.0)
    history.add(6, 0.5)
    np.testing.assert_array_equal(history.iterations, [1, 2, 3, 4, 5, 6])
    np.testing.assert_array_equal(history.losses, [1, 1, 1, 1, 1, 0.5])


def test_many_steps_are_two_curves_and_few_redraws(qtbot: Any, plot: LossPlot) -> None:
    redraws = []
    plot._raw.sigPlotChanged.connect(lambda _: redraws.append(1))
    for iteration in range(1, 301):
        plot.add(iteration, 1 / iteration)
    assert redraws == []
    qtbot.waitUntil(lambda: len(redraws) > 0)
    assert len(redraws) <= 2
    curves = drawn(plot)
    assert len(curves) == 2
    assert all(len(x) == 300 for x, _ in curves)
    assert "0.00333" in plot.findChild(QLabel).text()


def test_the_losses_of_an_earlier_run_replace_what_is_shown(plot: LossPlot) -> None:
    plot.add(7, 3.0)
    plot.set_losses([1, 2, 3], [0.3, 0.2, 0.1])
    x, y = drawn(plot)[0]
    np.testing.assert_array_equal(x, [1, 2, 3])
    np.testing.assert_array_equal(y, [0.3, 0.2, 0.1])
    plot.set_losses([], [])
    assert plot.findChild(QLabel).text() == "No losses yet"


def test_the_axes_are_labelled_and_logarithmic_on_request(plot: LossPlot) -> None:
    assert plot._plot.getAxis("bottom").labelText == "iteration"
    assert plot._plot.getAxis("left").labelText == "loss"
    plot.set_losses([1, 2, 3], [1.0, 0.1, 0.01])
    plot.findChild(QCheckBox).click()
    _, y = plot._plot.listDataItems()[0].getData()
    np.testing.assert_allclose(y, [0, -1, -2])


def test_colours_follow_the_theme(plot: LossPlot, viewer: ViewerModel) -> None:
    viewer.theme = "dark"
    dark = plot._plot.backgroundBrush().color().lightnessF()
    viewer.theme = "light"
    light = plot._plot.backgroundBrush().color().lightnessF()
    assert dark < 0.3
    assert light > 0.7
    for side in ("bottom", "left"):
        assert plot._plot.getAxis(side).textPen().color().lightnessF() < 0.4
