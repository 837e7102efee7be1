"""Opening the data of a run: lazily, through one bounded memory, nothing in memory copied."""

from __future__ import annotations

from typing import Any

import h5py
import numpy as np
import pytest
import tifffile
import zarr
from funlib.geometry import Roi

from napari_dacapo_tasks.arrays import Array
from napari_dacapo_tasks.arrays.cached import CACHE_BYTES, CachedArray
from napari_dacapo_tasks.arrays.ome_zarr import write_ome_zarr
from napari_dacapo_tasks.errors import ConfigError, DataError
from napari_dacapo_tasks.runs.create import Row, raw_in_memory
from napari_dacapo_tasks.runs.data import open_data, volumes_of
from napari_dacapo_tasks.units import VOXEL, WorldUnit


@pytest.fixture
def rows(volume):
    """Make rows of the small volume, each with its changes."""

    def made(*changes: dict[str, Any]) -> list[Row]:
        whole = {"raw": volume.array(volume.raw), "labels": volume.array(volume.labels)}
        return [Row(**{**whole, **change}) for change in changes]

    return made


@pytest.fixture
def volumes(small_task, small_net, volume):
    """Bring rows together for the small network."""

    def together(rows: list[Row], **changes: Any) -> Any:
        parts = {"task": small_task, "architecture": small_net, **changes}
        return volumes_of(rows, labels=volume.ground_truth().config, **parts)

    return together


class TestLazily:
    def test_nothing_is_read_before_it_is_needed(self, make_run, monkeypatch):
        run = make_run(validation_block="0:12,:,:")
        read: list[Any] = []
        whole = zarr.Array.__getitem__

        def counted(self: Any, index: Any) -> Any:
            read.append(index)
            return whole(self, index)

        monkeypatch.setattr(zarr.Array, "__getitem__", counted)
        data = open_data(run)
        tried = len(read)  # the task is tried on a piece of the labels
        assert tried <= 2
        (found,) = data.train
        assert isinstance(found.raw, CachedArray)
        piece = Roi(found.raw.roi.begin, (64, 64, 64))
        for _ in range(3):
            found.raw[piece]
        assert len(read) == tried + 1

    def test_all_files_share_one_bounded_memory(self, make_run, rows, volume):
        mask = volume.array(np.ones_like(volume.labels))
        data = open_data(make_run(rows=rows({"mask": mask}, {"mask": mask, "use": "validate"})))
        arrays = [
            array
            for found in (*data.train, *data.validate)
            for array in (found.raw, found.ground_truth.labels, found.ground_truth.mask)
        ]
        caches = {id(array.data._cache) for array in arrays}
        assert len(caches) == 1
        assert arrays[0].data._cache.limit == CACHE_BYTES
        blocks = {id(array.data) for array in arrays}
        assert len(blocks) == 3, "what several crops share is opened once"

    def test_arrays_in_memory_are_used_as_they_are(self, make_run, rows, volume):
        made = rows({"validation_block": "28:,:,:"}, {"use": "off"})
        run = make_run(rows=made)
        data = open_data(run, raw_in_memory(made, run))
        for found in (*data.train, *data.validate):
            assert np.shares_memory(found.raw[found.raw.roi], volume.raw)
            assert isinstance(found.ground_truth.labels, CachedArray)

    def test_other_arrays_can_take_the_place_of_files(self, make_run, volume):
        run = make_run()
        other = volume.array(255 - volume.raw)
        (found,) = open_data(run, {"data/0/raw.ome.zarr": other}).train
        np.testing.assert_array_equal(found.raw[found.raw.roi], 255 - volume.raw)

    def test_a_crop_that_is_off_is_not_touched(self, make_run, rows, tmp_path, volume):
        path = tmp_path / "raw.ome.zarr"
        other = volume.array(255 - volume.raw)
        list(write_ome_zarr(path, other, "raw"))
        off = {"raw": other, "raw_path": path, "use": "off", "share": 2.0}
        run = make_run(rows=rows({}, off))
        path.rename(tmp_path / "gone.ome.zarr")
        off = run.config.data.crops[1]
        assert (off.raw, off.gt, off.use, off.share) == (
            str(path),
            "data/0/labels.ome.zarr",
            "off",
            2.0,
        )
        assert [found.name for found in open_data(run).train] == ["crop 1"]

    @pytest.mark.parametrize("kind", ["tif", "h5"])
    def test_tiff_and_hdf5_are_read_where_they_lie(self, make_run, volume, tmp_path, kind):
        if kind == "tif":
            path = str(tmp_path / "raw.tif")
            sizes = {f"PhysicalSize{axis}": 8 for axis in "ZYX"}
            units = {f"PhysicalSize{axis}Unit": "nm" for axis in "ZYX"}
            metadata = {"axes": "ZYX", **sizes, **units}
            tifffile.imwrite(path, volume.raw, ome=True, metadata=metadata, compression="zlib")
        else:
            path = f"{tmp_path / 'raw.h5'}:volumes/raw"
            with h5py.File(tmp_path / "raw.h5", "w") as file:
                file["volumes/raw"] = volume.raw
                file["volumes/raw"].attrs["resolution"] = (8, 8, 8)
        run = make_run(raw_path=path)
        assert run.config.data.crops[0].raw == path
        (found,) = open_data(run).train
        np.testing.assert_array_equal(found.raw[found.raw.roi], volume.raw)

    def test_a_file_that_is_gone_is_named_with_its_crop(self, make_run, rows, tmp_path, volume):
        path = tmp_path / "raw.ome.zarr"
        other = volume.array(255 - volume.raw)
        list(write_ome_zarr(path, other, "raw"))
        run = make_run(rows=rows({}, {"raw": other, "raw_path": path, "name": "second"}))
        path.rename(tmp_path / "gone.ome.zarr")
        with pytest.raises(DataError, match=r"second: There is nothing at .*raw\.ome\.zarr"):
            open_data(run)


