"""What training tells of every step, as ``stats.jsonl`` keeps it: a line an iteration."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from napari_dacapo_tasks.runs.json_lines import JsonLines

STATISTICS = "stats.jsonl"


@dataclass(frozen=True)
class Statistic:
    """What is kept of one iteration.

    Attributes
    ----------
    iteration
        Steps done, this one included.
    loss
        Its loss.
    seconds
        Time that it took.
    waited
        The part of it in which there was no data yet.
    learning_rate
        Of this step; 0 where it was not noted.
    """

    iteration: int
    loss: float
    seconds: float
    waited: float = 0.0
    learning_rate: float = 0.0


def statistics_file(folder: Path) -> JsonLines[Statistic]:
    """Give the statistics of a run folder."""
    return JsonLines(folder, STATISTICS, "statistics", asdict, _statistic)


def _statistic(values: dict[str, Any]) -> Statistic:
    numbers = {name: float(value) for name, value in values.items()}
    return Statistic(iteration=int(numbers.pop("iteration")), **numbers)
