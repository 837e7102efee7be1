import json
from math import inf, isnan, log2
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from napari_dacapo_tasks.arrays import NumpyArray
from napari_dacapo_tasks.tasks.evaluators.binary import BinaryEvaluator
from napari_dacapo_tasks.tasks.evaluators.evaluator import Criterion

GOLDEN = Path(__file__).parents[2] / "golden"
INDEX = json.loads((GOLDEN / "index.json").read_text())
CLIP, TOLERANCE = 10.0, 5.0

NOT_OURS = {"precision", "f1_score", "false_positive_rate", "false_discovery_rate"}
"""What DaCapo computes of a false discovery rate that is none."""

few = settings(max_examples=60, deadline=None)
shapes = st.one_of(st.tuples(*[st.integers(1, 6)] * 3), st.tuples(*[st.integers(1, 9)] * 2))
pairs = shapes.flatmap(
    lambda shape: st.tuples(*[arrays(np.uint8, shape, elements=st.integers(0, 1))] * 2)
)


def placed(values, voxel_size=None, channels=False):
    axes = "zyx"[-(values.ndim - channels) :]
    return NumpyArray(
        values, axes="c" + axes if channels else axes, voxel_size=voxel_size or (4,) * len(axes)
    )


def scored(segmentation, truth, mask=None, voxel_size=None):
    given = [
        None if values is None else placed(np.asarray(values), voxel_size)
        for values in (segmentation, truth, mask)
    ]
    return BinaryEvaluator(["a"], CLIP, TOLERANCE).evaluate(*given)["a"]


def agreed():
    return {one.name: one.perfect for one in BinaryEvaluator(["a"], CLIP, TOLERANCE).criteria}


def line(*values):
    return np.array([values], np.uint8)


@pytest.mark.parametrize("name", ["binary_scores_different", "binary_scores_shifted"])
def test_scores_are_dacapos_where_these_are_right(name):
    volumes, golden = np.load(GOLDEN / f"{name}.npz"), INDEX[name]
    evaluator = BinaryEvaluator(["a"], golden["clip_distance"], golden["tol_distance"])
    size = golden["voxel_size"]
    made = evaluator.evaluate(placed(volumes["test"], size), placed(volumes["truth"], size))["a"]
    assert made.keys() == golden["scores"].keys()
    assert len(made) == 21
    for criterion, value in golden["scores"].items():
        if criterion not in NOT_OURS:
            assert made[criterion] == pytest.approx(value, rel=1e-6), criterion
    # What DaCapo calls the false discovery rate is the false positive rate.
    assert golden["scores"]["false_discovery_rate"] == pytest.approx(made["false_positive_rate"])
    assert golden["scores"]["precision"] == pytest.approx(1 - made["false_positive_rate"])


def test_an_empty_segmentation_has_scores_where_dacapo_has_nan():
    name = "binary_scores_empty_test"
    volumes, golden = np.load(GOLDEN / f"{name}.npz"), INDEX[name]["scores"]
    made = scored(volumes["test"], volumes["truth"])
    assert (made["dice"], made["jaccard"]) == (golden["dice"], golden["jaccard"])
    assert sum(map(isnan, golden.values())) == 18
    undefined = {name for name, value in made.items() if isnan(value)}
    assert undefined == {
        "precision",
        "precision_with_tolerance",
        "false_discovery_rate",
        "mean_false_positive_distance",
        "mean_false_positive_distance_clipped",
    }


def test_rates_by_hand():
    # One of two found, one found wrongly, seven right in the background.
    made = scored(line(1, 1, 0, 0, 0, 0, 0, 0, 0, 0), line(0, 1, 1, 0, 0, 0, 0, 0, 0, 0))
    assert made["false_discovery_rate"] == 1 / 2  # DaCapo: 1/8
    assert made["false_positive_rate"] == 1 / 8  # DaCapo: 1/32
    assert made["precision"] == 1 / 2  # DaCapo: 7/8
    assert made["f1_score"] == 1 / 2  # DaCapo: 7/11
    assert made["recall"] == made["false_negative_rate"] == made["dice"] == 1 / 2
    assert made["jaccard"] == 1 / 3


