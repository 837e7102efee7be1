import numpy as np
import pytest
from funlib.geometry import Coordinate
from pydantic import ValidationError

from napari_dacapo_tasks.arrays import GroundTruth, LabelsConfig, NumpyArray
from napari_dacapo_tasks.errors import ConfigError
from napari_dacapo_tasks.tasks import Measured
from napari_dacapo_tasks.tasks.affinities import AffinitiesTask, AffinitiesTaskConfig
from napari_dacapo_tasks.tasks.files import load_task, save_task
from napari_dacapo_tasks.tasks.preview import Preview, preview
from napari_dacapo_tasks.units import WorldUnit

NEAREST = [(1, 0, 0), (0, 1, 0), (0, 0, 1)]

OF_DACAPO = """
__type__: AffinitiesTaskConfig
affs_weight_clipmax: 0.95
affs_weight_clipmin: 0.05
background_as_object: false
downsample_lsds: 1
lsd_weight_clipmax: 0.95
lsd_weight_clipmin: 0.05
lsds: true
lsds_to_affs_weight_ratio: 1
name: neuron_affs
neighborhood:
- !!python/tuple [1, 0, 0]
- !!python/tuple
  - 0
  - 1
  - 0
- [0, 0, 1]
num_lsd_voxels: 10
"""


def config(**changes):
    return AffinitiesTaskConfig(**{"name": "affs", "neighborhood": NEAREST, **changes})


def test_fields_and_defaults_are_dacapos():
    assert config().model_dump() == {
        "name": "affs",
        "neighborhood": NEAREST,
        "lsds": False,
        "num_lsd_voxels": 10,
        "downsample_lsds": 1,
        "lsds_to_affs_weight_ratio": 1,
        "affs_weight_clipmin": 0.05,
        "affs_weight_clipmax": 0.95,
        "lsd_weight_clipmin": 0.05,
        "lsd_weight_clipmax": 0.95,
        "background_as_object": False,
    }


def test_a_task_is_built_of_its_config():
    made = config(
        lsds=True,
        num_lsd_voxels=4,
        downsample_lsds=2,
        lsds_to_affs_weight_ratio=0.5,
        affs_weight_clipmin=0.1,
        affs_weight_clipmax=0.9,
        lsd_weight_clipmin=0.2,
        lsd_weight_clipmax=0.8,
        background_as_object=True,
    )
    task = made.task_type(made)
    assert isinstance(task, AffinitiesTask)
    predictor = task.predictor
    assert predictor.neighborhood == NEAREST
    assert (predictor.lsds, predictor.num_voxels, predictor.downsample_lsds) == (True, 4, 2)
    assert (predictor.affs_weight_clipmin, predictor.affs_weight_clipmax) == (0.1, 0.9)
    assert (predictor.lsd_weight_clipmin, predictor.lsd_weight_clipmax) == (0.2, 0.8)
    assert predictor.background_as_object
    assert task.channels[:4] == ["z+1", "y+1", "x+1", "LSD offset z"]
    assert (task.loss.num_affinities, task.loss.lsds_to_affs_weight_ratio) == (3, 0.5)
    assert made.ground_truth_channels == ["labels"]
    assert made.verify()[0]


def test_segmentation_is_by_mutex_watershed_first():
    titles = [method.title for method in AffinitiesTask(config()).methods]
    assert titles == ["Mutex watershed", "Connected components"]
    assert AffinitiesTask(config()).parameters


def test_nothing_here_is_a_length():
    assert config().on_grid(WorldUnit("nm", 1000)) == config()


# Files


def test_files_of_dacapo_are_read(tmp_path):
    (tmp_path / "task.yaml").write_text(OF_DACAPO)
    assert load_task(tmp_path / "task.yaml") == config(name="neuron_affs", lsds=True)


def test_files_come_back_as_they_were_with_offsets_as_lists(tmp_path):
    for one in (config(), config(neighborhood=[(-2, 1), (0, 27)], lsds=True)):
        save_task(one, tmp_path / "task.yaml")
        assert "python" not in (tmp_path / "task.yaml").read_text()
        assert load_task(tmp_path / "task.yaml") == one


