from math import inf, nan

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from napari_dacapo_tasks.arrays import NumpyArray
from napari_dacapo_tasks.errors import DataError
from napari_dacapo_tasks.tasks.evaluators.binary import BinaryEvaluator
from napari_dacapo_tasks.tasks.evaluators.evaluator import Criterion
from napari_dacapo_tasks.tasks.evaluators.instance import InstanceEvaluator
from napari_dacapo_tasks.tasks.evaluators.one_hot import OneHotEvaluator
from napari_dacapo_tasks.units import NANOMETRE, VOXEL, WorldUnit

EVALUATORS = [
    BinaryEvaluator(["a"], 200, 40),
    InstanceEvaluator(["a"]),
    OneHotEvaluator(["background", "a"]),
]
DICE = Criterion("dice", "Dice", "...", (0, 1), True)
VOI = Criterion("voi", "VOI", "...", (0, inf), False, "bits")

every_evaluator = pytest.mark.parametrize("evaluator", EVALUATORS, ids=lambda e: type(e).__name__)


def placed(values, **place):
    place = {"voxel_size": (8,) * 2, **place}
    axes = "czyx"[4 - values.ndim :] if values.ndim > 3 else "cyx"[3 - values.ndim :]
    return NumpyArray(values, axes=place.pop("axes", axes), **place)


LABELS = np.array([[0, 1, 1], [0, 0, 1]], np.uint8)


@every_evaluator
def test_every_criterion_says_what_it_is(evaluator):
    criteria = evaluator.criteria
    assert len({one.name for one in criteria}) == len({one.title for one in criteria})
    for one in criteria:
        assert one.title[0].isupper()
        assert one.description.endswith(".")
        assert one.unit in ("", "bits", "world")
        assert one.bounds[0] < one.bounds[1]
        assert one.perfect in one.bounds
        assert np.isfinite(one.perfect)
        assert evaluator.criterion(one.name) == one


@every_evaluator
def test_scores_and_criteria_have_the_same_names(evaluator):
    scores = evaluator.evaluate(placed(LABELS), placed(LABELS))
    named = {name for channel in scores.values() for name in channel}
    assert named == {one.name for one in evaluator.criteria}


def test_best_follows_the_direction():
    assert DICE.best([0.2, 0.9, 0.4]) == 1
    assert VOI.best([0.2, 0.9, 0.1]) == 2
    assert DICE.perfect == 1
    assert VOI.perfect == 0


def test_the_first_of_equal_ones_is_the_best_and_nan_never_is():
    assert DICE.best([nan, 0.5, nan, 0.5]) == 1
    assert DICE.best([nan, nan]) is None
    assert DICE.best([]) is None
    assert VOI.best([inf, nan]) == 0
    assert VOI.best([inf, 3.0]) == 1


def test_a_score_of_zero_can_be_the_best():
    # DaCapo takes it for no score at all: its best of these is 0.3.
    assert VOI.best([0.3, 0.0, 0.1]) == 1


def test_what_has_no_score_takes_no_best_away():
    # DaCapo forgets all parameters before one without a score: its best of these is 0.5.
    assert DICE.best([0.9, nan, 0.5]) == 0


@given(st.lists(st.floats(), max_size=6), st.booleans())
def test_no_value_is_better_than_the_best(values, higher):
    criterion = Criterion("x", "X", "...", (-inf, inf), higher)
    best = criterion.best(values)
    if best is None:
        assert all(np.isnan(value) for value in values)
    else:
        assert not any(criterion.is_better(value, values[best]) for value in values)


@every_evaluator
def test_channels_are_optional_for_one(evaluator):
    assert evaluator.evaluate(placed(LABELS[None]), placed(LABELS)) == evaluator.evaluate(
        placed(LABELS), placed(LABELS[None])
    )


