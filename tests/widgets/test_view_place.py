"""From voxels to what the viewer looks at, and back."""

from typing import Any

import numpy as np
import pytest
from funlib.geometry import Coordinate

from napari_dacapo_tasks.arrays import NumpyArray
from napari_dacapo_tasks.widgets.layers import array_of, first_voxel, geometry_of
from napari_dacapo_tasks.widgets.view_place import box_around_view, box_at, look_at, looked_at

VALUES = np.zeros((20, 30, 40), np.float32)


@pytest.fixture
def viewer(make_napari_viewer: Any) -> Any:
    return make_napari_viewer(show=False)


@pytest.mark.parametrize("ndisplay", [2, 3])
@pytest.mark.parametrize("order", [(0, 1, 2), (2, 0, 1)])
def test_a_voxel_is_in_the_middle_of_what_is_seen(
    viewer: Any, place: dict[str, Any], ndisplay: int, order: tuple[int, ...]
) -> None:
    layer = viewer.add_image(VALUES, **place)
    viewer.dims.ndisplay = ndisplay
    viewer.dims.order = order
    look_at(viewer, geometry_of(layer), (3, 7.5, 31))
    np.testing.assert_allclose(looked_at(viewer, geometry_of(layer)), (3, 7.5, 31))
    world = layer.data_to_world((3, 7.5, 31))
    seen = np.asarray(viewer.scene.camera.center)[-ndisplay:]
    np.testing.assert_allclose(seen, [world[axis] for axis in viewer.dims.displayed])
    for axis in set(range(3)) - set(viewer.dims.displayed):
        # The slider may stand on the steps of the layer alone.
        assert abs(viewer.dims.point[axis] - world[axis]) <= 4


def test_layers_of_other_units_are_met_as_well(viewer: Any, place: dict[str, Any]) -> None:
    layer = viewer.add_image(VALUES, **place)
    micrometres = viewer.add_image(
        VALUES, scale=(0.008,) * 3, translate=(0.08, 0.16, 0.24), units=("um",) * 3
    )
    look_at(viewer, geometry_of(micrometres), (3, 7, 31))
    np.testing.assert_allclose(looked_at(viewer, geometry_of(layer)), (3, 7, 31), atol=1e-4)


def test_without_layers_nothing_is_looked_at(viewer: Any, place: dict[str, Any]) -> None:
    layer = viewer.add_image(VALUES, **place)
    array, there = array_of(layer), geometry_of(layer)
    viewer.layers.clear()
    look_at(viewer, there, (3, 7, 31))
    seen = looked_at(viewer, there)
    assert np.isnan(seen).all()
    assert tuple(box_at(array, seen, 10).shape / array.voxel_size) == (10, 10, 10)


@pytest.mark.parametrize("ndisplay", [2, 3])
def test_the_box_lies_around_the_view_and_inside_of_the_layer(
    viewer: Any, place: dict[str, Any], ndisplay: int
) -> None:
    layer = viewer.add_labels(np.zeros((60, 60, 60), np.uint8), **place)
    array = array_of(layer)
    viewer.dims.ndisplay = ndisplay
    centre = layer.data_to_world((20, 30, 40))
    viewer.dims.point = centre
    viewer.scene.camera.center = centre
    assert first_voxel(array, box_around_view(viewer, array, layer, 16)) == (12, 22, 32)
    viewer.scene.camera.center = layer.data_to_world((1000, 0, 0))
    viewer.dims.point = layer.data_to_world((59, 0, 0))
    begin = first_voxel(array, box_around_view(viewer, array, layer, 16))
    assert begin == (44, 0, 0)
    whole = box_around_view(viewer, array, layer, 1000)
    assert whole == array.roi


def test_a_box_around_the_view_beside_a_layer_of_other_units(
    viewer: Any, place: dict[str, Any]
) -> None:
    layer = viewer.add_labels(np.zeros((60, 60, 60), np.uint8), **place)
    viewer.add_image(VALUES, scale=(0.008,) * 3, units=("um",) * 3)
    look_at(viewer, geometry_of(layer), (20, 30, 40))
    array = array_of(layer)
    assert first_voxel(array, box_around_view(viewer, array, layer, 16)) == (12, 22, 32)


def test_axes_in_front_stay_where_they_are(viewer: Any, place: dict[str, Any]) -> None:
    viewer.add_image(np.zeros((5, *VALUES.shape), np.float32))
    layer = viewer.add_image(VALUES)
    viewer.dims.set_point(0, 3)
    look_at(viewer, geometry_of(layer), (4, 5, 6))
    assert viewer.dims.point == (3, 4, 5, 6)


def test_a_flat_layer_beside_a_volume(viewer: Any) -> None:
    viewer.add_image(VALUES)
    layer = viewer.add_image(VALUES[0])
    viewer.dims.set_point(0, 7)
    look_at(viewer, geometry_of(layer), (5, 6))
    assert viewer.dims.point[0] == 7
    np.testing.assert_allclose(looked_at(viewer, geometry_of(layer)), (5, 6))


@pytest.mark.parametrize(
    ("voxel", "begin"),
    [((0, 0, 0), (0, 0, 0)), ((19, 29, 39), (10, 20, 30)), ((10, np.nan, 20), (5, 10, 15))],
)
def test_a_box_stays_within_the_array(
    viewer: Any, place: dict[str, Any], voxel: tuple[float, ...], begin: tuple[int, ...]
) -> None:
    array = array_of(viewer.add_image(VALUES, **place))
    box = box_at(array, voxel, 10)
    assert box.begin == array.roi.begin + Coordinate(begin) * array.voxel_size
    assert box.shape == Coordinate((10, 10, 10)) * array.voxel_size


def test_a_box_is_no_larger_than_the_array() -> None:
    array = NumpyArray(VALUES, axes="zyx", voxel_size=(8, 8, 8))
    assert box_at(array, (1, 1, 1), 25).shape == Coordinate((20, 25, 25)) * 8
