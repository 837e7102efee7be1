"""Threshold and connected components beside SciPy and cc3d, and block by block.

    python benchmarks/segment.py [--cores 2] [--edge 512] [--write]

Each figure comes from a process of its own that is kept to so many cores, with a prediction of
``edge``^3 float32 values in memory: threshold, then components across faces, three times over; the
fastest counts. Memory is the peak beyond the prediction and the imports. In blocks: the same from
a file and into an OME-Zarr image, coarser levels included, once. With ``--write`` the figures go
to ``results/segment.json`` and ``.md``. It takes about five minutes, 3 GB of memory, and 1 GB of
disk for temporary files.
"""

import json
import subprocess
import sys
import tempfile
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from measuring import (
    Measurement,
    arguments_alone,
    described,
    keep_to_cores,
    load_before,
    machine,
    megabytes,
    write,
)

NAME = "segment"
GOAL = 2.5
TIMES = 3

# Spread of the smooth noise that a prediction is made of, and the threshold in its deviations.
CASES = {
    "organelles: few, smooth": (4.0, 1.0),
    "a network: most of the volume": (4.0, -0.5),
    "grains: many, small": (1.5, 1.0),
    "pure noise, 31 % above": (0.0, 0.5),
}
SIDES = {"ours": "here", "scipy": "SciPy", "cc3d": "cc3d", "blocks": "here, in blocks"}


def main() -> None:
    if len(sys.argv) == 3 and sys.argv[1] == "--measure":
        measure(Path(sys.argv[2]))
        return
    arguments = arguments_alone(__doc__, edge=(512, "voxels along each axis"))
    load = load_before("the figures will be too long")
    sides = [side for side in SIDES if side != "cc3d" or find_spec("cc3d")]
    rows = []
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for case, (spread, threshold) in CASES.items():
            make_prediction(folder / "prediction.npy", arguments.edge, spread)
            row: dict[str, Any] = {"case": case}
            for side in sides:
                row[side] = run(side, folder, threshold, arguments.cores)
                print(f"{case}, {SIDES[side]}: {row[side]['seconds']:.2f} s", flush=True)
            found = {row[side]["objects"] for side in sides}
            assert len(found) == 1, f"the sides find different numbers of objects: {found}"
            row["times_faster"] = row["scipy"]["seconds"] / row["ours"]["seconds"]
            missed = "" if row["times_faster"] >= GOAL else f" - NOT the goal of {GOAL} times"
            print(f"    {row['times_faster']:.1f} times faster than SciPy{missed}", flush=True)
            rows.append(row)
    packages = ["napari-dacapo-tasks", "numba", "numpy", "scipy"]
    packages += ["connected-components-3d"] if "cc3d" in sides else []
    results = {
        "machine": {**machine(arguments.cores), "load_before": load},
        "versions": {name: version(name) for name in packages},
        "edge": arguments.edge,
        "rows": rows,
    }
    if arguments.write:
        write(NAME, results, page(results))