@every_evaluator
@pytest.mark.parametrize(
    "other",
    [
        placed(np.zeros((2, 4), np.uint8)),
        placed(LABELS, voxel_size=(8, 4)),
        placed(LABELS, offset=(8, 0)),
        placed(LABELS, offset=(4, 0)),
        placed(np.stack([LABELS] * 2)[None], voxel_size=(8, 8, 8)),
        placed(LABELS, unit=WorldUnit("nm", 10)),
    ],
    ids=["shape", "voxel size", "place", "half a voxel", "dimensions", "unit"],
)
def test_other_voxels_are_refused(evaluator, other):
    with pytest.raises(DataError, match=r"not on the same voxels: .*\.$"):
        evaluator.evaluate(other, placed(LABELS))
    with pytest.raises(DataError, match="not on the same voxels"):
        evaluator.evaluate(placed(LABELS), other)


@every_evaluator
def test_the_same_place_in_other_steps_or_off_by_a_rounding_is_the_same(evaluator):
    fine = placed(LABELS, voxel_size=(80, 80), offset=(80, 0), unit=WorldUnit("nm", 10))
    coarse = placed(LABELS, offset=(8, 0))
    expected = evaluator.evaluate(coarse, coarse)
    assert evaluator.evaluate(fine, coarse) == expected
    assert evaluator.evaluate(coarse, fine, mask=placed(LABELS * 0 + 1, offset=(8, 0))) == expected
    assert evaluator.evaluate(placed(LABELS, offset=(5, 0)), coarse) == expected


@every_evaluator
def test_physical_and_bare_units_do_not_mix(evaluator):
    with pytest.raises(DataError, match="physical unit"):
        evaluator.evaluate(placed(LABELS, unit=VOXEL), placed(LABELS, unit=NANOMETRE))


@every_evaluator
def test_other_numbers_of_channels_are_refused(evaluator):
    two = placed(np.stack([LABELS] * 2))
    with pytest.raises(DataError, match="segmentation has 2 channels, but the task scores 1"):
        evaluator.evaluate(two, placed(LABELS))
    with pytest.raises(DataError, match="ground truth has 2 channels"):
        evaluator.evaluate(placed(LABELS), two)
    with pytest.raises(DataError, match="mask has 2 channels"):
        evaluator.evaluate(placed(LABELS), placed(LABELS), two)


@every_evaluator
def test_predictions_are_no_segmentations(evaluator):
    with pytest.raises(DataError, match="segmentation is float32"):
        evaluator.evaluate(placed(LABELS.astype(np.float32)), placed(LABELS))


@every_evaluator
def test_a_mask_on_other_voxels_is_refused(evaluator):
    with pytest.raises(DataError, match="mask"):
        evaluator.evaluate(placed(LABELS), placed(LABELS), placed(LABELS, voxel_size=(4, 4)))


@every_evaluator
def test_where_nothing_is_known_there_is_no_score(evaluator):
    with pytest.raises(DataError, match="Nothing is known"):
        evaluator.evaluate(placed(LABELS), placed(LABELS), placed(LABELS * 0))
    with pytest.raises(DataError, match="Nothing is known"):
        evaluator.evaluate(placed(LABELS[:0]), placed(LABELS[:0]))


@every_evaluator
def test_a_line_is_refused(evaluator):
    line = placed(LABELS[0], axes="x", voxel_size=(8,))
    with pytest.raises(DataError, match="1 spatial axes"):
        evaluator.evaluate(line, line)


@pytest.mark.parametrize("evaluator", EVALUATORS[:2])
def test_negative_ids_are_refused(evaluator):
    below = placed(LABELS.astype(np.int16) - 2)
    with pytest.raises(DataError, match="segmentation holds the negative id -2"):
        evaluator.evaluate(below, placed(LABELS))
    with pytest.raises(DataError, match="ground truth holds the negative id -2"):
        evaluator.evaluate(placed(LABELS), below)


@pytest.mark.parametrize("kind", [BinaryEvaluator, InstanceEvaluator])
def test_a_channel_of_which_nothing_is_known_has_no_score(kind):
    arguments = (200, 40) if kind is BinaryEvaluator else ()
    evaluator = kind(["a", "b"], *arguments)
    both = placed(np.stack([LABELS] * 2))
    scores = evaluator.evaluate(both, both, placed(np.stack([LABELS * 0, LABELS * 0 + 1])))
    assert all(np.isnan(value) for value in scores["a"].values())
    assert scores["b"] == {one.name: one.perfect for one in evaluator.criteria}
    assert scores["a"].keys() == scores["b"].keys()
