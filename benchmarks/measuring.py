"""What benchmarks share: arguments, machine, files, and cores, time and memory of one process.

Runs in DaCapo's environment too, so it needs nothing but Python.
"""

import argparse
import json
import os
import platform
import subprocess
import time
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
RESULTS = HERE / "results"

# Processes that want a core before we begin; above it the figures are not worth keeping.
QUIET = 0.5

HOW_TO_INSTALL = f"""\
DaCapo is not here, so only our side was measured and nothing was written. To measure beside it,
make an environment of its own (Python 3.11, PyTorch's CPU build first where CUDA is not wanted):
    python3.11 -m venv dacapo-environment
    dacapo-environment/bin/pip install --upgrade pip
    dacapo-environment/bin/pip install -c {HERE.name}/constraints_dacapo_cpu.txt dacapo-ml
and name its interpreter:
    DACAPO_PYTHON=dacapo-environment/bin/python make bench"""

_STATUS = Path("/proc/self/status")
_THREAD_SETTINGS = ["OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"]


def arguments_alone(doc: str, **numbers: tuple[int, str]) -> argparse.Namespace:
    """Read the command line of a benchmark of ours alone.

    ``numbers`` are its options of whole numbers: what each is by itself, and its help. Beside
    them there are ``--cores`` and ``--write``.
    """
    parser = _parser(doc)
    for name, (default, told) in numbers.items():
        parser.add_argument(f"--{name}", type=int, default=default, help=told)
    parser.add_argument("--write", action="store_true", help="write the figures into results/")
    return parser.parse_args()


def arguments_beside_dacapo(doc: str, *, quick: str, of: str) -> argparse.Namespace:
    """Read the command line of a benchmark beside DaCapo.

    ``quick`` says what ``--quick`` does, ``of`` what ``--only`` chooses among.
    """
    parser = _parser(doc)
    parser.add_argument("--dacapo", default=os.environ.get("DACAPO_PYTHON"), metavar="PYTHON")
    parser.add_argument("--quick", action="store_true", help=quick)
    parser.add_argument("--only", default="", metavar="WORD", help=f"{of} whose name has the word")
    arguments = parser.parse_args()
    if arguments.dacapo and not Path(arguments.dacapo).exists():
        parser.error(f"there is no interpreter at {arguments.dacapo}")
    return arguments


def _parser(doc: str) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=doc.splitlines()[0])
    parser.add_argument("--cores", type=int, default=2)
    return parser


def load_before(wrong: str) -> float | None:
    """Give how busy the machine is, and warn where that makes figures wrong, and how."""
    load = round(os.getloadavg()[0], 1) if hasattr(os, "getloadavg") else None
    if load is not None and load > QUIET:
        print(f"Other programs are running (load {load}): {wrong}.")
    return load


def machine(cores: int) -> dict[str, Any]:
    """Describe the machine, and how many of its cores are used."""
    model = platform.processor() or platform.machine()
    if Path("/proc/cpuinfo").exists():
        info = Path("/proc/cpuinfo").read_text()
        models = [row.split(":")[1].strip() for row in info.splitlines() if "model name" in row]
        model = models[0] if models else model
    memory = None
    if hasattr(os, "sysconf"):
        memory = round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30)
    return {
        "processor": model,
        "cores_used": cores,
        "cores_there": os.cpu_count(),
        "memory_gib": memory,
        "system": platform.system(),
        "python": platform.python_version(),
    }


def versions(dacapo: str) -> dict[str, str]:
    """Give the versions of DaCapo, in the environment of that interpreter, and of what is here."""
    code = "from importlib.metadata import version; print(version('dacapo-ml'))"
    done = subprocess.run([dacapo, "-c", code], capture_output=True, text=True, check=True)
    ours = {name: version(name) for name in ("napari-dacapo-tasks", "numba", "numpy")}
    return {"dacapo-ml": done.stdout.strip(), "python": platform.python_version(), **ours}


def described(results: dict[str, Any]) -> str:
    """Give the sentence on ``machine`` (with ``load_before``) and ``versions`` of results."""
    there = results["machine"]
    names = ", ".join(f"{name} {number}" for name, number in results["versions"].items())
    return (
        f"{there['processor']}, {there['cores_used']} of {there['cores_there']} cores, "
        f"{there['memory_gib']} GiB, {there['system']}, load {there['load_before']} before; "
        f"{names}."
    )


def megabytes(report: dict[str, Any]) -> str:
    """Give the extra memory of a report of `Measurement`."""
    return "?" if report["extra_bytes"] is None else f"{report['extra_bytes'] / 1e6:.0f}"


def write(name: str, results: dict[str, Any], page: str) -> None:
    """Write figures, and the page on them, into ``results/``."""
    RESULTS.mkdir(exist_ok=True)
    (RESULTS / f"{name}.json").write_text(json.dumps(results, indent=1) + "\n")
    (RESULTS / f"{name}.md").write_text(page)
    print(f"written to {HERE.name}/results/{name}.json and .md")


def write_beside_dacapo(
    name: str,
    arguments: argparse.Namespace,
    load: float | None,
    page: Callable[[dict[str, Any]], str],
    **figures: Any,
) -> None:
    """Write figures that were taken beside DaCapo, and all of them; else say how to take them."""
    if not arguments.dacapo:
        print(HOW_TO_INSTALL)
    elif not (arguments.quick or arguments.only):
        results = {
            "machine": {**machine(arguments.cores), "load_before": load},
            "versions": versions(arguments.dacapo),
            **figures,
        }
        write(name, results, page(results))


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
