from math import isnan

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from napari_dacapo_tasks.arrays import NumpyArray
from napari_dacapo_tasks.errors import DataError
from napari_dacapo_tasks.tasks.evaluators.binary import BinaryEvaluator
from napari_dacapo_tasks.tasks.evaluators.one_hot import ALL, OneHotEvaluator

CLASSES = ["background", "cell", "nucleus"]

few = settings(max_examples=60, deadline=None)
shapes = st.one_of(st.tuples(*[st.integers(1, 6)] * 3), st.tuples(*[st.integers(1, 9)] * 2))
pairs = shapes.flatmap(
    lambda shape: st.tuples(*[arrays(np.uint8, shape, elements=st.integers(0, 2))] * 2)
)


def placed(values):
    axes = "zyx"[-values.ndim :]
    return NumpyArray(values, axes=axes, voxel_size=(8,) * len(axes))


def scored(segmentation, truth, mask=None, classes=CLASSES):
    given = [
        None if values is None else placed(np.asarray(values))
        for values in (segmentation, truth, mask)
    ]
    return OneHotEvaluator(classes).evaluate(*given)


def line(*values):
    return np.array([values])


def test_scores_by_hand():
    scores = scored(line(0, 0, 1, 1, 1, 2), line(0, 1, 1, 1, 2, 2))
    assert scores["background"] == {"iou": 1 / 2, "dice": 2 / 3, "precision": 1 / 2, "recall": 1}
    assert scores["cell"] == {"iou": 1 / 2, "dice": 2 / 3, "precision": 2 / 3, "recall": 2 / 3}
    assert scores["nucleus"] == {"iou": 1 / 2, "dice": 2 / 3, "precision": 1, "recall": 1 / 2}
    assert scores[ALL] == {"mean_iou": 1 / 2, "accuracy": 4 / 6}


def test_a_class_that_does_not_occur_has_no_part_in_the_mean():
    scores = scored(line(0, 0, 1, 1), line(0, 1, 1, 1))
    assert all(isnan(value) for value in scores["nucleus"].values())
    assert scores[ALL]["mean_iou"] == pytest.approx((1 / 2 + 2 / 3) / 2)


def test_a_class_that_only_the_segmentation_has_is_wrong():
    scores = scored(line(0, 0, 2), line(0, 0, 0))
    assert scores["nucleus"]["iou"] == scores["nucleus"]["precision"] == 0
    assert isnan(scores["nucleus"]["recall"])
    assert scores[ALL]["mean_iou"] == pytest.approx((2 / 3 + 0) / 2)
    missed = scored(line(0, 0, 0), line(0, 0, 2))
    assert missed["nucleus"]["recall"] == 0
    assert isnan(missed["nucleus"]["precision"])


@pytest.mark.parametrize("stranger", [3, 255, 2**40, -1])
def test_labels_of_the_truth_that_are_no_class_count_nowhere(stranger):
    scores = scored(line(0, 1, 2, 1, 0), line(0, 1, 2, stranger, stranger))
    assert scores == scored(line(0, 1, 2), line(0, 1, 2))
    assert scores[ALL] == {"mean_iou": 1, "accuracy": 1}


def test_only_labels_that_are_no_class_are_no_perfect_score():
    with pytest.raises(DataError, match="label of the 3 classes, 0 to 2"):
        scored(line(0, 1), line(7, 8))
    with pytest.raises(DataError, match="label of the 3 classes, 0 to 2"):
        scored(line(0, 1), line(0, 8), mask=line(0, 1))


@pytest.mark.parametrize("stranger", [3, -1])
def test_a_segmentation_into_other_classes_is_refused(stranger):
    with pytest.raises(DataError, match="segmentation holds a label that is none of the 3"):
        scored(line(0, stranger), line(0, 1))


def test_what_is_unknown_does_not_count():
    scores = scored(line(0, 1, 2, 9), line(0, 1, 1, 1), mask=line(1, 1, 0, 0))
    assert scores[ALL] == {"mean_iou": 1, "accuracy": 1}


def test_a_class_may_be_called_all():
    scores = scored(line(0, 1), line(0, 0), classes=["other", ALL])
    assert scores[ALL] == {
        "iou": 0,
        "dice": 0,
        "precision": 0,
        "recall": pytest.approx(np.nan, nan_ok=True),
        "mean_iou": 0.25,
        "accuracy": 0.5,
    }


@few
@given(pairs)
def test_equal_to_the_truth_is_perfect_for_what_occurs(pair):
    scores = scored(pair[0], pair[0])
    assert scores[ALL] == {"mean_iou": 1, "accuracy": 1}
    for label, name in enumerate(CLASSES):
        for value in scores[name].values():
            assert value == 1 if (pair[0] == label).any() else isnan(value)


@few
@given(pairs)
def test_bounds_hold_and_each_class_is_scored_as_a_set(pair):
    scores = scored(*pair)
    evaluator = BinaryEvaluator(["a"], 10, 10)
    for label, name in enumerate(CLASSES):
        as_set = evaluator.evaluate(*(placed(labels == label) for labels in pair))["a"]
        if isnan(scores[name]["iou"]):
            assert not (np.stack(pair) == label).any()
            continue
        for ours, theirs in ("iou", "jaccard"), ("dice",) * 2, ("precision",) * 2, ("recall",) * 2:
            assert scores[name][ours] == pytest.approx(as_set[theirs], nan_ok=True)
            assert isnan(scores[name][ours]) or 0 <= scores[name][ours] <= 1
    assert scores[ALL]["accuracy"] == (pair[0] == pair[1]).mean()
    assert 0 <= scores[ALL]["mean_iou"] <= 1


@few
@given(pairs)
def test_swapping_truth_and_segmentation_swaps_precision_and_recall(pair):
    scores, turned = scored(*pair), scored(*pair[::-1])
    assert scores[ALL] == pytest.approx(turned[ALL])
    for name in CLASSES:
        assert scores[name]["precision"] == pytest.approx(turned[name]["recall"], nan_ok=True)
        assert scores[name]["iou"] == pytest.approx(turned[name]["iou"], nan_ok=True)
