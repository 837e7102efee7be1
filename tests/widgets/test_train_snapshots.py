from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from typing import Any

import numpy as np
import pytest
from funlib.geometry import Coordinate, Roi
from napari.components import ViewerModel
from napari.layers import Layer

from napari_dacapo_tasks.arrays import NumpyArray
from napari_dacapo_tasks.runs.run_folder import RunFolder
from napari_dacapo_tasks.tasks.predictors.predictor import Composite
from napari_dacapo_tasks.training.events import Request, Snapshot, Stepped
from napari_dacapo_tasks.units import NANOMETRE, WorldUnit
from napari_dacapo_tasks.widgets.layers import array_of
from napari_dacapo_tasks.widgets.pictures import draw
from napari_dacapo_tasks.widgets.result_layers import Anchor
from napari_dacapo_tasks.widgets.seen_snapshot import SeenSnapshot
from napari_dacapo_tasks.widgets.snapshot_layers import SnapshotLayers
from napari_dacapo_tasks.widgets.train_work import go_on

VOXEL = (40, 8, 8)
BEGIN = (80, 16, 24)
KINDS = ["weight", "target", "prediction"]
NAMES = ["raw (snapshot)", "weight: mito (snapshot)", "target: mito (snapshot)"]
NAMES += ["prediction: mito (snapshot)"]


@pytest.fixture
def viewer() -> ViewerModel:
    viewer = ViewerModel()
    viewer.add_image(
        np.arange(10 * 20 * 30, dtype=np.uint16).reshape(10, 20, 30),
        name="raw",
        scale=[0.001 * v for v in VOXEL],
        translate=[0.001 * b for b in BEGIN],
        units=("um",) * 3,
        axis_labels=("z", "y", "x"),
    )
    return viewer


def array(
    shape: tuple[int, ...], first: tuple[int, ...], channels: int = 1, value: float = 0.5
) -> NumpyArray:
    """Make an array of the raw layer's world that begins at one of its voxels."""
    size = Coordinate(VOXEL)
    roi = Roi(Coordinate(BEGIN) + Coordinate(first) * size, Coordinate(shape) * size)
    values = np.full((channels, *shape), value, np.float32)
    return NumpyArray.from_np_array(values, roi, size, ("c", "z", "y", "x"))


def snapshot(
    first: tuple[int, ...] = (2, 3, 4), channels: tuple[str, ...] = ("mito",), value: float = 0.5
) -> Snapshot:
    inner = tuple(f + 1 for f in first)
    parts = {
        name: array((2, 4, 6), inner, len(channels), value)
        for name in ("target", "weight", "prediction")
    }
    return Snapshot(7, list(channels), raw=array((4, 6, 8), first), **parts)


def seen(
    snapshot: Snapshot, *composites: Composite, ranges: list[tuple[float, float]] | None = None
) -> SeenSnapshot:
    """Say how a snapshot is to be seen, as the worker does."""
    ranges = ranges or [(-1.0, 1.0)] * len(snapshot.channels)
    target, prediction = (
        draw(array.data, composites, ranges) for array in (snapshot.target, snapshot.prediction)
    )
    return SeenSnapshot(snapshot, ranges, 0.5, target, prediction)


def names(viewer: ViewerModel) -> list[str]:
    return [layer.name for layer in viewer.layers]


def first_voxel_in_raw(viewer: ViewerModel, layer: Layer) -> list[float]:
    raw = viewer.layers["raw"]
    return [round(v, 6) for v in raw.world_to_data(layer.data_to_world((0, 0, 0)))]


def test_a_snapshot_lies_where_its_crop_lies_in_raw(viewer: ViewerModel) -> None:
    shown = SnapshotLayers(viewer)
    shown.show(seen(snapshot()), Anchor.at_layer(viewer.layers["raw"]))
    assert names(viewer) == ["raw", *NAMES]
    assert first_voxel_in_raw(viewer, viewer.layers["raw (snapshot)"]) == [2, 3, 4]
    for name in NAMES[1:]:
        layer = viewer.layers[name]
        assert first_voxel_in_raw(viewer, layer) == [3, 4, 5]
        assert layer.units == viewer.layers["raw"].units
        assert layer.axis_labels == ("z", "y", "x")
        np.testing.assert_allclose(layer.scale, viewer.layers["raw"].scale)
        # What napari shows there is, read as an array, the region that training saw.
        assert array_of(layer).roi == snapshot().target.roi