def make_prediction(path: Path, edge: int, spread: float) -> None:
    """Write smooth noise with a deviation of 1; mirrored from an eighth, to be made in no time."""
    import numpy as np
    from scipy import ndimage

    half = -(-edge // 2)
    noise = np.random.default_rng(0).standard_normal((half,) * 3, np.float32)
    if spread:
        noise = ndimage.gaussian_filter(noise, spread)
        noise /= noise.std()
    np.save(path, np.pad(noise, ((0, edge - half),) * 3, mode="symmetric"))


def run(side: str, folder: Path, threshold: float, cores: int) -> dict[str, Any]:
    """Do a case on one side in a process of its own, and give its report."""
    settings = {"side": side, "threshold": threshold, "cores": cores}
    (folder / "case.json").write_text(json.dumps(settings))
    command = [sys.executable, str(Path(__file__)), "--measure", str(folder)]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode != 0:
        raise SystemExit(f"{side} failed:\n{done.stderr}")
    report: dict[str, Any] = json.loads((folder / "report.json").read_text())
    return report


def measure(folder: Path) -> None:
    """Do what ``case.json`` in a folder says, and write ``report.json``."""
    case = json.loads((folder / "case.json").read_text())
    keep_to_cores(case["cores"])
    import numpy as np

    mapped = "r" if case["side"] == "blocks" else None
    values = np.load(folder / "prediction.npy", mmap_mode=mapped)
    work = {"ours": ours, "scipy": scipy, "cc3d": cc3d, "blocks": in_blocks}[case["side"]]
    work(np.ones((2, 3, 4), np.float32), case["threshold"])  # imports, and loads what is compiled
    seconds, objects = [], 0
    measurement = Measurement()
    for number in range(1 if mapped else TIMES):
        objects = measurement.step(f"time {number}", lambda: work(values, case["threshold"]))
    seconds = list(measurement.seconds.values())
    measurement.finish(folder / "report.json", seconds=min(seconds), objects=objects)


def scipy(values: Any, threshold: float) -> int:
    from scipy import ndimage

    return int(ndimage.label(values > threshold)[1])


def cc3d(values: Any, threshold: float) -> int:
    from cc3d import connected_components

    return int(connected_components(values > threshold, connectivity=6).max())


def ours(values: Any, threshold: float) -> int:
    from napari_dacapo_tasks.segmentation.segment import segment

    return labels_in(segment(prediction_of(values), METHOD, {"threshold": threshold}))


def in_blocks(values: Any, threshold: float) -> int:
    from napari_dacapo_tasks.segmentation.blocks import segment_blockwise

    with tempfile.TemporaryDirectory() as name:
        steps = segment_blockwise(
            prediction_of(values), Path(name) / "out.zarr", METHOD, {"threshold": threshold}
        )
        return labels_in(steps)


METHOD = "Threshold and connected components"


def labels_in(steps: Any) -> int:
    """Give the number of objects, plane by plane, so that it takes no memory."""
    from napari_dacapo_tasks.tasks.post_processors.post_processor import result_of

    data = result_of(steps).array.data
    return max(int(data[0, z].max()) for z in range(data.shape[1]))


def prediction_of(values: Any) -> Any:
    from napari_dacapo_tasks.arrays import NumpyArray
    from napari_dacapo_tasks.prediction.prediction import Prediction
    from napari_dacapo_tasks.tasks import DistanceTaskConfig

    task = DistanceTaskConfig(
        name="objects", channels=["objects"], scale_factor=50, clip_distance=200, tol_distance=40
    )
    return Prediction(NumpyArray(values[None], axes="czyx", voxel_size=(8, 8, 8)), task)


def page(results: dict[str, Any]) -> str:
    rows = results["rows"]
    sides = [side for side in SIDES if side in rows[0]]
    names = [SIDES[side] for side in sides]
    lines = [
        "# Threshold and connected components",
        "",
        described(results),
        "",
        f"A prediction of {results['edge']}^3 float32 values: threshold, then components across "
        "faces. Extra memory is the peak beyond the prediction and the imports; labels of 32 bits "
        f"alone are {results['edge'] ** 3 * 4 / 1e6:.0f} MB. In blocks: from a file into an "
        "OME-Zarr image with its coarser levels, whose memory is that of the blocks and does not "
        f"grow with the volume. `benchmarks/{NAME}.py` made this page.",
        "",
        "| prediction | objects | "
        + " | ".join(names)
        + f" | times faster than SciPy | asked | extra memory: {' | '.join(names)} |",
        "|---" * (4 + 2 * len(sides)) + "|",
    ]
    for row in rows:
        times = " | ".join(f"{row[side]['seconds']:.2f} s" for side in sides)
        memory = " | ".join(f"{megabytes(row[side])} MB" for side in sides)
        lines.append(
            f"| {row['case']} | {row['ours']['objects']} | {times} "
            f"| **{row['times_faster']:.1f}** | {GOAL} | {memory} |"
        )
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    main()
