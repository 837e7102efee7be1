"""Arrays of gunpowder, by stand-ins of the same shape: gunpowder does not import beside zarr 3.

`benchmarks/gunpowder_array.py` takes a real one.
"""

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pytest
from funlib.geometry import Coordinate, Roi

from napari_dacapo_tasks.arrays import NumpyArray
from napari_dacapo_tasks.errors import DataError
from napari_dacapo_tasks.units import VOXEL

SIZE = Coordinate(40, 4, 8)
ROI = Roi((80, 0, -8), (160, 20, 48))


@dataclass
class ArraySpec:
    roi: Roi | None = None
    voxel_size: Coordinate | None = None
    interpolatable: bool | None = None
    nonspatial: bool = False
    dtype: Any = None
    placeholder: bool = False


@dataclass
class Array:
    data: Any
    spec: ArraySpec
    attrs: dict[str, Any] = field(default_factory=dict)


def gunpowder(shape=(4, 5, 6), dtype=np.uint8, attrs=None, **spec):
    values = np.arange(np.prod(shape)).reshape(shape).astype(dtype)
    spec = {"roi": ROI, "voxel_size": SIZE, "dtype": values.dtype, **spec}
    return Array(values, ArraySpec(**spec), attrs or {})


@pytest.mark.parametrize("front", [(), (1,), (3,), (1, 3), (1, 1)])
def test_the_last_axes_are_space_and_those_in_front_channels_and_a_batch_of_one(front):
    theirs = gunpowder((*front, 4, 5, 6), np.float32)
    array = NumpyArray.from_gp_array(theirs)
    assert array.axes == (("c", "z", "y", "x") if front else ("z", "y", "x"))
    assert array.num_channels == (front[-1] if front else None)
    assert (array.roi, array.voxel_size) == (ROI, SIZE)
    assert array.dtype == np.float32
    assert np.shares_memory(array.data, theirs.data)
    part = Roi((120, 4, 0), (80, 8, 16))
    inside = theirs.data[0] if len(front) == 2 else theirs.data
    np.testing.assert_array_equal(array[part], inside[..., 1:3, 1:3, 1:3])


@pytest.mark.parametrize(("dims", "axes"), [(1, ("x",)), (2, ("y", "x"))])
def test_images_and_lines(dims, axes):
    spec = {"roi": Roi((8,) * dims, (16,) * dims), "voxel_size": Coordinate((4,) * dims)}
    array = NumpyArray.from_gp_array(gunpowder((4,) * dims, **spec))
    assert array.axes == axes
    assert array.roi == spec["roi"]


def test_what_is_known_of_it_is_kept():
    array = NumpyArray.from_gp_array(
        gunpowder(attrs={"stain": "osmium"}, interpolatable=False), unit=VOXEL
    )
    assert array.attrs == {"stain": "osmium", "interpolatable": False}
    assert array.unit == VOXEL
    assert NumpyArray.from_gp_array(gunpowder()).attrs == {"interpolatable": None}


@pytest.mark.parametrize(
    ("changes", "match"),
    [
        ({"shape": (2, 3, 4, 5, 6)}, r"the shape \(2, 3, 4, 5, 6\) over a roi of 3 axes"),
        ({"shape": (1, 1, 3, 4, 5, 6)}, "only channels are understood"),
        ({"shape": (5, 6)}, "only channels are understood"),
        ({"roi": None, "voxel_size": None, "nonspatial": True}, "no place in the world"),
        ({"roi": None}, "no place in the world"),
        ({"voxel_size": None}, "no place in the world"),
        ({"roi": Roi((None,) * 3, (None,) * 3)}, "the unbounded roi"),
        ({"roi": Roi((0, 0, 0), (160, 20, None))}, "the unbounded roi"),
        ({"roi": Roi((80, 0, -8), (160, 20, 44))}, r"no multiple of its voxel size \(40, 4, 8\)"),
        ({"roi": Roi((80, 2, -8), (160, 20, 48))}, "snap it to the voxels first"),
        ({"roi": Roi((80, 0, -8), (160, 20, 40))}, r"has \(4, 5, 6\) voxels, but .* \(4, 5, 5\)"),
        ({"roi": Roi((0,) * 4, (8,) * 4), "voxel_size": (8,) * 4}, "a roi of 4 axes"),
        ({"voxel_size": Coordinate(4, 8)}, "a roi of 3 axes and a voxel size of 2"),
    ],
)
def test_what_has_no_sure_place_is_refused_in_one_sentence(changes, match):
    with pytest.raises(DataError, match=match) as refusal:
        NumpyArray.from_gp_array(gunpowder(**changes))
    assert str(refusal.value).endswith(".")
    assert str(refusal.value).count(". ") == 0
