"""Samples that are shown before training: how they are laid out, and the panel."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from funlib.geometry import Coordinate

from napari_dacapo_tasks.arrays import Channel, LabelsConfig, NumpyArray
from napari_dacapo_tasks.errors import ConfigError
from napari_dacapo_tasks.runs.augmentation import AugmentationConfig
from napari_dacapo_tasks.runs.data_config import SamplingConfig
from napari_dacapo_tasks.runs.rows import Row
from napari_dacapo_tasks.runs.trainer_config import TrainerConfig
from napari_dacapo_tasks.tasks import AffinitiesTaskConfig, OneHotTaskConfig
from napari_dacapo_tasks.tasks.predictors.predictor import Composite
from napari_dacapo_tasks.widgets.batches_panel import BatchesPanel
from napari_dacapo_tasks.widgets.batches_work import (
    BatchesRequest,
    make_batches,
    mosaic,
    pictured,
    places,
)

LABELS = LabelsConfig(channels=(Channel(name="balls"),))
PLACE = {"scale": (8, 8, 8), "units": ("nm",) * 3, "axis_labels": ("z", "y", "x")}
PLAIN = TrainerConfig(
    device="cpu", augmentation=AugmentationConfig.preset("none", (8, 8, 8)), batch_size=2
)


def array(values: Any, begin: Any, voxel: Any = (40, 4, 4)) -> NumpyArray:
    return NumpyArray(np.asarray(values), axes="czyx", voxel_size=voxel, offset=begin)


# How they are laid out


def samples(count: int) -> tuple[list[NumpyArray], list[NumpyArray]]:
    """Raw data here and there, and a finer target in the middle of each."""
    raws, targets = [], []
    for number in range(count):
        begin = Coordinate(40 * number, 4 * number, 8)
        raws.append(array(np.full((1, 4, 10, 12), number + 1.0), begin))
        inside = begin + Coordinate(40, 12, 16)
        targets.append(array(np.full((2, 2, 8, 8), number + 1), inside, (40, 2, 2)))
    return raws, targets


def test_samples_lie_beside_each_other_with_gaps() -> None:
    raws, targets = samples(3)
    corner = Coordinate(400, 40, 44)
    first, second = places(raws, [raws, targets], corner)
    for begins in (first, second):
        assert len({begin[1] for begin in begins}) == 1, "a row"
    for raw, target, above, below in zip(raws, targets, first, second, strict=True):
        shift = target.roi.begin - raw.roi.begin
        assert (below - above)[0] == shift[0], "the same section is seen of both"
        assert (below - above)[2] == shift[2], "they stand beneath each other"
        assert below[1] > above[1] + raw.roi.shape[1]
        assert above[2] > corner[2]
    assert first[1][2] - first[0][2] > raws[0].roi.shape[2]
    steps = zip(first + second, [(40, 4, 4)] * 6, strict=True)
    assert all((begin - corner)[axis] % v[axis] == 0 for begin, v in steps for axis in range(3))


def test_a_mosaic_holds_every_sample_and_nothing_in_between() -> None:
    raws, _ = samples(3)
    (begins,) = places(raws, [raws], Coordinate(0, 0, 0))
    whole = mosaic(raws, begins, np.nan)
    for raw, begin in zip(raws, begins, strict=True):
        moved = raw.moved_to(begin)
        np.testing.assert_array_equal(whole[moved.roi], raw.data)
    assert np.isnan(whole.data).sum() == whole.data.size - 3 * raws[0].data.size


def test_images_are_laid_out_like_volumes() -> None:
    raws = [
        NumpyArray(np.full((1, 6, 5), n), axes="cyx", voxel_size=(4, 4), offset=(8, 8))
        for n in range(2)
    ]
    (begins,) = places(raws, [raws], Coordinate(0, 0))
    assert mosaic(raws, begins, np.nan).data.shape == (1, 6, 11)


def test_pictures_have_no_colour_in_between() -> None:
    raws, _ = samples(2)
    classes = [array(np.stack([raw.data[0] * 0, raw.data[0]]), raw.roi.begin) for raw in raws]
    colours = [array(np.concatenate([raw.data * 0.25] * 3), raw.roi.begin) for raw in raws]
    (begins,) = places(raws, [raws], Coordinate(0, 0, 0))
    (known,) = pictured(classes, begins, [Composite("all", (0, 1), True)], [(0.0, 1.0)] * 2)
    assert set(np.unique(known.values)) == {0, 1}
    (known,) = pictured(colours, begins, [Composite("rgb", (0, 1, 2))], [(0.0, 1.0)] * 3)
    assert known.values.shape[-1] == 4
    drawn = known.values[..., 3] == 255
    assert drawn.sum() == 2 * raws[0].data.size
    assert set(np.unique(known.values[drawn][:, 0])) == {63, 127}


# What they are made of


@pytest.fixture
def request_of(volume: Any, small_task: Any, small_net: Any) -> Any:
    def make(**changes: Any) -> BatchesRequest:
        row = Row(volume.array(volume.raw), volume.array(volume.labels), name="one")
        parts: dict[str, Any] = {
            "rows": [row],
            "labels": LABELS,
            "task": small_task,
            "architecture": small_net,
            "trainer": PLAIN,
            "sampling": SamplingConfig(),
            "count": 3,
        }
        return BatchesRequest(**{**parts, **changes})

    return make


def made(request: BatchesRequest, first: int = 1) -> Any:
    steps = make_batches(request, first)
    while True:
        try:
            next(steps)
        except StopIteration as stop:
            return stop.value


def test_samples_are_those_that_training_will_see(request_of: Any, volume: Any) -> None:
    seen = made(request_of())
    assert seen.channels == ["balls"]
    assert len(seen.done) == 3
    raw = seen.raw.data[0]
    known = ~np.isnan(raw)
    assert known.sum() == 3 * 24**3
    # Without augmentation a sample is a piece of the data, brought between -1 and 1.
    first = raw[:, :24, :24]
    corners = np.argwhere(
        np.isclose(_normalised(volume.raw)[:17, :17, :17], first[0, 0, 0], atol=1e-5)
    )
    pieces = [
        _normalised(volume.raw)[tuple(slice(c, c + 24) for c in corner)] for corner in corners
    ]
    assert any(np.allclose(piece, first, atol=1e-5) for piece in pieces)
    # They lie beside the data, which ends here.
    assert seen.raw.roi.begin[2] > volume.array(volume.raw).roi.end[2]
    assert seen.highest_weight == np.nanmax(seen.weight.data) > 0


def _normalised(raw: Any) -> Any:
    low, high = _limits(raw)
    return (raw.astype(np.float32) - low) / (high - low) * 2 - 1


def _limits(raw: Any) -> tuple[float, float]:
    from napari_dacapo_tasks.arrays import Array
    from napari_dacapo_tasks.runs.intensity import measure_range

    return measure_range(Array(raw, axes="zyx", voxel_size=(8, 8, 8)))


def test_other_iterations_have_other_samples_and_the_same_has_the_same(request_of: Any) -> None:
    one, again, other = (made(request_of(), first) for first in (1, 1, 3))
    np.testing.assert_array_equal(one.raw.data, again.raw.data)
    assert not np.array_equal(one.raw.data, other.raw.data, equal_nan=True)


def test_a_crop_is_named_where_there_are_several(request_of: Any, volume: Any) -> None:
    rows = [
        Row(volume.array(volume.raw), volume.array(volume.labels), name=name)
        for name in ("one", "two")
    ]
    seen = made(request_of(rows=rows, count=8))
    assert {line.partition(":")[0] for line in seen.done} == {"one", "two"}


# The panel


class Person:
    """Somebody at the button."""

    def __init__(self, qtbot: Any, viewer: Any, request: BatchesRequest) -> None:
        self.qtbot, self.viewer, self.request = qtbot, viewer, request
        self.panel = BatchesPanel(viewer, lambda: self.request, lambda: viewer.layers["raw"])
        viewer.window.add_dock_widget(self.panel, name="Batches")

    def press(self) -> None:
        self.panel.show_button.click()
        self.qtbot.waitUntil(lambda: not self.panel.running)

    def shown(self) -> dict[str, Any]:
        return {one.name: one for one in self.viewer.layers if one.name.endswith("(batches)")}


@pytest.fixture
def person(qtbot: Any, make_napari_viewer: Any, volume: Any, request_of: Any) -> Iterator[Person]:
    viewer = make_napari_viewer()
    viewer.add_image(volume.raw, name="raw", **PLACE)
    viewer.add_labels(volume.labels, name="labels", **PLACE)
    person = Person(qtbot, viewer, request_of())
    yield person
    person.panel.end()


def test_samples_are_shown_replaced_and_cleared(person: Person) -> None:
    viewer = person.viewer
    center, zoom = viewer.scene.camera.center, viewer.scene.camera.zoom
    assert not person.panel.clear_button.isEnabled()
    person.press()
    names = ["raw (batches)", "weight: balls (batches)", "target: balls (batches)"]
    assert list(person.shown()) == names
    assert all(layer.visible for layer in person.shown().values())
    raw = person.shown()["raw (batches)"]
    edge = viewer.layers["raw"].extent.world[1][2]
    assert raw.extent.world[0][2] > edge, "beside the data"
    # A person sees all of them, in a section that they have.
    assert viewer.scene.camera.center[-1] > edge
    inside = raw.world_to_data(viewer.dims.point)[0]
    assert 0 <= inside < raw.data.shape[0]
    assert person.panel.notice.text.startswith("From left to right:\n1: ")
    assert len(person.panel.notice.text.splitlines()) == 1 + person.panel.count_box.value()

    before = raw.data
    person.press()
    assert list(person.shown()) == names
    assert person.shown()["raw (batches)"] is raw
    assert not np.array_equal(raw.data, before, equal_nan=True)

    person.panel.clear_button.click()
    assert person.shown() == {}
    assert [layer.name for layer in viewer.layers] == ["raw", "labels"]
    np.testing.assert_allclose(viewer.scene.camera.center, center)
    assert viewer.scene.camera.zoom == pytest.approx(zoom)
    assert person.panel.notice.text == ""
    assert not person.panel.clear_button.isEnabled()


def test_samples_can_be_cleared_while_others_cannot_be_made(person: Person) -> None:
    person.press()
    person.panel.setReady(False)
    assert not person.panel.show_button.isEnabled()
    person.panel.clear_button.click()
    assert person.shown() == {}


def test_another_number_of_samples(person: Person) -> None:
    person.panel.count_box.setValue(2)
    person.press()
    raw = person.shown()["raw (batches)"].data
    assert (~np.isnan(raw)).sum() == 2 * 24**3


@pytest.mark.parametrize("kind", ["affinities", "classes"])
def test_pictures_of_several_channels_are_shown(person: Person, request_of: Any, kind: str) -> None:
    if kind == "affinities":
        task: Any = AffinitiesTaskConfig(
            name="affs", neighborhood=[(1, 0, 0), (0, 1, 0), (0, 0, 1)]
        )
    else:
        classes = ["background", *(f"c{n}" for n in range(1, 13))]
        task = OneHotTaskConfig(name="classes", classes=classes)
    person.request = request_of(task=task)
    person.press()
    assert not person.panel.notice.is_error, person.panel.notice.text
    (picture,) = (
        one for name, one in person.shown().items() if one.visible and name.startswith("target")
    )
    if kind == "affinities":
        assert picture.rgb
        assert picture.data.shape[-1] == 4
    else:
        assert picture.data.max() > 0


def test_what_does_not_fit_is_told_in_one_sentence(
    person: Person, request_of: Any, small_net: Any
) -> None:
    too_large = small_net.model_copy(update={"input_shape": (64, 64, 64)})
    person.request = request_of(architecture=too_large)
    person.press()
    assert person.panel.notice.is_error
    assert "input" in person.panel.notice.text
    assert person.panel.show_button.isEnabled()
    assert person.shown() == {}


def test_what_cannot_be_asked_for_is_told(person: Person) -> None:
    def refuse() -> BatchesRequest:
        raise ConfigError("There is no task: choose one.")

    person.panel._request = refuse
    person.press()
    assert person.panel.notice.text == "There is no task: choose one."


def test_it_can_be_cancelled(person: Person) -> None:
    person.panel.show_button.click()
    assert person.panel.cancel_button.isVisibleTo(person.panel)
    person.panel.cancel_button.click()
    person.qtbot.waitUntil(lambda: not person.panel.running)
    person.qtbot.waitUntil(person.panel.show_button.isEnabled)
    assert person.shown() == {}
    assert person.panel.notice.text == ""


def test_a_removed_layer_comes_back_with_the_next_samples(person: Person) -> None:
    person.press()
    person.viewer.layers.remove(person.shown()["weight: balls (batches)"])
    person.press()
    assert len(person.shown()) == 3
