"""What validations find, as ``scores.jsonl`` keeps it: a line a validation."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from math import inf, isnan, nan
from pathlib import Path
from typing import Any

from napari_dacapo_tasks.errors import ConfigError
from napari_dacapo_tasks.runs.json_lines import JsonLines
from napari_dacapo_tasks.tasks import Task
from napari_dacapo_tasks.tasks.evaluators.evaluator import Criterion, Scores

SCORES = "scores.jsonl"

LOSS = Criterion(
    "loss",
    "Validation loss",
    "The task's loss on the validation crops.",
    (0.0, inf),
    higher_is_better=False,
)
"""What can say what is best beside the scores of a task."""


@dataclass(frozen=True)
class Score:
    """What one validation found.

    Attributes
    ----------
    iteration
        Steps done before it.
    criterion
        Name of the score that says what is best.
    value
        That score, averaged over channels and crops; NaN where it is not defined.
    loss
        The task's loss on the validation crops.
    scores
        By crop, channel and criterion; lengths in nanometres (voxels without a unit).
    method
        Title of the way from prediction to segmentation that was scored.
    seconds
        Time that it took.
    """

    iteration: int
    criterion: str
    value: float
    loss: float
    scores: dict[str, dict[str, dict[str, float]]]
    method: str
    seconds: float

    def of(self, criterion: str) -> float:
        """Give any score, averaged over channels and crops; NaN where it is not defined."""
        if criterion == self.criterion:
            return self.value
        return self.loss if criterion == LOSS.name else mean_of(self.scores, criterion)


def mean_of(scores: Mapping[str, Scores], criterion: str) -> float:
    """Average a score over the channels and crops where it is defined; NaN where it is nowhere.

    One that is infinite makes the average infinite.
    """
    found = [
        channel[criterion]
        for crop in scores.values()
        for channel in crop.values()
        if not isnan(channel.get(criterion, nan))
    ]
    return sum(found) / len(found) if found else nan


def criterion_of(task: Task, name: str | None = None) -> Criterion:
    """Give the score that says what is best.

    Parameters
    ----------
    task
        Whose usual method is scored.
    name
        Of a score of the task's, or ``"loss"``; None for the task's first, or the loss for a
        task that makes no segmentation.

    Raises
    ------
    ConfigError
        For a name that the task does not have.
    """
    known = [*task.evaluator.criteria, LOSS] if task.methods else [LOSS]
    if name is None:
        return known[0]
    for criterion in known:
        if criterion.name == name:
            return criterion
    raise ConfigError(
        f"The task {task.config.name} has no score {name}: choose one of "
        f"{', '.join(criterion.name for criterion in known)}."
    )


def best_first(scores: Sequence[Score], criterion: Criterion) -> list[Score]:
    """Sort scores, the best first and of equal ones the earliest; undefined ones are left out."""
    defined = [score for score in scores if not isnan(score.of(criterion.name))]
    sign = -1 if criterion.higher_is_better else 1
    return sorted(defined, key=lambda score: sign * score.of(criterion.name))


def scores_file(folder: Path) -> JsonLines[Score]:
    """Give the scores of a run folder."""
    return JsonLines(folder, SCORES, "scores", asdict, _score)


def _score(values: dict[str, Any]) -> Score:
    scores = {
        crop: {
            channel: {name: float(value) for name, value in numbers.items()}
            for channel, numbers in channels.items()
        }
        for crop, channels in values["scores"].items()
    }
    numbers = {name: float(values[name]) for name in ("value", "loss", "seconds")}
    return Score(**{**values, **numbers, "scores": scores})
