"""The task panel: every kind of task, switched, edited, saved and loaded as a person would."""

import numpy as np
import pytest
import torch
from qtpy.QtCore import Qt
from qtpy.QtWidgets import QCheckBox, QDoubleSpinBox, QFileDialog, QLabel, QLineEdit, QSpinBox

from napari_dacapo_tasks.arrays import Array, Channel, GroundTruth, LabelsConfig
from napari_dacapo_tasks.tasks import (
    TASKS,
    AffinitiesTaskConfig,
    DistanceTaskConfig,
    HotDistanceTaskConfig,
    InnerDistanceTaskConfig,
    Measured,
    OneHotTaskConfig,
    PretrainedTaskConfig,
)
from napari_dacapo_tasks.tasks.files import load_task, save_task
from napari_dacapo_tasks.widgets.measurement import measure
from napari_dacapo_tasks.widgets.session import Session
from napari_dacapo_tasks.widgets.task_dock import TaskDock
from napari_dacapo_tasks.widgets.task_panel import TaskPanel, describe

MEASURED = Measured((8.0, 8.0, 8.0), 60.0, largest_label=3)
LENGTHS = {"scale_factor": 33, "clip_distance": 99, "tol_distance": 12}

DISTANCE = DistanceTaskConfig(name="d", channels=["mito", "er"], mask_distances=False, **LENGTHS)
AFFINITIES = AffinitiesTaskConfig(
    name="a", neighborhood=[(1, 0, 0), (0, -5, 0)], lsds=True, num_lsd_voxels=4
)


class Hand:
    """A panel that knows its ground truth, and a hand that uses it."""

    def __init__(self, panel, qtbot):
        self.panel, self.qtbot = panel, qtbot
        self.wanted, self.failures, self.loaded = [], [], []
        panel.channelsWanted.connect(self.wanted.append)
        panel.failed.connect(lambda error: self.failures.append(str(error)))
        panel.channelsLoaded.connect(self.loaded.append)

    def choose(self, kind, chooser=None):
        combo = (chooser or self.panel.chooser).type_combo
        combo.setFocus()
        self.qtbot.keyClick(combo, Qt.Key.Key_Home)
        while combo.currentText() != kind.title:
            self.qtbot.keyClick(combo, Qt.Key.Key_Down)

    def type_into(self, name, text, kind=QLineEdit, form=None):
        line = (form or self.panel.form).editor(name).findChild(kind)
        line.selectAll()
        self.qtbot.keyClick(line, Qt.Key.Key_Backspace)
        self.qtbot.keyClicks(line, text)
        self.qtbot.keyClick(line, Qt.Key.Key_Return)

    def click(self, button):
        self.qtbot.mouseClick(button, Qt.MouseButton.LeftButton)

    @property
    def value(self):
        return self.panel.value()

    @property
    def said(self):
        labels = self.panel.findChildren(QLabel)
        return [one.text() for one in labels if one.property("refusal") and one.isVisible()]


@pytest.fixture
def hand(qtbot):
    panel = TaskPanel(["mito", "er"])
    qtbot.addWidget(panel)
    panel.resize(340, 900)
    panel.show()
    panel.setMeasured(MEASURED)
    return Hand(panel, qtbot)


@pytest.fixture
def checkpoint(tmp_path):
    path = tmp_path / "first.pt"
    torch.save({"model": {}}, path)
    return path


@pytest.fixture
def pretrained(checkpoint):
    return PretrainedTaskConfig(
        name="p", sub_task_config=AFFINITIES, weights=str(checkpoint), new_head=True
    )


# All kinds


def test_every_task_but_the_dummy_is_offered(hand):
    combo = hand.panel.type_combo
    offered = [combo.itemText(place) for place in range(combo.count())]
    assert offered == [kind.title for kind in TASKS]
    assert "Dummy" not in offered


@pytest.mark.parametrize("kind", TASKS)
def test_every_task_starts_from_what_fits_the_ground_truth(hand, kind):
    hand.choose(kind)
    assert type(hand.value) is kind
    assert hand.value == hand.panel.proposal()
    assert hand.said == []
    if hand.panel.wants_channels:
        assert hand.value.ground_truth_channels == ["mito", "er"]


