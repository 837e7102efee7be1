"""Our side of `distance.py`: one target and weight, in a process of its own."""

import sys
import time
from pathlib import Path

from measuring import Measurement, keep_to_cores


def main(folder: Path, cores: int, voxel_size: int, scale_factor: float) -> None:
    keep_to_cores(cores)
    import numpy as np
    from funlib.geometry import Coordinate, Roi

    from napari_dacapo_tasks.arrays import NumpyArray
    from napari_dacapo_tasks.numerics.distances import warm_up
    from napari_dacapo_tasks.tasks.predictors.distance import DistancePredictor

    start = time.perf_counter()
    warm_up()
    loading = time.perf_counter() - start

    labels = np.load(folder / "labels.npy")[np.newaxis]
    size = Coordinate([voxel_size] * 3)
    roi = Roi([0] * 3, size * Coordinate(labels.shape[1:]))
    gt = NumpyArray.from_np_array(labels, roi, size, ["c", "z", "y", "x"])
    mask = NumpyArray.from_np_array(np.ones_like(labels, np.uint8), roi, size, gt.axes)
    predictor = DistancePredictor(["cell"], scale_factor, mask_distances=True)

    measurement = Measurement()
    target = measurement.step("target", lambda: predictor.create_target(gt))
    measurement.step("weight", lambda: predictor.create_weight(gt, target, mask))
    measurement.finish(folder / "report.json", loading=loading)
    np.save(folder / "target.npy", target.data)


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]), float(sys.argv[4]))
