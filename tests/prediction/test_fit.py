"""What is predicted of an image, and what is refused."""

from __future__ import annotations

import numpy as np
import pytest
from funlib.geometry import Coordinate, Roi
from trained_models import FLAT, PADDED, SMALL, SOLID, distances, image, trained

from napari_dacapo_tasks.architectures import CNNectomeUNet
from napari_dacapo_tasks.arrays import NumpyArray
from napari_dacapo_tasks.arrays.resampled import ResampledArray
from napari_dacapo_tasks.errors import ConfigError, DataError
from napari_dacapo_tasks.prediction.config import PredictionConfig
from napari_dacapo_tasks.prediction.fit import VoxelSizeDiffersError, plan_prediction
from napari_dacapo_tasks.tasks import AffinitiesTaskConfig
from napari_dacapo_tasks.units import VOXEL, WorldUnit

LEFT_OUT = PredictionConfig(edges="leave out")


class TestRegion:
    def test_mirrored_at_its_edges_all_of_an_image_is_answered(self):
        raw = image(60, 70, offset=(30, -50))
        plan = plan_prediction(trained(FLAT), raw)
        assert plan.roi == plan.answered == raw.roi
        assert plan.shape == (60, 70)
        assert plan.channels == ("one", "two")
        assert plan.bytes == 2 * 60 * 70 * 4
        assert plan.axes == ("y", "x")
        assert plan.notices == ()

    def test_else_its_edges_are_left_out_and_what_is_no_whole_step(self):
        plan = plan_prediction(trained(FLAT), image(63, 70, offset=(30, -50)), config=LEFT_OUT)
        assert plan.shape == (20, 28)  # of 60 and 68 voxels, less the 40 of the context
        assert plan.roi.begin == (30 + 200, -50 + 200)

    def test_a_network_that_pads_leaves_nothing_out(self):
        plan = plan_prediction(trained(PADDED), image(25, 31), config=LEFT_OUT)
        assert plan.shape == (25, 31)

    def test_a_wanted_one_grows_to_whole_voxels(self):
        roi = Roi((101, 99), (100, 102))
        plan = plan_prediction(trained(FLAT), image(60, 70), roi)
        assert plan.roi == Roi((100, 90), (110, 120))
        assert plan.notices == ()

    def test_what_reaches_outside_is_cut_and_told(self):
        roi = Roi((-100, 500), (200, 500))
        plan = plan_prediction(trained(FLAT), image(60, 70), roi)
        assert plan.roi == Roi((0, 500), (100, 200))
        (notice,) = plan.notices
        assert "10 x 20 of 20 x 50 voxels are predicted: the rest lies outside" in notice

    def test_one_outside_is_refused(self):
        with pytest.raises(DataError, match=r"from 1000 x 0 nm to 1100 x 100 nm has nothing in"):
            plan_prediction(trained(FLAT), image(60, 70), Roi((1000, 0), (100, 100)))
        with pytest.raises(DataError, match="has nothing in common"):
            plan_prediction(trained(FLAT), image(60, 70), Roi((0, 0), (200, 200)), config=LEFT_OUT)
        with pytest.raises(DataError, match="has nothing in common"):
            plan_prediction(trained(FLAT), image(60, 70), Roi((100, 100), (0, 100)))

    def test_an_upsampling_network_answers_in_smaller_voxels(self):
        finer = CNNectomeUNet(
            input_shape=(24, 24), downsample_factors=[(2, 2)], upsample_factors=[(2, 2)], **SMALL
        )
        plan = plan_prediction(trained(finer), image(30, 20))
        assert plan.voxel_size == (5, 5)
        assert plan.shape == (60, 40)

    def test_where_these_need_a_finer_grid_the_region_moves_onto_it(self):
        finer = CNNectomeUNet(
            input_shape=(24, 24), downsample_factors=[(2, 2)], upsample_factors=[(2, 2)], **SMALL
        )
        network = trained(finer, voxel_size=(5.0, 5.0))
        plan = plan_prediction(network, image(30, 20, size=5), Roi((50, 0), (50, 50)))
        assert plan.unit == WorldUnit("nm", 10)
        assert plan.voxel_size == (25, 25)
        assert plan.roi == Roi((500, 0), (500, 500))
        assert plan.shape == (20, 20)


