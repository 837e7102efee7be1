"""The Task dock, driven as a person would drive it."""

import subprocess
import sys
import textwrap
from itertools import combinations

import numpy as np
import pytest
from napari.utils._proxies import PublicOnlyProxy
from qtpy.QtCore import Qt
from qtpy.QtWidgets import QApplication, QDoubleSpinBox, QFileDialog

from napari_dacapo_tasks.arrays import Channel, LabelsConfig
from napari_dacapo_tasks.tasks import (
    AffinitiesTaskConfig,
    DistanceTaskConfig,
    HotDistanceTaskConfig,
    InnerDistanceTaskConfig,
    OneHotTaskConfig,
)
from napari_dacapo_tasks.tasks.files import load_task, save_task
from napari_dacapo_tasks.tasks.preview import PreviewProgress
from napari_dacapo_tasks.widgets import live_preview
from napari_dacapo_tasks.widgets.session import Session
from napari_dacapo_tasks.widgets.task_dock import FOLLOW_MS, TaskDock

TARGET, WEIGHT, MASK = "target: objects", "weight: objects", "distance mask: objects"


class Desk:
    """A viewer with its dock, and hands."""

    def __init__(self, viewer, qtbot):
        self.viewer, self.qtbot = viewer, qtbot
        self.dock = TaskDock(viewer)
        viewer.window.add_dock_widget(self.dock, area="right")

    def until(self, condition):
        self.qtbot.waitUntil(condition)

    def settled(self):
        live, measuring = self.dock.live, self.dock._measuring
        return not (live.running or live._soon.isActive() or measuring.running)

    def settle(self):
        """Wait until nothing is going on."""
        self.until(self.settled)

    def type_into(self, name, text):
        line = self.dock.task.form.editor(name).findChild(QDoubleSpinBox)
        line.selectAll()
        self.qtbot.keyClicks(line, text)
        self.qtbot.keyClick(line, Qt.Key.Key_Return)

    def click(self, button):
        self.qtbot.mouseClick(button, Qt.MouseButton.LeftButton)

    def layer(self, name):
        return self.viewer.layers[name]

    def names(self):
        return [layer.name for layer in self.viewer.layers]

    def use_channels(self, *channels):
        self.dock.ground_truth.channels.setValue(LabelsConfig(channels=channels))
        self.settle()

    @property
    def said(self):
        return self.dock.notice.text


PLACE = {
    "scale": (8, 8, 8),
    "translate": (80, 0, 16),
    "units": ("nanometer",) * 3,
    "axis_labels": ("z", "y", "x"),
}
"""Where the balls lie; no two axes alike."""


@pytest.fixture
def balls():
    """Three balls of 6, 5 and 4 voxels' radius with the ids 1 to 3, in 32^3 voxels."""
    axes = np.indices((32, 32, 32))
    labels = np.zeros((32, 32, 32), np.uint16)
    for label, (centre, radius) in enumerate(
        [((10, 10, 10), 6), ((20, 20, 12), 5), ((18, 10, 24), 4)], start=1
    ):
        distance = sum((axis - c) ** 2 for axis, c in zip(axes, centre, strict=True))
        labels[distance <= radius**2] = label
    return labels


@pytest.fixture
def place():
    return dict(PLACE)


@pytest.fixture
def viewer(make_napari_viewer):
    return make_napari_viewer(show=False)


@pytest.fixture
def empty_desk(viewer, qtbot):
    return Desk(viewer, qtbot)


@pytest.fixture
def desk(viewer, qtbot, balls, place):
    """A dock that has previewed three balls."""
    viewer.add_labels(balls, name="balls", **place)
    desk = Desk(viewer, qtbot)
    desk.settle()
    assert desk.names() == ["balls", WEIGHT, TARGET, MASK]
    return desk


# Layers


def test_choosing_labels_previews_right_over_them(desk, balls):
    target, labels = desk.layer(TARGET), desk.layer("balls")
    np.testing.assert_array_equal(target.extent.world, labels.extent.world)
    assert target.units == labels.units
    assert target.axis_labels == labels.axis_labels
    assert target.data.shape == balls.shape
    np.testing.assert_array_equal(target.data > 0, balls > 0)
    assert tuple(target.contrast_limits) == (-1, 1)
    assert (desk.layer(TARGET).visible, desk.layer(WEIGHT).visible) == (True, False)


def test_a_preview_leaves_the_active_layer_and_its_brush(desk):
    desk.viewer.layers.selection.active = desk.layer("balls")
    desk.layer("balls").mode = "paint"
    desk.viewer.layers.remove(TARGET)
    desk.click(desk.dock.preview.preview_button)
    desk.until(lambda: TARGET in desk.viewer.layers)
    assert desk.viewer.layers.selection.active is desk.layer("balls")
    assert desk.layer("balls").mode == "paint"


