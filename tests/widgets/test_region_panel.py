"""Regions of an image, entered and drawn."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from funlib.geometry import Roi

from napari_dacapo_tasks.arrays import Array
from napari_dacapo_tasks.errors import DataError
from napari_dacapo_tasks.widgets.layers import array_of
from napari_dacapo_tasks.widgets.region_panel import region_of_shapes, region_of_text

PLACE = {"scale": (40, 4, 4), "translate": (400, 0, 8), "units": ("nm",) * 3}


@pytest.fixture
def array() -> Array:
    return Array(np.zeros((10, 20, 30), np.uint8), axes="zyx", voxel_size=(40, 4, 4))


class TestText:
    def test_gives_voxels(self, array: Array) -> None:
        assert region_of_text("2:5,:,-10:", array) == Roi((80, 0, 80), (120, 80, 40))

    @pytest.mark.parametrize(
        ("text", "said"),
        [
            ("", "is no block"),
            ("1:2,x,:", "is no block"),
            ("1:2,:", "has 2 ranges, but the image 3 axes"),
            ("5:5,:,:", "holds no voxel of an image of 10 x 20 x 30"),
            ("20:30,:,:", "holds no voxel"),
        ],
    )
    def test_refuses_what_is_none(self, array: Array, text: str, said: str) -> None:
        with pytest.raises(DataError, match=said):
            region_of_text(text, array)


class TestShapes:
    @pytest.fixture
    def viewer(self, make_napari_viewer: Any) -> Any:
        viewer = make_napari_viewer()
        viewer.add_image(np.zeros((10, 20, 30), np.uint8), name="raw", **PLACE)
        return viewer

    def region(self, viewer: Any, shapes: Any, depth: int = 0) -> Roi:
        raw = viewer.layers["raw"]
        roi = region_of_shapes(viewer, shapes, array_of(raw), raw, depth)
        voxel = array_of(raw).voxel_size
        begin = (roi.begin - array_of(raw).roi.begin) / voxel
        return Roi(begin, roi.shape / voxel)

    def test_takes_the_voxels_that_are_touched_and_all_sections(self, viewer: Any) -> None:
        corners = [[3, 4.6, 5.4], [3, 4.6, 9.4], [3, 8.4, 9.4], [3, 8.4, 5.4]]
        shapes = viewer.add_shapes([corners], shape_type="rectangle", **PLACE)
        assert self.region(viewer, shapes) == Roi((0, 5, 5), (10, 4, 5))
        assert self.region(viewer, shapes, depth=4) == Roi((1, 5, 5), (4, 4, 5))

    def test_ends_where_the_image_ends(self, viewer: Any) -> None:
        corners = [[1, -9, 25], [1, -9, 99], [1, 5, 99], [1, 5, 25]]
        shapes = viewer.add_shapes([corners], shape_type="rectangle", **PLACE)
        assert self.region(viewer, shapes, depth=6) == Roi((0, 0, 25), (4, 6, 5))

    def test_takes_what_is_selected_among_several_in_its_own_world(self, viewer: Any) -> None:
        far = np.array([[0, 0], [0, 8], [8, 8], [8, 0]], float)
        near = far + 40
        shapes = viewer.add_shapes([far, near], shape_type="rectangle", units=("nm",) * 2)
        shapes.selected_data = {1}
        viewer.dims.set_point(0, 400 + 7 * 40)
        # Pixels of 4 nm, from the one that 40 nm lies in.
        assert self.region(viewer, shapes, depth=1) == Roi((7, 10, 8), (1, 3, 3))

    def test_refuses_nothing_and_elsewhere(self, viewer: Any) -> None:
        shapes = viewer.add_shapes(ndim=3, **PLACE)
        with pytest.raises(DataError, match="is empty: draw a rectangle"):
            self.region(viewer, shapes)
        shapes.add_rectangles([[1, 50, 50], [1, 50, 60], [1, 60, 60], [1, 60, 50]])
        with pytest.raises(DataError, match="lies outside of 'raw'"):
            self.region(viewer, shapes)
