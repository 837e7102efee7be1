"""Memory and time of predicting volumes that are far larger than memory should have to be.

    python benchmarks/large_volume.py [--cores 2] [--edge 2048] [--depth 512] [--workers 2]
        [--write]

A tiny network (a U-Net of 1 feature map, random weights) predicts ``depth`` x ``edge`` x ``edge``
voxels of uint8 from an OME-Zarr image into one of float32, coarser levels included: in one
process, and block by block with several workers. Before that it does a volume of an eighth of each
edge, to see whether memory grows. The raw data is one chunk of smooth noise under many names, so
that it takes no disk; the output takes about 4 bytes a voxel.

Memory is the peak of all processes together, in proportional shares of what they share (PSS),
taken four times a second. What one process holds that has imported everything and loaded the
network is taken off, once for each process that predicts; all else counts. With ``--write`` the
figures go to ``results/large_volume.json`` and ``.md``. It takes about half an hour on 2 cores.
"""

import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from importlib.metadata import version
from math import prod
from pathlib import Path
from typing import Any

import numpy as np
from measuring import (
    arguments_alone,
    described,
    keep_to_cores,
    load_before,
    machine,
    write,
)

NAME = "large_volume"
GOAL = 2e9
"""Bytes beyond the network."""

CHUNK = 64
VOXEL = 8
SECONDS_BETWEEN = 0.25
SMALLER = 8
WAYS = {"workers": "workers", "one": "one process"}