def test_a_new_value_changes_the_same_layers_and_keeps_what_was_set_on_them(desk):
    target, weight = desk.layer(TARGET), desk.layer(WEIGHT)
    before = target.data
    target.colormap = "twilight"
    target.opacity = 0.3
    target.contrast_limits = (-0.5, 0.5)
    weight.visible = True
    desk.viewer.layers.move(desk.viewer.layers.index(target), 0)
    order = desk.names()
    desk.type_into("scale_factor", "64")
    desk.settle()
    assert desk.names() == order
    assert desk.layer(TARGET) is target
    assert not np.array_equal(target.data, before)
    inside = target.data > 0
    np.testing.assert_allclose(
        np.arctanh(target.data[inside].astype(float)) * 64,
        np.arctanh(before[inside].astype(float)) * desk.dock.task.proposal().scale_factor,
        rtol=1e-3,
    )
    assert target.colormap.name == "twilight"
    assert target.opacity == 0.3
    assert tuple(target.contrast_limits) == (-0.5, 0.5)
    assert weight.visible


def test_dragging_the_slider_previews(desk):
    before = desk.layer(TARGET).data
    slider = desk.dock.task.form.editor("scale_factor").slider
    for position in range(250, 400, 30):
        slider.setValue(position)
        QApplication.processEvents()
    desk.settle()
    shown = desk.dock._request.config
    assert shown == desk.dock.task.value()
    assert shown.scale_factor > desk.dock.task.proposal().scale_factor
    assert not np.array_equal(desk.layer(TARGET).data, before)


def test_a_preview_layer_that_was_deleted_comes_back_once(desk):
    desk.viewer.layers.remove(WEIGHT)
    desk.type_into("scale_factor", "50")
    desk.settle()
    assert sorted(desk.names()) == sorted(["balls", WEIGHT, TARGET, MASK])


def test_without_the_distance_mask_its_layer_goes(desk):
    desk.dock.task.form.editor("mask_distances").controls[0].click()
    desk.settle()
    assert desk.names() == ["balls", WEIGHT, TARGET]


def test_a_reopened_dock_takes_over_what_the_first_one_left(desk, qtbot):
    target = desk.layer(TARGET)
    desk.type_into("scale_factor", "50")
    desk.settle()
    desk.viewer.window.remove_dock_widget(desk.dock)
    again = Desk(desk.viewer, qtbot)
    again.settle()
    desk.layer("balls").paint((15, 27, 27), 7)
    assert desk.settled()  # the closed dock rests
    again.settle()
    assert sorted(again.names()) == sorted(["balls", WEIGHT, TARGET, MASK])
    assert again.layer(TARGET) is target
    assert again.dock.task.value().scale_factor == 50


def test_a_dock_that_comes_back_wakes_up(desk):
    desk.viewer.window.remove_dock_widget(desk.dock)
    desk.layer("balls").data = np.zeros((32, 32, 32), np.uint8)
    desk.viewer.window.add_dock_widget(desk.dock)
    desk.settle()
    assert (desk.layer(TARGET).data < 0).all()


def test_it_works_behind_the_proxy_that_plugins_get(viewer, qtbot, balls, place):
    viewer.add_labels(balls, name="balls", **place)
    dock = TaskDock(PublicOnlyProxy(viewer))
    qtbot.addWidget(dock)
    qtbot.waitUntil(lambda: TARGET in viewer.layers)
    assert Session.of(viewer).labels_layer is viewer.layers["balls"]


def test_two_dimensions(viewer, qtbot, balls):
    viewer.add_labels(balls[10], name="section", scale=(4, 4), units=("nanometer",) * 2)
    desk = Desk(viewer, qtbot)
    desk.settle()
    assert desk.layer(TARGET).data.shape == (32, 32)
    assert desk.said == ""


# Region


def test_a_box_lies_where_the_view_is_and_follows_it(desk, balls):
    desk.viewer.dims.set_current_step(0, 20)
    desk.dock.preview.size_box.setValue(16)
    desk.dock.preview.region_combo.setCurrentIndex(1)
    desk.settle()
    target, labels = desk.layer(TARGET), desk.layer("balls")
    assert target.data.shape == (16, 16, 16)
    np.testing.assert_array_equal(target.translate, labels.translate + (8 * 12, 8 * 8, 8 * 8))
    np.testing.assert_array_equal(target.data > 0, balls[12:28, 8:24, 8:24] > 0)
    desk.viewer.dims.set_current_step(0, 9)
    desk.until(lambda: target.translate[0] == labels.translate[0] + 8 * 1)
    assert desk.layer(TARGET) is target
    np.testing.assert_array_equal(target.data > 0, balls[1:17, 8:24, 8:24] > 0)
    desk.viewer.dims.set_current_step(0, 0)  # a step on, but the border keeps boxes from it
    desk.until(lambda: target.translate[0] == labels.translate[0])
    data = target.data
    desk.viewer.dims.set_current_step(0, 8)
    desk.qtbot.wait(2 * FOLLOW_MS)
    desk.settle()
    assert desk.layer(TARGET).data is data


