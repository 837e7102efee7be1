from pathlib import Path

import numpy as np
import pytest
import zarr
from funlib.geometry import Roi

from napari_dacapo_tasks.arrays.zarr_array import ZarrArray, arrays_in
from napari_dacapo_tasks.errors import DataError
from napari_dacapo_tasks.units import VOXEL, WorldUnit

VALUES = np.arange(10 * 12 * 14, dtype=np.uint16).reshape(10, 12, 14)
FIB25 = Path(__file__).parents[2].parent / "shared" / "data" / "fib25.ome.zarr"


def container(path, arrays, **attrs):
    group = zarr.open_group(path, mode="w", zarr_format=attrs.pop("zarr_format", 2))
    for name, (values, array_attrs) in arrays.items():
        array = group.create_array(name, data=np.asarray(values))
        array.attrs.update(array_attrs)
    group.attrs.update(attrs)
    return path


def ome(scale, translation=None, unit="nanometer", paths=("0",), axes="zyx"):
    types = {"c": "channel", "t": "time"}
    steps = [{"type": "scale", "scale": list(scale)}]
    if translation:
        steps.append({"type": "translation", "translation": list(translation)})
    described = [
        {"name": a, "type": types[a]} if a in types else {"name": a, "type": "space", "unit": unit}
        for a in axes
    ]
    datasets = [{"path": path, "coordinateTransformations": steps} for path in paths]
    return [{"version": "0.4", "axes": described, "datasets": datasets}]


@pytest.mark.parametrize("zarr_format", [2, 3])
def test_ome_zarr_opens_at_its_finest_level(tmp_path, zarr_format):
    multiscales = ome((0.04, 0.004, 0.004), (0.08, 0, 0.008), "micrometer", ("s0", "s1"))
    attrs = {"multiscales": multiscales}
    if zarr_format == 3:
        attrs = {"ome": {"version": "0.5", **attrs}}
    arrays = {"s0": (VALUES, {}), "s1": (VALUES[::2], {})}
    path = container(tmp_path / "a.zarr", arrays, zarr_format=zarr_format, **attrs)
    array = ZarrArray.open(path)
    assert array.voxel_size == (40, 4, 4)
    assert array.roi == Roi((80, 0, 8), (400, 48, 56))
    np.testing.assert_array_equal(array[Roi((120, 4, 8), (40, 8, 4))], VALUES[1:2, 1:3, :1])
    level = ZarrArray.open(path / "s0")
    assert level.roi == array.roi, "a level named by its path has the image's place"


def test_channels_and_a_single_time_point_of_ome_zarr(tmp_path):
    multiscales = ome((1, 1, 40, 4, 4), axes="tczyx")
    arrays = {"0": (VALUES[None, None], {})}
    array = ZarrArray.open(container(tmp_path / "a.zarr", arrays, multiscales=multiscales))
    assert array.axes == ("c", "z", "y", "x")
    np.testing.assert_array_equal(array[array.roi], VALUES[None])


@pytest.mark.parametrize(
    "attrs",
    [
        {"voxel_size": [40, 4, 4], "offset": [80, 0, 8], "axis_names": ["z", "y", "x"]},
        {"resolution": [40, 4, 4], "offset": [80, 0, 8]},
        {"resolution": [40, 4, 4], "offset": [80, 0, 8], "units": ["nm", "nm", "nm"]},
        {"transform": {"scale": [40, 4, 4], "translate": [80, 0, 8], "units": ["nm"] * 3}},
    ],
)
def test_attributes_of_funlib_and_dacapo(tmp_path, attrs):
    path = container(tmp_path / "a.zarr", {"volumes/raw": (VALUES, attrs)})
    array = ZarrArray.open(path / "volumes" / "raw")
    assert array.voxel_size == (40, 4, 4)
    assert array.roi.begin == (80, 0, 8)
    assert array.unit == WorldUnit("nm")


def test_funlib_channels_have_no_voxel_size(tmp_path):
    attrs = {"voxel_size": [40, 4, 4], "axis_names": ["c^", "z", "y", "x"]}
    path = container(tmp_path / "a.zarr", {"affs": (np.stack([VALUES] * 3), attrs)})
    array = ZarrArray.open(path / "affs")
    assert array.axes == ("c", "z", "y", "x")
    assert array.num_channels == 3
    assert array.voxel_size == (40, 4, 4)


def test_a_bare_array_is_in_voxels(tmp_path):
    array = ZarrArray.open(container(tmp_path / "a.zarr", {"x": (VALUES, {})}))
    assert array.unit == VOXEL
    assert array.voxel_size == (1, 1, 1)


