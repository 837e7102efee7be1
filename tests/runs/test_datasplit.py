"""Tables of crops, as DaCapo writes them and as people do."""

from __future__ import annotations

from pathlib import Path

import h5py
import numpy as np
import pytest
import zarr

from napari_dacapo_tasks.errors import ConfigError, DataError
from napari_dacapo_tasks.runs.data_config import CropConfig
from napari_dacapo_tasks.runs.datasplit import open_rows, read_datasplit


@pytest.fixture
def table(tmp_path):
    def written(text: str) -> Path:
        (tmp_path / "split.csv").write_text(text, encoding="utf-8")
        return tmp_path / "split.csv"

    return written


def test_a_table_of_dacapo(table, tmp_path):
    path = table(
        "train,/data/a.zarr,volumes/raw,/data/gt.zarr,crop1/labels/[mito]\n"
        "val,b.zarr,raw/s0,b.zarr,/labels/s0\n"
        "\n"
        "train,c.h5,volumes/raw,c.h5,volumes/labels\n"
    )
    assert read_datasplit(path) == [
        CropConfig(raw="/data/a.zarr/volumes/raw", gt="/data/gt.zarr/crop1/labels/mito"),
        CropConfig(
            raw=f"{tmp_path}/b.zarr/raw/s0", gt=f"{tmp_path}/b.zarr/labels/s0", use="validate"
        ),
        CropConfig(raw=f"{tmp_path}/c.h5:volumes/raw", gt=f"{tmp_path}/c.h5:volumes/labels"),
    ]


def test_the_same_with_a_header_of_its_columns(table, tmp_path):
    path = table(
        "\ufeffdataset_type,raw_container,raw_dataset,gt_container,gt_dataset\n"
        "train, a.zarr, raw, a.zarr, labels\n"
    )
    assert read_datasplit(path) == [
        CropConfig(raw=f"{tmp_path}/a.zarr/raw", gt=f"{tmp_path}/a.zarr/labels")
    ]


def test_a_table_with_all_columns(table, tmp_path):
    path = table(
        "# my crops\n"
        "Name,Raw,Labels,Mask,Use,Share,Validation block\n"
        'left,raw.tif,a.tif,m.tif,TRAIN,2.5,"120:160,:,:"\n'
        "right,raw.tif,b.tif,,off,,\n"
    )
    assert read_datasplit(path) == [
        CropConfig(
            name="left",
            raw=f"{tmp_path}/raw.tif",
            gt=f"{tmp_path}/a.tif",
            mask=f"{tmp_path}/m.tif",
            share=2.5,
            validation_block="120:160,:,:",
        ),
        CropConfig(name="right", raw=f"{tmp_path}/raw.tif", gt=f"{tmp_path}/b.tif", use="off"),
    ]


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("", r"split\.csv holds no crop: write a line for each"),
        ("# nothing\n\n", "holds no crop: write"),
        ("use,raw,gt\n", "holds no crop below its header"),
        ("train,a,b\n", r"Line 1 of .*split\.csv has 3 values, but there are 5 columns"),
        ("train,a,b,c,d\nval,a,b,c\n", "Line 2 of .* has 4 values"),
        ("train,a,b,c,d\n\ntest,a,b,c,d\n", "Line 3 of .* used as test: write train, val or off"),
        ("use,raw,gt,colour\n", "Line 1 of .* names a column colour: known are use, gt, raw"),
        ("use,raw,share\n", "Line 1 of .* names no column gt or gt_container"),
        ("use,raw,gt\ntrain,,b\n", "Line 2 of .* has no raw: each crop needs"),
        ("raw,gt,share\na,b,-1\n", r"Line 2 of .*share.*greater than 0 \(got '-1'\)"),
        ("raw,gt,validation_block\na,b,3-4\n", "Line 2 of .*'3-4' is no block"),
        (
            'train,a,b,c,"labels/[mito&er]"\n',
            "Line 1 of .* the classes mito, er, but .*--channel er=2 ",
        ),
    ],
)
def test_lines_that_are_not_understood_are_named(table, text, sentence):
    with pytest.raises(ConfigError, match=sentence) as caught:
        read_datasplit(table(text))
    assert "\n" not in str(caught.value)


def test_a_table_that_is_gone_or_none(tmp_path):
    with pytest.raises(ConfigError, match=r"gone\.csv cannot be read as a table"):
        read_datasplit(tmp_path / "gone.csv")
    (tmp_path / "a.csv").write_bytes(b"\xff\xfe\x00\x81")
    with pytest.raises(ConfigError, match=r"a\.csv cannot be read as a table"):
        read_datasplit(tmp_path / "a.csv")


def test_crops_are_opened_each_file_once(table, tmp_path):
    values = np.arange(2 * 3 * 4).reshape(2, 3, 4)
    zarr.save_array(tmp_path / "raw.zarr", values)
    with h5py.File(tmp_path / "gt.h5", "w") as file:
        file["a"], file["b"] = values, values + 1
    crops = read_datasplit(table("train,raw.zarr,,gt.h5,a\nval,raw.zarr,,gt.h5,b\n"))
    first, second = open_rows(crops)
    assert first.raw is second.raw
    assert first.raw_path == str(tmp_path / "raw.zarr")
    assert (first.use, second.use) == ("train", "validate")
    np.testing.assert_array_equal(second.labels[second.labels.roi], values + 1)


def test_a_crop_that_does_not_open_is_named(table, tmp_path):
    zarr.save_array(tmp_path / "raw.zarr", np.zeros((2, 3, 4)))
    text = "name,raw,gt\nleft,raw.zarr,raw.zarr\nright,raw.zarr,gone.zarr\n"
    with pytest.raises(DataError, match=r"right: There is nothing at .*gone\.zarr"):
        open_rows(read_datasplit(table(text)))
