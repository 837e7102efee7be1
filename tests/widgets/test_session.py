from __future__ import annotations

import gc
import weakref
from typing import Any

import numpy as np
import pytest
from napari.components import ViewerModel
from napari.utils._proxies import PublicOnlyProxy

from napari_dacapo_tasks.arrays import Channel, LabelsConfig
from napari_dacapo_tasks.errors import DataError
from napari_dacapo_tasks.tasks import DistanceTaskConfig
from napari_dacapo_tasks.widgets.session import Session

LABELS = np.arange(24, dtype=np.uint8).reshape(4, 6)


def test_a_viewer_has_one_session_behind_a_proxy_or_not() -> None:
    viewer, other = ViewerModel(), ViewerModel()
    session = Session.of(viewer)
    assert Session.of(viewer) is session
    assert Session.of(PublicOnlyProxy(viewer)) is session
    assert Session.of(other) is not session


def test_a_session_goes_with_its_viewer() -> None:
    viewer = ViewerModel()
    session = weakref.ref(Session.of(viewer))
    del viewer
    gc.collect()
    assert session() is None


def test_others_hear_of_changes_after_they_are_made() -> None:
    session = Session.of(viewer := ViewerModel())
    task = DistanceTaskConfig(name="a", channels=["b"], clip_distance=4, tol_distance=1)
    heard: list[Any] = []
    session.changed.connect(lambda: heard.append(session.task))
    session.update(task=task)
    assert heard == [task]
    del viewer


def test_a_misspelled_attribute_is_our_mistake() -> None:
    with pytest.raises(AssertionError, match="taks"):
        Session.of(ViewerModel()).update(taks=None)


def test_ground_truth_is_made_of_the_layers_as_they_are_now() -> None:
    viewer = ViewerModel()
    session = Session.of(viewer)
    assert session.ground_truth() is None
    labels = viewer.add_labels(LABELS, scale=(8, 8), units=("nm", "nm"))
    mask = viewer.add_labels(np.ones((2, 6), np.uint8), scale=(8, 8), units=("nm", "nm"))
    config = LabelsConfig(channels=(Channel(name="one", labels=(1,)),))
    session.update(labels_layer=labels, labels_config=config)
    truth = session.ground_truth()
    assert truth is not None
    assert truth.config is config
    assert truth.mask is None
    labels.data[0, 1] = 9
    assert truth.read(truth.labels.roi)[0].data.sum() == 0

    session.update(mask_layer=mask)
    truth = session.ground_truth()
    assert truth is not None
    assert truth.read(truth.labels.roi)[1].data.sum() == 12


def test_layers_that_cannot_be_used_are_refused() -> None:
    viewer = ViewerModel()
    session = Session.of(viewer)
    session.update(labels_layer=viewer.add_labels(LABELS, rotate=30))
    with pytest.raises(DataError, match="rotated"):
        session.ground_truth()
