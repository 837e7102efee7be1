"""Segment the target in the Task dock, driven as a person would drive it."""

import time
from typing import Any

import numpy as np
import pytest
from napari.layers import Labels
from numpy.typing import NDArray
from qtpy.QtCore import Qt
from qtpy.QtWidgets import QAbstractSpinBox

from napari_dacapo_tasks.arrays import Channel, LabelsConfig
from napari_dacapo_tasks.errors import DataError
from napari_dacapo_tasks.tasks import (
    DistanceTaskConfig,
    HotDistanceTaskConfig,
    OneHotTaskConfig,
)
from napari_dacapo_tasks.tasks.affinities import AffinitiesTaskConfig
from napari_dacapo_tasks.tasks.dummy import DummyTaskConfig
from napari_dacapo_tasks.tasks.preview import PreviewProgress
from napari_dacapo_tasks.widgets import segment_panel
from napari_dacapo_tasks.widgets.result_layers import is_result
from napari_dacapo_tasks.widgets.task_dock import TaskDock

LENGTHS = {"scale_factor": 16, "clip_distance": 80, "tol_distance": 8}
NEAREST = [(1, 0, 0), (0, 1, 0), (0, 0, 1)]


class Desk:
    """A viewer with ground truth and its dock, and hands."""

    def __init__(self, viewer: Any, qtbot: Any, labels: NDArray[Any], **place: Any) -> None:
        self.viewer, self.qtbot = viewer, qtbot
        viewer.add_labels(labels, name="labels", **place)
        self.dock = TaskDock(viewer)
        self.panel = self.dock.segmentation
        viewer.window.add_dock_widget(self.dock, area="right")
        self.settle()

    def settled(self) -> bool:
        live, measuring = self.dock.live, self.dock._measuring
        return not (
            live.running or live._soon.isActive() or measuring.running or self.panel.running
        )

    def settle(self) -> None:
        self.qtbot.waitUntil(self.settled, timeout=60_000)

    def until(self, condition: Any) -> None:
        self.qtbot.waitUntil(condition, timeout=60_000)

    def check(self) -> None:
        self.panel.box.click()
        self.settle()

    def type_into(self, name: str, text: str) -> None:
        spin = self.panel.chooser.form.editor(name).findChild(QAbstractSpinBox)
        spin.selectAll()
        self.qtbot.keyClicks(spin, text)
        self.qtbot.keyClick(spin, Qt.Key.Key_Return)

    def choose(self, title: str) -> None:
        combo = self.panel.chooser.combo
        combo.setCurrentIndex(combo.findText(title))
        combo.activated.emit(combo.currentIndex())
        self.settle()

    @property
    def segmentations(self) -> list[Any]:
        return [one for one in self.viewer.layers if one.name.startswith("segmentation")]

    @property
    def scores(self) -> dict[str, list[str]]:
        """The table's rows, by title."""
        table = self.panel.table
        rows = [
            [table.item(row, column).text() for column in range(table.columnCount())]
            for row in range(table.rowCount())
        ]
        return {title: values for title, *values in rows}

    @property
    def verdict(self) -> str:
        text = self.panel.verdict.text()
        return text.removeprefix("<b>").removesuffix("</b>")


@pytest.fixture
def viewer(make_napari_viewer: Any) -> Any:
    return make_napari_viewer(show=False)


@pytest.fixture
def desk(viewer: Any, qtbot: Any, balls: NDArray[Any], place: dict[str, Any]) -> Desk:
    return Desk(viewer, qtbot, balls, **place)


@pytest.fixture
def touching() -> NDArray[np.uint8]:
    """Two boxes that share a face, in a rim of background."""
    labels = np.zeros((16, 16, 24), np.uint8)
    labels[3:13, 3:13, 3:12] = 1
    labels[3:13, 3:13, 12:21] = 2
    return labels


def same_parts(segmentation: NDArray[Any], truth: NDArray[Any]) -> bool:
    pairs = {(int(a), int(b)) for a, b in zip(segmentation.ravel(), truth.ravel(), strict=True)}
    return len(pairs) == len({a for a, _ in pairs}) == len({b for _, b in pairs})


def test_nothing_is_segmented_before_it_is_wished(desk: Desk) -> None:
    assert desk.segmentations == []
    assert not desk.panel.table.isVisibleTo(desk.panel)


