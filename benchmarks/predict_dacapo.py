"""DaCapo's side of `predict.py`: its `predict_local.predict`, in DaCapo's environment."""

import json
import sys
from pathlib import Path

from measuring import Measurement, keep_to_cores


class Container(type(Path())):  # type: ignore[misc]
    """What `predict_local` takes for the folder of a zarr: it asks for its path, too."""

    @property
    def path(self) -> str:
        return str(self)


def main(folder: Path) -> None:
    case = json.loads((folder / "case.json").read_text())
    keep_to_cores(case["cores"])
    import numpy as np
    from dacapo.experiments.architectures import CNNectomeUNet, CNNectomeUNetConfig
    from dacapo.experiments.tasks import DistanceTask, DistanceTaskConfig
    from dacapo.options import DaCapoConfig, Options
    from dacapo.predict_local import predict
    from dacapo.store.local_array_store import LocalArrayIdentifier
    from funlib.geometry import Coordinate

    # Its reader of options fails with the versions of `constraints_dacapo_cpu.txt`.
    Options.instance = classmethod(lambda cls: DaCapoConfig())  # type: ignore[method-assign]
    network = dict(case["network"])
    architecture = CNNectomeUNet(
        CNNectomeUNetConfig(
            name="unet",
            input_shape=Coordinate(case["tile"]),
            fmaps_in=1,
            **network,
        )
    )
    task = DistanceTask(
        DistanceTaskConfig(
            name="objects",
            channels=[f"object {number}" for number in range(case["channels"])],
            scale_factor=50,
            clip_distance=200,
            tol_distance=40,
        )
    )
    model = task.create_model(architecture)
    raw = LocalArrayIdentifier(folder / "volume.zarr", "raw")
    context = np.subtract(case["tile"], model.compute_output_shape(Coordinate(case["tile"]))[1])
    number = 0

    def work() -> None:
        nonlocal number
        number += 1
        out = LocalArrayIdentifier(Container(folder / f"dacapo{number}.zarr"), "prediction")
        predict(model, raw, out)

    work()  # what is imported or chosen once
    measurement = Measurement()
    for index in range(case["times"]):
        measurement.step(f"time {index}", work)
    seconds = min(measurement.seconds.values())
    voxels = int(np.prod(np.subtract(case["volume"], context)))
    measurement.finish(folder / "report.json", seconds=seconds, voxels=voxels)


if __name__ == "__main__":
    main(Path(sys.argv[2]))
