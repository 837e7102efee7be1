"""Voxels predicted a second: the network alone, here, a plain loop over tiles, and DaCapo.

    python benchmarks/predict.py [--cores 2] [--dacapo PYTHON] [--quick] [--only WORD]

The same U-Net of random weights, on the same zarr volume, on all sides; each figure comes from a
process of its own. All see tiles of the same size but the last one of ours, which is chosen by
the memory that is free. ``bare`` is the network alone on tensors that are there already, and
nothing is done with its answers: what ours takes longer than that is its overhead. ``loop`` reads,
computes and writes one tile after the other. With DaCapo's interpreter (``--dacapo``, or
``DACAPO_PYTHON``) its ``predict_local.predict`` runs, too, and ``results/predict.json`` and ``.md``
are written. On a graphics card, where there is one, only our sides run. It takes a quarter of an
hour.
"""

import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from measuring import (
    HERE,
    Measurement,
    arguments_beside_dacapo,
    described,
    keep_to_cores,
    load_before,
    megabytes,
    write_beside_dacapo,
)

NAME = "predict"
GOAL = 0.10
ROUNDS, TIMES = 2, 2
VOXEL_SIZE = 8

# A volume from which the network's answers are tiles of one size, side by side.
CASES: dict[str, dict[str, Any]] = {
    "3D, 8 feature maps, 2 steps down": {
        "volume": [224] * 3,
        "tile": [132] * 3,
        "network": {
            "num_fmaps": 8,
            "fmaps_out": 8,
            "fmap_inc_factor": 2,
            "downsample_factors": [[2, 2, 2], [2, 2, 2]],
        },
        "channels": 3,
    },
    "2D, 12 feature maps, 3 steps down": {
        "volume": [2140] * 2,
        "tile": [604] * 2,
        "network": {
            "num_fmaps": 12,
            "fmaps_out": 12,
            "fmap_inc_factor": 2,
            "downsample_factors": [[2, 2], [2, 2], [2, 2]],
        },
        "channels": 3,
    },
}
SIDES = {
    "bare": "the network alone",
    "loop": "a plain loop",
    "memory": "here, into memory",
    "disk": "here, into OME-Zarr",
    "own": "here, tiles of its own size",
    "dacapo": "DaCapo",
}


def main() -> None:
    if len(sys.argv) == 3 and sys.argv[1] == "--measure":
        measure(Path(sys.argv[2]))
        return
    arguments = arguments_beside_dacapo(
        __doc__, quick="each side once, nothing is written", of="networks"
    )
    load = load_before("the figures will be too low")
    rows = []
    for name, case in CASES.items():
        if arguments.only.lower() not in name.lower():
            continue
        for device in devices():
            with tempfile.TemporaryDirectory() as folder:
                row = compare(Path(folder), case, device, arguments)
            rows.append({"case": name, "device": device, **row})
    write_beside_dacapo(
        NAME,
        arguments,
        load,
        page,
        rows=rows,
    )


def compare(folder: Path, case: dict[str, Any], device: str, arguments: Any) -> dict[str, Any]:
    """Measure one network on all sides, turn by turn, and keep the best of each."""
    make_volume(folder, case)
    sides = [side for side in SIDES if side != "dacapo" or (arguments.dacapo and device == "cpu")]
    row: dict[str, Any] = {}
    for _ in range(1 if arguments.quick else ROUNDS):
        for side in sides:
            python = arguments.dacapo if side == "dacapo" else sys.executable
            report = run(side, python, folder, {**case, "device": device}, arguments)
            if side not in row or report["seconds"] < row[side]["seconds"]:
                row[side] = report
    bare, voxels = row["bare"], row["bare"]["voxels"]
    for side in sides:
        row[side]["per_second"] = row[side]["voxels"] / row[side]["seconds"]
        assert side == "own" or row[side]["voxels"] == voxels, f"{side} predicts other voxels"
        print(f"{SIDES[side]}: {row[side]['per_second']:.3g} voxels a second", flush=True)
    for side in ("memory", "disk"):
        row[side]["overhead"] = row[side]["seconds"] / bare["seconds"] - 1
        missed = "" if row[side]["overhead"] <= GOAL else f" - NOT the goal of {GOAL:.0%}"
        print(f"    {SIDES[side]}: {row[side]['overhead']:.1%} overhead{missed}", flush=True)
    return row


def run(
    side: str, python: str, folder: Path, case: dict[str, Any], arguments: Any
) -> dict[str, Any]:
    """Do a case on one side in a process of its own, and give its report."""
    settings = {**case, "side": side, "cores": arguments.cores}
    settings["times"] = 1 if arguments.quick else TIMES
    (folder / "case.json").write_text(json.dumps(settings))
    script = HERE / ("predict_dacapo.py" if side == "dacapo" else f"{NAME}.py")
    command = [python, str(script), "--measure", str(folder)]
    done = subprocess.run(command, capture_output=True, text=True, cwd=folder)
    if done.returncode != 0:
        raise SystemExit(f"{side} failed:\n{done.stderr}")
    report: dict[str, Any] = json.loads((folder / "report.json").read_text())
    return report


def make_volume(folder: Path, case: dict[str, Any]) -> None:
    """Write noise as a zarr array that both sides open."""
    import numpy as np
    import zarr

    shape = case["volume"]
    values = np.random.default_rng(0).integers(0, 256, shape, np.uint8)
    group = zarr.open_group(folder / "volume.zarr", mode="w", zarr_format=2)
    chunk = [64 if len(shape) == 3 else 512] * len(shape)
    array = group.create_array("raw", shape=shape, chunks=chunk, dtype=np.uint8, fill_value=0)
    array[...] = values
    array.attrs.update(
        voxel_size=[VOXEL_SIZE] * len(shape),
        offset=[0] * len(shape),
        axis_names=list("zyx")[-len(shape) :],
        units=["nm"] * len(shape),
    )


