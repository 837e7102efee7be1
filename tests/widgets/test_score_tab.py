"""The Score tab, driven as a person would drive it."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from napari.layers import Labels
from numpy.typing import NDArray
from qtpy.QtCore import Qt
from qtpy.QtWidgets import QFileDialog
from scipy import ndimage

from napari_dacapo_tasks.arrays import Channel, LabelsConfig, NumpyArray
from napari_dacapo_tasks.prediction.prediction import Prediction
from napari_dacapo_tasks.segmentation.segment import Segmentation
from napari_dacapo_tasks.tasks import DistanceTaskConfig, OneHotTaskConfig, TaskConfig
from napari_dacapo_tasks.tasks.affinities import AffinitiesTaskConfig
from napari_dacapo_tasks.widgets.layers import array_of, geometry_of
from napari_dacapo_tasks.widgets.objects_table import ID, KIND
from napari_dacapo_tasks.widgets.predict_session import (
    PredictSession,
    ShownPrediction,
    ShownSegmentation,
)
from napari_dacapo_tasks.widgets.predicted_labels import PredictedLabels
from napari_dacapo_tasks.widgets.result_layers import Anchor
from napari_dacapo_tasks.widgets.score_tab import ScoreTab
from napari_dacapo_tasks.widgets.session import Session
from napari_dacapo_tasks.widgets.truth_chooser import TruthChooser
from napari_dacapo_tasks.widgets.view_place import looked_at

AFFINITIES = AffinitiesTaskConfig(name="affs", neighborhood=[(1, 0, 0), (0, 1, 0), (0, 0, 1)])
LENGTHS = {"scale_factor": 16, "clip_distance": 80, "tol_distance": 8}
TWO = DistanceTaskConfig(name="two", channels=["large", "small"], **LENGTHS)


class Desk:
    """A viewer with ground truth and the tab, and hands."""

    def __init__(self, viewer: Any, qtbot: Any, labels: NDArray[Any], **place: Any) -> None:
        self.viewer, self.qtbot = viewer, qtbot
        self.truth = viewer.add_labels(labels, name="truth", **place)
        self.session = PredictSession()
        self.errors: list[BaseException] = []
        self.tab = ScoreTab(viewer, self.session, TruthChooser(viewer, self.session))
        self.tab.failed.connect(self.errors.append)
        viewer.window.add_dock_widget(self.tab, area="right")
        self.shown = PredictedLabels(viewer, "predicted segmentation", self.session)

    def segment(self, labels: NDArray[Any], config: TaskConfig = AFFINITIES, way: int = 0) -> None:
        """Hand on labels ``(c, z, y, x)`` as if they had been made of a prediction."""
        truth = array_of(self.truth)
        array = NumpyArray.from_np_array(
            labels, truth.roi, truth.voxel_size, ("c", *truth.axes), truth.unit
        )
        shown = ShownPrediction(Prediction(array, config, "a run"), Anchor.at_layer(self.truth))
        method = config.task_type(config).methods[way]
        default = method.post_processor.default
        self.shown.show(shown, Segmentation(array, method, default, config), "a run")
        self.session.set_prediction(shown)
        names = tuple(layer.name for layer in self.shown.layers())
        self.session.set_segmentation(ShownSegmentation(shown, array, names, way, default))

    def score(self) -> None:
        self.tab.score_button.click()
        self.settle()

    def settle(self) -> None:
        self.qtbot.waitUntil(lambda: not self.tab.running, timeout=60_000)

    @property
    def scores(self) -> dict[str, list[str]]:
        """The table's rows, by title without its arrow."""
        table = self.tab.table
        rows = [
            [table.item(row, column).text() for column in range(table.columnCount())]
            for row in range(table.rowCount())
        ]
        return {title[:-2]: values for title, *values in rows}

    @property
    def found(self) -> list[tuple[str, int]]:
        model = self.tab.objects.model
        rows = [model.object_at(row) for row in range(model.rowCount())]
        return [(row.kind, row.id) for row in rows]

    def named(self, beginning: str) -> list[Labels]:
        return [one for one in self.viewer.layers if one.name.startswith(beginning)]

    def click(self, kind: str) -> Any:
        model = self.tab.objects.model
        kinds = [model.index(row, KIND).data() for row in range(model.rowCount())]
        index = model.index(kinds.index(kind), ID)
        self.tab.objects.view.setCurrentIndex(index)
        return model.object_at(index.row())


