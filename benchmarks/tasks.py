"""Target and weight of every task, and scores: time and memory beside DaCapo, and growth.

    python benchmarks/tasks.py [--dacapo PYTHON] [--cores 2] [--quick] [--only WORD]

Every figure comes from a new process kept to as many cores, which makes one target and then one
weight of touching cells, nothing masked out. Imports, and on our side loading the compiled loops,
come before the clock starts; memory is the peak beyond what was held then, labels and mask
included. With DaCapo's interpreter (``--dacapo``, or ``DACAPO_PYTHON``) both sides run, their
targets are compared, and ``results/tasks.json`` and ``.md`` are written.
"""

import json
import os
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
from cases import CASES, LSD_VOXELS, OBJECT_NUMBERS, SCALE_FACTOR, VOXEL_SIZE, Case, touching_cells
from cases import shifted as a_little_wrong
from measuring import (
    HERE,
    arguments_beside_dacapo,
    described,
    load_before,
    megabytes,
    write_beside_dacapo,
)

# Processes whose median counts. DaCapo takes minutes for some work, so that runs once.
OUR_RUNS = 3
DACAPO_RUNS = 3
LONG = 3.0  # seconds of DaCapo after which one run is enough
QUICK_LENGTH = 128
GOALS_FROM = 128


def main() -> None:
    arguments = arguments_beside_dacapo(__doc__, quick="up to 128^3, one run each", of="cases")
    load = load_before("the times will be too long")
    limit = QUICK_LENGTH if arguments.quick else sys.maxsize
    our_runs = 1 if arguments.quick else OUR_RUNS
    cases = [case for case in CASES if arguments.only.lower() in case.name.lower()]
    comparison = []
    for case in cases:
        for length in (length for length in case.lengths if length <= limit):
            labels = _labels(case, length)
            ours = Side("ours", sys.executable, case, labels, arguments.cores, our_runs)
            print(line(f"{case.name} {length}^3, here", ours.report, length), flush=True)
            if arguments.dacapo:
                theirs = Side("dacapo", arguments.dacapo, case, labels, arguments.cores, 1)
                if not arguments.quick and seconds(theirs.report) < LONG:
                    theirs = Side(
                        "dacapo", arguments.dacapo, case, labels, arguments.cores, DACAPO_RUNS
                    )
                print(line(f"{case.name} {length}^3, DaCapo", theirs.report, length), flush=True)
                comparison.append(compare(case, length, ours, theirs))
                print("    " + in_words(comparison[-1], case), flush=True)
    growth = []
    for case in cases:
        for length in (length for length in case.growth if length <= limit):
            side = Side("ours", sys.executable, case, _labels(case, length), arguments.cores, 1)
            growth.append({"case": case.name, "length": length, **side.report})
            print(line(f"{case.name} {length}^3", side.report, length), flush=True)
    crowds = []
    for case in cases:
        if case.objects is not None:
            for number in OBJECT_NUMBERS:
                labels = touching_cells(128, number)
                side = Side("ours", sys.executable, case, labels, arguments.cores, our_runs)
                crowds.append({"objects": len(np.unique(labels)) - 1, **side.report})
                print(line(f"{crowds[-1]['objects']} objects", side.report, 128), flush=True)
    write_beside_dacapo(
        "tasks",
        arguments,
        load,
        as_page,
        comparison=comparison,
        growth=growth,
        objects=crowds,
        first_compilation_seconds=first_compilation(arguments.cores),
    )


def _labels(case: Case, length: int) -> np.ndarray:
    labels = touching_cells(length, case.objects)
    return (labels != 0).astype(np.uint8) if case.foreground else labels


class Side:
    """What the processes of one side gave: the last target, and the medians of the rest."""

    def __init__(
        self, side: str, python: str, case: Case, labels: np.ndarray, cores: int, runs: int
    ) -> None:
        reports = []
        self.target: np.ndarray | None = None
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            np.save(folder / "labels.npy", labels)
            if not case.predictor:
                np.save(folder / "test.npy", a_little_wrong(labels))
            keep = bool(case.predictor) and len(labels) in case.lengths
            (folder / "case.json").write_text(json.dumps({**case.described(), "keep": keep}))
            for _ in range(runs):
                command = [python, str(HERE / f"tasks_{side}.py"), str(folder), str(cores)]
                done = subprocess.run(command, capture_output=True, text=True)
                if done.returncode != 0:
                    raise SystemExit(f"{side} failed:\n{done.stderr}")
                reports.append(json.loads((folder / "report.json").read_text()))
            if keep:
                self.target = np.load(folder / "target.npy")
        self.report: dict[str, Any] = {"runs": len(reports)}
        for key in reports[0]:
            values = [report[key] for report in reports if report[key] is not None]
            self.report[key] = statistics.median(values) if values else None