@pytest.mark.parametrize(
    ("neighborhood", "said"),
    [
        ("[]", "there is no offset"),
        ("[[1, 0, 0], [0, 1]]", "3 and 2 axes"),
        ("[[1], [2]]", r"\[1\] has 1 axes"),
        ("[[1, 0, 0], [0, 0, 0]]", r"\[0, 0, 0\] leads from a voxel to itself"),
        ("[[1, 0], [0, 1], [1, 0]]", r"\[1, 0\] stands more than once"),
        ("[[1, 0.5]]", "neighborhood.0.1.*integer"),
        ("3", "neighborhood.*list"),
    ],
)
def test_a_bad_neighbourhood_is_refused_in_one_sentence(tmp_path, neighborhood, said):
    text = f"__type__: AffinitiesTaskConfig\nname: a\nneighborhood: {neighborhood}\n"
    (tmp_path / "task.yaml").write_text(text)
    with pytest.raises(ConfigError, match=said) as refused:
        load_task(tmp_path / "task.yaml")
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"affs_weight_clipmin": 0.95}, "affs_weight_clipmin 0.95 must be below"),
        ({"lsd_weight_clipmax": 0.01}, "lsd_weight_clipmin 0.05 must be below"),
        ({"affs_weight_clipmin": 0}, "greater than 0"),
        ({"lsd_weight_clipmax": 1.5}, "less than or equal to 1"),
        ({"num_lsd_voxels": 0}, "greater than or equal to 1"),
        ({"downsample_lsds": 0}, "greater than or equal to 1"),
        ({"lsds_to_affs_weight_ratio": -1}, "greater than or equal to 0"),
        ({"offsets": []}, "Extra inputs"),
    ],
)
def test_other_bad_values_are_refused(changes, said):
    with pytest.raises(ValidationError, match=said):
        config(**changes)


# The proposal


def test_a_proposal_fits_the_voxels_and_the_objects():
    flat = AffinitiesTaskConfig.propose(["cells"], Measured((4, 4), 20))
    assert flat.name == "cells_affs"
    # 9 voxels are 36 nm: under the width of 40 nm; 27 are beyond it.
    assert flat.neighborhood == [(1, 0), (0, 1), (3, 0), (0, 3), (9, 0), (0, 9)]
    assert flat.num_lsd_voxels == 5
    thick = AffinitiesTaskConfig.propose(["objects"], Measured((40, 4, 4), 200))
    assert (3, 0, 0) in thick.neighborhood
    assert (9, 0, 0) not in thick.neighborhood
    assert (0, 27, 0) in thick.neighborhood
    assert thick.num_lsd_voxels == 5


@pytest.mark.parametrize(("radius", "voxels"), [(None, 10), (1, 2), (10_000, 10)])
def test_a_proposal_stays_within_bounds(radius, voxels):
    made = AffinitiesTaskConfig.propose(["objects"], Measured((8, 8, 8), radius))
    assert made.num_lsd_voxels == voxels
    assert set(NEAREST) <= set(made.neighborhood)


# The preview


def previewed(task, ids, **more):
    labels = NumpyArray(ids, axes="zyx"[-ids.ndim :], voxel_size=(8,) * ids.ndim)
    *_, last = preview(task, GroundTruth(labels, LabelsConfig(**more)))
    assert isinstance(last, Preview)
    return last


def test_a_preview_names_the_channels_and_leaves_borders_out():
    ids = np.zeros((6, 8, 8), np.uint8)
    ids[:, :4] = 1
    ids[:, 4:, 4:] = 2
    shown = previewed(config(), ids)
    assert shown.channels == ["z+1", "y+1", "x+1"]
    assert [one.name for one in shown.composites] == ["nearest affinities"]
    assert (shown.weight.data[0, -1] == 0).all()
    assert (shown.weight.data[2, :, :, :-1] > 0).all()
    # A sixth, and two eighths, of the voxels have no partner.
    assert [one.dropped for one in shown.statistics] == pytest.approx([1 / 6, 1 / 8, 1 / 8])


def test_a_preview_of_part_is_part_of_the_preview():
    ids = np.random.default_rng(0).integers(0, 3, (9, 10, 11)).astype(np.uint8)
    labels = NumpyArray(ids, axes="zyx", voxel_size=(8, 8, 8))
    task = config(neighborhood=[(1, 0, 0), (0, -3, 0)])
    roi = labels.roi.grow(Coordinate(-16, -24, -8), Coordinate(-16, -24, -8))
    *_, whole = preview(task, GroundTruth(labels, LabelsConfig()))
    *_, part = preview(task, GroundTruth(labels, LabelsConfig()), roi)
    np.testing.assert_array_equal(part.target.data, whole.target[roi])
    assert (part.weight.data > 0).all()  # all partners are in the context


def test_unlabelled_voxels_weigh_nothing_nor_do_those_beside_them():
    ids = np.array([[1, 1, 0, 2, 2]], np.uint8)
    shown = previewed(config(neighborhood=[(0, 1)]), ids, zero_is_unlabelled=True)
    np.testing.assert_array_equal(shown.weight.data[0, 0] > 0, [1, 0, 0, 1, 0])
