"""Validation in the loop: when, what is kept of it, and when it ends training."""

from __future__ import annotations

import shutil
from math import nan

import pytest
import torch
from driving import all_of, names

from napari_dacapo_tasks.runs.run_folder import RunFolder
from napari_dacapo_tasks.runs.scores import Score
from napari_dacapo_tasks.tasks.evaluators.evaluator import Criterion
from napari_dacapo_tasks.training import standing
from napari_dacapo_tasks.training.events import (
    CheckpointSaved,
    Finished,
    Notice,
    Request,
    Stepped,
    Stopped,
    Validated,
    Validating,
)
from napari_dacapo_tasks.training.loop import train


class Scripted:
    """A validator that finds what it was told to."""

    values: list[float] = []
    higher_is_better = True
    seen: list[dict[str, torch.Tensor]] = []

    def __init__(self, *args):
        self.criterion = Criterion("f1", "F1", "", (0, 1), self.higher_is_better)

    def validate(self, model, iteration, autocast):
        self.seen.append({n: t.clone() for n, t in model.chain.state_dict().items()})
        yield from (0.0, 0.5)
        value = self.values[len(self.seen) - 1]
        return Score(iteration, "f1", value, 0.1, {"crop": {"balls": {"f1": value}}}, "", 0.1)

    def notices(self):
        return iter(())


@pytest.fixture
def validated(make_run, validated_rows, monkeypatch):
    """Make a run whose validations find what is scripted."""

    def make(values, higher_is_better=True, **trainer):
        monkeypatch.setattr(Scripted, "values", values)
        monkeypatch.setattr(Scripted, "higher_is_better", higher_is_better)
        monkeypatch.setattr(Scripted, "seen", [])
        monkeypatch.setattr(standing, "Validator", Scripted)
        validation = {"interval": 2, **trainer.pop("validation", {})}
        return make_run(rows=validated_rows, trainer={"validation": validation, **trainer})

    return make


class TestWhen:
    def test_at_every_interval_and_at_the_end(self, validated):
        run = validated([0.1] * 4, iterations=5)
        events = all_of(run)
        assert [one.iteration for one in events if isinstance(one, Validated)] == [2, 4, 5]
        assert [one.share for one in events if isinstance(one, Validating)] == [0.0, 0.5] * 3
        assert [one.iteration for one in run.scores()] == [2, 4, 5]
        assert all_of(run, Validated) == [], "a finished run has its score"

    def test_when_it_is_asked_for_once_in_an_iteration(self, validated):
        run = validated([0.1] * 4, iterations=5, validation={"interval": None})
        training, seen, request = train(run), [], None
        while True:
            try:
                event = training.send(request)
            except StopIteration:
                break
            at = isinstance(event, (Stepped, Validated)) and event.iteration == 3
            request = Request.VALIDATE if at else None
            seen.append(event)
        # At 3 as asked for; what is asked for after that comes after the step that follows.
        assert [one.iteration for one in seen if isinstance(one, Validated)] == [3, 4]

    def test_when_another_program_asks_for_it(self, validated):
        run = validated([0.1] * 4, iterations=5, validation={"interval": None})
        found = []
        for event in train(run):
            if isinstance(event, Stepped) and event.iteration == 2:
                RunFolder.open(run.path).request("validate")
            if isinstance(event, Validated):
                found.append(event.iteration)
        assert found == [2]

    def test_the_average_of_the_weights_is_what_is_scored(self, validated):
        run = validated([0.1], iterations=2, optimizer={"ema_decay": 0.9})
        all_of(run)
        state = run.load_checkpoint()
        (seen,) = Scripted.seen
        assert all(torch.equal(tensor, state["ema"][name]) for name, tensor in seen.items())
        assert not all(torch.equal(tensor, state["model"][name]) for name, tensor in seen.items())

    def test_leaving_in_the_middle_is_clean(self, validated):
        run = validated([0.1], iterations=4, optimizer={"ema_decay": 0.9})
        whole = validated_again(run, "whole")
        all_of(whole)
        Scripted.seen.clear()
        training = train(run)
        assert any(isinstance(event, Validating) for event in training)
        training.close()
        assert run.scores() == []
        assert run.load_checkpoint()["iteration"] == 2
        all_of(run)
        for part in ("model", "ema"):
            expected = whole.load_checkpoint()[part]
            for name, tensor in run.load_checkpoint()[part].items():
                assert torch.equal(tensor, expected[name]), (part, name)
        assert [one.iteration for one in run.scores()] == [2, 4]


