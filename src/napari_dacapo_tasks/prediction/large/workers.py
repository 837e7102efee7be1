"""Starting workers, here or elsewhere, and waiting for them.

Runs in a small process of its own for each worker, so it imports little.
"""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from time import sleep
from typing import Any

from napari_dacapo_tasks.prediction.large.standing import (
    LOOK_SECONDS,
    SESSION,
    Session,
    Standing,
    read_json,
)

COMMAND, ARGUMENTS = "{command}", "{arguments}"
"""What a template is filled with: a whole worker command, or that without the program."""

LOGS = "logs"
WORKERS = "workers"

ENDED = "ended"
"""Key in the file of a worker that says that it ended by itself."""

THREAD_SETTINGS = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")

LAST_LINES = 3
"""Of a log, in the sentence about a worker that could not go on."""


@dataclass(frozen=True)
class StartWorker:
    """Starts a worker and waits until it ends; what the scheduler calls for each.

    Attributes
    ----------
    folder
        Of the job.
    state
        Folder in it with what is needed to go on.
    session
        Name of the session.
    template
        Command that starts it elsewhere; None for this machine.
    threads
        Of a worker of this machine.
    parent
        Process id of the scheduler, with which workers of this machine end.
    """

    folder: str
    state: str
    session: str
    template: str | None
    threads: int
    parent: int

    def __call__(self, *, context: Any) -> None:
        """Run a worker; raises RuntimeError where it failed."""
        number = int(context["worker_id"])
        state = Path(self.state)
        host, port = context["hostname"], int(context["port"])
        Session(state, self.session).listen(host, port)
        log = log_path(state, self.session, number)
        log.parent.mkdir(exist_ok=True)
        with open(log, "ab") as output:
            process = subprocess.Popen(
                self._command(host, port, number),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                env=self._environment(),
            )
            session = Standing(state / SESSION, self.session)
            code = _wait(process, session)
        if code:
            raise RuntimeError(f"worker {number} ended with code {code}: {last_lines(log)}")
        if self.template is not None:
            self._wait_for(worker_path(state, self.session, number), session, number)

    def _command(self, host: str, port: int, number: int) -> list[str]:
        arguments = ["worker", self.folder, "--session", self.session]
        arguments += ["--server", f"{host}:{port}", "--number", str(number)]
        if self.template is None:
            arguments += ["--parent", str(self.parent)]
            return [sys.executable, "-m", "napari_dacapo_tasks", *arguments]
        return filled(self.template, [sys.executable, "-m", "napari_dacapo_tasks"], arguments)

    def _environment(self) -> dict[str, str]:
        environment = dict(os.environ)
        environment.pop("DAISY_CONTEXT", None)
        if self.template is None:
            for name in THREAD_SETTINGS:
                environment.setdefault(name, str(self.threads))
        return environment

    def _wait_for(self, path: Path, session: Standing, number: int) -> None:
        """Wait for a worker whose command came back at once, as that of a queue does."""
        beats: Standing | None = None
        while not session.over():
            there = read_json(path)
            if there is not None and there.get(ENDED):
                return
            if there is not None and beats is None:  # it may have waited in a queue for hours
                beats = Standing(path)
            if beats is not None and beats.over():
                raise RuntimeError(f"worker {number} was not heard of any more")
            sleep(LOOK_SECONDS)


def filled(template: str, program: Sequence[str], arguments: Sequence[str]) -> list[str]:
    """Put a worker into a template.

    Alone and without quotes the placeholder becomes several words, for programs that start what
    follows them; in quotes, or within a word, it becomes one text that a shell can read.
    """
    whole = {COMMAND: [*program, *arguments], ARGUMENTS: list(arguments)}
    quoted = {name for name in whole for quote in "'\"" if f"{quote}{name}{quote}" in template}
    words: list[str] = []
    for word in shlex.split(template):
        if word in whole and word not in quoted:
            words += whole[word]
            continue
        for name, several in whole.items():
            word = word.replace(name, shlex.join(several))
        words.append(word)
    return words


def log_path(state: Path, session: str, number: int) -> Path:
    """Give the log of a worker."""
    return state / LOGS / f"worker-{session}-{number}.txt"


def worker_path(state: Path, session: str, number: int) -> Path:
    """Give the file in which a worker says that it goes on."""
    return state / WORKERS / f"{session}-{number}.json"


def last_lines(log: Path) -> str:
    """Give the end of a log on one line."""
    try:
        lines = log.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return "it left no log"
    said = [line.strip() for line in lines if line.strip()]
    return " / ".join(said[-LAST_LINES:]) or "it said nothing"


def _wait(process: subprocess.Popen[bytes], session: Standing) -> int:
    while True:
        try:
            return process.wait(LOOK_SECONDS)
        except subprocess.TimeoutExpired:
            if session.over():
                process.terminate()
                return 0