def test_a_finer_prediction_covers_the_same_place(viewer: ViewerModel) -> None:
    anchor = Anchor.at_layer(viewer.layers["raw"])
    coarse = array((2, 4, 6), (3, 4, 5))
    fine = NumpyArray(
        np.zeros((2, 8, 12), np.float32),
        axes=("z", "y", "x"),
        voxel_size=(40, 4, 4),
        offset=coarse.roi.begin,
    )
    there, here = anchor.place(coarse), anchor.place(fine)
    for axis, ratio in enumerate((1, 0.5, 0.5)):
        assert here.scale[axis] == pytest.approx(there.scale[axis] * ratio)
        edge = there.translate[axis] - there.scale[axis] / 2
        assert here.translate[axis] - here.scale[axis] / 2 == pytest.approx(edge)


def test_a_finer_grid_is_the_same_place(viewer: ViewerModel) -> None:
    anchor = Anchor.at_layer(viewer.layers["raw"])
    there = array((2, 4, 6), (3, 4, 5))
    angstrom = there.on_grid(WorldUnit("nm", 10))
    assert anchor.place(angstrom).translate == pytest.approx(anchor.place(there).translate)
    assert anchor.place(angstrom).scale == pytest.approx(anchor.place(there).scale)


def test_without_a_layer_a_snapshot_takes_its_own_place(viewer: ViewerModel) -> None:
    SnapshotLayers(viewer).show(seen(snapshot()), None)
    layer = viewer.layers["target: mito (snapshot)"]
    assert [str(unit) for unit in layer.units] == ["nanometer"] * 3
    np.testing.assert_allclose(layer.scale, VOXEL)
    assert array_of(layer).roi == snapshot().target.roi
    assert array_of(layer).unit == NANOMETRE


def test_the_next_snapshot_comes_in_place_and_keeps_what_the_person_set(
    viewer: ViewerModel,
) -> None:
    shown = SnapshotLayers(viewer)
    anchor = Anchor.at_layer(viewer.layers["raw"])
    shown.show(seen(snapshot()), anchor)
    layer = viewer.layers["prediction: mito (snapshot)"]
    layer.visible = False
    layer.colormap = "magma"
    layer.contrast_limits = (-0.5, 0.25)
    layer.name = "mine"
    viewer.layers.move(viewer.layers.index(layer), 0)
    before = list(viewer.layers)

    shown.show(seen(snapshot(first=(0, 1, 2), value=0.25)), anchor)
    assert list(viewer.layers) == before
    assert not layer.visible
    assert layer.colormap.name == "magma"
    assert tuple(layer.contrast_limits) == (-0.5, 0.25)
    assert first_voxel_in_raw(viewer, layer) == [1, 2, 3]
    assert layer.data.max() == 0.25


def test_target_and_prediction_share_colours_and_limits(viewer: ViewerModel) -> None:
    SnapshotLayers(viewer).show(seen(snapshot()), None)
    target, prediction = viewer.layers[NAMES[2]], viewer.layers[NAMES[3]]
    assert target.colormap == prediction.colormap
    assert tuple(target.contrast_limits) == tuple(prediction.contrast_limits) == (-1, 1)
    blue, neutral, red = target.colormap.map(np.array([0.0, 0.5, 1.0]))
    assert blue[2] > blue[0]
    assert red[0] > red[2]
    assert neutral[:3].min() > 0.85


def test_a_removed_layer_comes_back_with_the_next_snapshot(viewer: ViewerModel) -> None:
    shown = SnapshotLayers(viewer)
    shown.show(seen(snapshot()), None)
    viewer.layers.remove("target: mito (snapshot)")
    shown.show(seen(snapshot()), None)
    assert sorted(names(viewer)) == sorted(["raw", *NAMES])


