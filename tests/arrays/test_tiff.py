"""TIFF files: axes, voxel sizes and values as they were written, read where they are asked for."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest
import tifffile
from funlib.geometry import Coordinate, Roi

from napari_dacapo_tasks.arrays import GroundTruth, LabelsConfig
from napari_dacapo_tasks.arrays.cached import BlockCache, CachedArray
from napari_dacapo_tasks.arrays.open import open_array
from napari_dacapo_tasks.arrays.tiff import open_tiff
from napari_dacapo_tasks.errors import DataError

VALUES = np.random.default_rng(0).integers(0, 2**16, (6, 40, 30)).astype(np.uint16)
UM = "micron"


def imagej(size: float, spacing: float, unit: str = UM) -> dict[str, Any]:
    """Write as ImageJ does, with its six digits of pixels in a unit."""
    count = round(1_000_000 / size)
    return {
        "imagej": True,
        "resolution": ((count, 1_000_000), (count, 1_000_000)),
        "metadata": {"spacing": spacing, "unit": unit, "axes": "ZYX"},
    }


def ome(axes: str = "ZYX", unit: str = "nm", **sizes: float) -> dict[str, Any]:
    physical = {f"PhysicalSize{axis}": size for axis, size in sizes.items()}
    units = {f"PhysicalSize{axis}Unit": unit for axis in sizes}
    return {"ome": True, "metadata": {"axes": axes, **physical, **units}}


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({}, "6 x 40 x 30 voxels of 1 x 1 x 1 voxels"),
        ({"photometric": "minisblack", "metadata": None}, "6 x 40 x 30 voxels of 1 x 1 x 1 voxels"),
        ({"resolution": (300, 300)}, "6 x 40 x 30 voxels of 1 x 1 x 1 voxels"),
        (imagej(0.004, 0.04), "6 x 40 x 30 voxels of 40 x 4 x 4 nm"),
        (imagej(0.00524, 0.04, r"\u00B5m"), "6 x 40 x 30 voxels of 40 x 5.24 x 5.24 nm"),
        (imagej(300, 700, "nm"), "6 x 40 x 30 voxels of 700 x 300 x 300 nm"),
        (imagej(4.5, 30, "nm"), "6 x 40 x 30 voxels of 30 x 4.5 x 4.5 nm"),
        (imagej(1, 1, "pixel"), "6 x 40 x 30 voxels of 1 x 1 x 1 voxels"),
        (ome(Z=40, Y=4, X=4), "6 x 40 x 30 voxels of 40 x 4 x 4 nm"),
        (ome(Z=0.04, Y=0.0052, X=0.0052, unit="µm"), "6 x 40 x 30 voxels of 40 x 5.2 x 5.2 nm"),
        (ome(Z=108.3333333, Y=4, X=4), "6 x 40 x 30 voxels of 108.333 x 4 x 4 nm"),
        (ome(), "6 x 40 x 30 voxels of 1 x 1 x 1 voxels"),
        (ome(Z=3, Y=3, X=3, unit="pixel"), "6 x 40 x 30 voxels of 1 x 1 x 1 voxels"),
        ({"compression": "zlib"}, "6 x 40 x 30 voxels of 1 x 1 x 1 voxels"),
        ({**ome(Z=40, Y=4, X=4), "compression": "zlib", "tile": (16, 16)}, "40 x 4 x 4 nm"),
        ({"byteorder": ">"}, "6 x 40 x 30 voxels"),
        ({"byteorder": ">", "compression": "zlib"}, "6 x 40 x 30 voxels"),
        ({"bigtiff": True}, "6 x 40 x 30 voxels"),
    ],
)
def test_what_was_written_is_read(tmp_path, options, said):
    tifffile.imwrite(tmp_path / "a.tif", VALUES, **options)
    array = open_array(tmp_path / "a.tif")
    assert said in array.describe()
    size = array.voxel_size
    part = Roi(Coordinate(1, 7, 20) * size, Coordinate(3, 33, 10) * size)
    for roi, wanted in ((array.roi, VALUES), (part, VALUES[1:4, 7:40, 20:30])):
        read = array[roi]
        np.testing.assert_array_equal(read, wanted)
        assert read.dtype == array.dtype == np.dtype(np.uint16)  # in this machine's byte order


@pytest.mark.parametrize(
    ("shape", "options", "axes", "channels", "space"),
    [
        ((40, 30), {}, ("y", "x"), None, (40, 30)),
        ((40, 30, 3), {"photometric": "rgb"}, ("c", "y", "x"), 3, (40, 30)),
        ((6, 2, 40, 30), ome("ZCYX"), ("c", "z", "y", "x"), 2, (6, 40, 30)),
        ((2, 6, 40, 30), ome("CZYX"), ("c", "z", "y", "x"), 2, (6, 40, 30)),
        ((1, 6, 40, 30), ome("TZYX"), ("z", "y", "x"), None, (6, 40, 30)),
    ],
)
def test_axes_are_channels_and_space(tmp_path, shape, options, axes, channels, space):
    values = np.arange(np.prod(shape)).reshape(shape).astype(np.uint8)
    tifffile.imwrite(tmp_path / "a.tif", values, **options)
    array = open_tiff(tmp_path / "a.tif")
    assert (array.axes, array.num_channels, array.shape) == (axes, channels, space)
    letters = options.get("metadata", {}).get("axes", "YXS")
    channel = None if channels is None else letters.replace("S", "C").index("C")
    wanted = values.squeeze() if channel is None else np.moveaxis(values, channel, 0)
    np.testing.assert_array_equal(array[array.roi], wanted)


@pytest.mark.parametrize(
    ("shape", "options", "sentence"),
    [
        ((5, 6, 40, 30), ome("TZYX"), "time axis of 5 points: choose one time point"),
        ((2, 40, 30, 3), {**ome("CYXS"), "photometric": "rgb"}, "two axes of channels: save it"),
        ((2, 6, 40, 30), {}, "two axes of pages: save it as a stack"),
    ],
)
def test_other_axes_are_refused(tmp_path, shape, options, sentence):
    tifffile.imwrite(tmp_path / "a.tif", np.zeros(shape, np.uint8), **options)
    with pytest.raises(DataError, match=sentence):
        open_tiff(tmp_path / "a.tif")


def test_the_finest_level_of_a_pyramid_is_read(tmp_path):
    values = np.random.default_rng(0).integers(0, 255, (3, 64, 64)).astype(np.uint8)
    with tifffile.TiffWriter(tmp_path / "a.ome.tif") as tiff:
        options = {"tile": (16, 16), "compression": "zlib"}
        tiff.write(values, subifds=1, metadata={"axes": "ZYX"}, **options)
        tiff.write(values[:, ::2, ::2], subfiletype=1, **options)
    array = open_tiff(tmp_path / "a.ome.tif")
    np.testing.assert_array_equal(array[array.roi], values)


def test_of_several_images_none_is_chosen_in_silence(tmp_path):
    with tifffile.TiffWriter(tmp_path / "positions.tif") as tiff:
        for _ in range(2):
            tiff.write(VALUES, photometric="minisblack")
    with pytest.raises(DataError, match=r"holds 2 images \(6 x 40 x 30, 6 x 40 x 30\): save the"):
        open_tiff(tmp_path / "positions.tif")


def test_a_preview_beside_the_image_is_left_out(tmp_path):
    with tifffile.TiffWriter(tmp_path / "slide.tif") as tiff:
        tiff.write(VALUES, photometric="minisblack")
        tiff.write(VALUES[0, ::4, ::4], photometric="minisblack")
    assert open_tiff(tmp_path / "slide.tif").shape == VALUES.shape


def test_float_labels_are_refused_where_they_become_ground_truth(tmp_path):
    tifffile.imwrite(tmp_path / "a.tif", VALUES.astype(np.float32))
    with pytest.raises(DataError, match="float32: labels must be whole"):
        GroundTruth(open_array(tmp_path / "a.tif"), LabelsConfig())


def test_a_file_that_is_cut_short_is_refused(tmp_path):
    tifffile.imwrite(tmp_path / "a.tif", VALUES)
    (tmp_path / "a.tif").write_bytes((tmp_path / "a.tif").read_bytes()[:6])
    with pytest.raises(DataError, match=r"a\.tif cannot be read as TIFF"):
        open_array(tmp_path / "a.tif")


def test_pages_that_are_not_asked_for_are_not_read(tmp_path):
    """What is lost of the last page does no harm to the first."""
    tifffile.imwrite(tmp_path / "a.tif", VALUES, compression="zlib", metadata=None)
    with tifffile.TiffFile(tmp_path / "a.tif") as tiff:
        offset, count = tiff.pages[5].dataoffsets[0], tiff.pages[5].databytecounts[0]
    with open(tmp_path / "a.tif", "r+b") as file:
        file.seek(offset)
        file.write(b"\0" * count)
    array = CachedArray(open_array(tmp_path / "a.tif"), BlockCache())
    array.data._edges[0] = [*range(7)]  # a block for each page, as large pages have it
    first = Roi((0, 0, 0), (5, 40, 30))
    np.testing.assert_array_equal(array[first], VALUES[:5])
    with pytest.raises(DataError, match=r"a\.tif cannot be read at voxel \(5, 0, 0\)"):
        array[Roi((5, 0, 0), (1, 40, 30))]


@pytest.mark.parametrize("compression", [None, "zlib"])
def test_threads_read_the_same(tmp_path, compression):
    tifffile.imwrite(tmp_path / "a.tif", VALUES, compression=compression)
    array = open_array(tmp_path / "a.tif")
    with ThreadPoolExecutor(8) as pool:
        pages = list(pool.map(lambda z: array[Roi((z % 6, 0, 0), (1, 40, 30))], range(60)))
    for z, page in enumerate(pages):
        np.testing.assert_array_equal(page[0], VALUES[z % 6])
