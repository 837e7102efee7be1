"""The table of objects."""

from typing import Any

import numpy as np
import pytest
from qtpy.QtCore import Qt

from napari_dacapo_tasks.evaluation.objects import ObjectRow
from napari_dacapo_tasks.widgets.objects_table import (
    CHANNEL,
    ID,
    IOU,
    KIND,
    VOXELS,
    WITH,
    ObjectColumns,
    ObjectsTable,
)

UP, DOWN = Qt.SortOrder.AscendingOrder, Qt.SortOrder.DescendingOrder


def row(kind: Any, number: int, iou: float = 0.0, voxels: int = 10, **more: Any) -> ObjectRow:
    values = {"channel": "mito", "partners": (), "voxel": (1, 2, 3)} | more
    return ObjectRow(
        id=number,
        kind=kind,
        iou=iou,
        voxels=voxels,
        centre=(0.0,) * 3,
        box=((0.0,) * 3, (1.0,) * 3),
        **values,
    )


ROWS = (
    row("matched", 4, 0.9, 500, partners=(12,)),
    row("matched", 2**40, 0.75, 20, partners=(13,)),
    row("missed", 9, 0.1, 3, partners=(14,)),
    row("split", 5, 0.6, 12345, partners=(1, 2, 3, 4, 5)),
    row("merged", 3, 0.4, 77, channel="er"),
    row("false", 8, 0.0, 1),
)


@pytest.fixture
def table(qtbot: Any) -> ObjectsTable:
    made = ObjectsTable()
    qtbot.addWidget(made)
    made.show_objects(ObjectColumns.of(ROWS), channels=True)
    return made


def texts(table: ObjectsTable, column: int) -> list[str]:
    model = table.model
    return [model.index(one, column).data() for one in range(model.rowCount())]


def test_what_is_wrong_comes_first(table: ObjectsTable) -> None:
    assert texts(table, KIND) == ["missed", "false", "merged", "split", "matched", "matched"]


@pytest.mark.parametrize(
    ("column", "order", "ids"),
    [
        (ID, UP, [3, 4, 5, 8, 9, 2**40]),
        (ID, DOWN, [2**40, 9, 8, 5, 4, 3]),
        (VOXELS, DOWN, [5, 4, 3, 2**40, 9, 8]),
        (IOU, UP, [8, 9, 3, 5, 2**40, 4]),
        (IOU, DOWN, [4, 2**40, 5, 3, 9, 8]),
        (CHANNEL, UP, [3, 4, 2**40, 9, 5, 8]),
    ],
)
def test_a_click_on_a_heading_sorts(
    table: ObjectsTable, column: int, order: Any, ids: list[int]
) -> None:
    table.view.sortByColumn(column, order)
    assert texts(table, ID) == [str(one) for one in ids]


def test_the_filter_says_how_many_there_are_and_leaves_them(table: ObjectsTable) -> None:
    combo = table.filter_combo
    assert [combo.itemText(i) for i in range(combo.count())] == [
        "All objects (6)",
        "Those that are wrong (4)",
        "Missed (1)",
        "False (1)",
        "Merged (1)",
        "Split (1)",
        "Matched (2)",
    ]
    combo.setCurrentIndex(6)
    assert texts(table, ID) == ["4", str(2**40)]
    combo.setCurrentIndex(1)
    assert texts(table, KIND) == ["missed", "false", "merged", "split"]
    table.show_objects(ObjectColumns.of(ROWS[:3]), channels=True)
    assert combo.currentText() == "Those that are wrong (1)"
    assert texts(table, KIND) == ["missed"]


def test_cells_are_written_for_people(table: ObjectsTable) -> None:
    table.view.sortByColumn(VOXELS, DOWN)
    cells = [texts(table, column)[0] for column in (KIND, ID, IOU, VOXELS, WITH)]
    assert cells == ["split", "5", "0.60", "12,345", "1, 2, 3, 4, …"]
    assert "several segments" in table.model.index(0, KIND).data(Qt.ItemDataRole.ToolTipRole)
    assert table.model.index(0, WITH).data(Qt.ItemDataRole.ToolTipRole) == "1, 2, 3, 4, 5"


def test_channels_are_named_where_there_are_several(table: ObjectsTable) -> None:
    assert not table.view.isColumnHidden(CHANNEL)
    table.show_objects(ObjectColumns.of(ROWS[:3]), channels=False)
    assert table.view.isColumnHidden(CHANNEL)


@pytest.mark.parametrize("width", [300, 420])
def test_no_column_is_out_of_sight_in_a_narrow_dock(
    table: ObjectsTable, qtbot: Any, width: int
) -> None:
    rows = [row("matched", 2**40, voxels=10**9, channel="endoplasmic reticulum"), *ROWS]
    table.show_objects(ObjectColumns.of(rows), channels=True)
    table.resize(700, 300)
    table.show()
    table.resize(width, 300)
    view = table.view
    total = lambda: sum(view.columnWidth(one) for one in range(6))  # noqa: E731
    qtbot.waitUntil(lambda: total() == view.viewport().width() <= width, timeout=60_000)
    qtbot.waitUntil(lambda: view.horizontalScrollBar().maximum() == 0, timeout=60_000)
    tip = table.model.data(table.model.index(6, CHANNEL), Qt.ItemDataRole.ToolTipRole)
    assert tip in ("mito", "er", "endoplasmic reticulum"), "what is cut off can be read"


def test_a_click_and_a_key_choose_an_object(table: ObjectsTable, qtbot: Any) -> None:
    chosen: list[ObjectRow] = []
    table.chosen.connect(chosen.append)
    table.resize(340, 400)
    table.show()
    place = table.view.visualRect(table.model.index(1, ID)).center()
    qtbot.mouseClick(table.view.viewport(), Qt.MouseButton.LeftButton, pos=place)
    assert chosen[-1] is ROWS[5]
    qtbot.keyClick(table.view, Qt.Key.Key_Down)
    assert chosen[-1] is ROWS[4]
    chosen.clear()
    place = table.view.visualRect(table.model.index(2, ID)).center()
    qtbot.mouseClick(table.view.viewport(), Qt.MouseButton.LeftButton, pos=place)
    assert chosen == [ROWS[4]]  # again, after the view has moved elsewhere


def test_a_hundred_thousand_objects_are_sorted_without_asking_each(
    table: ObjectsTable, monkeypatch: pytest.MonkeyPatch
) -> None:
    number = 100_000
    sizes = np.random.default_rng(0).permutation(number)
    rows = tuple(row("matched", i + 1, 0.5, int(size)) for i, size in enumerate(sizes))
    columns = ObjectColumns.of(rows)
    asked: list[Any] = []
    written = table.model.data

    def data(index: Any, role: Any = Qt.ItemDataRole.DisplayRole) -> Any:
        asked.append(index)
        return written(index, role)

    monkeypatch.setattr(table.model, "data", data)
    table.show_objects(columns, channels=False)
    table.view.sortByColumn(VOXELS, DOWN)
    assert table.model.rowCount() == number
    assert table.model.object_at(0).voxels == number - 1
    assert len(asked) < number / 10