@pytest.mark.parametrize(
    "config",
    [
        DISTANCE,
        InnerDistanceTaskConfig(name="i", channels=["er"], **LENGTHS),
        HotDistanceTaskConfig(name="h", channels=["er", "golgi"], kernel_size=3, **LENGTHS),
        OneHotTaskConfig(name="o", classes=["background", "mito", "er"], kernel_size=1),
        AFFINITIES,
    ],
    ids=lambda config: type(config).__name__,
)
def test_a_task_file_goes_into_the_form_and_back(hand, tmp_path, monkeypatch, config):
    save_task(config, tmp_path / "task.yaml")
    monkeypatch.setattr(
        QFileDialog, "getOpenFileName", lambda *_: (str(tmp_path / "task.yaml"), "")
    )
    monkeypatch.setattr(QFileDialog, "getSaveFileName", lambda *_: (str(tmp_path / "again"), ""))
    hand.click(hand.panel.load_button)
    assert hand.failures == []
    assert hand.value == config
    chosen = "channels" in type(config).model_fields
    assert hand.loaded == ([config.channels] if chosen else [])
    hand.click(hand.panel.save_button)
    assert load_task(tmp_path / "again.yaml") == config


def test_a_loaded_task_is_not_replaced_by_a_new_ground_truth(hand):
    hand.panel.setValue(AFFINITIES)
    assert not hand.panel.setMeasured(Measured((4.0, 4.0, 4.0), 20.0))
    assert hand.value == AFFINITIES
    hand.click(hand.panel.reset_button)
    assert hand.value == hand.panel.proposal()
    assert hand.panel.setMeasured(MEASURED)


@pytest.mark.parametrize("nested", [False, True])
def test_a_dummy_task_is_not_loaded(hand, tmp_path, nested):
    dummy = "{__type__: DummyTaskConfig, name: a, embedding_dims: 1, detection_threshold: 0.5}"
    if nested:
        dummy = (
            f"{{__type__: PretrainedTaskConfig, name: b, weights: '', sub_task_config: {dummy}}}"
        )
    path = tmp_path / "dummy.yaml"
    path.write_text(dummy)
    before = hand.value
    hand.panel.load(path)
    assert hand.failures == [
        f"{path} holds a dummy task, which is for tests only: load another one."
    ]
    assert hand.value == before


# Switching


def test_each_kind_keeps_what_was_entered_for_it(hand):
    hand.type_into("scale_factor", "44", QDoubleSpinBox)
    hand.choose(HotDistanceTaskConfig)
    assert hand.value == hand.panel.proposal()
    hand.type_into("scale_factor", "55", QDoubleSpinBox)
    hand.choose(AffinitiesTaskConfig)
    hand.choose(DistanceTaskConfig)
    assert hand.value.scale_factor == 44
    hand.choose(HotDistanceTaskConfig)
    assert hand.value.scale_factor == 55


def test_kinds_that_were_not_touched_follow_the_ground_truth_out_of_sight(hand):
    hand.choose(HotDistanceTaskConfig)
    hand.choose(DistanceTaskConfig)
    hand.type_into("scale_factor", "44", QDoubleSpinBox)
    hand.panel.setMeasured(Measured((40.0, 4.0, 4.0), 600.0))
    assert hand.value.scale_factor == 44
    hand.choose(HotDistanceTaskConfig)
    assert hand.value.scale_factor == 300


def test_two_dimensional_data_change_a_neighbourhood_that_was_not_touched(hand):
    hand.choose(AffinitiesTaskConfig)
    assert {len(offset) for offset in hand.value.neighborhood} == {3}
    hand.panel.setMeasured(Measured((4.0, 4.0), 40.0))
    assert {len(offset) for offset in hand.value.neighborhood} == {2}
    assert hand.said == []
    hand.click(hand.panel.form.editor("neighborhood").add_button)
    hand.panel.setMeasured(MEASURED)
    assert hand.value is None
    assert hand.said == [
        "These offsets have 2 numbers and the ground truth has 3 axes (z, y, x): choose a preset"
    ]
    assert not hand.panel.save_button.isEnabled()
    hand.click(hand.panel.reset_button)
    assert {len(offset) for offset in hand.value.neighborhood} == {3}