def test_objects_that_lie_apart_come_apart_with_perfect_scores(
    desk: Desk, balls: NDArray[Any]
) -> None:
    desk.check()
    (layer,) = desk.segmentations
    assert layer.name == "segmentation"
    assert isinstance(layer, Labels)
    assert is_result(layer)
    assert same_parts(layer.data, balls)
    labels = desk.viewer.layers["labels"]
    np.testing.assert_array_equal(layer.extent.world, labels.extent.world)
    assert layer.units == labels.units
    assert desk.panel.chooser.combo.currentText() == "Instances by watershed"
    assert desk.verdict == "All 3 objects come apart."
    assert desk.scores["Panoptic quality ↑"] == ["1"]
    assert desk.scores["Variation of information ↓"] == ["0 bits"]
    assert desk.dock.ground_truth.labels_layer is labels


def test_touching_objects_are_one_for_a_threshold_and_two_for_a_watershed(
    viewer: Any, qtbot: Any, touching: NDArray[Any], place: dict[str, Any]
) -> None:
    desk = Desk(viewer, qtbot, touching, **place)
    desk.dock.task.setValue(DistanceTaskConfig(name="d", channels=["objects"], **LENGTHS))
    desk.check()
    assert same_parts(desk.segmentations[0].data, touching)
    assert desk.verdict == "All 2 objects come apart."
    desk.choose("Threshold")
    assert np.unique(desk.segmentations[0].data).tolist() == [0, 1]
    assert "2 of 2 objects touch others" in desk.verdict
    assert desk.scores["Dice ↑"] == ["1"]
    assert desk.scores["Hausdorff distance ↓"] == ["0 nm"]
    desk.choose("Instances by watershed")
    assert same_parts(desk.segmentations[0].data, touching)


def test_parameters_segment_anew_and_stay_with_their_method(desk: Desk) -> None:
    desk.check()
    (layer,) = desk.segmentations
    desk.type_into("min_size", "400")  # the smallest ball has 257 voxels
    desk.until(lambda: np.unique(layer.data).size == 3)
    desk.settle()
    assert desk.segmentations == [layer]
    assert "1 of 3 objects" in desk.verdict
    desk.choose("Threshold")
    desk.choose("Instances by watershed")
    assert desk.panel.chooser.form.value().min_size == 400
    assert np.unique(desk.segmentations[0].data).size == 3


def test_a_refused_parameter_segments_nothing(desk: Desk) -> None:
    desk.check()
    data = desk.segmentations[0].data
    desk.type_into("seed_depth", "-1")
    desk.qtbot.wait(100)
    desk.settle()
    assert desk.panel.chooser.form.value() is None
    assert desk.segmentations[0].data is data


def test_a_new_preview_is_segmented_in_the_same_layer(desk: Desk, balls: NDArray[Any]) -> None:
    desk.check()
    (layer,) = desk.segmentations
    layer.opacity, layer.name = 0.2, "mine"
    changed = np.where(balls == 3, 0, balls)
    desk.viewer.layers["labels"].data = changed
    desk.until(lambda: same_parts(layer.data, changed))
    desk.settle()
    assert desk.viewer.layers["mine"] is layer
    assert layer.opacity == 0.2
    assert desk.verdict == "All 2 objects come apart."


def test_a_pin_keeps_the_segmentation_too(desk: Desk) -> None:
    desk.check()
    data = desk.segmentations[0].data
    desk.qtbot.mouseClick(desk.dock.preview.pin_button, Qt.MouseButton.LeftButton)
    desk.type_into("min_size", "400")
    desk.settle()
    desk.check()
    (pinned,) = desk.segmentations
    assert pinned.name.startswith("segmentation [")
    assert pinned.data is data
    assert not pinned.visible


def test_unchecked_takes_everything_away(desk: Desk) -> None:
    desk.check()
    desk.check()
    assert desk.segmentations == []
    assert not desk.panel.table.isVisibleTo(desk.panel)
    assert not desk.panel.verdict.isVisibleTo(desk.panel)


def test_a_layer_per_channel_follows_the_channel_that_is_seen(
    desk: Desk, balls: NDArray[Any]
) -> None:
    channels = (Channel(name="big", labels=(1, 2)), Channel(name="small", labels=(3,)))
    desk.dock.ground_truth.channels.setValue(LabelsConfig(channels=channels))
    names = ["big", "small"]
    desk.dock.task.setValue(HotDistanceTaskConfig(name="h", channels=names, **LENGTHS))
    desk.check()
    big, small = desk.segmentations
    assert [big.name, small.name] == ["segmentation: big", "segmentation: small"]
    np.testing.assert_array_equal(big.data != 0, np.isin(balls, (1, 2)))
    np.testing.assert_array_equal(small.data != 0, balls == 3)
    assert (big.visible, small.visible) == (True, False)
    desk.dock.layers.show_channel(3)  # the second of the distances
    assert (big.visible, small.visible) == (False, True)
    header = [
        desk.panel.table.horizontalHeaderItem(column).text()
        for column in range(desk.panel.table.columnCount())
    ]
    assert header == ["Score", "big", "small"]