class TestRefused:
    def test_other_dimensions(self):
        with pytest.raises(DataError, match="is for 3D images, but this one is 2D"):
            plan_prediction(trained(SOLID), image(60, 60))

    def test_other_channels(self):
        with pytest.raises(
            DataError, match=r"has 3 channels \(is it in colour\?\), but .* takes 1"
        ):
            plan_prediction(trained(FLAT), image(60, 60, channels=3))
        two = trained(FLAT.model_copy(update={"fmaps_in": 2}))
        with pytest.raises(DataError, match="has 1 channel, but the network takes 2"):
            plan_prediction(two, image(60, 60))

    def test_too_small_an_image(self):
        with pytest.raises(DataError, match=r"An image of 43 x 90 .* sees 40 x 40 voxels more"):
            plan_prediction(trained(FLAT), image(43, 90), config=LEFT_OUT)
        (notice,) = plan_prediction(trained(FLAT), image(15, 90)).notices
        assert "most of that is the image mirrored" in notice

    def test_no_voxels_and_no_numbers(self):
        with pytest.raises(DataError, match="is empty"):
            plan_prediction(trained(FLAT), image(0, 90))
        complex_values = NumpyArray(np.zeros((60, 60), complex), axes="yx", voxel_size=(10, 10))
        with pytest.raises(DataError, match="of type complex128"):
            plan_prediction(trained(FLAT), complex_values)

    def test_affinities_have_a_direction(self):
        task = AffinitiesTaskConfig(name="a", neighborhood=[(1, 0), (0, 1)])
        mirrored = PredictionConfig(mirror=True)
        with pytest.raises(ConfigError, match="cannot be averaged over mirrored views"):
            plan_prediction(trained(FLAT, task), image(60, 60), config=mirrored)
        plan_prediction(trained(FLAT), image(60, 60), config=mirrored)

    @pytest.mark.parametrize("tile", [(10,), (10, 10, 10), (10, 0)])
    def test_tiles_of_other_dimensions(self, tile):
        with pytest.raises(ConfigError, match="give 2 sizes of at least 1 voxel"):
            plan_prediction(trained(FLAT), image(60, 60), config=PredictionConfig(tile_shape=tile))


class TestVoxelSize:
    def test_another_one_is_told_with_both_sizes(self):
        with pytest.raises(VoxelSizeDiffersError, match=r"8 x 10 nm, but .* 10 x 10 nm") as caught:
            plan_prediction(trained(FLAT), image(60, 60, size=(8, 10)))
        assert (caught.value.found, caught.value.trained) == ((8.0, 10.0), (10.0, 10.0))

    def test_resampled_it_is_that_of_the_network(self):
        raw = image(60, 60, size=(20, 10), offset=(100, 0))
        plan = plan_prediction(trained(FLAT), raw, resample=True)
        assert isinstance(plan.raw, ResampledArray)
        assert plan.shape == (120, 60)
        assert plan.roi == raw.roi
        assert plan.notices == ("The image is resampled from voxels of 20 x 10 nm to 10 x 10 nm.",)

    def test_less_than_a_hundredth_is_no_difference(self):
        network = trained(FLAT, voxel_size=(4.0, 4.0))
        raw = image(60, 60, size=(4010, 3990), unit=WorldUnit("nm", 1000))
        assert plan_prediction(network, raw).voxel_size == (4010, 3990)
        with pytest.raises(VoxelSizeDiffersError):
            plan_prediction(network, image(60, 60, size=(4050, 4000), unit=WorldUnit("nm", 1000)))

    def test_other_units_are_refused(self):
        with pytest.raises(DataError, match=r"has no physical unit, but .* data in nanometres"):
            plan_prediction(trained(FLAT), image(60, 60, size=10, unit=VOXEL))
        with pytest.raises(DataError, match=r"has a physical unit, but .* data without one"):
            plan_prediction(trained(FLAT, unit="voxels"), image(60, 60))

    def test_any_is_accepted_where_it_is_not_known(self):
        plan = plan_prediction(trained(FLAT, voxel_size=()), image(60, 60, size=(3, 7)))
        assert plan.voxel_size == (3, 7)


def test_lengths_of_a_task_are_on_the_grid_where_it_is_asked_for():
    network = trained(FLAT, distances("one"))
    built = network.task_on(WorldUnit("nm", 10))
    assert built.config.scale_factor == 500
    assert Coordinate(network.tiles.context) == (40, 40)
