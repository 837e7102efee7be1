"""Crops lie evenly over what is known, and more often where somebody wants them."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from funlib.geometry import Coordinate, Roi

from napari_dacapo_tasks.arrays import Array, Channel, GroundTruth, LabelsConfig
from napari_dacapo_tasks.errors import DataError
from napari_dacapo_tasks.runs.data import Volume
from napari_dacapo_tasks.training.places import Places, Shapes

SIZE = Coordinate(8, 8)
SHAPES = Shapes(Coordinate(20, 20), Coordinate(8, 8), SIZE)
EDGE = 100


def image(values):
    return Array(values, axes="yx", voxel_size=SIZE)


def volume_of(labels=None, mask=None, share=1.0, name="image", **config):
    labels = np.ones((EDGE, EDGE), np.uint16) if labels is None else labels
    truth = GroundTruth(
        image(labels),
        LabelsConfig(channels=config.pop("channels", (Channel(name="x"),)), **config),
        None if mask is None else image(mask),
    )
    return Volume(name, image(np.zeros((EDGE, EDGE), np.uint8)), truth, share)


def drawn(places, count, seed=0):
    return [places.draw(np.random.default_rng([seed, one])) for one in range(count)]


def chi_square(observed, expected):
    """Per degree of freedom: about 1 where the draws are as expected."""
    observed, expected = np.ravel(observed), np.ravel(expected)
    return (((observed - expected) ** 2 / expected).sum()) / (len(expected) - 1)


def test_every_position_is_drawn_as_often_where_all_is_known():
    small = volume_of()
    small = replace(small, ground_truth=small.ground_truth.within(Roi((160, 160), (96, 96))))
    places = Places([small], SHAPES)
    counts = places.volumes[0].grid.counts
    assert tuple(counts) == (5, 5)
    found = np.zeros(counts)
    for place in drawn(places, 2000):
        found[tuple(place.index)] += 1
    assert chi_square(found, np.full(counts, 2000 / 25)) < 2


def test_every_known_voxel_is_drawn_as_often():
    """Two known places, of which one has three times the voxels and lies in another block."""
    mask = np.zeros((EDGE, EDGE), np.uint8)
    mask[20:22, 20:24] = 1
    mask[70:76, 80:84] = 1
    places = Places([volume_of(mask=mask)], SHAPES)
    grid = places.volumes[0].grid
    small = 0
    covered = np.zeros(mask.shape)
    for place in drawn(places, 2000):
        begin = grid.output_roi(place.index).begin / SIZE
        region = tuple(slice(b, b + 8) for b in begin)
        assert mask[region].any()
        covered[region] += 1
        small += begin[0] < 50
    assert abs(small - 500) < 4 * np.sqrt(2000 * 0.25 * 0.75)
    # A voxel in the middle of a place is in nearly each of its crops, as many as voxels say.
    assert covered[73, 82] / covered[21, 22] == pytest.approx(3, rel=0.25)


def test_zero_as_unlabelled_and_ignored_labels_are_not_drawn():
    labels = np.zeros((EDGE, EDGE), np.uint16)
    labels[40:44, 40:44] = 1
    labels[80:90, 80:90] = 7
    sparse = volume_of(labels, zero_is_unlabelled=True, ignore_label=7)
    places = Places([sparse], SHAPES)
    for place in drawn(places, 100):
        roi = places.volumes[0].grid.output_roi(place.index)
        assert (sparse.ground_truth.labels[roi] == 1).any()


def test_volumes_are_drawn_by_their_share():
    volumes = [volume_of(share=1.0), volume_of(share=3.0, name="other"), volume_of(share=0.5)]
    found = np.bincount([place.volume for place in drawn(Places(volumes, SHAPES), 3000)])
    assert chi_square(found, 3000 * np.array([1, 3, 0.5]) / 4.5) < 3


class TestRareLabels:
    @pytest.fixture
    def labels(self):
        labels = np.zeros((EDGE, EDGE), np.uint64)
        labels[:60] = 1
        labels[70:72, 70:72] = 2**40  # 4 voxels
        labels[30, 30] = 9
        return labels

    def shares(self, labels, rare_labels, **more):
        volume = volume_of(labels, **more)
        places = Places([volume], SHAPES, rare_labels)
        grid = places.volumes[0].grid
        rois = [grid.output_roi(place.index) for place in drawn(places, 600)]
        shown = [set(np.unique(labels[slices(roi)]).tolist()) for roi in rois]
        return {int(i): np.mean([i in one for one in shown]) for i in np.unique(labels)}

    def test_each_label_is_shown_as_often(self, labels):
        shares = self.shares(labels, 1.0)
        assert shares[9] == pytest.approx(1 / 3, abs=0.07)
        assert shares[2**40] == pytest.approx(1 / 3, abs=0.07)

    def test_a_share_of_the_crops_is_laid_so(self, labels):
        assert self.shares(labels, 0.5)[2**40] == pytest.approx(0.5 / 3, abs=0.07)
        assert self.shares(labels, 0.0)[2**40] < 0.05

    def test_only_known_objects_of_the_channels_count(self, labels):
        channels = (Channel(name="some", labels=(1, 9)),)
        assert self.shares(labels, 1.0, channels=channels)[2**40] < 0.05
        mask = np.ones(labels.shape, np.uint8)
        mask[60:] = 0
        shares = self.shares(labels, 1.0, mask=mask)
        assert shares[2**40] == 0
        assert shares[9] == pytest.approx(0.5, abs=0.07)

    def test_without_any_object_crops_lie_anywhere(self):
        places = Places([volume_of(np.zeros((EDGE, EDGE), np.uint8))], SHAPES, 1.0)
        indices = {tuple(place.index) for place in drawn(places, 50)}
        assert len(indices) > 40


def slices(roi):
    return tuple(slice(b // 8, e // 8) for b, e in zip(roi.begin, roi.end, strict=True))


def test_the_same_random_numbers_give_the_same_place():
    mask = np.zeros((EDGE, EDGE), np.uint8)
    mask[20:60:3] = 1
    first, second = (Places([volume_of(mask=mask)] * 2, SHAPES, 0.5) for _ in range(2))
    assert drawn(first, 50) == drawn(second, 50)
    assert drawn(first, 50) != drawn(first, 50, seed=1)


def test_a_volume_that_is_too_small_is_named_where_there_are_several():
    small = volume_of(name="the small one")
    small = replace(small, ground_truth=small.ground_truth.within(Roi((0, 0), (40, 40))))
    with pytest.raises(DataError, match=r"the raw data of the small one of \(100, 100\) voxels"):
        Places([volume_of(), small], SHAPES)
    with pytest.raises(DataError, match=r"does not fit into the raw data of \(100, 100\) voxels"):
        Places([small], SHAPES)


def test_a_volume_of_which_nothing_is_known_is_named():
    nothing = volume_of(mask=np.zeros((EDGE, EDGE), np.uint8), name="the empty one")
    with pytest.raises(DataError, match="Nothing is known in the ground truth of the empty one"):
        Places([volume_of(), nothing], SHAPES)