def test_a_box_shows_what_the_whole_would_show_there(desk):
    whole = desk.layer(TARGET).data
    desk.viewer.dims.set_current_step(0, 16)
    desk.dock.preview.size_box.setValue(16)
    desk.dock.preview.region_combo.setCurrentIndex(1)
    desk.settle()
    middle = whole[8:24, 8:24, 8:24]
    sure = (desk.layer(MASK).data != 0) & (np.abs(middle) < 0.8)  # the context reaches so far
    assert sure.any()
    np.testing.assert_allclose(desk.layer(TARGET).data[sure], middle[sure], atol=1e-6)


def test_a_large_volume_starts_with_a_box(viewer, qtbot, monkeypatch):
    monkeypatch.setattr("napari_dacapo_tasks.widgets.preview_panel.LARGEST_WHOLE", 40**3)
    monkeypatch.setattr("napari_dacapo_tasks.widgets.preview_panel.BOX_SIZES", {3: 24})
    labels = np.zeros((48, 48, 48), np.uint8)
    labels[10:40, 10:40, 10:40] = 1
    viewer.add_labels(labels, name="cube")
    desk = Desk(viewer, qtbot)
    desk.settle()
    assert desk.layer(TARGET).data.shape == (24, 24, 24)


# Channels


def test_channels_are_a_layer_each_and_one_is_seen(desk, balls):
    desk.use_channels(Channel(name="big", labels=(1, 2)), Channel(name="small", labels=(3,)))
    big, small = desk.layer("target: big"), desk.layer("target: small")
    np.testing.assert_array_equal(big.data > 0, np.isin(balls, (1, 2)))
    np.testing.assert_array_equal(small.data > 0, balls == 3)
    assert (big.visible, small.visible) == (True, False)
    combo = desk.dock.preview.channel_combo
    combo.setFocus()
    desk.qtbot.keyClick(combo, Qt.Key.Key_Down)
    assert (big.visible, small.visible) == (False, True)
    assert not desk.layer("weight: small").visible
    assert desk.dock.task.value().channels == ["big", "small"]


def test_a_channel_that_is_taken_away_takes_its_layers_along(desk):
    desk.use_channels(Channel(name="big", labels=(1, 2)), Channel(name="small", labels=(3,)))
    desk.use_channels(Channel(name="big", labels=(1, 2)))
    assert desk.names() == ["balls", "weight: big", "target: big", "distance mask: big"]


def test_a_renamed_channel_renames_its_layers_unless_the_person_did(desk):
    target = desk.layer(TARGET)
    desk.layer(WEIGHT).name = "mine"
    desk.dock.ground_truth.channels.table.item(0, 0).setText("mito")
    desk.settle()
    assert target.name == "target: mito"
    assert "mine" in desk.names()


def test_many_channels_are_one_layer_whose_slider_names_the_channel(desk, balls):
    names = ["a", "b", "c", "d", "e"]
    desk.use_channels(*(Channel(name=n, labels=(1 + i % 3,)) for i, n in enumerate(names)))
    assert desk.names() == ["balls", "weight: a", "target: a", "distance mask: a"]
    target = desk.layer("target: a")
    assert target.data.shape == (5, 32, 32, 32)
    np.testing.assert_array_equal(target.translate[1:], desk.layer("balls").translate)
    assert desk.viewer.dims.axis_labels[0] == "channel"
    desk.viewer.dims.set_current_step(0, 2)
    assert target.name == "target: c"
    assert desk.dock.preview.channel_combo.currentText() == "c"
    combo = desk.dock.preview.channel_combo
    combo.setFocus()
    desk.qtbot.keyClick(combo, Qt.Key.Key_Down)
    assert desk.viewer.dims.current_step[0] == 3
    desk.use_channels(Channel(name="one"))
    assert desk.names() == ["balls", "weight: one", "target: one", "distance mask: one"]


# Every kind of task

