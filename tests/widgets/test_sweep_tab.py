"""Sweeps in the Predict dock, driven as a person would drive them."""

from __future__ import annotations

from pathlib import Path
from threading import Event
from typing import Any

import numpy as np
import pytest
from napari.components import ViewerModel
from qtpy.QtCore import Qt
from qtpy.QtWidgets import QFileDialog

from napari_dacapo_tasks.arrays import NumpyArray
from napari_dacapo_tasks.errors import ConfigError, DataError
from napari_dacapo_tasks.evaluation.records import load_sweep, saved_sweeps
from napari_dacapo_tasks.prediction.prediction import Prediction
from napari_dacapo_tasks.tasks import (
    DistanceTaskConfig,
    DummyTaskConfig,
    OneHotTaskConfig,
    TaskConfig,
)
from napari_dacapo_tasks.tasks.post_processors.threshold import ThresholdPostProcessor
from napari_dacapo_tasks.widgets.layers import array_of
from napari_dacapo_tasks.widgets.predict_session import (
    PredictSession,
    ShownPrediction,
    ShownSegmentation,
)
from napari_dacapo_tasks.widgets.result_layers import Anchor
from napari_dacapo_tasks.widgets.sweep_tab import FIRST_PREDICT, NO_METHODS, SweepTab
from napari_dacapo_tasks.widgets.truth_chooser import TruthChooser

LENGTHS = {"scale_factor": 16, "clip_distance": 80, "tol_distance": 8}
BALLS = DistanceTaskConfig(name="balls", channels=["balls"], **LENGTHS)
TWO = DistanceTaskConfig(name="two", channels=["one", "other"], **LENGTHS)
THRESHOLD, WATERSHED = "Threshold", "Instances by watershed"
HORIZONTAL = Qt.Orientation.Horizontal


class Desk:
    """A viewer with ground truth, the tab, and hands."""

    def __init__(self, qtbot: Any, labels: Any, place: Any, run: Path | None) -> None:
        self.qtbot, self.run = qtbot, run
        self.viewer = ViewerModel()
        self.layer = self.viewer.add_labels(labels, name="balls", **place)
        self.session = PredictSession()
        truth = TruthChooser(self.viewer, self.session)
        self.tab = SweepTab(self.viewer, self.session, truth)
        qtbot.addWidget(self.tab)
        self.failures: list[BaseException] = []
        self.used: list[tuple[int, Any]] = []
        self.tab.failed.connect(self.failures.append)
        self.session.parametersChosen.connect(lambda *chosen: self.used.append(chosen))

    def predict(self, config: TaskConfig = BALLS, labels: Any = None) -> None:
        """Hand on the task's own target of the ground truth, as a prediction."""
        truth = array_of(self.layer)
        values = truth[truth.roi][np.newaxis] if labels is None else labels
        gt = NumpyArray.from_np_array(
            values, truth.roi, truth.voxel_size, ("c", *truth.axes), truth.unit
        )
        array = config.task_type(config.on_grid(gt.unit)).predictor.create_target(gt)
        prediction = Prediction(array, config, "net", self.run)
        self.session.set_prediction(ShownPrediction(prediction, Anchor.at_layer(self.layer)))

    def choose(self, title: str) -> None:
        combo = self.tab.method_combo
        combo.setCurrentIndex(combo.findText(title))
        combo.activated.emit(combo.currentIndex())

    def enter(self, name: str, text: str) -> None:
        self.tab.ranges.lines[name].edit.setText(text)

    def sweep(self) -> None:
        self.tab.sweep_button.click()
        self.idle()

    def idle(self) -> None:
        self.qtbot.waitUntil(
            lambda: not (self.tab.running or self.tab.files._job.running), timeout=60_000
        )

    @property
    def said(self) -> str:
        return str(self.tab.files.said.text())


@pytest.fixture
def run(tmp_path: Path) -> Path:
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "run.yaml").touch()
    return tmp_path / "run"


@pytest.fixture
def desk(qtbot: Any, balls: Any, place: Any, run: Path) -> Any:
    desk = Desk(qtbot, balls, place, run)
    yield desk
    desk.tab.end()


@pytest.fixture
def held(monkeypatch: pytest.MonkeyPatch) -> Event:
    """Let segmentations after the first one wait until it is set."""
    go, calls, segment = Event(), [], ThresholdPostProcessor.segment

    def waiting(self: Any, *args: Any) -> Any:
        calls.append(1)
        while len(calls) > 1 and not go.wait(0.01):
            yield 0.0
        return (yield from segment(self, *args))

    monkeypatch.setattr(ThresholdPostProcessor, "segment", waiting)
    return go


