"""Making a run: what goes into it, and what is refused before anything is written."""

from __future__ import annotations

import errno
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
from napari_dacapo_tasks.runs.create import create_run
from napari_dacapo_tasks.runs.data import open_data
from napari_dacapo_tasks.runs.fit import propose_architecture, propose_for_raw
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
        data = open_data(run)
        np.testing.assert_array_equal(data.raw[data.raw.roi], volume.raw)
        labels = data.ground_truth.labels
        np.testing.assert_array_equal(labels[labels.roi], volume.labels)
        assert data.ground_truth.mask is None

    def test_a_mask_and_what_stands_for_unknown(self, make_run, volume):
        mask = np.zeros((EDGE,) * 3, bool)
        mask[:30] = True
        truth = volume.ground_truth(
            mask=volume.array(mask), zero_is_unlabelled=True, ignore_label=3
        )
        data = open_data(make_run(ground_truth=truth))
        assert data.ground_truth.config == truth.config
        np.testing.assert_array_equal(data.ground_truth.mask[data.raw.roi], mask)

    def test_places_and_units_are_kept(self, make_run, volume, small_task):
        place = {"voxel_size": (52400, 40000, 40000), "unit": WorldUnit("nm", 1000)}
        place["offset"] = (52400, 0, -40000)
        task = small_task.model_copy(update={"scale_factor": 100})
        data = open_data(
            make_run(
                raw=volume.array(volume.raw, **place),
                ground_truth=volume.ground_truth(volume.array(volume.labels, **place)),
                task=task,
            )
        )
        assert data.raw.unit == WorldUnit("nm", 10)
        assert data.raw.voxel_size == (524, 400, 400)
        assert data.raw.roi.begin == data.ground_truth.labels.roi.begin == (524, 0, -400)

    def test_a_file_with_the_same_raw_data_is_named(self, make_run, volume, tmp_path):
        raw = volume.array(volume.raw)
        path = tmp_path / "somewhere/raw.ome.zarr"
        list(write_ome_zarr(path, raw, "raw"))
        run = make_run(raw=raw, raw_path=path)
        assert run.config.data.crops[0].raw == str(path)
        assert names(run.path / "data") == ["labels.ome.zarr"]
        assert open_data(run).raw.roi == raw.roi

    @pytest.mark.parametrize("spoil", ["values", "place", "gone", "none"])
    def test_raw_data_that_is_nowhere_else_is_copied(self, make_run, volume, tmp_path, spoil):
        path = tmp_path / "somewhere/raw.ome.zarr"
        values = 255 - volume.raw if spoil == "values" else volume.raw
        if spoil != "gone":
            offset = (8, 0, 0) if spoil == "place" else None
            list(write_ome_zarr(path, volume.array(values, offset=offset), "raw"))
        run = make_run(raw_path=None if spoil == "none" else path)
        assert run.config.data.crops[0].raw == "data/raw.ome.zarr"
        data = open_data(run)
        np.testing.assert_array_equal(data.raw[data.raw.roi], volume.raw)

    def test_the_folder_can_move(self, make_run, tmp_path):
        make_run().path.rename(tmp_path / "moved")
        assert open_data(RunFolder.open(tmp_path / "moved")).raw.shape == (EDGE,) * 3

    def test_progress_goes_up(self, volume, small_task, small_net, tmp_path):
        parts = {"task": small_task, "architecture": small_net, "trainer": TrainerConfig()}
        raw, truth = volume.array(volume.raw), volume.ground_truth()
        shares = list(create_run(tmp_path / "r", raw=raw, ground_truth=truth, **parts))
        assert shares == sorted(shares)
        assert 0 <= shares[0] <= shares[-1] <= 1

    def test_leaving_it_leaves_nothing(self, volume, small_task, small_net, tmp_path):
        parts = {"task": small_task, "architecture": small_net, "trainer": TrainerConfig()}
        raw, truth = volume.array(volume.raw), volume.ground_truth()
        whole = len(list(create_run(tmp_path / "a", raw=raw, ground_truth=truth, **parts)))
        for steps in range(1, whole):
            making = create_run(tmp_path / "b", raw=raw, ground_truth=truth, **parts)
            for _ in range(steps):
                next(making)
            making.close()
            assert names(tmp_path) == ["a"]


class TestWherePartsMeet:
    def test_ground_truth_of_a_part_is_fine(self, make_run, volume):
        part = volume.array(volume.labels[4:34, 2:32, 0:28], offset=(32, 16, 0))
        data = open_data(make_run(ground_truth=volume.ground_truth(part)))
        assert data.ground_truth.roi.begin == (32, 16, 0)

    @pytest.mark.parametrize("shift", [(3, 4, 5), (-3, -4, -5), (12, 20, 27)])
    def test_a_shift_by_part_of_a_voxel_goes_to_the_nearest(self, make_run, volume, shift):
        labels = volume.array(volume.labels, offset=shift)
        mask = volume.array(np.ones((EDGE,) * 3, np.uint8), offset=shift)
        truth = open_data(make_run(ground_truth=volume.ground_truth(labels, mask))).ground_truth
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


def test_opening_what_is_gone_names_it(make_run, tmp_path, volume):
    path = tmp_path / "raw.zarr"
    list(write_ome_zarr(path, volume.array(volume.raw), "raw"))
    run = make_run(raw=open_array(path), raw_path=path)
    path.rename(tmp_path / "elsewhere.zarr")
    with pytest.raises(DataError, match=r"nothing at .*raw\.zarr"):
        open_data(run)