@pytest.fixture
def viewer(make_napari_viewer: Any) -> Any:
    return make_napari_viewer(show=False)


@pytest.fixture
def desk(viewer: Any, qtbot: Any, balls: NDArray[Any], place: dict[str, Any]) -> Any:
    desk = Desk(viewer, qtbot, balls, **place)
    yield desk
    desk.tab.end()


@pytest.fixture
def wrong(balls: NDArray[Any]) -> NDArray[np.uint32]:
    """Ball 1 in two halves, ball 2 lost, ball 3 as it is, and something false."""
    labels = np.where(balls == 3, 30, 0).astype(np.uint32)
    labels[balls == 1] = 10
    labels[(balls == 1) & (np.indices(balls.shape)[0] > 10)] = 11
    labels[28:31, 2:5, 2:5] = 99
    return labels[np.newaxis]


def test_without_anything_to_score_it_says_what_to_do(desk: Desk) -> None:
    desk.score()
    assert "choose a task in the Task dock" in str(desk.errors.pop())
    Session.of(desk.viewer).update(task=AFFINITIES)
    desk.score()
    assert "segment a prediction in the Segment tab" in str(desk.errors.pop())
    desk.viewer.layers.clear()
    desk.score()
    assert "Choose the layer of the ground truth" in str(desk.errors.pop())


def test_the_truth_itself_has_perfect_scores(desk: Desk, balls: NDArray[Any]) -> None:
    retried: list[bool] = []
    desk.tab.retried.connect(lambda: retried.append(True))
    desk.segment(balls[np.newaxis])
    desk.score()
    assert retried == [True]
    assert desk.errors == []
    assert desk.scores["F1 of objects"] == ["1"]
    assert desk.scores["Variation of information"] == ["0 bits"]
    assert {kind for kind, _ in desk.found} == {"matched"}
    (mistakes,) = desk.named("mistakes")
    assert not mistakes.data.any()


def test_what_is_wrong_is_listed_and_coloured(
    desk: Desk, balls: NDArray[Any], wrong: NDArray[Any]
) -> None:
    desk.segment(wrong)
    desk.score()
    assert set(desk.found) >= {("missed", 2), ("false", 99), ("split", 1), ("matched", 3)}
    (mistakes,) = desk.named("mistakes")
    assert np.array_equal(mistakes.data == 1, wrong[0] == 99)
    assert np.array_equal(mistakes.data == 2, balls == 2)
    assert mistakes.data[balls == 1].any()
    assert not mistakes.data[balls == 3].any()
    np.testing.assert_allclose(mistakes.translate, desk.truth.translate)
    legend = desk.tab.legend.texts()
    assert legend["False positive"] == f"{np.count_nonzero(wrong[0] == 99):,} voxels"
    assert legend["False negative"] == f"{np.count_nonzero(balls == 2):,} voxels"
    assert legend["Merge"] == "0 voxels"
    assert "Wrong class" not in legend


def test_colours_of_mistakes_differ_and_are_those_of_the_legend(
    desk: Desk, wrong: NDArray[Any]
) -> None:
    desk.segment(wrong)
    desk.score()
    (mistakes,) = desk.named("mistakes")
    colours = [tuple(np.round(mistakes.get_color(i)[:3], 2)) for i in range(1, 6)]
    assert len(set(colours)) == 5
    assert colours[0] == (0.84, 0.37, 0.0)
    assert mistakes.get_color(0) is None or mistakes.get_color(0)[3] == 0


@pytest.mark.parametrize("ndisplay", [2, 3])
def test_a_click_goes_to_the_object(desk: Desk, wrong: NDArray[Any], ndisplay: int) -> None:
    desk.segment(wrong)
    desk.score()
    desk.viewer.dims.ndisplay = ndisplay
    missed = desk.click("missed")
    seen = looked_at(desk.viewer, geometry_of(desk.truth))
    assert desk.truth.data[tuple(np.round(seen).astype(int))] == missed.id
    assert desk.truth.selected_label == missed.id
    false = desk.click("false")
    seen = looked_at(desk.viewer, geometry_of(desk.truth))
    assert wrong[0][tuple(np.round(seen).astype(int))] == false.id
    (layer,) = desk.named("segmentation")
    assert layer.selected_label == false.id