def test_without_a_prediction_there_is_nothing_to_press(desk: Desk) -> None:
    tab = desk.tab
    assert tab.subject.text() == FIRST_PREDICT
    assert not tab.sweep_button.isEnabled()
    assert not tab.stop_button.isEnabled()
    assert not tab.ranges.isVisibleTo(tab)
    tab.start()
    assert not tab.running


def test_all_values_are_tried_and_the_best_is_used_by_a_click(desk: Desk) -> None:
    desk.predict()
    tab = desk.tab
    assert "net: 1 channel of 32 x 32 x 32 voxels" in tab.subject.text()
    desk.choose(THRESHOLD)
    desk.enter("threshold", "-0.9, 0:0.8:0.4")
    assert tab.ranges.count.text() == "4 combinations"
    desk.sweep()

    assert not desk.failures
    assert [row.values["threshold"] for row in tab.result.rows] == [-0.9, 0, 0.4, 0.8]
    scores = [row.score("dice") for row in tab.result.rows]
    assert scores[1] == 1 > max(scores[0], *scores[2:])
    assert tab.scores.criterion == "dice"
    assert "<b>1</b> with Threshold <b>0" in tab.scores.best.text()
    assert not tab._working.isVisibleTo(tab)

    tab.scores.best_button.click()
    assert [(index, chosen.threshold) for index, chosen in desk.used] == [(0, 0)]


def test_a_click_on_a_row_or_a_point_uses_it(desk: Desk) -> None:
    desk.predict()
    desk.choose(THRESHOLD)
    desk.enter("threshold", "0, 0.4, 0.8")
    desk.sweep()
    table, plot = desk.tab.scores.table, desk.tab.scores.plot
    table.sortByColumn(0, Qt.SortOrder.AscendingOrder)
    assert [row[1] for row in table.shown()] == ["0.8", "0.4", "0"]
    table.clicked.emit(table.rows.index(0, 0))
    assert [chosen.threshold for _, chosen in desk.used] == [0.8]
    assert plot.ring.getOriginalDataset()[0].tolist() == [0.8]

    plot.chosen.emit(1)
    assert [chosen.threshold for _, chosen in desk.used] == [0.8, 0.4]
    assert [index.row() for index in table.selectionModel().selectedRows()] == [1]


def test_what_was_found_is_in_the_run_folder_and_opens_again(desk: Desk, run: Path) -> None:
    desk.predict()
    desk.choose(THRESHOLD)
    desk.enter("threshold", "0, 0.4")
    desk.sweep()
    (saved,) = saved_sweeps(run)
    assert f"2 combinations, saved as {saved.stem}.csv" in desk.said
    assert not desk.tab.files.save_button.isVisibleTo(desk.tab)
    found = desk.tab.result
    assert load_sweep(saved) == found

    desk.enter("threshold", "0.2")
    desk.sweep()
    assert len(desk.tab.result.rows) == 1
    desk.tab.files._fill_menu()
    titles = [action.text() for action in desk.tab.files._menu.actions() if action.text()]
    assert titles == [path.stem for path in reversed(saved_sweeps(run))] + ["File…"]
    desk.tab.files._menu.actions()[1].trigger()
    desk.idle()
    assert desk.tab.result == found
    desk.tab.scores.best_button.click()
    assert [chosen.threshold for _, chosen in desk.used] == [0]