def main() -> None:
    if len(sys.argv) == 3 and sys.argv[1] == "--predict":
        predict(json.loads(sys.argv[2]))
        return
    arguments = arguments_alone(
        __doc__,
        edge=(2048, "voxels along y and x"),
        depth=(512, "voxels along z"),
        workers=(2, "of the second way; 0 leaves it out"),
    )
    load = load_before("the times will be too long")
    keep_to_cores(arguments.cores)
    whole = (arguments.depth, arguments.edge, arguments.edge)
    shapes = [tuple(max(CHUNK, n // SMALLER) for n in whole), whole]
    rows: list[dict[str, Any]] = []
    results = {
        "machine": {**machine(arguments.cores), "load_before": load},
        "versions": {
            name: version(name) for name in ("napari-dacapo-tasks", "torch", "zarr", "daisy")
        },
        "workers": arguments.workers,
        "rows": rows,
    }
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        run = make_run(folder)
        for shape in shapes:
            make_raw(folder / "raw.zarr", shape)
            for way in WAYS:
                if way == "workers" and not arguments.workers:
                    continue
                row = measured(folder, run, way, arguments.workers)
                rows.append({"way": way, "shape": shape, **row})
                print(line(rows[-1], arguments.workers), flush=True)
                if arguments.write:  # each is long, and the next may be stopped
                    write(NAME, results, page(results))


def make_run(folder: Path) -> Path:
    """Make a run with a tiny network, as if it had been trained."""
    import torch

    from napari_dacapo_tasks.architectures import CNNectomeUNet
    from napari_dacapo_tasks.arrays import Channel, LabelsConfig, NumpyArray
    from napari_dacapo_tasks.runs.create import Row, create_run
    from napari_dacapo_tasks.runs.trainer_config import TrainerConfig
    from napari_dacapo_tasks.tasks import DistanceTaskConfig
    from napari_dacapo_tasks.tasks.post_processors.post_processor import result_of

    task = DistanceTaskConfig(
        name="tiny", channels=["mito"], scale_factor=24, clip_distance=80, tol_distance=16
    )
    network = CNNectomeUNet(
        input_shape=(24, 24, 24),
        num_fmaps=1,
        fmaps_out=1,
        fmap_inc_factor=2,
        downsample_factors=[(2, 2, 2)],
        kernel_size_down=[[(3, 3, 3)], [(3, 3, 3)]],
        kernel_size_up=[[(3, 3, 3)]],
    )
    random = np.random.default_rng(0)
    size = (VOXEL,) * 3
    raw = NumpyArray(random.integers(0, 255, (40,) * 3, np.uint8), axes="zyx", voxel_size=size)
    labels = np.zeros((40,) * 3, np.uint8)
    labels[10:30, 10:30, 10:30] = 1
    known = NumpyArray(labels, axes="zyx", voxel_size=size)
    run = result_of(
        create_run(
            folder / "run",
            task=task,
            architecture=network,
            rows=[Row(raw, known)],
            labels=LabelsConfig(channels=(Channel(name="mito"),)),
            trainer=TrainerConfig(iterations=1, device="cpu"),
        )
    )
    torch.manual_seed(0)
    model = task.task_type(task).predictor.create_model(network)
    run.save_checkpoint({"model": model.chain.state_dict()}, 1)
    return Path(run.path)


def make_raw(path: Path, shape: tuple[int, ...]) -> None:
    """Make raw data of whatever size on no disk: every chunk is the same file."""
    from funlib.geometry import Coordinate, Roi
    from scipy import ndimage

    from napari_dacapo_tasks.arrays.growing_image import GrowingImage
    from napari_dacapo_tasks.units import NANOMETRE

    shutil.rmtree(path, ignore_errors=True)
    size = Coordinate((VOXEL,) * 3)
    image = GrowingImage.create(
        path,
        roi=Roi((0,) * 3, Coordinate(shape) * size),
        voxel_size=size,
        unit=NANOMETRE,
        axes=("z", "y", "x"),
        num_channels=None,
        dtype=np.uint8,
        name="raw",
        block_shape=(CHUNK,) * 3,
        sharded=False,
    )
    noise = np.random.default_rng(0).standard_normal((CHUNK,) * 3, np.float32)
    noise = ndimage.gaussian_filter(noise, 1.5, mode="wrap")
    smooth = (127 + 50 * noise / noise.std()).clip(0, 255).astype(np.uint8)
    image.write(image.block((0, 0, 0)), smooth)
    first = path / "0/0/0/0"
    for index in image.indices():
        place = path.joinpath("0", *map(str, index))
        if place != first:
            place.parent.mkdir(parents=True, exist_ok=True)
            os.link(first, place)


def measured(folder: Path, run: Path, way: str, workers: int) -> dict[str, Any]:
    """Predict in a process of its own, and watch the memory of it and its children."""
    import psutil

    out = folder / "out.zarr"
    case = {
        "run": str(run),
        "raw": str(folder / "raw.zarr"),
        "out": str(out),
        "workers": max(1, workers),
    }
    report = folder / "report.json"
    probe = json.dumps({**case, "way": "probe", "report": str(report)})
    subprocess.run([sys.executable, __file__, "--predict", probe], check=True)
    network = json.loads(report.read_text()) * (workers if way == "workers" else 1)
    start = time.perf_counter()
    command = [sys.executable, __file__, "--predict", json.dumps({**case, "way": way})]
    process = subprocess.Popen(command)
    peak = 0
    while process.poll() is None:
        peak = max(peak, proportional(psutil.Process(process.pid)))
        time.sleep(SECONDS_BETWEEN)
    if process.returncode:
        raise SystemExit(f"predicting in {WAYS[way]} failed")
    seconds = time.perf_counter() - start
    stored = sum(path.stat().st_size for path in out.rglob("*") if path.is_file())
    shutil.rmtree(out)
    return {
        "seconds": seconds,
        "network_bytes": network,
        "peak_bytes": peak,
        "beyond_bytes": peak - network,
        "stored_bytes": stored,
    }


def proportional(process: Any) -> int:
    """Give what a process and its children hold, with what they share counted once."""
    import psutil

    held = 0
    try:
        family = [process, *process.children(recursive=True)]
    except psutil.Error:
        return 0
    for one in family:
        try:
            full = one.memory_full_info()
        except psutil.Error:
            continue
        held += getattr(full, "pss", full.uss)
    return held


def predict(case: dict[str, Any]) -> None:
    """Predict as a case says, in this process or by workers; or say what the network takes."""
    import psutil

    from napari_dacapo_tasks.prediction.config import PredictionConfig
    from napari_dacapo_tasks.prediction.inference import Inference
    from napari_dacapo_tasks.prediction.large.blockwise import BlockwiseJob, predict_blockwise
    from napari_dacapo_tasks.prediction.predict import predict as in_one_process

    job = BlockwiseJob(
        trained=Path(case["run"]),
        raw=case["raw"],
        out=Path(case["out"]),
        config=PredictionConfig(device="cpu"),
        workers=case["workers"],
    )
    if case["way"] == "probe":
        with Inference(job.plan().trained, job.config):
            held = proportional(psutil.Process())
        Path(case["report"]).write_text(json.dumps(held))
        return
    if case["way"] == "one":
        steps = in_one_process(job.plan(), job.config, job.out)
    else:
        steps = predict_blockwise(job)
    for _ in steps:
        pass


def line(row: dict[str, Any], workers: int) -> str:
    voxels = prod(row["shape"])
    way = WAYS[row["way"]] if row["way"] == "one" else f"{workers} workers"
    over = "" if row["beyond_bytes"] <= GOAL else " - MORE than asked"
    return (
        f"{' x '.join(map(str, row['shape']))}, {way}: {row['seconds']:.0f} s, "
        f"{voxels / row['seconds'] / 1e6:.1f} million voxels/s, peak "
        f"{row['peak_bytes'] / 1e6:.0f} MB, beyond the network {row['beyond_bytes'] / 1e6:.0f} MB"
        f"{over}"
    )


def page(results: dict[str, Any]) -> str:
    lines = [
        "# Large volumes",
        "",
        described(results),
        "",
        "A U-Net of 1 feature map and one step down, on the processor; uint8 from an OME-Zarr "
        "image, float32 into one, coarser levels included. Memory: the peak of all processes "
        "together; beyond the network: less what a process holds that has imported everything and "
        "loaded the network, once for each that predicts. "
        f"`benchmarks/{NAME}.py` made this page.",
        "",
        "| voxels | in | time | voxels a second | output | peak | beyond the network | asked |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for row in results["rows"]:
        way = WAYS["one"] if row["way"] == "one" else f"{results['workers']} workers"
        lines.append(
            f"| {' x '.join(map(str, row['shape']))} | {way} | {row['seconds']:.0f} s "
            f"| {prod(row['shape']) / row['seconds'] / 1e6:.1f} million "
            f"| {row['stored_bytes'] / 1e9:.2f} GB | {row['peak_bytes'] / 1e6:.0f} MB "
            f"| **{row['beyond_bytes'] / 1e6:.0f} MB** | {GOAL / 1e6:.0f} MB |"
        )
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    main()
