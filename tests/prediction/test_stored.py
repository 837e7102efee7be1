"""Predictions on disk know of which task they are."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from funlib.geometry import Coordinate, Roi
from trained_models import FLAT, distances, image, trained

from napari_dacapo_tasks.arrays import NumpyArray
from napari_dacapo_tasks.arrays.growing_image import DataTakenError, GrowingImage
from napari_dacapo_tasks.arrays.ome_zarr import write_ome_zarr
from napari_dacapo_tasks.errors import ConfigError, DataError, RunError
from napari_dacapo_tasks.prediction.config import PredictionConfig
from napari_dacapo_tasks.prediction.fit import plan_prediction
from napari_dacapo_tasks.prediction.stored import (
    is_prediction,
    open_prediction,
    plan_attrs,
    prediction_attrs,
)
from napari_dacapo_tasks.units import NANOMETRE


def create(
    path: Path, attrs: dict[str, Any], channels: int | None = 2, **more: Any
) -> GrowingImage:
    return GrowingImage.create(
        path,
        roi=Roi((0, 0), (160, 160)),
        voxel_size=Coordinate(8, 8),
        unit=NANOMETRE,
        axes=("y", "x"),
        num_channels=channels,
        dtype=np.float32,
        name="prediction",
        attrs=attrs,
        **more,
    )


def test_it_knows_its_task_before_and_after_it_is_whole(tmp_path: Path) -> None:
    (tmp_path / "run").mkdir()
    growing = create(tmp_path / "out.zarr", prediction_attrs(distances(), "mine", tmp_path / "run"))
    values = np.random.default_rng(0).random((2, 20, 20), np.float32)
    for _ in range(2):
        there = open_prediction(tmp_path / "out.zarr")
        assert (there.task, there.name, there.run) == (distances(), "mine", tmp_path / "run")
        assert is_prediction(tmp_path / "out.zarr")
        if not growing.is_finished:
            growing.write(growing.roi, values)
            list(growing.finish())
    np.testing.assert_array_equal(there.array[there.array.roi], values)


def test_a_run_that_is_gone_is_not_named(tmp_path: Path) -> None:
    create(tmp_path / "out.zarr", prediction_attrs(distances(), "mine", tmp_path / "gone"))
    assert open_prediction(tmp_path / "out.zarr").run is None


def test_arrays_of_others_need_a_run(tmp_path: Path, make_run: Any) -> None:
    array = NumpyArray(np.zeros((1, 8, 8, 8), np.float32), axes="czyx", voxel_size=(8, 8, 8))
    list(write_ome_zarr(tmp_path / "other.zarr", array, "other"))
    assert not is_prediction(tmp_path / "other.zarr")
    assert not is_prediction(tmp_path / "nothing.zarr")
    with pytest.raises(DataError, match="give its run folder, too"):
        open_prediction(tmp_path / "other.zarr")
    run = make_run()
    there = open_prediction(tmp_path / "other.zarr", run.path)
    assert (there.task, there.run, there.name) == (run.config.task, run.path, "run")
    with pytest.raises(RunError, match="no run folder"):
        open_prediction(tmp_path / "other.zarr", tmp_path)


def test_other_channels_are_refused(tmp_path: Path) -> None:
    attrs = prediction_attrs(distances())
    create(tmp_path / "three.zarr", attrs, channels=3)
    with pytest.raises(DataError, match=r"has 3 channels.* has 2 \(one, two\)"):
        open_prediction(tmp_path / "three.zarr")
    create(tmp_path / "flat.zarr", attrs, channels=None)
    with pytest.raises(DataError, match="has no channel axis"):
        open_prediction(tmp_path / "flat.zarr")


def test_a_task_that_cannot_be_read_is_one_sentence(tmp_path: Path) -> None:
    attrs = prediction_attrs(distances())
    attrs["prediction"]["task"]["scale_factor"] = "much"
    create(tmp_path / "out.zarr", attrs)
    with pytest.raises(ConfigError, match=r"The task stored with .*out\.zarr"):
        open_prediction(tmp_path / "out.zarr")


def test_what_changes_values_makes_another_prediction(tmp_path: Path) -> None:
    network = trained(FLAT, voxel_size=(10.0, 10.0))
    config = PredictionConfig(device="cpu")
    plan = plan_prediction(network, image(50, 50), config=config)
    create(tmp_path / "out.zarr", plan_attrs(plan, config))
    elsewhere = config.model_copy(update={"device": "auto", "tile_shape": (60, 60)})
    create(tmp_path / "out.zarr", plan_attrs(plan, elsewhere), exists="resume")
    mirrored = config.model_copy(update={"mirror": True})
    with pytest.raises(DataTakenError, match="other data or parameters"):
        create(tmp_path / "out.zarr", plan_attrs(plan, mirrored), exists="resume")