def test_a_name_that_was_typed_goes_along(hand):
    hand.choose(AffinitiesTaskConfig)
    assert hand.value.name == "labels_affs"
    hand.choose(DistanceTaskConfig)
    assert hand.value.name == "mito_er_distance"
    hand.type_into("name", "block 7")
    hand.choose(AffinitiesTaskConfig)
    assert hand.value.name == "block 7"
    hand.panel.setMeasured(MEASURED)
    assert hand.value.name == "block 7"
    hand.click(hand.panel.reset_button)
    assert hand.value.name == "labels_affs"
    hand.choose(DistanceTaskConfig)
    assert hand.value.name == "block 7"


def test_channels_are_wanted_only_by_tasks_that_choose_them(hand):
    hand.choose(AffinitiesTaskConfig)
    hand.panel.setChannels(["labels"])
    hand.choose(OneHotTaskConfig)
    hand.choose(DistanceTaskConfig)
    changes = list(zip([True, *hand.wanted], hand.wanted, strict=False))
    assert all(before != after for before, after in changes)
    assert hand.wanted[-1]
    assert hand.value.channels == ["mito", "er"]


def test_channels_are_asked_for_before_the_task_is_told(hand):
    said = []
    hand.panel.channelsWanted.connect(lambda wanted: said.append(wanted))
    hand.panel.valueChanged.connect(lambda config: said.append(type(config)))
    hand.panel.setValue(AFFINITIES)
    assert said == [False, AffinitiesTaskConfig]


# Affinities and classes


def test_what_belongs_to_descriptors_is_grey_without_them(hand):
    hand.choose(AffinitiesTaskConfig)
    form = hand.panel.form
    belong = ["num_lsd_voxels", "downsample_lsds", "lsds_to_affs_weight_ratio"]
    belong += ["lsd_weight_clipmin", "lsd_weight_clipmax"]
    assert not any(form.editor(name).isEnabled() for name in belong)
    assert form.editor("affs_weight_clipmin").isEnabled()
    form.editor("lsds").findChild(QCheckBox).click()
    assert all(form.editor(name).isEnabled() for name in belong)
    hand.type_into("num_lsd_voxels", "7", QSpinBox)
    assert hand.value.num_lsd_voxels == 7


@pytest.mark.parametrize(
    ("largest", "classes"),
    [
        (None, ["background", "objects"]),
        (0, ["background", "objects"]),
        (1, ["background", "objects"]),
        (3, ["background", "class 1", "class 2", "class 3"]),
        (31, ["background", *(f"class {label}" for label in range(1, 32))]),
        (32, ["background", "objects"]),
        (2**64 - 1, ["background", "objects"]),
    ],
)
def test_a_class_is_proposed_for_each_label_of_a_few(hand, largest, classes):
    hand.choose(OneHotTaskConfig)
    hand.panel.setMeasured(Measured((8.0, 8.0, 8.0), 60.0, largest_label=largest))
    assert hand.value.classes == classes


def test_the_largest_label_is_measured_where_labels_are_whole():
    labels = np.zeros((8, 8, 8), np.uint64)
    labels[2:5, 2:5, 2:5] = 2**64 - 1
    labels[6:, 6:, 6:] = 7

    def measured(*channels):
        truth = GroundTruth(
            Array(labels, axes="zyx", voxel_size=(8, 8, 8)), LabelsConfig(channels=channels)
        )
        steps = measure(truth)
        while True:
            try:
                next(steps)
            except StopIteration as stop:
                return stop.value

    assert measured(Channel(name="labels")).largest_label == 2**64 - 1
    assert measured(Channel(name="a", labels=(7,))).largest_label is None


# Pretrained


def test_a_pretrained_task_goes_into_the_form_and_back(hand, tmp_path, pretrained):
    save_task(pretrained, tmp_path / "task.yaml")
    hand.panel.load(tmp_path / "task.yaml")
    assert hand.failures == []
    assert hand.value == pretrained
    assert hand.loaded == []
    assert hand.wanted == [False]
    hand.panel.save(tmp_path / "again.yaml")
    assert load_task(tmp_path / "again.yaml") == pretrained


