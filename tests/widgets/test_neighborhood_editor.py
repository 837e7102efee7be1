"""The neighbourhood editor, driven as a person would drive it."""

import itertools

import pytest
from qtpy.QtCore import QPoint, Qt
from qtpy.QtGui import QBrush, QColor, QImage
from qtpy.QtWidgets import QApplication, QLabel, QLineEdit

from napari_dacapo_tasks.tasks import AffinitiesTaskConfig, Measured
from napari_dacapo_tasks.tasks.neighborhoods import PRESETS
from napari_dacapo_tasks.widgets.neighborhood_colours import colour_of
from napari_dacapo_tasks.widgets.neighborhood_editor import CUSTOM, PROPOSED, NeighborhoodEditor
from napari_dacapo_tasks.widgets.task_form import TaskForm

NEAREST = [(1, 0, 0), (0, 1, 0), (0, 0, 1)]
THICK = Measured((40.0, 4.0, 4.0), 60.0)
TITLES = list(PRESETS)


class Hand:
    """The editor in its form, and a hand that uses it."""

    def __init__(self, form, qtbot):
        self.form, self.qtbot = form, qtbot
        self.editor = form.editor("neighborhood")
        self.table, self.picture = self.editor.table, self.editor.picture

    def type_cell(self, row, column, text):
        cell = self.table.item(row, column)
        self.table.setCurrentItem(cell)
        self.table.editItem(cell)
        line = self.table.findChildren(QLineEdit)[-1]
        line.selectAll()
        self.qtbot.keyClick(line, Qt.Key.Key_Backspace)
        self.qtbot.keyClicks(line, text)
        self.qtbot.keyClick(line, Qt.Key.Key_Return)
        self.qtbot.waitUntil(lambda: not self.table.findChildren(QLineEdit))

    def choose(self, title):
        combo = self.editor.preset_combo
        combo.showPopup()
        view = combo.view()
        place = view.visualRect(combo.model().index(combo.findText(title), 0)).center()
        self.qtbot.mouseClick(view.viewport(), Qt.MouseButton.LeftButton, pos=place)
        assert combo.currentText() == title

    def click(self, button):
        self.qtbot.mouseClick(button, Qt.MouseButton.LeftButton)

    @property
    def value(self):
        config = self.form.value()
        return None if config is None else config.neighborhood

    @property
    def preset(self):
        return self.editor.preset_combo.currentText()

    @property
    def said(self):
        labels = self.form.findChildren(QLabel)
        return [label.text() for label in labels if label.property("refusal") and label.text()]

    def red(self):
        return {
            (row, column)
            for row in range(self.table.rowCount())
            for column in range(self.table.dims)
            if isinstance(self.table.item(row, column).data(Qt.ItemDataRole.BackgroundRole), QBrush)
        }


@pytest.fixture
def hand(qtbot):
    form = TaskForm(AffinitiesTaskConfig)
    qtbot.addWidget(form)
    form.resize(340, 900)
    form.show()
    form.setMeasured(THICK)
    form.setValue(AffinitiesTaskConfig(name="affs", neighborhood=NEAREST))
    return Hand(form, qtbot)


def test_it_gives_back_what_it_shows(hand):
    offsets = [(0, 0, 1), (-3, 2, 0), (0, -27, 27)]
    hand.form.setValue(AffinitiesTaskConfig(name="affs", neighborhood=offsets))
    assert hand.value == offsets
    assert hand.preset == CUSTOM


def test_a_row_says_how_far_its_offset_reaches(hand):
    headers = [hand.table.horizontalHeaderItem(column).text() for column in range(4)]
    assert headers == ["z", "y", "x", "nm"]
    assert [hand.table.item(row, 3).text() for row in range(3)] == ["40", "4", "4"]
    hand.type_cell(2, 1, "-9")
    assert hand.table.item(2, 3).text() == "36.22"  # of 36 and 4


