import pytest
from qtpy.QtCore import Qt
from qtpy.QtGui import QBrush

from napari_dacapo_tasks.arrays import Channel, LabelsConfig
from napari_dacapo_tasks.widgets.channels_table import ChannelsTable

CONFIG = LabelsConfig(
    channels=(Channel(name="mito", labels=(1, 2, 5)), Channel(name="cells")),
    zero_is_unlabelled=True,
    ignore_label=-1,
)


@pytest.fixture
def table(qtbot):
    table = ChannelsTable()
    qtbot.addWidget(table)
    table.show()
    return table


def enter(table, row, column, text):
    table.table.item(row, column).setText(text)


def is_red(table, row, column):
    item = table.table.item(row, column)
    background = item.data(Qt.ItemDataRole.BackgroundRole)
    return isinstance(background, QBrush) and bool(item.toolTip())


def test_it_gives_back_what_it_shows(table):
    table.setValue(CONFIG)
    assert table.value() == CONFIG
    assert table.table.item(1, 1).text() == "all objects"


def test_it_starts_with_one_channel_of_all_objects(table):
    assert table.value() == LabelsConfig()


def test_entering_names_and_ids(table, qtbot):
    with qtbot.waitSignal(table.valueChanged) as signal:
        enter(table, 0, 0, "mito")
    assert signal.args[0].channels == (Channel(name="mito"),)
    enter(table, 0, 1, "3, 4")
    assert table.value().channels == (Channel(name="mito", labels=(3, 4)),)
    enter(table, 0, 1, "")
    assert table.value().channels == (Channel(name="mito"),)


def test_adding_and_removing_rows(table, qtbot):
    assert not table.remove_button.isEnabled()
    for _ in range(2):
        qtbot.mouseClick(table.add_button, Qt.MouseButton.LeftButton)
    names = table.value().channel_names
    assert len(set(names)) == 3
    table.table.setCurrentCell(1, 0)
    qtbot.mouseClick(table.remove_button, Qt.MouseButton.LeftButton)
    assert table.value().channel_names == [names[0], names[2]]


@pytest.mark.parametrize(
    ("column", "text", "said"),
    [
        (0, " ", "A channel has no name"),
        (0, "cells", "two channels are named cells"),
        (1, "1, x", "'x' is no whole number"),
        (1, "0, 1", "the label id 0 cannot be an object"),
        (1, "-4", "the label id -4 cannot be an object"),
    ],
)
def test_what_is_refused_is_red_with_the_reason_until_mended(table, qtbot, column, text, said):
    table.setValue(CONFIG)
    with qtbot.waitSignal(table.valueChanged) as signal:
        enter(table, 0, column, text)
    assert signal.args == [None]
    assert said.lower() in table.refusal.lower()
    assert is_red(table, 0, column)
    enter(table, 0, column, ("mito", "1, 2, 5")[column])
    assert table.value() == CONFIG
    assert table.refusal == ""
    assert not is_red(table, 0, column)


def test_an_ignore_id_is_a_whole_number_or_nothing(table, qtbot):
    table.ignore_line.clear()
    qtbot.keyClicks(table.ignore_line, "255")
    qtbot.keyClick(table.ignore_line, Qt.Key.Key_Return)
    assert table.value().ignore_label == 255
    qtbot.keyClicks(table.ignore_line, "x")
    assert table.value() is None
    assert "'255x' is no label id" in table.refusal
    table.ignore_line.clear()
    assert table.value().ignore_label is None


def test_channels_that_are_not_chosen_wait_as_they_were(table, qtbot):
    table.setValue(CONFIG)
    with qtbot.waitSignal(table.valueChanged) as signal:
        table.setChosen(False)
    whole = LabelsConfig(
        channels=(Channel(name="labels"),), zero_is_unlabelled=True, ignore_label=-1
    )
    assert signal.args == [whole]
    for widget in (table.table, table.add_button, table.remove_button):
        assert not widget.isVisible()
    for widget in (table.zero_box, table.ignore_line):
        assert widget.isVisible()
    table.zero_box.click()
    assert not table.value().zero_is_unlabelled
    table.zero_box.click()
    table.setChosen(True)
    assert table.value() == CONFIG
    assert table.table.isVisible()


def test_what_is_red_does_not_matter_while_channels_are_not_chosen(table):
    table.setValue(CONFIG)
    enter(table, 0, 1, "x")
    table.setChosen(False)
    assert table.value().channel_names == ["labels"]
    assert table.refusal == ""
    table.setChosen(True)
    assert table.value() is None
    assert "'x' is no whole number" in table.refusal
    assert is_red(table, 0, 1)
