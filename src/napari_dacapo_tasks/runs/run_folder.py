"""The folder that holds everything of a run, and the only place that writes to it."""

from __future__ import annotations

import shutil
from collections.abc import Collection, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from time import sleep
from typing import Any, Self

from napari_dacapo_tasks.arrays import Array
from napari_dacapo_tasks.arrays.ome_zarr import PARTIAL
from napari_dacapo_tasks.errors import ConfigError, RunError
from napari_dacapo_tasks.runs.checkpoints import (
    CHECKPOINTS,
    KEPT,
    checkpoint_path,
    checkpoints_in,
    read_checkpoint_of,
    write_checkpoint_of,
)
from napari_dacapo_tasks.runs.config import RunConfig
from napari_dacapo_tasks.runs.files import CONFIG, is_run, told, whole_file, writing
from napari_dacapo_tasks.runs.lock import is_locked, locked
from napari_dacapo_tasks.runs.log import add_line, lines_after
from napari_dacapo_tasks.runs.pretrained import task_from_folder
from napari_dacapo_tasks.runs.requests import (
    REQUESTS,
    RequestName,
    leave_request,
    take_requests,
)
from napari_dacapo_tasks.runs.scores import Score, best_first, criterion_of, scores_file
from napari_dacapo_tasks.runs.snapshots import (
    SNAPSHOTS,
    snapshot_path,
    snapshots_in,
    write_snapshot,
)
from napari_dacapo_tasks.runs.statistics import Statistic, statistics_file
from napari_dacapo_tasks.tasks import TaskConfig

__all__ = ["CHECKPOINTS", "CONFIG", "RequestName", "RunFolder", "Score", "Statistic"]

LOCK = ".lock"

TRIES, SECONDS_BETWEEN = 5, 0.1
"""To get the lock: others who look whether the run is trained hold it for a moment."""

FIXED_BY_CHECKPOINT = ("task", "architecture")
"""Sections that weights were trained for: others would make nonsense of them, or not load."""