def validated_again(run, name):
    """Copy a run that was not trained yet."""
    Scripted.values = [0.1] * 8
    return RunFolder.open(shutil.copytree(run.path, run.path.with_name(name)))


class TestBest:
    @pytest.mark.parametrize(
        ("higher_is_better", "is_best", "kept"),
        [
            (True, [True, False, True, False], ["000002.pt", "000006.pt", "000008.pt"]),
            (False, [True, True, False, True], ["000004.pt", "000008.pt"]),
        ],
    )
    def test_is_kept_in_the_direction_of_the_score(
        self, validated, higher_is_better, is_best, kept
    ):
        values = [0.5, 0.2, 0.7, 0.1]
        run = validated(values, higher_is_better, checkpoints_kept=1, validation={"best_kept": 2})
        events = all_of(run)
        assert [one.is_best for one in events if isinstance(one, Validated)] == is_best
        assert names(run.path / "checkpoints") == kept

    def test_a_checkpoint_of_the_best_needs_no_interval(self, validated):
        run = validated([0.5, 0.2, 0.7, 0.1], checkpoint_interval=1000)
        saved = [event.iteration for event in all_of(run, CheckpointSaved)]
        assert saved == [2, 6, 8]

    def test_none_is_kept_where_none_is_wanted_or_defined(self, validated):
        run = validated([nan] * 4, checkpoints_kept=1)
        events = all_of(run)
        assert not any(one.is_best for one in events if isinstance(one, Validated))
        assert names(run.path / "checkpoints") == ["000008.pt"]


class TestPatience:
    def test_ends_training_with_a_sentence(self, validated):
        run = validated([0.2, 0.5, 0.4, 0.5, 0.3], iterations=100, validation={"patience": 2})
        *_, notice, finished = all_of(run)
        assert finished == Finished(8)
        assert "F1 was not better since iteration 4, in 2 validations" in notice.text
        assert run.load_checkpoint()["iteration"] == 8

    def test_is_still_at_its_end_when_the_run_goes_on(self, validated):
        run = validated([0.5, 0.4, 0.4, 0.6], iterations=100, validation={"patience": 2})
        all_of(run)
        again = all_of(run)
        assert isinstance(again[-1], Finished)
        assert not any(isinstance(event, Stepped) for event in again)

    def test_goes_on_where_it_was(self, validated):
        run = validated([0.5, 0.4, 0.3, 0.2], iterations=100, validation={"patience": 3})
        training = train(run)
        assert any(isinstance(event, Validated) and event.iteration == 4 for event in training)
        training.close()
        assert all_of(run)[-1] == Finished(8)

    def test_a_score_that_is_never_defined(self, validated):
        run = validated([nan] * 9, iterations=100, validation={"patience": 3})
        *_, notice, finished = all_of(run)
        assert finished == Finished(6)
        assert "F1 was never defined, in 3 validations" in notice.text


class TestNothingToValidateOn:
    def test_is_no_score_and_told_where_one_is_needed(self, make_run):
        plain = make_run("plain", trainer={"iterations": 2, "validation": {"interval": 1}})
        assert all_of(plain, (Notice, Validated)) == []
        assert plain.scores() == []
        patient = make_run("patient", trainer={"iterations": 1, "validation": {"patience": 1}})
        (notice,) = all_of(patient, Notice)
        assert "There is no score, since no crop validates" in notice.text

    def test_is_told_to_who_asks(self, make_run):
        run = make_run(trainer={"iterations": 2})
        training = train(run)
        next(training)
        answers = [training.send(Request.VALIDATE), *training]
        assert any("no crop validates" in getattr(one, "text", "") for one in answers)


class TestStop:
    @pytest.mark.parametrize("from_outside", [False, True])
    def test_saves_and_ends(self, make_run, from_outside):
        run = make_run()
        training, seen, request = train(run), [], None
        while True:
            try:
                event = training.send(request)
            except StopIteration:
                break
            seen.append(event)
            request = None
            if isinstance(event, Stepped) and event.iteration == 3:
                if from_outside:
                    RunFolder.open(run.path).request("stop")
                else:
                    request = Request.STOP
        assert seen[-1] == Stopped(3)
        assert seen[-2].iteration == 3
        assert names(run.path / "checkpoints") == ["000003.pt"]
        assert "Stopped at iteration 3" in (run.path / "log.txt").read_text()
        assert all_of(run)[-1] == Finished(8)

    def test_at_the_last_iteration_it_is_finished(self, make_run):
        run = make_run(trainer={"iterations": 1})
        events = []
        for event in train(run):
            events.append(event)
            if isinstance(event, Stepped):
                run.request("stop")
        assert events[-1] == Finished(1)