def test_the_channels_of_a_pretrained_task_are_those_of_the_ground_truth(hand, tmp_path):
    hand.panel.setValue(PretrainedTaskConfig(name="q", sub_task_config=AFFINITIES, weights=""))
    config = PretrainedTaskConfig(name="p", sub_task_config=DISTANCE, weights="")
    save_task(config, tmp_path / "task.yaml")
    hand.panel.load(tmp_path / "task.yaml")
    assert hand.loaded == [["mito", "er"]]
    assert hand.value == config
    hand.panel.setChannels(["golgi"])
    assert hand.value.sub_task_config == DISTANCE.with_channels(["golgi"])


def test_the_task_inside_is_chosen_and_edited(hand):
    hand.choose(PretrainedTaskConfig)
    inside = hand.panel.form.sub_task.chooser
    offered = [inside.type_combo.itemText(place) for place in range(inside.type_combo.count())]
    assert offered == [kind.title for kind in TASKS if kind is not PretrainedTaskConfig]
    hand.type_into("scale_factor", "44", QDoubleSpinBox, inside.form)
    assert hand.value.sub_task_config.scale_factor == 44
    hand.choose(AffinitiesTaskConfig, inside)
    assert hand.wanted[-1] is False
    assert hand.value.sub_task_config == inside.proposal()
    hand.click(inside.form.editor("neighborhood").remove_button)
    assert len(hand.value.sub_task_config.neighborhood) + 1 == len(inside.proposal().neighborhood)
    hand.choose(DistanceTaskConfig, inside)
    assert hand.wanted[-1] is True
    assert hand.value.sub_task_config.scale_factor == 44


def test_reset_keeps_the_kind_inside_and_the_checkpoint(hand, pretrained):
    hand.panel.setValue(pretrained)
    hand.click(hand.panel.reset_button)
    assert hand.value == hand.panel.proposal()
    assert hand.value.weights == pretrained.weights
    assert isinstance(hand.value.sub_task_config, AffinitiesTaskConfig)
    assert hand.value.sub_task_config != AFFINITIES
    assert not hand.value.new_head


def test_the_task_inside_follows_the_ground_truth_until_it_is_touched(hand):
    hand.choose(PretrainedTaskConfig)
    hand.panel.setMeasured(Measured((40.0, 4.0, 4.0), 600.0))
    assert hand.value.sub_task_config.scale_factor == 300
    inside = hand.panel.form.sub_task.chooser
    hand.type_into("scale_factor", "44", QDoubleSpinBox, inside.form)
    hand.panel.setMeasured(MEASURED)
    assert hand.value.sub_task_config.scale_factor == 44
    hand.choose(AffinitiesTaskConfig, inside)
    hand.panel.setMeasured(Measured((40.0, 4.0, 4.0), 600.0))
    assert hand.value.sub_task_config == inside.proposal()
    assert (0, 27, 0) in hand.value.sub_task_config.neighborhood


def test_what_is_refused_inside_is_said_once_and_where_it_is(hand):
    hand.choose(PretrainedTaskConfig)
    inside = hand.panel.form.sub_task.chooser.form
    hand.type_into("scale_factor", "-1", QDoubleSpinBox, inside)
    assert hand.value is None
    assert hand.said == ["Must be greater than 0"]
    assert hand.panel.form.refusals == {"sub_task_config": "Scale factor must be greater than 0"}


def test_lengths_inside_have_the_unit_of_the_ground_truth(hand):
    hand.choose(PretrainedTaskConfig)
    shown = [label.text() for label in hand.panel.findChildren(QLabel) if label.isVisible()]
    assert "Scale factor (nm)" in shown
    hand.panel.setMeasured(Measured((1.0, 1.0, 1.0), 6.0, "voxels"))
    shown = [label.text() for label in hand.panel.findChildren(QLabel) if label.isVisible()]
    assert "Scale factor (voxels)" in shown


def test_a_checkpoint_that_is_not_there_is_red_with_a_sentence(hand, checkpoint, monkeypatch):
    hand.choose(PretrainedTaskConfig)
    assert hand.value.weights == ""
    missing = checkpoint.with_name("missing.pt")
    hand.type_into("weights", str(missing))
    assert hand.value is None
    assert hand.said == [f"There is no file {missing}: choose another checkpoint"]
    editor = hand.panel.form.checkpoint
    assert editor.line.property("refused")
    monkeypatch.setattr(QFileDialog, "getOpenFileName", lambda *_: (str(checkpoint), ""))
    hand.click(editor.browse_button)
    assert hand.value.weights == str(checkpoint)
    assert hand.said == []
    hand.type_into("weights", "")
    assert hand.value.weights == ""


