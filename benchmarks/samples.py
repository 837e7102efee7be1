"""Samples per second beside DaCapo's gunpowder pipeline, and how long training waits for data.

    python benchmarks/samples.py [--dacapo PYTHON] [--cores 2] [--quick] [--only WORD]

A sample is a crop of raw data with its target and weight. Both sides read the same made-up tissue,
which is in memory, and do the same kinds of things to it: each figure comes from a new process
that makes samples for some seconds. One worker has one core; then there are as many workers as
cores. Training steps are only ours, on the processor and on a CUDA card where
there is one. With DaCapo's interpreter (``--dacapo``, or ``DACAPO_PYTHON``) both sides run, and
``results/samples.json`` and ``.md`` are written, which takes about five minutes.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
from measuring import (
    HERE,
    arguments_beside_dacapo,
    described,
    load_before,
    megabytes,
    write_beside_dacapo,
)

EDGE = 192
VOXEL_SIZE = [8, 8, 8]
INPUT_SHAPE, OUTPUT_SHAPE = [92] * 3, [52] * 3

# With DaCapo's default of 10 voxels it takes minutes for a sample.
LSD_VOXELS = 5
TASKS: dict[str, tuple[str, dict[str, Any]]] = {
    "Distance": (
        "distance",
        {
            "channels": ["cell"],
            "clip_distance": 200.0,
            "tol_distance": 40.0,
            "scale_factor": 50.0,
            "mask_distances": True,
        },
    ),
    "Affinities + LSDs": (
        "affinities",
        {
            "neighborhood": [[1, 0, 0], [0, 1, 0], [0, 0, 1]],
            "lsds": True,
            "num_lsd_voxels": LSD_VOXELS,
        },
    ),
}
# Nanometres; DaCapo computes its grid at every eighth voxel.
BEND = {"spacing": 800, "spread": 10, "subsample": 8}
AUGMENTS: dict[str, dict[str, int] | None] = {
    "mirrored, transposed, intensities": None,
    "rotated and bent, too": BEND,
}

GOAL = 5
SECONDS = {"ours": 4.0, "gunpowder": 6.0}
WARM_UP = {"ours": 2.0, "gunpowder": 0.0}
# Samples for each worker: the first ones of all workers are there at about the same time.
LEAST = 2
TRAINING_SECONDS = 8.0
TRAINING_STEPS = 3
CARD_BATCH = 2


def main() -> None:
    arguments = arguments_beside_dacapo(
        __doc__, quick="a second each, nothing is written", of="tasks"
    )
    load = load_before("the figures will be too low")
    tasks = {name: t for name, t in TASKS.items() if arguments.only.lower() in name.lower()}

    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write_tissue(folder)
        comparison = [
            compare(folder, task, augment, cores, arguments)
            for task in tasks
            for augment in AUGMENTS
            for cores in (1, arguments.cores)
        ]
        training = [
            wait(folder, task, augment, device, arguments)
            for device in devices()
            for task in tasks
            for augment in AUGMENTS
        ]
    write_beside_dacapo(
        "samples",
        arguments,
        load,
        as_page,
        comparison=comparison,
        training=training,
    )


def write_tissue(folder: Path) -> None:
    from napari_dacapo_tasks.samples import cells_3d

    tissue = cells_3d((EDGE,) * 3, VOXEL_SIZE)
    np.save(folder / "raw.npy", tissue.raw)
    np.save(folder / "labels.npy", tissue.cells)


def compare(
    folder: Path, task: str, augment: str, cores: int, arguments: argparse.Namespace
) -> dict[str, Any]:
    """Measure one kind of sample on both sides, as far as both are there."""
    row: dict[str, Any] = {"task": task, "augment": augment, "workers": cores, "goal": GOAL}
    sides = {"ours": sys.executable, "gunpowder": arguments.dacapo}
    for side, python in sides.items():
        if not python:
            continue
        settings = {
            "cores": cores,
            "warm_up": 0.0 if arguments.quick else WARM_UP[side],
            "seconds": 1.0 if arguments.quick else SECONDS[side],
            "least": cores * (1 if arguments.quick else LEAST),
        }
        row[side] = run(side, python, folder, {**case_of(task, augment), **settings})
        speed = f"{per_second(row[side])} samples a second"
        print(f"{task}, {augment}, workers: {cores}, {side}: {speed}", flush=True)
    if "gunpowder" in row:
        row["times_faster"] = row["ours"]["per_second"] / row["gunpowder"]["per_second"]
        missed = "" if row["times_faster"] >= GOAL else f" - NOT the goal of {GOAL} times"
        print(f"    {row['times_faster']:.1f} times faster{missed}", flush=True)
    return row


def wait(
    folder: Path, task: str, augment: str, device: str, arguments: argparse.Namespace
) -> dict[str, Any]:
    """Train for some steps, with the number of workers that is taken without being asked."""
    on_card = device != "cpu"
    settings = {
        "cores": (os.cpu_count() or 1) if on_card else arguments.cores,
        "seconds": 1.0 if arguments.quick else TRAINING_SECONDS,
        "least": 1 if arguments.quick else TRAINING_STEPS,
        "device": device,
        "batch_size": CARD_BATCH if on_card else 1,
    }
    report = run("ours", sys.executable, folder, {**case_of(task, augment), **settings})
    print(
        f"{task}, {augment}, training on {device}: {report['step_seconds']:.3f} s a step, "
        f"{report['waited_share']:.1%} of them waiting",
        flush=True,
    )
    return {"task": task, "augment": augment, "device": device, **report}


def case_of(task: str, augment: str) -> dict[str, Any]:
    kind, values = TASKS[task]
    return {
        "kind": kind,
        "task": values,
        "bend": AUGMENTS[augment],
        "voxel_size": VOXEL_SIZE,
        "input_shape": INPUT_SHAPE,
        "output_shape": OUTPUT_SHAPE,
    }


def run(side: str, python: str, folder: Path, case: dict[str, Any]) -> dict[str, Any]:
    """Do a case in a process of its own, and give its report."""
    with tempfile.TemporaryDirectory(dir=folder) as name:
        place = Path(name)
        for array in ("raw.npy", "labels.npy"):
            (place / array).symlink_to(folder / array)
        (place / "case.json").write_text(json.dumps(case))
        command = [python, str(HERE / f"samples_{side}.py"), str(place)]
        done = subprocess.run(command, capture_output=True, text=True)
        if done.returncode != 0:
            raise SystemExit(f"{side} failed:\n{done.stderr}")
        report: dict[str, Any] = json.loads((place / "report.json").read_text())
        return report


def devices() -> list[str]:
    """Give where training can be measured."""
    code = "import torch; print(torch.cuda.is_available())"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return ["cpu", "cuda:0"] if done.stdout.strip() == "True" else ["cpu"]


def per_second(report: dict[str, Any]) -> str:
    return f"{report['per_second']:.3g}"


def as_page(results: dict[str, Any]) -> str:
    rows = [
        "# Samples, and waiting for them",
        "",
        described(results),
        "",
        f"A sample: {INPUT_SHAPE[0]}^3 voxels of raw data, target and weight of "
        f"{OUTPUT_SHAPE[0]}^3, from made-up tissue of {EDGE}^3 voxels of {VOXEL_SIZE[0]} nm, in "
        "memory on both sides. DaCapo: its `GunpowderTrainer` with simple, intensity and gamma "
        "augments, and the elastic one with free rotation, its grid computed at every eighth "
        "voxel. Here: the same and blur and noise, each of them in every crop. Distance has a "
        f"scale factor of {TASKS['Distance'][1]['scale_factor']:g} nm and its mask; LSDs have a "
        f"sigma of {LSD_VOXELS} voxels. Extra memory is the peak beyond imports and data, of one "
        "worker. `benchmarks/samples.py` made this page.",
        "",
        "| task | crops are | workers | DaCapo, a second | here, a second | times faster | asked "
        "| DaCapo's first sample | here | DaCapo's extra memory | here |",
        "|---|---|---|---|---|---|---|---|---|---|---|",
    ]
    for row in results["comparison"]:
        # What several processes hold together, one of them does not tell.
        alone = row["workers"] == 1
        memory = [f"{megabytes(row[side])} MB" if alone else "" for side in ("gunpowder", "ours")]
        first = [f"{row[side]['first_seconds']:.1f} s" for side in ("gunpowder", "ours")]
        rows.append(
            f"| {row['task']} | {row['augment']} | {row['workers']} "
            f"| {per_second(row['gunpowder'])} | {per_second(row['ours'])} "
            f"| **{row['times_faster']:.3g}** | {row['goal']} | {first[0]} | {first[1]} "
            f"| {memory[0]} | {memory[1]} |"
        )
    rows += [
        "",
        "The first sample comes later: imports and data apart, DaCapo starts its workers and here "
        "compiled loops are loaded and, where crops are not bent, all targets are made.",
        "",
        "Training a U-Net of 12 feature maps and two steps down, with the workers that are taken "
        "without being asked:",
        "",
        "| task | crops are | device | batch | a step | of it waiting |",
        "|---|---|---|---|---|---|",
    ]
    for row in results["training"]:
        rows.append(
            f"| {row['task']} | {row['augment']} | {row['device']} | {row['batch_size']} "
            f"| {row['step_seconds']:.3f} s | {row['waited_share']:.1%} |"
        )
    return "\n".join(rows) + "\n"


if __name__ == "__main__":
    main()