def test_presets_are_made_for_the_voxels(hand):
    assert hand.preset == "Nearest"
    for title in TITLES[1:]:
        hand.choose(title)
        assert hand.value == PRESETS[title](THICK.voxel_size)


def test_an_edited_preset_is_a_custom_one_and_typed_back_it_is_the_preset(hand):
    hand.type_cell(1, 1, "9")
    assert hand.value == [(1, 0, 0), (0, 9, 0), (0, 0, 1)]
    assert hand.preset == CUSTOM
    hand.type_cell(1, 1, "1")
    assert hand.preset == "Nearest"


def test_custom_cannot_be_chosen(hand):
    combo = hand.editor.preset_combo
    assert not combo.model().item(combo.findText(CUSTOM)).isEnabled()


def test_what_was_proposed_can_be_gone_back_to(hand):
    offsets = [(1, 0, 0), (0, 5, 0), (0, 0, 5)]
    proposal = AffinitiesTaskConfig(name="affs", neighborhood=offsets)
    hand.form.setProposal(proposal)
    hand.form.setValue(proposal)
    assert hand.preset == PROPOSED
    hand.choose("Nearest")
    hand.choose(PROPOSED)
    assert hand.value == offsets


def test_of_presets_that_are_the_same_the_chosen_one_stays(hand):
    hand.form.setMeasured(Measured((4.0, 4.0)))
    same = [title for title in TITLES if PRESETS[title]((4, 4)) == PRESETS[TITLES[2]]((4, 4))]
    assert len(same) > 1
    for title in same:
        hand.choose(title)
        assert hand.preset == title


def test_adding_goes_on_from_the_selected_row_and_never_repeats_one(hand):
    hand.table.selectRow(1)
    for count in range(4, 7):
        hand.click(hand.editor.add_button)
        assert len(set(hand.value)) == count
    assert hand.value[3:] == [(0, 2, 0), (0, 4, 0), (0, 8, 0)]


def test_selected_rows_are_removed_by_button_or_key_but_not_the_last_one(hand):
    hand.table.selectRow(0)
    hand.click(hand.editor.remove_button)
    assert hand.value == [(0, 1, 0), (0, 0, 1)]
    hand.table.selectRow(1)
    hand.qtbot.keyClick(hand.table, Qt.Key.Key_Delete)
    assert hand.value == [(0, 1, 0)]
    assert not hand.editor.remove_button.isEnabled()
    hand.qtbot.keyClick(hand.table, Qt.Key.Key_Delete)
    assert hand.value == [(0, 1, 0)]


def test_undo_takes_back_change_after_change(hand):
    assert not hand.editor.undo_button.isEnabled()
    hand.type_cell(0, 0, "2")
    hand.choose(TITLES[1])
    hand.click(hand.editor.add_button)
    hand.table.selectRow(0)
    hand.click(hand.editor.remove_button)
    hand.click(hand.editor.undo_button)
    hand.qtbot.keyClick(hand.table, Qt.Key.Key_Z, Qt.KeyboardModifier.ControlModifier)
    assert hand.value == PRESETS[TITLES[1]](THICK.voxel_size)
    assert hand.preset == TITLES[1]
    hand.qtbot.keyClick(hand.editor.add_button, Qt.Key.Key_Z, Qt.KeyboardModifier.ControlModifier)
    assert hand.value == [(2, 0, 0), (0, 1, 0), (0, 0, 1)]
    with hand.qtbot.waitSignal(hand.form.valueChanged):
        hand.click(hand.editor.undo_button)
    assert hand.value == NEAREST
    assert not hand.editor.undo_button.isEnabled()
    hand.editor.undo()
    assert hand.value == NEAREST


def test_another_value_from_outside_is_not_undone(hand):
    hand.type_cell(0, 0, "2")
    hand.form.setValue(AffinitiesTaskConfig(name="affs", neighborhood=NEAREST))
    assert not hand.editor.undo_button.isEnabled()