class RunFolder:
    """A run: its config, checkpoints, statistics, scores, snapshots, log and requests.

    Whatever cannot be read or written is a `RunError`, and so is a run that is gone: nothing
    makes its folder anew.

    Parameters
    ----------
    path
        The folder.
    config
        What its ``run.yaml`` holds.
    """

    def __init__(self, path: Path, config: RunConfig) -> None:
        self.path = path
        self._config = config
        self._statistics = statistics_file(path)
        self._scores = scores_file(path)

    @classmethod
    def open(cls, path: str | Path) -> Self:
        """Open a run that `create_run` has made; ConfigError where its config is refused."""
        path = Path(path).absolute()
        if not is_run(path):
            raise RunError(f"{path} is no run folder: it has no {CONFIG}; make a run first.")
        return cls(path, RunConfig.load(path / CONFIG))

    @property
    def config(self) -> RunConfig:
        """Task, architecture, data and trainer."""
        return self._config

    @property
    def task(self) -> TaskConfig:
        """The task of the config, with the path of the weights that it begins with, if any."""
        return task_from_folder(self._config.task, self.path)

    def save_config(self, config: RunConfig) -> None:
        """Change the config; once there is a checkpoint, task and architecture stay as they are."""
        checkpoint = self.latest_checkpoint()
        for section in FIXED_BY_CHECKPOINT:
            if checkpoint and getattr(config, section) != getattr(self._config, section):
                raise RunError(
                    f"The run {self.path} has been trained up to {checkpoint.name}, so its "
                    f"{section} cannot change any more: make a new run for that."
                )
        with whole_file(self.path, CONFIG) as file:
            try:
                config.save(file.name)
            except ConfigError as error:
                raise RunError(str(error)) from error
        self._config = config

    def resolve(self, path: str) -> Path:
        """Give the place of a path in the config."""
        return self.path / path

    # Who trains it

    @contextmanager
    def training(self) -> Iterator[None]:
        """Keep other programs from training the same run, and clear what a killed one left.

        Requests that were made before are forgotten: they were for somebody else.
        """
        tries = TRIES
        with ExitStack() as held:
            with writing(self.path, LOCK) as path:
                while not held.enter_context(locked(path)):
                    held.pop_all().close()
                    tries -= 1
                    if not tries:
                        raise RunError(
                            f"The run {self.path} is being trained already: stop that first."
                        )
                    sleep(SECONDS_BETWEEN)
                self._clear_leftovers()
                # Made by whoever answers, so that it is theirs to take requests out of it.
                (self.path / REQUESTS).mkdir(exist_ok=True)
            self.requested()
            yield

    def is_training(self) -> bool:
        """Whether this or another program trains the run at the moment.

        On file systems that know no locks, as some in networks do not, nobody is seen.
        """
        with told(self.path / LOCK, "read"):
            return is_locked(self.path / LOCK)

    def request(self, name: RequestName) -> None:
        """Ask the program that trains the run for something; it answers after its present step."""
        leave_request(self.path, name)

    def requested(self) -> set[RequestName]:
        """Give what others have asked for since the last call; cheap enough for every step."""
        return take_requests(self.path)

    # Checkpoints

    def checkpoints(self) -> list[Path]:
        """Give the checkpoints, the latest last."""
        return checkpoints_in(self.path)

    def latest_checkpoint(self) -> Path | None:
        """Give the checkpoint to go on from."""
        return next(reversed(self.checkpoints()), None)

    def best_checkpoint(self) -> Path | None:
        """Give the one of the checkpoints with the best score; None where none has a score."""
        there = self.checkpoints()
        for iteration in self.best_iterations():
            path = checkpoint_path(self.path, iteration)
            if path in there:
                return path
        return None

    def best_iterations(self, count: int | None = None) -> list[int]:
        """Give the iterations with the best scores, the best first; all that have a score."""
        task = self._config.task
        criterion = criterion_of(task.task_type(task), self._config.trainer.validation.criterion)
        return [score.iteration for score in best_first(self.scores(), criterion)][:count]

    def save_checkpoint(
        self,
        state: Mapping[str, Any],
        iteration: int,
        *,
        kept: int = KEPT,
        best: Collection[int] = (),
    ) -> Path:
        """Save a checkpoint; the file is there as a whole or not at all.

        Parameters
        ----------
        state
            Tensors and plain values; the weights of the model's chain stand under ``model``,
            their running average under ``ema`` where there is one.
        iteration
            Steps done.
        kept
            Number of the last checkpoints that stay.
        best
            Iterations of others that stay, as `best_iterations` gives them.
        """
        # The numbers up to here must not be lost where the checkpoint is kept.
        self._statistics.flush()
        return write_checkpoint_of(self.path, state, iteration, kept=kept, best=best)

    def load_checkpoint(self, path: Path | None = None) -> dict[str, Any]:
        """Load a checkpoint, the latest by default; tensors come onto the CPU, no code is run."""
        return read_checkpoint_of(self.path, path)

    # Statistics and scores

    def append_statistics(self, statistic: Statistic) -> None:
        """Add the line of one iteration."""
        self._statistics.append(statistic)

    def statistics(self) -> list[Statistic]:
        """Give what is known of every iteration; a last line that was cut short is left out."""
        return self._statistics.read()

    def last_statistic(self) -> Statistic | None:
        """Give the last iteration without reading those before."""
        return self._statistics.last()

    def append_score(self, score: Score) -> None:
        """Add the line of one validation, and see that it is safe on the disk."""
        self._scores.append(score)
        self._scores.flush()

    def scores(self) -> list[Score]:
        """Give what every validation found; a last line that was cut short is left out."""
        return self._scores.read()

    def truncate(self, iteration: int) -> None:
        """Drop statistics and scores of what came after an iteration, where training goes on."""
        self._statistics.keep([one for one in self.statistics() if one.iteration <= iteration])
        scores = self.scores()
        kept = [one for one in scores if one.iteration <= iteration]
        if self._scores.path.exists():
            self._scores.keep(kept)

    # Snapshots and log

    def snapshots(self) -> list[Path]:
        """Give the snapshots that are kept, the latest last."""
        return snapshots_in(self.path)

    def snapshot_path(self, iteration: int) -> Path:
        """Give the folder of a snapshot."""
        return snapshot_path(self.path, iteration)

    def save_snapshot(self, iteration: int, images: Mapping[str, Array]) -> Path:
        """Write a snapshot's images, in the place of an earlier one of the same iteration.

        The last ones are kept, and of those before a thinned series; see `write_snapshot`.
        """
        return write_snapshot(self.path, iteration, images)

    def log(self, text: str) -> None:
        """Add a line with the time to the log."""
        add_line(self.path, text)

    def log_lines(self, after: int = 0) -> tuple[list[str], int]:
        """Read what was logged.

        Parameters
        ----------
        after
            The place that the last call gave, 0 for all.

        Returns
        -------
        The whole lines that have come since, and the place after them.
        """
        return lines_after(self.path, after)

    def _clear_leftovers(self) -> None:
        for folder in (
            self.path,
            self.path / CHECKPOINTS,
            self.path / SNAPSHOTS,
        ):
            for leftover in folder.glob(f".*{PARTIAL}"):
                if leftover.is_dir():
                    shutil.rmtree(leftover, ignore_errors=True)
                else:
                    leftover.unlink(missing_ok=True)