def test_without_a_run_it_is_saved_where_the_person_wants(
    qtbot: Any, balls: Any, place: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    desk = Desk(qtbot, balls, place, None)
    desk.predict()
    desk.choose(THRESHOLD)
    desk.sweep()
    assert desk.said.endswith("not saved yet.")
    (tmp_path / "no").write_text("a file, no folder")
    save = desk.tab.files.save_button
    answers = ["", str(tmp_path / "no" / "folder.csv"), str(tmp_path / "mine.csv")]
    monkeypatch.setattr(QFileDialog, "getSaveFileName", lambda *args: (answers.pop(0), ""))
    for _ in range(2):
        save.click()
        desk.idle()
        assert desk.said.endswith("not saved yet.")
    (failure,) = desk.failures
    assert "folder.json cannot be written: " in str(failure)
    save.click()
    desk.idle()
    assert desk.said.endswith("saved as mine.csv.")
    assert not save.isVisibleTo(desk.tab)
    assert load_sweep(tmp_path / "mine.json") == desk.tab.result
    assert (tmp_path / "mine.csv").read_text().count("\n") == 1 + len(desk.tab.result.rows)


def test_what_cannot_be_saved_is_still_shown(desk: Desk, run: Path) -> None:
    desk.predict()
    desk.choose(THRESHOLD)
    (run / "sweeps").write_text("in the way")
    desk.sweep()
    assert len(desk.tab.result.rows) == desk.tab.ranges.ranges().number
    (failure,) = desk.failures
    assert "sweeps" in str(failure)
    assert desk.said.endswith("not saved yet.")
    save = desk.tab.files.save_button
    assert save.isVisibleTo(desk.tab)
    assert save.text() == "Save…", "elsewhere"


def test_stop_keeps_what_was_found(desk: Desk, run: Path, held: Event) -> None:
    desk.predict()
    desk.choose(THRESHOLD)
    desk.enter("threshold", "0, 0.2, 0.4")
    tab = desk.tab
    tab.sweep_button.click()
    desk.qtbot.waitUntil(lambda: len(tab._begun.rows) == 1, timeout=60_000)
    assert not tab.sweep_button.isEnabled()
    assert not tab.files.earlier_button.isEnabled()
    assert tab.bar.format() == "1 of 3"
    tab.stop_button.click()
    desk.idle()
    assert [row.values["threshold"] for row in tab.result.rows] == [0]
    assert tab.sweep_button.isEnabled()
    assert desk.said == "Stopped: Threshold, 1 combination, not saved yet."
    assert saved_sweeps(run) == []
    assert tab.files.save_button.text() == "Save"
    desk.session.set_prediction(None)
    tab.files.save_button.click()
    desk.idle()
    assert len(saved_sweeps(run)) == 1, "in the run that it was of"
    assert not desk.failures


def test_rows_are_seen_as_they_come(desk: Desk, held: Event) -> None:
    desk.predict()
    desk.choose(THRESHOLD)
    desk.enter("threshold", "0, 0.2, 0.4")
    tab = desk.tab
    tab.sweep_button.click()
    desk.qtbot.waitUntil(
        lambda: tab.result is not None and len(tab.result.rows) == 1, timeout=60_000
    )
    tab.scores.best_button.click()
    assert tab.scores.plot.ring.getOriginalDataset()[0].tolist() == [0]
    held.set()
    desk.idle()
    assert len(tab.result.rows) == 3
    assert tab.scores.plot.ring.getOriginalDataset()[0].tolist() == [0], "the mark stays"


def test_a_combination_that_fails_is_a_row_with_its_sentence(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    segment = ThresholdPostProcessor.segment

    def failing(self: Any, prediction: Any, parameters: Any) -> Any:
        if parameters.threshold == 0.2:
            raise DataError("This one does not work: try another.")
        return (yield from segment(self, prediction, parameters))

    monkeypatch.setattr(ThresholdPostProcessor, "segment", failing)
    desk.predict()
    desk.choose(THRESHOLD)
    desk.enter("threshold", "0, 0.2, 0.4")
    desk.sweep()
    table = desk.tab.scores.table
    assert table.shown()[1][:3] == ["failed", "0.2", ""]
    tip = table.rows.data(table.rows.index(1, 0), Qt.ItemDataRole.ToolTipRole)
    assert tip == "This one does not work: try another."
    assert "1 of them failed" in desk.said
    assert desk.tab.scores.plot.lines[0].getOriginalDataset()[0].tolist() == [0, 0.4]


def test_truth_elsewhere_is_one_sentence(desk: Desk) -> None:
    desk.predict()
    desk.layer.translate = (10_000, 0, 0)
    desk.sweep()
    (failure,) = desk.failures
    assert isinstance(failure, DataError)
    assert desk.tab.result is None
    assert desk.said == ""
    assert desk.tab.sweep_button.isEnabled()


def test_without_ground_truth_it_says_so(desk: Desk) -> None:
    desk.predict()
    desk.viewer.layers.clear()
    desk.tab.sweep_button.click()
    assert not desk.tab.running
    assert "ground truth" in str(desk.failures[0])


def test_nothing_to_sweep_is_said_before_anybody_presses(desk: Desk) -> None:
    desk.predict(OneHotTaskConfig(name="classes", classes=["background", "a", "b", "c"]))
    tab = desk.tab
    assert tab.ranges.count.text().startswith("There is nothing to sweep: the method")
    assert not tab.sweep_button.isEnabled()
    desk.predict(DummyTaskConfig(name="d", embedding_dims=1, detection_threshold=0.5))
    assert tab.subject.text() == NO_METHODS or tab.ranges.count.text()
    desk.session.set_prediction(None)
    assert tab.subject.text() == FIRST_PREDICT


def test_two_channels_have_a_score_each_and_a_mean(desk: Desk, balls: Any) -> None:
    channels = desk.tab.truth.panel.channels
    desk.predict(TWO, np.stack([np.isin(balls, (1, 2)), balls == 3]).astype(np.uint8))
    config = channels.value()
    one, other = config.channels
    channels.setValue(
        config.model_copy(
            update={
                "channels": (
                    one.model_copy(update={"labels": (1, 2)}),
                    other.model_copy(update={"labels": (3,)}),
                )
            }
        )
    )
    desk.choose(THRESHOLD)
    desk.enter("threshold", "0, 0.8")
    desk.sweep()
    assert not desk.failures
    scores = desk.tab.scores
    assert scores.channel is None
    row = scores.result.rows[1]
    means = scores.plot.lines[0].getOriginalDataset()[1]
    assert means[1] == pytest.approx((row.score("dice", "one") + row.score("dice", "other")) / 2)
    scores.channel_combo.setCurrentIndex(2)
    scores.channel_combo.activated.emit(2)
    assert scores.channel == "other"
    assert scores.plot.lines[0].getOriginalDataset()[1][1] == row.score("dice", "other")


def test_the_chosen_score_stays_with_the_next_sweep(desk: Desk) -> None:
    desk.predict()
    desk.choose(THRESHOLD)
    desk.enter("threshold", "0, 0.4")
    desk.sweep()
    combo = desk.tab.scores.score_combo
    names = [combo.itemData(index) for index in range(combo.count())]
    lower = next(one for one in desk.tab.result.criteria if not one.higher_is_better)
    combo.setCurrentIndex(names.index(lower.name))
    combo.activated.emit(combo.currentIndex())
    assert desk.tab.scores.table.rows.headerData(0, HORIZONTAL).startswith("↓ ")
    desk.choose(WATERSHED)
    desk.enter("threshold", "0")
    desk.enter("seed_depth", "0.75")
    desk.sweep()
    desk.choose(THRESHOLD)
    desk.sweep()
    assert desk.tab.scores.criterion == lower.name


def test_the_method_follows_the_segmentation_until_one_is_chosen(desk: Desk) -> None:
    desk.predict()
    shown = desk.session.prediction
    titles = [desk.tab.method_combo.itemText(i) for i in range(desk.tab.method_combo.count())]
    for chosen, expected in ((False, WATERSHED), (True, THRESHOLD)):
        desk.tab.method_combo.setCurrentIndex(0)
        if chosen:
            desk.choose(THRESHOLD)
        index = titles.index(WATERSHED)
        segmentation = ShownSegmentation(shown, shown.prediction.array, (), index, None)
        desk.session.set_segmentation(segmentation)
        assert desk.tab.method_combo.currentText() == expected


def test_a_sweep_of_another_task_shows_but_is_not_used(desk: Desk) -> None:
    desk.predict()
    desk.choose(WATERSHED)
    desk.enter("threshold", "0")
    desk.enter("seed_depth", "0.75, 1.5")
    desk.sweep()
    desk.predict(OneHotTaskConfig(name="classes", classes=["background", "a", "b", "c"]))
    desk.tab.scores.best_button.click()
    assert desk.used == []
    (failure,) = desk.failures
    assert isinstance(failure, ConfigError)
    assert "choose a prediction of the task balls first" in str(failure)


def test_a_damaged_file_is_one_sentence(desk: Desk, tmp_path: Path) -> None:
    (tmp_path / "other.json").write_text("{}")
    desk.tab.files.open_sweep(tmp_path / "other.json")
    desk.idle()
    (failure,) = desk.failures
    assert isinstance(failure, DataError)
    assert desk.tab.result is None


def test_the_end_waits_for_the_work(desk: Desk, held: Event) -> None:
    desk.predict()
    desk.choose(THRESHOLD)
    desk.enter("threshold", "0, 0.2")
    desk.tab.sweep_button.click()
    desk.qtbot.waitUntil(lambda: len(desk.tab._begun.rows) == 1, timeout=60_000)
    worker = desk.tab._job._worker
    desk.tab.end()
    assert worker.ended.is_set()
    assert desk.tab.activity.bar is None
