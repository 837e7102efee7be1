"""Making a run: what goes into it, and what is refused before anything is written."""

from __future__ import annotations

import errno
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import zarr
from funlib.geometry import Coordinate

from napari_dacapo_tasks.architectures import CNNectomeUNet
from napari_dacapo_tasks.arrays import Channel, NumpyArray
from napari_dacapo_tasks.arrays.ome_zarr import write_ome_zarr
from napari_dacapo_tasks.arrays.open import open_array
from napari_dacapo_tasks.errors import ConfigError, DataError, RunError
from napari_dacapo_tasks.runs.create import Row, create_run, make_self_contained
from napari_dacapo_tasks.runs.data import open_data, volumes_of
from napari_dacapo_tasks.runs.data_config import SamplingConfig
from napari_dacapo_tasks.runs.fit import propose_architecture, propose_for_raw
from napari_dacapo_tasks.runs.proposal import propose_for_rows
from napari_dacapo_tasks.runs.run_folder import RunFolder
from napari_dacapo_tasks.runs.trainer_config import TrainerConfig
from napari_dacapo_tasks.units import VOXEL, WorldUnit

EDGE = 40


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


@pytest.fixture
def refused(make_run, tmp_path):
    """Check that a run is refused with a sentence, and that nothing is left of it."""

    def check(kind, sentence, **changes):
        with pytest.raises(kind, match=sentence) as caught:
            make_run(**changes)
        assert names(tmp_path) == []
        assert "\n" not in str(caught.value)

    return check


class TestWhatIsInIt:
    def test_everything_that_training_needs(self, make_run, volume, small_task, small_net):
        run = make_run(trainer={"iterations": 77})
        assert isinstance(run, RunFolder)
        assert names(run.path) == ["data", "run.yaml"]
        config = RunFolder.open(run.path).config
        assert (config.task, config.architecture) == (small_task, small_net)
        assert config.trainer.iterations == 77
        assert config.data.intensity_range == (0, 255)
        assert config.data.labels.channel_names == ["balls"]
        (found,) = open_data(run).train
        np.testing.assert_array_equal(found.raw[found.raw.roi], volume.raw)
        labels = found.ground_truth.labels
        np.testing.assert_array_equal(labels[labels.roi], volume.labels)
        assert found.ground_truth.mask is None

    def test_a_mask_and_what_stands_for_unknown(self, make_run, volume):
        mask = np.zeros((EDGE,) * 3, bool)
        mask[:30] = True
        truth = volume.ground_truth(
            mask=volume.array(mask), zero_is_unlabelled=True, ignore_label=3
        )
        (data,) = open_data(make_run(ground_truth=truth)).train
        assert data.ground_truth.config == truth.config
        np.testing.assert_array_equal(data.ground_truth.mask[data.raw.roi], mask)

    def test_places_and_units_are_kept(self, make_run, volume, small_task):
        place = {"voxel_size": (52400, 40000, 40000), "unit": WorldUnit("nm", 1000)}
        place["offset"] = (52400, 0, -40000)
        task = small_task.model_copy(update={"scale_factor": 100})
        run = make_run(
            raw=volume.array(volume.raw, **place),
            ground_truth=volume.ground_truth(volume.array(volume.labels, **place)),
            task=task,
        )
        (data,) = open_data(run).train
        assert data.raw.unit == WorldUnit("nm", 10)
        assert data.raw.voxel_size == (524, 400, 400)
        assert data.raw.roi.begin == data.ground_truth.labels.roi.begin == (524, 0, -400)

    def test_a_file_with_the_same_raw_data_is_named(self, make_run, volume, tmp_path):
        raw = volume.array(volume.raw)
        path = tmp_path / "somewhere/raw.ome.zarr"
        list(write_ome_zarr(path, raw, "raw"))
        run = make_run(raw=raw, raw_path=path)
        assert run.config.data.crops[0].raw == str(path)
        assert names(run.path / "data/0") == ["labels.ome.zarr"]
        assert open_data(run).train[0].raw.roi == raw.roi

    @pytest.mark.parametrize("spoil", ["values", "place", "gone", "none"])
    def test_raw_data_that_is_nowhere_else_is_copied(self, make_run, volume, tmp_path, spoil):
        path = tmp_path / "somewhere/raw.ome.zarr"
        values = 255 - volume.raw if spoil == "values" else volume.raw
        if spoil != "gone":
            offset = (8, 0, 0) if spoil == "place" else None
            list(write_ome_zarr(path, volume.array(values, offset=offset), "raw"))
        run = make_run(raw_path=None if spoil == "none" else path)
        assert run.config.data.crops[0].raw == "data/0/raw.ome.zarr"
        (data,) = open_data(run).train
        np.testing.assert_array_equal(data.raw[data.raw.roi], volume.raw)

    def test_the_folder_can_move(self, make_run, tmp_path):
        make_run().path.rename(tmp_path / "moved")
        assert open_data(RunFolder.open(tmp_path / "moved")).train[0].raw.shape == (EDGE,) * 3

    def test_progress_goes_up(self, volume, small_task, small_net, tmp_path):
        parts = {"task": small_task, "architecture": small_net, "trainer": TrainerConfig()}
        truth = volume.ground_truth()
        rows = [Row(volume.array(volume.raw), truth.labels)] * 3
        shares = list(create_run(tmp_path / "r", rows=rows, labels=truth.config, **parts))
        assert shares == sorted(shares)
        assert 0 <= shares[0] <= shares[-1] <= 1

    def test_leaving_it_leaves_nothing(self, volume, small_task, small_net, tmp_path):
        parts = {"task": small_task, "architecture": small_net, "trainer": TrainerConfig()}
        truth = volume.ground_truth()
        parts |= {"rows": [Row(volume.array(volume.raw), truth.labels)], "labels": truth.config}
        whole = len(list(create_run(tmp_path / "a", **parts)))
        for steps in range(1, whole):
            making = create_run(tmp_path / "b", **parts)
            for _ in range(steps):
                next(making)
            making.close()
            assert names(tmp_path) == ["a"]


