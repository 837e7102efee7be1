"""Our side of `tasks.py`: one piece of work, in a process of its own."""

import json
import sys
import time
from importlib import import_module
from pathlib import Path

from measuring import Measurement, keep_to_cores

MODULES = {
    "DistancePredictor": "distance",
    "InnerDistancePredictor": "inner_distance",
    "HotDistancePredictor": "hot_distance",
    "AffinitiesPredictor": "affinities",
}


def main(folder: Path, cores: int) -> None:
    keep_to_cores(cores)
    import numpy as np
    from funlib.geometry import Coordinate, Roi

    from napari_dacapo_tasks.arrays import NumpyArray

    case = json.loads((folder / "case.json").read_text())
    size = Coordinate([case["voxel_size"]] * 3)

    def placed(values: np.ndarray) -> NumpyArray:
        axes = ["c", "z", "y", "x"][4 - values.ndim :]
        roi = Roi([0] * 3, size * Coordinate(values.shape[-3:]))
        return NumpyArray.from_np_array(values, roi, size, axes)

    labels = np.load(folder / "labels.npy")[np.newaxis]
    small = np.ascontiguousarray(labels[:, :40, :40, :40])
    if not case["predictor"]:
        from napari_dacapo_tasks.tasks.evaluators.binary import BinaryEvaluator

        test = np.load(folder / "test.npy")[np.newaxis]
        evaluator = BinaryEvaluator(["cell"], clip_distance=200, tol_distance=40)
        evaluator.evaluate(placed(small), placed(small[:, ::-1]))  # loads the compiled loops
        arrays = placed(test), placed(labels)
        measurement = Measurement()
        scores = measurement.step("scores", lambda: evaluator.evaluate(*arrays))
        measurement.finish(folder / "report.json")
        (folder / "scores.json").write_text(json.dumps(scores["cell"]))
        return
    name = case["predictor"]
    module = import_module(f"napari_dacapo_tasks.tasks.predictors.{MODULES[name]}")
    predictor = getattr(module, name)(**case["arguments"])
    start = time.perf_counter()
    piece = placed(small)  # loads the compiled loops
    target = predictor.create_target(piece)
    predictor.create_weight(piece, target, placed(np.ones_like(small[0], np.uint8)))
    loading = time.perf_counter() - start

    gt, mask = placed(labels), placed(np.ones(labels.shape[1:], np.uint8))
    measurement = Measurement()
    target = measurement.step("target", lambda: predictor.create_target(gt))
    measurement.step("weight", lambda: predictor.create_weight(gt, target, mask))
    measurement.finish(folder / "report.json", loading=loading)
    if case["keep"]:
        np.save(folder / "target.npy", target.data)


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]))