def test_the_layers_of_a_dock_that_was_closed_are_taken_over(viewer: ViewerModel) -> None:
    SnapshotLayers(viewer).show(seen(snapshot()), None)
    before = list(viewer.layers)
    SnapshotLayers(viewer).show(seen(snapshot(value=0.25)), None)
    assert list(viewer.layers) == before
    assert before[-1].data.max() == 0.25


def test_many_channels_are_one_layer_whose_slider_names_the_channel(viewer: ViewerModel) -> None:
    shown = SnapshotLayers(viewer)
    channels = ("a", "b", "c", "d", "e")
    shown.show(seen(snapshot(channels=channels)), Anchor.at_layer(viewer.layers["raw"]))
    layer = viewer.layers["target: a (snapshot)"]
    assert layer.data.shape == (5, 2, 4, 6)
    assert layer.axis_labels[0] == "channel"
    np.testing.assert_allclose(layer.scale[1:], viewer.layers["raw"].scale)
    viewer.dims.set_current_step(0, 2)
    assert names(viewer)[-3:] == [f"{kind}: c (snapshot)" for kind in KINDS]
    shown.show(seen(snapshot(channels=channels[:2])), None)
    assert "target: a (snapshot)" in names(viewer)


def test_the_slider_of_others_is_left_where_it_is(viewer: ViewerModel) -> None:
    viewer.add_image(np.zeros((8, 10, 20, 30), np.uint8), name="preview of 8 channels")
    viewer.dims.set_current_step(0, 6)
    shown = SnapshotLayers(viewer)
    for _ in range(2):
        shown.show(seen(snapshot(channels=("a", "b", "c", "d", "e"))), None)
        assert viewer.dims.current_step[0] == 6
    viewer.dims.set_current_step(0, 3)
    assert "target: d (snapshot)" in names(viewer)


def test_each_channel_has_its_own_range(viewer: ViewerModel) -> None:
    made = seen(snapshot(channels=("hot", "distance")), ranges=[(0.0, 1.0), (-1.0, 1.0)])
    SnapshotLayers(viewer).show(made, None)
    for kind in ("target", "prediction"):
        hot, distance = (
            viewer.layers[f"{kind}: {name} (snapshot)"] for name in made.snapshot.channels
        )
        assert tuple(hot.contrast_limits) == (0, 1)
        assert tuple(distance.contrast_limits) == (-1, 1)
        assert hot.colormap.name != distance.colormap.name


def test_affinities_are_seen_as_pictures_of_target_and_prediction(viewer: ViewerModel) -> None:
    made = snapshot(channels=("z+1", "y+1", "x+1"))
    made.prediction.data[1] = 0.25
    nearest = Composite("nearest", (0, 1, 2))
    shown = SnapshotLayers(viewer)
    shown.show(seen(made, nearest, ranges=[(0.0, 1.0)] * 3), Anchor.at_layer(viewer.layers["raw"]))
    assert [layer.name for layer in viewer.layers if layer.visible] == [
        *("raw", "raw (snapshot)"),
        *("target: nearest (snapshot)", "prediction: nearest (snapshot)"),
    ]
    picture = viewer.layers["prediction: nearest (snapshot)"]
    assert picture.rgb
    assert picture.opacity == 1  # the target is covered
    assert np.shares_memory(picture.data, made.prediction.data)
    np.testing.assert_allclose(picture.data[0, 0, 0], [0.5, 0.25, 0.5])
    assert first_voxel_in_raw(viewer, picture) == [3, 4, 5]
    shown.reveal()
    assert viewer.dims.current_step[0] == 0  # the channel is not moved