LENGTHS = {"scale_factor": 24, "clip_distance": 80, "tol_distance": 8}
OFFSETS = [(1, 0, 0), (0, 1, 0), (0, 0, 1), (3, 0, 0), (0, 3, 0), (0, 0, 3)]
SEEN_AFTER = [
    (DistanceTaskConfig(name="d", channels=["objects"], **LENGTHS), [TARGET, MASK]),
    (InnerDistanceTaskConfig(name="i", channels=["objects"], **LENGTHS), [TARGET]),
    (
        HotDistanceTaskConfig(name="h", channels=["objects"], **LENGTHS),
        ["target: objects one-hot"],
    ),
    (OneHotTaskConfig(name="o", classes=["background", "a", "b"]), ["target: classes"]),
    (AffinitiesTaskConfig(name="a", neighborhood=OFFSETS), ["target: nearest affinities"]),
    (
        AffinitiesTaskConfig(name="l", neighborhood=OFFSETS[:3], lsds=True),
        ["target: nearest affinities"],
    ),
]
"""Tasks, and what of them is seen at first."""


def test_every_kind_of_task_is_seen_after_every_other(desk):
    labels = desk.layer("balls")
    labels.visible = False
    before = None
    for pair in combinations(SEEN_AFTER, 2):
        for config, expected in pair:
            desk.dock.task.setValue(config)
            desk.settle()
            shown = [layer.name for layer in desk.viewer.layers if layer.visible]
            assert shown == expected, (before, config)
            before = config
            assert all(
                layer.extent.world[:, -3:].tolist() == labels.extent.world.tolist()
                for layer in desk.viewer.layers
            )


def test_pictures_and_channels_of_affinities_are_chosen_in_one_list(desk):
    desk.dock.task.setValue(AffinitiesTaskConfig(name="l", neighborhood=OFFSETS[:3], lsds=True))
    desk.settle()
    combo = desk.dock.preview.channel_combo
    offered = [combo.itemText(index) for index in range(combo.count())]
    assert offered[:5] == [
        *("nearest affinities", "LSD offset", "LSD variance", "LSD correlation"),
        "z+1",
    ]
    assert combo.currentText() == "nearest affinities"
    combo.setFocus()
    desk.qtbot.keyClick(combo, Qt.Key.Key_Down)
    seen = [layer.name for layer in desk.viewer.layers if layer.visible]
    assert seen == ["balls", "target: LSD offset"]
    for _ in range(4):
        desk.qtbot.keyClick(combo, Qt.Key.Key_Down)
    seen = [layer.name for layer in desk.viewer.layers if layer.visible]
    assert seen == ["balls", "target: y+1"]
    desk.viewer.dims.set_current_step(0, 12)
    assert combo.currentText() == "LSD mass"
    assert desk.layer("target: LSD mass").visible
    desk.click(desk.dock.preview.preview_button)
    desk.settle()
    assert combo.currentText() == "LSD mass"


def test_the_partners_that_no_voxel_has_weigh_nothing(desk):
    desk.dock.task.setValue(AffinitiesTaskConfig(name="a", neighborhood=OFFSETS))
    desk.settle()
    weight = desk.layer("weight: z+1").data
    assert not weight[3, -3:].any()
    assert weight[3, :-3].all()


def test_of_many_channels_the_histogram_draws_the_one_that_is_seen(desk):
    desk.dock.task.setValue(AffinitiesTaskConfig(name="l", neighborhood=OFFSETS[:3], lsds=True))
    desk.settle()
    histogram, table = desk.dock.statistics.histogram, desk.dock.statistics.table
    drawn = [curve for curve in histogram.curves if curve.isVisible()]
    assert len(drawn) == 1
    before = drawn[0].getData()[1]
    assert "z+1" in histogram._legend.text()
    desk.viewer.dims.set_current_step(0, 12)
    assert "LSD mass" in histogram._legend.text()
    assert not np.array_equal(drawn[0].getData()[1], before)
    bold = [row for row in range(table.rowCount()) if table.item(row, 0).font().bold()]
    assert [table.item(row, 0).text() for row in bold] == ["LSD mass"]
    desk.dock.task.setValue(DistanceTaskConfig(name="d", channels=["objects"], **LENGTHS))
    desk.settle()
    assert [curve.isVisible() for curve in histogram.curves] == [True]
    assert "objects" in histogram._legend.text()


def test_classes_have_one_colour_in_layer_legend_and_table(desk):
    desk.dock.task.setValue(OneHotTaskConfig(name="o", classes=["background", "a", "b"]))
    desk.settle()
    layer = desk.layer("target: classes")
    assert (layer.data == 3).any()  # the third ball is of no class
    table, legend = desk.dock.statistics.table, desk.dock.statistics.histogram._legend
    for row, name in ((1, "a"), (2, "b")):
        colour = table.item(row, 0).data(Qt.ItemDataRole.DecorationRole).name()
        assert f'{colour}">■</span>&nbsp;{name}' in legend.text()
        rgb = [round(255 * part) for part in layer.get_color(row)[:3]]
        assert "#" + "".join(f"{part:02x}" for part in rgb) == colour
    assert "3 classes" in desk.said


