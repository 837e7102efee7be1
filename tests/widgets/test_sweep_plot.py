"""The plot of a sweep."""

from __future__ import annotations

from math import inf, nan
from typing import Any

import pyqtgraph
import pytest
from napari.components import ViewerModel
from qtpy.QtCore import QPoint, Qt

from napari_dacapo_tasks.evaluation.sweep import SweepResult, SweepRow
from napari_dacapo_tasks.tasks.evaluators.evaluator import Criterion
from napari_dacapo_tasks.widgets.sweep_plot import SweepPlot

DICE = Criterion("dice", "Dice", "", (0.0, 1.0), higher_is_better=True)
VOI = Criterion("voi", "VOI", "", (0.0, inf), higher_is_better=False, unit="bits")


def sweep(*rows: tuple[dict[str, Any], float]) -> SweepResult:
    """Make what was found of values and their Dice; the VOI is what is missing to 1."""
    made = tuple(
        SweepRow(values, None, {"mito": {"dice": dice, "voi": 1 - dice}}) for values, dice in rows
    )
    return SweepResult("Threshold", tuple(rows[0][0]), made, (DICE, VOI), "nm", "task")


@pytest.fixture
def viewer() -> ViewerModel:
    return ViewerModel()


@pytest.fixture
def plot(qtbot: Any, viewer: ViewerModel) -> SweepPlot:
    plot = SweepPlot(viewer)
    qtbot.addWidget(plot)
    plot.resize(340, 240)
    plot.show()
    qtbot.waitExposed(plot)
    return plot


def show(plot: SweepPlot, result: SweepResult, criterion: str = "dice", **numbers: int) -> None:
    counted = {name: len({row.values[name] for row in result.rows}) for name in result.names}
    plot.show_result(result, criterion, None, {"t": "Threshold", "s": "Seeds"}, numbers or counted)


def drawn(plot: SweepPlot) -> list[dict[float, float]]:
    seen = [line for line in plot.lines if line.isVisible()]
    return [dict(zip(*map(list, line.getOriginalDataset()), strict=True)) for line in seen]


def ticks(plot: SweepPlot) -> list[tuple[float, str]]:
    return list(plot.plot.getAxis("bottom")._tickLevels[0])


def test_one_parameter_is_a_line_in_the_order_of_its_values(plot: SweepPlot) -> None:
    result = sweep(({"t": 0.2}, 0.7), ({"t": -0.1}, 0.5), ({"t": 0.1}, 0.9))
    show(plot, result)
    (line,) = drawn(plot)
    assert list(line.items()) == [(-0.1, 0.5), (0.1, 0.9), (0.2, 0.7)]
    assert [value.tolist() for value in plot.best.getOriginalDataset()] == [[0.1], [0.9]]
    assert plot.plot.getAxis("bottom").labelText == "Threshold"
    assert [text for _, text in ticks(plot)] == ["-0.1", "0.1", "0.2"]
    assert not plot.legend.isVisible()


def test_the_best_of_a_score_that_is_to_be_low(plot: SweepPlot) -> None:
    result = sweep(({"t": 0.1}, 0.9), ({"t": 0.2}, 0.7))
    show(plot, result, "voi")
    assert plot.best.getOriginalDataset()[0].tolist() == [0.1]


def test_a_second_parameter_is_a_line_for_each_of_its_values(plot: SweepPlot) -> None:
    rows = [({"s": s, "t": t}, 0.5 + s * t / 100) for s in (1, 2) for t in (0, 1, 2)]
    show(plot, sweep(*rows))
    lines = drawn(plot)
    assert lines == [
        {0: 0.5, 1: 0.51, 2: 0.52},
        {0: 0.5, 1: 0.52, 2: 0.54},
    ]
    assert "Seeds:" in plot.legend.text()
    assert plot.plot.getAxis("bottom").labelText == "Threshold", "it has more values"

    show(plot, sweep(({"t": 0.0}, 0.3)))
    assert drawn(plot) == [{0.0: 0.3}]
    assert not plot.legend.isVisible()


