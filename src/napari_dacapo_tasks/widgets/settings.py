"""What the docks remember from one session of napari to the next."""

from __future__ import annotations

import json
import os
from contextlib import suppress
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, ValidationError
from qtpy.QtCore import QStandardPaths

from napari_dacapo_tasks.prediction.config import PredictionConfig
from napari_dacapo_tasks.runs.trainer_config import TrainerConfig

FOLDER, FILE = "napari-dacapo-tasks", "train-dock.json"

RECENT_KEPT = 12
"""Runs outside of the home folder that stay in the list."""


class Settings(BaseModel):
    """What is remembered; each default is what a new user sees."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    trainer: TrainerConfig | None = None
    """For new runs, the device included."""
    runs_home: str | None = None
    """Folder in which new runs are proposed."""
    recent: tuple[str, ...] = ()
    """Folders of runs, the latest first."""
    own_process: bool = False
    """Whether runs are trained in a process of their own."""
    followed: str | None = None
    """The run that was last started in a process of its own."""
    log_scale: bool = False
    """Whether losses are shown on a logarithmic axis."""
    score: str | None = None
    """The score that is shown, None for the one by which a run judges."""
    prediction: PredictionConfig | None = None
    """How networks predict, the device included."""
    predicted_with: str | None = None
    """The network that a person chose last, where it is no run of the list."""
    workers: int = 0
    """Processes that predict large images; 0 for none but this one."""
    worker_command: str = ""
    """How a worker is started elsewhere."""


class SettingsFile:
    """Settings that outlive the program, in a small file.

    What cannot be read counts as never set, value by value, and a file that cannot be written
    is no reason to bother anybody: the settings then end with the program.

    Parameters
    ----------
    path
        The file; None for one that forgets.
    """

    def __init__(self, path: Path | None) -> None:
        self._path = path
        self.value = _read(path)

    @classmethod
    def of_user(cls) -> SettingsFile:
        """Give those of the person at this machine."""
        return cls(path_of_user())

    def forget(self) -> None:
        """Begin anew, and leave the file alone from now on, as a demonstration does."""
        self._path, self.value = None, Settings()

    def look(self) -> None:
        """Take over what another window or dock has changed."""
        if self._path is not None and self._path.exists():
            self.value = _read(self._path)

    def change(self, **values: Any) -> None:
        """Set some of the values; those that another window has changed meanwhile stay."""
        assert Settings.model_fields.keys() >= values.keys(), values
        if all(getattr(self.value, name) == value for name, value in values.items()):
            return
        self.value = self.value.model_copy(update=values)
        if self._path is not None:
            there = _read(self._path).model_copy(update=values)
            with suppress(OSError):
                _write(self._path, there.model_dump_json(indent=2))

    def add_recent(self, run: Path) -> None:
        """Put the folder of a run in front of the recent ones."""
        others = [one for one in self.value.recent if one != str(run)]
        self.change(recent=(str(run), *others)[:RECENT_KEPT])


def path_of_user() -> Path:
    """Give the file in the folder where this platform keeps settings."""
    place = QStandardPaths.StandardLocation.GenericConfigLocation
    return Path(QStandardPaths.writableLocation(place)) / FOLDER / FILE


def _read(path: Path | None) -> Settings:
    values: Any = None
    if path is not None:
        with suppress(OSError, ValueError):
            values = json.loads(path.read_text(encoding="utf-8"))
    known: dict[str, Any] = {}
    for name in Settings.model_fields.keys() & (values if isinstance(values, dict) else {}):
        with suppress(ValidationError):
            read = Settings.model_validate_json(json.dumps({name: values[name]}))
            known[name] = getattr(read, name)
    return Settings().model_copy(update=known)


def _write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    beside = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        beside.write_text(text, encoding="utf-8")
        os.replace(beside, path)
    finally:
        beside.unlink(missing_ok=True)