# Pins


def test_pins_keep_previews_to_compare(desk):
    desk.type_into("scale_factor", "50")
    desk.settle()
    data = desk.layer(TARGET).data
    desk.click(desk.dock.preview.pin_button)
    assert desk.names() == [
        "balls",
        f"{WEIGHT} [scale 50 nm]",
        f"{TARGET} [scale 50 nm]",
        f"{MASK} [scale 50 nm]",
        WEIGHT,
        TARGET,
        MASK,
    ]
    desk.type_into("scale_factor", "90")
    desk.settle()
    desk.click(desk.dock.preview.pin_button)
    desk.type_into("scale_factor", "30")
    desk.settle()
    pinned = desk.layer(f"{TARGET} [scale 50 nm]")
    np.testing.assert_array_equal(pinned.data, data)
    np.testing.assert_array_equal(pinned.translate, desk.layer("balls").translate)
    assert f"{TARGET} [scale 90 nm]" in desk.names()
    assert len(desk.names()) == 10


# Statistics


def test_statistics_of_each_channel(desk, balls):
    table = desk.dock.statistics.table

    def row(index):
        return [table.item(index, column).text() for column in range(table.columnCount())]

    share = f"{100 * (balls > 0).mean():.1f}%"
    assert row(0)[:2] == ["objects", share]
    assert float(row(0)[2].rstrip("%")) > 0
    low, high = (float(weight) for weight in row(0)[3].split("–"))
    assert 0 < low < 1 < high
    summary = desk.dock.statistics.summary
    assert summary.text().startswith("32 x 32 x 32 voxels, in ")
    desk.dock.ground_truth.channels.zero_box.click()
    desk.settle()
    unknown = f"{100 * (balls == 0).mean():.1f}%"
    assert row(0)[1] == "100.0%"
    assert f"{unknown} of them unknown" in summary.text()


def test_the_histogram_updates_its_curve(desk):
    histogram = desk.dock.statistics.histogram
    items = len(histogram.plot.getPlotItem().items)
    before = histogram.curves[0].getData()[1]
    assert before.sum() == pytest.approx(100)
    desk.type_into("scale_factor", "80")
    desk.settle()
    assert len(histogram.plot.getPlotItem().items) == items
    assert not np.array_equal(histogram.curves[0].getData()[1], before)
    histogram.log_box.click()
    assert np.isfinite(histogram.curves[0].getData()[1]).all()


def test_a_channel_without_objects_is_named(desk):
    desk.use_channels(Channel(name="balls", labels=(1, 2)), Channel(name="golgi", labels=(77,)))
    assert desk.said == "There is no object of golgi in this region."
    desk.use_channels(Channel(name="balls"))
    assert desk.said == ""


def test_both_themes(desk):
    for theme in ("light", "dark"):
        desk.viewer.theme = theme
        colour = desk.dock.statistics.histogram.plot.backgroundBrush().color()
        assert (colour.lightness() > 128) == (theme == "light")


# Parameters


def test_labels_propose_parameters_that_fit_them(desk):
    config = desk.dock.task.value()
    assert 8 <= config.scale_factor <= 48  # the balls are 32 to 48 nm in radius
    assert desk.dock.task.form._rows["scale_factor"].label.text() == "Scale factor (nm)"


def test_layers_without_units_are_in_voxels(viewer, qtbot, balls):
    viewer.add_labels(balls, name="balls")
    desk = Desk(viewer, qtbot)
    desk.settle()
    assert desk.dock.task.form._rows["scale_factor"].label.text() == "Scale factor (voxels)"
    assert 2 <= desk.dock.task.value().scale_factor <= 8


def test_entered_parameters_stay_when_the_ground_truth_changes_until_reset(desk, balls):
    desk.type_into("scale_factor", "33")
    desk.viewer.add_labels(balls, name="coarse", scale=(40, 40, 40), units=("nanometer",) * 3)
    desk.dock.ground_truth.labels_combo.set_layer(desk.layer("coarse"))
    desk.settle()
    assert desk.dock.task.value().scale_factor == 33
    desk.click(desk.dock.task.reset_button)
    assert desk.dock.task.value() == desk.dock.task.proposal()
    assert desk.dock.task.value().scale_factor >= 80
    desk.settle()