def test_the_chosen_object_is_outlined_in_its_place(
    desk: Desk, balls: NDArray[Any], wrong: NDArray[Any]
) -> None:
    desk.segment(wrong)
    desk.score()
    for kind, where in (("missed", balls == 2), ("false", wrong[0] == 99)):
        desk.click(kind)
        desk.settle()
        (layer,) = desk.named("chosen object")
        begin = np.round((layer.translate - desk.truth.translate) / 8).astype(int)
        seen = np.zeros(balls.shape, bool)
        part = tuple(slice(b, b + n) for b, n in zip(begin, layer.data.shape, strict=True))
        seen[part] = layer.data != 0
        assert np.array_equal(seen, where & ~ndimage.binary_erosion(where))
    desk.score()
    assert desk.named("chosen object") == []


def test_mistakes_are_shown_alone(desk: Desk, wrong: NDArray[Any]) -> None:
    desk.segment(wrong)
    (layer,) = desk.named("segmentation")
    desk.score()
    assert not layer.visible
    assert not desk.truth.visible
    desk.tab.mistakes_box.click()
    assert layer.visible
    assert desk.truth.visible


def test_scores_of_what_is_not_there_any_more_are_grey(
    desk: Desk, balls: NDArray[Any], wrong: NDArray[Any], place: dict[str, Any]
) -> None:
    desk.segment(wrong)
    desk.score()
    desk.truth.paint((1, 1, 1), 9)
    assert not desk.tab.table.isEnabled()
    assert desk.tab.said.text() == "Labels were edited since: score again."
    desk.score()
    assert desk.tab.table.isEnabled()
    assert desk.tab.said.isHidden()
    other = desk.viewer.add_labels(balls, name="other", **place)
    desk.tab.truth.panel.labels_combo.set_layer(other)
    assert not desk.tab.table.isEnabled()
    assert desk.tab.said.text() == "The ground truth is another one by now: score again."
    desk.score()
    assert desk.tab.table.isEnabled()
    desk.segment(balls[np.newaxis])
    assert not desk.tab.table.isEnabled()
    assert "another one by now" in desk.tab.said.text()
    assert desk.named("mistakes") == []
    desk.score()
    assert desk.tab.table.isEnabled()


def test_edits_count(desk: Desk, balls: NDArray[Any], wrong: NDArray[Any]) -> None:
    desk.segment(wrong)
    (layer,) = desk.named("segmentation")
    layer.data_setitem(np.nonzero(balls == 2), 20)
    desk.score()
    assert ("matched", 2) in desk.found


def test_any_labels_layer_can_be_scored(
    desk: Desk, balls: NDArray[Any], wrong: NDArray[Any], place: dict[str, Any]
) -> None:
    desk.segment(wrong)
    mine = desk.viewer.add_labels(balls.astype(np.int32) * 7, name="mine", **place)
    desk.tab.segmentation_combo.set_layer(mine)
    desk.tab.truth.panel.labels_combo.set_layer(desk.truth)
    desk.score()
    assert {kind for kind, _ in desk.found} == {"matched"}


def test_without_a_prediction_labels_are_of_the_task_of_the_task_dock(
    desk: Desk, balls: NDArray[Any], place: dict[str, Any]
) -> None:
    mine = desk.viewer.add_labels((balls == 1).astype(np.int32), name="mine", **place)
    one = DistanceTaskConfig(name="one", channels=["large"], **LENGTHS)
    labels = LabelsConfig(channels=(Channel(name="large", labels=(1,)),))
    Session.of(desk.viewer).update(task=one, labels_layer=desk.truth, labels_config=labels)
    desk.tab.segmentation_combo.set_layer(mine)
    desk.score()
    assert desk.errors == []
    assert desk.scores["Dice"] == ["1"]
    assert desk.tab.truth.ground_truth().config == labels


def test_a_truth_of_a_part_is_scored_there_and_that_is_said(
    desk: Desk, balls: NDArray[Any], wrong: NDArray[Any], place: dict[str, Any]
) -> None:
    desk.segment(wrong)
    part = desk.viewer.add_labels(balls[:16], name="part", **place)
    desk.tab.truth.panel.labels_combo.set_layer(part)
    desk.score()
    assert desk.errors == []
    assert not desk.tab.said.isHidden()
    assert len(desk.tab.said.text()) > 20
    (mistakes,) = desk.named("mistakes")
    assert mistakes.data.shape == (16, 32, 32)