def first_compilation(cores: int) -> float:
    """Time the compilation of all loops where nothing is kept from before."""
    with tempfile.TemporaryDirectory() as name:
        code = (
            f"import sys; sys.path.insert(0, {str(HERE)!r}); import measuring, time; "
            f"measuring.keep_to_cores({cores}); import numba, scipy.ndimage; "
            "from napari_dacapo_tasks.numerics import affinities, distances, lsds; "
            "start = time.perf_counter(); "
            "affinities.warm_up(); distances.warm_up(); lsds.warm_up(); "
            "print(time.perf_counter() - start)"
        )
        settings = {**os.environ, "NUMBA_CACHE_DIR": name}
        done = subprocess.run(
            [sys.executable, "-c", code], env=settings, capture_output=True, text=True, check=True
        )
        return float(done.stdout)


def compare(case: Case, length: int, ours: Side, theirs: Side) -> dict[str, Any]:
    difference = None
    if ours.target is not None and theirs.target is not None:
        difference = max(
            float(np.abs(one.astype(np.float32) - other).max())
            for one, other in zip(ours.target, theirs.target, strict=True)
        )
        if difference > case.agreement:
            raise SystemExit(f"The targets of {case.name} at {length}^3 differ by {difference}.")
    memory = None
    if ours.report["extra_bytes"] is not None:
        memory = ours.report["extra_bytes"] / theirs.report["extra_bytes"]
    return {
        "case": case.name,
        "length": length,
        "ours": ours.report,
        "dacapo": theirs.report,
        "times_faster": seconds(theirs.report) / seconds(ours.report),
        "goal": case.goal,
        "part_of_memory": memory,
        "largest_difference_of_targets": difference,
    }


def seconds(report: dict[str, Any]) -> float:
    return sum(float(report.get(name, 0)) for name in ("target", "weight", "scores"))


def steps(report: dict[str, Any]) -> str:
    times = [report[name] for name in ("target", "weight", "scores") if name in report]
    return " + ".join(f"{time:.3f}" if time < 1 else f"{time:.2f}" for time in times) + " s"


def line(name: str, report: dict[str, Any], length: int) -> str:
    nanoseconds = seconds(report) / length**3 * 1e9
    return (
        f"{name:36} {steps(report):18} {nanoseconds:8.1f} ns a voxel  {megabytes(report)} MB extra"
    )


def in_words(row: dict[str, Any], case: Case) -> str:
    words = f"{row['times_faster']:.1f} times faster"
    missed = [] if row["times_faster"] >= case.goal else [f"{case.goal:g} times as fast"]
    if row["part_of_memory"] is not None:
        words += f", in {row['part_of_memory']:.3f} of the extra memory"
        if case.memory is not None and row["part_of_memory"] > case.memory:
            missed.append(f"{case.memory:g} of the memory")
    if row["length"] >= GOALS_FROM and missed:
        words += f" - NOT the goal of {' and '.join(missed)}"
    return words


def as_page(results: dict[str, Any]) -> str:
    rows = [
        "# Target and weight of every task, and scores",
        "",
        described(results),
        "",
        f"Touching cells, voxels of {VOXEL_SIZE} nm, scale factor {SCALE_FACTOR:g} nm, LSDs with a "
        f"sigma of {LSD_VOXELS} voxels. Seconds for target + weight; extra memory is the peak "
        "beyond imports, labels and mask, with the results. Each figure is the median of new "
        "processes. `benchmarks/tasks.py` made this page.",
        "",
        "| work | voxels | DaCapo | here | times faster | asked | DaCapo's extra memory | here "
        "| part |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    for row in results["comparison"]:
        ours, theirs = row["ours"], row["dacapo"]
        part = "?" if row["part_of_memory"] is None else f"1/{1 / row['part_of_memory']:.1f}"
        rows.append(
            f"| {row['case']} | {row['length']}^3 | {steps(theirs)} | {steps(ours)} "
            f"| **{row['times_faster']:.3g}** | {row['goal']:g} "
            f"| {megabytes(theirs)} MB | {megabytes(ours)} MB | {part} |"
        )
    rows += [
        "",
        "Targets agree within 1e-6, those of LSDs within 1e-3. All loops are compiled once on a "
        f"machine, in {results['first_compilation_seconds']:.0f} s.",
        "",
        "Growth with the volume:",
        "",
        "| work | voxels | target + weight | a voxel | extra memory a voxel |",
        "|---|---|---|---|---|",
    ]
    for row in results["growth"]:
        voxels = row["length"] ** 3
        extra = "?" if row["extra_bytes"] is None else f"{row['extra_bytes'] / voxels:.0f} bytes"
        rows.append(
            f"| {row['case']} | {row['length']}^3 | {seconds(row):.3f} s "
            f"| {seconds(row) / voxels * 1e9:.1f} ns | {extra} |"
        )
    rows += [
        "",
        "Growth of LSDs with the number of objects in 128^3:",
        "",
        "| objects | target + weight |",
        "|---|---|",
    ]
    rows += [f"| {row['objects']} | {seconds(row):.3f} s |" for row in results["objects"]]
    return "\n".join(rows) + "\n"


if __name__ == "__main__":
    main()
