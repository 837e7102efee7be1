"""What the sides of a benchmark share: cores, time and memory of one process.

Runs in DaCapo's environment too, so it needs nothing but Python.
"""

import json
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

_STATUS = Path("/proc/self/status")
_THREAD_SETTINGS = ["OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"]


def keep_to_cores(number: int) -> None:
    """Let this process use so many cores; call it before importing anything that has threads."""
    for name in _THREAD_SETTINGS:
        os.environ[name] = str(number)
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:number])


class Measurement:
    """Times of the steps of one piece of work, and the memory it took beyond what was there.

    Memory is the peak of the process over the work, less what it held at the start; Linux alone
    tells that, elsewhere it is None.
    """

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}
        self._held = 0
        if _STATUS.exists():
            Path("/proc/self/clear_refs").write_text("5")  # the peak begins anew
            self._held = _memory("VmRSS")

    def step(self, name: str, work: Callable[[], Any]) -> Any:
        """Do a step and time it."""
        start = time.perf_counter()
        result = work()
        self.seconds[name] = time.perf_counter() - start
        return result

    def finish(self, report: Path, **more: float) -> None:
        """Write what was measured, as JSON."""
        extra = _memory("VmHWM") - self._held if _STATUS.exists() else None
        report.write_text(json.dumps({**self.seconds, **more, "extra_bytes": extra}))


def paced(
    work: Callable[[], Any], *, warm_up: float, seconds: float, least: int
) -> dict[str, float]:
    """Do a piece of work over and over, and tell how often it can be done in a second.

    The first time counts on its own. After that it goes on for ``warm_up`` seconds that do not
    count, and then for ``seconds``, but at least so many times.
    """
    start = time.perf_counter()
    work()
    first = time.perf_counter() - start
    while time.perf_counter() - start - first < warm_up:
        work()
    start, times = time.perf_counter(), 0
    while times < least or time.perf_counter() - start < seconds:
        work()
        times += 1
    return {
        "first_seconds": first,
        "samples": times,
        "per_second": times / (time.perf_counter() - start),
    }


def _memory(field: str) -> int:
    status = dict(line.split(":", 1) for line in _STATUS.read_text().splitlines())
    return int(status[field].split()[0]) * 1024