def test_a_refused_value_previews_nothing_and_the_others_are_told(desk):
    data = desk.layer(TARGET).data
    desk.type_into("scale_factor", "-3")
    desk.settle()
    assert Session.of(desk.viewer).task is None
    assert desk.layer(TARGET).data is data
    assert not desk.dock.task.save_button.isEnabled()
    desk.click(desk.dock.preview.preview_button)
    assert desk.said == "Mend what is red first."


def test_a_scale_below_a_voxel_is_refused_with_the_voxel(desk):
    desk.type_into("scale_factor", "1")
    desk.until(lambda: "less than a voxel" in desk.said)
    desk.type_into("scale_factor", "40")
    desk.settle()
    assert desk.said == ""


def test_save_and_load(desk, tmp_path, monkeypatch):
    path = tmp_path / "task.yaml"
    chosen = (str(path.with_suffix("")), "")  # the ending comes by itself
    monkeypatch.setattr(QFileDialog, "getSaveFileName", lambda *_: chosen)
    desk.type_into("scale_factor", "44")
    desk.click(desk.dock.task.save_button)
    assert load_task(path) == desk.dock.task.value()
    desk.click(desk.dock.task.reset_button)
    monkeypatch.setattr(QFileDialog, "getOpenFileName", lambda *_: (str(path), ""))
    desk.click(desk.dock.task.load_button)
    assert desk.dock.task.value() == load_task(path)
    desk.settle()


def test_the_channels_of_a_file_go_into_the_table(desk, tmp_path):
    desk.use_channels(Channel(name="er", labels=(3,)), Channel(name="x", labels=(1,)))
    config = DistanceTaskConfig(
        name="t", channels=["mito", "er"], scale_factor=30, clip_distance=9, tol_distance=8
    )
    save_task(config, tmp_path / "t.yaml")
    desk.dock.task.load(tmp_path / "t.yaml")
    desk.settle()
    assert desk.dock.task.value() == config
    assert [c.name for c in desk.dock.ground_truth.labels_config.channels] == ["mito", "er"]
    assert desk.dock.ground_truth.labels_config.channels[1].labels == (3,)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (
            "{__type__: DistanceTaskConfig, name: a, channels: [a], clip_distance: 9, "
            "tol_distance: 9, scale_facto: 3}",
            "did you mean scale_factor?",
        ),
        ("__type__: NoTask\n", "unknown type NoTask"),
        ("- 1\n", "does not hold named values"),
    ],
)
def test_a_bad_file_is_one_sentence_and_changes_nothing(desk, tmp_path, text, said):
    before = desk.dock.task.value()
    path = tmp_path / "bad.yaml"
    path.write_text(text)
    desk.dock.task.load(path)
    assert said in desk.said
    assert desk.dock.task.value() == before


def test_a_folder_that_cannot_be_written_is_a_sentence(desk, tmp_path):
    desk.dock.task.save(tmp_path / "missing" / "task.yaml")
    assert "cannot be written" in desk.said


# Live


def test_painting_undo_and_new_data_refresh_the_preview(desk, balls):
    target, labels = desk.layer(TARGET), desk.layer("balls")
    before = target.data
    labels.n_edit_dimensions = 3
    labels.brush_size = 5
    labels.paint((27, 27, 27), 7)
    desk.until(lambda: target.data[27, 27, 27] > 0)
    labels.undo()
    desk.until(lambda: target.data[27, 27, 27] < 0)
    np.testing.assert_array_equal(target.data, before)
    labels.redo()
    desk.until(lambda: target.data[27, 27, 27] > 0)
    labels.data = np.flip(balls, 0).copy()
    desk.settle()
    np.testing.assert_array_equal(target.data > 0, np.flip(balls, 0) > 0)


def test_looking_around_in_the_whole_volume_previews_nothing(desk):
    data = desk.layer(TARGET).data
    for step in (3, 9, 20):
        desk.viewer.dims.set_current_step(0, step)
    desk.qtbot.wait(100)
    desk.settle()
    assert desk.layer(TARGET).data is data


def test_without_live_only_the_button_previews(desk):
    desk.dock.preview.live_box.click()
    data = desk.layer(TARGET).data
    desk.type_into("scale_factor", "60")
    desk.qtbot.wait(100)
    desk.settle()
    assert desk.layer(TARGET).data is data
    desk.click(desk.dock.preview.preview_button)
    desk.settle()
    assert desk.layer(TARGET).data is not data


