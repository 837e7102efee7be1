import dask.array
import numpy as np
import pytest
import zarr
from funlib.geometry import Roi
from napari.layers import Image, Labels, Points

from napari_dacapo_tasks.arrays import NumpyArray
from napari_dacapo_tasks.errors import DataError
from napari_dacapo_tasks.units import VOXEL, WorldUnit
from napari_dacapo_tasks.widgets.layers import array_of, first_voxel, geometry_of

VALUES = np.arange(10 * 12 * 14, dtype=np.uint16).reshape(10, 12, 14)
PLACE = {
    "scale": (0.04, 0.004, 0.004),
    "translate": (0.08, 0, 0.008),
    "units": ("um",) * 3,
    "axis_labels": ("z", "y", "x"),
}


def as_zarr(values):
    array = zarr.create_array(zarr.storage.MemoryStore(), data=values)
    return array


@pytest.mark.parametrize(
    "wrap",
    [
        lambda v: v,
        lambda v: dask.array.from_array(v, chunks=5),
        as_zarr,
        lambda v: [v, v[::2, ::2, ::2]],
        lambda v: [dask.array.from_array(v), dask.array.from_array(v[::2, ::2, ::2])],
    ],
    ids=["numpy", "dask", "zarr", "multiscale", "multiscale dask"],
)
@pytest.mark.parametrize("kind", [Image, Labels])
def test_a_layer_is_an_array_in_its_place(wrap, kind):
    layer = kind(wrap(VALUES), **PLACE)
    array = array_of(layer)
    assert array.unit == WorldUnit("nm")
    assert array.voxel_size == (40, 4, 4)
    assert array.roi == Roi((80, 0, 8), (400, 48, 56))
    np.testing.assert_array_equal(array[Roi((120, 4, 8), (40, 8, 4))], VALUES[1:2, 1:3, :1])


def test_a_painted_numpy_layer_is_not_copied():
    layer = Labels(VALUES.copy(), **PLACE)
    array = array_of(layer)
    layer.data[0, 0, 0] = 77
    assert array[array.roi][0, 0, 0] == 77


def test_back_to_a_layer_in_exactly_the_same_place():
    layer = Image(VALUES, **{**PLACE, "scale": (0.1, 0.3, 0.7), "translate": (1 / 3, 0, 5)})
    geometry = geometry_of(layer)
    back = Image(VALUES, **geometry.layer_options())
    assert back.scale.tolist() == layer.scale.tolist()
    assert back.translate.tolist() == layer.translate.tolist()
    assert back.units == layer.units
    assert back.axis_labels == layer.axis_labels
    crop = Image(VALUES[2:, 3:, 4:], **geometry.from_voxel((2, 3, 4)).layer_options())
    np.testing.assert_allclose(crop.data_to_world((0, 0, 0)), layer.data_to_world((2, 3, 4)))


def test_a_channel_axis_goes_in_front():
    layer = Image(VALUES, **PLACE)
    many = Image(np.stack([VALUES] * 5), **geometry_of(layer).layer_options(channels=True))
    assert many.axis_labels == ("channel", "z", "y", "x")
    np.testing.assert_allclose(many.data_to_world((3, 1, 1, 1))[1:], layer.data_to_world((1, 1, 1)))


def test_an_affine_of_scale_and_place_counts():
    affine = np.diag([40.0, 4, 4, 1])
    affine[:3, 3] = (80, 0, 8)
    array = array_of(Image(VALUES, affine=affine, units=("nm",) * 3))
    assert array.voxel_size == (40, 4, 4)
    assert array.roi.begin == (80, 0, 8)


@pytest.mark.parametrize(
    "bent", [{"rotate": (0, 10, 0)}, {"shear": (0.1, 0, 0)}, {"affine": np.eye(4)[[1, 0, 2, 3]]}]
)
def test_rotated_and_sheared_layers_are_refused(bent):
    with pytest.raises(DataError, match="'bent' is rotated or sheared"):
        array_of(Image(VALUES, name="bent", **bent))


def test_mirrored_layers_are_refused():
    with pytest.raises(DataError, match="every scale must be above zero"):
        array_of(Image(VALUES, scale=(1, -1, 1)))


def test_time_layers_are_refused():
    with pytest.raises(DataError, match="Layer 'movie': The data has a time axis of 10 points"):
        array_of(Image(VALUES, name="movie", axis_labels=("t", "y", "x")))
    with pytest.raises(DataError, match="'movie' has 4 axes without names"):
        array_of(Labels(VALUES[None], name="movie"))
    with pytest.raises(DataError, match="Layer 'raw': The unit 'second' is no length"):
        array_of(Image(VALUES, name="raw", units=("s", "nm", "nm")))


def test_layers_without_a_unit_are_in_voxels():
    array = array_of(Labels(VALUES))
    assert array.unit == VOXEL
    assert array.voxel_size == (1, 1, 1)
    assert array.axes == ("z", "y", "x")


def test_two_dimensions():
    array = array_of(Image(VALUES[0], scale=(4, 4), units=("nm", "nm")))
    assert array.axes == ("y", "x")
    assert array.dims == 2


@pytest.mark.parametrize(
    ("shape", "options", "channels"),
    [
        ((3, 10, 12, 14), {}, 3),
        ((3, 10, 12, 14), {"axis_labels": ("channel", "z", "y", "x")}, 3),
        ((10, 12, 14, 2), {"axis_labels": ("z", "y", "x", "c")}, 2),
        ((10, 12, 14, 3), {"rgb": True}, 3),
    ],
)
def test_raw_with_channels(shape, options, channels):
    values = np.random.default_rng(0).random(shape).astype(np.float32)
    array = array_of(Image(values, **options))
    assert array.num_channels == channels
    assert array.dims == 3
    assert array[array.roi].shape == (channels, 10, 12, 14)


def test_other_layers_are_refused():
    with pytest.raises(DataError, match="'spots' is of type Points"):
        array_of(Points(np.zeros((1, 3)), name="spots"))


def test_first_voxel_of_a_region():
    array = NumpyArray(VALUES, axes="zyx", voxel_size=(40, 4, 4), offset=(80, 0, 8))
    assert first_voxel(array, Roi((120, 8, 8), (40, 4, 4))) == (1, 2, 0)