def test_the_axis_stays_while_combinations_come(plot: SweepPlot) -> None:
    first = sweep(({"t": 0, "s": 1}, 0.5), ({"t": 0, "s": 2}, 0.6))
    show(plot, first, t=3, s=3)
    assert plot.plot.getAxis("bottom").labelText == "Threshold"
    assert drawn(plot) == [{0: 0.5}, {0: 0.6}]


def test_of_more_parameters_the_best_is_shown(plot: SweepPlot) -> None:
    rows = [
        ({"t": t, "s": s, "u": u}, 0.1 * t + 0.01 * u)
        for t in (1, 2)
        for s in (1, 2)
        for u in (0, 5)
    ]
    show(plot, sweep(*rows), t=2, s=2, u=2)
    assert drawn(plot) == [{1: pytest.approx(0.15), 2: pytest.approx(0.25)}] * 2
    assert "Each point: the best over u" in plot.legend.text()


def test_values_without_number_have_no_lines_of_their_own(plot: SweepPlot) -> None:
    rows = [({"t": t, "s": s}, 0.1 * t - 0.001 * s) for t in range(30) for s in range(20)]
    show(plot, sweep(*rows))
    (line,) = drawn(plot)
    assert len(line) == 30
    assert line[29] == pytest.approx(2.9)
    assert plot.legend.text() == "Each point: the best over Seeds"


def test_what_has_no_score_has_no_point(plot: SweepPlot) -> None:
    result = sweep(({"t": 0.0}, nan), ({"t": 0.1}, 0.5), ({"t": 0.2}, -inf))
    show(plot, result)
    assert drawn(plot) == [{0.1: 0.5}]
    nothing = sweep(({"t": 0.0}, nan))
    show(plot, nothing)
    assert drawn(plot) == []
    assert len(plot.best.getOriginalDataset()[0] or []) == 0
    plot.mark(0)
    assert plot.row_at(0, 0) is None


@pytest.mark.parametrize(
    ("values", "texts"),
    [
        ((0, 10, 100, 1000), ["0", "10", "100", "1000"]),
        ((True, False), ["true", "false"]),
        (("a", "b"), ["a", "b"]),
    ],
)
def test_uneven_values_and_words_are_drawn_evenly(
    plot: SweepPlot, values: Any, texts: list[str]
) -> None:
    show(plot, sweep(*(({"t": value}, 0.5) for value in values)))
    assert ticks(plot) == list(enumerate(texts))
    assert list(drawn(plot)[0]) == list(range(len(values)))


def test_many_values_are_not_all_written(plot: SweepPlot) -> None:
    show(plot, sweep(*(({"t": value}, 0.5) for value in range(50))))
    assert 4 <= len(ticks(plot)) <= 8


def test_a_click_near_a_point_chooses_its_row(plot: SweepPlot, qtbot: Any) -> None:
    show(plot, sweep(({"t": 0.2}, 0.7), ({"t": 0.0}, 0.5), ({"t": 0.1}, 0.9)))
    qtbot.waitUntil(lambda: plot.plot.getPlotItem().getViewBox().viewRange()[0][1] < 0.3)
    box = plot.plot.getPlotItem().getViewBox()
    place = box.mapViewToScene(pyqtgraph.Point(0.1, 0.9))
    for away, expected in ((3, 2), (60, None)):
        assert plot.row_at(place.x() - away, place.y() + away / 2) == expected
    with qtbot.waitSignal(plot.chosen) as chosen:
        at = QPoint(round(place.x()) + 3, round(place.y()) + 2)
        qtbot.mouseMove(plot.plot.viewport(), at)
        qtbot.mouseClick(plot.plot.viewport(), Qt.MouseButton.LeftButton, pos=at)
    assert chosen.args == [2]


def test_colours_follow_the_theme(plot: SweepPlot, viewer: ViewerModel) -> None:
    show(plot, sweep(({"t": 0, "s": 1}, 0.5), ({"t": 1, "s": 2}, 0.6)))
    seen = set()
    for theme, low, high in (("dark", 0, 0.3), ("light", 0.7, 1)):
        viewer.theme = theme
        assert low <= plot.plot.backgroundBrush().color().lightnessF() <= high
        pens = [line.opts["pen"].color().name() for line in plot.lines]
        assert pens[0] != pens[1]
        assert all(pen in plot.legend.text() for pen in pens)
        seen.update(pens)
    assert len(seen) == 4