class Slow:
    """A preview that goes on until it is let go or left."""

    def __init__(self):
        self.let_go, self.left, self.begun = False, 0, 0

    def __call__(self, config, ground_truth, roi):
        import time

        self.begun += 1
        try:
            while not self.let_go:
                time.sleep(0.01)
                yield PreviewProgress(0.4, "Making the target")
        except GeneratorExit:
            self.left += 1
            raise
        yield from self.real(config, ground_truth, roi)


@pytest.fixture
def slow(monkeypatch):
    slow = Slow()
    slow.real = live_preview.preview
    monkeypatch.setattr(live_preview, "preview", slow)
    yield slow
    slow.let_go = True


def test_progress_is_shown_for_long_work_and_cancel_leaves_it(desk, slow):
    data = desk.layer(TARGET).data
    desk.click(desk.dock.preview.preview_button)
    assert not desk.dock.preview.bar.isVisibleTo(desk.dock)
    desk.until(lambda: desk.dock.preview.bar.isVisibleTo(desk.dock))
    assert (desk.dock.preview.bar.value(), desk.dock.preview.bar.text()) == (
        40,
        "Making the target",
    )
    desk.click(desk.dock.preview.cancel_button)
    desk.settle()
    assert slow.left == 1
    assert not desk.dock.preview.bar.isVisibleTo(desk.dock)
    assert desk.layer(TARGET).data is data


def test_long_work_for_an_old_value_is_left(desk, slow, monkeypatch):
    monkeypatch.setattr(live_preview, "QUICK", 0)
    desk.type_into("scale_factor", "50")
    desk.until(lambda: slow.begun == 1)
    desk.type_into("scale_factor", "60")
    desk.until(lambda: slow.begun == 2)
    slow.let_go = True
    desk.settle()
    assert slow.left == 1
    assert desk.dock._request.config.scale_factor == 60


def test_the_answer_for_another_ground_truth_is_dropped(desk, slow, balls):
    desk.click(desk.dock.preview.preview_button)
    desk.until(lambda: slow.begun == 1)
    desk.viewer.add_labels(np.flip(balls, 0).copy(), name="other", **{"scale": (8, 8, 8)})
    desk.dock.preview.live_box.click()
    desk.dock.ground_truth.labels_combo.set_layer(desk.layer("other"))
    before = desk.layer(TARGET).data
    slow.let_go = True
    desk.settle()
    assert desk.layer(TARGET).data is before


def test_the_ground_truth_removed_during_a_preview(desk, slow):
    desk.click(desk.dock.preview.preview_button)
    desk.until(lambda: slow.begun == 1)
    desk.viewer.layers.remove("balls")
    slow.let_go = True
    desk.settle()
    assert desk.said == "The ground truth 'balls' was removed: choose another layer."
    assert Session.of(desk.viewer).labels_layer is None


def test_layers_renamed_and_removed_during_a_preview(desk, slow):
    desk.click(desk.dock.preview.preview_button)
    desk.until(lambda: slow.begun == 1)
    desk.layer("balls").name = "kugeln"
    desk.viewer.layers.remove(TARGET)
    slow.let_go = True
    desk.settle()
    assert sorted(desk.names()) == sorted(["kugeln", WEIGHT, MASK, TARGET])
    assert desk.dock.ground_truth.labels_combo.currentText() == "kugeln"


def test_a_viewer_closed_during_a_preview(desk, slow):
    desk.click(desk.dock.preview.preview_button)
    desk.until(lambda: slow.begun == 1)
    desk.viewer.close()
    desk.until(lambda: slow.left == 1)


def test_our_own_mistakes_keep_their_traceback_behind_a_button(desk, monkeypatch):
    def broken(config, ground_truth, roi):
        yield PreviewProgress(0, "")
        raise RuntimeError("out of luck")

    monkeypatch.setattr(live_preview, "preview", broken)
    desk.click(desk.dock.preview.preview_button)
    desk.until(lambda: "out of luck" in desk.said)
    assert "RuntimeError" in desk.said
    monkeypatch.undo()
    desk.click(desk.dock.preview.preview_button)
    desk.settle()
    assert desk.said == ""


# Bad input


def test_an_image_is_never_chosen_by_itself_and_a_float_one_not_offered(empty_desk, balls):
    viewer, combo = empty_desk.viewer, empty_desk.dock.ground_truth.labels_combo
    viewer.add_image(balls.astype(np.uint8), name="raw")
    viewer.add_image(balls.astype(float), name="prediction")
    assert [combo.itemText(i) for i in range(combo.count())] == ["choose a layer", "raw"]
    assert combo.layer() is None
    empty_desk.click(empty_desk.dock.preview.preview_button)
    assert empty_desk.said == "Choose the layer of the ground truth first."
    combo.set_layer(viewer.layers["raw"])
    empty_desk.settle()
    assert TARGET in viewer.layers


