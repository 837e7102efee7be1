"""Crops that are not used, and what to say when they are too many."""

from __future__ import annotations

from collections import deque
from enum import Enum
from threading import Lock
from typing import Any

from napari_dacapo_tasks.errors import DataError

MOST_TRIES = 100
"""Crops in a row that cannot be used, after which it is no bad luck any more."""

WINDOW = 200
"""Crops that are looked back at."""

MANY = 0.9
"""Share of them that may be rejected before a person is told."""

REMEDIES = {
    "mask_distances": "choose a smaller scale_factor, switch mask_distances off",
    "classes": "name the classes of these labels",
    "neighborhood": "choose shorter offsets in the neighborhood",
}
"""What makes more voxels count, by the parameter of the task that leaves them out."""


class Reason(Enum):
    """Why a crop is not used."""

    UNKNOWN = "unknown"
    WEIGHTLESS = "weightless"


class Rejections:
    """What became of the last crops, told by any number of threads.

    Parameters
    ----------
    task_config
        Of the task.
    least_known
        Share of a crop that must be known.
    """

    def __init__(self, task_config: Any, least_known: float) -> None:
        self._config = getattr(task_config, "sub_task_config", task_config)
        self._least_known = least_known
        self._lock = Lock()
        self._last: deque[Reason | None] = deque(maxlen=WINDOW)
        self._told = False

    def note(self, reason: Reason | None) -> None:
        """Note what became of a crop: None where it is used."""
        with self._lock:
            self._last.append(reason)

    def notices(self) -> list[str]:
        """Say that too many are rejected, at most once."""
        with self._lock:
            rejected = [reason for reason in self._last if reason is not None]
            if self._told or len(self._last) < WINDOW or len(rejected) <= MANY * WINDOW:
                return []
            self._told = True
        often = max(Reason, key=rejected.count)
        return [
            f"Training waits for crops, as {len(rejected)} of the last {WINDOW} cannot be used: "
            f"{self._why(often)}."
        ]

    def error(self, reason: Reason) -> DataError:
        """Give what to raise where no crop can be used."""
        return DataError(f"In {MOST_TRIES} crops in a row {self._why(reason)}.")

    def _why(self, reason: Reason) -> str:
        if reason is Reason.UNKNOWN and self._least_known:
            return (
                f"less than {self._least_known:.0%} of the voxels are known: lower least_known, "
                "or label a larger volume"
            )
        if reason is Reason.UNKNOWN:
            return "no voxel is known: label a larger volume"
        remedies = [
            f"{text}, or " for name, text in REMEDIES.items() if getattr(self._config, name, None)
        ]
        return f"no voxel has a weight: {''.join(remedies)}label a larger volume"
