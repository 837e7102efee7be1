"""Opening the data of a run: in memory where it is small, lazily where it is not."""

from __future__ import annotations

import numpy as np
import pytest

from napari_dacapo_tasks.arrays import NumpyArray
from napari_dacapo_tasks.arrays.ome_zarr import write_ome_zarr
from napari_dacapo_tasks.arrays.zarr_array import ZarrArray
from napari_dacapo_tasks.errors import DataError
from napari_dacapo_tasks.runs import data as data_module
from napari_dacapo_tasks.runs.data import open_data
from napari_dacapo_tasks.runs.overrides import with_overrides


def test_small_arrays_are_loaded(make_run):
    data = open_data(make_run())
    assert isinstance(data.raw, NumpyArray)
    assert isinstance(data.ground_truth.labels, NumpyArray)


def test_large_arrays_stay_where_they_are(make_run, monkeypatch):
    monkeypatch.setattr(data_module, "IN_MEMORY", 1000)
    run = make_run()
    data = open_data(run)
    assert isinstance(data.raw, ZarrArray)
    assert isinstance(data.ground_truth.labels, ZarrArray)


def test_raw_data_that_became_bad_is_refused(make_run, volume, tmp_path):
    bad = volume.raw.astype(np.float32)
    bad[0, 0, 0] = np.nan
    list(write_ome_zarr(tmp_path / "bad.zarr", volume.array(bad), "raw"))
    run = make_run()
    crops = "[{raw: %s, gt: data/labels.ome.zarr}]" % (tmp_path / "bad.zarr")
    run.save_config(with_overrides(run.config, {"data.crops": crops}))
    with pytest.raises(DataError, match="NaN or infinite"):
        open_data(run)