def test_attributes_that_do_not_fit_the_array_are_refused(tmp_path):
    path = container(tmp_path / "a.zarr", {"x": (VALUES, {"voxel_size": [4]})})
    with pytest.raises(DataError, match="3 axes, but its attributes"):
        ZarrArray.open(path / "x")


def test_a_group_of_several_arrays_asks_which(tmp_path):
    path = container(tmp_path / "a.zarr", {"raw": (VALUES, {}), "labels/gt": (VALUES, {})})
    with pytest.raises(DataError, match=r"holds labels, raw: name one of them"):
        ZarrArray.open(path)


def test_levels_without_metadata_open_at_the_finest(tmp_path):
    path = container(tmp_path / "a.zarr", {"s0": (VALUES, {}), "s1": (VALUES[::2], {})})
    assert ZarrArray.open(path).shape == (10, 12, 14)


@pytest.mark.parametrize("inside", ["", "raw", "raw/s0"])
@pytest.mark.parametrize("name", ["volume.n5", "volume"])
def test_n5_is_refused_with_the_way_out(tmp_path, name, inside):
    for folder in ("", "raw", "raw/s0"):
        (tmp_path / name / folder).mkdir(parents=True, exist_ok=True)
        (tmp_path / name / folder / "attributes.json").write_text("{}")
    said = f"{inside or name} is N5, which does not open here: convert it to OME-Zarr"
    for opened in (ZarrArray.open, lambda path: list(arrays_in(path))):
        with pytest.raises(DataError, match=said):
            opened(tmp_path / name / inside)


def test_a_folder_of_sections_is_refused_with_the_way_out(tmp_path):
    for number in range(3):
        (tmp_path / f"{number}.TIF").touch()
    with pytest.raises(DataError, match=r"a folder with 3 TIFF files: choose one of them, or save"):
        ZarrArray.open(tmp_path)


def test_a_plain_folder_of_arrays_names_them(tmp_path):
    container(tmp_path / "folder/raw", {"s0": (VALUES, {})})
    container(tmp_path / "folder/gt", {}, zarr_format=3)
    with pytest.raises(DataError, match=r"folder holds gt, raw: name one of them, as in .*gt\.$"):
        ZarrArray.open(tmp_path / "folder")


def test_what_is_not_there_or_no_zarr_is_said(tmp_path):
    with pytest.raises(DataError, match="nothing at"):
        ZarrArray.open(tmp_path / "missing.zarr")
    (tmp_path / "folder").mkdir()
    with pytest.raises(DataError, match=r"folder holds no image: choose the folder of"):
        ZarrArray.open(tmp_path / "folder")
    cut = container(tmp_path / "cut.zarr", {})
    (cut / ".zgroup").write_text("{")
    with pytest.raises(DataError, match="cannot be read as zarr"):
        ZarrArray.open(cut)
    with pytest.raises(DataError, match="is an empty group"):
        ZarrArray.open(container(tmp_path / "empty.zarr", {}))
    broken = container(tmp_path / "broken.zarr", {}, multiscales=ome((1, 1, 1)))
    with pytest.raises(DataError, match="names the array 0, which is not there"):
        ZarrArray.open(broken)


def test_reading_never_touches_the_rest(tmp_path):
    path = tmp_path / "big.zarr"
    array = zarr.create_array(path, shape=(400, 4000, 4000), chunks=(8, 8, 8), dtype="u8")
    array[8:16, 8:16, 8:16] = 5
    lazy = ZarrArray.open(path)
    assert lazy[Roi((8, 8, 8), (8, 8, 8))].min() == 5, "51 GB, of which 4 kB are read"


def test_all_images_of_a_container_are_found_once(tmp_path):
    nested = {"volumes/raw": (VALUES, {}), "volumes/labels/gt": (VALUES, {})}
    path = container(tmp_path / "a.zarr", nested)
    assert [name for name, _ in arrays_in(path)] == ["volumes/labels/gt", "volumes/raw"]


@pytest.mark.skipif(not FIB25.exists(), reason="the real volumes are not beside the checkout")
def test_a_real_ome_zarr():
    assert [name for name, _ in arrays_in(FIB25)] == ["fib25.ome.zarr", "labels/neurons"]
    array = ZarrArray.open(FIB25 / "labels" / "neurons")
    assert array.describe() == "160 x 250 x 250 voxels of 10 x 10 x 10 nm"
    assert array[Roi((800, 1000, 1000), (100, 200, 200))].shape == (10, 20, 20)
