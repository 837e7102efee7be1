"""Paths that open, and sentences for those that do not."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import tifffile
import zarr

from napari_dacapo_tasks.arrays.open import images_at, open_array
from napari_dacapo_tasks.arrays.zarr_array import ZarrArray
from napari_dacapo_tasks.errors import DataError

FIB25 = Path(__file__).parents[2] / "../shared/data/fib25.ome.zarr"


def test_a_plain_zarr_array_opens(tmp_path):
    zarr.save_array(tmp_path / "a.zarr", np.arange(24).reshape(2, 3, 4))
    array = open_array(tmp_path / "a.zarr")
    assert array.shape == (2, 3, 4)
    np.testing.assert_array_equal(array[array.roi].ravel(), np.arange(24))


@pytest.mark.skipif(not FIB25.exists(), reason="the volume ../shared/data/fib25.ome.zarr is absent")
def test_an_image_inside_a_container_opens():
    labels = open_array(f"{FIB25}/labels/neurons")
    assert labels.dtype == np.uint16
    assert labels.describe() == "160 x 250 x 250 voxels of 10 x 10 x 10 nm"


@pytest.mark.parametrize("name", ["a.tif", "a.h5", "a.h5:volumes/raw", "notes"])
def test_other_files_are_refused_with_what_opens(tmp_path, name):
    file = name.split(":")[0]
    (tmp_path / file).write_bytes(b"hello")
    with pytest.raises(DataError, match=f"{file} is no file that opens: save it as OME-Zarr, zarr"):
        open_array(f"{tmp_path}/{name}")


def test_a_tiff_has_no_data_sets(tmp_path):
    tifffile.imwrite(tmp_path / "a.tif", np.zeros((4, 5), np.uint8))
    assert [place for place, _ in images_at(tmp_path / "a.tif")] == [f"{tmp_path}/a.tif"]
    with pytest.raises(DataError, match=r"a TIFF, which has no data sets: leave :raw out"):
        open_array(f"{tmp_path}/a.tif:raw")


def test_images_in_a_container_are_given_with_what_opens_them(tmp_path):
    group = zarr.open_group(tmp_path / "a.zarr", mode="w")
    for name in ("raw", "labels/ids"):
        group.create_array(name, data=np.zeros((2, 3, 4), np.uint8))
    places = [place for place, _ in images_at(tmp_path / "a.zarr")]
    assert places == [f"{tmp_path}/a.zarr/labels/ids", f"{tmp_path}/a.zarr/raw"]
    for place in places:
        assert open_array(place).shape == (2, 3, 4)


def test_nothing_there_is_said(tmp_path):
    with pytest.raises(DataError, match=r"There is nothing at .*gone\.zarr"):
        open_array(tmp_path / "gone.zarr")


def broken_image(folder: Path) -> Path:
    """Make an OME-Zarr whose metadata misses what it must have."""
    group = zarr.open_group(folder / "broken.zarr", mode="w", zarr_format=2)
    group.create_array("s0", data=np.zeros((2, 3, 4), np.uint8))
    group.attrs["multiscales"] = [{"axes": list("zyx")}]
    return folder / "broken.zarr"


def test_whatever_a_library_raises_is_a_sentence(tmp_path):
    path = broken_image(tmp_path)
    said = r"broken\.zarr cannot be opened \(KeyError: 'datasets'\): it may be damaged\.$"
    with pytest.raises(DataError, match=said) as refused:
        open_array(path)
    assert isinstance(refused.value.__cause__, KeyError)
    with pytest.raises(DataError, match=said):
        list(images_at(path))


def test_memory_that_is_full_is_no_damage(tmp_path, monkeypatch):
    def full(path):
        raise MemoryError

    monkeypatch.setattr(ZarrArray, "open", full)
    with pytest.raises(MemoryError):
        open_array(tmp_path)
