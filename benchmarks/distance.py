"""Target and weight of the Distance task: time and memory beside DaCapo, and growth.

    python benchmarks/distance.py [--dacapo PYTHON] [--cores 2] [--quick]

Every figure comes from a new process kept to as many cores, which makes one target and then one
weight with the distance mask, of touching cells, nothing masked out. Imports, and on our side
loading the compiled loops, come before the clock starts; memory is the peak beyond what was held
then, labels and mask included. With DaCapo's interpreter (``--dacapo``, or ``DACAPO_PYTHON``) both
sides run, their targets are compared, and ``results/distance.json`` and ``.md`` are written.
"""

import argparse
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
from scipy import ndimage

HERE = Path(__file__).parent
RESULTS = HERE / "results"

VOXEL_SIZE = 8  # nm, isotropic, as FIB-SEM has it
SCALE_FACTOR = 50.0  # nm
BESIDE_DACAPO = (64, 128, 256)
GROWTH = (64, 128, 256, 512)
# Processes whose median counts; DaCapo takes a minute and 8 GB at 256^3, so there it runs once.
OUR_RUNS = 5
DACAPO_RUNS = {64: 3, 128: 3, 256: 1}
# What is asked of the sizes that take time: times faster, and part of the extra memory.
GOAL_TIMES, GOAL_MEMORY, GOAL_LENGTH = 15, 0.25, 128
AGREEMENT = 1e-6
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


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--dacapo", default=os.environ.get("DACAPO_PYTHON"), metavar="PYTHON")
    parser.add_argument("--cores", type=int, default=2)
    parser.add_argument("--quick", action="store_true", help="64^3 and 128^3 only, one run each")
    arguments = parser.parse_args()
    if arguments.dacapo and not Path(arguments.dacapo).exists():
        parser.error(f"there is no interpreter at {arguments.dacapo}")

    load = round(os.getloadavg()[0], 1) if hasattr(os, "getloadavg") else None
    if load is not None and load > QUIET:
        print(f"Other programs are running (load {load}): the times will be too long.")
    limit = 128 if arguments.quick else max(GROWTH)
    growth = []
    comparison = []
    for length in [length for length in GROWTH if length <= limit]:
        labels = touching_cells(length)
        runs = 1 if arguments.quick else OUR_RUNS
        ours = run_side("ours", sys.executable, labels, arguments.cores, runs)
        growth.append({"length": length, **ours.report})
        print(line(f"{length}^3 ours", ours.report, length), flush=True)
        if arguments.dacapo and length in BESIDE_DACAPO:
            runs = 1 if arguments.quick else DACAPO_RUNS[length]
            theirs = run_side("dacapo", arguments.dacapo, labels, arguments.cores, runs)
            print(line(f"{length}^3 DaCapo", theirs.report, length), flush=True)
            difference = float(np.abs(ours.target - theirs.target).max())
            comparison.append(compare(length, ours.report, theirs.report, difference))
            print("    " + in_words(comparison[-1]), flush=True)
    compiling = first_compilation(arguments.cores)
    print(f"compiling the loops, once on a machine: {compiling:.1f} s")
    if not arguments.dacapo:
        print(HOW_TO_INSTALL)
        return
    results = {
        "machine": {**machine(arguments.cores), "load_before": load},
        "versions": versions(arguments.dacapo),
        "comparison": comparison,
        "growth": growth,
        "first_compilation_seconds": compiling,
    }
    if arguments.quick:
        return
    RESULTS.mkdir(exist_ok=True)
    (RESULTS / "distance.json").write_text(json.dumps(results, indent=1) + "\n")
    (RESULTS / "distance.md").write_text(as_page(results))
    print(f"written to {HERE.name}/results/distance.json and .md")


