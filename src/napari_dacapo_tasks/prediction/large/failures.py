"""What workers say of blocks that failed: a file for each worker, a line for each failure."""

from __future__ import annotations

import json
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

FAILURES = "failures"


@dataclass(frozen=True)
class Failure:
    """A block that a worker could not predict.

    Attributes
    ----------
    block
        Its index.
    said
        What was wrong, on one line.
    worker
        Which it was.
    """

    block: tuple[int, ...]
    said: str
    worker: str


def add_failure(state: Path, failure: Failure) -> None:
    """Say that a block failed; where even that cannot be written, the log has it."""
    with suppress(OSError):
        (state / FAILURES).mkdir(exist_ok=True)
        path = state / FAILURES / f"{failure.worker}.jsonl"
        with open(path, "a", encoding="utf-8") as file:
            file.write(f"{json.dumps(asdict(failure))}\n")


class Failures:
    """Reads what was added since it was last asked."""

    def __init__(self, state: Path) -> None:
        self._folder = state / FAILURES
        self._places: dict[str, int] = {}
        self.new()  # those of earlier sessions were told then

    def new(self) -> list[Failure]:
        """Give all failures that were added meanwhile."""
        found: list[Failure] = []
        with suppress(OSError):
            for path in sorted(self._folder.iterdir()):
                with open(path, "rb") as file:
                    file.seek(self._places.get(path.name, 0))
                    text = file.read()
                whole = text[: text.rfind(b"\n") + 1]
                self._places[path.name] = self._places.get(path.name, 0) + len(whole)
                found += [_failure(json.loads(line)) for line in whole.splitlines()]
        return found


def _failure(values: dict[str, Any]) -> Failure:
    return Failure(tuple(values["block"]), values["said"], values["worker"])
