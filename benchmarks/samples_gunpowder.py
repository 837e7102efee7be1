"""DaCapo's side of `samples.py`: its gunpowder pipeline, in DaCapo's environment."""

import json
import math
import sys
from pathlib import Path

from measuring import Measurement, keep_to_cores, paced


def main(folder: Path) -> None:
    case = json.loads((folder / "case.json").read_text())
    keep_to_cores(case["cores"])
    from types import SimpleNamespace

    import numpy as np
    from dacapo.experiments.tasks import (
        AffinitiesTask,
        AffinitiesTaskConfig,
        DistanceTask,
        DistanceTaskConfig,
    )
    from dacapo.experiments.trainers import GunpowderTrainerConfig
    from dacapo.experiments.trainers.gp_augments import (
        ElasticAugmentConfig,
        GammaAugmentConfig,
        IntensityAugmentConfig,
        IntensityScaleShiftAugmentConfig,
        SimpleAugmentConfig,
    )
    from funlib.geometry import Coordinate
    from funlib.persistence import Array

    size = Coordinate(case["voxel_size"])
    # Raw between 0 and 1, as its augmentations want it; the time that takes is not counted.
    raw = np.load(folder / "raw.npy").astype(np.float32) / 255
    labels = np.load(folder / "labels.npy")
    values = dict(case["task"])
    if case["kind"] == "distance":
        labels = (labels != 0).astype(np.uint8)[np.newaxis]
        task = DistanceTask(DistanceTaskConfig(name="task", **values))
        axes = ["c^", "z", "y", "x"]
    else:
        labels = labels.astype(np.uint64)
        values["neighborhood"] = [Coordinate(offset) for offset in values["neighborhood"]]
        task = AffinitiesTask(AffinitiesTaskConfig(name="task", **values))
        axes = ["z", "y", "x"]
    origin = Coordinate((0,) * len(size))
    dataset = SimpleNamespace(
        name="volume",
        raw=Array(raw, origin, size, axis_names=["z", "y", "x"]),
        gt=Array(labels, origin, size, axis_names=axes),
        mask=None,
        weight=1,
        sample_points=None,
    )
    augments = [
        SimpleAugmentConfig(),
        IntensityAugmentConfig(scale=(0.7, 1.4), shift=(-0.1, 0.1), clip=True),
        GammaAugmentConfig(gamma_range=(0.7, 1.5)),
        IntensityScaleShiftAugmentConfig(scale=2, shift=-1),
    ]
    if bend := case["bend"]:
        augments.insert(
            1,
            ElasticAugmentConfig(
                control_point_spacing=[bend["spacing"] // length for length in size],
                control_point_displacement_sigma=[bend["spread"]] * len(size),
                rotation_interval=(0, math.pi / 2),
                subsample=bend["subsample"],
                uniform_3d_rotation=True,
            ),
        )
    config = GunpowderTrainerConfig(
        name="trainer",
        batch_size=1,
        learning_rate=1e-4,
        num_data_fetchers=case["cores"],
        augments=augments,
    )
    trainer = config.trainer_type(config)
    model = SimpleNamespace(
        input_shape=Coordinate(case["input_shape"]),
        output_shape=Coordinate(case["output_shape"]),
        scale=lambda voxel_size: voxel_size,
    )
    measurement = Measurement()
    trainer.build_batch_provider([dataset], model, task)
    with trainer:
        trainer.print_profiling = 10**9

        def one() -> None:
            raw, _, target, weight, _ = trainer.next()
            arrays = [np.asarray(array[array.roi]) for array in (raw, target, weight)]
            assert all(np.isfinite(array).all() for array in arrays)

        rate = paced(one, warm_up=case["warm_up"], seconds=case["seconds"], least=case["least"])
    measurement.finish(folder / "report.json", **rate)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