def touching_cells(length: int) -> np.ndarray:
    """Make ids (length^3, uint16) of touching cells about 28 voxels wide, 3 in 10 background.

    One block of 128^3, cropped for less and repeated in the mirror for more, so that all sizes
    hold the same kind of thing.
    """
    block, spacing = 128, 28
    rng = np.random.default_rng(0)
    seeds = np.ones([block] * 3, bool)
    seeds[tuple(rng.integers(0, block, (3, (block // spacing) ** 3)))] = False
    nearest = ndimage.distance_transform_edt(seeds, return_distances=False, return_indices=True)
    ids = np.zeros(seeds.shape, np.uint16)
    ids[~seeds] = np.arange(1, np.count_nonzero(~seeds) + 1) * (
        rng.random(np.count_nonzero(~seeds)) > 0.3
    )
    cells = ids[tuple(nearest)]
    bend = [ndimage.gaussian_filter(rng.normal(size=cells.shape), 6) for _ in range(3)]
    places = np.indices(cells.shape) + [3 * part / part.std() for part in bend]
    cells = ndimage.map_coordinates(cells, places, order=0, mode="nearest")
    if length <= block:
        return np.ascontiguousarray(cells[:length, :length, :length])
    return np.pad(cells, [(0, length - block)] * 3, mode="symmetric")


class Side:
    """What the processes of one side gave: the last target, and the medians of the rest."""

    def __init__(self, target: np.ndarray, reports: list[dict[str, Any]]) -> None:
        self.target = target
        self.report: dict[str, Any] = {"runs": len(reports)}
        for name in reports[0]:
            values = [report[name] for report in reports if report[name] is not None]
            self.report[name] = statistics.median(values) if values else None


def run_side(side: str, python: str, labels: np.ndarray, cores: int, runs: int) -> Side:
    reports = []
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        np.save(folder / "labels.npy", labels)
        for _ in range(runs):
            command = [python, str(HERE / f"distance_{side}.py"), str(folder), str(cores)]
            command += [str(VOXEL_SIZE), str(SCALE_FACTOR)]
            done = subprocess.run(command, capture_output=True, text=True)
            if done.returncode != 0:
                raise SystemExit(f"{side} failed:\n{done.stderr}")
            reports.append(json.loads((folder / "report.json").read_text()))
        return Side(np.load(folder / "target.npy"), reports)


def first_compilation(cores: int) -> float:
    """Time the loops' compilation where nothing is kept from before."""
    with tempfile.TemporaryDirectory() as name:
        code = (
            f"import sys; sys.path.insert(0, {str(HERE)!r}); import measuring, time; "
            f"measuring.keep_to_cores({cores}); "
            "from napari_dacapo_tasks.numerics.distances import warm_up; "
            "start = time.perf_counter(); warm_up(); print(time.perf_counter() - start)"
        )
        settings = {**os.environ, "NUMBA_CACHE_DIR": name}
        done = subprocess.run(
            [sys.executable, "-c", code], env=settings, capture_output=True, text=True, check=True
        )
        return float(done.stdout)


def compare(
    length: int, ours: dict[str, Any], theirs: dict[str, Any], difference: float
) -> dict[str, Any]:
    if difference > AGREEMENT:
        raise SystemExit(f"The targets of {length}^3 differ by {difference}.")
    memory = None
    if ours["extra_bytes"] is not None:
        memory = ours["extra_bytes"] / theirs["extra_bytes"]
    return {
        "length": length,
        "ours": ours,
        "dacapo": theirs,
        "times_faster": seconds(theirs) / seconds(ours),
        "part_of_memory": memory,
        "largest_difference_of_targets": difference,
    }


def seconds(report: dict[str, Any]) -> float:
    return float(report["target"] + report["weight"])


def line(name: str, report: dict[str, Any], length: int) -> str:
    nanoseconds = seconds(report) / length**3 * 1e9
    return (
        f"{name:14} target {report['target']:8.4f} s  weight {report['weight']:8.4f} s  "
        f"{nanoseconds:7.1f} ns a voxel  {megabytes(report)} MB extra"
    )


def megabytes(report: dict[str, Any]) -> str:
    return "?" if report["extra_bytes"] is None else f"{report['extra_bytes'] / 1e6:.0f}"


def in_words(row: dict[str, Any]) -> str:
    words = f"{row['times_faster']:.0f} times faster"
    reached = row["times_faster"] >= GOAL_TIMES
    if row["part_of_memory"] is not None:
        words += f", in {row['part_of_memory']:.3f} of the extra memory"
        reached = reached and row["part_of_memory"] <= GOAL_MEMORY
    words += f", targets within {row['largest_difference_of_targets']:.1g}"
    if row["length"] >= GOAL_LENGTH and not reached:
        words += f" - NOT the goal of {GOAL_TIMES} times, in {GOAL_MEMORY} of the memory"
    return words


def machine(cores: int) -> dict[str, Any]:
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
    }


def versions(dacapo: str) -> dict[str, str]:
    code = "from importlib.metadata import version; print(version('dacapo-ml'))"
    done = subprocess.run([dacapo, "-c", code], capture_output=True, text=True, check=True)
    ours = {name: version(name) for name in ("napari-dacapo-tasks", "numba", "numpy")}
    return {"dacapo-ml": done.stdout.strip(), "python": platform.python_version(), **ours}


def as_page(results: dict[str, Any]) -> str:
    described = results["machine"]
    rows = [
        "# Distance task: target and weight with the distance mask",
        "",
        f"{described['processor']}, {described['cores_used']} of {described['cores_there']} cores, "
        f"{described['memory_gib']} GiB, {described['system']}, load {described['load_before']} "
        "before; "
        + ", ".join(f"{name} {number}" for name, number in results["versions"].items())
        + ".",
        "",
        f"Touching cells, voxels of {VOXEL_SIZE} nm, scale factor {SCALE_FACTOR:g} nm. Seconds for "
        "target + weight; extra memory is the peak beyond imports, labels and mask. Each figure "
        "is the median of new processes. `benchmarks/distance.py` made this page.",
        "",
        "| voxels | DaCapo | here | times faster | DaCapo's extra memory | here | part |",
        "|---|---|---|---|---|---|---|",
    ]
    for row in results["comparison"]:
        ours, theirs = row["ours"], row["dacapo"]
        part = "?" if row["part_of_memory"] is None else f"1/{1 / row['part_of_memory']:.0f}"
        rows.append(
            f"| {row['length']}^3 | {theirs['target']:.2f} + {theirs['weight']:.2f} s "
            f"| {ours['target']:.3f} + {ours['weight']:.3f} s | **{row['times_faster']:.0f}** "
            f"| {megabytes(theirs)} MB | {megabytes(ours)} MB | {part} |"
        )
    largest = max(row["largest_difference_of_targets"] for row in results["comparison"])
    rows += [
        "",
        f"The targets of the two sides differ by {largest:.1g} at most. The loops are compiled "
        f"once on a machine, in {results['first_compilation_seconds']:.1f} s, and loaded from then "
        f"on in {results['growth'][0]['loading']:.2f} s.",
        "",
        "Growth:",
        "",
        "| voxels | target + weight | a voxel | extra memory a voxel |",
        "|---|---|---|---|",
    ]
    for row in results["growth"]:
        voxels = row["length"] ** 3
        extra = "?" if row["extra_bytes"] is None else f"{row['extra_bytes'] / voxels:.0f} bytes"
        rows.append(
            f"| {row['length']}^3 | {seconds(row):.3f} s | {seconds(row) / voxels * 1e9:.1f} ns "
            f"| {extra} |"
        )
    return "\n".join(rows) + "\n"


if __name__ == "__main__":
    main()
