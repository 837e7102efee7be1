from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from napari.components import ViewerModel
from napari.layers import Image, Labels
from napari.utils._proxies import PublicOnlyProxy
from qtpy.QtWidgets import QWidget

from napari_dacapo_tasks.widgets.layer_combo import LayerCombo
from napari_dacapo_tasks.widgets.result_layers import RESULT

VALUES = np.zeros((4, 4), np.uint8)


@pytest.fixture(params=["plain", "proxy"])
def viewer(request: Any) -> Any:
    model = ViewerModel()
    model.add_image(VALUES, name="raw")
    model.add_labels(VALUES, name="labels")
    return model if request.param == "plain" else PublicOnlyProxy(model)


def names(combo: LayerCombo) -> list[str]:
    return [combo.itemText(index) for index in range(combo.count())]


def test_only_layers_of_the_types_are_offered_the_uppermost_first(qtbot: Any, viewer: Any) -> None:
    viewer.add_image(VALUES, name="raw 2")
    combo = LayerCombo(viewer, (Image,))
    qtbot.addWidget(combo)
    assert names(combo) == ["raw 2", "raw"]
    assert combo.layer() == viewer.layers["raw 2"]


def test_it_follows_what_is_added_renamed_moved_and_removed(qtbot: Any, viewer: Any) -> None:
    combo = LayerCombo(viewer, (Image, Labels))
    qtbot.addWidget(combo)
    raw = viewer.layers["raw"]
    combo.set_layer(raw)
    told: list[Any] = []
    combo.layerChanged.connect(told.append)

    viewer.add_image(VALUES, name="new")
    raw.name = "renamed"
    viewer.layers.move(0, 3)
    assert names(combo) == ["renamed", "new", "labels"]
    assert combo.layer() == raw
    assert combo.currentText() == "renamed"
    assert told == []

    viewer.layers.remove("renamed")
    assert names(combo) == ["new", "labels"]
    assert combo.layer() == viewer.layers["new"]
    assert told == [viewer.layers["new"]]


def test_what_this_program_made_is_not_offered(qtbot: Any, viewer: Any) -> None:
    combo = LayerCombo(viewer, (Image,))
    qtbot.addWidget(combo)
    viewer.add_image(VALUES, name="prediction", metadata={RESULT: True})
    assert names(combo) == ["raw"]


def test_without_layers_there_is_none(qtbot: Any) -> None:
    combo = LayerCombo(ViewerModel(), (Image,))
    qtbot.addWidget(combo)
    assert combo.layer() is None


def test_the_first_layer_is_chosen_by_itself_placeholder_or_not(qtbot: Any) -> None:
    viewer = ViewerModel()
    combo = LayerCombo(viewer, (Image,))
    combo.setPlaceholderText("open an image")
    qtbot.addWidget(combo)
    layer = viewer.add_image(VALUES)
    assert combo.layer() is layer
    assert combo.currentText() == layer.name


def test_no_layer_can_be_a_choice(qtbot: Any, viewer: Any) -> None:
    combo = LayerCombo(viewer, (Labels,), none_text="no mask")
    qtbot.addWidget(combo)
    assert names(combo) == ["no mask", "labels"]
    assert combo.layer() is None
    combo.setCurrentIndex(1)
    viewer.layers.remove("labels")
    assert combo.layer() is None


def test_a_deleted_combo_is_called_no_more(qtbot: Any, viewer: Any) -> None:
    parent = QWidget()
    combo = LayerCombo(viewer, (Image,), parent=parent)
    with qtbot.waitSignal(combo.destroyed):
        parent.deleteLater()
    viewer.add_image(VALUES, name="late")  # would raise in the deleted combo
    assert viewer.layers.events.inserted.callbacks == () or all(
        "_fill" not in str(callback) for callback in viewer.layers.events.inserted.callbacks
    )
