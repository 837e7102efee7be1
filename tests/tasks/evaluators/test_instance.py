import json
from math import isnan
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from napari_dacapo_tasks.arrays import NumpyArray
from napari_dacapo_tasks.tasks.evaluators.instance import InstanceEvaluator

GOLDEN = Path(__file__).parents[2] / "golden"
INDEX = json.loads((GOLDEN / "index.json").read_text())

few = settings(max_examples=60, deadline=None)
shapes = st.one_of(st.tuples(*[st.integers(1, 6)] * 3), st.tuples(*[st.integers(1, 9)] * 2))


def pairs(lowest=0):
    elements = st.integers(lowest, 4)
    return shapes.flatmap(
        lambda shape: st.tuples(*[arrays(np.uint64, shape, elements=elements)] * 2)
    )


def placed(values, channels=False):
    axes = "zyx"[-(values.ndim - channels) :]
    return NumpyArray(values, axes="c" + axes if channels else axes, voxel_size=(8,) * len(axes))


def scored(segmentation, truth, mask=None, include_background=False):
    given = [
        None if values is None else placed(np.asarray(values))
        for values in (segmentation, truth, mask)
    ]
    return InstanceEvaluator(["a"], include_background).evaluate(*given)["a"]


def agreed():
    return {one.name: one.perfect for one in InstanceEvaluator(["a"]).criteria}


def line(*values):
    return np.array([values], np.int64)


def test_voi_is_dacapos():
    volumes = np.load(GOLDEN / "instance_scores.npz")
    made = scored(volumes["test"], volumes["truth"])
    expected = INDEX["instance_scores"]["voi"]
    assert [made["voi_split"], made["voi_merge"]] == pytest.approx(expected, rel=1e-12)
    assert made["voi"] == pytest.approx(sum(expected))  # DaCapo: their mean


def test_voi_with_background_is_that_of_dacapos_instance_evaluator():
    volumes = np.load(GOLDEN / "instance_scores.npz")
    made = scored(volumes["test"], volumes["truth"], include_background=True)
    # Of dacapo-ml 0.3.5, by the same arrays.
    expected = [2.2380785088131065, 2.3233656265036475]
    assert [made["voi_split"], made["voi_merge"]] == pytest.approx(expected, rel=1e-12)


def test_scores_by_hand():
    # Object 1 is split in halves; objects 2 and 3 are merged; object 4 of 4 loses one voxel, and
    # its segment takes one of the background.
    truth = line(1, 1, 1, 1, 2, 2, 3, 3, 4, 4, 4, 4, 0, 0)
    segmentation = line(1, 1, 2, 2, 3, 3, 3, 3, 0, 4, 4, 4, 4, 0)
    made = scored(segmentation, truth)
    of_a_quarter = 0.25 * np.log2(4) + 0.75 * np.log2(4 / 3)
    assert made["voi_split"] == pytest.approx((4 * 1 + 4 * of_a_quarter) / 12)
    assert made["voi_merge"] == pytest.approx(4 * 1 / 12)
    assert made["voi"] == pytest.approx(made["voi_split"] + made["voi_merge"])
    # Pairs together in both: 2 + 2 + 2 + 2 + 6; in the truth 12 + 2 + 2 + 12; else 2 + 2 + 12 + 6.
    assert made["adapted_rand_error"] == pytest.approx(1 - 2 * 14 / (28 + 22))
    # Only object 4 matches, by 3 of 5; halves are no match.
    assert made["precision"] == made["recall"] == made["f1_score"] == 1 / 4
    assert made["panoptic_quality"] == pytest.approx(0.6 / 4)


def test_background_as_one_more_object():
    truth, segmentation = line(0, 0, 0, 5), line(0, 0, 7, 7)
    made = scored(segmentation, truth, include_background=True)
    assert made["precision"] == made["recall"] == 1 / 2
    assert made["panoptic_quality"] == pytest.approx(2 / 3 / 2)
    assert made["voi"] > 0
    made = scored(segmentation, truth)
    assert made["voi"] == 0  # what is not in an object is not looked at
    assert made["precision"] == 0


@few
@given(pairs(), st.booleans())
def test_equal_to_the_truth_is_perfect(pair, include_background):
    assert scored(pair[0], pair[0], include_background=include_background) == agreed()


@few
@given(pairs(), st.permutations([3, 2**40, 2**64 - 1, 1]), st.booleans())
def test_ids_may_be_any(pair, ids, include_background):
    made = scored(*pair, include_background=include_background)
    names = np.array([0, *ids], np.uint64)
    others = names[[0, 2, 4, 1, 3]]
    segmentation, truth = names[pair[0].astype(int)], others[pair[1].astype(int)]
    renamed = scored(segmentation, truth, include_background=include_background)
    for name, value in made.items():
        assert renamed[name] == pytest.approx(value, nan_ok=True), name


@few
@given(pairs(lowest=1))
def test_swapping_truth_and_segmentation_swaps_scores(pair):
    made, turned = scored(*pair), scored(*pair[::-1])
    other = {"voi_split": "voi_merge", "voi_merge": "voi_split"}
    other |= {"precision": "recall", "recall": "precision"}
    for name, value in made.items():
        assert turned[other.get(name, name)] == pytest.approx(value), name


@few
@given(pairs())
def test_bounds_hold(pair):
    made = scored(*pair)
    for one in InstanceEvaluator(["a"]).criteria:
        low, high = one.bounds
        assert isnan(made[one.name]) or low <= made[one.name] <= high, one.name


@few
@given(pairs())
def test_what_is_unknown_does_not_count(pair):
    inside = scored(*pair)
    segmentation, truth = (np.pad(labels, 1, constant_values=9) for labels in pair)
    around = scored(segmentation, truth, np.pad(np.ones(pair[0].shape, np.uint8), 1))
    for name, value in inside.items():
        assert around[name] == pytest.approx(value, nan_ok=True), name


def test_no_segment():
    made = scored(line(0, 0, 0, 0), line(1, 1, 2, 2))
    assert (made["voi_split"], made["voi_merge"], made["voi"]) == (0, 1, 1)
    assert made["adapted_rand_error"] == pytest.approx(1 - 2 * 4 / (4 + 12))
    assert made["recall"] == made["f1_score"] == made["panoptic_quality"] == 0
    assert isnan(made["precision"])


def test_no_object():
    made = scored(line(1, 1, 2, 2), line(0, 0, 0, 0))
    assert made["precision"] == made["f1_score"] == made["panoptic_quality"] == 0
    undefined = {name for name, value in made.items() if isnan(value)}
    assert undefined == {"voi", "voi_split", "voi_merge", "adapted_rand_error", "recall"}


def test_neither():
    assert scored(line(0, 0), line(0, 0)) == agreed()


def test_channels_are_scored_on_their_own_by_name():
    truth = np.array([[[1, 1, 2, 2]], [[0, 3, 3, 3]]])
    segmentation = np.array([[[1, 1, 1, 1]], [[0, 7, 7, 7]]])
    scores = InstanceEvaluator(["mito", "er"]).evaluate(
        placed(segmentation, channels=True), placed(truth, channels=True)
    )
    assert list(scores) == ["mito", "er"]
    assert scores["mito"] == scored(segmentation[0], truth[0])
    assert scores["er"] == agreed()
