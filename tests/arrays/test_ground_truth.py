import numpy as np
import pytest
from funlib.geometry import Roi
from pydantic import ValidationError

from napari_dacapo_tasks.arrays import Channel, GroundTruth, LabelsConfig, NumpyArray
from napari_dacapo_tasks.errors import DataError
from napari_dacapo_tasks.units import WorldUnit

IDS = np.array([[0, 1, 2, 2], [3, 3, 0, 9]], np.uint16)


def labels(ids=IDS, offset=(0, 0)):
    return NumpyArray(ids, axes="yx", voxel_size=(4, 4), offset=offset)


def read(config=None, ids=IDS, mask=None, roi=None):
    truth = GroundTruth(labels(ids), config or LabelsConfig(), mask)
    gt, known = truth.read(roi or truth.labels.roi)
    return gt, known


def test_all_objects_keep_their_ids():
    gt, known = read()
    assert gt.axes == ("c", "y", "x")
    np.testing.assert_array_equal(gt.data, IDS[None])
    assert known.data.all()


def test_one_labels_array_feeds_several_channels():
    config = LabelsConfig(
        channels=(Channel(name="mito", labels=(2,)), Channel(name="er", labels=(1, 3)))
    )
    gt, known = read(config)
    np.testing.assert_array_equal(gt.data[0] != 0, [[0, 0, 1, 1], [0, 0, 0, 0]])
    # Ids of one channel stay apart, so that the boundary between them is one.
    np.testing.assert_array_equal(gt.data[1], [[0, 1, 0, 0], [3, 3, 0, 0]])
    assert known.data.all()


def test_zero_and_the_ignore_label_are_unknown():
    gt, known = read(LabelsConfig(zero_is_unlabelled=True, ignore_label=9))
    np.testing.assert_array_equal(known.data, [[0, 1, 1, 1], [1, 1, 0, 0]])
    assert gt.data[0, 1, 3] == 0, "an ignored label is no object"


def test_a_mask_says_what_is_known_and_nothing_is_known_outside_of_it():
    mask = NumpyArray(np.array([[7, 0]]), axes="yx", voxel_size=(4, 4), offset=(0, 4))
    _, known = read(mask=mask)
    np.testing.assert_array_equal(known.data, [[0, 1, 0, 0], [0, 0, 0, 0]])
    _, known = read(mask=mask, roi=Roi((4, 0), (4, 16)))
    assert not known.data.any()


def test_a_mask_elsewhere_is_refused():
    mask = NumpyArray(np.ones((2, 2)), axes="yx", voxel_size=(4, 4), offset=(400, 0))
    with pytest.raises(DataError, match="The ground truth and the mask do not overlap"):
        GroundTruth(labels(), LabelsConfig(), mask)


def test_float_labels_are_refused():
    with pytest.raises(DataError, match="type float32: labels must be whole numbers"):
        GroundTruth(labels(IDS.astype(np.float32)), LabelsConfig())


def test_negative_labels_are_refused_unless_they_are_the_ignore_label():
    ids = IDS.astype(np.int32)
    ids[0, 0] = -1
    with pytest.raises(DataError, match="negative label -1"):
        read(ids=ids)
    _, known = read(LabelsConfig(ignore_label=-1), ids=ids)
    assert known.data[0, 0] == 0
    assert known.data.sum() == 7


def test_labels_with_channels_are_refused():
    stacked = NumpyArray(IDS[None], axes="cyx", voxel_size=(4, 4))
    with pytest.raises(DataError, match="The ground truth has 1 channels"):
        GroundTruth(stacked, LabelsConfig())


def test_ids_near_two_to_the_64_are_told_apart():
    top = 2**64 - 1
    ids = np.array([[top, top - 1]], np.uint64)
    gt, known = read(LabelsConfig(channels=(Channel(name="a", labels=(top,)),)), ids=ids)
    np.testing.assert_array_equal(gt.data != 0, [[[True, False]]])
    assert known.data.all()
    two = LabelsConfig(channels=(Channel(name="a", labels=(top, 1)),))
    np.testing.assert_array_equal(read(two, ids=ids)[0].data != 0, [[[True, False]]])
    _, known = read(LabelsConfig(ignore_label=top), ids=ids)
    np.testing.assert_array_equal(known.data, [[0, 1]])


def test_labels_that_the_type_cannot_hold_select_nothing():
    ids = np.array([[0, 1, 255]], np.uint8)
    config = LabelsConfig(channels=(Channel(name="a", labels=(256,)),), ignore_label=-1)
    gt, known = read(config, ids=ids)
    assert not gt.data.any()
    assert known.data.all()


def test_bool_ground_truth_is_read():
    gt, _ = read(ids=np.array([[True, False]]))
    np.testing.assert_array_equal(gt.data != 0, [[[True, False]]])


@pytest.mark.parametrize("label", [0, -3])
def test_background_and_negative_ids_are_no_objects(label):
    with pytest.raises(ValidationError, match=f"label id {label} cannot be an object"):
        Channel(name="a", labels=(2, label))


def test_channels_need_different_names():
    with pytest.raises(ValidationError, match="two channels are named a"):
        LabelsConfig(channels=(Channel(name="a"), Channel(name="a", labels=(1,))))


def test_a_mask_on_a_coarser_grid_of_the_same_voxels():
    fine = NumpyArray(IDS, axes="yx", voxel_size=(40, 40), unit=WorldUnit("nm", 10))
    coarse = NumpyArray(np.ones((1, 4), np.uint8), axes="yx", voxel_size=(4, 4))
    _, known = GroundTruth(fine, LabelsConfig(), coarse).read(fine.roi)
    np.testing.assert_array_equal(known.data, [[1, 1, 1, 1], [0, 0, 0, 0]])


def test_within_a_region_the_labels_around_it_can_be_read_and_are_not_known():
    truth = GroundTruth(labels(), LabelsConfig()).within(Roi((0, 4), (4, 8)))
    assert truth.roi == Roi((0, 4), (4, 8))
    gt, known = truth.read(truth.labels.roi)
    np.testing.assert_array_equal(gt.data, IDS[None])
    np.testing.assert_array_equal(known.data, [[0, 1, 1, 0], [0, 0, 0, 0]])
    _, known = truth.read(truth.roi)
    assert known.data.all()


def test_within_a_region_a_mask_and_unlabelled_ids_still_count():
    mask = NumpyArray(np.array([[7, 0]]), axes="yx", voxel_size=(4, 4), offset=(0, 4))
    whole = GroundTruth(labels(), LabelsConfig(zero_is_unlabelled=True), mask)
    truth = whole.within(Roi((-40, 0), (80, 12)))
    assert truth.roi == Roi((0, 4), (4, 8))
    _, known = truth.read(truth.labels.roi)
    np.testing.assert_array_equal(known.data, [[0, 1, 0, 0], [0, 0, 0, 0]])
    _, known = whole.within(Roi((0, 8), (8, 8))).read(truth.labels.roi)
    assert not known.data.any()
    assert whole.roi == Roi((0, 4), (4, 8)), "the whole one stays as it is"


def test_within_nothing_is_refused():
    with pytest.raises(DataError, match="lies outside of the known ground truth"):
        GroundTruth(labels(), LabelsConfig()).within(Roi((80, 0), (8, 8)))