def test_classes_are_seen_as_the_likeliest(viewer: ViewerModel) -> None:
    made = snapshot(channels=("background", "er", "mito"), value=0.0)
    made.target.data[2] = 1
    made.prediction.data[:] = np.array([0.3, 0.5, 0.2], np.float32)[:, None, None, None]
    classes = Composite("classes", (0, 1, 2), exclusive=True)
    SnapshotLayers(viewer).show(seen(made, classes, ranges=[(0.0, 1.0)] * 3), None)
    target = viewer.layers["target: classes (snapshot)"]
    prediction = viewer.layers["prediction: classes (snapshot)"]
    assert (target.data == 2).all()
    assert (prediction.data == 1).all()
    assert (target.visible, prediction.visible) == (False, True)  # one shines through the other


def test_the_worker_draws_snapshots_and_passes_requests_on(
    make_run: Callable[..., RunFolder],
) -> None:
    run = make_run(trainer={"iterations": 3, "snapshot_interval": 1000})
    work = go_on(run, run.config.trainer)
    events: list[Any] = [next(work)]
    with suppress(StopIteration):
        while True:
            first_step = isinstance(events[-1], Stepped) and events[-1].iteration == 1
            events.append(work.send(Request.SNAPSHOT if first_step else None))
    made = [event for event in events if isinstance(event, SeenSnapshot)]
    assert [one.snapshot.iteration for one in made] == [0, 1, 3]
    assert made[0].ranges == [(-1, 1)]
    assert made[0].highest_weight == made[0].snapshot.weight.data.max()
    assert not any(isinstance(event, Snapshot) for event in events)


def test_the_selected_layer_stays_selected(viewer: ViewerModel) -> None:
    labels = viewer.add_labels(np.zeros((10, 20, 30), np.uint8), name="painted")
    viewer.layers.selection.active = labels
    SnapshotLayers(viewer).show(seen(snapshot()), None)
    assert viewer.layers.selection.active is labels


def test_reveal_moves_the_slider_only_where_it_misses_the_prediction(viewer: ViewerModel) -> None:
    shown = SnapshotLayers(viewer)
    shown.reveal()
    shown.show(seen(snapshot()), Anchor.at_layer(viewer.layers["raw"]))
    layer = viewer.layers["prediction: mito (snapshot)"]
    viewer.dims.set_point(0, viewer.dims.range[0].start)
    assert round(layer.world_to_data(viewer.dims.point)[0]) < 0
    across = viewer.dims.point[1:]
    shown.reveal()
    assert round(layer.world_to_data(viewer.dims.point)[0]) == 1
    assert viewer.dims.point[1:] == across
    viewer.dims.set_point(0, layer.data_to_world((0, 0, 0))[0])
    before = viewer.dims.point
    shown.reveal()
    assert viewer.dims.point == before


def test_two_dimensions(qtbot: Any) -> None:
    viewer = ViewerModel()
    raw = viewer.add_image(np.zeros((20, 30), np.uint8), name="raw", translate=(5, 6))
    inner = array_of(raw)
    values = np.zeros((1, 4, 4), np.float32)
    roi = Roi(inner.roi.begin + Coordinate(2, 3), Coordinate(4, 4))
    part = NumpyArray.from_np_array(values, roi, inner.voxel_size, ("c", "y", "x"), inner.unit)
    SnapshotLayers(viewer).show(
        seen(Snapshot(1, ["mito"], part, part, part, part)), Anchor.at_layer(raw)
    )
    layer = viewer.layers["prediction: mito (snapshot)"]
    np.testing.assert_allclose(layer.translate, (7, 9))
    assert [str(unit) for unit in layer.units] == ["pixel", "pixel"]


def test_of_several_channels_one_is_seen_until_a_person_chooses(viewer: ViewerModel) -> None:
    shown = SnapshotLayers(viewer)
    anchor = Anchor.at_layer(viewer.layers["raw"])
    shown.show(seen(snapshot(channels=("a", "b"))), anchor)
    first, second = (viewer.layers[f"prediction: {name} (snapshot)"] for name in "ab")
    assert (first.visible, second.visible) == (True, False)
    first.visible, second.visible = False, True
    shown.show(seen(snapshot(channels=("a", "b"), value=0.7)), anchor)
    assert (first.visible, second.visible) == (False, True)
