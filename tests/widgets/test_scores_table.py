"""Scores beside each other."""

from typing import Any

import pytest

from napari_dacapo_tasks.tasks.evaluators.evaluator import Criterion
from napari_dacapo_tasks.units import NANOMETRE
from napari_dacapo_tasks.widgets.scores_table import MOST_HEADING, ScoresTable

LONG = "endoplasmic reticulum"
CRITERIA = [
    Criterion(name, f"Variation of {name}", "How much.", (0, 1), higher_is_better=True)
    for name in ("information", "reformation")
]


@pytest.mark.parametrize("channels", [(LONG, "mito"), ("none", "a", "b", LONG)])
def test_long_names_of_channels_leave_room_for_the_titles(
    qtbot: Any, channels: tuple[str, ...]
) -> None:
    table = ScoresTable()
    qtbot.addWidget(table)
    scores = {channel: {one.name: 0.123 for one in CRITERIA} for channel in channels}
    table.show_scores(scores, CRITERIA, NANOMETRE)
    table.resize(340, 200)
    table.show()
    column = channels.index(LONG) + 1
    assert table.columnWidth(column) == MOST_HEADING >= table.sizeHintForColumn(column)
    assert table.horizontalHeaderItem(column).toolTip() == LONG
    qtbot.waitUntil(lambda: table.columnWidth(0) >= table.sizeHintForColumn(0), timeout=60_000)