def devices() -> list[str]:
    """Give where can be predicted."""
    code = "import torch; print(torch.cuda.is_available())"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return ["cpu", "cuda:0"] if done.stdout.strip() == "True" else ["cpu"]


def measure(folder: Path) -> None:
    """Do what ``case.json`` in a folder says, and write ``report.json``."""
    case = json.loads((folder / "case.json").read_text())
    keep_to_cores(case["cores"])
    import numpy as np
    import torch

    from napari_dacapo_tasks.arrays.open import open_array
    from napari_dacapo_tasks.prediction.config import PredictionConfig
    from napari_dacapo_tasks.prediction.fit import plan_prediction
    from napari_dacapo_tasks.prediction.predict import predict
    from napari_dacapo_tasks.runs.intensity import normalised
    from napari_dacapo_tasks.tasks.post_processors.post_processor import result_of

    trained = network_of(case)
    raw = open_array(folder / "volume.zarr" / "raw")
    tile = None if case["side"] == "own" else tuple(case["tile"])
    config = PredictionConfig(device=case["device"], edges="leave out", tile_shape=tile)
    plan = plan_prediction(trained, raw, config=config)
    begin, end = plan.voxels(plan.roi)
    shape, tiles = trained.tiles.cover(begin, end, raw.shape, False)
    if case["side"] in ("bare", "loop"):  # whoever predicts calculates nothing in this thread
        model = trained.build().place(case["device"])
        ready = torch.randn((1, 1, *shape), device=case["device"])

    def synchronise() -> None:
        if case["device"] != "cpu":
            torch.cuda.synchronize()

    def bare() -> None:
        with torch.inference_mode():
            for _ in tiles:
                model(ready)
        synchronise()

    def loop() -> None:
        result = np.zeros((plan.num_channels, *plan.shape), np.float32)
        with torch.inference_mode():
            for tile in tiles:
                place = tuple(
                    slice(part.begin, part.begin + n) for part, n in zip(tile, shape, strict=True)
                )
                seen = normalised(np.asarray(raw.data[place]), trained.intensity_range)
                answer = model(torch.from_numpy(seen)[None, None].to(case["device"]))
                result[(slice(None), *(part.output for part in tile))] = answer[0].cpu().numpy()

    def ours() -> None:
        result_of(predict(plan, config))

    def to_disk() -> None:
        result_of(predict(plan, config, Path(tempfile.mkdtemp(dir=folder)) / "out.zarr"))

    work = {"bare": bare, "loop": loop, "memory": ours, "own": ours, "disk": to_disk}[case["side"]]
    measurement = Measurement()
    work()  # what is compiled or chosen once
    for number in range(case["times"]):
        measurement.step(f"time {number}", work)
    seconds = min(measurement.seconds.values())
    voxels = int(np.prod(plan.shape))
    measurement.finish(folder / "report.json", seconds=seconds, voxels=voxels)


def network_of(case: dict[str, Any]) -> Any:
    """Give the network of a case, with random weights."""
    from funlib.geometry import Coordinate

    from napari_dacapo_tasks.architectures import CNNectomeUNet
    from napari_dacapo_tasks.prediction.trained import TrainedModel
    from napari_dacapo_tasks.tasks import DistanceTaskConfig

    architecture = CNNectomeUNet(input_shape=Coordinate(case["tile"]), **case["network"])
    task = DistanceTaskConfig(
        name="objects",
        channels=[f"object {number}" for number in range(case["channels"])],
        scale_factor=50,
        clip_distance=200,
        tol_distance=40,
    )
    model = task.task_type(task).create_model(architecture)
    return TrainedModel(
        name="random",
        task=task,
        architecture=architecture,
        weights=model.chain.state_dict(),
        intensity_range=(0.0, 255.0),
        voxel_size=(float(VOXEL_SIZE),) * architecture.dims,
        unit="nm",
    )


def page(results: dict[str, Any]) -> str:
    lines = [
        "# Predicting",
        "",
        described(results),
        "",
        "The same U-Net with random weights and three output channels, on a zarr volume of uint8 "
        "(3D: 224^3 voxels in tiles of 132^3; 2D: 2140^2 in tiles of 604^2), in float32. The "
        "network alone computes as many tiles of ready tensors, and nothing is done with its "
        "answers. A plain loop reads, computes and keeps one tile after the other. DaCapo: its "
        "`predict_local.predict`, which writes a zarr. With tiles of its own size, this program "
        "sees more at once, as far as memory allows. Overhead is what it takes longer than the "
        f"network alone (asked: at most {GOAL:.0%}). Extra memory is the peak beyond imports and "
        f"weights. `benchmarks/{NAME}.py` made this page.",
        "",
        "| network | device | how | voxels a second | overhead | extra memory |",
        "|---|---|---|---|---|---|",
    ]
    for row in results["rows"]:
        for side, name in SIDES.items():
            if side not in row:
                continue
            report = row[side]
            overhead = f"**{report['overhead']:.1%}**" if "overhead" in report else ""
            lines.append(
                f"| {row['case']} | {row['device']} | {name} | {report['per_second']:,.0f} "
                f"| {overhead} | {megabytes(report)} MB |"
            )
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    main()