class TestWherePartsMeet:
    def test_ground_truth_of_a_part_is_fine(self, make_run, volume):
        part = volume.array(volume.labels[4:34, 2:32, 0:28], offset=(32, 16, 0))
        (data,) = open_data(make_run(ground_truth=volume.ground_truth(part))).train
        assert data.ground_truth.roi.begin == (32, 16, 0)

    @pytest.mark.parametrize("shift", [(3, 4, 5), (-3, -4, -5), (12, 20, 27)])
    def test_a_shift_by_part_of_a_voxel_goes_to_the_nearest(self, make_run, volume, shift):
        labels = volume.array(volume.labels, offset=shift)
        mask = volume.array(np.ones((EDGE,) * 3, np.uint8), offset=shift)
        (data,) = open_data(make_run(ground_truth=volume.ground_truth(labels, mask))).train
        truth = data.ground_truth
        nearest = tuple((s + 4) // 8 * 8 for s in shift)
        assert truth.labels.roi.begin == truth.mask.roi.begin == nearest

    def test_a_network_that_upsamples_wants_finer_ground_truth(self, make_run, refused, volume):
        net = CNNectomeUNet(
            input_shape=(24, 24, 24),
            num_fmaps=2,
            fmap_inc_factor=2,
            downsample_factors=[(2, 2, 2)],
            upsample_factors=[(2, 2, 2)],
        )
        refused(DataError, "answers with voxels of 4 x 4 x 4 nm", architecture=net)
        fine = volume.array(volume.labels.repeat(2, 0).repeat(2, 1).repeat(2, 2), (4, 4, 4))
        make_run(ground_truth=volume.ground_truth(fine), architecture=net)

    def test_other_voxel_sizes(self, refused, volume):
        truth = volume.ground_truth(volume.array(volume.labels, (16, 8, 8)))
        refused(DataError, "8 x 8 x 8 nm and the ground truth of 16 x 8 x 8", ground_truth=truth)

    def test_no_overlap(self, refused, volume):
        truth = volume.ground_truth(volume.array(volume.labels, offset=(320, 0, 0)))
        refused(DataError, "do not overlap", ground_truth=truth)

    def test_units_on_one_side_only(self, refused, volume):
        truth = volume.ground_truth(volume.array(volume.labels, unit=VOXEL))
        refused(DataError, "same units", ground_truth=truth)

    def test_other_dimensions(self, refused, volume):
        flat = volume.ground_truth(volume.array(volume.labels[0], (8, 8), axes="yx"))
        refused(DataError, "has 3 spatial axes and the ground truth 2", ground_truth=flat)
        raw = volume.array(volume.raw[0], (8, 8), axes="yx")
        refused(ConfigError, "for 3D data, but the raw data is 2D", raw=raw, ground_truth=flat)

    def test_raw_channels_that_the_network_does_not_take(self, refused, volume):
        raw = volume.array(np.stack([volume.raw] * 2), axes="czyx")
        refused(ConfigError, "has 2 channels, but the network takes 1: set fmaps_in", raw=raw)

    def test_channels_that_the_task_does_not_have(self, refused, volume):
        channels = (Channel(name="a"), Channel(name="b", labels=(1,)))
        truth = volume.ground_truth(channels=channels)
        refused(DataError, "2 channels, but the task has 1", ground_truth=truth)

    def test_a_scale_factor_below_a_voxel(self, refused, small_task):
        task = small_task.model_copy(update={"scale_factor": 1})
        refused(DataError, "1 nm is less than a voxel of 8 x 8 x 8 nm", task=task)

    def test_a_volume_smaller_than_the_input_names_one_that_fits(self, refused, volume):
        raw = volume.array(volume.raw[:23])
        refused(
            ConfigError,
            r"input of 24 x 24 x 24 voxels is larger .* raw data has 23 x 40 x 40 .* "
            r"largest input_shape that fits is \(22, 40, 40\)\.",
            raw=raw,
            ground_truth=volume.ground_truth(volume.array(volume.labels[:23])),
        )

    def test_ground_truth_smaller_than_the_output_names_one_that_fits(self, refused, volume):
        small = volume.ground_truth(volume.array(volume.labels[20:25], offset=(160, 0, 0)))
        refused(
            ConfigError,
            r"ground truth 5 x 40 x 40; the largest input_shape that fits is \(20, 40, 40\)\.",
            ground_truth=small,
        )

    def test_what_it_names_does_fit(self, make_run, volume, small_net):
        small = volume.ground_truth(volume.array(volume.labels[20:25], offset=(160, 0, 0)))
        net = small_net.model_copy(update={"input_shape": Coordinate(20, 40, 40)})
        make_run(ground_truth=small, architecture=net)

    def test_a_volume_for_which_nothing_fits(self, refused, volume):
        raw = volume.array(volume.raw[:10])
        truth = volume.ground_truth(volume.array(volume.labels[:10]))
        refused(
            ConfigError,
            "needs an input of at least 18 x 40 x 40: choose fewer downsample_factors or padding",
            raw=raw,
            ground_truth=truth,
        )


class TestContent:
    def test_empty_ground_truth(self, refused, volume):
        truth = volume.ground_truth(volume.array(volume.labels * 0))
        refused(DataError, "holds no object of balls", ground_truth=truth)

    def test_label_ids_that_are_not_there(self, refused, volume):
        truth = volume.ground_truth(channels=(Channel(name="balls", labels=(99,)),))
        refused(DataError, "holds no object of balls", ground_truth=truth)

    def test_empty_mask(self, refused, volume):
        truth = volume.ground_truth(mask=volume.array(volume.labels * 0))
        refused(DataError, "Nothing is known in the ground truth", ground_truth=truth)

    def test_objects_out_of_reach(self, refused, volume):
        labels = np.zeros_like(volume.labels)
        labels[0, 0, 0] = 1  # where the unpadded network cannot answer
        truth = volume.ground_truth(volume.array(labels))
        refused(DataError, "holds no object of balls where the network", ground_truth=truth)

    def test_negative_labels(self, refused, volume):
        labels = volume.labels.astype(np.int32)
        labels[20, 20, 20] = -5
        truth = volume.ground_truth(volume.array(labels))
        refused(DataError, "negative label -5", ground_truth=truth)

    def test_float_labels(self, volume):
        with pytest.raises(DataError, match="float64: labels must be whole"):
            volume.ground_truth(volume.array(volume.labels.astype(float)))

    @pytest.mark.parametrize("value", [np.nan, np.inf])
    def test_raw_data_that_is_not_finite(self, refused, volume, value):
        raw = volume.raw.astype(np.float32)
        raw[20, 20, 20] = value
        refused(DataError, "NaN or infinite", raw=volume.array(raw))

    def test_constant_raw_data(self, refused, volume):
        refused(DataError, "All the raw data is 0", raw=volume.array(volume.raw * 0))


class TestFolder:
    def test_a_run_is_not_overwritten(self, make_run):
        run = make_run()
        before = (run.path / "run.yaml").read_text()
        with pytest.raises(RunError, match="is a run already"):
            make_run(trainer={"iterations": 3})
        assert (run.path / "run.yaml").read_text() == before

    def test_other_folders_are_not_overwritten(self, make_run, tmp_path):
        (tmp_path / "run").mkdir()
        (tmp_path / "run/notes.txt").write_text("mine")
        with pytest.raises(DataError, match="exists already"):
            make_run()
        assert names(tmp_path / "run") == ["notes.txt"]

    def test_an_empty_folder_and_missing_parents_are_fine(self, make_run, tmp_path):
        (tmp_path / "run").mkdir()
        assert make_run().path == tmp_path / "run"
        assert make_run("deep/er/run").path.is_dir()

    def test_a_folder_that_cannot_be_made(self, make_run, tmp_path):
        (tmp_path / "file").write_text("")
        with pytest.raises(RunError, match="run cannot be written: "):
            make_run("file/run")

    def test_a_full_disk(self, make_run, tmp_path, monkeypatch):
        def full(*args, **kwargs):
            raise OSError(errno.ENOSPC, "No space left on device")

        monkeypatch.setattr(zarr.Array, "__setitem__", full)
        with pytest.raises(RunError, match=r"run cannot be written: No space left on device\.$"):
            make_run()
        assert names(tmp_path) == []


class TestProposal:
    def test_fits_the_data(self, make_run, volume):
        raw, truth = volume.array(volume.raw), volume.ground_truth()
        proposed = propose_architecture(raw, truth)
        assert proposed.num_in_channels == 1
        make_run(architecture=proposed)

    def test_fits_a_small_ground_truth_in_large_raw_data(self, make_run, volume):
        raw = volume.array(np.pad(volume.raw, 30, mode="reflect"), offset=(-240,) * 3)
        proposed = propose_architecture(raw, volume.ground_truth())
        assert min(proposed.input_shape) > EDGE / 2
        make_run(raw=raw, architecture=proposed)

    def test_is_light_for_a_processor(self, volume):
        large = NumpyArray(
            np.broadcast_to(np.uint8(0), (300,) * 3), axes="zyx", voxel_size=(8, 8, 8)
        )
        heavy, light = (propose_for_raw(large, large.shape, name) for name in ("cuda:0", "cpu"))
        assert np.prod(light.input_shape) < np.prod(heavy.input_shape) / 3
        assert light.num_fmaps < heavy.num_fmaps
        raw, truth = volume.array(volume.raw), volume.ground_truth()
        assert propose_architecture(raw, truth, "cpu").num_fmaps == light.num_fmaps

    def test_takes_the_channels_of_raw_data(self, volume):
        raw = volume.array(np.stack([volume.raw] * 3), axes="czyx")
        assert propose_architecture(raw, volume.ground_truth()).num_in_channels == 3


class TestManyRows:
    def test_what_rows_share_is_copied_once(self, make_run, volume):
        truth = volume.ground_truth()
        raw = volume.array(volume.raw)
        again = volume.array(volume.raw)  # the same values in the same place
        elsewhere = volume.array(volume.raw, offset=(8, 0, 0))
        other = volume.array(255 - volume.labels)
        run = make_run(
            rows=[
                Row(raw, truth.labels, name="A"),
                Row(again, other, mask=other, share=2.0, validation_block="30:,:,:"),
                Row(elsewhere, truth.labels, use="validate"),
            ]
        )
        assert [(one.raw, one.gt, one.mask) for one in run.config.data.crops] == [
            ("data/0/raw.ome.zarr", "data/0/labels.ome.zarr", None),
            ("data/0/raw.ome.zarr", "data/1/labels.ome.zarr", "data/1/mask.ome.zarr"),
            ("data/2/raw.ome.zarr", "data/0/labels.ome.zarr", None),
        ]
        second = run.config.data.crops[1]
        assert (second.share, second.validation_block, second.use) == (2.0, "30:,:,:", "train")
        assert [one.name for one in run.config.data.crops] == ["A", "", ""]
        assert names(run.path / "data") == ["0", "1", "2"]
        data = open_data(run)
        assert [one.crop for one in data.train] == ["A", "crop 2"]
        assert [one.crop for one in data.validate] == ["crop 2", "crop 3"]

    def test_rows_that_are_off_are_kept_and_not_checked(self, make_run, volume):
        truth = volume.ground_truth()
        coarse = volume.array(volume.raw.astype(np.float32), (16, 16, 16))
        run = make_run(
            rows=[
                Row(volume.array(volume.raw), truth.labels),
                Row(coarse, volume.array(volume.labels, (32, 32, 32)), use="off"),
            ]
        )
        off = run.config.data.crops[1]
        kept = open_array(run.resolve(off.raw))
        np.testing.assert_array_equal(kept[kept.roi], volume.raw)
        assert kept.voxel_size == (16, 16, 16)
        assert [one.name for one in open_data(run).train] == ["crop 1"]

    def test_where_crops_are_taken_from_is_kept(self, make_run):
        sampling = SamplingConfig(rare_labels=0.3, least_known=0.2)
        assert make_run(sampling=sampling).config.data.sampling == sampling

    def test_a_crop_without_objects_is_fine_beside_others(self, make_run, volume, refused):
        empty = Row(volume.array(volume.raw), volume.array(volume.labels * 0))
        row = Row(volume.array(volume.raw), volume.array(volume.labels))
        refused(DataError, "holds no object of balls", rows=[empty, replace(row, use="validate")])
        assert len(make_run(rows=[empty, row]).config.data.crops) == 2

    @pytest.mark.parametrize("use", ["train", "validate"])
    def test_a_crop_of_which_nothing_is_known_is_named(self, refused, volume, use):
        row = Row(volume.array(volume.raw), volume.array(volume.labels))
        nothing = replace(row, mask=volume.array(volume.labels * 0), use=use, name="dark")
        what = "learn from it" if use == "train" else "be scored by it"
        refused(
            DataError, f"^dark: Nothing is known .* the network could {what}", rows=[row, nothing]
        )

    def test_an_error_of_a_validation_block_leaves_nothing(self, refused):
        refused(
            DataError, "as many ranges as the ground truth has axes, 3", validation_block="1:3,:"
        )

    def test_no_row_at_all(self, refused):
        refused(ConfigError, "No crop trains", rows=[])


class TestSelfContained:
    def test_raw_data_from_outside_is_copied_in(self, make_run, volume, tmp_path):
        outside = tmp_path / "somewhere/raw.ome.zarr"
        list(write_ome_zarr(outside, volume.array(volume.raw), "raw"))
        row = Row(volume.array(volume.raw), volume.array(volume.labels), raw_path=outside)
        run = make_run(rows=[row, replace(row, use="validate"), replace(row, use="off")])
        assert {one.raw for one in run.config.data.crops} == {str(outside)}
        run.save_checkpoint({"iteration": 1}, 1, kept=2, best=())  # it may have been trained
        shares = list(make_self_contained(run))
        assert shares == sorted(shares)
        outside.parent.rename(tmp_path / "gone")
        run.path.rename(tmp_path / "moved")
        moved = RunFolder.open(tmp_path / "moved")
        assert {one.raw for one in moved.config.data.crops} == {"data/0/raw.ome.zarr"}
        assert [one.use for one in moved.config.data.crops] == ["train", "validate", "off"]
        (found,) = open_data(moved).train
        np.testing.assert_array_equal(found.raw[found.raw.roi], volume.raw)
        assert found.raw.voxel_size == (8, 8, 8)

    def test_it_can_be_done_again(self, make_run):
        run = make_run()
        before = (run.path / "run.yaml").read_text()
        assert list(make_self_contained(run)) == [1.0]
        assert (run.path / "run.yaml").read_text() == before

    def test_leaving_it_leaves_the_run_as_it_was(self, make_run, volume, tmp_path):
        outside = tmp_path / "somewhere/raw.ome.zarr"
        list(write_ome_zarr(outside, volume.array(volume.raw), "raw"))
        run = make_run(raw_path=outside)
        copying = make_self_contained(run)
        next(copying)
        copying.close()
        assert names(run.path / "data/0") == ["labels.ome.zarr"]
        assert RunFolder.open(run.path).config.data.crops[0].raw == str(outside)

    def test_what_is_gone_is_said(self, make_run, volume, tmp_path):
        outside = tmp_path / "somewhere/raw.ome.zarr"
        list(write_ome_zarr(outside, volume.array(volume.raw), "raw"))
        run = make_run(raw_path=outside)
        outside.rename(tmp_path / "elsewhere.ome.zarr")
        with pytest.raises(DataError, match=r"nothing at .*raw\.ome\.zarr"):
            list(make_self_contained(run))


class TestProposalForRows:
    def test_fits_every_row(self, make_run, volume, small_task):
        truth = volume.ground_truth()
        rows = [
            Row(volume.array(volume.raw), truth.labels),
            Row(volume.array(volume.raw[:30]), volume.array(volume.labels[:30])),
            Row(volume.array(volume.raw[:3]), truth.labels, use="off"),
        ]
        net = propose_for_rows(rows, task=small_task, labels=truth.config, device="cpu")
        assert net.input_shape[0] <= 30
        make_run(rows=rows, architecture=net)

    @pytest.mark.parametrize("block", ["34:,:,:", "14:26,:,:"])
    def test_leaves_room_beside_a_validation_block(self, make_run, volume, small_task, block):
        big = np.tile(volume.raw, (2, 2, 2)), np.tile(volume.labels, (2, 2, 2))
        truth = volume.ground_truth()
        rows = [Row(*map(volume.array, big), validation_block=block)]
        net = propose_for_rows(rows, task=small_task, labels=truth.config, device="cpu")
        assert open_data(make_run(rows=rows, architecture=net)).train

    def test_what_can_never_fit_is_said_later(self, volume, small_task):
        truth = volume.ground_truth()
        rows = [Row(volume.array(volume.raw), volume.array(volume.labels * 0, (16, 8, 8)))]
        net = propose_for_rows(rows, task=small_task, labels=truth.config)
        with pytest.raises(DataError, match="same voxel size"):
            volumes_of(rows, task=small_task, architecture=net, labels=truth.config)


def test_opening_what_is_gone_names_it(make_run, tmp_path, volume):
    path = tmp_path / "raw.zarr"
    list(write_ome_zarr(path, volume.array(volume.raw), "raw"))
    run = make_run(raw=open_array(path), raw_path=path)
    path.rename(tmp_path / "elsewhere.zarr")
    with pytest.raises(DataError, match=r"nothing at .*raw\.zarr"):
        open_data(run)
