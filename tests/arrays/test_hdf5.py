"""HDF5 files: data sets by their path, attributes of funlib and others, never locked."""

from __future__ import annotations

import pickle
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from funlib.geometry import Coordinate, Roi

from napari_dacapo_tasks.arrays import open as open_module
from napari_dacapo_tasks.arrays.hdf5 import datasets_in
from napari_dacapo_tasks.arrays.open import images_at, open_array, split_path
from napari_dacapo_tasks.errors import DataError

VALUES = np.random.default_rng(0).integers(0, 255, (12, 20, 16)).astype(np.uint8)


@pytest.fixture
def write(tmp_path):
    """Write data sets by name, each values or values and attributes; and give the file."""

    def written(name: str = "a.h5", options: dict[str, Any] | None = None, **sets: Any) -> str:
        with h5py.File(tmp_path / name, "w") as file:
            for path, content in sets.items():
                values, attrs = content if isinstance(content, tuple) else (content, {})
                stored = file.create_dataset(path.replace("__", "/"), data=values, **options or {})
                stored.attrs.update(attrs)
        return str(tmp_path / name)

    return written


@pytest.mark.parametrize("options", [{}, {"chunks": (4, 4, 4)}, {"compression": "gzip"}])
@pytest.mark.parametrize("name", ["a.h5", "a.hdf5", "a.hdf", "no_suffix", "with:colon.h5"])
def test_values_come_back(write, name, options):
    file = write(name, options, raw=VALUES)
    for path in (file, f"{file}:raw", f"{file}:/raw"):
        array = open_array(path)
        np.testing.assert_array_equal(array[array.roi], VALUES)
        part = Roi((3, 0, 7), (5, 20, 2))
        np.testing.assert_array_equal(array[part], VALUES[3:8, :, 7:9])
    assert array.describe() == "12 x 20 x 16 voxels of 1 x 1 x 1 voxels"


@pytest.mark.parametrize(
    ("attrs", "size", "offset", "unit"),
    [
        ({"resolution": (40, 4, 4)}, (40, 4, 4), (0, 0, 0), "nm"),
        ({"voxel_size": [40, 4, 4], "offset": [80, 0, -8]}, (40, 4, 4), (80, 0, -8), "nm"),
        ({"resolution": np.array([40.0, 4, 4])}, (40, 4, 4), (0, 0, 0), "nm"),
        ({"voxel_size": [0.04, 0.004, 0.004], "units": b"um"}, (40, 4, 4), (0, 0, 0), "nm"),
        ({"element_size_um": [0.04, 0.004, 0.004]}, (40, 4, 4), (0, 0, 0), "nm"),
        ({}, (1, 1, 1), (0, 0, 0), "voxels"),
    ],
)
def test_attributes_say_where_it_lies(write, attrs, size, offset, unit):
    array = open_array(write(raw=(VALUES, attrs)))
    assert array.voxel_size == Coordinate(size)
    assert array.roi == Roi(offset, Coordinate(size) * Coordinate(VALUES.shape))
    assert array.unit.name == unit


def test_channels_by_their_attributes(write):
    values = np.stack([VALUES, 255 - VALUES])
    array = open_array(write(raw=(values, {"resolution": [8, 8, 8]})))
    assert (array.axes, array.num_channels) == (("c", "z", "y", "x"), 2)
    last = np.moveaxis(values, 0, -1)
    names = {"axis_names": ["z", "y", "x", "c^"], "voxel_size": [8, 8, 8]}
    array = open_array(write(raw=(last, names)))
    np.testing.assert_array_equal(array[array.roi], values)


def test_one_of_several_must_be_named(write):
    file = write(volumes__raw=VALUES, volumes__labels__ids=VALUES, scale=np.float64(3))
    with pytest.raises(
        DataError, match=r"several data sets, volumes/labels/ids, volumes/raw: name"
    ):
        open_array(file)
    assert datasets_in(file) == ["volumes/labels/ids", "volumes/raw"]
    assert [place for place, _ in images_at(file)] == [
        f"{file}:volumes/labels/ids",
        f"{file}:volumes/raw",
    ]
    assert open_array(f"{file}:volumes/raw").shape == VALUES.shape
    with pytest.raises(
        DataError, match=r"has no data set raw, but volumes/labels/ids, volumes/raw"
    ):
        open_array(f"{file}:raw")


def test_a_long_list_is_cut(write):
    file = write(**{f"d{i:02}": VALUES for i in range(12)})
    with pytest.raises(DataError, match=r"d07 and 4 more: name one of them, as in .*:d00\."):
        open_array(file)


def test_an_empty_and_a_broken_file_are_refused(write, tmp_path):
    with pytest.raises(DataError, match="holds no data set"):
        open_array(write())
    whole = write(raw=VALUES)
    (tmp_path / "cut.h5").write_bytes(Path(whole).read_bytes()[:1000])
    with pytest.raises(DataError, match=r"cut\.h5 cannot be read as HDF5"):
        open_array(tmp_path / "cut.h5")


def test_a_link_to_a_file_that_is_not_there_is_passed_over(write):
    file = write(raw=VALUES)
    with h5py.File(file, "r+") as content:
        content["elsewhere"] = h5py.ExternalLink("gone.h5", "/raw")
    assert open_array(file).shape == VALUES.shape


def test_others_can_write_while_it_is_open(write):
    file = write(raw=VALUES)
    array = open_array(file)
    array[array.roi]
    with h5py.File(file, "r+") as content:
        content["raw"][0] = 7
    assert (array[Roi((0, 0, 0), (1, 20, 16))] == 7).all()


def test_threads_and_processes_can_read(write):
    array = open_array(write("a.h5", {"compression": "gzip"}, raw=VALUES))
    with ThreadPoolExecutor(8) as pool:
        pages = list(pool.map(lambda z: array[Roi((z % 12, 0, 0), (1, 20, 16))], range(60)))
    for z, page in enumerate(pages):
        np.testing.assert_array_equal(page[0], VALUES[z % 12])
    there = pickle.loads(pickle.dumps(array))
    np.testing.assert_array_equal(there[there.roi], VALUES)


@pytest.mark.parametrize(
    ("path", "split"),
    [
        (r"C:\data\a.h5", (r"C:\data\a.h5", None)),
        (r"C:\data\a.h5:volumes\raw", (r"C:\data\a.h5", "volumes/raw")),
        (r"C:\data\a.h5:/raw/", (r"C:\data\a.h5", "raw")),
        (r"C:\gone\a.h5:raw", (r"C:\gone\a.h5:raw", None)),
        ("volume.ome.zarr/labels", ("volume.ome.zarr/labels", None)),
    ],
)
def test_the_colon_of_a_drive_is_none_of_a_data_set(monkeypatch, path, split):
    class Drive(type(open_module.Path())):
        def is_file(self) -> bool:
            return str(self) == r"C:\data\a.h5"

    monkeypatch.setattr(open_module, "Path", Drive)
    file, dataset = split_path(path)
    assert (str(file), dataset) == split
