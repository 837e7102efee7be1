"""DaCapo's side of `distance.py`: the same work, with the interpreter of DaCapo's environment."""

import sys
from pathlib import Path

from measuring import Measurement, keep_to_cores


def main(folder: Path, cores: int, voxel_size: int, scale_factor: float) -> None:
    keep_to_cores(cores)
    import numpy as np
    from dacapo.experiments.tasks.predictors import DistancePredictor
    from funlib.geometry import Coordinate
    from funlib.persistence import Array

    def placed(values: np.ndarray) -> Array:
        size = Coordinate([voxel_size] * 3)
        return Array(values, Coordinate(0, 0, 0), size, axis_names=["c^", "z", "y", "x"])

    labels = np.load(folder / "labels.npy")[np.newaxis]
    gt = placed(labels)
    # DaCapo's class balance refuses ids; the time to make foreground of them is not counted.
    foreground = placed((labels != 0).astype(np.uint8))
    mask = placed(np.ones_like(labels, np.uint8))
    predictor = DistancePredictor(["cell"], scale_factor, mask_distances=True)

    measurement = Measurement()
    target = measurement.step("target", lambda: predictor.create_target(gt))
    measurement.step("weight", lambda: predictor.create_weight(foreground, target, mask))
    measurement.finish(folder / "report.json")
    np.save(folder / "target.npy", target[target.roi])


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]), float(sys.argv[4]))