def test_ids_are_foreground():
    # DaCapo compares ids in its Dice (2/7), and so two right voxels of object 2 as wrong.
    made = scored(line(1, 1, 1, 1), line(1, 2, 2, 0))
    assert made["dice"] == 6 / 7
    # DaCapo keeps 8 bits of an id, of which 256 has none.
    made = scored(np.array([[256, 256]], np.uint16), np.array([[1, 0]], np.uint16))
    assert made["recall"] == 1
    assert scored(np.array([[True, False]]), np.array([[2**63, 0]], np.uint64)) == agreed()


def test_the_hausdorff_distance_knows_the_axes_of_the_voxel_size():
    truth, segmentation = np.zeros((2, 3, 3, 3), np.uint8)
    truth[0, 0, 0] = segmentation[1, 0, 0] = 1
    # DaCapo hands z, y, x to a library that takes x, y, z: 4.
    assert scored(segmentation, truth, voxel_size=(40, 4, 4))["hausdorff"] == 40


def test_voi_can_be_two_bits():
    # Each is half of all and tells nothing of the other. DaCapo's bounds say 1 at most.
    assert scored(line(0, 1, 0, 1), line(0, 0, 1, 1))["voi"] == 2
    assert BinaryEvaluator(["a"], CLIP, TOLERANCE).criterion("voi").bounds == (0, 2)


def test_lengths_by_hand():
    # Voxels of 4: the truth at 0, 4; the segmentation at 4, 12, 28.
    made = scored(line(0, 1, 0, 1, 0, 0, 0, 1), line(1, 1, 0, 0, 0, 0, 0, 0))
    assert made["hausdorff"] == 24
    assert made["mean_false_positive_distance"] == (0 + 8 + 24) / 3
    assert made["mean_false_negative_distance"] == (4 + 0) / 2
    assert made["mean_false_distance"] == pytest.approx((32 / 3 + 2) / 2)
    assert made["mean_false_positive_distance_clipped"] == (0 + 8 + 10) / 3
    assert made["mean_false_negative_distance_clipped"] == 2
    assert made["mean_false_distance_clipped"] == 4
    # Two of the four in either are too far off.
    assert made["precision_with_tolerance"] == 2 / 4
    assert made["recall_with_tolerance"] == 1
    assert made["f1_score_with_tolerance"] == pytest.approx(2 / 3)
    assert made["false_positive_rate_with_tolerance"] == 2 / 6
    assert made["false_negative_rate_with_tolerance"] == 0


def test_the_mean_distances_average_over_all_voxels_of_a_set():
    # As the CREMI challenge does; over the false ones alone it would be 8.
    made = scored(line(1, 1, 1, 1, 0), line(1, 1, 0, 1, 0))
    assert made["mean_false_positive_distance"] == 4 / 4


EMPTY, SOME = line(0, 0, 0, 0), line(1, 0, 0, 0)
ENTROPY = -(log2(1 / 4) / 4 + log2(3 / 4) * 3 / 4)


def test_nothing_segmented():
    made = scored(EMPTY, SOME)
    for name in ("dice", "jaccard", "recall", "f1_score", "false_positive_rate"):
        assert made[name] == 0
    for name in ("recall", "f1_score", "false_positive_rate"):
        assert made[f"{name}_with_tolerance"] == 0
    assert made["false_negative_rate"] == made["false_negative_rate_with_tolerance"] == 1
    assert made["voi"] == pytest.approx(ENTROPY)
    assert made["hausdorff"] == made["mean_false_distance"] == inf
    assert made["mean_false_negative_distance"] == inf
    assert made["mean_false_distance_clipped"] == CLIP
    assert made["mean_false_negative_distance_clipped"] == CLIP


def test_nothing_true():
    made = scored(SOME, EMPTY)
    for name in ("dice", "jaccard", "precision", "f1_score"):
        assert made[name] == 0
    for name in ("precision", "f1_score"):
        assert made[f"{name}_with_tolerance"] == 0
    assert made["false_discovery_rate"] == 1
    assert made["false_positive_rate"] == made["false_positive_rate_with_tolerance"] == 1 / 4
    assert made["voi"] == pytest.approx(ENTROPY)
    assert made["hausdorff"] == made["mean_false_distance"] == inf
    assert made["mean_false_positive_distance"] == inf
    assert made["mean_false_distance_clipped"] == CLIP
    assert made["mean_false_positive_distance_clipped"] == CLIP
    undefined = {name for name, value in made.items() if isnan(value)}
    assert undefined == {
        "recall",
        "recall_with_tolerance",
        "false_negative_rate",
        "false_negative_rate_with_tolerance",
        "mean_false_negative_distance",
        "mean_false_negative_distance_clipped",
    }


