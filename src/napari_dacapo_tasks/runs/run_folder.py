"""The folder that holds everything of a run, and the only place that writes to it."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path
from typing import IO, Any, Self

from napari_dacapo_tasks.arrays import Array
from napari_dacapo_tasks.arrays.ome_zarr import PARTIAL, fill_group, new_folder
from napari_dacapo_tasks.errors import ConfigError, DataError, RunError
from napari_dacapo_tasks.runs.config import RunConfig
from napari_dacapo_tasks.runs.lock import locked
from napari_dacapo_tasks.runs.pretrained import task_from_folder
from napari_dacapo_tasks.tasks import TaskConfig

CONFIG = "run.yaml"
STATISTICS = "stats.jsonl"
LOG = "log.txt"
CHECKPOINTS = "checkpoints"
SNAPSHOTS = "snapshots"

CHECKPOINTS_KEPT = 2
"""The last one, and one to go back to."""

FIXED_BY_CHECKPOINT = ("task", "architecture")
"""Sections that weights were trained for: others would make nonsense of them, or not load."""


@dataclass(frozen=True)
class Statistic:
    """What is kept of one iteration: its loss, and the seconds that it took."""

    iteration: int
    loss: float
    seconds: float


class RunFolder:
    """A run: its config, checkpoints, statistics, snapshots and log.

    Whatever cannot be read or written is a `RunError`.

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

    @classmethod
    def open(cls, path: str | Path) -> Self:
        """Open a run that `create_run` has made; ConfigError where its config is refused."""
        path = Path(path).absolute()
        if not (path / CONFIG).is_file():
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
        with self._whole_file(CONFIG) as file:
            try:
                config.save(file.name)
            except ConfigError as error:
                raise RunError(str(error)) from error
        self._config = config

    def resolve(self, path: str) -> Path:
        """Give the place of a path in the config."""
        return self.path / path

    @contextmanager
    def training(self) -> Iterator[None]:
        """Keep other programs from training the same run, and clear what a killed one left."""
        with ExitStack() as held:
            with self._told("."):
                free = held.enter_context(locked(self.path / ".lock"))
                if not free:
                    raise RunError(
                        f"The run {self.path} is being trained already: stop that first."
                    )
                for folder in (self.path, self.path / CHECKPOINTS, self.path / SNAPSHOTS):
                    for leftover in folder.glob(f".*{PARTIAL}"):
                        if leftover.is_dir():
                            shutil.rmtree(leftover, ignore_errors=True)
                        else:
                            leftover.unlink(missing_ok=True)
            yield

    # Checkpoints

    def checkpoints(self) -> list[Path]:
        """Give the checkpoints, the latest last."""
        found = [p for p in (self.path / CHECKPOINTS).glob("*.pt") if p.stem.isdigit()]
        return sorted(found, key=lambda path: int(path.stem))

    def latest_checkpoint(self) -> Path | None:
        """Give the checkpoint to go on from."""
        return next(reversed(self.checkpoints()), None)

    def save_checkpoint(self, state: Mapping[str, Any], iteration: int) -> Path:
        """Save tensors and plain values; the file is there as a whole or not at all."""
        from napari_dacapo_tasks.architectures.weights import write_checkpoint

        # The numbers up to here must not be lost where the checkpoint is kept.
        with self._told(STATISTICS), open(self.path / STATISTICS, "ab") as statistics:
            os.fsync(statistics.fileno())
        path = self.path / CHECKPOINTS / f"{iteration:06d}.pt"
        with self._whole_file(f"{CHECKPOINTS}/{path.name}") as file:
            write_checkpoint(state, file)
        for old in self.checkpoints()[:-CHECKPOINTS_KEPT]:
            old.unlink(missing_ok=True)
        return path

    def load_checkpoint(self, path: Path | None = None) -> dict[str, Any]:
        """Load a checkpoint, the latest by default; tensors come onto the CPU, no code is run."""
        from napari_dacapo_tasks.architectures.weights import read_checkpoint

        path = path or self.latest_checkpoint()
        if path is None:
            raise RunError(f"The run {self.path} has no checkpoint yet: train it first.")
        try:
            return read_checkpoint(path)
        except DataError as error:
            older = [p.name for p in self.checkpoints() if int(p.stem) < int(path.stem)]
            then = f"go on from {older[-1]}" if older else "start anew"
            reason = str(error).rstrip(".")
            raise RunError(f"{reason}; delete {path.name} to {then}.") from error

    # Statistics

    def append_statistics(self, iteration: int, loss: float, seconds: float) -> None:
        """Add the line of one iteration."""
        line = json.dumps(asdict(Statistic(iteration, loss, seconds)))
        with self._told(STATISTICS), open(self.path / STATISTICS, "a", encoding="utf-8") as file:
            file.write(f"{line}\n")

    def statistics(self) -> list[Statistic]:
        """Give what is known of every iteration; a last line that was cut short is left out."""
        path = self.path / STATISTICS
        if not path.exists():
            return []
        with self._told(STATISTICS, "read"):
            lines = path.read_text(encoding="utf-8").splitlines()
        found = []
        for number, line in enumerate(lines, start=1):
            try:
                found.append(Statistic(**json.loads(line)))
            except (ValueError, TypeError):
                if number < len(lines):
                    raise RunError(
                        f"Line {number} of {path} is no line of statistics: delete it."
                    ) from None
        return found

    def truncate_statistics(self, iteration: int) -> None:
        """Drop what came after an iteration, from which training goes on."""
        kept = [asdict(one) for one in self.statistics() if one.iteration <= iteration]
        with self._whole_file(STATISTICS) as file:
            file.write("".join(f"{json.dumps(one)}\n" for one in kept).encode())

    # Snapshots and log

    def snapshot_path(self, iteration: int) -> Path:
        """Give the folder of a snapshot."""
        return self.path / SNAPSHOTS / f"{iteration:06d}.ome.zarr"

    def save_snapshot(self, iteration: int, images: Mapping[str, Array]) -> Path:
        """Write a snapshot's images, in the place of an earlier one of the same iteration."""
        path = self.snapshot_path(iteration)
        with self._told(path.name), new_folder(path, replace=True) as partial:
            for _ in fill_group(partial, images):
                pass
        return path

    def log(self, text: str) -> None:
        """Add a line with the time to the log."""
        now = datetime.now().astimezone().isoformat(timespec="seconds")
        with self._told(LOG), open(self.path / LOG, "a", encoding="utf-8") as file:
            file.write(f"{now} {text}\n")

    @contextmanager
    def _whole_file(self, name: str) -> Iterator[IO[bytes]]:
        """Give a file to fill, which takes its name when it is whole and safe on the disk."""
        path = self.path / name
        partial = path.with_name(f".{path.name}{PARTIAL}")
        with self._told(name):
            path.parent.mkdir(exist_ok=True)
            try:
                with open(partial, "wb") as file:
                    yield file
                    file.flush()
                    os.fsync(file.fileno())
                os.replace(partial, path)
            finally:
                partial.unlink(missing_ok=True)
            if os.name == "posix":  # elsewhere a folder cannot be opened, nor needs to be
                folder = os.open(path.parent, os.O_RDONLY)
                try:
                    os.fsync(folder)
                finally:
                    os.close(folder)

    @contextmanager
    def _told(self, name: str, doing: str = "written") -> Iterator[None]:
        try:
            yield
        except OSError as error:
            path = (self.path / name).resolve()
            raise RunError(
                f"{path} cannot be {doing}: {error.strerror or error}; see to that and start "
                "again, nothing that was saved before is lost."
            ) from error
