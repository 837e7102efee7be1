"""Whoever asks for the end does not wait for a validation, and loses none."""

from __future__ import annotations

import pytest

from napari_dacapo_tasks.runs.run_folder import RunFolder
from napari_dacapo_tasks.training.events import (
    CheckpointSaved,
    Finished,
    Request,
    Stopped,
    Validated,
    Validating,
)
from napari_dacapo_tasks.training.loop import train

TRAINER = {"iterations": 4, "validation": {"interval": 2}}


def stopped_while_validating(run, iteration, ask):
    """Train until a validation begins, ask for the end then, and give what still comes."""
    training = train(run)
    answer, after = None, None
    while True:
        try:
            event = training.send(answer)
        except StopIteration:
            return after
        answer = None
        if after is not None:
            after.append(event)
        elif isinstance(event, Validating) and event.iteration == iteration:
            after = []
            answer = ask()


@pytest.mark.parametrize("by_file", [False, True])
def test_a_validation_is_left_and_done_when_training_goes_on(make_run, validated_rows, by_file):
    whole = make_run("whole", trainer=TRAINER, rows=validated_rows)
    for _ in train(whole):
        pass
    run = make_run("parted", trainer=TRAINER, rows=validated_rows)
    ask = (lambda: run.request("stop")) if by_file else (lambda: Request.STOP)
    after = stopped_while_validating(run, 2, ask)
    assert [type(event) for event in after] == [CheckpointSaved, Stopped]
    assert (after[-1].iteration, run.scores()) == (2, [])
    assert run.load_checkpoint()["iteration"] == 2

    run = RunFolder.open(run.path)
    validated = [event for event in train(run) if isinstance(event, Validated)]
    assert [event.iteration for event in validated] == [2, 4]
    found, wanted = ([(s.iteration, s.value, s.loss) for s in r.scores()] for r in (run, whole))
    assert found == wanted


def test_the_last_validation_can_be_made_up_for(make_run, validated_rows):
    run = make_run(trainer=TRAINER, rows=validated_rows)
    after = stopped_while_validating(run, 4, lambda: Request.STOP)
    assert [type(event) for event in after] == [CheckpointSaved, Finished]
    assert [score.iteration for score in run.scores()] == [2]
    assert [e.iteration for e in train(run) if isinstance(e, Validated)] == [4]
    assert [score.iteration for score in run.scores()] == [2, 4]