def test_no_background():
    made = scored(SOME, EMPTY + 1)
    undefined = {name for name, value in made.items() if isnan(value)}
    assert undefined == {"false_positive_rate", "false_positive_rate_with_tolerance"}
    assert made["precision"] == 1
    assert made["recall"] == 1 / 4


@pytest.mark.parametrize("labels", [EMPTY, SOME, EMPTY + 1])
def test_equal_sets_are_perfect_whatever_they_are(labels):
    assert scored(labels, labels) == agreed()


def test_channels_are_scored_on_their_own_by_name():
    truth = np.array([[[1, 1, 0, 0]], [[0, 0, 1, 1]]])
    segmentation = np.array([[[1, 0, 0, 0]], [[0, 0, 1, 1]]])
    scores = BinaryEvaluator(["mito", "er"], CLIP, TOLERANCE).evaluate(
        placed(segmentation, channels=True), placed(truth, channels=True)
    )
    assert list(scores) == ["mito", "er"]
    assert scores["mito"] == scored(segmentation[0], truth[0])
    assert scores["er"] == agreed()


def test_lengths_are_in_steps_of_the_truths_grid():
    truth, segmentation = line(1, 0, 0, 0), line(0, 0, 1, 0)
    assert scored(segmentation, truth, voxel_size=(7, 3))["hausdorff"] == 6


@few
@given(pairs)
def test_an_unknown_border_changes_nothing(pair):
    inside = scored(*pair)
    segmentation, truth = (np.pad(labels, 2, constant_values=1) for labels in pair)
    mask = np.pad(np.ones(pair[0].shape, np.uint8), 2)
    around = scored(segmentation, truth, mask)
    assert around.keys() == inside.keys()
    for name, value in inside.items():
        assert around[name] == pytest.approx(value, nan_ok=True), name


@few
@given(pairs)
def test_bounds_hold(pair):
    made = scored(*pair)
    for one in BinaryEvaluator(["a"], CLIP, TOLERANCE).criteria:
        value = made[one.name]
        low, high = one.bounds
        assert isnan(value) or low <= value <= high * (1 + 1e-12), one.name


@few
@given(pairs)
def test_a_perfect_score_everywhere_means_equal(pair):
    assert (scored(*pair) == agreed()) == np.array_equal(*pair)


SWAPPED = {
    "precision": "recall",
    "precision_with_tolerance": "recall_with_tolerance",
    "mean_false_positive_distance": "mean_false_negative_distance",
    "mean_false_positive_distance_clipped": "mean_false_negative_distance_clipped",
}
SYMMETRIC = ["dice", "jaccard", "f1_score", "voi", "hausdorff", "f1_score_with_tolerance"]
SYMMETRIC += ["mean_false_distance", "mean_false_distance_clipped"]


@few
@given(pairs)
def test_swapping_truth_and_segmentation_swaps_scores(pair):
    made, turned = scored(*pair), scored(*pair[::-1])
    both = {**SWAPPED, **{other: name for name, other in SWAPPED.items()}}
    for name, other in {**both, **dict(zip(SYMMETRIC, SYMMETRIC, strict=True))}.items():
        assert turned[other] == pytest.approx(made[name], nan_ok=True), name


@few
@given(arrays(np.uint8, (2, 5, 7), elements=st.integers(0, 1)))
def test_an_image_is_a_volume_of_one_slice(pair):
    flat, deep = scored(*pair), scored(*pair[:, None])
    for name, value in flat.items():
        assert deep[name] == pytest.approx(value, nan_ok=True)


def test_directions_are_the_usual_ones():
    criteria = BinaryEvaluator(["a"], CLIP, TOLERANCE).criteria
    better_high = {
        one.name.removesuffix("_with_tolerance") for one in criteria if one.higher_is_better
    }
    assert better_high == {"dice", "jaccard", "precision", "recall", "f1_score"}
    assert all(isinstance(one, Criterion) for one in criteria)