@pytest.mark.parametrize(
    ("column", "text", "said", "red"),
    [
        (
            2,
            "0",
            "Row 3 leads nowhere: at least one number must not be 0",
            {(2, 0), (2, 1), (2, 2)},
        ),
        (
            2,
            "1.5",
            "'1.5' is no whole number in row 3: give steps in voxels, such as 1 or -9",
            {(2, 2)},
        ),
        (
            2,
            "",
            "A number is missing in row 3: give steps in voxels, such as 1 or -9",
            {(2, 2)},
        ),
        (
            2,
            "1" * 400,
            f"'{'1' * 400}' is farther than any volume reaches in row 3: give steps in voxels, "
            "such as 1 or -9",
            {(2, 2)},
        ),
    ],
)
def test_what_is_refused_is_red_with_a_sentence_until_mended(hand, column, text, said, red):
    with hand.qtbot.waitSignal(hand.form.valueChanged) as signal:
        hand.type_cell(2, column, text)
    assert signal.args == [None]
    assert hand.said == [said]
    assert hand.red() == red
    assert hand.table.property("refused")
    hand.table.grab()
    hand.picture.grab()
    hand.click(hand.editor.undo_button)
    assert hand.value == NEAREST
    assert hand.said == []
    assert hand.red() == set()


def test_an_offset_that_stands_twice_is_red_and_named_by_its_rows(hand):
    hand.type_cell(2, 1, "1")
    hand.type_cell(2, 2, "0")
    assert hand.value is None
    assert hand.said == ["Rows 2 and 3 are the same offset (0, 1, 0): change or remove one of them"]
    assert hand.red() == {(2, 0), (2, 1), (2, 2)}
    hand.type_cell(2, 1, "-1")
    assert hand.value == [(1, 0, 0), (0, 1, 0), (0, -1, 0)]


def test_offsets_of_other_data_are_refused_until_a_preset_is_chosen(hand):
    hand.form.setMeasured(Measured((4.0, 4.0), 40.0))
    assert hand.form.value() is None
    assert hand.said == [
        "These offsets have 3 numbers and the ground truth has 2 axes (y, x): choose a preset"
    ]
    hand.picture.grab()
    hand.choose("Nearest and long-range, equal in nanometres")
    assert hand.value[:2] == [(1, 0), (0, 1)]
    headers = [hand.table.horizontalHeaderItem(column).text() for column in range(3)]
    assert headers == ["y", "x", "nm"]
    hand.click(hand.editor.undo_button)
    assert hand.table.dims == 3


def test_without_a_ground_truth_any_number_of_axes_will_do(qtbot):
    editor = NeighborhoodEditor()
    qtbot.addWidget(editor)
    for offsets in ([(1, 0), (0, 1)], NEAREST):
        editor.setValue(offsets)
        assert editor.value() == offsets
        assert editor.preset_combo.currentText() == "Nearest"


# The picture


def pixels(picture):
    """Colours of the picture, by place."""
    image = picture.grab().toImage().convertToFormat(QImage.Format.Format_RGB32)
    ratio = image.width() / picture.width()

    def at(place):
        return QColor(image.pixel(round(place.x() * ratio), round(place.y() * ratio)))

    return at


def near(first, second):
    return sum((a - b) ** 2 for a, b in zip(first.getRgb(), second.getRgb(), strict=True)) < 40**2


def is_dark(picture):
    return picture.palette().window().color().lightness() < 128


def test_arrows_lead_to_their_voxels_in_their_colours(hand):
    hand.choose("Nearest")
    at, tips = pixels(hand.picture), hand.picture.tips()
    for row, offset in enumerate(NEAREST):
        seen = [
            at(tip - (tip - origin) * 0.1)
            for tip, origin in zip(tips[row], hand.picture.origins(), strict=True)
            if (tip - origin).manhattanLength() > 20
        ]
        colour = colour_of(offset, dark=is_dark(hand.picture))
        assert seen
        assert all(near(one, colour) for one in seen), offset


