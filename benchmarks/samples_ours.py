"""Our side of `samples.py`: samples of a loader or steps of a training, in its own process."""

import json
import sys
from pathlib import Path
from typing import Any

from measuring import Measurement, keep_to_cores, paced

WARM_UP_STEPS = 2
"""Steps that do not count: PyTorch and its memory are made ready, and targets kept."""


def main(folder: Path) -> None:
    case = json.loads((folder / "case.json").read_text())
    keep_to_cores(case["cores"])
    import torch

    torch.set_num_threads(case["cores"])
    measure = waiting if case.get("device") else rate
    measure(folder, case)


def rate(folder: Path, case: dict[str, Any]) -> None:
    """Take batches of one crop from a loader as fast as it gives them."""
    import numpy as np

    from napari_dacapo_tasks.arrays import LabelsConfig
    from napari_dacapo_tasks.runs.data import volumes_of
    from napari_dacapo_tasks.runs.data_config import SamplingConfig
    from napari_dacapo_tasks.training.loader import Loader
    from napari_dacapo_tasks.training.places import Shapes
    from napari_dacapo_tasks.training.samples import Sampler

    task, network, trainer, row = of_case(folder, case)
    measurement = Measurement()
    data = volumes_of([row], task=task, architecture=network, labels=LabelsConfig())
    shapes = Shapes.of_architecture(network, row.raw.voxel_size)
    assert list(shapes.output_shape) == case["output_shape"]
    built = task.task_type(task.on_grid(row.labels.unit))
    sampler = Sampler(data, built, shapes, trainer, SamplingConfig())
    loader = Loader(sampler, 1, first=1, workers=case["cores"])
    iteration = 0

    def one() -> None:
        nonlocal iteration
        iteration += 1
        batch = loader.take(iteration)
        # PyTorch would ask its own threads, which go on spinning beside the loader's.
        parts = (batch.raw, batch.target, batch.weight)
        assert all(np.isfinite(part.numpy()).all() for part in parts)

    try:
        found = paced(one, warm_up=case["warm_up"], seconds=case["seconds"], least=case["least"])
    finally:
        loader.close()
    measurement.finish(folder / "report.json", **found)


def waiting(folder: Path, case: dict[str, Any]) -> None:
    """Train, and tell which share of the steps went by without data."""
    from napari_dacapo_tasks.arrays import LabelsConfig
    from napari_dacapo_tasks.runs.create import create_run
    from napari_dacapo_tasks.training.events import Stepped
    from napari_dacapo_tasks.training.loop import train

    task, network, trainer, row = of_case(folder, case)
    steps = create_run(
        folder / "run",
        task=task,
        architecture=network,
        trainer=trainer,
        rows=[row],
        labels=LabelsConfig(),
    )
    while True:
        try:
            next(steps)
        except StopIteration as stop:
            run = stop.value
            break
    seconds, waited = [], []
    events = train(run)
    try:
        for event in events:
            if isinstance(event, Stepped) and event.iteration > WARM_UP_STEPS:
                seconds.append(event.seconds)
                waited.append(event.waited)
                if sum(seconds) >= case["seconds"] and len(seconds) >= case["least"]:
                    break
    finally:
        events.close()
    report = {
        "steps": len(seconds),
        "step_seconds": sum(seconds) / len(seconds),
        "waited_share": sum(waited) / sum(seconds),
        "batch_size": case["batch_size"],
    }
    (folder / "report.json").write_text(json.dumps(report))


def of_case(folder: Path, case: dict[str, Any]) -> tuple[Any, Any, Any, Any]:
    """Give task, network, trainer and data of a case."""
    import numpy as np

    from napari_dacapo_tasks.architectures import CNNectomeUNet
    from napari_dacapo_tasks.arrays import Array
    from napari_dacapo_tasks.runs.augmentation import AugmentationConfig
    from napari_dacapo_tasks.runs.rows import Row
    from napari_dacapo_tasks.runs.trainer_config import TrainerConfig
    from napari_dacapo_tasks.tasks import AffinitiesTaskConfig, DistanceTaskConfig

    labels = np.load(folder / "labels.npy")
    if case["kind"] == "distance":
        labels = (labels != 0).astype(np.uint8)
        task: Any = DistanceTaskConfig(name="task", **case["task"])
    else:
        labels = labels.astype(np.uint64)
        task = AffinitiesTaskConfig(name="task", **case["task"])
    bend = case["bend"]
    augmentation = AugmentationConfig(
        intensity=1,
        deform=1 if bend else 0,
        rotation=180 if bend else 0,
        elastic=bend["spread"] if bend else 0,
        elastic_spacing=bend["spacing"] if bend else 0,
    )
    trainer = TrainerConfig(
        augmentation=augmentation,
        batch_size=case.get("batch_size", 1),
        device=case.get("device", "cpu"),
        iterations=10**6,
        snapshot_interval=10**6,
        checkpoint_interval=10**6,
    )
    network = CNNectomeUNet(
        input_shape=case["input_shape"],
        num_fmaps=12,
        fmaps_out=12,
        fmap_inc_factor=3,
        downsample_factors=[(2, 2, 2), (2, 2, 2)],
    )
    size = case["voxel_size"]
    raw = Array(np.load(folder / "raw.npy"), axes="zyx", voxel_size=size)
    return task, network, trainer, Row(raw, Array(labels, axes="zyx", voxel_size=size))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
