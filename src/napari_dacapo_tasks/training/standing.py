"""How a run stands among its own validations."""

from __future__ import annotations

from collections.abc import Generator, Iterator, Sequence
from contextlib import closing

from napari_dacapo_tasks.runs.data import TrainingData
from napari_dacapo_tasks.runs.scores import Score, best_first
from napari_dacapo_tasks.runs.trainer_config import TrainerConfig
from napari_dacapo_tasks.tasks import Task
from napari_dacapo_tasks.training.execution import deterministic
from napari_dacapo_tasks.training.learner import Learner
from napari_dacapo_tasks.training.validation import Validator

NO_VALIDATION = (
    "There is no score, since no crop validates: set the use of one to validate, or give a "
    "validation block."
)


class Standing:
    """The scores of a run so far, and what follows from them.

    All that is concluded depends on the scores alone, so that a run that goes on concludes the
    same.

    Parameters
    ----------
    data
        May have no volume that validates: then there is never a score.
    task
        Built with lengths in grid steps.
    config
        Says when to validate, and by which score.

    Attributes
    ----------
    scores
        Of all validations, in their order.
    """

    def __init__(self, data: TrainingData, task: Task, config: TrainerConfig) -> None:
        self._config = config.validation
        self._deterministic = config.execution.deterministic
        self.scores: list[Score] = []
        self._validator: Validator | None = None
        if data.validate:
            self._validator = Validator(
                data.validate, task, data.intensity_range, config.validation
            )

    @property
    def can_validate(self) -> bool:
        """Whether there is something to validate on."""
        return self._validator is not None

    @property
    def needs_validation(self) -> bool:
        """Whether somebody set what means nothing without a score."""
        return self._config.patience is not None or self._config.criterion is not None

    def is_due(self, iteration: int, is_last: bool) -> bool:
        """Whether the interval has passed, or all is done, and there is no score of it yet."""
        interval = self._config.interval
        if self._validator is None or interval is None or iteration == 0:
            return False
        return (is_last or iteration % interval == 0) and not self.knows(iteration)

    def knows(self, iteration: int) -> bool:
        """Whether there is a score of an iteration."""
        return any(score.iteration == iteration for score in self.scores)

    def validate(self, learner: Learner, iteration: int) -> Generator[float, None, Score]:
        """Score the network; yields the share that is done, and can be left at any time."""
        assert self._validator is not None, "there is something to validate on"
        with learner.predicting() as model:
            steps = self._validator.validate(model, iteration, learner.precision.autocast)
            with closing(steps):
                while True:
                    try:
                        with deterministic(self._deterministic):
                            share = next(steps)
                    except StopIteration as stop:
                        score: Score = stop.value
                        return score
                    yield share

    def add(self, score: Score) -> bool:
        """Take in a score, and say whether it is better than all before."""
        self.scores.append(score)
        return self.best(1) == [score.iteration]

    def best(self, number: int | None = None) -> list[int]:
        """Give the iterations with the best scores, the best first and so many at most."""
        if self._validator is None:
            return []
        number = self._config.best_kept if number is None else number
        ranked = best_first(self.scores, self._validator.criterion)
        return [score.iteration for score in ranked[:number]]

    def no_longer_better(self, iteration: int) -> str | None:
        """Say so where further validations are not expected to find a better score."""
        patience = self._config.patience
        if patience is None or self._validator is None:
            return None
        best = self.best(1)
        if len(since(self.scores, best[0] if best else -1)) < patience:
            return None
        so_far = f"not better since iteration {best[0]}" if best else "never defined"
        return (
            f"Training stops early, at iteration {iteration}: {self._validator.criterion.title} "
            f"was {so_far}, in {patience} validations; raise or leave out the patience of "
            "validation to train it further."
        )

    def notices(self) -> Iterator[str]:
        """Tell what was out of the ordinary."""
        if self._validator is not None:
            yield from self._validator.notices()


def since(scores: Sequence[Score], iteration: int) -> list[Score]:
    """Give the scores of validations after an iteration."""
    return [score for score in scores if score.iteration > iteration]
