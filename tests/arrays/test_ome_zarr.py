"""OME-Zarr images that are written come back as they were, or are not there at all."""

from __future__ import annotations

import errno
import json
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest
import zarr
from funlib.geometry import Coordinate, Roi

from napari_dacapo_tasks.arrays import Array, NumpyArray
from napari_dacapo_tasks.arrays.array import on_common_grid
from napari_dacapo_tasks.arrays.ome_zarr import new_folder, write_ome_zarr, write_ome_zarr_group
from napari_dacapo_tasks.arrays.zarr_array import ZarrArray
from napari_dacapo_tasks.errors import DataError
from napari_dacapo_tasks.units import NANOMETRE, VOXEL, WorldUnit

RANDOM = np.random.default_rng(0)


def placed(values, voxel_size, offset, axes, unit=NANOMETRE):
    return Array(values, axes=axes, voxel_size=voxel_size, offset=offset, unit=unit)


def left_in(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


@pytest.mark.parametrize(
    ("shape", "axes", "voxel_size", "offset", "unit"),
    [
        ((5, 130, 140), "zyx", (40, 4, 4), (80, -8, 12), NANOMETRE),
        ((2, 5, 6, 7), "czyx", (8, 8, 8), (0, 0, 0), NANOMETRE),
        ((600, 700), "yx", (1, 1), (3, 4), VOXEL),
        ((5, 6, 3), "yxc", (2, 3), (1, 1), NANOMETRE),
        ((4, 5, 6), "zyx", (5240, 4000, 4000), (5240, 0, 4000), WorldUnit("nm", 1000)),
        ((4, 5, 6), "zyx", (15, 10, 10), (15, 0, 0), WorldUnit("voxels", 10)),
    ],
)
@pytest.mark.parametrize("dtype", [np.uint8, ">u2", np.float32, np.int64])
def test_what_is_written_comes_back(tmp_path, shape, axes, voxel_size, offset, unit, dtype):
    values = RANDOM.integers(0, 200, shape).astype(dtype)
    array = placed(values, voxel_size, offset, axes, unit)
    shares = list(write_ome_zarr(tmp_path / "a.zarr", array, "raw"))
    back = ZarrArray.open(tmp_path / "a.zarr")
    assert (back.roi, back.voxel_size, back.unit) == (array.roi, array.voxel_size, array.unit)
    assert back.axes == array.axes
    assert back.dtype.newbyteorder("=") == array.dtype.newbyteorder("=")
    np.testing.assert_array_equal(back[back.roi], array[array.roi])
    assert shares == sorted(shares)
    assert shares[-1] == 1
    assert left_in(tmp_path) == ["a.zarr"]


def test_an_array_on_a_needlessly_fine_grid_lies_at_the_same_place(tmp_path):
    values = np.zeros((3, 3, 3), np.uint8)
    fine, _ = on_common_grid(
        placed(values, (8, 8, 8), (8, 0, 0), "zyx"),
        placed(values, (85, 80, 80), (0, 0, 0), "zyx", WorldUnit("nm", 10)),
    )
    list(write_ome_zarr(tmp_path / "a.zarr", fine, "raw"))
    back = ZarrArray.open(tmp_path / "a.zarr")
    assert back.roi == Roi((8, 0, 0), (24, 24, 24))
    assert back.unit == NANOMETRE


def test_the_files_are_ome_zarr_0_4(tmp_path):
    labels = placed(np.ones((3, 4, 5), bool), (8, 4, 4), (0, 4, 8), "zyx")
    list(write_ome_zarr(tmp_path / "a.zarr", labels, "cells", is_labels=True))
    assert json.loads((tmp_path / "a.zarr/.zgroup").read_text()) == {"zarr_format": 2}
    metadata = json.loads((tmp_path / "a.zarr/.zattrs").read_text())
    assert metadata["image-label"] == {"version": "0.4"}
    assert metadata["multiscales"] == [
        {
            "version": "0.4",
            "name": "cells",
            "axes": [{"name": n, "type": "space", "unit": "nanometer"} for n in "zyx"],
            "datasets": [
                {
                    "path": "0",
                    "coordinateTransformations": [
                        {"type": "scale", "scale": [8.0, 4.0, 4.0]},
                        {"type": "translation", "translation": [0.0, 4.0, 8.0]},
                    ],
                }
            ],
        }
    ]
    stored = json.loads((tmp_path / "a.zarr/0/.zarray").read_text())
    assert stored["dtype"] == "|u1"
    assert stored["dimension_separator"] == "/"
    assert stored["compressor"]["cname"] == "zstd"


def test_napari_reads_the_files(tmp_path):
    reader = pytest.importorskip("napari_ome_zarr")
    values = RANDOM.integers(0, 9, (2, 6, 7, 8)).astype(np.float32)
    image = placed(values, (8, 4, 4), (0, 0, 0), "czyx")
    list(write_ome_zarr(tmp_path / "a.zarr", image, "raw"))
    ((levels, metadata, kind),) = reader.napari_get_reader(str(tmp_path / "a.zarr"))()
    assert kind == "image"
    assert metadata["scale"] == [8, 4, 4]
    assert metadata["units"] == ("nanometer",) * 3
    np.testing.assert_array_equal(levels[0], values)


def test_a_group_holds_several_images(tmp_path):
    images = {
        "target": placed(RANDOM.random((1, 4, 5, 6), np.float32), (8,) * 3, (8, 8, 8), "czyx"),
        "mask": placed(np.ones((4, 5, 6), np.uint8), (8,) * 3, (8, 8, 8), "zyx"),
    }
    shares = list(write_ome_zarr_group(tmp_path / "out.zarr", images))
    assert shares == sorted(shares)
    assert shares[-1] == 1
    for name, image in images.items():
        back = ZarrArray.open(tmp_path / "out.zarr" / name)
        assert back.roi == image.roi
        np.testing.assert_array_equal(back[back.roi], image[image.roi])


class Recorder:
    """A lazy volume that remembers the largest piece that was read."""

    def __init__(self, shape):
        self.shape, self.dtype, self.largest = shape, np.dtype(np.uint8), 0

    def __getitem__(self, index):
        piece = np.zeros(self.shape, np.uint8)[index]
        self.largest = max(self.largest, piece.size)
        return piece


def test_large_arrays_are_read_in_blocks(tmp_path):
    recorder = Recorder((150, 200, 300))
    shares = list(write_ome_zarr(tmp_path / "a.zarr", placed(recorder, (1,) * 3, None, "zyx"), "a"))
    assert recorder.largest == 128**3
    assert len(shares) == 2 * 2 * 3


def test_leaving_the_generator_leaves_nothing(tmp_path):
    writing = write_ome_zarr(
        tmp_path / "a.zarr", placed(Recorder((150, 200, 300)), (1,) * 3, None, "zyx"), "a"
    )
    next(writing)
    assert left_in(tmp_path) != []
    writing.close()
    assert left_in(tmp_path) == []


def test_a_full_disk_is_one_sentence_and_leaves_nothing(tmp_path, monkeypatch):
    def full(*args, **kwargs):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(zarr.Array, "__setitem__", full)
    with pytest.raises(DataError, match=r"a\.zarr cannot be written: No space left on device\.$"):
        list(write_ome_zarr(tmp_path / "a.zarr", placed(np.ones((3, 3)), (1, 1), None, "yx"), "a"))
    assert left_in(tmp_path) == []


def test_a_source_that_breaks_is_named(tmp_path):
    class Broken(Recorder):
        def __getitem__(self, index):
            raise RuntimeError("bad chunk")

    with pytest.raises(DataError, match=r"raw cannot be read at voxel \(0, 0\): bad chunk;"):
        list(write_ome_zarr(tmp_path / "a", placed(Broken((3, 3)), (1, 1), None, "yx"), "raw"))
    assert left_in(tmp_path) == []


def test_nothing_is_overwritten(tmp_path):
    (tmp_path / "a.zarr").mkdir()
    image = placed(np.ones((3, 3)), (1, 1), None, "yx")
    list(write_ome_zarr(tmp_path / "a.zarr", image, "a"))  # an empty folder may be taken
    with pytest.raises(DataError, match="exists already"):
        list(write_ome_zarr(tmp_path / "a.zarr", image, "a"))
    (tmp_path / "file").write_text("")
    with pytest.raises(DataError, match="exists already"):
        list(write_ome_zarr(tmp_path / "file", image, "a"))


def test_a_folder_is_replaced_as_a_whole(tmp_path):
    target = tmp_path / "a"
    for text in ("first", "second"):
        with new_folder(target, replace=True) as partial:
            (partial / text).write_text(text)
    assert left_in(target) == ["second"]
    with suppress(KeyboardInterrupt), new_folder(target, replace=True) as partial:
        (partial / "third").write_text("")
        raise KeyboardInterrupt
    assert left_in(target) == ["second"]
    assert left_in(tmp_path) == ["a"]


def test_numpy_arrays_round_trip_through_the_same_class(tmp_path):
    roi = Roi((16, 8, 8), (24, 32, 40))
    array = NumpyArray.from_np_array(
        RANDOM.integers(0, 9, (3, 4, 5)), roi, Coordinate(8, 8, 8), "zyx"
    )
    list(write_ome_zarr(tmp_path / "a.zarr", array, "a"))
    part = Roi((24, 16, 8), (8, 16, 16))
    np.testing.assert_array_equal(ZarrArray.open(tmp_path / "a.zarr")[part], array[part])
