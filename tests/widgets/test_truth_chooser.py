"""Which ground truth a segmentation is compared with."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from qtpy.QtWidgets import QTabWidget

from napari_dacapo_tasks.arrays import Channel, LabelsConfig, NumpyArray
from napari_dacapo_tasks.errors import UserError
from napari_dacapo_tasks.prediction.prediction import Prediction
from napari_dacapo_tasks.runs.run_folder import RunFolder
from napari_dacapo_tasks.tasks import DistanceTaskConfig, TaskConfig
from napari_dacapo_tasks.tasks.affinities import AffinitiesTaskConfig
from napari_dacapo_tasks.widgets.predict_session import PredictSession, ShownPrediction
from napari_dacapo_tasks.widgets.result_layers import Anchor
from napari_dacapo_tasks.widgets.session import Session
from napari_dacapo_tasks.widgets.truth_chooser import TruthChooser, TruthSection

AFFINITIES = AffinitiesTaskConfig(name="affs", neighborhood=[(1, 0, 0), (0, 1, 0), (0, 0, 1)])
TWO = DistanceTaskConfig(
    name="two",
    channels=["large", "small"],
    scale_factor=16,
    clip_distance=80,
    tol_distance=8,
)
LARGE_AND_SMALL = LabelsConfig(
    channels=(Channel(name="large", labels=(1,)), Channel(name="small", labels=(2, 3)))
)


@pytest.fixture
def viewer(make_napari_viewer: Any, balls: NDArray[Any], place: dict[str, Any]) -> Any:
    viewer = make_napari_viewer(show=False)
    viewer.add_labels(balls, name="truth", **place)
    return viewer


@pytest.fixture
def session() -> PredictSession:
    return PredictSession()


@pytest.fixture
def chooser(viewer: Any, session: PredictSession, qtbot: Any) -> TruthChooser:
    made = TruthChooser(viewer, session)
    qtbot.addWidget(made)
    return made


@pytest.fixture
def predict(session: PredictSession) -> Callable[..., None]:
    """Hand on a prediction of a task, of which only its task and its run count."""

    def predicted(task: TaskConfig, run: Path | None = None) -> None:
        array = NumpyArray(np.zeros((1, 4, 4, 4)), axes="czyx", voxel_size=(8, 8, 8))
        prediction = Prediction(array, task, "a run", run)
        session.set_prediction(ShownPrediction(prediction, Anchor.at_array(array)))

    return predicted


def test_all_labels_are_the_truth_of_tasks_without_channels(
    chooser: TruthChooser, balls: NDArray[Any], predict: Callable[..., None]
) -> None:
    predict(AFFINITIES)
    truth = chooser.ground_truth()
    ids, known = truth.read(truth.roi)
    assert np.array_equal(ids.data[0], balls)
    assert known.data.all()


def test_a_mask_and_unlabelled_voxels_are_not_known(
    chooser: TruthChooser,
    viewer: Any,
    balls: NDArray[Any],
    place: dict[str, Any],
    predict: Callable[..., None],
) -> None:
    mask = np.zeros(balls.shape, np.uint8)
    mask[:, :16] = 1
    layer = viewer.add_labels(mask, name="mask", **place)
    predict(AFFINITIES)
    chooser.panel.mask_combo.set_layer(layer)
    chooser.panel.channels.zero_box.click()
    truth = chooser.ground_truth()
    _, known = truth.read(truth.labels.roi)
    assert np.array_equal(known.data != 0, (balls != 0) & (mask != 0))


def test_the_task_dock_knows_the_ids_of_channels_of_these_names(
    chooser: TruthChooser, viewer: Any, predict: Callable[..., None]
) -> None:
    Session.of(viewer).update(labels_config=LARGE_AND_SMALL)
    predict(TWO)
    assert chooser.ground_truth().config == LARGE_AND_SMALL


def test_a_run_knows_the_ids_of_its_channels(
    chooser: TruthChooser,
    make_run: Callable[..., RunFolder],
    volume: Any,
    predict: Callable[..., None],
) -> None:
    run = make_run(
        task=TWO,
        labels=LARGE_AND_SMALL,
        ground_truth=volume.ground_truth(channels=LARGE_AND_SMALL.channels),
    )
    predict(TWO, run.path)
    assert chooser.ground_truth().config == LARGE_AND_SMALL


def test_unknown_ids_are_asked_for_and_kept(
    chooser: TruthChooser, predict: Callable[..., None]
) -> None:
    predict(TWO)
    with pytest.raises(UserError, match="label ids of large, small"):
        chooser.ground_truth()
    for row, ids in enumerate(("1", "2, 3")):
        chooser.panel.channels.table.item(row, 1).setText(ids)
    assert chooser.ground_truth().config == LARGE_AND_SMALL
    predict(TWO.model_copy(update={"name": "another run"}))
    assert chooser.ground_truth().config == LARGE_AND_SMALL


def test_what_is_red_or_missing_is_said(
    chooser: TruthChooser, viewer: Any, predict: Callable[..., None]
) -> None:
    predict(TWO)
    chooser.panel.channels.table.item(0, 1).setText("-4")
    with pytest.raises(UserError, match="red"):
        chooser.ground_truth()
    chooser.panel.channels.table.item(0, 1).setText("1")
    chooser.panel.channels.table.item(1, 0).setText("other")
    with pytest.raises(UserError, match="large, other, but the task large, small"):
        chooser.ground_truth()
    viewer.layers.clear()
    with pytest.raises(UserError, match="Choose the layer"):
        chooser.ground_truth()


def test_every_choice_is_told(chooser: TruthChooser, viewer: Any, balls: NDArray[Any]) -> None:
    told: list[bool] = []
    chooser.changed.connect(lambda: told.append(True))
    chooser.panel.labels_combo.set_layer(viewer.add_labels(balls, name="other"))
    assert len(told) == 1
    chooser.panel.channels.zero_box.click()
    assert len(told) == 2


def test_both_the_task_dock_and_its_later_changes_are_followed_until_another_choice(
    chooser: TruthChooser, viewer: Any, balls: NDArray[Any]
) -> None:
    docks = Session.of(viewer)
    docks.update(task=TWO, labels_layer=viewer.layers["truth"], labels_config=LARGE_AND_SMALL)
    assert chooser.ground_truth().config == LARGE_AND_SMALL
    swapped = LabelsConfig(
        channels=(Channel(name="large", labels=(3,)), Channel(name="small", labels=(1,)))
    )
    docks.update(labels_config=swapped)
    assert chooser.ground_truth().config == swapped
    chooser.panel.channels.table.item(0, 1).setText("2")
    docks.update(labels_config=LARGE_AND_SMALL)
    assert chooser.ground_truth().config.channels[0].labels == (2,)

    viewer.layers.clear()  # another one is chosen by itself then, in the Task dock as well
    fresh = viewer.add_labels(balls, name="fresh")
    docks.update(labels_layer=fresh)
    other = viewer.add_labels(balls, name="other")
    docks.update(labels_layer=other)
    assert chooser.labels_layer is other
    chooser.panel.labels_combo.set_layer(fresh)
    docks.update(labels_layer=viewer.add_labels(balls, name="third"))
    assert chooser.labels_layer is fresh


def test_the_ids_of_the_next_run_are_not_those_of_the_one_before(
    chooser: TruthChooser,
    make_run: Callable[..., RunFolder],
    volume: Any,
    predict: Callable[..., None],
) -> None:
    one = LabelsConfig(
        channels=(Channel(name="large", labels=(2,)), Channel(name="small", labels=(1, 3)))
    )
    for name, labels in (("first", LARGE_AND_SMALL), ("second", one)):
        truth = volume.ground_truth(channels=labels.channels)
        run = make_run(name, task=TWO, labels=labels, ground_truth=truth)
        predict(TWO, run.path)
        assert chooser.ground_truth().config == labels


def test_tabs_show_the_same_choice(viewer: Any, session: PredictSession, qtbot: Any) -> None:
    chooser, tabs = TruthChooser(viewer, session), QTabWidget()
    qtbot.addWidget(tabs)
    sections = [TruthSection(chooser), TruthSection(chooser)]
    for section in sections:
        tabs.addTab(section, "tab")
    tabs.show()
    for index in (0, 1, 0):
        tabs.setCurrentIndex(index)
        assert chooser.parentWidget() is sections[index]
        qtbot.waitUntil(chooser.isVisible, timeout=60_000)
    sections[0].heading.click()
    assert not chooser.isVisible()
    tabs.setCurrentIndex(1)
    assert chooser.isVisible()
