"""What is known of a run from its folder: read once, then only what is appended."""

from __future__ import annotations

from collections.abc import Generator, Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path

from napari_dacapo_tasks.arrays import Array
from napari_dacapo_tasks.arrays.open import open_array
from napari_dacapo_tasks.errors import ConfigError, DataError
from napari_dacapo_tasks.runs.config import RunConfig
from napari_dacapo_tasks.runs.log import LOG
from napari_dacapo_tasks.runs.run_folder import CONFIG, RunFolder
from napari_dacapo_tasks.runs.scores import Score, best_first, criterion_of, scores_file
from napari_dacapo_tasks.runs.statistics import Statistic, statistics_file
from napari_dacapo_tasks.tasks.evaluators.evaluator import Criterion
from napari_dacapo_tasks.training.events import Stepped
from napari_dacapo_tasks.widgets.histories import LossHistory, RunHistory, ScoreHistory
from napari_dacapo_tasks.widgets.run_events import FoundRun
from napari_dacapo_tasks.widgets.tail import Tail

LOG_BYTES = 100_000
"""Of a log that was written before, from its end."""


class RunReader:
    """Reads losses and scores of a run, a second time only what has come since.

    Parameters
    ----------
    run
        The run.
    """

    def __init__(self, run: RunFolder) -> None:
        self._run = run
        self._statistics, self._scores = statistics_file(run.path), scores_file(run.path)
        self._steps, self._validations = Tail(self._statistics.path), Tail(self._scores.path)
        self._criteria = criteria_of(run.config)
        self._known: list[Score] = []

    def history(self) -> RunHistory:
        """Read all that there is now."""
        self._steps = Tail(self._statistics.path)
        self._validations = Tail(self._scores.path)
        steps, scores = self._new_steps()[0], self._new_scores()[0]
        return self._history(steps, scores)

    def news(self) -> Iterator[Stepped | Score | RunHistory]:
        """Give what has come since; all of it as a history where a file was begun anew."""
        steps, steps_anew = self._new_steps()
        scores, scores_anew = self._new_scores()
        # A file that was not there before begins as well, and needs no other curves for that.
        if steps_anew or (scores_anew and self._known):
            yield self.history()
            return
        self._known += scores
        for step in steps:
            yield Stepped(step.iteration, step.loss, step.seconds, step.waited, step.learning_rate)
        yield from scores

    def best_iteration(self) -> int | None:
        """Give the iteration of the best validation so far, by the run's own criterion."""
        config = self._run.config
        task = config.task.task_type(config.task)
        try:
            criterion = criterion_of(task, config.trainer.validation.criterion)
        except ConfigError:
            return None
        best = best_first(self._known, criterion)
        return best[0].iteration if best else None

    def _history(self, steps: Sequence[Statistic], scores: Sequence[Score]) -> RunHistory:
        self._known = list(scores)
        losses = LossHistory([one.iteration for one in steps], [one.loss for one in steps])
        return RunHistory(self._run.path.name, losses, ScoreHistory(scores), self._criteria)

    def _new_steps(self) -> tuple[list[Statistic], bool]:
        lines, anew = self._steps.read()
        entries = map(self._statistics.entry_of, lines)
        return [entry for entry in entries if entry is not None], anew

    def _new_scores(self) -> tuple[list[Score], bool]:
        lines, anew = self._validations.read()
        return [score for score in map(self._scores.entry_of, lines) if score is not None], anew


def criteria_of(config: RunConfig) -> Mapping[str, Criterion]:
    """Give what the scores of a run say, by name."""
    task = config.task.task_type(config.task)
    found = (criterion for method in task.methods for criterion in method.evaluator.criteria)
    return {criterion.name: criterion for criterion in found}


def look_into(path: Path) -> Generator[None, None, FoundRun | None]:
    """Read what is known of the run in a folder; give None where there is no run."""
    yield
    if not (path / CONFIG).is_file():
        return None
    run = RunFolder.open(path)
    latest = run.latest_checkpoint()
    yield
    log, _ = Tail(path / LOG, LOG_BYTES).read()
    return FoundRun(
        run,
        None if latest is None else int(latest.stem),
        RunReader(run).history(),
        log,
        run.is_training(),
        _first_raw(run),
    )


def _first_raw(run: RunFolder) -> Array | None:
    with suppress(DataError):
        return open_array(run.resolve(run.config.data.crops[0].raw))
    return None
