import numpy as np
import pytest
from funlib.geometry import Roi

from napari_dacapo_tasks.arrays import Channel, GroundTruth, LabelsConfig, NumpyArray
from napari_dacapo_tasks.errors import DataError
from napari_dacapo_tasks.tasks import DistanceTaskConfig
from napari_dacapo_tasks.tasks.preview import Preview, PreviewProgress, preview
from napari_dacapo_tasks.units import WorldUnit

CONFIG = DistanceTaskConfig(
    name="d", channels=["a"], scale_factor=20, clip_distance=80, tol_distance=16
)


def truth(ids, config=None, mask=None, **place):
    place = {"voxel_size": (8,) * ids.ndim, "offset": (80,) * ids.ndim, **place}
    axes = "zyx"[-ids.ndim :]
    if mask is not None:
        mask = NumpyArray(mask, axes=axes, **place)
    return GroundTruth(NumpyArray(ids, axes=axes, **place), config or LabelsConfig(), mask)


def last(*arguments):
    *progress, result = preview(*arguments)
    assert all(isinstance(event, PreviewProgress) for event in progress)
    assert isinstance(result, Preview)
    return result


@pytest.fixture(scope="module")
def blobs():
    rng = np.random.default_rng(0)
    coarse = rng.integers(0, 4, (8, 8, 8))
    return np.kron(coarse, np.ones((5, 5, 5), int)).astype(np.uint8)


def test_the_whole_volume_by_default(blobs):
    result = last(CONFIG, truth(blobs))
    assert result.roi == Roi((80,) * 3, (320,) * 3)
    for made in (result.target, result.weight, result.masks["distance mask"]):
        assert made.data.shape == (1, 40, 40, 40)
        assert made.roi == result.roi
    np.testing.assert_array_equal(result.target.data[0] > 0, blobs > 0)
    assert np.abs(result.target.data).max() <= 1


def test_a_box_shows_what_the_whole_shows_there(blobs):
    ground_truth = truth(blobs)
    whole = last(CONFIG, ground_truth)
    box = Roi((80 + 12 * 8,) * 3, (16 * 8,) * 3)
    part = last(CONFIG, ground_truth, box)
    inner = (slice(None), *[slice(12, 28)] * 3)
    np.testing.assert_allclose(part.target.data, whole.target.data[inner], atol=1e-6)
    np.testing.assert_array_equal(
        part.masks["distance mask"].data, whole.masks["distance mask"].data[inner]
    )


def test_statistics_are_those_of_the_maps(blobs):
    known = np.ones_like(blobs)
    known[:10] = 0
    result = last(CONFIG, truth(blobs, mask=known))
    (channel,) = result.statistics
    inside = known != 0
    weight = result.weight.data[0]
    assert channel.channel == "a"
    assert channel.unknown == pytest.approx(0.25)
    assert channel.foreground == pytest.approx((blobs[inside] != 0).mean())
    dropped = (result.masks["distance mask"].data[0] == 0) & inside
    assert channel.dropped == pytest.approx(dropped.sum() / inside.sum())
    assert channel.weight_range == (weight[weight > 0].min(), weight.max())
    assert channel.histogram.sum() == (weight > 0).sum()
    assert len(result.bin_edges) == len(channel.histogram) + 1
    assert (weight[:10] == 0).all()


def test_without_the_distance_mask_nothing_is_dropped(blobs):
    result = last(CONFIG.model_copy(update={"mask_distances": False}), truth(blobs))
    assert result.masks == {}
    assert result.statistics[0].dropped == 0
    assert (result.weight.data > 0).all()


def test_channels_come_from_one_labels_array(blobs):
    channels = (Channel(name="one", labels=(1,)), Channel(name="rest", labels=(2, 3)))
    config = CONFIG.with_channels(["one", "rest"])
    result = last(config, truth(blobs, LabelsConfig(channels=channels)))
    assert result.channels == ["one", "rest"]
    np.testing.assert_array_equal(result.target.data[0] > 0, blobs == 1)
    np.testing.assert_array_equal(result.target.data[1] > 0, blobs > 1)
    one, rest = result.statistics
    assert one.foreground == pytest.approx((blobs == 1).mean())
    assert rest.foreground == pytest.approx((blobs > 1).mean())


def test_lengths_are_nanometres_on_every_grid(blobs):
    nanometres = last(CONFIG, truth(blobs))
    tenths = truth(blobs, voxel_size=(80,) * 3, offset=(800,) * 3, unit=WorldUnit("nm", 10))
    np.testing.assert_allclose(last(CONFIG, tenths).target.data, nanometres.target.data, atol=1e-6)


def test_two_dimensions(blobs):
    result = last(CONFIG, truth(blobs[2]))
    assert result.target.data.shape == (1, 40, 40)


def test_a_channel_without_objects_is_said_and_shown():
    result = last(CONFIG, truth(np.zeros((8, 8, 8), np.uint8)))
    assert result.statistics[0].foreground == 0
    assert (result.target.data < 0).all()
    assert result.notices == ("There is no object of a in this region.",)


@pytest.mark.parametrize(
    "config", [LabelsConfig(zero_is_unlabelled=True), LabelsConfig(ignore_label=0)]
)
def test_nothing_known_is_refused(config):
    with pytest.raises(DataError, match="Nothing is known in this region"):
        last(CONFIG, truth(np.zeros((8, 8, 8), np.uint8), config))


def test_a_mask_of_zeros_is_refused(blobs):
    with pytest.raises(DataError, match="Nothing is known in this region"):
        last(CONFIG, truth(blobs, mask=np.zeros_like(blobs)))


def test_a_region_elsewhere_is_refused(blobs):
    with pytest.raises(DataError, match="outside of the ground truth"):
        last(CONFIG, truth(blobs), Roi((8000,) * 3, (80,) * 3))


def test_leaving_the_generator_cancels(blobs):
    running = preview(CONFIG, truth(blobs))
    assert next(running) == PreviewProgress(0.0, "Reading the ground truth")
    running.close()
    assert list(running) == []