def test_classes_have_the_colours_of_the_target(desk: Desk, balls: NDArray[Any]) -> None:
    desk.dock.task.setValue(OneHotTaskConfig(name="o", classes=["none", "a", "b"]))
    desk.check()
    (layer,) = desk.segmentations
    picture = desk.viewer.layers["target: classes"]
    np.testing.assert_array_equal(layer.data, np.where(balls > 2, 0, balls))
    for label in (1, 2):
        np.testing.assert_array_equal(layer.get_color(label), picture.get_color(label))
    assert desk.verdict == "Every voxel comes out right."
    assert not desk.panel.chooser.combo.isVisibleTo(desk.panel)  # there is but one
    # Another kind of labels has colours of its own again.
    desk.dock.task.setValue(AffinitiesTaskConfig(name="a", neighborhood=NEAREST))
    desk.settle()
    (layer,) = desk.segmentations
    assert "class" not in layer.features
    assert layer.get_color(3) is not None
    assert desk.verdict == "All 3 objects come apart."


class Slow:
    """A segmentation that goes on until it is let go or left."""

    def __init__(self) -> None:
        self.real = segment_panel.segment_target
        self.let_go, self.left, self.begun = False, 0, 0

    def __call__(self, *args: Any) -> Any:
        self.begun += 1
        try:
            while not self.let_go:
                time.sleep(0.01)
                yield PreviewProgress(0.4, "Segmenting the target")
        except GeneratorExit:
            self.left += 1
            raise
        yield from self.real(*args)


@pytest.fixture
def slow(monkeypatch: pytest.MonkeyPatch) -> Any:
    slow = Slow()
    monkeypatch.setattr(segment_panel, "segment_target", slow)
    yield slow
    slow.let_go = True


def test_progress_is_shown_for_long_work_and_cancel_leaves_it(desk: Desk, slow: Slow) -> None:
    panel = desk.panel
    panel.box.click()
    assert not panel.bar.isVisibleTo(panel)
    desk.until(lambda: panel.bar.isVisibleTo(panel))
    assert slow.begun == 1
    assert (panel.bar.value(), panel.bar.text()) == (40, "Segmenting the target")
    desk.qtbot.mouseClick(panel.cancel_button, Qt.MouseButton.LeftButton)
    desk.settle()
    assert slow.left == 1
    assert not panel.bar.isVisibleTo(panel)
    assert desk.segmentations == []


def test_a_new_preview_leaves_the_segmentation_of_the_old_one(desk: Desk, slow: Slow) -> None:
    desk.panel.box.click()
    desk.until(lambda: slow.begun == 1)
    desk.qtbot.mouseClick(desk.dock.preview.preview_button, Qt.MouseButton.LeftButton)
    desk.until(lambda: slow.begun == 2)
    slow.let_go = True
    desk.settle()
    assert slow.left == 1
    assert len(desk.segmentations) == 1


def test_a_dock_that_is_closed_leaves_it_too(desk: Desk, slow: Slow) -> None:
    desk.panel.box.click()
    desk.until(lambda: slow.begun == 1)
    desk.viewer.window.remove_dock_widget(desk.dock)
    desk.until(lambda: slow.left == 1)


def test_a_failure_is_said_until_the_next_preview(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    desk.check()

    def refuse(*_args: Any) -> Any:
        yield PreviewProgress(0, "")
        raise DataError("There is not enough memory.")

    with monkeypatch.context() as patched:
        patched.setattr(segment_panel, "segment_target", refuse)
        desk.qtbot.mouseClick(desk.dock.preview.preview_button, Qt.MouseButton.LeftButton)
        desk.until(lambda: desk.dock.notice.text == "There is not enough memory.")
        desk.settle()
        assert desk.segmentations == []
        assert not desk.panel.table.isVisibleTo(desk.panel)
    desk.qtbot.mouseClick(desk.dock.preview.preview_button, Qt.MouseButton.LeftButton)
    desk.until(lambda: len(desk.segmentations) == 1)
    assert desk.dock.notice.text == ""


def test_a_task_without_a_way_to_segment_does_nothing(desk: Desk) -> None:
    desk.check()
    desk.panel.setTask(DummyTaskConfig(name="d", embedding_dims=2, detection_threshold=0.5), "nm")
    assert not desk.panel.box.isEnabled()
    assert desk.panel.chooser.form is None


def test_two_dimensions(viewer: Any, qtbot: Any, balls: NDArray[Any]) -> None:
    desk = Desk(viewer, qtbot, balls[16], scale=(4, 4), units=("nanometer",) * 2)
    desk.check()
    assert desk.segmentations[0].data.shape == (32, 32)
    assert desk.verdict.endswith("come apart.")