def test_a_truth_elsewhere_is_refused_in_a_sentence(
    desk: Desk, balls: NDArray[Any], wrong: NDArray[Any], place: dict[str, Any]
) -> None:
    desk.segment(wrong)
    away = desk.viewer.add_labels(balls, name="away", **{**place, "translate": (9000, 0, 0)})
    desk.tab.truth.panel.labels_combo.set_layer(away)
    desk.score()
    assert len(desk.errors) == 1
    assert "overlap" in str(desk.errors.pop())
    assert desk.tab.score_button.isEnabled()


def test_each_channel_has_its_scores_and_its_mistakes(desk: Desk, balls: NDArray[Any]) -> None:
    labels = np.stack([balls == 1, balls == 2]).astype(np.uint8)  # ball 3 is missing
    desk.segment(labels, TWO)
    desk.score()
    assert "label ids of large, small" in str(desk.errors.pop())
    table = desk.tab.truth.panel.channels.table
    for row, ids in enumerate(("1", "2, 3")):
        table.item(row, 1).setText(ids)
    desk.score()
    assert desk.errors == []
    assert desk.scores["Dice"][0] == "1"
    assert float(desk.scores["Dice"][1]) < 1
    large, small = desk.named("mistakes")
    assert (large.visible, small.visible) == (True, False)
    assert np.array_equal(small.data == 2, balls == 3)
    desk.click("missed")
    assert (large.visible, small.visible) == (False, True)


def test_scores_are_sorted_by_their_numbers(desk: Desk, balls: NDArray[Any]) -> None:
    one = DistanceTaskConfig(name="one", channels=["balls"], **LENGTHS)
    desk.segment((np.roll(balls, 1, axis=2) != 0).astype(np.uint8)[np.newaxis], one)
    desk.score()
    before = list(desk.scores)
    desk.tab.table.sortByColumn(1, Qt.SortOrder.DescendingOrder)
    numbers = [float(text.split()[0]) for (text,) in desk.scores.values() if text[0].isdigit()]
    assert numbers == sorted(numbers, reverse=True)
    assert list(desk.scores) != before
    desk.tab.table.sortByColumn(0, Qt.SortOrder.AscendingOrder)
    assert list(desk.scores) == before


def test_classes_have_no_objects_but_mistakes(desk: Desk, balls: NDArray[Any]) -> None:
    config = OneHotTaskConfig(name="kinds", classes=["none", "a", "b", "c"])
    labels = np.where(balls == 3, 1, balls)[np.newaxis].astype(np.uint8)
    desk.segment(labels, config)
    desk.score()
    assert desk.errors == []
    assert desk.tab._objects.isHidden()
    (mistakes,) = desk.named("mistakes")
    assert np.array_equal(mistakes.data != 0, balls == 3)
    assert desk.tab.legend.texts() == {"Wrong class": f"{np.count_nonzero(balls == 3):,} voxels"}


def test_the_mistakes_can_be_put_away(desk: Desk, wrong: NDArray[Any]) -> None:
    desk.segment(wrong)
    desk.score()
    desk.tab.mistakes_box.click()
    assert desk.named("mistakes") == []
    desk.tab.mistakes_box.click()
    assert len(desk.named("mistakes")) == 1


def test_scores_and_objects_are_saved(
    desk: Desk, wrong: NDArray[Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "evaluation.json"
    monkeypatch.setattr(QFileDialog, "getSaveFileName", lambda *_: (str(path), ""))
    assert not desk.tab.save_button.isEnabled()
    desk.segment(wrong)
    desk.score()
    desk.tab.save_button.click()
    desk.settle()
    assert desk.errors == []
    assert "scores" in json.loads(path.read_text())
    lines = path.with_suffix(".csv").read_text().strip().splitlines()
    assert len(lines) == 1 + len(desk.found)


def test_the_truth_follows_the_task_dock_until_another_is_chosen(
    desk: Desk, balls: NDArray[Any]
) -> None:
    other = desk.viewer.add_labels(balls, name="other")
    third = desk.viewer.add_labels(balls, name="third")
    session = Session.of(desk.viewer)
    session.update(labels_layer=other, labels_config=LabelsConfig())
    assert desk.tab.truth.labels_layer is other
    desk.tab.truth.panel.labels_combo.set_layer(third)
    session.update(labels_layer=desk.truth)
    assert desk.tab.truth.labels_layer is third