class TestTogether:
    def test_volumes_have_names_shares_and_uses(self, volumes, rows):
        data = volumes(
            rows(
                {"share": 3.0},
                {"name": "left"},
                {"name": "left", "use": "validate"},
                {"use": "off"},
                {},
            )
        )
        assert [(one.name, one.share) for one in data.train] == [
            ("crop 1", 3.0),
            ("left", 1.0),
            ("crop 4", 1.0),
        ]
        assert [one.name for one in data.validate] == ["left (2)"]

    def test_all_lie_on_the_finest_grid(self, volumes, rows, volume):
        fine = {"voxel_size": (8000,) * 3, "unit": WorldUnit("nm", 1000), "offset": (1, 2, 3)}
        data = volumes(
            rows(
                {},
                {"raw": volume.array(volume.raw, **fine)},
                {"labels": volume.array(volume.labels, (80,) * 3, unit=WorldUnit("nm", 10))},
            )
        )
        for found in data.train:
            for array in (found.raw, found.ground_truth.labels):
                assert array.unit == WorldUnit("nm", 1000)
                assert array.voxel_size == (8000,) * 3
            assert found.ground_truth.labels.roi.begin == found.raw.roi.begin

    def test_a_crop_inside_of_a_larger_raw_sees_what_is_around_it(self, volumes, rows, volume):
        part = volume.array(volume.labels[16:24, 16:24, 16:24], offset=(128,) * 3)
        (found,) = volumes(rows({"labels": part})).train
        assert found.raw.shape == (40, 40, 40)
        assert found.ground_truth.roi == part.roi

    @pytest.mark.parametrize(
        ("change", "sentence"),
        [
            (
                lambda v: {
                    "raw": v.array(v.raw, (16, 8, 8)),
                    "labels": v.array(v.labels, (16, 8, 8)),
                },
                "The raw data of crop 1 and crop 3 has voxels of 8 x 8 x 8 nm, that of crop 2 has "
                "voxels of 16 x 8 x 8 nm: a network learns from one voxel size",
            ),
            (
                lambda v: {
                    "raw": v.array(v.raw, unit=VOXEL),
                    "labels": v.array(v.labels, unit=VOXEL),
                },
                "has a physical unit, that of crop 2 has no physical unit: give all of it",
            ),
            (
                lambda v: {"raw": v.array(np.stack([v.raw] * 2), axes="czyx")},
                "has 1 channel, that of crop 2 has 2 channels: a network sees the same",
            ),
            (
                lambda v: {"raw": v.array(v.raw.astype(np.float32))},
                "has whole numbers without a sign, that of crop 2 has floating-point numbers",
            ),
            (
                lambda v: {
                    "raw": v.array(v.raw[0], (8, 8), axes="yx"),
                    "labels": v.array(v.labels[0], (8, 8), axes="yx"),
                },
                "has 3 axes, that of crop 2 has 2 axes: leave those out",
            ),
            (
                lambda v: {"labels": v.array(v.labels, (16, 8, 8))},
                "^crop 2: .* 8 x 8 x 8 nm and the ground truth of 16 x 8 x 8 nm",
            ),
            (
                lambda v: {"labels": v.array(v.labels, unit=VOXEL)},
                "^crop 2: Some of the data has a physical unit",
            ),
            (
                lambda v: {"labels": v.array(v.labels, axes="xyz")},
                "^crop 2: Some of the data has the axes z, y, x and some x, y, z: save all",
            ),
            (
                lambda v: {
                    "raw": v.array(v.raw, axes="xyz"),
                    "labels": v.array(v.labels, axes="xyz"),
                },
                "^Some of the data has the axes z, y, x and some x, y, z: save all",
            ),
            (
                lambda v: {"labels": v.array(v.labels.astype(float))},
                "^crop 2: The ground truth holds numbers of type float64",
            ),
            (
                lambda v: {"raw": v.array(v.raw[:20]), "labels": v.array(v.labels[:20])},
                "^crop 2: The network's input of 24 x 24 x 24 voxels is larger",
            ),
        ],
    )
    def test_rows_that_do_not_go_together_are_named(self, volumes, rows, volume, change, sentence):
        with pytest.raises((DataError, ConfigError), match=sentence) as caught:
            volumes(rows({}, change(volume), {}))
        assert "\n" not in str(caught.value)
        volumes(rows({}, {**change(volume), "use": "off"}, {}))

    def test_many_rows_are_counted(self, volumes, rows, volume):
        other = {"raw": volume.array(volume.raw.astype(float))}
        with pytest.raises(DataError, match="crop 1, crop 2, crop 3 and 2 more has whole"):
            volumes(rows({}, {}, {}, {}, {}, other))

    @pytest.mark.parametrize("uses", [[], ["validate"], ["off", "off"]])
    def test_without_a_row_that_trains_there_is_nothing(self, volumes, rows, uses):
        with pytest.raises(ConfigError, match="No crop trains"):
            volumes(rows(*({"use": use} for use in uses)))

    def test_a_validation_volume_too_small_for_the_network_is_refused(self, volumes, rows, volume):
        small = {"raw": volume.array(volume.raw[:12]), "labels": volume.array(volume.labels[:12])}
        with pytest.raises(
            ConfigError,
            match=r"crop 2: The network cannot answer for any of these 12 x 40 x 40 voxels that "
            r"are to validate: it takes raw data of at least 18 x 18 x 18 voxels .* has 12 x 40",
        ):
            volumes(rows({}, {**small, "use": "validate"}))

    def test_validation_may_be_smaller_than_the_input_in_training(self, volumes, rows, volume):
        part = {"raw": volume.array(volume.raw[:20]), "labels": volume.array(volume.labels[:20])}
        data = volumes(rows({}, {**part, "use": "validate"}))
        assert data.validate[0].raw.shape == (20, 40, 40)

    def test_the_intensity_range_is_that_of_all_that_trains(self, volumes, rows, volume):
        def wide(low: float, high: float) -> Array:
            return volume.array(np.linspace(low, high, volume.raw.size).reshape(volume.raw.shape))

        data = volumes(
            rows(
                {"raw": wide(0, 1)},
                {"raw": wide(5, 10)},
                {"raw": wide(-90, 90), "use": "validate"},
            )
        )
        low, high = data.intensity_range
        assert low == pytest.approx(0.01, abs=0.01)
        assert high == pytest.approx(9.95, abs=0.01)
        assert volumes(rows({}), intensity_range=(3, 4)).intensity_range == (3, 4)

    def test_validating_on_what_trains_is_said(self, volumes, rows, volume):
        made = rows({"name": "A"}, {"name": "B", "use": "validate"}, {"name": "C"})
        (said,) = volumes(made).notices
        assert said.startswith("B validates on voxels of which A, C trains, so its scores")
        elsewhere = {"raw": volume.array(volume.raw.copy()), "use": "validate"}
        assert volumes(rows({}, elsewhere)).notices == ()
        assert volumes(rows({"validation_block": "28:,:,:"})).notices == ()

    def test_a_block_of_which_nothing_can_be_known_is_refused(self, volumes, rows, volume):
        mask = volume.array(np.ones((20, 40, 40), np.uint8))
        with pytest.raises(DataError, match="Nothing is known in the validation block 30:,:,:"):
            volumes(rows({"mask": mask, "validation_block": "30:,:,:"}))
