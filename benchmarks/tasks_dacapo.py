"""DaCapo's side of `tasks.py`: the same work, with the interpreter of DaCapo's environment."""

import json
import sys
from pathlib import Path

from measuring import Measurement, keep_to_cores


def main(folder: Path, cores: int) -> None:
    keep_to_cores(cores)
    import numpy as np
    from dacapo.experiments.tasks import predictors
    from funlib.geometry import Coordinate
    from funlib.persistence import Array

    case = json.loads((folder / "case.json").read_text())
    size = Coordinate([case["voxel_size"]] * 3)
    labels = np.load(folder / "labels.npy")
    if not case["predictor"]:
        from dacapo.experiments.tasks.evaluators import BinarySegmentationEvaluator

        test = np.load(folder / "test.npy")
        evaluator = BinarySegmentationEvaluator(200, 40, ["cell"])
        measurement = Measurement()
        measurement.step("scores", lambda: evaluator._evaluate(test, labels, size))
        measurement.finish(folder / "report.json")
        return

    affinities = case["predictor"] == "AffinitiesPredictor"
    axes = ["z", "y", "x"] if affinities else ["c^", "z", "y", "x"]

    def placed(values: np.ndarray) -> Array:
        values = values if affinities else values[np.newaxis]
        return Array(values, Coordinate(0, 0, 0), size, axis_names=axes)

    arguments = dict(case["arguments"])
    if affinities:
        arguments["neighborhood"] = [Coordinate(offset) for offset in arguments["neighborhood"]]
        gt = foreground = placed(labels.astype(np.uint64))
    else:
        gt = placed(labels)
        # DaCapo's class balance refuses ids; the time to make foreground of them is not counted.
        foreground = placed((labels != 0).astype(np.uint8))
    mask = placed(np.ones(labels.shape, np.uint8))
    predictor = getattr(predictors, case["predictor"])(**arguments)

    measurement = Measurement()
    target = measurement.step("target", lambda: predictor.create_target(gt))
    measurement.step("weight", lambda: predictor.create_weight(foreground, target, mask))
    measurement.finish(folder / "report.json")
    if case["keep"]:
        np.save(folder / "target.npy", target[target.roi])


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]))