def test_voxels_have_their_proportions(hand):
    _, side = hand.picture.origins()
    along_z, along_y = hand.picture.tips()[0][1] - side, hand.picture.tips()[1][1] - side
    assert along_z.x() == pytest.approx(10 * along_y.y())
    assert along_z.y() == along_y.x() == 0


@pytest.mark.parametrize("title", TITLES)
@pytest.mark.parametrize("voxel_size", [(8.0, 8.0, 8.0), (40.0, 4.0, 4.0), (4.0, 4.0)])
def test_every_preset_fits_into_the_picture(hand, title, voxel_size):
    hand.form.setMeasured(Measured(voxel_size))
    hand.choose(title)
    whole = hand.picture.rect()
    for places in hand.picture.tips().values():
        assert all(whole.contains(place.toPoint()) for place in places)


def test_selecting_a_row_highlights_its_arrow_and_comes_nearer(hand):
    hand.choose("Nearest and long-range, equal in nanometres")
    before = hand.picture.tips()
    hand.table.selectRow(1)
    assert hand.picture.highlighted == {1}
    after, origin = hand.picture.tips(), hand.picture.origins()[0]
    assert after[1][0].y() - origin.y() > 4 * (before[1][0].y() - before[0][0].y())
    hand.table.clearSelection()
    assert hand.picture.highlighted == set()
    assert hand.picture.tips() == before


def test_the_pointer_over_a_row_highlights_its_arrow(hand):
    cell = hand.table.visualItemRect(hand.table.item(2, 0)).center()
    hand.qtbot.mouseMove(hand.table.viewport(), cell - QPoint(1, 1))
    hand.qtbot.mouseMove(hand.table.viewport(), cell)
    hand.qtbot.waitUntil(lambda: hand.picture.highlighted == {2})
    hand.table.hovered.emit(-1)
    assert hand.picture.highlighted == set()


def test_a_click_on_a_tip_selects_its_row(hand):
    tip = hand.picture.tips()[2][0].toPoint()
    hand.qtbot.mouseMove(hand.picture, tip)
    hand.qtbot.mouseClick(hand.picture, Qt.MouseButton.LeftButton, pos=tip)
    assert {index.row() for index in hand.table.selectedIndexes()} == {2}


def test_colours_follow_the_theme(hand):
    pictures = {}
    for name, (back, ink) in {"dark": ("#222", "#eee"), "light": ("#eee", "#222")}.items():
        hand.form.setStyleSheet(f"QWidget {{ background-color: {back}; color: {ink}; }}")
        QApplication.processEvents()
        assert is_dark(hand.picture) == (name == "dark")
        swatch = hand.table.verticalHeaderItem(0).icon().pixmap(12, 12).toImage()
        pictures[name] = swatch.pixelColor(6, 6)
        assert near(pictures[name], colour_of((1, 0, 0), dark=name == "dark"))
    assert pictures["dark"].lightness() > pictures["light"].lightness() + 30


@pytest.mark.parametrize("dark", [True, False])
@pytest.mark.parametrize("title", TITLES)
@pytest.mark.parametrize("voxel_size", [(8, 8, 8), (40, 4, 4), (4, 4)])
def test_offsets_can_be_told_from_each_other_by_their_colours(title, voxel_size, dark):
    colours = [colour_of(offset, dark=dark) for offset in PRESETS[title](voxel_size)]
    for first, second in itertools.combinations(colours, 2):
        away = sum((a - b) ** 2 for a, b in zip(first.getRgb(), second.getRgb(), strict=True))
        assert away > 24**2


def test_an_offset_and_its_opposite_have_two_colours():
    assert colour_of((0, 0, 1)) != colour_of((0, 0, -1))
    assert colour_of((0, 9, -9)) != colour_of((0, -9, 9))
    assert colour_of((0, 9, 9)) != colour_of((0, 9, -9))
