"""Which ground truth a segmentation is compared with."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from napari_dacapo_tasks.arrays import Channel, LabelsConfig
from napari_dacapo_tasks.errors import UserError
from napari_dacapo_tasks.runs.run_folder import RunFolder
from napari_dacapo_tasks.tasks import DistanceTaskConfig
from napari_dacapo_tasks.tasks.affinities import AffinitiesTaskConfig
from napari_dacapo_tasks.widgets.session import Session
from napari_dacapo_tasks.widgets.truth_chooser import TruthChooser

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
def chooser(viewer: Any, qtbot: Any) -> TruthChooser:
    made = TruthChooser(viewer)
    qtbot.addWidget(made)
    return made


def test_all_labels_are_the_truth_of_tasks_without_channels(
    chooser: TruthChooser, balls: NDArray[Any]
) -> None:
    chooser.setTask(AFFINITIES)
    truth = chooser.ground_truth()
    ids, known = truth.read(truth.roi)
    assert np.array_equal(ids.data[0], balls)
    assert known.data.all()


def test_a_mask_and_unlabelled_voxels_are_not_known(
    chooser: TruthChooser, viewer: Any, balls: NDArray[Any], place: dict[str, Any]
) -> None:
    mask = np.zeros(balls.shape, np.uint8)
    mask[:, :16] = 1
    layer = viewer.add_labels(mask, name="mask", **place)
    chooser.setTask(AFFINITIES)
    chooser.panel.mask_combo.set_layer(layer)
    chooser.panel.channels.zero_box.click()
    truth = chooser.ground_truth()
    _, known = truth.read(truth.labels.roi)
    assert np.array_equal(known.data != 0, (balls != 0) & (mask != 0))


def test_the_task_dock_knows_the_ids_of_channels_of_these_names(
    chooser: TruthChooser, viewer: Any
) -> None:
    Session.of(viewer).update(labels_config=LARGE_AND_SMALL)
    chooser.setTask(TWO)
    assert chooser.ground_truth().config == LARGE_AND_SMALL


def test_a_run_knows_the_ids_of_its_channels(
    chooser: TruthChooser, make_run: Callable[..., RunFolder], volume: Any
) -> None:
    run = make_run(
        task=TWO,
        labels=LARGE_AND_SMALL,
        ground_truth=volume.ground_truth(channels=LARGE_AND_SMALL.channels),
    )
    chooser.setTask(TWO, run.path)
    assert chooser.ground_truth().config == LARGE_AND_SMALL


def test_unknown_ids_are_asked_for_and_kept(chooser: TruthChooser) -> None:
    chooser.setTask(TWO)
    with pytest.raises(UserError, match="label ids of large, small"):
        chooser.ground_truth()
    for row, ids in enumerate(("1", "2, 3")):
        chooser.panel.channels.table.item(row, 1).setText(ids)
    assert chooser.ground_truth().config == LARGE_AND_SMALL
    chooser.setTask(TWO.model_copy(update={"name": "another run"}))
    assert chooser.ground_truth().config == LARGE_AND_SMALL


def test_what_is_red_or_missing_is_said(chooser: TruthChooser, viewer: Any) -> None:
    chooser.setTask(TWO)
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