def test_labels_that_come_later_are_chosen_and_previews_are_not_offered(empty_desk, balls):
    empty_desk.viewer.add_labels(balls, name="balls")
    empty_desk.settle()
    assert TARGET in empty_desk.viewer.layers
    for combo in (
        empty_desk.dock.ground_truth.labels_combo,
        empty_desk.dock.ground_truth.mask_combo,
    ):
        offered = [combo.itemText(i) for i in range(combo.count())]
        assert offered[1:] == ["balls"]


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"rotate": (10, 0, 0)}, "rotated or sheared"),
        ({"shear": (0.2, 0, 0)}, "rotated or sheared"),
        ({"axis_labels": ("t", "y", "x")}, "time axis of 32 points"),
        ({"units": ("second", "nanometer", "nanometer")}, "is no length"),
        ({"scale": (8.12345, 8, 8), "units": ("nanometer",) * 3}, "set its scale to 8.123 nm"),
    ],
)
def test_labels_that_lie_badly_are_refused_with_a_sentence(empty_desk, balls, options, said):
    empty_desk.viewer.add_labels(balls, name="balls", **options)
    empty_desk.settle()
    assert said in empty_desk.said
    assert TARGET not in empty_desk.viewer.layers


def test_negative_labels_are_refused_until_they_are_the_ignore_id(empty_desk, balls):
    labels = balls.astype(np.int16)
    labels[:4] = -1
    empty_desk.viewer.add_labels(labels, name="balls")
    empty_desk.settle()
    assert "negative label -1" in empty_desk.said
    line = empty_desk.dock.ground_truth.channels.ignore_line
    empty_desk.qtbot.keyClicks(line, "-1")
    empty_desk.qtbot.keyClick(line, Qt.Key.Key_Return)
    empty_desk.settle()
    assert empty_desk.said == ""
    assert not empty_desk.layer(WEIGHT).data[:4].any()


def test_a_mask_decides_what_is_known(desk, balls, place):
    mask = np.zeros(balls.shape, np.uint8)
    mask[:, :, :20] = 1
    desk.viewer.add_labels(mask, name="known", **place)
    desk.dock.ground_truth.mask_combo.set_layer(desk.layer("known"))
    desk.settle()
    assert Session.of(desk.viewer).mask_layer is desk.layer("known")
    assert not desk.layer(WEIGHT).data[:, :, 20:].any()


@pytest.mark.parametrize(
    ("mask", "options", "said"),
    [
        (1, {"scale": (4, 4, 4)}, "bring both to the same voxel size"),
        (1, {"translate": (8000, 0, 0)}, "do not overlap"),
        (0, {}, "Nothing is known in this region"),
        (1, {"rotate": (10, 0, 0)}, "rotated or sheared"),
        (1, {"units": ("pixel",) * 3}, "give all of it the same units"),
    ],
)
def test_a_mask_that_does_not_fit_is_a_sentence_until_it_is_taken_back(
    desk, balls, place, mask, options, said
):
    values = np.full(balls.shape, mask, np.uint8)
    desk.viewer.add_labels(values, name="known", **{**place, **options})
    desk.dock.ground_truth.mask_combo.set_layer(desk.layer("known"))
    desk.until(lambda: said in desk.said)
    desk.dock.ground_truth.mask_combo.set_layer(None)
    desk.settle()
    assert desk.said == ""


def test_a_layer_that_is_rotated_later_is_told(desk):
    desk.layer("balls").rotate = (20, 0, 0)
    desk.until(lambda: "rotated or sheared" in desk.said)
    desk.layer("balls").rotate = (0, 0, 0)
    desk.settle()
    assert desk.said == ""


def test_labels_without_any_object(empty_desk):
    empty_desk.viewer.add_labels(np.zeros((20, 20, 20), np.uint8), name="empty")
    empty_desk.settle()
    assert empty_desk.said == "There is no object of objects in this region."


def test_opening_the_dock_and_previewing_imports_no_torch():
    script = """
        import sys
        import napari, numpy
        from qtpy.QtWidgets import QApplication
        from napari_dacapo_tasks.widgets.task_dock import FOLLOW_MS, TaskDock
        viewer = napari.Viewer(show=False)
        labels = numpy.zeros((20, 20, 20), int)
        labels[5:15, 5:15, 5:15] = 1
        viewer.add_labels(labels, name="cube")
        viewer.window.add_dock_widget(TaskDock(viewer))
        while "target: objects" not in viewer.layers:
            QApplication.processEvents()
        assert "torch" not in sys.modules
        viewer.close()
        print("fine")
    """
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(script)],
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.stdout.strip().endswith("fine"), done.stderr
