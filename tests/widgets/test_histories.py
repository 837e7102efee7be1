from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from napari_dacapo_tasks.runs.scores import Score
from napari_dacapo_tasks.tasks.evaluators.evaluator import Criterion
from napari_dacapo_tasks.widgets.histories import (
    MOST_POINTS,
    LossHistory,
    RunHistory,
    ScoreHistory,
    thinned,
)

DICE = Criterion("dice", "Dice", "", (0.0, 1.0), higher_is_better=True)
VOI = Criterion("voi", "VOI", "", (0.0, np.inf), higher_is_better=False)


def score(iteration: int, value: float, loss: float = 0.5, **scores: float) -> Score:
    scores = scores or {"dice": value}
    return Score(iteration, "dice", value, loss, {"crop": {"mito": scores}}, "Threshold", 1.0)


def test_a_steady_loss_is_its_own_smoothed_loss() -> None:
    history = LossHistory()
    for iteration in range(1, 50):
        history.add(iteration, 0.25)
    np.testing.assert_allclose(history.smoothed, 0.25)


def test_smoothing_follows_a_step_within_some_twenty_iterations() -> None:
    history = LossHistory()
    for iteration in range(1, 201):
        history.add(iteration, 1.0 if iteration <= 100 else 0.0)
    assert history.smoothed[100] > 0.9
    assert history.smoothed[120] < 0.4
    assert history.smoothed[199] < 0.01


def test_a_long_history_is_kept_whole() -> None:
    history = LossHistory()
    for iteration in range(1, 5001):
        history.add(iteration, 1 / iteration)
    np.testing.assert_array_equal(history.iterations, np.arange(1, 5001))
    np.testing.assert_allclose(history.losses, 1 / np.arange(1, 5001))


def test_an_infinite_loss_leaves_a_gap_and_does_not_spoil_the_rest() -> None:
    history = LossHistory()
    for iteration, loss in enumerate([0.5, float("nan"), float("inf"), 0.5]):
        history.add(iteration, loss)
    assert np.isnan(history.losses).tolist() == [False, True, True, False]
    assert history.smoothed[-1] == pytest.approx(0.5)


def test_a_history_that_begins_with_nothing_finite_has_no_mean_yet() -> None:
    history = LossHistory()
    history.add(1, float("nan"))
    assert np.isnan(history.smoothed).all()
    history.add(2, 0.5)
    assert history.smoothed[-1] == pytest.approx(0.5)


def test_going_back_to_a_checkpoint_replaces_what_came_after_it() -> None:
    history = LossHistory()
    for iteration in range(1, 11):
        history.add(iteration, 1.0)
    history.add(6, 0.5)
    np.testing.assert_array_equal(history.iterations, [1, 2, 3, 4, 5, 6])
    np.testing.assert_array_equal(history.losses, [1, 1, 1, 1, 1, 0.5])


losses = st.lists(st.floats(0, 10) | st.just(float("nan")) | st.just(float("inf")), max_size=60)


@given(losses, st.integers(0, 60))
def test_losses_at_once_are_those_one_by_one(losses: list[float], at_once: int) -> None:
    one_by_one = LossHistory()
    for iteration, loss in enumerate(losses, start=1):
        one_by_one.add(iteration, loss)
    first = losses[:at_once]
    history = LossHistory(range(1, len(first) + 1), first)
    for iteration, loss in enumerate(losses[at_once:], start=len(first) + 1):
        history.add(iteration, loss)
    np.testing.assert_array_equal(history.losses, one_by_one.losses)
    np.testing.assert_allclose(history.smoothed, one_by_one.smoothed, rtol=1e-9)


def test_scores_are_averaged_over_crops_and_channels_that_have_one() -> None:
    made = Score(
        100,
        "dice",
        0.7,
        0.2,
        {
            "a": {"mito": {"dice": 0.6, "voi": 1.0}, "er": {"dice": 0.8, "voi": float("nan")}},
            "b": {"mito": {"voi": 3.0}},
        },
        "Threshold",
        1.0,
    )
    history = ScoreHistory([made])
    assert history.names() == ["dice", "voi", "loss"]
    assert history.judge == "dice"
    assert [history.values(name)[1].tolist() for name in history.names()] == [[0.7], [2.0], [0.2]]
    assert np.isnan(history.values("unknown")[1]).all()


def test_a_validation_that_is_done_anew_replaces_what_came_after_it() -> None:
    history = ScoreHistory([score(100, 0.1), score(200, 0.2), score(300, 0.3)])
    history.add(score(200, 0.5))
    at, values = history.values("dice")
    assert at.tolist() == [100, 200]
    assert values.tolist() == [0.1, 0.5]


def test_the_best_validation_is_that_in_the_right_direction() -> None:
    made = [
        score(100, 0.2, loss=0.3, dice=0.2, voi=2.0),
        score(200, 0.9, loss=0.2, dice=0.9, voi=0.5),
        score(300, float("nan"), loss=0.1, dice=float("nan"), voi=1.0),
    ]
    run = RunHistory("a", scores=ScoreHistory(made), criteria={"dice": DICE, "voi": VOI})
    assert run.best("dice") == (200, 0.9)
    assert run.best("voi") == (200, 0.5)
    assert run.best("loss") == (300, 0.1)
    assert run.best("of another task") is None
    assert RunHistory("a", criteria={"dice": DICE}).best("dice") is None


def test_many_values_are_thinned_and_a_gap_stays_one() -> None:
    few = np.arange(MOST_POINTS, dtype=float)
    assert thinned(few) is few
    many = np.ones(3 * MOST_POINTS + 2)
    many[7] = np.nan
    made = thinned(many)
    assert len(made) == MOST_POINTS + 2
    assert np.flatnonzero(np.isnan(made)).tolist() == [2]