def test_of_a_run_folder_the_latest_checkpoint_is_taken(hand, make_run, tmp_path):
    run = make_run()
    hand.choose(PretrainedTaskConfig)
    hand.type_into("weights", str(run.path))
    assert hand.said == [f"The run {run.path} has no checkpoint yet: train it first"]
    for iteration in (4, 8):
        run.save_checkpoint({"model": {}}, iteration)
    latest = str(run.path / "checkpoints" / "000008.pt")
    for folder in (run.path, run.path / "checkpoints"):
        hand.type_into("weights", str(folder))
        assert hand.value.weights == latest
        assert hand.panel.form.checkpoint.line.text() == latest
    hand.type_into("weights", str(tmp_path))
    assert hand.said == [f"{tmp_path} is no run folder: choose a checkpoint file"]


# In the dock


@pytest.fixture
def dock(make_napari_viewer, qtbot, balls, place):
    viewer = make_napari_viewer(show=False)
    viewer.add_labels(balls, name="balls", **place)
    dock = TaskDock(viewer)
    viewer.window.add_dock_widget(dock, area="right")
    dock.preview.live_box.setChecked(False)
    qtbot.waitUntil(lambda: not dock._measuring.running)
    return dock


def test_the_table_of_channels_gives_way_and_comes_back_as_it_was(dock, qtbot):
    chosen = LabelsConfig(
        channels=(Channel(name="big", labels=(1, 2)), Channel(name="small", labels=(3,)))
    )
    dock.ground_truth.channels.setValue(chosen)
    hand = Hand(dock.task, qtbot)
    session = Session.of(dock._viewer)
    hand.choose(AffinitiesTaskConfig)
    assert not dock.ground_truth.channels.table.isVisibleTo(dock)
    assert session.labels_config.channels == (Channel(name="labels"),)
    assert session.task.ground_truth_channels == ["labels"]
    dock.ground_truth.channels.zero_box.click()
    assert session.labels_config.zero_is_unlabelled
    hand.choose(OneHotTaskConfig)
    qtbot.waitUntil(lambda: not dock._measuring.running)
    assert session.task.classes == ["background", "class 1", "class 2", "class 3"]
    hand.choose(DistanceTaskConfig)
    assert session.labels_config == chosen.model_copy(update={"zero_is_unlabelled": True})
    assert session.task.channels == ["big", "small"]
    assert dock.ground_truth.channels.table.isVisibleTo(dock)


def test_a_file_of_channels_after_a_task_without(dock, qtbot, tmp_path):
    dock.ground_truth.channels.setValue(
        LabelsConfig(channels=(Channel(name="er", labels=(3,)), Channel(name="x", labels=(1,))))
    )
    Hand(dock.task, qtbot).choose(AffinitiesTaskConfig)
    save_task(DISTANCE, tmp_path / "task.yaml")
    dock.task.load(tmp_path / "task.yaml")
    session = Session.of(dock._viewer)
    assert session.task == DISTANCE
    assert [channel.name for channel in session.labels_config.channels] == ["mito", "er"]
    assert session.labels_config.channels[1].labels == (3,)


def test_a_reopened_dock_keeps_a_task_without_channels(dock, qtbot):
    Hand(dock.task, qtbot).choose(AffinitiesTaskConfig)
    viewer = dock._viewer
    task = Session.of(viewer).task
    viewer.window.remove_dock_widget(dock)
    again = TaskDock(viewer)
    qtbot.addWidget(again)
    assert again.task.value() == task
    assert not again.ground_truth.channels.table.isVisibleTo(again)
    assert again.ground_truth.labels_config.channel_names == ["labels"]


# Names of pins


def test_a_pin_is_named_after_what_is_unusual(hand, pretrained):
    hand.panel.setValue(AFFINITIES)
    said = describe(AFFINITIES, hand.panel.proposal(), "nm")
    assert said.startswith("2 offsets")
    said = describe(pretrained, PretrainedTaskConfig.propose(["a"], MEASURED), "nm")
    assert "first.pt" in said
    assert "/" not in said
    said = describe(DISTANCE, DistanceTaskConfig.propose(["mito", "er"], MEASURED), "nm")
    assert said.startswith("scale 33 nm")
